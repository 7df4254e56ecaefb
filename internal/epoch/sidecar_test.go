package epoch

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestSidecar_Save(t *testing.T) {
	data := filepath.Join(t.TempDir(), "Data.fs")
	behind := int64(3)
	want := &Sidecar{
		Lineage: Begin().Promote(5), Role: Secondary, Since: time.Unix(1, 0).UTC(), At: 7,
		Source:     &Contact{Address: "db1:5000", Protocol: "zrs2.1", Heard: time.Unix(2, 0).UTC(), Last: 9, Behind: &behind},
		Superseded: &Lineage{Database: ID{1}, Epoch: ID{2}},
	}
	for range 2 { // the second time there is one already
		if err := want.Save(data); err != nil {
			t.Fatal(err)
		}
		got, err := Load(data)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("Load() = %+v, %v, want %+v", got, err, want)
		}
	}
	if entries, _ := os.ReadDir(filepath.Dir(data)); len(entries) != 1 {
		t.Errorf("it left %v", entries)
	}
}

// A copy says which database it is of, and not what role it has.
func TestLoad_copied(t *testing.T) {
	dir := t.TempDir()
	data, other := filepath.Join(dir, "Data.fs"), filepath.Join(dir, "Other.fs")
	saved := &Sidecar{Lineage: Begin(), Role: Primary, Since: time.Now(), At: 7, Superseded: &Lineage{Database: ID{1}, Epoch: ID{2}}}
	if err := saved.Save(data); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(SidecarPath(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(SidecarPath(other), b, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Load(other)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Copied || got.Role != "" || got.Superseded != nil || !got.Since.IsZero() || !got.Equal(saved.Lineage) || got.At != saved.At {
		t.Errorf("Load() of a copy = %+v", got)
	}
	// A renamed one is no copy.
	if err := os.Rename(SidecarPath(data), SidecarPath(other)); err != nil {
		t.Fatal(err)
	}
	if got, err := Load(other); err != nil || got.Copied || got.Role != Primary {
		t.Errorf("Load() of a renamed one = %+v, %v", got, err)
	}
}

// What tells a file from a copy, on file systems that tell more or less.
func TestSelf_same(t *testing.T) {
	born := time.Unix(1, 5)
	for _, tt := range []struct {
		name string
		a, b self
		want bool
	}{
		{"same", self{Inode: 7, Born: born}, self{Inode: 7, Born: born.UTC()}, true},
		{"another-inode", self{Inode: 7, Born: born}, self{Inode: 8, Born: born}, false},
		{"born-later", self{Inode: 7, Born: born}, self{Inode: 7, Born: born.Add(1)}, false},
		{"nothing-told", self{Inode: 7}, self{Inode: 7}, true},
		{"birth-not-told-here", self{Inode: 7, Born: born}, self{Inode: 7, Disk: "a"}, true},
		{"same-disk", self{Inode: 7, Disk: "a"}, self{Inode: 7, Disk: "a"}, true},
		{"another-disk", self{Inode: 7, Disk: "a"}, self{Inode: 7, Disk: "b"}, false},
	} {
		if got := tt.a.same(tt.b); got != tt.want {
			t.Errorf("%s: same() = %v", tt.name, got)
		}
	}
}

func TestLoad_unknown(t *testing.T) {
	if got, err := Load(filepath.Join(t.TempDir(), "Data.fs")); err != nil || got.Known() || got.Role.String() != "unknown" {
		t.Errorf("Load() without a sidecar = %+v, %v", got, err)
	}
}

func TestLoad_unreadable(t *testing.T) {
	for name, content := range map[string]string{
		"empty":         "",
		"cut-short":     `{"schema": 1, "database": "00`,
		"other-schema":  `{"schema": 2}`,
		"no-database":   `{"schema": 1, "epoch": "0102030405060708090a0b0c0d0e0f10"}`,
		"unknown-role":  `{"schema": 1, "role": "master"}`,
		"newer-epoch":   `{"schema": 1, "superseded": {"epoch": "0102030405060708090a0b0c0d0e0f10"}}`,
		"too-long":      `{"schema": 1, "source": {"address": "` + strings.Repeat("x", maxSidecar) + `"}}`,
		"id-of-letters": `{"schema": 1, "epoch": "xyz"}`,
	} {
		data := filepath.Join(t.TempDir(), "Data.fs")
		if err := os.WriteFile(SidecarPath(data), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Load(data); !errors.Is(err, ErrSidecar) {
			t.Errorf("%s: Load() = %+v, %v, want ErrSidecar", name, got, err)
		}
	}
}

func TestSidecar_Save_fails(t *testing.T) {
	data := filepath.Join(t.TempDir(), "no", "Data.fs")
	if err := (&Sidecar{}).Save(data); err == nil {
		t.Error("Save() in a directory that is not there = nil")
	}
}
