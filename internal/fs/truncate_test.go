package fs

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestFile_IndexBefore has the index of each beginning of each file of the
// corpus, whatever index is beside the file.
func TestFile_IndexBefore(t *testing.T) {
	for _, name := range corpusFiles(t, "*/Data.fs") {
		t.Run(filepath.Dir(name), func(t *testing.T) {
			data, err := os.ReadFile(corpusPath(t, name))
			if err != nil {
				t.Fatal(err)
			}
			path := writeFile(t, "Data.fs", data)
			f := openFile(t, path)
			places, _ := walked(f)
			if len(places) > 40 {
				places = places[len(places)-40:]
			}
			end := places[len(places)-1]
			for _, indexed := range []int{0, len(places) / 2, len(places) - 1} {
				if err := RemoveIndex(path); err != nil {
					t.Fatal(err)
				}
				if at := places[indexed]; indexed > 0 && at.Offset >= leastIndexEnd {
					if err := WriteIndexFile(path+".index", indexOf(t, data[:at.Offset]), at.Offset); err != nil {
						t.Fatal(err)
					}
				}
				for _, at := range places {
					got, err := f.IndexBefore(t.Context(), at, end, func(int64) {})
					if err != nil {
						t.Fatal(err)
					}
					holdsIndex(t, got, indexOf(t, data[:at.Offset]))
				}
			}
		})
	}
}

// indexOf returns the index of a data file by reading all of it.
func indexOf(t *testing.T, data []byte) *Index {
	t.Helper()
	idx := new(Index)
	if _, err := scan(t.Context(), bytes.NewReader(data), "", FirstOffset, int64(len(data)), 0, idx, nil); err != nil {
		t.Fatal(err)
	}
	return idx
}

func holdsIndex(t *testing.T, got, want *Index) {
	t.Helper()
	if got.Len() != want.Len() {
		t.Fatalf("%d objects, want %d", got.Len(), want.Len())
	}
	for oid, off := range want.All() {
		if o, _ := got.Get(oid); o != off {
			t.Fatalf("object %s is at %d, want %d", oid, o, off)
		}
	}
}

// TestFile_IndexBefore_astray has pointers to earlier records lead elsewhere: then
// the file is read.
func TestFile_IndexBefore_astray(t *testing.T) {
	data, err := os.ReadFile(corpusPath(t, "realistic_200/Data.fs"))
	if err != nil {
		t.Fatal(err)
	}
	full := indexOf(t, data)
	path := writeFile(t, "Data.fs", data)
	places, _ := walked(openFile(t, path))
	at, end := places[len(places)-20], places[len(places)-1]
	r := NewReader(bytes.NewReader(data), "", at.Offset, end.Offset)
	astray := 0
	for _, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		for {
			rec, err := r.NextRecord()
			if err != nil {
				break
			}
			if rec.Prev > 0 && rec.Prev < at.Offset {
				data[rec.Offset+prevOffset+7] ^= 4 // within the file, to no record
				astray++
			}
		}
	}
	if astray < 10 {
		t.Fatalf("only %d pointers", astray)
	}
	path = writeFile(t, "Data.fs", data)
	if err := WriteIndexFile(path+".index", full, end.Offset); err != nil {
		t.Fatal(err)
	}
	got, err := openFile(t, path).IndexBefore(t.Context(), at, end, func(int64) {})
	if err != nil {
		t.Fatal(err)
	}
	holdsIndex(t, got, indexOf(t, data[:at.Offset]))
}

// prevOffset is of the previous pointer in a record header.
const prevOffset = 16

func TestFile_Truncate(t *testing.T) {
	data, err := os.ReadFile(corpusPath(t, "undo/Data.fs"))
	if err != nil {
		t.Fatal(err)
	}
	path := writeFile(t, "Data.fs", data)
	f := openFile(t, path)
	places, _ := walked(f)
	at := places[len(places)-3].Offset
	if err := f.Truncate(at); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, data[:at]) {
		t.Fatalf("%d bytes, %v, want the first %d", len(got), err, at)
	}
	t.Run("changed-since", func(t *testing.T) {
		if err := f.Truncate(places[2].Offset); err == nil {
			t.Error("no error")
		}
	})
	t.Run("replaced", func(t *testing.T) {
		f := openFile(t, path)
		if err := os.Rename(path, path+".old"); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data[:at], 0o666); err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(places[2].Offset); !errors.Is(err, ErrReplaced) {
			t.Errorf("error %v, want %v", err, ErrReplaced)
		}
	})
	for _, p := range []string{path, path + ".old"} {
		if got, err := os.ReadFile(p); err != nil || !bytes.Equal(got, data[:at]) {
			t.Errorf("%s was changed, %v", p, err)
		}
	}
}
