package fs

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A foreign writer appends to a data file as ZODB does: first everything with
// status 'c', later the status.
type foreign struct {
	t    *testing.T
	f    *os.File
	end  int64
	vote int64 // start of the voted transaction
}

func newForeign(t *testing.T, path string, data []byte) *foreign {
	t.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &foreign{t: t, f: f, end: int64(len(data))}
}

// simpleTxn is a transaction with one record, as it is at offset at.
func simpleTxn(tid TID, at int64, status Status, data string) []byte {
	rec := Record{OID: 1, TID: tid, Txn: at, Length: int64(len(data))}
	h := TxnHeader{TID: tid, Status: status, User: []byte("someone")}
	h.Length = uint64(h.Size() + rec.Size())
	b := h.AppendTo(nil)
	b = rec.appendHeader(b)
	b = append(b, data...)
	var trailer [8]byte
	for i := range trailer {
		trailer[i] = byte(h.Length >> (56 - 8*i))
	}
	return append(b, trailer[:]...)
}

func (w *foreign) write(b []byte, off int64) {
	w.t.Helper()
	if _, err := w.f.WriteAt(b, off); err != nil {
		w.t.Fatal(err)
	}
}

func (w *foreign) voteFor(tid TID, data string) {
	w.t.Helper()
	b := simpleTxn(tid, w.end, StatusCheckpoint, data)
	w.write(b[:10], w.end)
	w.write(b[10:], w.end+10)
	w.vote = w.end
	w.end += int64(len(b))
}

func (w *foreign) finish() { w.t.Helper(); w.write([]byte{byte(StatusComplete)}, w.vote+statusOffset) }

func (w *foreign) abort() {
	w.t.Helper()
	w.end = w.vote
	if err := w.f.Truncate(w.end); err != nil {
		w.t.Fatal(err)
	}
}

func (w *foreign) commit(tid TID, data string) { w.t.Helper(); w.voteFor(tid, data); w.finish() }

// follow runs a tailer of path until the test ends. The channel gets what Run
// returned.
func follow(t *testing.T, path string) (*Log, <-chan error) {
	t.Helper()
	tailer, err := OpenTailer(path, TailerOptions{Poll: time.Millisecond, StuckAfter: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ended <- tailer.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return tailer.Log(), ended
}

func waitTip(t *testing.T, l *Log, tid TID) {
	t.Helper()
	err := l.wait(t.Context(), func() bool { return l.gen.tid >= tid })
	if err != nil || l.Tip().TID != tid {
		t.Fatalf("tip = %v (%v), want %v", l.Tip().TID, err, tid)
	}
}

func readTIDs(t *testing.T, c *Cursor) (tids []TID) {
	t.Helper()
	for {
		txn, err := c.Next()
		if errors.Is(err, io.EOF) {
			return tids
		}
		if err != nil {
			t.Fatal(err)
		}
		tids = append(tids, txn.TID)
		for err == nil {
			_, err = c.NextRecord()
		}
		if !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
}

func equalTIDs(a []TID, b ...TID) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestTailer_Commits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Data.fs")
	w := newForeign(t, path, nil) // not even a magic
	l, _ := follow(t, path)
	if err := l.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.write([]byte("FS30"), 0)
	w.end = 4
	c, err := l.After(0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w.commit(10, "ten")
	waitTip(t, l, 10)
	if err := c.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := readTIDs(t, c); !equalTIDs(got, 10) {
		t.Errorf("read %v, want 10", got)
	}
	w.voteFor(20, "aborted")
	w.abort()
	w.voteFor(30, "not yet")
	if got := l.Tip().TID; got != 10 {
		t.Errorf("tip = %v before the commit", got)
	}
	w.finish()
	w.commit(40, "forty")
	waitTip(t, l, 40)
	if got := readTIDs(t, c); !equalTIDs(got, 30, 40) {
		t.Errorf("read %v, want 30, 40", got)
	}
}

// TestTailer_Corpus follows every file of the corpus as another process's.
func TestTailer_Corpus(t *testing.T) {
	for name := range healthy {
		for _, indexed := range []bool{false, true} {
			path := filepath.Join(t.TempDir(), "Data.fs")
			newForeign(t, path, readFile(t, corpusPath(t, name)))
			if _, err := os.Stat(filepath.Join(corpusDir, name+".index")); indexed && err == nil {
				if err := os.WriteFile(path+".index", readFile(t, corpusPath(t, name+".index")), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			l, _ := follow(t, path)
			if err := l.WaitReady(t.Context()); err != nil {
				t.Fatal(err)
			}
			fact := loadFacts(t)[name]
			if tip := l.Tip(); tip.TID != fact.LastTID || tip.Offset != fact.Size {
				t.Errorf("%s, index %v: tip = %+v, want %v at %d", name, indexed, tip, fact.LastTID, fact.Size)
			}
			checkAfter(t, name, l)
		}
	}
}

// checkAfter asks for the place after every transaction of a log, and around.
func checkAfter(t *testing.T, name string, l *Log) {
	t.Helper()
	all, err := l.After(0)
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	tids := readTIDs(t, all)
	for i, tid := range tids {
		c, err := l.After(tid)
		if err != nil {
			t.Fatalf("%s: After(%v) = %v", name, tid, err)
		}
		if got := readTIDs(t, c); !equalTIDs(got, tids[i+1:]...) {
			t.Errorf("%s: after %v come %v, want %v", name, tid, got, tids[i+1:])
		}
		c.Close()
		if i == len(tids)-1 {
			continue
		}
		c, err = l.After(tid + 1)
		if c == nil {
			t.Fatalf("%s: After(%v+1) = %v", name, tid, err)
		}
		if got := readTIDs(t, c); !equalTIDs(got, tids[i+1:]...) {
			t.Errorf("%s: after %v+1 come %v, want %v", name, tid, got, tids[i+1:])
		}
		c.Close()
	}
	if len(tids) > 0 {
		if _, err := l.After(tids[len(tids)-1] + 1); !errors.Is(err, ErrTIDTooHigh) {
			t.Errorf("%s: after more than the last: %v, want %v", name, err, ErrTIDTooHigh)
		}
	}
}

// TestLog_UnknownTID tells a TID that was never there from one that a pack may
// have removed.
func TestLog_UnknownTID(t *testing.T) {
	tests := map[string]struct {
		statuses string // of transactions 10, 20, 30
		tid      TID
		known    bool
	}{
		"between":       {"   ", 15, false},
		"before-first":  {"   ", 5, false},
		"packed-around": {"pp ", 15, true},
		"packed-before": {"p  ", 15, true},
		"packed-after":  {" p ", 15, true},
		"first-packed":  {"p  ", 5, true},
		"exact":         {"   ", 20, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "Data.fs")
			data := []byte("FS30")
			for i, status := range []byte(test.statuses) {
				data = append(data, simpleTxn(TID(10*i+10), int64(len(data)), Status(status), "x")...)
			}
			newForeign(t, path, data)
			l, _ := follow(t, path)
			if err := l.WaitReady(t.Context()); err != nil {
				t.Fatal(err)
			}
			c, err := l.After(test.tid)
			if c == nil {
				t.Fatal(err)
			}
			defer c.Close()
			if known := !errors.Is(err, ErrTIDUnknown); known != test.known {
				t.Errorf("After(%v) = %v, want it known: %v", test.tid, err, test.known)
			}
		})
	}
}

// replaceWith puts other bytes under the file's name as a pack does.
func replaceWith(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path+".pack", data, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".pack", path); err != nil {
		t.Fatal(err)
	}
}

func TestTailer_Pack(t *testing.T) {
	for _, name := range []string{"packed", "packed_two_revisions", "pack_multi_undo_bug", "blobs_packed"} {
		path := filepath.Join(t.TempDir(), "Data.fs")
		newForeign(t, path, readFile(t, corpusPath(t, name+"/Data.fs.old")))
		l, _ := follow(t, path)
		if err := l.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		slow, err := l.After(0) // reads the old file after it was replaced
		if err != nil {
			t.Fatal(err)
		}
		defer slow.Close()
		replaceWith(t, path, readFile(t, corpusPath(t, name+"/Data.fs")))
		if err := l.wait(t.Context(), func() bool { return l.gen.number == 1 }); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		facts := loadFacts(t)
		waitTip(t, l, facts[name+"/Data.fs"].LastTID)
		want := facts[name+"/Data.fs.old"].GoodPrefixTxns
		if facts[name+"/Data.fs"].LastTID > facts[name+"/Data.fs.old"].LastTID {
			want++ // committed since the pack
		}
		if got := readTIDs(t, slow); len(got) != want {
			t.Errorf("%s: a slow reader got %d transactions, want %d, those of the old file and the new", name, len(got), want)
		}
		if tip := l.Tip(); tip.TID != facts[name+"/Data.fs"].LastTID || tip.Offset != facts[name+"/Data.fs"].Size {
			t.Errorf("%s: tip = %+v", name, tip)
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		w := &foreign{t: t, f: f, end: l.Tip().Offset}
		next := l.Tip().TID + 5
		w.commit(next, "after the pack")
		waitTip(t, l, next)
		if got := readTIDs(t, slow); !equalTIDs(got, next) {
			t.Errorf("%s: after the pack the slow reader got %v, want %v", name, got, next)
		}
	}
}

// TestWatch_Link has a data file that is a symbolic link to another directory.
func TestWatch_Link(t *testing.T) {
	path, target := filepath.Join(t.TempDir(), "Data.fs"), filepath.Join(t.TempDir(), "elsewhere.fs")
	f := newForeign(t, target, []byte("FS30"))
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	w := watch(path, 0, slog.New(slog.DiscardHandler))
	defer w.stop()
	w.tick.Stop() // which would tell too, later
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	f.commit(1, "one")
	if err := w.wait(ctx); err != nil {
		t.Errorf("wait() = %v", err)
	}
}

// TestTailer_Drain commits to the old file between our last look and the pack,
// and packs that transaction away.
func TestTailer_Drain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Data.fs")
	data := append([]byte("FS30"), simpleTxn(10, 4, StatusComplete, "ten")...)
	w := newForeign(t, path, data)
	tailer, err := OpenTailer(path, TailerOptions{Poll: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if err := tailer.first(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := tailer.log.After(10)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	w.commit(20, "twenty") // seen by nobody
	packed := append([]byte("FS30"), simpleTxn(10, 4, StatusPacked, "ten")...)
	packed = append(packed, simpleTxn(30, int64(len(packed)), StatusComplete, "thirty")...)
	replaceWith(t, path, packed)
	if err := tailer.look(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := tailer.advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := readTIDs(t, c); !equalTIDs(got, 20, 30) {
		t.Errorf("read %v, want 20, 30", got)
	}
	tailer.log.close(os.ErrClosed)
}

// TestTailer_G17_SaysSo does to the file what must not be waited out in silence.
func TestTailer_G17_SaysSo(t *testing.T) {
	base := readFile(t, corpusPath(t, "damage_base/Data.fs"))
	tests := map[string]struct {
		do   func(t *testing.T, path string, w *foreign)
		want error
	}{
		"truncated": {func(t *testing.T, _ string, w *foreign) {
			if err := w.f.Truncate(1379); err != nil {
				t.Fatal(err)
			}
		}, ErrTruncated},
		"unrelated": {func(t *testing.T, path string, _ *foreign) {
			replaceWith(t, path, readFile(t, corpusPath(t, "undo/Data.fs")))
		}, ErrReplaced},
		"no-data-file": {func(t *testing.T, path string, _ *foreign) {
			replaceWith(t, path, bytes.Repeat([]byte("x"), 1000))
		}, ErrReplaced},
		"older-backup": {func(t *testing.T, path string, _ *foreign) {
			replaceWith(t, path, base[:1379])
		}, ErrReplaced},
		"stray-c": {func(_ *testing.T, _ string, w *foreign) {
			w.voteFor(0x0400000000000000, "stays voted")
			w.commit(0x0400000000000001, "and another behind")
		}, ErrDamaged},
		"bad-length": {func(_ *testing.T, _ string, w *foreign) {
			b := simpleTxn(0x0400000000000000, w.end, StatusComplete, "x")
			b[15] ^= 1
			w.write(b, w.end)
		}, ErrDamaged},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "Data.fs")
			w := newForeign(t, path, base)
			l, ended := follow(t, path)
			if err := l.WaitReady(t.Context()); err != nil {
				t.Fatal(err)
			}
			test.do(t, path, w)
			select {
			case err := <-ended:
				if !errors.Is(err, test.want) || !errors.Is(l.Err(), test.want) {
					t.Errorf("Run() = %v, Err() = %v, want %v", err, l.Err(), test.want)
				}
			case <-t.Context().Done():
			}
		})
	}
}

// TestTailer_TornTailWaits leaves a torn tail for its writer, who cuts it and
// goes on.
func TestTailer_TornTailWaits(t *testing.T) {
	for _, name := range corpusFiles(t, "torn/*.fs") {
		path := filepath.Join(t.TempDir(), "Data.fs")
		w := newForeign(t, path, readFile(t, corpusPath(t, name)))
		l, _ := follow(t, path)
		if err := l.WaitReady(t.Context()); err != nil {
			t.Fatal(err)
		}
		fact := loadFacts(t)[name]
		if tip := l.Tip(); tip.Offset != fact.GoodPrefixBytes {
			t.Errorf("%s: tip = %+v, want offset %d", name, tip, fact.GoodPrefixBytes)
		}
		w.vote = fact.GoodPrefixBytes
		w.abort()
		w.commit(0x0400000000000000, "next")
		waitTip(t, l, 0x0400000000000000)
	}
}

// TestTailer_AbortedWhileRead has what was not finished cut off between the look at
// the file's size and the reading.
func TestTailer_AbortedWhileRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Data.fs")
	w := newForeign(t, path, []byte("FS30"))
	tid := TID(0)
	for w.end < 3*scanChunk {
		tid++
		w.commit(tid, strings.Repeat("x", 1000))
	}
	end := w.end
	w.voteFor(tid+1, strings.Repeat("x", 2*scanChunk))
	size := w.end
	w.abort()

	tailer, err := OpenTailer(path, TailerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer tailer.log.close(os.ErrClosed)
	if moved, err := tailer.bulk(t.Context(), size); err != nil || tailer.pos == 4 || !moved {
		t.Errorf("bulk() = %v, %v, came to %d; want all that could be read", moved, err, tailer.pos)
	}
	if _, err := tailer.advance(t.Context()); err != nil || tailer.pos != end || tailer.tid != tid {
		t.Errorf("advance() = %v, came to %v at %d; want %v at %d", err, tailer.tid, tailer.pos, tid, end)
	}
	if err := tailer.verdict(size); err != nil {
		t.Errorf("verdict() = %v, want none", err)
	}
}

// TestTailer_G6_DurableFirst holds back the sync of a commit that everybody can
// see: nobody is told of it before the sync has ended, and never if it fails.
func TestTailer_G6_DurableFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Data.fs")
	w := newForeign(t, path, append([]byte("FS30"), simpleTxn(10, 4, StatusComplete, "ten")...))
	tailer, err := OpenTailer(path, TailerOptions{Poll: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	synced := int64(0)
	tailer.sync = func(f *os.File) error {
		if tip := tailer.Log().Tip(); tip.Offset > synced && tip.Offset > FirstOffset {
			t.Errorf("published up to %d, synced up to %d", tip.Offset, synced)
		}
		fi, err := f.Stat()
		synced = fi.Size()
		return err
	}
	if err := tailer.first(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.commit(20, "twenty")
	if moved, err := tailer.advance(t.Context()); !moved || err != nil || tailer.Log().Tip().TID != 20 {
		t.Fatalf("advance() = %v, %v, tip %v, want 20", moved, err, tailer.Log().Tip().TID)
	}
	broken := errors.New("input/output error")
	tailer.sync = func(*os.File) error { return broken }
	w.commit(30, "thirty")
	if _, err := tailer.advance(t.Context()); !errors.Is(err, broken) {
		t.Errorf("advance() = %v, want %v", err, broken)
	}
	if tip := tailer.Log().Tip(); tip.TID != 20 {
		t.Errorf("tip = %v after a failed sync, want 20", tip.TID)
	}
	tailer.log.close(os.ErrClosed)
}

// TestTailer_G16_StatusU skips a transaction of status 'u' (G16).
func TestTailer_G16_StatusU(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Data.fs")
	newForeign(t, path, readFile(t, corpusPath(t, "status_u/Data.fs")))
	l, _ := follow(t, path)
	if err := l.WaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := l.After(0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := readTIDs(t, c); len(got) != 5 {
		t.Errorf("read %d transactions, want 5 of 6", len(got))
	}
}

func TestTailer_Refuses(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "gone.fs.old"), []byte("FS30"), 0o644); err != nil {
		t.Fatal(err)
	}
	tests := map[string]error{
		corpusPath(t, "py2_fs21/Data.fs"): ErrFormat,
		corpusPath(t, "corrupt/magic.fs"): ErrFormat,
		corpusPath(t, "facts.json"):       ErrFormat,
		dir:                               ErrFormat,
		filepath.Join(dir, "none.fs"):     os.ErrNotExist,
		filepath.Join(dir, "gone.fs"):     ErrWouldCreate,
	}
	for path, want := range tests {
		if _, err := OpenTailer(path, TailerOptions{}); !errors.Is(err, want) {
			t.Errorf("OpenTailer(%s) = %v, want %v", path, err, want)
		}
	}
}
