package fs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// copyTxns writes what r reads, as a secondary would that gets it from a
// primary, and returns how many transactions were committed.
func copyTxns(r *Reader, w *Writer, after func(n int) error) (n int, err error) {
	for txn, err := range r.All() {
		if err != nil {
			return n, err
		}
		if err := copyTxn(r, txn, w); err != nil {
			return n, err
		}
		n++
		if err := after(n); err != nil {
			return n, err
		}
	}
	return n, w.Sync()
}

// never does nothing after a transaction.
func never(int) error { return nil }

// every calls do after each so-many-th transaction.
func every(so int, do func() error) func(int) error {
	return func(n int) error {
		if n%so != 0 {
			return nil
		}
		return do()
	}
}

func copyTxn(r *Reader, txn *Txn, w *Writer) error {
	if err := w.Begin(txn.TxnHeader); err != nil {
		return err
	}
	for {
		rec, err := r.NextRecord()
		if errors.Is(err, io.EOF) {
			return w.Commit()
		}
		if err != nil {
			return err
		}
		found, err := r.Resolve()
		if err != nil {
			return err
		}
		out := Restored{OID: rec.OID, TID: rec.TID}
		if rec.Length == 0 {
			out.DataTxn = found.BackTID
		}
		if !found.Gone {
			out.Data = make([]byte, found.Length)
			if err := r.ReadData(out.Data, found.Offset); err != nil {
				return err
			}
		}
		if err := w.Restore(out); err != nil {
			return err
		}
	}
}

func openWriter(t testing.TB, path string, opts WriterOptions) *Writer {
	t.Helper()
	opts.Create = true
	w, err := OpenWriter(t.Context(), path, opts)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func closeWriter(t testing.TB, w *Writer) {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Fatalf("Close() = %v", err)
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

// healthy are the corpus files that a replica is made of, each with the file
// that it must come out as: its own bytes, unless a pack left pointers that no
// replica can have (spec: packed sources).
var healthy = map[string]string{
	"empty/Data.fs":                "empty/Data.fs",
	"one_txn/Data.fs":              "one_txn/Data.fs",
	"realistic_200/Data.fs":        "realistic_200/Data.fs",
	"undo/Data.fs":                 "undo/Data.fs",
	"undo_creation/Data.fs":        "undo_creation/Data.fs",
	"multi_undo/Data.fs":           "multi_undo/Data.fs",
	"packed/Data.fs":               "packed/Data.fs",
	"packed/Data.fs.old":           "packed/Data.fs.old",
	"packed_two_revisions/Data.fs": "copied_packed/Data.fs",
	"extension/Data.fs":            "extension/Data.fs",
	"blobs_bushy/Data.fs":          "blobs_bushy/Data.fs",
	"large_oids/Data.fs":           "large_oids/Data.fs",
	"zero_records/Data.fs":         "zero_records/Data.fs",
	"duplicate_oid/Data.fs":        "duplicate_oid/Data.fs",
	"references/Data.fs":           "references/Data.fs",
	"damage_base/Data.fs":          "damage_base/Data.fs",
}

func TestWriter_Identical(t *testing.T) {
	ways := map[string]func(*Writer) func(int) error{
		"sync-each":   func(w *Writer) func(int) error { return every(1, w.Sync) },
		"finish-each": func(w *Writer) func(int) error { return every(1, w.Finish) },
		"one-batch":   func(*Writer) func(int) error { return never },
		"some-batch":  func(w *Writer) func(int) error { return every(3, w.Sync) },
	}
	for name, want := range healthy {
		for how, after := range ways {
			t.Run(name+"/"+how, func(t *testing.T) {
				f, size := openCorpus(t, name)
				path := filepath.Join(t.TempDir(), "Data.fs")
				w := openWriter(t, path, WriterOptions{})
				n, err := copyTxns(NewReader(f, name, FirstOffset, size), w, after(w))
				if err != nil {
					t.Fatalf("after %d transactions: %v", n, err)
				}
				closeWriter(t, w)
				if got, want := readFile(t, path), readFile(t, corpusPath(t, want)); !bytes.Equal(got, want) {
					t.Fatalf("copy differs at %d", firstDifference(got, want))
				}
				checkReopened(t, path, loadFacts(t)[want])
			})
		}
	}
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// checkReopened opens a file with its saved index, and without, and compares.
func checkReopened(t *testing.T, path string, fact corpusFact) {
	t.Helper()
	before := readFile(t, path)
	var indexed []byte
	for _, indexName := range []string{"with", "without"} {
		w := openWriter(t, path, WriterOptions{})
		if w.LastTID() != fact.LastTID || w.Index().Len() != fact.DistinctOIDs {
			t.Errorf("reopened %s index: last TID %v, %d objects, want %v, %d", indexName,
				w.LastTID(), w.Index().Len(), fact.LastTID, fact.DistinctOIDs)
		}
		closeWriter(t, w)
		if fact.DistinctOIDs == 0 {
			continue
		}
		if b := readFile(t, path+".index"); indexed == nil {
			indexed = b
		} else if !bytes.Equal(b, indexed) {
			t.Error("the rebuilt index differs from the one that was kept up")
		}
		if err := os.Remove(path + ".index"); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(before, readFile(t, path)) {
		t.Error("opening and closing changed the file")
	}
}

// TestWriter_IndexLikeZODB compares the saved index with the one that ZODB
// saved for the same file.
func TestWriter_IndexLikeZODB(t *testing.T) {
	for _, name := range []string{"realistic_200/Data.fs", "undo/Data.fs", "multi_undo/Data.fs", "large_oids/Data.fs", "duplicate_oid/Data.fs"} {
		f, size := openCorpus(t, name)
		path := filepath.Join(t.TempDir(), "Data.fs")
		w := openWriter(t, path, WriterOptions{})
		if _, err := copyTxns(NewReader(f, name, FirstOffset, size), w, never); err != nil {
			t.Fatal(err)
		}
		closeWriter(t, w)
		if !bytes.Equal(readFile(t, path+".index"), readFile(t, corpusPath(t, name+".index"))) {
			t.Errorf("%s: index differs from ZODB's", name)
		}
	}
}

// TestWriter_G2_LastTIDIsOfWhatIsKept opens a file with a torn tail: the last
// TID is not that of the transaction that was cut off, and nothing is lost.
func TestWriter_G2_LastTIDIsOfWhatIsKept(t *testing.T) {
	facts := loadFacts(t)
	for _, name := range append(corpusFiles(t, "torn/*.fs"), "midcommit/Data.fs") {
		t.Run(name, func(t *testing.T) {
			orig := readFile(t, corpusPath(t, name))
			path := filepath.Join(t.TempDir(), "Data.fs")
			if err := os.WriteFile(path, orig, 0o644); err != nil {
				t.Fatal(err)
			}
			fact := facts[name]
			w := openWriter(t, path, WriterOptions{})
			good := lastTIDBefore(t, orig, fact.GoodPrefixBytes)
			if w.LastTID() != good || w.Log().Tip().TID != good {
				t.Errorf("last TID = %v, want %v", w.LastTID(), good)
			}
			closeWriter(t, w)
			if got := readFile(t, path); !bytes.Equal(got, orig[:fact.GoodPrefixBytes]) {
				t.Errorf("file has %d bytes, want the first %d", len(got), fact.GoodPrefixBytes)
			}
			if got := readFile(t, path+".tr0"); !bytes.Equal(got, orig[fact.GoodPrefixBytes:]) {
				t.Errorf("saved tail has %d bytes, want the last %d", len(got), len(orig)-int(fact.GoodPrefixBytes))
			}
		})
	}
}

func lastTIDBefore(t *testing.T, data []byte, end int64) TID {
	t.Helper()
	c, err := count(NewReader(bytes.NewReader(data[:end]), "", FirstOffset, end))
	if err != nil {
		t.Fatal(err)
	}
	return c.last
}

// TestWriter_LastButOneField opens a file whose last transaction is whole but for
// a field that makes it look unfinished.
func TestWriter_LastButOneField(t *testing.T) {
	orig := readFile(t, corpusPath(t, "multi_undo/Data.fs"))
	last := len(orig) - trailerSize - int(binary.BigEndian.Uint64(orig[len(orig)-trailerSize:]))
	for name, change := range map[string]func(b []byte){
		"length":      func(b []byte) { b[last+lengthOffset+7]++ },
		"high-length": func(b []byte) { b[last+lengthOffset] = 1 },
		"status":      func(b []byte) { b[last+statusOffset] = 0 },
		"trailer":     func(b []byte) { clear(b[len(b)-trailerSize:]) },
	} {
		t.Run(name, func(t *testing.T) {
			data := bytes.Clone(orig)
			change(data)
			path := filepath.Join(t.TempDir(), "Data.fs")
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := OpenWriter(t.Context(), path, WriterOptions{}); !errors.Is(err, ErrDamaged) {
				t.Errorf("OpenWriter() = %v, want damage", err)
			}
			if !bytes.Equal(readFile(t, path), data) {
				t.Error("the file was changed")
			}
			data[last+statusOffset] = byte(StatusCheckpoint)
			if err := os.WriteFile(path, data, 0o644); err != nil {
				t.Fatal(err)
			}
			closeWriter(t, openWriter(t, path, WriterOptions{})) // it was never finished
		})
	}
}

// TestWriter_DamageIsNotCut opens damaged files: they stay as they are.
func TestWriter_DamageIsNotCut(t *testing.T) {
	facts := loadFacts(t)
	for _, name := range corpusFiles(t, "corrupt/*.fs") {
		if facts[name].GoodPrefixBytes == facts[name].Size && name != "corrupt/magic.fs" {
			continue // not damage that an open can see
		}
		t.Run(name, func(t *testing.T) {
			orig := readFile(t, corpusPath(t, name))
			path := filepath.Join(t.TempDir(), "Data.fs")
			if err := os.WriteFile(path, orig, 0o644); err != nil {
				t.Fatal(err)
			}
			w, err := OpenWriter(t.Context(), path, WriterOptions{})
			if err == nil {
				w.Close()
			}
			want := ErrDamaged
			if name == "corrupt/magic.fs" {
				want = ErrFormat
			}
			if !errors.Is(err, want) {
				t.Errorf("OpenWriter() = %v, want %v", err, want)
			}
			if !bytes.Equal(readFile(t, path), orig) {
				t.Error("the file was changed")
			}
			if _, err := os.Stat(path + ".tr0"); err == nil {
				t.Error("something was cut off")
			}
		})
	}
}

func TestWriter_NeverWhereOneWas(t *testing.T) {
	for _, suffix := range []string{".old", ".pack"} {
		for _, empty := range []bool{false, true} {
			path := filepath.Join(t.TempDir(), "Data.fs")
			if err := os.WriteFile(path+suffix, []byte("FS30"), 0o644); err != nil {
				t.Fatal(err)
			}
			if empty {
				if err := os.WriteFile(path, nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := OpenWriter(t.Context(), path, WriterOptions{Create: true}); !errors.Is(err, ErrWouldCreate) {
				t.Errorf("with %s, empty file %v: OpenWriter() = %v, want %v", suffix, empty, err, ErrWouldCreate)
			}
		}
	}
}

func TestWriter_Locked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Data.fs")
	w := openWriter(t, path, WriterOptions{})
	defer w.Close()
	if _, err := OpenWriter(t.Context(), path, WriterOptions{}); !errors.Is(err, ErrLocked) {
		t.Errorf("second OpenWriter() = %v, want %v", err, ErrLocked)
	}
}

// TestWriter_G10_TIDsRise refuses what would make TIDs repeat or fall, and goes
// on with the next good transaction.
func TestWriter_G10_TIDsRise(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Data.fs")
	w := openWriter(t, path, WriterOptions{})
	for _, tid := range []TID{5, 5, 4, 6} {
		err := w.Begin(TxnHeader{TID: tid, Status: StatusComplete})
		if bad := tid == 4 || tid == 5 && w.LastTID() == 5; bad {
			if !errors.Is(err, ErrTIDOrder) {
				t.Errorf("Begin(%v) = %v, want %v", tid, err, ErrTIDOrder)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Restore(Restored{OID: 1, TID: tid, Data: []byte("x")}), w.Commit()); err != nil {
			t.Fatal(err)
		}
	}
	closeWriter(t, w)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fi, _ := f.Stat()
	c, err := count(NewReader(f, path, FirstOffset, fi.Size()))
	if err != nil || c.txns != 2 || c.last != 6 {
		t.Errorf("the file has %d transactions up to %v (%v), want 2 up to 6", c.txns, c.last, err)
	}
}

// TestWriter_G5_DataTxnIsAHint names transactions that the file lacks, or that
// have other data: the data is written in full.
func TestWriter_G5_DataTxnIsAHint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Data.fs")
	w := openWriter(t, path, WriterOptions{})
	put := func(tid TID, rec Restored) *Record {
		t.Helper()
		rec.OID, rec.TID = 1, tid
		if err := errors.Join(w.Begin(TxnHeader{TID: tid, Status: StatusComplete}), w.Restore(rec), w.Commit(), w.Sync()); err != nil {
			t.Fatal(err)
		}
		off, _ := w.Index().Get(1)
		got, err := ReadRecord(w.file, path, off)
		if err != nil {
			t.Fatal(err)
		}
		return &got
	}
	first := put(10, Restored{Data: []byte("one")})
	put(20, Restored{Data: []byte("two")})
	if rec := put(30, Restored{Data: []byte("one"), DataTxn: 10}); rec.Back != first.Offset {
		t.Errorf("back pointer leads to %d, want %d", rec.Back, first.Offset)
	}
	for tid, rec := range map[TID]Restored{
		40: {Data: []byte("one"), DataTxn: 15}, // no such transaction
		41: {Data: []byte("one"), DataTxn: 20}, // other data
		42: {Data: []byte("onexx"), DataTxn: 10},
		43: {Data: []byte("one"), DataTxn: 99},
		44: {Data: []byte("one"), DataTxn: 1},
	} {
		_ = tid
		if got := put(w.LastTID()+10, rec); got.Length != int64(len(rec.Data)) {
			t.Errorf("with data_txn %v: record has %d bytes of data, want %d", rec.DataTxn, got.Length, len(rec.Data))
		}
	}
	if rec := put(200, Restored{DataTxn: 20}); rec.Length != 0 || rec.Back != 0 {
		t.Errorf("gone record has length %d, back pointer %d, want 0, 0", rec.Length, rec.Back)
	}
	closeWriter(t, w)
}

// A watchedFile calls back before it syncs.
type watchedFile struct {
	dataFile
	beforeSync func()
}

func (f watchedFile) Sync() error {
	f.beforeSync()
	return f.dataFile.Sync()
}

// TestWriter_G20_BlobsFirst looks for blobs when the data file is synced: those
// of the batch are in place, under their names. Those of a transaction that is
// aborted never are.
func TestWriter_G20_BlobsFirst(t *testing.T) {
	dir := t.TempDir()
	path, blobs := filepath.Join(dir, "Data.fs"), filepath.Join(dir, "blobs")
	var w *Writer
	syncs := 0
	w = openWriter(t, path, WriterOptions{BlobDir: blobs, wrap: func(f dataFile) dataFile {
		return watchedFile{f, func() {
			if w == nil {
				return // it is being opened
			}
			syncs++
			if _, err := os.Stat(w.Blobs().Path(1, 10)); err != nil {
				t.Errorf("the data file is synced before the blob is in place: %v", err)
			}
		}}
	}})
	record := func(oid OID, tid TID) {
		t.Helper()
		if err := w.Begin(TxnHeader{TID: tid, Status: StatusComplete}); err != nil {
			t.Fatal(err)
		}
		blob, err := w.CreateBlob(oid, tid)
		if err != nil {
			t.Fatal(err)
		}
		_, err = blob.Write([]byte("content"))
		if err := errors.Join(err, blob.Commit(), w.Restore(Restored{OID: oid, TID: tid, Data: []byte("x")})); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(w.Blobs().Path(oid, tid)); err == nil {
			t.Errorf("blob of %v is in place before its transaction is durable", oid)
		}
	}
	record(1, 10)
	if err := errors.Join(w.Commit(), w.Sync()); err != nil {
		t.Fatal(err)
	}
	if syncs == 0 {
		t.Error("the data file was not synced")
	}
	record(2, 20)
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	closeWriter(t, w)
	if _, err := os.Stat(w.Blobs().Path(2, 20)); err == nil {
		t.Error("a blob of an aborted transaction is in place")
	}
	if left, _ := filepath.Glob(filepath.Join(blobs, "tmp", "*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestWriter_AbortAndRollback(t *testing.T) {
	f, size := openCorpus(t, "duplicate_oid/Data.fs")
	path := filepath.Join(t.TempDir(), "Data.fs")
	w := openWriter(t, path, WriterOptions{})
	if _, err := copyTxns(NewReader(f, "", FirstOffset, size), w, never); err != nil {
		t.Fatal(err)
	}
	state := func() string {
		var b bytes.Buffer
		for oid, off := range w.Index().All() {
			fmt.Fprintf(&b, "%v %d\n", oid, off)
		}
		return fmt.Sprint(w.LastTID(), b.String(), len(readFile(t, path)))
	}
	before := state()
	scribble := func(tid TID, commit bool) {
		t.Helper()
		err := w.Begin(TxnHeader{TID: tid, Status: StatusComplete, User: []byte("u")})
		for _, oid := range []OID{1, 77, 1, 78, 77, 0} {
			err = errors.Join(err, w.Restore(Restored{OID: oid, TID: tid, Data: bytes.Repeat([]byte("x"), int(oid)*20000+1)}))
		}
		if commit {
			err = errors.Join(err, w.Commit())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	last := w.LastTID()
	scribble(last+1, false)
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
	if got := state(); got != before {
		t.Errorf("after Abort: %s\nwant %s", got, before)
	}
	scribble(last+1, true)
	scribble(last+2, true)
	scribble(last+3, false)
	if err := w.Rollback(); err != nil {
		t.Fatal(err)
	}
	if got := state(); got != before {
		t.Errorf("after Rollback: %s\nwant %s", got, before)
	}
	closeWriter(t, w)
	if !bytes.Equal(readFile(t, path), readFile(t, corpusPath(t, "duplicate_oid/Data.fs"))) {
		t.Error("file differs after Abort and Rollback")
	}
}
