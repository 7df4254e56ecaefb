package dump

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zrs/internal/fs"
)

// corpusDir holds files made by the real ZODB; its README.md says how.
const corpusDir = "../../testdata/corpus"

func corpusPath(name string) string { return filepath.Join(corpusDir, filepath.FromSlash(name)) }

// corpusFiles returns the names of the sound data files of the corpus.
func corpusFiles(t testing.TB) []string {
	t.Helper()
	var names []string
	for _, pattern := range []string{"*/Data.fs", "*/Data.fs.old"} {
		paths, err := filepath.Glob(corpusPath(pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			name, _ := filepath.Rel(corpusDir, path)
			switch strings.Split(filepath.ToSlash(name), "/")[0] {
			case "midcommit", "py2_fs21", "status_u", "tid_out_of_order":
			default:
				names = append(names, filepath.ToSlash(name))
			}
		}
	}
	if len(names) < 20 {
		t.Fatalf("the corpus has only %d files", len(names))
	}
	return names
}

// dumpFile returns the dump of a data file, which must stay as it is.
func dumpFile(t testing.TB, d *Dumper, path string) (text []byte, tail, err error) {
	t.Helper()
	unchanged := watch(t, path)
	defer unchanged()
	f, err := fs.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b bytes.Buffer
	tail, err = d.Dump(t.Context(), &b, f, fs.Place{Offset: fs.FirstOffset}, fs.MaxTID)
	return b.Bytes(), tail, err
}

// mustDump is dumpFile for sound files.
func mustDump(t testing.TB, d *Dumper, path string) []byte {
	t.Helper()
	text, tail, err := dumpFile(t, d, path)
	if tail != nil || err != nil {
		t.Fatalf("Dump(%s) = %v, %v", path, tail, err)
	}
	return text
}

// watch returns a function that fails the test if the file's bytes or its
// modification time have changed.
func watch(t testing.TB, path string) func() {
	t.Helper()
	look := func() ([]byte, time.Time) {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return b, fi.ModTime()
	}
	before, at := look()
	return func() {
		t.Helper()
		if after, now := look(); !bytes.Equal(after, before) || !now.Equal(at) {
			t.Errorf("%s was changed", path)
		}
	}
}

// restoreTo restores a dump into the data file path, and closes it.
func restoreTo(ctx context.Context, r *Restorer, dump io.Reader, path string, opts fs.WriterOptions) error {
	opts.Create = true
	w, err := fs.OpenWriter(ctx, path, opts)
	if err != nil {
		return err
	}
	if r.Until == 0 {
		r.Until = fs.MaxTID
	}
	r.After = w.LastTID()
	r.Open = func() (*fs.Writer, error) { return w, nil }
	if err := r.Restore(ctx, NewDecoder(dump)); err != nil {
		return errors.Join(err, w.Rollback(), w.Close())
	}
	return w.Close()
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
