package dump

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// writeBackups writes a directory of backups: lists, and the files that each of
// them names, which hold their names, the later ones more often.
func writeBackups(t *testing.T, lists map[string][]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for dat, names := range lists {
		var list strings.Builder
		at := 0
		for i, name := range names {
			data := bytes.Repeat([]byte(name), i+1)
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&list, "/somewhere else/%s %d %d %x\n", name, at, at+len(data), md5.Sum(data))
			at += len(data)
		}
		if err := os.WriteFile(filepath.Join(dir, dat), []byte(list.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	day1, day2, day3, day4, day5 = "2026-01-01-00-00-00", "2026-01-02-00-00-00", "2026-01-03-00-00-00", "2026-01-04-00-00-00", "2026-01-05-00-00-00"
)

func twoChains(t *testing.T) string {
	return writeBackups(t, map[string][]string{
		day1 + ".dat": {day1 + ".fs", day2 + ".deltafs", day3 + ".deltafs"},
		day4 + ".dat": {day4 + ".fs", day5 + ".deltafs"},
	})
}

func TestFindRepozo(t *testing.T) {
	dir := twoChains(t)
	for _, tt := range []struct{ name, until, want string }{
		{"newest", "", "4 5"},
		{"before-all", "2025-12-31T00:00:00Z", "1"},
		{"first", "2026-01-01T12:00:00Z", "1 2"},
		{"at-a-backup", "2026-01-02T00:00:00Z", "1 2 3"},
		{"between-chains", "2026-01-03T12:00:00Z", "4, 1 2 3"},
		{"second-chain", "2026-01-04T12:00:00Z", "4 5"},
		{"after-all", "2026-02-01T00:00:00Z", "4 5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var until time.Time
			if tt.until != "" {
				until, _ = time.Parse(time.RFC3339, tt.until)
			}
			found, err := FindRepozo(dir, until)
			if err != nil {
				t.Fatal(err)
			}
			var chains []string
			for _, r := range found {
				var days []string
				for _, f := range r.Files {
					days = append(days, filepath.Base(f.Path)[9:10])
				}
				chains = append(chains, strings.Join(days, " "))
			}
			if got := strings.Join(chains, ", "); got != tt.want {
				t.Errorf("FindRepozo() = %s, want %s", got, tt.want)
			}
			var b bytes.Buffer
			if err := found[0].Join(t.Context(), &b, new(atomic.Int64)); err != nil || int64(b.Len()) != found[0].Size() {
				t.Errorf("Join() = %v, %d bytes, want %d", err, b.Len(), found[0].Size())
			}
		})
	}
}

func TestRepozo_errors(t *testing.T) {
	write := func(name, text string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		want   error
	}{
		{"no-list", func(_ *testing.T, dir string) { os.Remove(filepath.Join(dir, day4+".dat")) }, ErrBackup},
		{"empty-list", write(day4+".dat", ""), ErrBackup},
		{"short-line", write(day4+".dat", "x 1 2\n"), ErrBackup},
		{"other-name", write(day4+".dat", "/x/y 0 2 00\n"), ErrBackup},
		{"negative", write(day4+".dat", day4+".fs -1 2 00\n"), ErrBackup},
		{"backward", write(day4+".dat", day4+".fs 0 -2 00\n"), ErrBackup},
		{"gap", write(day4+".dat", day4+".fs 1 2 00\n"), ErrBackup},
		{"no-hex", write(day4+".dat", day4+".fs 0 22 zz\n"), ErrBackup},
		{"unlisted", write("2026-01-06-00-00-00.deltafs", "x"), ErrBackup},
		{"no-time", write("2026-13-01-00-00-00.deltafs", "x"), ErrBackup},
		{"missing", func(_ *testing.T, dir string) { os.Remove(filepath.Join(dir, day4+".fs")) }, ErrBackup},
		{"cut", write(day5+".deltafs", "x"), ErrBackup},
		{"longer", write(day5+".deltafs", strings.Repeat("x", 1000)), ErrBackup},
		{"other", write(day5+".deltafs", strings.Repeat("x", 2*len(day5+".deltafs"))), ErrBackup},
		{"other-kind", write(day5+".deltafsz", "x"), ErrBackup},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := twoChains(t)
			tt.damage(t, dir)
			found, err := FindRepozo(dir, time.Time{})
			if err == nil {
				err = found[0].Join(t.Context(), new(bytes.Buffer), new(atomic.Int64))
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
	if _, err := FindRepozo(t.TempDir(), time.Time{}); !errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("empty directory: %v", err)
	}
}
