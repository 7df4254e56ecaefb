package pickle_test

import (
	"errors"
	"io"
	"maps"
	"testing"

	"zrs/internal/fs"
	"zrs/internal/pickle"
)

// The classes in the corpus, as ZODB.utils.get_pickle_metadata counts them.
func TestClassName_Corpus(t *testing.T) {
	const mapping = "persistent.mapping.PersistentMapping"
	for name, want := range map[string]map[string]int{
		"references":  {mapping: 4, "app.NewArgs": 1, "app.Plain": 1},
		"blobs_bushy": {mapping: 3, "ZODB.blob.Blob": 8},
		"py2_fs21":    {mapping: 3},
		"extension":   {mapping: 7},
		"realistic_200": {
			mapping: 863, "BTrees.OOBTree.OOBTree": 40, "BTrees.OOBTree.OOBucket": 189,
			"BTrees.IOBTree.IOBTree": 34, "BTrees.IOBTree.IOBucket": 165,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := corpusClasses(t, "../../testdata/corpus/"+name+"/Data.fs"); !maps.Equal(got, want) {
				t.Errorf("classes %v, want %v", got, want)
			}
		})
	}
}

// corpusClasses counts the records of a data file by their class.
func corpusClasses(t *testing.T, path string) map[string]int {
	t.Helper()
	file, err := fs.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	classes := map[string]int{}
	r := file.Reader(fs.FirstOffset, file.Size())
	for _, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		for {
			rec, err := r.NextRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if rec.Length == 0 {
				continue
			}
			data, err := r.Data()
			if err != nil {
				t.Fatal(err)
			}
			module, class, ok := pickle.ClassName(data)
			if !ok {
				t.Errorf("ClassName() of the record at %d has no class", rec.Offset)
			}
			classes[module+"."+class]++
		}
	}
	return classes
}
