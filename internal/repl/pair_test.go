package repl

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zrs/internal/fs"
)

const corpusDir = "../../testdata/corpus"

// testLogger writes to the test's log.
func testLogger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}

// A testPrimary serves a data file on loopback, until the test ends.
type testPrimary struct {
	*Primary
	addr string
	stop func()
}

func servePrimary(t testing.TB, path, blobs string, set func(*Primary)) *testPrimary {
	t.Helper()
	tailer, err := fs.OpenTailer(path, fs.TailerOptions{Logger: testLogger(t), Poll: 2 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	p := &Primary{Log: tailer.Log(), Logger: testLogger(t), StopTimeout: 5 * time.Second}
	if blobs != "" {
		if p.Blobs, err = fs.OpenBlobDir(blobs); err != nil {
			t.Fatal(err)
		}
	}
	if set != nil {
		set(p)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{}, 2)
	go func() {
		if err := p.Serve(ctx, l); err != nil {
			t.Logf("Serve() = %v", err)
		}
		done <- struct{}{}
	}()
	tailing, stopTailing := context.WithCancel(context.Background())
	go func() { _ = tailer.Run(tailing); done <- struct{}{} }()
	stopped := false
	stop := func() {
		if !stopped {
			stopped = true
			cancel()
			<-done
			stopTailing()
			<-done
		}
	}
	t.Cleanup(stop)
	return &testPrimary{p, l.Addr().String(), stop}
}

// openSecondary opens a data file as a secondary of addr.
func openSecondary(t testing.TB, path, blobs string, addr string) *Secondary {
	t.Helper()
	s := &Secondary{
		Logger: testLogger(t), Timeout: 10 * time.Second,
		Sources: []Source{TCPSource("tcp", addr, 10*time.Second)},
	}
	w, err := fs.OpenWriter(t.Context(), path, fs.WriterOptions{Create: true, BlobDir: blobs, Logger: s.Logger})
	if err != nil {
		t.Fatal(err)
	}
	s.Use(w)
	return s
}

func closeSecondary(t testing.TB, s *Secondary) {
	t.Helper()
	if err := s.Writer.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func checkSame(t testing.TB, got, want string) {
	t.Helper()
	a, b := readFile(t, got), readFile(t, want)
	if !bytes.Equal(a, b) {
		i := 0
		for i < min(len(a), len(b)) && a[i] == b[i] {
			i++
		}
		t.Errorf("%s (%d bytes) differs from %s (%d bytes) at %d", got, len(a), want, len(b), i)
	}
}

func checkSameBlobs(t testing.TB, got, want string) {
	t.Helper()
	count := func(dir string) map[string][]byte {
		d, err := fs.OpenBlobDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		files := make(map[string][]byte)
		for f, err := range d.All() {
			if err != nil {
				t.Fatal(err)
			}
			files[f.OID.String()+f.TID.String()] = readFile(t, f.Path)
		}
		return files
	}
	a, b := count(got), count(want)
	if len(a) != len(b) {
		t.Errorf("%d blobs, want %d", len(a), len(b))
	}
	for name, data := range b {
		if !bytes.Equal(a[name], data) {
			t.Errorf("blob %s has %d bytes, want %d", name, len(a[name]), len(data))
		}
	}
}

// TestPair_Corpus replicates every healthy file of the corpus from a primary to
// a secondary.
func TestPair_Corpus(t *testing.T) {
	want := map[string]string{"packed_two_revisions": "copied_packed/Data.fs"}
	for _, name := range []string{
		"empty", "one_txn", "realistic_200", "undo", "undo_creation", "multi_undo", "packed", "packed_two_revisions",
		"extension", "blobs_bushy", "blobs_lawn", "large_oids", "zero_records", "duplicate_oid", "references", "damage_base",
	} {
		t.Run(name, func(t *testing.T) {
			source := filepath.Join(corpusDir, name, "Data.fs")
			sourceBlobs, blobs := "", ""
			if strings.HasPrefix(name, "blobs_") {
				sourceBlobs, blobs = filepath.Join(corpusDir, name, "blobs"), filepath.Join(t.TempDir(), "blobs")
			}
			p := servePrimary(t, source, sourceBlobs, nil)
			path := filepath.Join(t.TempDir(), "Data.fs")
			s := openSecondary(t, path, blobs, p.addr)
			if err := s.Catchup(t.Context(), 0, false); err != nil {
				t.Errorf("Catchup() = %v", err)
			}
			closeSecondary(t, s)
			if other, ok := want[name]; ok {
				source = filepath.Join(corpusDir, other)
			}
			checkSame(t, path, source)
			if blobs != "" {
				checkSameBlobs(t, blobs, sourceBlobs)
			}
		})
	}
}

var _ = io.EOF
