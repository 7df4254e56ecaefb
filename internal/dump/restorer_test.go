package dump

import (
	"bytes"
	"context"
	"errors"
	"io"
	iofs "io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zrs/internal/fs"
)

// differsRestored are the packed files that do not come back byte for byte: their
// previous pointers lead elsewhere than a writer that sees the records for the
// first time makes them. What they mean is the same.
var differsRestored = map[string]bool{
	"pack_gc_bug/Data.fs":          true,
	"pack_multi_undo_bug/Data.fs":  true,
	"packed_two_revisions/Data.fs": true,
}

// In the order of the file, a dump comes back byte for byte; otherwise it comes
// back the same.
func TestRestorer_Restore(t *testing.T) {
	for _, name := range corpusFiles(t) {
		t.Run(name, func(t *testing.T) {
			path := corpusPath(name)
			for _, d := range []*Dumper{{Disk: true}, {}} {
				copied := filepath.Join(t.TempDir(), "Data.fs")
				text := mustDump(t, d, path)
				r := &Restorer{}
				if err := restoreTo(t.Context(), r, bytes.NewReader(text), copied, fs.WriterOptions{}); err != nil {
					t.Fatal(err)
				}
				if got := mustDump(t, d, copied); !bytes.Equal(got, text) {
					t.Errorf("dumped again:\n%s\nwant:\n%s", got, text)
				}
				if same := bytes.Equal(readFile(t, copied), readFile(t, path)); d.Disk && same == differsRestored[name] {
					t.Errorf("restored from the order of the file: same bytes is %v", same)
				}
				if txns := int64(bytes.Count(text, []byte("\nextension "))); r.Stats.Transactions.Load() != txns {
					t.Errorf("counted %d transactions, want %d", r.Stats.Transactions.Load(), txns)
				}
			}
		})
	}
}

// A dump in two parts gives the same file as one.
func TestRestorer_Restore_parts(t *testing.T) {
	for _, name := range []string{"undo/Data.fs", "undo_creation/Data.fs", "multi_undo/Data.fs", "packed/Data.fs.old"} {
		t.Run(name, func(t *testing.T) {
			text := mustDump(t, &Dumper{Disk: true}, corpusPath(name))
			for cut := 1; ; cut++ {
				at := nthIndex(text, "\n\ntxn ", cut)
				if at < 0 {
					break
				}
				at += 2
				copied := filepath.Join(t.TempDir(), "Data.fs")
				for _, part := range [][]byte{text[:at], text[at:]} {
					if err := restoreTo(t.Context(), &Restorer{}, bytes.NewReader(part), copied, fs.WriterOptions{}); err != nil {
						t.Fatalf("cut after %d transactions: %v", cut, err)
					}
				}
				if !bytes.Equal(readFile(t, copied), readFile(t, corpusPath(name))) {
					t.Fatalf("cut after %d transactions: differs", cut)
				}
			}
		})
	}
}

// nthIndex returns where sep begins for the nth time, -1 if it does not.
func nthIndex(b []byte, sep string, n int) int {
	at := -1
	for range n {
		next := bytes.Index(b[at+1:], []byte(sep))
		if next < 0 {
			return -1
		}
		at += 1 + next
	}
	return at
}

// What fails is taken back: the data file stays as it was.
func TestRestorer_Restore_errors(t *testing.T) {
	text := string(mustDump(t, &Dumper{Disk: true}, corpusPath("undo/Data.fs")))
	second := strings.Index(text, "\n\ntxn ") + 2
	third := second + strings.Index(text[second:], "\n\ntxn ") + 2
	for _, tt := range []struct {
		name, in string
		want     error
	}{
		{"checksum", strings.Replace(text, "sha1:723f", "sha1:723e", 1), ErrChecksum},
		{"cut", text[:len(text)-1], ErrCutShort},
		{"hash-only", string(mustDump(t, &Dumper{HashOnly: true}, corpusPath("undo/Data.fs"))), ErrHashOnly},
		{"repeated", text + text[second:], ErrSyntax},
		{"missing-revision", text[:second] + text[third:], nil},
		{"later-revision", strings.Replace(text, "from 03f496155ddddddd", "from 03f496155ddddddc", 1), fs.ErrNoRevision},
		{"unknown-object", strings.Replace(text, "obj 0000000000000001 from", "obj 0000000000000009 from", 1), fs.ErrNoRevision},
		{"status", strings.Replace(text, `txn 03f4961566666666 " "`, `txn 03f4961566666666 "x"`, 1), ErrSyntax},
		{"garbage", text + "garbage\n", ErrSyntax},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "Data.fs")
			if err := restoreTo(t.Context(), &Restorer{Until: 0x03f496155ddddddd}, strings.NewReader(text), path, fs.WriterOptions{}); err != nil {
				t.Fatal(err)
			}
			before := readFile(t, path)
			err := restoreTo(t.Context(), &Restorer{}, strings.NewReader(tt.in[strings.Index(tt.in, "\n\ntxn ")+2:]), path, fs.WriterOptions{})
			if !errors.Is(err, tt.want) {
				t.Fatalf("Restore() = %v, want %v", err, tt.want)
			}
			if tt.want != nil && !bytes.Equal(readFile(t, path), before) {
				t.Errorf("Restore() = %v, and the file was changed", err)
			}
		})
	}
	t.Run("overlap", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "Data.fs")
		for i, want := range []error{nil, fs.ErrTIDOrder} {
			if err := restoreTo(t.Context(), &Restorer{}, strings.NewReader(text), path, fs.WriterOptions{}); !errors.Is(err, want) {
				t.Fatalf("Restore() number %d = %v, want %v", i, err, want)
			}
		}
		if !bytes.Equal(readFile(t, path), readFile(t, corpusPath("undo/Data.fs"))) {
			t.Error("the file was changed")
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "Data.fs")
		ctx, cancel := context.WithCancel(t.Context())
		in := io.MultiReader(strings.NewReader(text[:third]), readerFunc(func([]byte) (int, error) {
			cancel()
			return 0, io.EOF
		}), strings.NewReader(text[third:]))
		if err := restoreTo(ctx, &Restorer{}, in, path, fs.WriterOptions{}); !errors.Is(err, context.Canceled) {
			t.Fatalf("Restore() = %v", err)
		}
		if got := len(readFile(t, path)); got != int(fs.FirstOffset) {
			t.Errorf("the file has %d bytes", got)
		}
	})
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// An object that had no revision in the transaction that is named has the data
// that it had then, as zodbtools restores it.
func TestRestorer_Restore_asOf(t *testing.T) {
	text := string(mustDump(t, &Dumper{}, corpusPath("undo/Data.fs")))
	text = strings.Replace(text, "from 03f496155ddddddd", "from 03f4961562222221", 1)
	path := filepath.Join(t.TempDir(), "Data.fs")
	if err := restoreTo(t.Context(), &Restorer{}, strings.NewReader(text), path, fs.WriterOptions{}); err != nil {
		t.Fatal(err)
	}
	got := string(mustDump(t, &Dumper{HashOnly: true}, path))
	const want = "txn 03f4961566666666 \" \"\nuser \"\"\ndescription \"undo v=2\"\nextension \"\"\n" +
		"obj 0000000000000001 75 sha1:256b6a83c4f081a8fa0a1a297053d7f25053aa0c -\n"
	if !strings.Contains(got, want) {
		t.Errorf("dump:\n%s\nwant in it:\n%s", got, want)
	}
}

// Transactions of status u are left out and counted.
func TestRestorer_Restore_undone(t *testing.T) {
	text := mustDump(t, &Dumper{}, corpusPath("status_u/Data.fs"))
	r := &Restorer{}
	path := filepath.Join(t.TempDir(), "Data.fs")
	if err := restoreTo(t.Context(), r, bytes.NewReader(text), path, fs.WriterOptions{}); err != nil {
		t.Fatal(err)
	}
	if r.Undone != 1 || r.Stats.Transactions.Load() != 5 {
		t.Errorf("%d transactions left out and %d restored, want 1 and 5", r.Undone, r.Stats.Transactions.Load())
	}
}

func TestRestorer_Restore_blobs(t *testing.T) {
	source := corpusPath("blobs_bushy/Data.fs")
	dir := t.TempDir()
	from, err := fs.OpenBlobDir(corpusPath("blobs_bushy/blobs"))
	if err != nil {
		t.Fatal(err)
	}
	to, err := fs.CreateBlobDir(filepath.Join(dir, "carried"))
	if err != nil {
		t.Fatal(err)
	}
	c := &BlobCopier{From: from, To: to}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Copy(ctx, 2, 0x03f4bd756aaaaaaa); !errors.Is(err, context.Canceled) || c.Copied > 0 {
		t.Fatalf("interrupted: %v, copied %d blobs", err, c.Copied)
	}
	blob := func(oid fs.OID, tid fs.TID) error { return c.Copy(t.Context(), oid, tid) }
	text := mustDump(t, &Dumper{Blob: blob}, source)
	if err := c.Sync(); err != nil || c.Copied != 9 || c.Lost != 0 {
		t.Fatalf("Sync() = %v, copied %d blobs, lost %d", err, c.Copied, c.Lost)
	}
	sameBlobs(t, from, to)

	missing := 0
	restored := filepath.Join(dir, "blobs")
	r := &Restorer{Blobs: to, Missing: func(fs.OID, fs.TID, error) { missing++ }}
	opts := fs.WriterOptions{BlobDir: restored}
	if err := os.Remove(to.Path(2, 0x03f4bd756aaaaaaa)); err != nil {
		t.Fatal(err)
	}
	if err := restoreTo(t.Context(), r, bytes.NewReader(text), filepath.Join(dir, "Data.fs"), opts); err != nil {
		t.Fatal(err)
	}
	if r.BlobCount != 9 || r.Copied != 8 || r.Lost != 1 || missing != 1 {
		t.Errorf("%d blobs, %d copied, %d lost, %d told", r.BlobCount, r.Copied, r.Lost, missing)
	}
	got, err := fs.OpenBlobDir(restored)
	if err != nil {
		t.Fatal(err)
	}
	sameBlobs(t, to, got)
}

// sameBlobs fails unless two directories have the same blobs.
func sameBlobs(t *testing.T, a, b *fs.BlobDir) {
	t.Helper()
	for _, pair := range [][2]*fs.BlobDir{{a, b}, {b, a}} {
		for blob, err := range pair[0].All() {
			if err != nil {
				t.Fatal(err)
			}
			other, err := pair[1].Open(blob.OID, blob.TID)
			if errors.Is(err, fs.ErrNoBlob) || errors.Is(err, iofs.ErrNotExist) {
				t.Errorf("%s has no counterpart", blob.Path)
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(other)
			other.Close()
			if err != nil || !bytes.Equal(got, readFile(t, blob.Path)) {
				t.Errorf("%s and %s differ: %v", blob.Path, other.Name(), err)
			}
		}
	}
}
