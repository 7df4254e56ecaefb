package verify

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"zrs/internal/fs"
)

// indexed writes a data file with an index of our own making.
func indexed(t *testing.T, data []byte, change func(*fs.Index), end int64) string {
	t.Helper()
	path := writeFile(t, data)
	_, idx, done, err := fs.OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	done()
	change(idx)
	if err := fs.WriteIndexFile(path+".index", idx, end); err != nil {
		t.Fatal(err)
	}
	return path
}

// A file of no bytes is a note, and damage if there was a database.
func TestSound_NoBytes(t *testing.T) {
	blobs, err := fs.OpenBlobDir(corpusDir + "/blobs_bushy/blobs")
	if err != nil {
		t.Fatal(err)
	}
	none, err := fs.OpenBlobDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	base := corpusFile(t, "damage_base/Data.fs")
	for _, tt := range []struct {
		name    string
		indexed bool
		blobs   *fs.BlobDir
		want    error
	}{
		{"alone", false, nil, nil},
		{"no-blobs", false, none, nil},
		{"index", true, nil, ErrUnsound},
		{"blobs", false, blobs, ErrUnsound},
	} {
		path := writeFile(t, nil)
		if tt.indexed {
			path = indexed(t, base, func(*fs.Index) {}, int64(len(base)))
			rewrite(t, path, nil)
		}
		o := sound(t, path, Options{Blobs: tt.blobs})
		if !errors.Is(o.Err(), tt.want) || len(o.findings) != 1 || o.findings[0].Kind != KindNoBytes || o.findings[0].Offset != NoOffset {
			t.Errorf("%s: %v, %+v", tt.name, o.Err(), o.findings)
		}
	}
}

func TestSound_Index(t *testing.T) {
	base := corpusFile(t, "damage_base/Data.fs")
	size := int64(len(base))
	kept := func(*fs.Index) {}
	tests := []struct {
		name   string
		change func(*fs.Index)
		end    int64
		state  IndexState
		kinds  []fs.Kind
	}{
		{"current", kept, size, IndexCurrent, nil},
		{"wrong-offset", func(x *fs.Index) { x.Set(0, 38) }, size, IndexWrong, []fs.Kind{KindEntry}},
		{"older-revision", func(x *fs.Index) { x.Set(0, 312) }, size, IndexWrong, []fs.Kind{KindEntry}},
		{"other-object", func(x *fs.Index) { off, _ := x.Get(1); x.Set(2, off) }, size, IndexWrong, []fs.Kind{KindEntry}},
		{"outside", func(x *fs.Index) { x.Set(3, 1<<40) }, size, IndexWrong, []fs.Kind{KindEntry}},
		{"missing", func(x *fs.Index) { x.Delete(4) }, size, IndexWrong, []fs.Kind{KindMissing}},
		{"extra", func(x *fs.Index) { x.Set(77, 600) }, size, IndexWrong, []fs.Kind{KindExtra}},
		{"exchanged", func(x *fs.Index) { x.Delete(4); x.Set(77, 600) }, size, IndexWrong, []fs.Kind{KindExtra, KindMissing}},
		{"end-inside", kept, size - 1, IndexForeign, nil},
		{"end-behind", kept, size + 1000, IndexForeign, nil},
		{"end-before-its-entries", kept, 1379, IndexWrong, []fs.Kind{KindEntry, KindExtra}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := indexed(t, base, tt.change, tt.end)
			defer unchanged(t, filepath.Dir(path))()
			o := sound(t, path, Options{})
			var kinds []fs.Kind
			for _, f := range o.findings {
				kinds = append(kinds, f.Kind)
				if f.File != path+".index" || !f.HasOID {
					t.Errorf("%+v", f)
				}
			}
			if o.Index != tt.state || !slices.Equal(kinds, tt.kinds) || (o.Err() != nil) != (len(kinds) > 0) {
				t.Errorf("index %s (%s), findings %+v, want %s and %v", o.Index, o.IndexDetail, o.findings, tt.state, tt.kinds)
			}
		})
	}
}

// TestSound_OldIndex has an index of each state that the file was ever in: right
// up to where it ends.
func TestSound_OldIndex(t *testing.T) {
	base := corpusFile(t, "realistic_200/Data.fs")
	path := writeFile(t, base)
	rewrite(t, path+".index", corpusFile(t, "realistic_200/Data.fs.index.at100"))
	if o := sound(t, path, Options{}); o.Index != IndexBehind || o.Err() != nil {
		t.Errorf("index %s, %+v", o.Index, o.findings)
	}
	small := corpusFile(t, "undo/Data.fs")
	path = writeFile(t, small)
	end := int64(0)
	for txn, err := range fs.NewReader(bytes.NewReader(small), "", fs.FirstOffset, int64(len(small))).All() {
		if err != nil {
			t.Fatal(err)
		}
		end = txn.End()
		prefix := indexed(t, small[:end], func(*fs.Index) {}, end)
		data, err := os.ReadFile(prefix + ".index")
		if err != nil {
			t.Fatal(err)
		}
		rewrite(t, path+".index", data)
		want := IndexBehind
		if end == int64(len(small)) {
			want = IndexCurrent
		}
		if o := sound(t, path, Options{}); o.Index != want || o.Err() != nil {
			t.Errorf("index up to %d: %s, %+v", end, o.Index, o.findings)
		}
	}
}

// TestSound_IndexGarbage has an index cut at every byte, and of garbage.
func TestSound_IndexGarbage(t *testing.T) {
	index := corpusFile(t, "damage_base/Data.fs.index")
	path := writeFile(t, corpusFile(t, "damage_base/Data.fs"))
	for n := range index {
		rewrite(t, path+".index", index[:n])
		if o := sound(t, path, Options{}); o.Index != IndexUnusable || o.IndexDetail == "" || o.Err() != nil {
			t.Errorf("cut at %d: index %s, %+v", n, o.Index, o.findings)
		}
	}
	for i := range index {
		bad := bytes.Clone(index)
		bad[i] ^= 1
		rewrite(t, path+".index", bad)
		if o := sound(t, path, Options{}); o.Index == IndexCurrent && index[i] != 3 { // the number of the protocol is no matter
			t.Errorf("byte %d changed: index %s", i, o.Index)
		}
	}
}

// TestSound_Blobs plants what may be wrong with the files of blobs.
func TestSound_Blobs(t *testing.T) {
	for _, layout := range []string{"blobs_bushy", "blobs_lawn"} {
		data := corpusFile(t, layout+"/Data.fs")
		var oid fs.OID = 2
		tests := []struct {
			name   string
			change func(t *testing.T, b *fs.BlobDir, path string, tid fs.TID)
			check  func(r *Report) bool
			kind   fs.Kind
			err    error
		}{
			{"sound", func(*testing.T, *fs.BlobDir, string, fs.TID) {}, func(r *Report) bool { return r.Blobs == 9 && r.BlobsMissing == 0 }, "", nil},
			{
				"missing", func(t *testing.T, _ *fs.BlobDir, path string, _ fs.TID) { remove(t, path) },
				func(r *Report) bool { return r.Blobs == 8 && r.BlobsMissing == 1 }, KindBlob, ErrIncomplete,
			},
			{"empty", func(t *testing.T, _ *fs.BlobDir, path string, _ fs.TID) {
				remove(t, path)
				rewrite(t, path, nil)
			}, func(r *Report) bool { return r.Blobs == 9 && r.BlobsEmpty >= 1 }, "", nil},
			{
				"extra-revision", func(t *testing.T, b *fs.BlobDir, _ string, tid fs.TID) { rewrite(t, b.Path(oid, tid+1), nil) },
				func(r *Report) bool { return r.BlobsExtra == 1 && r.Notes == 1 }, KindExtraBlob, nil,
			},
			{"extra-object", func(t *testing.T, b *fs.BlobDir, _ string, tid fs.TID) {
				path := b.Path(0x1234, tid)
				if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
					t.Fatal(err)
				}
				rewrite(t, path, []byte("x"))
			}, func(r *Report) bool { return r.BlobsExtra == 1 }, KindExtraBlob, nil},
			{
				"not-yet-committed", func(t *testing.T, b *fs.BlobDir, _ string, tid fs.TID) { rewrite(t, b.Path(oid, tid+1<<32), nil) },
				func(r *Report) bool { return r.BlobsExtra == 0 }, "", nil,
			},
			{"directory", func(t *testing.T, _ *fs.BlobDir, path string, _ fs.TID) {
				remove(t, path)
				if err := os.Mkdir(path, 0o777); err != nil {
					t.Fatal(err)
				}
			}, func(r *Report) bool { return r.Blobs == 8 && r.BlobsMissing == 0 }, KindBlobFile, ErrUnsound},
			{"dead-link", func(t *testing.T, _ *fs.BlobDir, path string, _ fs.TID) {
				remove(t, path)
				if err := os.Symlink("nowhere", path); err != nil {
					t.Fatal(err)
				}
			}, func(r *Report) bool { return r.BlobsMissing == 1 }, KindBlob, ErrIncomplete},
		}
		for _, tt := range tests {
			t.Run(layout+"/"+tt.name, func(t *testing.T) {
				path := writeFile(t, data)
				dir := filepath.Join(filepath.Dir(path), "blobs")
				if err := os.CopyFS(dir, os.DirFS(filepath.Join(corpusDir, layout, "blobs"))); err != nil {
					t.Fatal(err)
				}
				blobs, err := fs.OpenBlobDir(dir)
				if err != nil {
					t.Fatal(err)
				}
				var file fs.BlobFile
				for f, err := range blobs.All() {
					if err == nil && f.OID == oid && (file.TID == 0 || f.TID < file.TID) {
						file = f
					}
				}
				tt.change(t, blobs, file.Path, file.TID)
				defer unchanged(t, filepath.Dir(path))()
				o := sound(t, path, Options{Blobs: blobs})
				if !tt.check(o.Report) || o.Err() != tt.err { //nolint:errorlint // exactly that one
					t.Errorf("%+v %v", o.Report, o.findings)
				}
				if (tt.kind == "") != (len(o.findings) == 0) || tt.kind != "" && o.findings[0].Kind != tt.kind {
					t.Errorf("findings %+v, want %q", o.findings, tt.kind)
				}
				if o.BlobRecords != 9 {
					t.Errorf("%d blob records", o.BlobRecords)
				}
			})
		}
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// TestSound_Replaced has a file that a pack replaced before it was verified: the
// index and the blobs at its name are not its own.
func TestSound_Replaced(t *testing.T) {
	path := writeFile(t, corpusFile(t, "blobs_packed/Data.fs.old"))
	dir := filepath.Join(filepath.Dir(path), "blobs")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(corpusDir, "blobs_packed", "blobs"))); err != nil {
		t.Fatal(err)
	}
	blobs, err := fs.OpenBlobDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	f, err := fs.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	rewrite(t, path, corpusFile(t, "blobs_packed/Data.fs"))
	rewrite(t, path+".index", corpusFile(t, "blobs_packed/Data.fs.index"))
	r, err := Sound(t.Context(), f, Options{Blobs: blobs})
	if err != nil || r.Err() != nil || !r.Replaced || r.BlobsMissing != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
