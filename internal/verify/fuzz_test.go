package verify

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"zrs/internal/fs"
)

// FuzzCompare compares files of any bytes: it never panics, the relation is the
// mirrored one the other way round, and a file equals itself unless it is damaged.
func FuzzCompare(f *testing.F) {
	dir := f.TempDir()
	for _, name := range []string{"undo", "packed", "multi_undo", "pack_gc_bug", "damage_base"} {
		data, err := os.ReadFile("../../testdata/corpus/" + name + "/Data.fs")
		if err != nil {
			f.Fatal(err)
		}
		other, err := os.ReadFile("../../testdata/corpus/" + name + "/Data.fs.old")
		if err != nil {
			other = data[:len(data)/2]
		}
		f.Add(data, other)
	}
	paths := [2]string{filepath.Join(dir, "a.fs"), filepath.Join(dir, "b.fs")}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var sources [2]*Source
		for i, data := range [][]byte{a, b} {
			if err := os.WriteFile(paths[i], data, 0o666); err != nil {
				t.Fatal(err)
			}
			file, err := fs.OpenFile(paths[i])
			if errors.Is(err, fs.ErrFormat) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			sources[i] = FileSource(file, nil)
		}
		opts := CompareOptions{List: 3}
		ctx := context.Background()
		ab, err := Compare(ctx, sources[0], sources[1], opts)
		if err != nil {
			t.Fatal(err)
		}
		ba, err := Compare(ctx, sources[1], sources[0], opts)
		if err != nil {
			t.Fatal(err)
		}
		// Where one of them is damaged, it may be met earlier or later.
		if ba.Relation != ab.Relation.mirrored() ||
			ab.Relation != Damaged && (ab.Transactions != ba.Transactions || ab.LastCommon != ba.LastCommon) {
			t.Errorf("%s, %d transactions, last common %s; the other way round %s, %d, %s",
				ab.Relation, ab.Transactions, ab.LastCommon, ba.Relation, ba.Transactions, ba.LastCommon)
		}
		same, err := Compare(ctx, sources[0], sources[0], opts)
		if err != nil {
			t.Fatal(err)
		}
		if same.Relation != Equal && same.Relation != Damaged || bytes.Equal(a, b) && ab.Relation != same.Relation {
			t.Errorf("with itself %s, with the other %s", same.Relation, ab.Relation)
		}
		d, err := DigestFile(ctx, sources[0].file, DigestOptions{})
		if (err == nil) != (same.Relation == Equal) {
			t.Errorf("with itself %s, digest %v, %v", same.Relation, d, err)
		}
	})
}
