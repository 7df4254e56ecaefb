package repl

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"zrs/internal/fs"
	"zrs/internal/wire"
)

// junk returns n random bytes.
func junk(n int) []byte {
	r := rand.NewChaCha8([32]byte{1})
	b := make([]byte, n)
	_, _ = r.Read(b)
	return b
}

// What a source may send, after one transaction that is good, if that is what it
// sends first. Whatever it is, the secondary keeps what is good and nothing else.
func TestSecondary_brokenSource(t *testing.T) {
	good := parseTxns(t, "1 a=1")
	after := func() *stream { return newStream(0).txns(good...) }
	message := func(m string) []byte { return after().raw([]byte(m)).b }
	begun := func() *stream { return after().begin(tidOf(2)) }
	status := func(s string) string {
		return strings.Replace(string((&wire.Begin{TID: tidOf(2), Status: ' '}).AppendTo(nil)), "X\x01\x00\x00\x00 ", s, 1)
	}
	digest := (&wire.Commit{}).AppendTo(nil)
	for _, test := range []struct {
		name string
		sent []byte
		want error
	}{
		{"nothing", nil, ErrRefused},
		{"a-byte", []byte{0}, ErrHungUp},
		{"garbage", junk(100_000), ErrProtocol},
		{"http", []byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), ErrProtocol},
		{"4-gib", []byte("\xff\xff\xff\xff"), ErrProtocol},
		{"4-gib-later", append(after().b, "\xff\xff\xff\xffx"...), ErrProtocol},
		{"4-gib-of-data", append(begun().message(&wire.Store{OID: 1, TID: tidOf(2)}).b, "\xff\xff\xff\xffx"...), ErrProtocol},
		{"4-gib-of-blob", append(begun().blob(1, tidOf(2), 1).b, "\xff\xff\xff\xffx"...), ErrProtocol},
		{"garbage-later", append(after().b, junk(100_000)...), ErrProtocol},
		{"keep-alive", message(""), ErrProtocol},
		{"no-pickle", message("hello"), ErrProtocol},
		{"unknown-letter", message("(X\x01\x00\x00\x00X(tt."), ErrProtocol},
		{"begin-inside", begun().begin(tidOf(3)).commit().b, ErrProtocol},
		{"commit-outside", after().commit().b, ErrProtocol},
		{"record-outside", after().store(1, tidOf(2), "x").b, ErrProtocol},
		{"blob-outside", after().blob(1, tidOf(2), 1, "x").b, ErrProtocol},
		{"wrong-checksum", begun().store(1, tidOf(2), "x").raw(digest).b, ErrChecksum},
		{"short-checksum", begun().raw([]byte("(X\x01\x00\x00\x00C(c_codecs\nencode\n(X\x01\x00\x00\x00xX\x06\x00\x00\x00latin1tRtt.")).b, ErrProtocol},
		{"altered-data", bytes.Replace(begun().store(1, tidOf(2), "the data").commit().b, []byte("the data"), []byte("thy data"), 1), ErrChecksum},
		{"too-few-blocks", begun().blob(1, tidOf(2), 3, "x").commit().b, ErrHungUp},
		{"too-many-blocks", begun().blob(1, tidOf(2), 1, "x", "y").commit().b, ErrProtocol},
		{"no-blocks-announced", begun().blob(1, tidOf(2), 0, "x").commit().b, ErrProtocol},
		{"very-many-blocks", begun().blob(1, tidOf(2), 1<<62, "x").commit().b, ErrHungUp},
		{"negative-blocks", begun().blob(1, tidOf(2), -1).commit().b, ErrProtocol},
		{"blob-of-another-transaction", begun().blob(0, tidOf(1), 1, "x").commit().b, ErrProtocol},
		{"status-u", message(status("X\x01\x00\x00\x00u")), ErrProtocol},
		{"status-c", message(status("X\x01\x00\x00\x00c")), ErrProtocol},
		{"status-of-two", message(status("X\x02\x00\x00\x00  ")), ErrProtocol},
		{"status-empty", message(status("X\x00\x00\x00\x00")), ErrProtocol},
		{"user-of-70-kb", after().message(&wire.Begin{TID: tidOf(2), Status: ' ', User: make([]byte, 70_000)}).b, ErrProtocol},
		{"same-tid", after().txns(good...).b, ErrProtocol},
		{"cut", begun().store(1, tidOf(2), "x").b, ErrHungUp},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := newScripted(t, pipes, []step{skipHandshake, send(test.sent), hangUp})
				path := filepath.Join(memoryDir(t), "Data.fs")
				s := newSecondary(t, path, path+".blobs", src.Source)
				if err := s.Catchup(t.Context(), 0, false); !errors.Is(err, test.want) {
					t.Errorf("Catchup() = %v, want %v", err, test.want)
				}
				closeSecondary(t, s)
				want := filepath.Join(memoryDir(t), "Data.fs")
				writeTxns(t, want, nil)
				if bytes.HasPrefix(test.sent, after().b) {
					want = makeFile(t, "1 a=1")
				}
				checkSame(t, path, want)
				if files := blobFiles(t, path+".blobs"); len(files) > 0 {
					t.Errorf("%d blobs are left", len(files))
				}
				checkNoTemporary(t, path+".blobs")
			})
		})
	}
}

// A source that sends blobs to a secondary that has nowhere to put them.
func TestSecondary_blobDirNeeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := newStream(0).txns(parseTxns(t, "1 a=1")...).begin(tidOf(2)).blob(1, tidOf(2), 1, "x").commit()
		src := newScripted(t, pipes, []step{skipHandshake, send(answer.b), listen})
		s := newSecondary(t, filepath.Join(memoryDir(t), "Data.fs"), "", src.Source)
		if err := s.Run(t.Context()); !errors.Is(err, ErrBlobDirNeeded) {
			t.Errorf("Run() = %v, want %v", err, ErrBlobDirNeeded)
		}
		if got := s.Log.Tip().TID; got != tidOf(1) {
			t.Errorf("it has up to %s", got)
		}
	})
}

// A source that says nothing where an answer is due is given up: one that never
// begins, one that stops in the middle, one that does not end.
func TestSecondary_silentSource(t *testing.T) {
	whole := newStream(0).txns(parseTxns(t, "1 a=1; 2 b=1")...).b
	compared := newStream(0).txns(parseTxns(t, "1 a=1")...).b
	for _, test := range []struct {
		name, here string
		sent       []byte
		want       time.Duration
	}{
		{"never-begins", "", nil, silence + DefaultTimeout},
		{"never-begins-to-compare", "1 a=1; 2 b=1", nil, 2 * DefaultTimeout},
		{"stops-in-the-middle", "", whole[:len(whole)-1], DefaultTimeout},
		{"stops-while-comparing", "1 a=1; 2 b=1", compared, silence + DefaultTimeout},
		{"does-not-end", "", whole, DefaultTimeout},
		{"does-not-end-after-comparing", "1 a=1; 2 b=1", whole, endPause + DefaultTimeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := newScripted(t, pipes, []step{skipHandshake, send(test.sent), listen})
				s := newSecondary(t, makeFile(t, test.here), "", src.Source)
				begin := time.Now()
				if err := s.Catchup(t.Context(), 0, false); !errors.Is(err, ErrHungUp) {
					t.Errorf("Catchup() = %v, want %v", err, ErrHungUp)
				}
				if took := time.Since(begin); took != test.want {
					t.Errorf("it took %s, want %s", took, test.want)
				}
			})
		})
	}
	// One that is slow is not given up.
	synctest.Test(t, func(t *testing.T) {
		slow := func(c net.Conn) error {
			asked := make(chan error)
			go func() { asked <- waitForFinish(c) }()
			for i := range whole {
				time.Sleep(DefaultTimeout - time.Second)
				if _, err := c.Write(whole[i : i+1]); err != nil {
					return err
				}
			}
			return <-asked
		}
		src := newScripted(t, pipes, []step{skipHandshake, slow, hangUp})
		s := newSecondary(t, makeFile(t, ""), "", src.Source)
		if err := s.Catchup(t.Context(), 0, false); err != nil {
			t.Errorf("Catchup() = %v", err)
		}
	})
}

// A source that is idle is not given up, nor asked for the end: that is what a
// secondary waits for transactions on.
func TestSecondary_idleSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		idle := func(c net.Conn) error {
			time.Sleep(24 * time.Hour)
			_, err := c.Write(newStream(0).txns(parseTxns(t, "1 a=1; 2 b=1")...).b[len(newStream(0).txns(parseTxns(t, "1 a=1")...).b):])
			return err
		}
		src := newScripted(t, pipes, []step{skipHandshake, send(newStream(0).txns(parseTxns(t, "1 a=1")...).b), idle, listen})
		s := newSecondary(t, makeFile(t, ""), "", src.Source)
		stop := runSecondary(t, s)
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if got := s.Log.Tip().TID; got != tidOf(2) || src.played != 1 {
			t.Errorf("it has up to %s after %d connections", got, src.played)
		}
		if err := stop(); err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
}

// heapGrowth returns how much larger what is in use of the heap was at its
// largest while f ran, which calls sample now and then.
func heapGrowth(f func(sample func())) int64 {
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, most := heap(), int64(0)
	var mu sync.Mutex
	f(func() {
		mu.Lock()
		defer mu.Unlock()
		most = max(most, heap()-before)
	})
	mu.Lock()
	defer mu.Unlock()
	return most
}

// A source can't make a secondary use memory but by sending as much, and only
// for one record at a time.
func TestSecondary_memory(t *testing.T) {
	begun := newStream(0).begin(tidOf(1))
	for _, test := range []struct {
		name string
		head []byte
		part []byte // sent again and again
		n    int
		most int64
	}{
		{
			"huge-record-announced", append(begun.message(&wire.Store{OID: 1, TID: tidOf(1)}).b, "\x3f\xff\xff\xff"...),
			make([]byte, 1<<20), 8, 48 << 20,
		},
		{"empty-blocks", newStream(0).begin(tidOf(1)).blob(1, tidOf(1), 1<<62).b, make([]byte, 1<<20), 3, 96 << 20},
		{"tiny-blocks", newStream(0).begin(tidOf(1)).blob(1, tidOf(1), 1<<62).b, bytes.Repeat([]byte("\x00\x00\x00\x01x"), 1<<17), 3, 96 << 20},
		{"records", newStream(0).begin(tidOf(1)).b, newStream(0).store(1, tidOf(1), strings.Repeat("x", 1<<20)).b, 64, 64 << 20},
	} {
		t.Run(test.name, func(t *testing.T) {
			grown := heapGrowth(func(sample func()) {
				many := func(c net.Conn) error {
					for range test.n {
						if _, err := c.Write(test.part); err != nil {
							return err
						}
						sample()
					}
					return nil
				}
				src := newScripted(t, sockets, []step{skipHandshake, send(test.head), many, hangUp})
				path := filepath.Join(t.TempDir(), "Data.fs")
				s := newSecondary(t, path, path+".blobs", src.Source)
				s.Logger = quietLogger
				if err := s.Catchup(t.Context(), 0, false); !errors.Is(err, ErrHungUp) {
					t.Errorf("Catchup() = %v, want %v", err, ErrHungUp)
				}
			})
			t.Logf("the heap grew by %d KiB", grown>>10)
			if grown > test.most {
				t.Errorf("the heap grew by %d MiB, want at most %d", grown>>20, test.most>>20)
			}
		})
	}
}

// What a client may send to a primary. It gets no byte.
func TestPrimary_brokenClient(t *testing.T) {
	handshake := func(protocol string, start []byte) []byte {
		return append(wire.AppendFrame(nil, []byte(protocol)), wire.AppendFrame(nil, start)...)
	}
	zero := make([]byte, 8)
	for _, test := range []struct {
		name string
		sent []byte
	}{
		{"nothing", nil},
		{"garbage", junk(1000)},
		{"http", []byte("GET / HTTP/1.1\r\nHost: db\r\n\r\n")},
		{"tls", []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")},
		{"4-gib", []byte("\xff\xff\xff\xff")},
		{"4-gib-tid", append(wire.AppendFrame(nil, []byte("zrs2.0")), "\xff\xff\xff\xff"...)},
		{"other-version", handshake("zrs2.2", zero)},
		{"upper-case", handshake("ZRS2.0", zero)},
		{"empty-name", handshake("", zero)},
		{"newline", handshake("zrs2.0\n", zero)},
		{"keep-alive-first", append([]byte{0, 0, 0, 0}, handshake("zrs2.0", zero)...)},
		{"keep-alive-between", append(wire.AppendFrame(nil, []byte("zrs2.0")), 0, 0, 0, 0)},
		{"short-tid", handshake("zrs2.0", zero[:7])},
		{"long-tid", handshake("zrs2.0", append(zero, 0))},
		{"tid-too-high", handshake("zrs2.0", bytes.Repeat([]byte{0xff}, 8))},
		{"tid-too-high-by-one", handshake("zrs2.0", (tidOf(2) + 1).AppendTo(nil))},
		{"tid-unknown", handshake("zrs2.0", (tidOf(1) + 1).AppendTo(nil))},
		{"half-a-tid", handshake("zrs2.0", zero)[:15]},
	} {
		t.Run(test.name, func(t *testing.T) {
			src, _ := serveTCP(t, newPrimary(t, makeFile(t, "1 a=1; 2 b=1"), ""))
			conn, err := src.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(test.sent); err != nil && !isClosed(err) {
				t.Fatal(err)
			}
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil && !isClosed(err) {
				t.Logf("CloseWrite() = %v", err)
			}
			got, err := io.ReadAll(conn)
			if err != nil && !isClosed(err) {
				t.Error(err)
			}
			if len(got) > 0 {
				t.Errorf("it got %d bytes", len(got))
			}
		})
	}
}

// A client that does not say what it wants is not waited for.
func TestPrimary_silentClient(t *testing.T) {
	whole := wire.AppendHandshake(nil, wire.Protocol20, 0)
	for _, n := range []int{0, 3, 10, len(whole) - 1} {
		synctest.Test(t, func(t *testing.T) {
			src, _ := servePipes(t, newPrimary(t, makeFile(t, "1 a=1"), ""))
			conn, err := src.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			begin := time.Now()
			if _, err := conn.Write(whole[:n]); err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(conn); len(got) > 0 || err != nil {
				t.Errorf("it got %d bytes, %v", len(got), err)
			}
			if took := time.Since(begin); took != DefaultHandshakeTimeout {
				t.Errorf("after %d bytes it took %s, want %s", n, took, DefaultHandshakeTimeout)
			}
		})
	}
}

// The handshake may come in pieces.
func TestPrimary_slowHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, _ := servePipes(t, newPrimary(t, makeFile(t, "1 a=1"), ""))
		conn, err := src.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := newStream(0).txns(parseTxns(t, "1 a=1")...).b
		err = playTo(conn, sendSlowly(wire.AppendHandshake(nil, wire.Protocol20, 0)), expect(want))
		if err != nil {
			t.Error(err)
		}
	})
}

// Keep-alives mean nothing. Anything else asks for the end, however long it is
// and whether it comes or not.
func TestPrimary_extraMessage(t *testing.T) {
	want := newStream(0).txns(parseTxns(t, "1 a=1; 2 b=1")...).b
	for _, extra := range []string{"\x00\x00\x00\x01f", "\xff\xff\xff\xff", "\x00\x00\x00\x09123456789", "\x40\x00\x00\x00" + strings.Repeat("x", 100_000)} {
		src, _ := serveTCP(t, newPrimary(t, makeFile(t, "1 a=1; 2 b=1"), ""))
		conn, err := src.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		err = playTo(conn,
			send(wire.AppendHandshake(nil, wire.Protocol20, 0)),
			send(make([]byte, 400)), // keep-alives
			expect(want), send([]byte(extra)),
			func(c net.Conn) error {
				rest, err := io.ReadAll(c)
				if len(rest) > 0 {
					t.Errorf("%d bytes more", len(rest))
				}
				return err
			})
		if err != nil {
			t.Error(err)
		}
	}
}

// A secondary that reads nothing is cut off. The others do not notice.
func TestPrimary_stuckSecondary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, _ := servePipes(t, newPrimary(t, makeFile(t, "1 a=1; 2 b=1"), ""))
		stuck, err := src.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer stuck.Close()
		begin := time.Now()
		if _, err := stuck.Write(wire.AppendHandshake(nil, wire.Protocol20, 0)); err != nil {
			t.Fatal(err)
		}
		s := newSecondary(t, filepath.Join(memoryDir(t), "Data.fs"), "", src)
		if err := s.Catchup(t.Context(), 0, false); err != nil {
			t.Errorf("Catchup() = %v", err)
		}
		if took := time.Since(begin); took > endPause {
			t.Errorf("it took %s beside a stuck one", took)
		}
		for err == nil {
			time.Sleep(time.Second)
			_, err = stuck.Write(make([]byte, wire.FrameHeaderSize)) // it is alive
		}
		if took := time.Since(begin); took < DefaultWriteTimeout || took > DefaultWriteTimeout+time.Second {
			t.Errorf("it was cut off after %s, want %s", took, DefaultWriteTimeout)
		}
	})
}

// A secondary that is slow gets everything, however long that takes.
func TestPrimary_slowSecondary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const txns = "1 a=1; 2 b=1; 3 c=1"
		src, _ := servePipes(t, newPrimary(t, makeFile(t, txns), ""))
		slow, err := src.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer slow.Close()
		if _, err := slow.Write(wire.AppendHandshake(nil, wire.Protocol20, 0)); err != nil {
			t.Fatal(err)
		}
		want := newStream(0).txns(parseTxns(t, txns)...).b
		got := make([]byte, len(want))
		for i := range got {
			time.Sleep(DefaultWriteTimeout - time.Second)
			if _, err := slow.Read(got[i : i+1]); err != nil {
				t.Fatalf("after %d bytes: %v", i, err)
			}
		}
		checkBytes(t, "what it got", got, want)
	})
}

// Secondaries that are stuck cost a chunk each, whatever the database's size.
func TestPrimary_memory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Data.fs")
	var txns []txn
	data := strings.Repeat("x", 10_000)
	for i := range 4000 {
		txns = append(txns, txn{tid: fs.TID(i + 1), status: fs.StatusComplete, recs: []rec{{oid: 1, data: data}}})
	}
	writeTxns(t, path, txns)
	grown := heapGrowth(func(sample func()) {
		p := newPrimary(t, path, "")
		p.Logger = quietLogger
		src, stop := serveTCP(t, p)
		for i := range 10 {
			conn, err := src.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_, err = conn.Write(wire.AppendHandshake(nil, wire.Protocol20, fs.TID(200*i)))
			if err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			s := newSecondary(t, filepath.Join(t.TempDir(), "Data.fs"), "", src)
			s.Logger = quietLogger
			if err := s.Catchup(t.Context(), 0, false); err != nil {
				t.Error(err)
			}
			sample()
		}
		p.StopTimeout = time.Millisecond
		sample()
		go func() { _ = stop() }()
	})
	t.Logf("the heap grew by %d KiB", grown>>10)
	if grown > 64<<20 {
		t.Errorf("the heap grew by %d MiB with stuck secondaries", grown>>20)
	}
}
