package fs

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func openFile(t *testing.T, path string) *File {
	t.Helper()
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// walked returns the places after all whole transactions of a file, the one
// before the first among them, and what ended the walk.
func walked(f *File) (places []Place, tail error) {
	places = []Place{{Offset: FirstOffset}}
	for txn, err := range f.Reader(FirstOffset, max(f.Size(), FirstOffset)).All() {
		if err != nil {
			return places, err
		}
		places = append(places, Place{txn.End(), txn.TID})
	}
	return places, nil
}

// TestFile compares what is found from the end of each file of the corpus, and
// through its index, with a walk from the start.
func TestFile(t *testing.T) {
	for _, name := range append(corpusFiles(t, "*/Data.fs"), corpusFiles(t, "*/Data.fs.old")...) {
		t.Run(name, func(t *testing.T) {
			f, err := OpenFile(corpusPath(t, name))
			if errors.Is(err, ErrFormat) {
				return // not a data file: reader_test.go has those
			}
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			places, walkErr := walked(f)
			last := places[len(places)-1]
			end, tail, err := f.End(t.Context())
			if err != nil || end != last || (tail == nil) != (walkErr == nil) || tail != nil && tail.Error() != walkErr.Error() {
				t.Errorf("End() = %v, %v, %v, want %v, %v", end, tail, err, last, walkErr)
			}
			checkBackward(t, f, places)
			for i, p := range places {
				if i > 0 && p.TID <= places[i-1].TID {
					return // nothing can be found by TID
				}
			}
			for i, p := range places {
				at, err := f.After(t.Context(), p.TID, end)
				if err != nil || at.Offset != p.Offset {
					t.Errorf("After(%v) = %v, %v, want offset %d", p.TID, at, err, p.Offset)
				}
				if i == 0 {
					continue
				}
				at, err = f.After(t.Context(), p.TID-1, end)
				if before := places[i-1]; err != nil || at.Offset != before.Offset {
					t.Errorf("After(%v) = %v, %v, want offset %d", p.TID-1, at, err, before.Offset)
				}
			}
		})
	}
}

func checkBackward(t *testing.T, f *File, places []Place) {
	t.Helper()
	var back []Place
	for txn, err := range f.Backward(places[len(places)-1].Offset) {
		if err != nil {
			t.Fatal(err)
		}
		back = append(back, Place{txn.End(), txn.TID})
	}
	slices.Reverse(back)
	if !slices.Equal(back, places[1:]) {
		t.Errorf("Backward() gave %v, want %v", back, places[1:])
	}
}

// TestFile_End looks for the end of files that are cut at each byte of their
// last transactions, and of one whose unfinished transaction ends with the bytes
// of a finished one.
func TestFile_End(t *testing.T) {
	source := readFile(t, corpusPath(t, "multi_undo/Data.fs"))
	dir := t.TempDir()
	check := func(name string, b []byte, want Place, torn bool) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		f := openFile(t, path)
		end, tail, err := f.End(t.Context())
		if err != nil || end != want || errors.Is(tail, ErrTornTail) != torn || tail == nil == torn {
			t.Errorf("%s: End() = %v, %v, %v, want %v", name, end, tail, err, want)
		}
		f.Close()
	}
	whole := openFile(t, corpusPath(t, "multi_undo/Data.fs"))
	places, err := walked(whole)
	if err != nil {
		t.Fatal(err)
	}
	half := len(places) / 2
	for i := half; i < len(places)-1; i++ {
		for cut := places[i].Offset; cut < places[i+1].Offset; cut++ {
			check("cut.fs", source[:cut], places[i], cut != places[i].Offset)
		}
	}
	last := places[len(places)-1]
	final := source[places[len(places)-2].Offset:last.Offset]
	head := TxnHeader{TID: last.TID + 1, Status: StatusCheckpoint, Length: unknownLength}
	check("inside.fs", slices.Concat(source, head.AppendTo(nil), bytes.Repeat([]byte("x"), 50), final), last, true)
}

func TestFile_Snapshot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Data.fs")
	source := readFile(t, corpusPath(t, "multi_undo/Data.fs"))
	if err := os.WriteFile(path, source, 0o644); err != nil {
		t.Fatal(err)
	}
	f := openFile(t, path)
	more, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := more.WriteString("more"); err != nil {
		t.Fatal(err)
	}
	more.Close()
	b := make([]byte, 8)
	if n, err := f.ReadAt(b, f.Size()-4); n != 4 || err == nil {
		t.Errorf("ReadAt() over the end = %d, %v, want 4 bytes and io.EOF", n, err)
	}
	if _, tail, err := f.End(t.Context()); tail != nil || err != nil {
		t.Errorf("End() = %v, %v: what was appended later counts", tail, err)
	}
}

// TestFile_TxnAt asks for a transaction at every offset.
func TestFile_TxnAt(t *testing.T) {
	f := openFile(t, corpusPath(t, "multi_undo/Data.fs"))
	places, err := walked(f)
	if err != nil {
		t.Fatal(err)
	}
	starts := map[int64]TID{}
	for i := range places[1:] {
		starts[places[i].Offset] = places[i+1].TID
	}
	for off := int64(-1); off <= f.Size()+1; off++ {
		txn, ok := f.TxnAt(off)
		if want, is := starts[off]; ok != is || ok && txn.TID != want {
			t.Errorf("TxnAt(%d) = %v, %v, want %s, %v", off, txn, ok, want, is)
		}
	}
}

// TestFile_Aborted has a file that was opened while a transaction was voted,
// which is then aborted; and one of which transactions vanish.
func TestFile_Aborted(t *testing.T) {
	source := readFile(t, corpusPath(t, "multi_undo/Data.fs"))
	voted := TxnHeader{TID: MaxTID, Status: StatusCheckpoint, Length: 1 << 20}
	path := filepath.Join(t.TempDir(), "Data.fs")
	tail := append(voted.AppendTo(nil), bytes.Repeat([]byte("x"), 1<<20)...)
	if err := os.WriteFile(path, slices.Concat(source, tail), 0o644); err != nil {
		t.Fatal(err)
	}
	f := openFile(t, path)
	end := int64(len(source))
	pass := func() (Place, error, error) {
		return Pass(t.Context(), f, Place{Offset: FirstOffset}, offsets, func(*Span, []int64) error { return nil })
	}
	for _, size := range []int64{f.Size(), end + txnHeaderSize, end + 1, end} {
		if err := os.Truncate(path, size); err != nil {
			t.Fatal(err)
		}
		if at, flaw, err := pass(); at.Offset != end || !errors.Is(flaw, ErrTornTail) || err != nil {
			t.Errorf("cut to %d: Pass() = %v, %v, %v, want the end at %d and a torn tail", size, at, flaw, err, end)
		}
		if at, tail, err := f.End(t.Context()); at.Offset != end || !errors.Is(tail, ErrTornTail) || err != nil {
			t.Errorf("cut to %d: End() = %v, %v, %v, want the end at %d and a torn tail", size, at, tail, err, end)
		}
	}
	_, _, err := Pass(t.Context(), f, Place{Offset: FirstOffset}, offsets, func(*Span, []int64) error { return os.Truncate(path, end-1) })
	if !errors.Is(err, ErrTruncated) {
		t.Errorf("a transaction vanished: Pass() = %v, want %v", err, ErrTruncated)
	}
}
