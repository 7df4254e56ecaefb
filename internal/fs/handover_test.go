package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// commitTxns appends transactions of one record, without a sync.
func commitTxns(t *testing.T, w *Writer, tids ...TID) {
	t.Helper()
	for _, tid := range tids {
		err := errors.Join(
			w.Begin(TxnHeader{TID: tid, Status: StatusComplete}),
			w.Restore(Restored{OID: OID(tid % 3), TID: tid, Data: fmt.Appendf(nil, "data of %d", tid)}),
			w.Commit())
		if err != nil {
			t.Fatal(err)
		}
	}
}

// openNew returns the writer of a new data file.
func openNew(t *testing.T) *Writer {
	t.Helper()
	w, err := OpenWriter(t.Context(), filepath.Join(t.TempDir(), "Data.fs"), WriterOptions{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// checkNext requires that a cursor's next transactions are these.
func checkNext(t *testing.T, c *Cursor, tids ...TID) {
	t.Helper()
	for _, want := range tids {
		txn, err := c.Next()
		for errors.Is(err, io.EOF) {
			if err := c.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
			txn, err = c.Next()
		}
		if err != nil || txn.TID != want {
			t.Fatalf("Next() = %v, %v, want transaction %d", txn, err, want)
		}
	}
}

// Who reads the log reads on while the file goes from a writer of this process to
// another one.
func TestWriter_HandOver(t *testing.T) {
	w := openNew(t)
	log := w.Log()
	commitTxns(t, w, 10, 20, 30)
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	behind, err := log.After(10)
	if err != nil {
		t.Fatal(err)
	}
	defer behind.Close()
	checkNext(t, behind, 20)
	atEnd, err := log.After(30)
	if err != nil {
		t.Fatal(err)
	}
	defer atEnd.Close()

	commitTxns(t, w, 40) // not durable yet
	if err := w.Begin(TxnHeader{TID: 50, Status: StatusComplete}); err != nil {
		t.Fatal(err)
	}
	tailer, err := w.HandOver(TailerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if tip := log.Tip(); tailer.Log() != log || tip.TID != 40 || log.Err() != nil {
		t.Errorf("the log ends with %v, %v", tip, log.Err())
	}
	if err := w.Begin(TxnHeader{TID: 60}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Begin() after it = %v", err)
	}
	file, err := os.Open(log.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if hint, ok := trustIndex(log.Path(), file, log.Tip().Offset); !ok || hint.end != log.Tip().Offset || hint.tid != 40 {
		t.Errorf("its index is %+v, %v", hint, ok)
	}

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tailer.Run(ctx) }()
	next, err := OpenWriter(t.Context(), log.Path(), WriterOptions{})
	if err != nil {
		t.Fatalf("it can't be opened by another writer: %v", err)
	}
	commitTxns(t, next, 70, 80)
	if err := next.Sync(); err != nil {
		t.Fatal(err)
	}
	checkNext(t, behind, 30, 40, 70, 80)
	checkNext(t, atEnd, 40, 70, 80)
	if tip := log.Tip(); tip.TID != 80 || tip.Generation != 0 {
		t.Errorf("the log ends with %+v", tip)
	}
	if err := next.Close(); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run() = %v", err)
	}
}

// What was held back is taken back, as by Close.
func TestWriter_HandOver_held(t *testing.T) {
	w := openNew(t)
	commitTxns(t, w, 10)
	if err := errors.Join(w.Sync(), w.Hold(true)); err != nil {
		t.Fatal(err)
	}
	end := w.End()
	commitTxns(t, w, 20, 30)
	tailer, err := w.HandOver(TailerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer tailer.Log().close(os.ErrClosed)
	if tip := tailer.Log().Tip(); tip.TID != 10 || tip.Offset != end {
		t.Errorf("the log ends with %+v", tip)
	}
	if fi, err := os.Stat(w.path); err != nil || fi.Size() != end {
		t.Errorf("the file has %d bytes, want %d (%v)", fi.Size(), end, err)
	}
}

// An index that can't be saved costs time and no more.
func TestWriter_HandOver_noIndex(t *testing.T) {
	w := openNew(t)
	commitTxns(t, w, 10)
	if err := os.MkdirAll(filepath.Join(w.path+".index", "full"), 0o777); err != nil {
		t.Fatal(err)
	}
	tailer, err := w.HandOver(TailerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if tip := tailer.Log().Tip(); tip.TID != 10 {
		t.Errorf("the log ends with %+v", tip)
	}
	tailer.Log().close(os.ErrClosed)
}

// After any other failure nothing is followed, and the lock is free.
func TestWriter_HandOver_failed(t *testing.T) {
	for name, fail := range map[string]func(w *Writer) error{
		"replaced": func(w *Writer) error { return os.Rename(w.path, w.path+".moved") },
		"failed-before": func(w *Writer) error {
			w.fail(errors.New("disk trouble"))
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := openNew(t)
			commitTxns(t, w, 10)
			if err := fail(w); err != nil {
				t.Fatal(err)
			}
			if tailer, err := w.HandOver(TailerOptions{}); err == nil || tailer != nil {
				t.Errorf("HandOver() = %v, %v", tailer, err)
			}
			if err := w.Log().Err(); err == nil {
				t.Error("the log is open")
			}
			lock, err := LockFile(w.path + ".lock")
			if err != nil {
				t.Fatalf("the lock is held: %v", err)
			}
			lock.Unlock()
		})
	}
}

// TestLog_Ahead compares with what is counted from the start.
func TestLog_Ahead(t *testing.T) {
	w := openNew(t)
	defer w.Close()
	if ahead, err := w.Log().Ahead(0, 5); err != nil || ahead != (Ahead{}) {
		t.Errorf("of nothing: Ahead() = %+v, %v", ahead, err)
	}
	tids := []TID{10, 20, 30, 40, 50, 60}
	starts := []int64{}
	for _, tid := range tids {
		starts = append(starts, w.End())
		commitTxns(t, w, tid)
	}
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	for tid := TID(0); tid <= 65; tid += 5 { // half of them are none of its own
		for most := range 8 {
			var want Ahead
			for i := len(tids) - 1; i >= 0 && tids[i] > tid; i-- {
				want = Ahead{want.Transactions + 1, w.End() - starts[i], tids[i]}
			}
			if want.Transactions > int64(most) {
				want.Transactions = -1
				if most == 0 {
					want.Oldest = 0
				}
			}
			if got, err := w.Log().Ahead(tid, most); err != nil || got != want {
				t.Errorf("Ahead(%d, %d) = %+v, %v, want %+v", tid, most, got, err, want)
			}
		}
	}
}

// What can't be read is told, with what is known.
func TestLog_Ahead_damaged(t *testing.T) {
	w := openNew(t)
	defer w.Close()
	commitTxns(t, w, 10, 20, 30)
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(w.path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("damage"), w.End()-6); err != nil {
		t.Fatal(err)
	}
	if ahead, err := w.Log().Ahead(10, 5); !errors.Is(err, ErrDamaged) {
		t.Errorf("Ahead() = %+v, %v", ahead, err)
	}
	if tip := w.Log().Tip(); tip.TID != 30 {
		t.Errorf("the log ends with %+v", tip)
	}
}
