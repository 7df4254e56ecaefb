package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"zrs/internal/epoch"
	"zrs/internal/fs"
	"zrs/internal/repl"
)

// testLogger writes to the test's log.
func testLogger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}

// eventually waits until what is true.
func eventually(t testing.TB, wanted string, what func() bool) {
	t.Helper()
	for range 6000 {
		if what() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("not within 30 s: %s", wanted)
}

// tidOf returns the n-th transaction id of the tests: a minute each.
func tidOf(n int) fs.TID { return fs.TID(n) << 32 }

// commit appends transactions from id first to id last to w, and makes them durable.
func commit(w *fs.Writer, first, last int) error {
	for n := first; n <= last; n++ {
		err := errors.Join(
			w.Begin(fs.TxnHeader{TID: tidOf(n), Status: fs.StatusComplete, Description: fmt.Appendf(nil, "txn %d", n)}),
			w.Restore(fs.Restored{OID: fs.OID(n % 7), TID: tidOf(n), Data: fmt.Appendf(nil, "data of %d", n)}),
			w.Commit())
		if err != nil {
			return err
		}
	}
	return w.Sync()
}

// A primary serves a file that the test writes.
type primary struct {
	*fs.Writer
	source repl.Source
	stop   func() // stops serving
}

// newPrimary returns a primary that has transactions 1 to last.
func newPrimary(t testing.TB, path string, last int) *primary {
	t.Helper()
	w, err := fs.OpenWriter(t.Context(), path, fs.WriterOptions{Create: true, Logger: testLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	if err := commit(w, 1, last); err != nil {
		t.Fatal(err)
	}
	identity, err := epoch.Open(path)
	if err == nil {
		err = identity.Promote(tidOf(last))
	}
	if err != nil {
		t.Fatal(err)
	}
	l := listenTCP(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	p := &repl.Primary{Log: w.Log(), Identity: identity, Logger: testLogger(t)}
	go func() { done <- p.Serve(ctx, l) }()
	stop := sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return &primary{w, repl.TCPSource("tcp", l.Addr().String(), time.Minute), stop}
}

// logOf returns a log that has transactions 1 to last.
func logOf(t testing.TB, last int) *fs.Log {
	t.Helper()
	return newPrimary(t, filepath.Join(t.TempDir(), "a.fs"), last).Log()
}

func listenTCP(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// newSecondary returns a node that is a secondary of src, and what to reach it as.
func newSecondary(t testing.TB, path string, src repl.Source) (*Node, repl.Source) {
	t.Helper()
	logger := testLogger(t)
	w, err := fs.OpenWriter(t.Context(), path, fs.WriterOptions{Create: true, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	identity, err := epoch.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	s := &repl.Secondary{
		Sources: []repl.Source{src}, Identity: identity, Logger: logger,
		ReconnectDelay: 5 * time.Millisecond, ReconnectMax: 50 * time.Millisecond,
	}
	s.Use(w)
	l := listenTCP(t)
	n := &Node{
		Path: path, Identity: identity, Secondary: s, Logger: logger, Listener: l,
		Primary:       &repl.Primary{Log: w.Log(), Identity: identity, Logger: logger},
		TailerOptions: fs.TailerOptions{Logger: logger},
	}
	return n, repl.TCPSource("tcp", l.Addr().String(), time.Minute)
}

// run runs a node until stop is called, which returns what Run did.
func run(t testing.TB, n *Node) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { stop() })
	return stop
}

// runPair returns a primary of five transactions, and a secondary of it that has
// them, and runs until stop is called.
func runPair(t testing.TB) (source *primary, secondary *Node, stop func() error) {
	t.Helper()
	dir := t.TempDir()
	source = newPrimary(t, filepath.Join(dir, "a.fs"), 5)
	secondary, _ = newSecondary(t, filepath.Join(dir, "b.fs"), source.source)
	stop = run(t, secondary)
	waitFor(t, secondary, 5)
	return source, secondary, stop
}

// stopped stops a node that should have had no trouble.
func stopped(t testing.TB, stop func() error) {
	t.Helper()
	if err := stop(); err != nil {
		t.Errorf("Run() = %v", err)
	}
}

// waitFor waits until a node has a transaction.
func waitFor(t testing.TB, n *Node, last int) {
	t.Helper()
	eventually(t, fmt.Sprintf("transaction %d in %s", last, n.Path), func() bool { return n.log().Tip().TID >= tidOf(last) })
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// blockSidecar makes it impossible to write the sidecar of a data file, until the
// function is called.
func blockSidecar(t testing.TB, path string) (unblock func()) {
	t.Helper()
	full := filepath.Join(epoch.SidecarPath(path)+".tmp", "full")
	eventually(t, "a moment when it is not written", func() bool { return os.MkdirAll(full, 0o777) == nil })
	return func() {
		if err := os.Remove(full); err != nil { // the rest goes when it is written
			t.Fatal(err)
		}
	}
}
