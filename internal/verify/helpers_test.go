package verify

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"zrs/internal/fs"
)

const corpusDir = "../../testdata/corpus"

func corpusFile(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(corpusDir, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// writeFile writes a data file and returns its path.
func writeFile(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "Data.fs")
	rewrite(t, path, data)
	return path
}

func rewrite(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// An outcome is what Sound says of a file.
type outcome struct {
	*Report
	findings []Finding
}

// has returns the first finding of one of the kinds in [from, to).
func (o *outcome) has(from, to int64, kinds ...fs.Kind) bool {
	for _, f := range o.findings {
		for _, kind := range kinds {
			if f.Kind == kind && f.Offset >= from && f.Offset < to {
				return true
			}
		}
	}
	return false
}

// sound runs Sound on a file, and holds what is true of every outcome.
func sound(t testing.TB, path string, o Options) *outcome {
	t.Helper()
	f, err := fs.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out outcome
	if o.Max == 0 {
		o.Max = 10000
	}
	o.Found = func(f *Finding) { out.findings = append(out.findings, *f) }
	if out.Report, err = Sound(t.Context(), f, o); err != nil {
		t.Fatal(err)
	}
	checkOutcome(t, &out, f.Size())
	return &out
}

func checkOutcome(t testing.TB, o *outcome, size int64) {
	t.Helper()
	for _, f := range o.findings {
		if f.Offset != NoOffset && (f.Offset < 0 || f.Offset >= size) {
			t.Errorf("finding %+v is outside of the file of %d bytes", f, size)
		}
		if f.Meaning() == "" {
			t.Errorf("kind %s has no meaning", f.Kind)
		}
		if f.Detail == "" {
			t.Errorf("finding %+v has no detail", f)
		}
	}
	total := int64(0)
	for _, n := range o.Kinds {
		total += n
	}
	if total != o.Damage+o.Incomplete+o.Notes || total != int64(len(o.findings))+o.Untold {
		t.Errorf("%d findings by kind, %d+%d+%d by severity, %d told and %d not", total, o.Damage, o.Incomplete, o.Notes, len(o.findings), o.Untold)
	}
	if o.End > size || o.Tail != nil && o.Tail.Offset != o.End {
		t.Errorf("end %d, tail %v, size %d", o.End, o.Tail, size)
	}
}

// unchanged returns a function that checks that no file below dir was changed,
// made or removed since.
func unchanged(t *testing.T, dir string) func() {
	t.Helper()
	type state struct {
		data     string
		modified time.Time
	}
	look := func() map[string]state {
		files := map[string]state{}
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			s := state{modified: info.ModTime()}
			if info.Mode().IsRegular() {
				b, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				s.data = string(b)
			}
			files[path] = s
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	before := look()
	return func() {
		t.Helper()
		after := look()
		for path, s := range before {
			if after[path] != s {
				t.Errorf("%s was changed", path)
			}
		}
		if len(after) != len(before) {
			t.Errorf("%d files, there were %d", len(after), len(before))
		}
	}
}
