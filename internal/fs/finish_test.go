package fs

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestWriter_Finish counts the syncs of transactions that are finished one by
// one, and looks at who sees them when: the readers of the file at once, those
// of the log when they are durable, which is with the next sync.
func TestWriter_Finish(t *testing.T) {
	file := &faultyFile{left: 1 << 30}
	path := filepath.Join(t.TempDir(), "Data.fs")
	w := openWriter(t, path, WriterOptions{wrap: func(f dataFile) dataFile {
		file.dataFile = f
		file.now = bytes.Clone(MagicPython3[:])
		return file
	}})
	file.syncs = 0
	const n = 5
	for tid := TID(1); tid <= n; tid++ {
		err := errors.Join(
			w.Begin(TxnHeader{TID: tid, Status: StatusComplete}),
			w.Restore(Restored{OID: 1, TID: tid, Data: []byte("data")}), w.Commit(), w.Finish())
		if err != nil {
			t.Fatal(err)
		}
		if got := w.Log().Tip().TID; got != tid-1 {
			t.Errorf("after finishing %v, the log ends with %v, want the one before", tid, got)
		}
		r := NewReader(file, "", FirstOffset, int64(len(file.now)))
		seen := TID(0)
		for txn, err := range r.All() {
			if err != nil {
				t.Fatal(err)
			}
			seen = txn.TID
		}
		if seen != tid {
			t.Errorf("after finishing %v, the file ends with %v", tid, seen)
		}
	}
	if file.syncs != n {
		t.Errorf("%d syncs for %d transactions, want one for each", file.syncs, n)
	}
	if err := w.Sync(); err != nil || w.Log().Tip().TID != n {
		t.Errorf("Sync() = %v, the log ends with %v, want %v", err, w.Log().Tip().TID, TID(n))
	}
	closeWriter(t, w)
}

// TestWriter_RollbackAfterFinish takes back what was committed after transactions
// that are finished and not durable yet: those stay.
func TestWriter_RollbackAfterFinish(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Data.fs")
	w := openWriter(t, path, WriterOptions{})
	put := func(tid TID) error {
		return errors.Join(
			w.Begin(TxnHeader{TID: tid, Status: StatusComplete}),
			w.Restore(Restored{OID: 1, TID: tid, Data: []byte("data")}), w.Commit())
	}
	if err := errors.Join(put(1), w.Finish(), put(2), put(3), w.Rollback()); err != nil {
		t.Fatal(err)
	}
	if got := w.LastTID(); got != 1 {
		t.Errorf("LastTID() = %v, want 1", got)
	}
	if err := errors.Join(put(2), w.Sync()); err != nil || w.Log().Tip().TID != 2 {
		t.Errorf("going on: %v, the log ends with %v, want 2", err, w.Log().Tip().TID)
	}
	closeWriter(t, w)
}

// TestWriter_CloseUnused closes writers that may have come to nothing.
func TestWriter_CloseUnused(t *testing.T) {
	for _, test := range []struct {
		name      string
		was, used bool // the file was there; a transaction is written
		stays     bool
	}{
		{"created", false, false, false},
		{"created and used", false, true, true},
		{"was there, empty", true, false, true},
	} {
		path := filepath.Join(t.TempDir(), "Data.fs")
		if test.was {
			closeWriter(t, openWriter(t, path, WriterOptions{}))
		}
		w := openWriter(t, path, WriterOptions{})
		if test.used {
			err := errors.Join(w.Begin(TxnHeader{TID: 1, Status: StatusComplete}), w.Commit())
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.CloseUnused(); err != nil {
			t.Errorf("%s: CloseUnused() = %v", test.name, err)
		}
		if _, err := os.Stat(path); (err == nil) != test.stays {
			t.Errorf("%s: the file's state is %v, want it to stay: %v", test.name, err, test.stays)
		}
	}
}

// TestOpenWriter_NoBlobDir leaves no data file behind that it made, when there can be
// no place for its blobs.
func TestOpenWriter_NoBlobDir(t *testing.T) {
	dir := t.TempDir()
	path, notDir := filepath.Join(dir, "Data.fs"), filepath.Join(dir, "blobs")
	if err := os.WriteFile(notDir, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, was := range []bool{false, true} {
		if was {
			closeWriter(t, openWriter(t, path, WriterOptions{}))
		}
		if _, err := OpenWriter(t.Context(), path, WriterOptions{Create: true, BlobDir: notDir}); err == nil {
			t.Error("OpenWriter() = nil, want an error")
		}
		if _, err := os.Stat(path); (err == nil) != was {
			t.Errorf("the file was there: %v, its state is %v", was, err)
		}
	}
}
