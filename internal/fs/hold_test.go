package fs

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"
)

// TestWriter_Hold takes back what was committed while it was held, wherever in
// a sector the file ended before: nothing of it ever is durable or published.
func TestWriter_Hold(t *testing.T) {
	for pad := range sectorSize {
		path := filepath.Join(t.TempDir(), "Data.fs")
		w := openWriter(t, path, WriterOptions{})
		put := func(tid TID, data []byte) {
			t.Helper()
			err := errors.Join(
				w.Begin(TxnHeader{TID: tid, Status: StatusComplete}),
				w.Restore(Restored{OID: OID(tid), TID: tid, Data: data}), w.Commit())
			if err != nil {
				t.Fatal(err)
			}
		}
		put(10, bytes.Repeat([]byte("x"), pad+1))
		if err := errors.Join(w.Sync(), w.Hold(true)); err != nil {
			t.Fatal(err)
		}
		before := readFile(t, path)
		for tid := TID(20); tid < 24; tid++ {
			put(tid, []byte("held"))
			if tip := w.Log().Tip(); tip.TID != 10 {
				t.Fatalf("pad %d: %v is published while it is held", pad, tip.TID)
			}
		}
		if pad%2 == 0 {
			if err := w.Rollback(); err != nil || w.LastTID() != 10 {
				t.Fatalf("pad %d: Rollback() = %v, last TID %v, want 10", pad, err, w.LastTID())
			}
			if !bytes.Equal(readFile(t, path), before) {
				t.Fatalf("pad %d: the file is not what it was", pad)
			}
			closeWriter(t, w)
			continue
		}
		if err := errors.Join(w.Hold(false), w.Sync()); err != nil || w.Log().Tip().TID != 23 {
			t.Fatalf("pad %d: Sync() = %v, tip %v, want 23", pad, err, w.Log().Tip().TID)
		}
		closeWriter(t, w)
		w = openWriter(t, path, WriterOptions{})
		if w.LastTID() != 23 {
			t.Fatalf("pad %d: last TID %v, want 23", pad, w.LastTID())
		}
		closeWriter(t, w)
	}
}
