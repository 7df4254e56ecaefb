package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// snapshot tells what is below a directory: names, contents and modification times.
func snapshot(t *testing.T, dir string) (lines []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d iofs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		var sum [sha256.Size]byte
		if d.Type().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			sum = sha256.Sum256(b)
		}
		lines = append(lines, fmt.Sprintf("%s %v %v %x", path, info.Mode(), info.ModTime(), sum))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// Dumping changes nothing where it reads from, and restoring nothing but FS.
func TestDump_changesNothing(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"blobs_bushy", "undo", "torn", "corrupt"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join("../../testdata/corpus", name))); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-time.Hour)
	for _, line := range snapshot(t, dir) {
		path, _, _ := strings.Cut(line, " ")
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	before := snapshot(t, dir)
	blobs := filepath.Join(dir, "blobs_bushy")
	elsewhere := t.TempDir()
	all := filepath.Join(elsewhere, "all")
	for _, args := range [][]string{
		{"dump", filepath.Join(dir, "undo/Data.fs")},
		{"dump", "--hash-only", filepath.Join(dir, "undo/Data.fs"), "head~3.."},
		{"dump", "--json", "--data", filepath.Join(dir, "undo/Data.fs"), "--since", "-1h"},
		{"dump", "--format=fsdump", filepath.Join(dir, "torn/cut_in_data.fs")},
		{"dump", "--format=fstail", filepath.Join(dir, "corrupt/tloc.fs")},
		{"dump", filepath.Join(dir, "corrupt/tloc.fs")},
		{"dump", "--follow", filepath.Join(dir, "undo/Data.fs"), "..03f496155ddddddd"},
		{"dump", blobs + "/Data.fs", "--blob-dir", blobs + "/blobs", "--blobs-to", elsewhere + "/carried", "-o", all},
		{"restore", "--dry-run", all, filepath.Join(dir, "new.fs")},
		{"restore", "--dry-run", all, filepath.Join(dir, "undo/Data.fs")},
		{"restore", all, filepath.Join(dir, "undo/Data.fs"), "--until", "03f496155ddddddd"},
		{"restore", all, elsewhere + "/new.fs", "--blobs-from", blobs + "/blobs", "--blob-dir", elsewhere + "/blobs"},
	} {
		var stdout, stderr bytes.Buffer
		run(args, strings.NewReader(""), &stdout, &stderr)
		if after := snapshot(t, dir); !slices.Equal(after, before) {
			t.Fatalf("zrs %s changed something:\n%s\nwas:\n%s", args, strings.Join(after, "\n"), strings.Join(before, "\n"))
		}
	}
	if _, err := os.Stat(elsewhere + "/new.fs"); err != nil {
		t.Error(err)
	}
}
