package fs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// openGood opens a corpus file that is a data file and returns its end, or nil
// for one that is none.
func openGood(t *testing.T, name string) (*File, Place, error) {
	t.Helper()
	f, err := OpenFile(corpusPath(t, name))
	if errors.Is(err, ErrFormat) {
		return nil, Place{}, nil
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	end, tail, err := f.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return f, end, tail
}

// The counts are those that were taken when the corpus was made. For damaged
// files those of what comes before are known.
func TestCensus(t *testing.T) {
	for name, want := range loadFacts(t) {
		t.Run(name, func(t *testing.T) {
			f, _, _ := openGood(t, name)
			if f == nil {
				return
			}
			var c Census
			err := c.Count(t.Context(), f)
			if err != nil && !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			if c.Transactions != int64(want.GoodPrefixTxns) {
				t.Errorf("Count(): %d transactions, want %d", c.Transactions, want.GoodPrefixTxns)
			}
			if damaged := want.GoodPrefixBytes < want.Size && !torn(f, want.GoodPrefixBytes); damaged != (err != nil) {
				t.Errorf("Count() = %v, damaged: %v", err, damaged)
			}
			r, objects := countObjects(t, f, want.GoodPrefixBytes)
			if c.Records != r || c.Objects != objects {
				t.Errorf("Count(): %d records, %d objects, want %d, %d", c.Records, c.Objects, r, objects)
			}
			if want.GoodPrefixBytes == want.Size && want.Statuses != "_u" && c.Records != int64(want.Records) {
				t.Errorf("Count(): %d records, the facts say %d", c.Records, want.Records)
			}
		})
	}
}

// torn reports whether what is at an offset of f is a torn tail.
func torn(f *File, offset int64) bool {
	_, err := f.Reader(offset, f.Size()).Next()
	return errors.Is(err, ErrTornTail)
}

// countObjects counts the slow way.
func countObjects(t *testing.T, f *File, end int64) (records, objects int64) {
	t.Helper()
	seen := map[OID]bool{}
	r := f.Reader(FirstOffset, max(end, FirstOffset))
	for txn, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		for rec, err := r.NextRecord(); err == nil; rec, err = r.NextRecord() {
			records++
			if txn.Status != StatusUndone {
				seen[rec.OID] = true
			}
		}
	}
	return records, int64(len(seen))
}

func TestFile_First(t *testing.T) {
	for name, want := range loadFacts(t) {
		f, end, _ := openGood(t, name)
		if f == nil {
			continue
		}
		if got, err := f.First(end); got != want.FirstTID || err != nil {
			t.Errorf("%s: First() = %v, %v, want %v", name, got, err, want.FirstTID)
		}
	}
}

// Packed is compared with a walk, with the index and without, and with the file
// packed up to each of its transactions.
func TestFile_Packed(t *testing.T) {
	for _, name := range corpusFiles(t, "*/Data.fs") {
		t.Run(name, func(t *testing.T) {
			f, end, _ := openGood(t, name)
			checkPacked(t, f, end)
		})
	}
	source := readFile(t, corpusPath(t, "realistic_200/Data.fs"))
	index := readFile(t, corpusPath(t, "realistic_200/Data.fs.index"))
	path := filepath.Join(t.TempDir(), "Data.fs")
	if err := os.WriteFile(path, source, 0o644); err != nil {
		t.Fatal(err)
	}
	places, _ := walked(openFile(t, path))
	for i := range places {
		if i > 0 {
			source[places[i-1].Offset+statusOffset] = byte(StatusPacked)
			if err := os.WriteFile(path, source, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if i%10 > 1 {
			continue
		}
		for _, indexed := range []bool{false, true} {
			if indexed {
				if err := os.WriteFile(path+".index", index, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			f := openFile(t, path)
			want := places[i]
			if got, err := f.Packed(t.Context(), places[len(places)-1]); got != want || err != nil {
				t.Errorf("packed up to %d, index %v: Packed() = %v, %v, want %v", i, indexed, got, err, want)
			}
			f.Close()
			os.Remove(path + ".index")
		}
	}
}

func checkPacked(t *testing.T, f *File, end Place) {
	t.Helper()
	want := Place{Offset: FirstOffset}
	for txn, err := range f.Reader(FirstOffset, max(end.Offset, FirstOffset)).All() {
		if err != nil {
			t.Fatal(err)
		}
		if txn.Status == StatusPacked {
			want = Place{txn.End(), txn.TID}
		}
	}
	if got, err := f.Packed(t.Context(), end); got != want || err != nil {
		t.Errorf("Packed() = %v, %v, want %v", got, err, want)
	}
}

func TestFile_Index(t *testing.T) {
	index := readFile(t, corpusPath(t, "realistic_200/Data.fs.index"))
	old := readFile(t, corpusPath(t, "realistic_200/Data.fs.index.at100"))
	other := readFile(t, corpusPath(t, "undo/Data.fs.index"))
	empty := readFile(t, corpusPath(t, "empty/Data.fs.index"))
	full := readFile(t, corpusPath(t, "realistic_200/Data.fs"))
	oldEnd, err := ScanIndexFile(corpusPath(t, "realistic_200/Data.fs.index.at100"), func(OID, int64) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	size := int64(len(full))
	for _, test := range []struct {
		name        string
		data, index []byte
		want        IndexState
		end         int64
	}{
		{"current", full, index, IndexCurrent, size},
		{"stale", full, old, IndexStale, oldEnd},
		{"missing", full, nil, IndexMissing, 0},
		{"of-another-file", full, other, IndexWrong, 0},
		{"of-a-longer-file", full[:oldEnd], index, IndexWrong, 0},
		{"torn", full, index[:len(index)/2], IndexWrong, 0},
		{"no-bytes", full, []byte{}, IndexWrong, 0},
		{"of-an-empty-file", full, empty, IndexStale, FirstOffset},
		{"empty", full[:FirstOffset], empty, IndexCurrent, FirstOffset},
		{"empty-file-with-objects", full[:FirstOffset], index, IndexWrong, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "Data.fs")
			if err := os.WriteFile(path, test.data, 0o644); err != nil {
				t.Fatal(err)
			}
			if test.index != nil {
				if err := os.WriteFile(path+".index", test.index, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			f := openFile(t, path)
			end, _, err := f.End(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			state, at, why := f.Index(end)
			if state != test.want || at != test.end || (why != nil) != (test.want == IndexWrong) {
				t.Errorf("Index() = %s, %d, %v, want %s, %d", state, at, why, test.want, test.end)
			}
		})
	}
}
