package dump

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"

	"zrs/internal/fs"
)

// A feed writes what is there and what comes, and ends when it is told to.
func TestDumper_Follow(t *testing.T) {
	source := corpusPath("undo/Data.fs")
	text := mustDump(t, &Dumper{Disk: true}, source)
	half := nthIndex(text, "\n\ntxn ", 3) + 2
	w, err := fs.OpenWriter(t.Context(), filepath.Join(t.TempDir(), "Data.fs"), fs.WriterOptions{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	add := func(part []byte) {
		t.Helper()
		r := &Restorer{Open: func() (*fs.Writer, error) { return w, nil }, Until: fs.MaxTID, After: w.LastTID()}
		if err := errors.Join(r.Restore(t.Context(), NewDecoder(bytes.NewReader(part))), w.Sync()); err != nil {
			t.Fatal(err)
		}
	}
	add(text[:half])
	c, err := w.Log().After(0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var b bytes.Buffer
	idle := 0
	err = (&Dumper{Disk: true}).Follow(ctx, &b, w.Log(), c, 0, fs.MaxTID, func() error {
		switch idle++; {
		case idle == 1:
			if !bytes.Equal(b.Bytes(), text[:half]) {
				t.Errorf("at first:\n%s\nwant:\n%s", b.Bytes(), text[:half])
			}
			add(text[half:])
		case b.Len() == len(text):
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || !bytes.Equal(b.Bytes(), text) {
		t.Errorf("Follow() = %v, wrote:\n%s\nwant:\n%s", err, b.Bytes(), text)
	}
}
