package repl

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"zrs/internal/fs"
)

const (
	corpusDir  = "../../testdata/corpus"
	sessionDir = "../../testdata/wire"
)

// TestMain fails if a goroutine of ours outlives all tests.
func TestMain(m *testing.M) {
	code := m.Run()
	if left := goroutinesLeft(); code == 0 && left != "" {
		fmt.Fprintf(os.Stderr, "goroutines are left:\n%s\n", left)
		code = 1
	}
	os.Exit(code)
}

// goroutinesLeft returns the stacks of goroutines that run our code, once they
// have had time to end.
func goroutinesLeft() string {
	var left []string
	for range 200 {
		buf := make([]byte, 4<<20)
		buf = buf[:runtime.Stack(buf, true)]
		left = nil
		for i, stack := range strings.Split(string(buf), "\n\n") {
			if i > 0 && strings.Contains(stack, "zrs/internal/") { // the first is this one
				left = append(left, stack)
			}
		}
		if left == nil {
			return ""
		}
		time.Sleep(10 * time.Millisecond)
	}
	return strings.Join(left, "\n\n")
}

var quietLogger = slog.New(slog.DiscardHandler)

// testLogger writes to the test's log.
func testLogger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}

// A logBook is a logger's output, for tests of what is told.
type logBook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func newLogBook(t testing.TB) (*logBook, *slog.Logger) {
	l := new(logBook)
	return l, slog.New(slog.NewTextHandler(io.MultiWriter(l, testWriter{t}), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (l *logBook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// has reports whether a line has all the words.
func (l *logBook) has(words ...string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.b.String()) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			return true
		}
	}
	return false
}

// memoryDir returns a directory in memory, if the system has that: syncing costs
// nothing there, and some tests make many small files.
func memoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "zrs-test-") //nolint:usetesting // that is not in memory
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// A txn is a transaction of a data file that a test makes.
type txn struct {
	tid        fs.TID
	status     fs.Status
	user, desc string
	extension  string
	recs       []rec
}

// A rec is a data record of a txn.
type rec struct {
	oid     fs.OID
	data    string // "" if the object is gone
	dataTxn fs.TID // of a back pointer
	blob    string // content of its file, if it has one
	hasBlob bool
}

// blobData is the data record of a blob.
const blobData = "\x80\x03cZODB.blob\nBlob\nq\x01.\x80\x03N."

// parseTxns reads transactions as the tests write them, separated by semicolons:
//
//	12 a=1 b=2     transaction 12 has a record of each of the objects a and b
//	13p a=3        a pack came by
//	14u a=3        of status u
//	15 a=-         a is gone
//	16 a=12^1      a back pointer to transaction 12, where it is "1"
//	17 c*hello     c is a blob whose file has "hello"
//	18 c*          c is a blob whose file is missing
//	19/me a=1      by a user
func parseTxns(t testing.TB, s string) []txn {
	t.Helper()
	var txns []txn
	for part := range strings.SplitSeq(s, ";") {
		words := strings.Fields(part)
		if len(words) == 0 {
			continue
		}
		x := txn{status: fs.StatusComplete}
		head, user, _ := strings.Cut(words[0], "/")
		x.user = user
		if n := len(head) - 1; head[n] == 'p' || head[n] == 'u' {
			x.status = fs.Status(head[n])
			head = head[:n]
		}
		x.tid = parseNumber(t, head)
		for _, w := range words[1:] {
			x.recs = append(x.recs, parseRec(t, w))
		}
		txns = append(txns, x)
	}
	return txns
}

func parseRec(t testing.TB, w string) rec {
	t.Helper()
	r := rec{oid: fs.OID(w[0] - 'a')}
	value := w[2:]
	switch {
	case w[1] == '*':
		r.data, r.blob, r.hasBlob = blobData, value, value != ""
	case value == "-":
	case strings.Contains(value, "^"):
		back, data, _ := strings.Cut(value, "^")
		r.dataTxn, r.data = parseNumber(t, back), data
	default:
		r.data = value
	}
	return r
}

// tidOf returns the TID that a test calls n.
func tidOf(n int) fs.TID { return fs.TID(n) << 32 }

func parseNumber(t testing.TB, s string) fs.TID {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return tidOf(n)
}

// appendTxns appends transactions to w, without a sync.
func appendTxns(t testing.TB, w *fs.Writer, txns []txn) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range txns {
		status := x.status
		if status == fs.StatusUndone {
			status = fs.StatusComplete
		}
		check(w.Begin(fs.TxnHeader{
			TID: x.tid, Status: status,
			User: []byte(x.user), Description: []byte(x.desc), Extension: []byte(x.extension),
		}))
		for _, r := range x.recs {
			if r.hasBlob {
				b, err := w.CreateBlob(r.oid, x.tid)
				check(err)
				_, err = io.WriteString(b, r.blob)
				check(err)
				check(b.Commit())
			}
			check(w.Restore(fs.Restored{OID: r.oid, TID: x.tid, Data: []byte(r.data), DataTxn: r.dataTxn}))
		}
		check(w.Commit())
	}
}

// writeTxns makes a data file. The blob directory is path+".blobs"; it is made
// if there are blobs.
func writeTxns(t testing.TB, path string, txns []txn) {
	t.Helper()
	opts := fs.WriterOptions{Create: true}
	if slices.ContainsFunc(txns, func(x txn) bool {
		return slices.ContainsFunc(x.recs, func(r rec) bool { return r.data == blobData })
	}) {
		opts.BlobDir = path + ".blobs"
	}
	w, err := fs.OpenWriter(t.Context(), path, opts)
	if err != nil {
		t.Fatal(err)
	}
	appendTxns(t, w, txns)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	markUndone(t, path, txns)
}

// markUndone gives transactions the status u, which the Writer does not write.
func markUndone(t testing.TB, path string, txns []txn) {
	t.Helper()
	b := readFile(t, path)
	at := uint64(fs.FirstOffset)
	for _, x := range txns {
		if x.status == fs.StatusUndone {
			b[at+16] = byte(fs.StatusUndone)
		}
		at += binary.BigEndian.Uint64(b[at+8:]) + 8
	}
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
}

// readTxns returns what a data file has; back pointers are followed.
func readTxns(t testing.TB, path string) []txn {
	t.Helper()
	log, _, done, err := fs.OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	c, err := log.After(0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var txns []txn
	for {
		h, err := c.Next()
		if errors.Is(err, io.EOF) {
			return txns
		}
		if err != nil {
			t.Fatal(err)
		}
		x := txn{tid: h.TID, status: h.Status, user: string(h.User), desc: string(h.Description), extension: string(h.Extension)}
		for {
			r, err := c.NextRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			found, err := c.Resolve()
			if err != nil {
				t.Fatal(err)
			}
			data := make([]byte, found.Length)
			if err := c.ReadData(data, found.Offset); err != nil {
				t.Fatal(err)
			}
			x.recs = append(x.recs, rec{oid: r.OID, data: string(data)})
		}
		txns = append(txns, x)
	}
}

// state returns the current data of all objects that exist after txns.
func state(txns []txn) map[fs.OID]string {
	objects := make(map[fs.OID]string)
	for _, x := range txns {
		for _, r := range x.recs {
			objects[r.oid] = r.data
		}
	}
	maps.DeleteFunc(objects, func(_ fs.OID, data string) bool { return data == "" })
	return objects
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// copyFile copies a data file of the corpus, which no test may change.
func copyFile(t testing.TB, to, from string) string {
	t.Helper()
	if err := os.WriteFile(to, readFile(t, from), 0o666); err != nil {
		t.Fatal(err)
	}
	return to
}

// copyBlobs copies the blobs of a recorded session, which lack the file that
// tells the layout.
func copyBlobs(t testing.TB, to, from string) string {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, ".layout"), []byte("bushy"), 0o666); err != nil {
		t.Fatal(err)
	}
	return to
}

func checkSame(t testing.TB, got, want string) {
	t.Helper()
	checkBytes(t, got+" against "+want, readFile(t, got), readFile(t, want))
}

func checkBytes(t testing.TB, what string, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	i := 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	t.Errorf("%s: %d bytes, want %d; they differ at %d", what, len(got), len(want), i)
}

// blobFiles returns the blobs in a directory, by object and transaction; none
// if there is no directory.
func blobFiles(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	if _, err := os.Stat(dir); err != nil {
		return files
	}
	d, err := fs.OpenBlobDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for f, err := range d.All() {
		if err != nil {
			t.Fatal(err)
		}
		files[f.OID.String()+" "+f.TID.String()] = string(readFile(t, f.Path))
	}
	return files
}

func checkSameBlobs(t testing.TB, got, want string) {
	t.Helper()
	a, b := blobFiles(t, got), blobFiles(t, want)
	for name, data := range b {
		if other, ok := a[name]; !ok || other != data {
			t.Errorf("blob %s: %d bytes (%t), want %d", name, len(other), ok, len(data))
		}
		delete(a, name)
	}
	for name := range a {
		t.Errorf("blob %s is there, and should not be", name)
	}
}

// checkNoTemporary checks that no file of an interrupted blob is left.
func checkNoTemporary(t testing.TB, blobs string) {
	t.Helper()
	left, err := os.ReadDir(filepath.Join(blobs, "tmp"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		t.Errorf("%s is left in tmp", e.Name())
	}
}

// A snapshot is all that must not change in a data file and its blobs.
type snapshot struct {
	data  string
	blobs map[string]string
}

func takeSnapshot(t testing.TB, path, blobs string) snapshot {
	t.Helper()
	s := snapshot{blobs: blobFiles(t, blobs)}
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	s.data = string(b)
	return s
}

func (s snapshot) checkUnchanged(t testing.TB, path, blobs string) {
	t.Helper()
	now := takeSnapshot(t, path, blobs)
	checkBytes(t, path+" was changed", []byte(now.data), []byte(s.data))
	if !maps.Equal(now.blobs, s.blobs) {
		t.Errorf("blobs were changed: %d files, %d before", len(now.blobs), len(s.blobs))
	}
}

// newSecondary returns a secondary of src whose file is at path, open for
// writing until the test ends, or closeSecondary.
func newSecondary(t testing.TB, path, blobs string, src ...Source) *Secondary {
	t.Helper()
	s := &Secondary{Logger: testLogger(t), Sources: src}
	w, err := fs.OpenWriter(t.Context(), path, fs.WriterOptions{Create: true, BlobDir: blobs, Logger: s.Logger})
	if err != nil {
		t.Fatal(err)
	}
	s.Use(w)
	t.Cleanup(func() { closeSecondary(t, s) })
	return s
}

func closeSecondary(t testing.TB, s *Secondary) {
	t.Helper()
	if s.Writer == nil {
		return
	}
	if err := s.Writer.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	s.Writer = nil
}

// readLog returns the log of a data file as it is now, and its blobs.
func readLog(t testing.TB, path, blobs string) (*fs.Log, *fs.BlobDir) {
	t.Helper()
	log, _, done, err := fs.OpenReadOnly(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(done)
	if blobs == "" {
		return log, nil
	}
	dir, err := fs.OpenBlobDir(blobs)
	if err != nil {
		t.Fatal(err)
	}
	return log, dir
}

// newPrimary returns a primary of a data file as it is now.
func newPrimary(t testing.TB, path, blobs string) *Primary {
	t.Helper()
	log, dir := readLog(t, path, blobs)
	return &Primary{Log: log, Blobs: dir, Logger: testLogger(t)}
}

// serveTCP makes p serve on loopback until the test ends, or stop is called,
// which returns what Serve did.
func serveTCP(t testing.TB, p *Primary) (src Source, stop func() error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stop = serveOn(t, p, l)
	return TCPSource("tcp", l.Addr().String(), time.Minute), stop
}

func serveOn(t testing.TB, p *Primary, l net.Listener) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Serve(ctx, l) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { stop() })
	return stop
}

// servePipes makes p serve connections that have no system in between, so that
// they work in a bubble of synctest.
func servePipes(t testing.TB, p *Primary) (src Source, stop func() error) {
	t.Helper()
	l := &pairListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	stop = serveOn(t, p, l)
	return Source{Name: "primary", Dial: func(ctx context.Context) (net.Conn, error) {
		ours, theirs := net.Pipe()
		select {
		case l.conns <- theirs:
			return ours, nil
		case <-l.closed:
			return nil, net.ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}}, stop
}

// follow opens a data file that the test goes on to change and follows it until
// the test ends.
func follow(t testing.TB, path string) *fs.Log {
	t.Helper()
	tailer, err := fs.OpenTailer(path, fs.TailerOptions{Logger: testLogger(t), Poll: 2 * time.Millisecond, StuckAfter: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := tailer.Run(ctx); err != nil {
			t.Logf("Run() = %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	return tailer.Log()
}

// runSecondary runs s until stop is called, which returns what Run did.
func runSecondary(t testing.TB, s *Secondary) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { stop() })
	return stop
}

// waitForTip waits until log has published the end of a file, or more.
func waitForTip(t testing.TB, log *fs.Log, end int64) {
	t.Helper()
	c, err := log.After(0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for log.Tip().Offset < end {
		err := c.Wait(t.Context())
		for err == nil {
			_, err = c.Next()
		}
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
}

// walkFiles lists the regular files below dir, for messages.
func walkFiles(dir string) (names []string) {
	_ = filepath.WalkDir(dir, func(path string, d iofs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			names = append(names, path)
		}
		return nil
	})
	return names
}
