package fs

import (
	"bytes"
	"errors"
	"fmt"
	iofs "io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestReprHex(t *testing.T) {
	for _, v := range loadVectors(t).OIDRepr {
		if got := reprHex(uint64(v.OID)); got != v.Text {
			t.Errorf("reprHex(%v) = %s, want %s", OID(v.OID), got, v.Text)
		}
		if got, ok := parseReprHex(v.Text, 8); got != uint64(v.OID) || !ok {
			t.Errorf("parseReprHex(%s) = %x, %v, want %v", v.Text, got, ok, OID(v.OID))
		}
	}
	for _, s := range []string{
		"", "0x", "0x0", "0x1", "0x001", "0x0000", "0x0001", "0xAB", "0Xab", "ab", "0xgg", "0x-1",
		"0x010000000000000000", " 0x01", "0x01 ", "0x01.blob", "..", "0x../",
	} {
		if v, ok := parseReprHex(s, 8); ok {
			t.Errorf("parseReprHex(%q) = %x, want none", s, v)
		}
	}
	if v, ok := parseReprHex("0x0100", 1); ok {
		t.Errorf("parseReprHex() of 2 bytes as 1 = %x", v)
	}
}

func TestBlobDir_Path(t *testing.T) {
	for _, v := range loadVectors(t).BlobPath {
		for layout, want := range map[blobLayout]string{layoutBushy: v.Bushy, layoutLawn: v.Lawn} {
			d := BlobDir{path: "/blobs"}
			d.layout.Store(uint32(layout))
			want = filepath.Join("/blobs", filepath.FromSlash(want))
			if got := d.Path(OID(v.OID), v.TID); got != want {
				t.Errorf("Path(%v, %v) = %s, want %s", OID(v.OID), v.TID, got, want)
			}
		}
	}
}

// layoutTests are blob directories and the layout that ZODB would choose for
// them (ZODB.blob.auto_layout_select of ZODB 6.3).
var layoutTests = []struct {
	name  string
	make  []string // directories, and files with their content behind a colon
	want  blobLayout
	fails bool
}{
	{"empty", nil, layoutBushy, false},
	{"dot-files", []string{".removed:", ".hidden/"}, layoutBushy, false},
	{"bushy", []string{".layout:bushy", "tmp/"}, layoutBushy, false},
	{"lawn", []string{".layout:lawn", "tmp/"}, layoutLawn, false},
	{"blanks", []string{".layout:\n lawn \n"}, layoutLawn, false},
	{"layout-against-content", []string{".layout:bushy", "0x01/"}, layoutBushy, false},
	{"only-tmp", []string{"tmp/"}, layoutLawn, false},
	{"without-layout", []string{"0x01/", "tmp/"}, layoutLawn, false},
	{"foreign", []string{"README:hello"}, layoutLawn, false},
	{"unknown", []string{".layout:meadow"}, 0, true},
	{"no-name", []string{".layout:"}, 0, true},
	{"layout-is-a-directory", []string{".layout/"}, 0, true},
}

func TestBlobDir_Layout(t *testing.T) {
	for _, test := range layoutTests {
		t.Run(test.name, func(t *testing.T) {
			path := makeTree(t, test.make)
			before := listTree(t, path)
			d, err := OpenBlobDir(path)
			if (err != nil) != test.fails {
				t.Fatalf("OpenBlobDir() = %v", err)
			}
			if !test.fails && d.currentLayout() != test.want {
				t.Errorf("OpenBlobDir() chose layout %d, want %d", d.currentLayout(), test.want)
			}
			if after := listTree(t, path); !maps.Equal(before, after) {
				t.Errorf("OpenBlobDir() made %v of %v", after, before)
			}

			d, err = CreateBlobDir(path)
			if (err != nil) != test.fails {
				t.Fatalf("CreateBlobDir() = %v", err)
			}
			after := listTree(t, path)
			if !test.fails {
				if d.currentLayout() != test.want {
					t.Errorf("CreateBlobDir() chose layout %d, want %d", d.currentLayout(), test.want)
				}
				if _, ok := before[".layout"]; !ok {
					before[".layout"] = map[blobLayout]string{layoutBushy: "bushy", layoutLawn: "lawn"}[test.want]
				}
				before["tmp/"] = ""
			}
			if !maps.Equal(before, after) {
				t.Errorf("CreateBlobDir() made %v, want %v", after, before)
			}
		})
	}
}

func TestOpenBlobDir_Missing(t *testing.T) {
	if _, err := OpenBlobDir(filepath.Join(t.TempDir(), "blobs")); !errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("OpenBlobDir() = %v, want ErrNotExist", err)
	}
	if _, err := OpenBlobDir(writeFile(t, "blobs", nil)); err == nil {
		t.Error("OpenBlobDir() opened a file")
	}
}

// A server that makes its blob directory makes tmp first and .layout then.
func TestOpenBlobDir_BeforeLayout(t *testing.T) {
	path := makeTree(t, []string{"tmp/"})
	d, err := OpenBlobDir(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := d.Path(1, 2), filepath.Join(path, "0x01", "0x02.blob"); got != want {
		t.Errorf("Path() = %s, want %s", got, want)
	}
	if err := os.WriteFile(filepath.Join(path, ".layout"), []byte("bushy"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, want := d.Path(1, 2), filepath.Join(path, strings.Repeat("0x00/", 7), "0x01", "0x02.blob"); got != want {
		t.Errorf("Path() = %s, want %s", got, want)
	}
}

func TestOpenBlobDir_ChangesNothing(t *testing.T) {
	path := makeTree(t, []string{".layout:lawn", "0x01/0x02.blob:x"})
	before := listTree(t, path)
	d, err := OpenBlobDir(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Create(1, 3, 4); !errors.Is(err, errBlobDirReading) {
		t.Errorf("Create() = %v, want %v", err, errBlobDirReading)
	}
	if err := d.Remove(1, 2); !errors.Is(err, errBlobDirReading) {
		t.Errorf("Remove() = %v, want %v", err, errBlobDirReading)
	}
	if err := d.Sync(MaxOffset); !errors.Is(err, errBlobDirReading) {
		t.Errorf("Sync() = %v, want %v", err, errBlobDirReading)
	}
	if err := d.Discard(0); err != nil {
		t.Errorf("Discard() = %v", err)
	}
	if after := listTree(t, path); !maps.Equal(before, after) {
		t.Errorf("%v became %v", before, after)
	}
}

func TestCreateBlobDir_New(t *testing.T) {
	path := filepath.Join(t.TempDir(), "var", "blobstorage", "blobs")
	if _, err := CreateBlobDir(path + "/"); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{".layout": "bushy", "tmp/": ""}
	if got := listTree(t, path); !maps.Equal(got, want) {
		t.Errorf("CreateBlobDir() made %v, want %v", got, want)
	}
}

func TestCreateBlobDir_RemovesLeftovers(t *testing.T) {
	path := makeTree(t, []string{
		".layout:lawn", ".removed:0000000000000001\n", "0x01/0x02.blob:x", "0x03/",
		"tmp/zrs123.blob.tmp:ours", "tmp/secondaryab_c1blob:of zc.zrs",
		"tmp/BUCxyz:of an application", "tmp/tmpabc:of an undo", "tmp/CTFTabc.tmp:of a copy",
		"tmp/zrs.txt:foreign", "tmp/secondary:foreign", "tmp/zrsdir.blob.tmp/", "zrs1.blob.tmp:elsewhere",
	})
	early := time.Now().Add(-time.Minute)
	for _, name := range []string{"zrs123.blob.tmp", "secondaryab_c1blob"} {
		if err := os.Chtimes(filepath.Join(path, "tmp", name), early, early); err != nil {
			t.Fatal(err)
		}
	}
	late := time.Now().Add(time.Hour)
	if err := os.WriteFile(filepath.Join(path, "tmp", "zrslate.blob.tmp"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(path, "tmp", "zrslate.blob.tmp"), late, late); err != nil {
		t.Fatal(err)
	}
	want := listTree(t, path)
	delete(want, "tmp/zrs123.blob.tmp")
	delete(want, "tmp/secondaryab_c1blob")
	if _, err := CreateBlobDir(path); err != nil {
		t.Fatal(err)
	}
	if got := listTree(t, path); !maps.Equal(got, want) {
		t.Errorf("CreateBlobDir() left %v, want %v", got, want)
	}
}

func TestBlobDir_Corpus(t *testing.T) {
	for _, name := range []string{"blobs_bushy", "blobs_lawn"} {
		t.Run(name, func(t *testing.T) {
			d, err := OpenBlobDir(corpusPath(t, name+"/blobs"))
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for blob, err := range d.All() {
				if err != nil {
					t.Fatal(err)
				}
				n++
				if got := d.Path(blob.OID, blob.TID); got != blob.Path {
					t.Errorf("Path(%v, %v) = %s, want %s", blob.OID, blob.TID, got, blob.Path)
				}
				f, err := d.Open(blob.OID, blob.TID)
				if err != nil {
					t.Fatal(err)
				}
				info, err := f.Stat()
				if err != nil {
					t.Fatal(err)
				}
				if size, err := blob.Size(); err != nil || size != info.Size() {
					t.Errorf("Size() = %d, %v, want %d", size, err, info.Size())
				}
				f.Close()
			}
			if n != 9 {
				t.Errorf("All() has %d blobs, want 9", n)
			}
		})
	}
}

func TestBlobDir_OpenOld(t *testing.T) {
	d, err := OpenBlobDir(corpusPath(t, "blobs_packed/blobs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		oid OID
		tid TID
		dir string
	}{
		{1, 0x03f4c8b566666666, "blobs"}, // in both, one file
		{1, 0x03f4c8b562222222, "blobs.old"},
		{2, 0x03f4c8b562222222, "blobs.old"},
	} {
		f, err := d.Open(test.oid, test.tid)
		if err != nil {
			t.Error(err)
			continue
		}
		defer f.Close()
		if dir := string(filepath.Separator) + test.dir + string(filepath.Separator); !strings.Contains(f.Name(), dir) {
			t.Errorf("Open() = %s, want it in %s", f.Name(), test.dir)
		}
	}
	_, err = d.Open(2, 0x03f4c8b566666666)
	checkNoBlob(t, err, d.Path(2, 0x03f4c8b566666666))
}

func checkNoBlob(t *testing.T, err error, path string) {
	t.Helper()
	if !errors.Is(err, ErrNoBlob) || !errors.Is(err, iofs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want ErrNoBlob for %s", err, path)
	}
}

func TestBlobDir_OpenFails(t *testing.T) {
	path := makeTree(t, []string{".layout:lawn", "0x01/0x02.blob/", "0x03:not a directory"})
	d, err := OpenBlobDir(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, oid := range []OID{1, 3} {
		if f, err := d.Open(oid, 2); err == nil || errors.Is(err, ErrNoBlob) {
			t.Errorf("Open(%v) = %v, %v, want another error than ErrNoBlob", oid, f, err)
		}
	}
}

func TestBlobDir_Sync(t *testing.T) {
	for _, layout := range []string{"bushy", "lawn"} {
		t.Run(layout, func(t *testing.T) {
			d := newBlobDir(t, layout)
			want := make(map[string]string)
			for i := range 40 {
				oid, tid := OID(i%7), TID(1000+i)
				content := strings.Repeat("x", i*1000)
				writeBlob(t, d, oid, tid, int64(i/10), content)
				want[d.Path(oid, tid)] = content
				if _, err := d.Open(oid, tid); !errors.Is(err, ErrNoBlob) {
					t.Errorf("before Sync, Open() = %v, want ErrNoBlob", err)
				}
			}
			if err := d.Sync(10); err != nil {
				t.Fatal(err)
			}
			got := make(map[string]string)
			for blob, err := range d.All() {
				if err != nil {
					t.Fatal(err)
				}
				got[blob.Path] = readBlob(t, d, blob.OID, blob.TID)
				info, err := os.Stat(blob.Path)
				if err != nil {
					t.Fatal(err)
				}
				if got, want := info.Mode(), dirReadMode(t, blob.Path); got != want {
					t.Errorf("%s has mode %v, want %v", blob.Path, got, want)
				}
			}
			if !maps.Equal(got, want) {
				t.Errorf("%d blobs, not the %d that were written", len(got), len(want))
			}
			checkTempEmpty(t, d)
		})
	}
}

// dirReadMode returns the permissions that a blob has in its directory.
func dirReadMode(t *testing.T, path string) iofs.FileMode {
	t.Helper()
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	return 0o400 | info.Mode().Perm()&0o444
}

func TestBlobDir_Permissions(t *testing.T) {
	for _, test := range []struct{ dir, want iofs.FileMode }{
		{0o755, 0o444},
		{0o700, 0o400},
		{0o750, 0o440},
		{0o711, 0o400},
		{0o777, 0o444},
	} {
		d := newBlobDir(t, "lawn")
		path := d.Path(1, 2)
		if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Dir(path), test.dir); err != nil {
			t.Fatal(err)
		}
		writeBlob(t, d, 1, 2, 0, "x")
		if err := d.Sync(1); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != test.want {
			t.Errorf("in a directory of mode %v, a blob has %v, want %v", test.dir, info.Mode(), test.want)
		}
	}
}

func TestBlobDir_Replace(t *testing.T) {
	d := newBlobDir(t, "bushy")
	for _, content := range []string{"first", "second and longer", ""} {
		writeBlob(t, d, 1, 2, 0, content)
		if err := d.Sync(1); err != nil {
			t.Fatal(err)
		}
		if got := readBlob(t, d, 1, 2); got != content {
			t.Errorf("blob is %q, want %q", got, content)
		}
	}
	// Also twice in one batch: the later one counts.
	writeBlob(t, d, 1, 2, 0, "third")
	writeBlob(t, d, 1, 2, 0, "fourth")
	if err := d.Sync(1); err != nil {
		t.Fatal(err)
	}
	if got := readBlob(t, d, 1, 2); got != "fourth" {
		t.Errorf("blob is %q, want the later one", got)
	}
	checkTempEmpty(t, d)
}

// A Sync inside a transaction is for those before it.
func TestBlobDir_SyncInTransaction(t *testing.T) {
	d := newBlobDir(t, "lawn")
	writeBlob(t, d, 1, 10, 100, "done")
	writeBlob(t, d, 1, 20, 200, "in progress")
	open, err := d.Create(2, 20, 200)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Sync(200); err != nil {
		t.Fatal(err)
	}
	if got := readBlob(t, d, 1, 10); got != "done" {
		t.Errorf("blob is %q", got)
	}
	if _, err := d.Open(1, 20); !errors.Is(err, ErrNoBlob) {
		t.Errorf("blob of the transaction in progress: %v", err)
	}
	// Its directory has to be synced again, as it gets another name.
	if _, err := open.Write([]byte("more")); err != nil {
		t.Fatal(err)
	}
	if err := open.Commit(); err != nil {
		t.Fatal(err)
	}
	if err := d.Sync(300); err != nil {
		t.Fatal(err)
	}
	if got := readBlob(t, d, 1, 20) + readBlob(t, d, 2, 20); got != "in progressmore" {
		t.Errorf("blobs are %q", got)
	}
	checkTempEmpty(t, d)
}

func TestBlobDir_Discard(t *testing.T) {
	d := newBlobDir(t, "lawn")
	writeBlob(t, d, 1, 10, 100, "kept")
	writeBlob(t, d, 1, 20, 200, "aborted")
	open, err := d.Create(2, 20, 200)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Discard(200); err != nil {
		t.Fatal(err)
	}
	if _, err := open.Write([]byte("x")); err == nil {
		t.Error("Write() after Discard() worked")
	}
	if err := open.Commit(); err == nil {
		t.Error("Commit() after Discard() worked")
	}
	if err := open.Abort(); err != nil {
		t.Errorf("Abort() after Discard() = %v", err)
	}
	writeBlob(t, d, 3, 30, 200, "next")
	if err := d.Sync(1000); err != nil {
		t.Fatal(err)
	}
	want := []string{d.Path(1, 10), d.Path(3, 30)}
	if got := blobPaths(t, d); !slices.Equal(got, want) {
		t.Errorf("blobs are %v, want %v", got, want)
	}
	checkTempEmpty(t, d)
}

func TestBlobWriter_Abort(t *testing.T) {
	d := newBlobDir(t, "lawn")
	committed := writeBlob(t, d, 1, 10, 0, "committed")
	open, err := d.Create(2, 10, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []*BlobWriter{committed, open, open} {
		if err := w.Abort(); err != nil {
			t.Errorf("Abort() = %v", err)
		}
	}
	inPlace := writeBlob(t, d, 3, 10, 0, "in place")
	if err := d.Sync(1); err != nil {
		t.Fatal(err)
	}
	if err := inPlace.Abort(); err != nil {
		t.Errorf("Abort() of a blob in place = %v", err)
	}
	if err := inPlace.Commit(); err == nil {
		t.Error("Commit() of a blob in place worked")
	}
	if got, want := blobPaths(t, d), []string{d.Path(3, 10)}; !slices.Equal(got, want) {
		t.Errorf("blobs are %v, want %v", got, want)
	}
	checkTempEmpty(t, d)
}

func TestBlobDir_SyncIncomplete(t *testing.T) {
	d := newBlobDir(t, "lawn")
	if _, err := d.Create(1, 10, 0); err != nil {
		t.Fatal(err)
	}
	if err := d.Sync(1); err == nil {
		t.Error("Sync() took an incomplete blob")
	}
	checkFailed(t, d)
}

// An error of a sync is not lost, whoever waits for it, and stays.
func TestBlobDir_SyncFails(t *testing.T) {
	d := newBlobDir(t, "lawn")
	writeBlob(t, d, 1, 10, 0, "good")
	w, err := d.Create(2, 10, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.file.Close() // so that syncing it fails
	w.dir.start(w.file.Sync)
	w.state = blobCommitted
	if err := d.Sync(1); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Sync() = %v, want ErrClosed", err)
	}
	checkFailed(t, d)
}

func TestBlobDir_RenameFails(t *testing.T) {
	d := newBlobDir(t, "lawn")
	writeBlob(t, d, 1, 10, 0, "first")
	writeBlob(t, d, 2, 10, 0, "second")
	if err := os.MkdirAll(filepath.Join(d.Path(2, 10), "full"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := d.Sync(1); err == nil {
		t.Error("Sync() replaced a directory")
	}
	checkFailed(t, d)
}

func TestBlobDir_DirSyncFails(t *testing.T) {
	d := newBlobDir(t, "lawn")
	writeBlob(t, d, 1, 10, 0, "x")
	d.above.add(filepath.Join(d.path, "missing"))
	if err := d.Sync(1); !errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("Sync() = %v, want ErrNotExist", err)
	}
	checkFailed(t, d)
}

// checkFailed checks that nothing goes on after an error, but Discard does.
func checkFailed(t *testing.T, d *BlobDir) {
	t.Helper()
	want := d.failed()
	if want == nil {
		t.Fatal("no error stays")
	}
	if err := d.Sync(1); !errors.Is(err, want) {
		t.Errorf("Sync() = %v, want %v", err, want)
	}
	if _, err := d.Create(9, 9, 0); !errors.Is(err, want) {
		t.Errorf("Create() = %v, want %v", err, want)
	}
	if err := d.Discard(0); err != nil {
		t.Errorf("Discard() = %v", err)
	}
	checkTempEmpty(t, d)
}

func TestBlobWriter_Fails(t *testing.T) {
	d := newBlobDir(t, "lawn")
	w, err := d.Create(1, 10, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.file.Close()
	if _, err := w.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Write() = %v, want ErrClosed", err)
	}
	if n, err := w.Write(nil); n != 0 || !errors.Is(err, os.ErrClosed) {
		t.Errorf("Write() = %v, want ErrClosed again", err)
	}
	if err := w.Commit(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Commit() = %v, want ErrClosed", err)
	}
	if err := w.Abort(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Abort() = %v, want ErrClosed", err)
	}
	// The blob is gone, the directory is as before.
	writeBlob(t, d, 2, 10, 0, "x")
	if err := d.Sync(1); err != nil {
		t.Fatal(err)
	}

	// A file where a directory should be.
	if err := os.WriteFile(filepath.Join(d.path, "0x03"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	w, err = d.Create(3, 10, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err == nil {
		if err := d.Sync(1); err == nil {
			t.Error("a blob is below a file")
		}
	}
	if err := d.Discard(0); err != nil {
		t.Fatal(err)
	}
	checkTempEmpty(t, d)
}

// Which directories are synced: that of the blob always, one that got a new
// directory always, others above once.
func TestBlobDir_SyncedDirectories(t *testing.T) {
	d := newBlobDir(t, "bushy")
	level := func(oid OID, n int) string { // the n-th directory of an object's eight
		dir := filepath.Dir(d.Path(oid, 0))
		for range 8 - n {
			dir = filepath.Dir(dir)
		}
		return dir
	}
	levels := func(oid OID, from int) (dirs []string) {
		for n := from; n < 8; n++ {
			dirs = append(dirs, level(oid, n))
		}
		return dirs
	}
	if err := os.MkdirAll(level(1, 8), 0o755); err != nil { // by a run that crashed
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		oid   OID
		above []string
	}{
		{"existing", 1, levels(1, 0)},
		{"existing-again", 1, nil},
		{"neighbour", 2, levels(2, 7)},
		{"neighbour-again", 2, nil},
		{"other", 0x10000, levels(0x10000, 5)},
		{"other-again", 0x10000, nil},
	} {
		writeBlob(t, d, test.oid, 10, 0, "x")
		if got := slices.Sorted(maps.Keys(d.above)); !slices.Equal(got, test.above) {
			t.Errorf("%s: above are %v, want %v", test.name, got, test.above)
		}
		d.running.Wait()
		if err := d.batch[0].place(); err != nil {
			t.Fatal(err)
		}
		if got, want := slices.Sorted(maps.Keys(d.dirs)), []string{level(test.oid, 8)}; !slices.Equal(got, want) {
			t.Errorf("%s: directories are %v, want %v", test.name, got, want)
		}
		d.batch = nil
		if err := d.Sync(1); err != nil {
			t.Fatal(err)
		}
		if len(d.above)+len(d.dirs) != 0 {
			t.Errorf("%s: after Sync, %v and %v are left", test.name, d.above, d.dirs)
		}
	}
}

func TestBlobDir_Remove(t *testing.T) {
	d := newBlobDir(t, "bushy")
	writeBlob(t, d, 1, 10, 0, "x")
	if err := d.Sync(1); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(1, 10); err != nil {
		t.Fatal(err)
	}
	if err := d.Sync(1); err != nil {
		t.Fatal(err)
	}
	if got := blobPaths(t, d); len(got) != 0 {
		t.Errorf("blobs are %v, want none", got)
	}
	checkNoBlob(t, d.Remove(1, 10), d.Path(1, 10))
}

func TestBlobDir_All(t *testing.T) {
	path := makeTree(t, []string{
		".layout:lawn", ".removed:", "tmp/zrs1.blob.tmp:", "tmp/0x01.blob:",
		"0x01/0x02.blob:a", "0x01/0x0203.blob:bc", "0x0102/0x02.blob:",
		"0x01/0x02.blob.tmp:", "0x01/0x2.blob:", "0x01/0x02.BLOB:", "0x01/0xAB.blob:", "0x01/x.blob:", "0x01/0x04.blob/",
		"0x1/0x02.blob:", "0x0001/0x02.blob:", "foreign/0x02.blob:", "0x05/0x06/0x02.blob:", "0x07/", "0x08:",
		"0x111111111111111111/0x02.blob:",
	})
	if err := os.Symlink(filepath.Join(path, "0x0102"), filepath.Join(path, "0x09")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(path, "0x07", "0x02.blob")); err != nil {
		t.Fatal(err)
	}
	d, err := OpenBlobDir(path)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"0x01/0x02.blob", "0x01/0x0203.blob", "0x0102/0x02.blob", "0x09/0x02.blob"}
	for i := range want {
		want[i] = filepath.Join(path, filepath.FromSlash(want[i]))
	}
	if got := blobPaths(t, d); !slices.Equal(got, want) {
		t.Errorf("All() = %v, want %v", got, want)
	}
	for _, err := range d.All() {
		if err != nil {
			t.Error(err)
		}
		break
	}

	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	n := 0
	for blob, err := range d.All() {
		n++
		if !errors.Is(err, iofs.ErrNotExist) || blob.Path != path {
			t.Errorf("All() of a missing directory = %v, %v", blob, err)
		}
	}
	if n != 1 {
		t.Errorf("All() of a missing directory has %d pairs", n)
	}
}

// A directory that can't be read is told, and does not end the iteration.
func TestBlobDir_AllUnreadable(t *testing.T) {
	path := makeTree(t, []string{"file:", "0x01/0x02.blob:"})
	for _, goOn := range []bool{true, false} {
		n := 0
		// The directory became a file after it was looked at.
		got := walkBlobs(filepath.Join(path, "file"), 3, 0, 8, func(blob BlobFile, err error) bool {
			if n++; err == nil || blob.Path != filepath.Join(path, "file") {
				t.Errorf("yielded %v, %v, want an error", blob, err)
			}
			return goOn
		})
		if got != goOn || n != 1 {
			t.Errorf("walkBlobs() = %v after %d pairs, want %v after 1", got, n, goOn)
		}
	}
	// One that a pack took away meanwhile is not told.
	if !walkBlobs(filepath.Join(path, "missing"), 3, 0, 8, nil) {
		t.Error("walkBlobs() of a missing directory stopped")
	}
}

// Others read while blobs are written.
func TestBlobDir_Concurrent(t *testing.T) {
	d := newBlobDir(t, "bushy")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 100 {
			if f, err := d.Open(OID(i%10), TID(i)); err == nil {
				f.Close()
			}
			for _, err := range d.All() {
				if err != nil {
					t.Error(err)
				}
			}
		}
	}()
	for i := range 100 {
		writeBlob(t, d, OID(i%10), TID(i), int64(i), "x")
		if i%10 == 9 {
			if err := d.Sync(int64(i)); err != nil {
				t.Error(err)
			}
		}
	}
	<-done
	if err := d.Sync(100); err != nil {
		t.Error(err)
	}
	if got := len(blobPaths(t, d)); got != 100 {
		t.Errorf("%d blobs, want 100", got)
	}
}

func newBlobDir(t testing.TB, layout string) *BlobDir {
	t.Helper()
	d, err := CreateBlobDir(makeTree(t, []string{".layout:" + layout}))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// writeBlob commits a blob, in several pieces.
func writeBlob(t testing.TB, d *BlobDir, oid OID, tid TID, txn int64, content string) *BlobWriter {
	t.Helper()
	w, err := d.Create(oid, tid, txn)
	if err != nil {
		t.Fatal(err)
	}
	for piece := range slices.Chunk([]byte(content), 1000) {
		if _, err := w.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	return w
}

func readBlob(t *testing.T, d *BlobDir, oid OID, tid TID) string {
	t.Helper()
	f, err := d.Open(oid, tid)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(f); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// blobPaths returns the sorted paths of all blobs.
func blobPaths(t *testing.T, d *BlobDir) (paths []string) {
	t.Helper()
	for blob, err := range d.All() {
		if err != nil {
			t.Fatal(err)
		}
		paths = append(paths, blob.Path)
	}
	slices.Sort(paths)
	return paths
}

func checkTempEmpty(t *testing.T, d *BlobDir) {
	t.Helper()
	names, err := os.ReadDir(filepath.Join(d.path, tempDir))
	if err != nil || len(names) != 0 {
		t.Errorf("tmp has %v, %v", names, err)
	}
}

// makeTree makes a directory of entries: "dir/", "file:content".
func makeTree(t testing.TB, entries []string) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "blobs")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name, content, isFile := strings.Cut(entry, ":")
		path := filepath.Join(root, filepath.FromSlash(name))
		dir := path
		if isFile {
			dir = filepath.Dir(path)
		}
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if !isFile {
			continue
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// listTree returns all files with their content, and all directories.
func listTree(t *testing.T, root string) map[string]string {
	t.Helper()
	tree := make(map[string]string)
	err := filepath.WalkDir(root, func(path string, e iofs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		name := filepath.ToSlash(path[len(root)+1:])
		if e.IsDir() {
			tree[name+"/"] = ""
			return nil
		}
		content, err := os.ReadFile(path)
		tree[name] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// Blobs of 1 MiB and of 20 KB, 100 to a batch, each in a directory of its own.
func BenchmarkBlobDir(b *testing.B) {
	for _, size := range []int{1 << 20, 20_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			d := newBlobDir(b, "bushy")
			block := bytes.Repeat([]byte("0123456789abcdef"), 4096)
			b.SetBytes(int64(size))
			i := 0
			for b.Loop() {
				w, err := d.Create(OID(i), 10, 0)
				if err != nil {
					b.Fatal(err)
				}
				for left := size; left > 0; left -= len(block) {
					if _, err := w.Write(block[:min(left, len(block))]); err != nil {
						b.Fatal(err)
					}
				}
				if err := w.Commit(); err != nil {
					b.Fatal(err)
				}
				if i++; i%100 == 0 {
					if err := d.Sync(1); err != nil {
						b.Fatal(err)
					}
				}
			}
			if err := d.Sync(1); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "blobs/s")
		})
	}
}
