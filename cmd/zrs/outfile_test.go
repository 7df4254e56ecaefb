package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"zrs/internal/fs"
)

// TestOutFile has two runs that write the same file, and one that was killed.
func TestOutFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	open := func() *outFile {
		t.Helper()
		o, err := openOutput(nil, path, false)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	if err := os.WriteFile(path+".part", []byte("what a killed one has left, and it is long"), 0o600); err != nil {
		t.Fatal(err)
	}
	first := open()
	if _, err := openOutput(nil, path, false); !errors.Is(err, fs.ErrLocked) || exitCode(err) != exitLocked {
		t.Errorf("a second one: %v, want %v", err, fs.ErrLocked)
	}
	if _, err := first.Write([]byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := first.finish(nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	given := path
	path = link
	second := open()
	if _, err := second.Write([]byte("second")); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(given); string(b) != "first" || err != nil {
		t.Errorf("while the second writes, the file has %q, %v", b, err)
	}
	if err := second.finish(nil); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(given)
	info, errStat := os.Lstat(given)
	if string(b) != "second" || errors.Join(err, errStat) != nil || info.Mode() != 0o640 {
		t.Errorf("in the end the file has %q, %v, and is %v", b, errors.Join(err, errStat), info.Mode())
	}
	if failed := open().finish(os.ErrInvalid); !errors.Is(failed, os.ErrInvalid) {
		t.Errorf("a failed one: %v", failed)
	}
	if _, err := os.Stat(given + ".part"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a failed one leaves its part: %v", err)
	}
}
