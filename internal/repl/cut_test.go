package repl

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"

	"zrs/internal/wire"
)

// cutSource is a source whose first connection breaks after so many bytes of
// what the primary sends.
func cutSource(_ testing.TB, src Source, cut int) Source {
	var first sync.Once
	return Source{Name: "cut", Dial: func(ctx context.Context) (net.Conn, error) {
		conn, err := src.Dial(ctx)
		first.Do(func() {
			if err == nil {
				conn = &cutConn{Conn: conn, left: cut}
			}
		})
		return conn, err
	}}
}

type cutConn struct {
	net.Conn
	left int
}

func (c *cutConn) Read(b []byte) (int, error) {
	if c.left == 0 {
		c.Conn.Close()
	}
	n, err := c.Conn.Read(b[:min(len(b), max(c.left, 1))])
	c.left -= n
	return n, err
}

// Wherever a connection breaks, the file is the same in the end: at every byte of
// a recorded session, and at some of others.
func TestCut(t *testing.T) {
	for _, test := range []struct {
		name        string
		here, there string
		protocol    string
		step        int
	}{
		{"packed", "", "", wire.Protocol20, 1}, // is recorded
		{"seed", "", "1/me a=1 b=1; 2 a=2; 3 a=1^1; 4 b=-", wire.Protocol20, 7},
		{"halfway", "1/me a=1 b=1; 2 a=2", "1/me a=1 b=1; 2 a=2; 3 a=1^1; 4 b=-", wire.Protocol20, 7},
		{"blobs", "", "1 a=1 c*hello; 2 c*; 3 c*again d*too; 4 a=2", wire.Protocol21, 7},
		{"over-a-pack", "1 a=1; 2 b=1; 3 a=2", "3p a=2; 4p b=2; 5 a=3", wire.Protocol20, 7},
	} {
		t.Run(test.name, func(t *testing.T) {
			here, there := makeFile(t, test.here), optional(test.name, "primary.fs")
			if there == "" {
				there = makeFile(t, test.there)
			}
			blobs := ""
			if test.protocol == wire.Protocol21 {
				blobs = there + ".blobs"
			}
			want := filepath.Join(memoryDir(t), "Data.fs") // as it is without a cut
			copyFile(t, want, here)
			size := 0
			synctest.Test(t, func(t *testing.T) {
				src, _ := servePipes(t, newPrimary(t, there, blobs))
				s := newSecondary(t, want, blobsOf(want, blobs), src)
				if err := s.Catchup(t.Context(), 0, false); err != nil {
					t.Fatal(err)
				}
				size = len(ask(t, newPrimary(t, there, blobs), test.protocol, 0))
			})
			for cut := 0; cut <= size; cut += test.step {
				synctest.Test(t, func(t *testing.T) {
					src, _ := servePipes(t, newPrimary(t, there, blobs))
					path := copyFile(t, filepath.Join(memoryDir(t), "Data.fs"), here)
					s := newSecondary(t, path, blobsOf(path, blobs), cutSource(t, src, cut))
					s.Logger = quietLogger
					stop := runSecondary(t, s)
					waitForTip(t, s.Log, int64(len(readFile(t, want))))
					if err := stop(); err != nil {
						t.Errorf("Run() = %v", err)
					}
					closeSecondary(t, s)
					checkSame(t, path, want)
					if blobs != "" {
						checkSameBlobs(t, path+".blobs", blobs)
						checkNoTemporary(t, path+".blobs")
					}
					if t.Failed() {
						t.Fatal(fmt.Sprint("cut at ", cut))
					}
				})
			}
		})
	}
}

// blobsOf returns the blob directory of a file, if there is to be one.
func blobsOf(path, blobs string) string {
	if blobs == "" {
		return ""
	}
	return path + ".blobs"
}
