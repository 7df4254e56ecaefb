package fs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// Copy finds a revision wherever it is: not yet written out, many revisions
// back, in a transaction that had another of the object after it.
func TestWriter_Copy(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Data.fs")
	w, err := OpenWriter(t.Context(), path, WriterOptions{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	const many = 300 // more than a chain is long before a search begins
	for tid := TID(1); tid <= many; tid++ {
		err := w.Begin(TxnHeader{TID: tid << 32, Status: StatusComplete})
		err = errors.Join(err, w.Restore(Restored{OID: 1, TID: tid << 32, Data: []byte("first")}))
		err = errors.Join(err, w.Restore(Restored{OID: 1, TID: tid << 32, Data: revisionData(tid)}))
		if err := errors.Join(err, w.Commit()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Begin(TxnHeader{TID: (many + 1) << 32, Status: StatusComplete}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		from TID
		want TID // whose data it is
		back bool
	}{{1 << 32, 1, true}, {many << 32, many, true}, {150 << 32, 150, true}, {150<<32 + 1, 150, false}} {
		found, err := w.Copy(1, (many+1)<<32, tt.from)
		if err != nil {
			t.Fatalf("Copy(%s) = %v", tt.from, err)
		}
		data := make([]byte, found.Length)
		if err := w.ReadData(data, found.Offset); err != nil || string(data) != string(revisionData(tt.want)) {
			t.Errorf("Copy(%s) has the data %q, %v", tt.from, data, err)
		}
		off, _ := w.Index().Get(1)
		rec, err := w.readBack(off)
		if err != nil || (rec.Back != 0) != tt.back {
			t.Errorf("Copy(%s) wrote %+v, %v", tt.from, rec, err)
		}
	}
	for _, tt := range []struct {
		oid  OID
		from TID
	}{{1, 1<<32 - 1}, {2, 1 << 32}} {
		if _, err := w.Copy(tt.oid, (many+1)<<32, tt.from); !errors.Is(err, ErrNoRevision) {
			t.Errorf("Copy(%s, %s) = %v, want %v", tt.oid, tt.from, err, ErrNoRevision)
		}
	}
	if err := errors.Join(w.Commit(), w.Sync()); err != nil {
		t.Errorf("the writer can't go on: %v", err)
	}
}

// revisionData returns the data of a revision.
func revisionData(tid TID) []byte { return tid.AppendTo(nil) }

// Where a pack has cut the chain of previous pointers, Copy finds the revision by
// its transaction.
func TestWriter_Copy_packed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Data.fs")
	if err := os.WriteFile(path, readFile(t, corpusPath(t, "packed_two_revisions/Data.fs")), 0o666); err != nil {
		t.Fatal(err)
	}
	w, err := OpenWriter(t.Context(), path, WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Begin(TxnHeader{TID: w.LastTID() + 1, Status: StatusComplete}); err != nil {
		t.Fatal(err)
	}
	r := NewReader(w.file, path, FirstOffset, w.End())
	var records []Record
	for txn, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		for txn != nil {
			rec, err := r.NextRecord()
			if err != nil {
				break
			}
			records = append(records, *rec)
		}
	}
	for _, rec := range records {
		if _, err := w.Copy(rec.OID, w.LastTID()+1, rec.TID); err != nil {
			t.Errorf("Copy(%s, %s) = %v", rec.OID, rec.TID, err)
		}
	}
}
