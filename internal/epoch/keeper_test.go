package epoch

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"zrs/internal/fs"
)

// A life: begun, followed, promoted, superseded, followed again.
func TestKeeper(t *testing.T) {
	data := filepath.Join(t.TempDir(), "Data.fs")
	k, err := Open(data)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, role Role, moved <-chan struct{}, wantMoved bool) Sidecar {
		t.Helper()
		select {
		case <-moved:
			if !wantMoved {
				t.Errorf("%s: it told of a change", what)
			}
		default:
			if wantMoved {
				t.Errorf("%s: it told of no change", what)
			}
		}
		saved, err := Load(data)
		if err != nil {
			t.Fatal(err)
		}
		now := k.Sidecar()
		if saved.Role != role || now.Role != role || !saved.Equal(now.Lineage) || (now.Superseded == nil) != (saved.Superseded == nil) {
			t.Errorf("%s: saved %+v, kept %+v, want role %s", what, saved, now, role)
		}
		return now
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}

	moved, first := k.Changed(), Begin()
	do(k.Follow(first, 10, Contact{Address: "db1:5000", Last: 12}))
	check("followed", Secondary, moved, true)

	moved = k.Changed()
	do(k.Follow(first, 11, Contact{Address: "db1:5000", Last: 12}))
	check("contact", Secondary, moved, false)

	moved = k.Changed()
	do(k.Promote(11))
	s := check("promoted", Primary, moved, true)
	if len(s.Ancestors) != 1 || s.Ancestors[0] != (Ancestor{first.Epoch, 11}) || s.Database != first.Database || s.Source.Address != "db1:5000" {
		t.Errorf("promoted: %+v", s)
	}

	moved, newer := k.Changed(), s.Lineage.Promote(20)
	do(k.Supersede(newer))
	check("superseded", Primary, moved, true)

	moved = k.Changed()
	do(k.Follow(newer, 20, Contact{Address: "db3:5000"}))
	if s := check("followed again", Secondary, moved, true); s.Superseded != nil || s.Epoch != newer.Epoch {
		t.Errorf("followed again: %+v", s)
	}

	moved = k.Changed()
	do(k.Follow(Lineage{}, 21, Contact{Address: "python:5000"}))
	if s := check("unknown source", Secondary, moved, true); s.Epoch != newer.Epoch || s.Unsure == nil || *s.Unsure != 21 {
		t.Errorf("of a source without a lineage it took %v", s.Lineage)
	}
}

// Behind a source without a lineage, such as zc.zrs in the middle of a chain, or a
// proxy that made one look like it, nobody knows what epoch a transaction is of.
func TestKeeper_Follow_unsure(t *testing.T) {
	k, err := Open(filepath.Join(t.TempDir(), "Data.fs"))
	if err != nil {
		t.Fatal(err)
	}
	first := Begin()
	second := first.Promote(20)
	for _, step := range []struct {
		l    Lineage
		last fs.TID
	}{{first, 5}, {Lineage{}, 10}, {Lineage{}, 30}} {
		if err := k.Follow(step.l, step.last, Contact{}); err != nil {
			t.Fatal(err)
		}
	}
	l := k.Lineage()
	if err := l.MayFollow(second, 50); err != nil { // what came since may well be of the second epoch
		t.Errorf("MayFollow() = %v", err)
	}
	if err := l.MayFollow(first.Promote(9), 50); !errors.Is(err, ErrDiverged) {
		t.Errorf("MayFollow() = %v, want %v", err, ErrDiverged)
	}
	if p := l.Promote(50); p.Ancestors[0].End != 10 || p.Unsure != nil {
		t.Errorf("Promote() = %+v", p)
	}
	if at := l.At(10); at.Unsure != nil {
		t.Errorf("At(10) = %+v", at)
	}
	if at := l.At(11); at.Unsure == nil {
		t.Errorf("At(11) = %+v", at)
	}
	if err := k.Follow(second, 50, Contact{}); err != nil || k.Lineage().Unsure != nil {
		t.Errorf("Follow() = %v, then %+v", err, k.Lineage())
	}
}

// Two processes that serve one file without a lock see what the other one notes.
func TestKeeper_Refresh(t *testing.T) {
	data := filepath.Join(t.TempDir(), "Data.fs")
	if err := (&Sidecar{Lineage: Begin(), Role: Primary}).Save(data); err != nil {
		t.Fatal(err)
	}
	one, err := Open(data)
	if err != nil {
		t.Fatal(err)
	}
	other, err := Open(data)
	if err != nil {
		t.Fatal(err)
	}
	moved, newer := other.Changed(), one.Lineage().Promote(9)
	if err := one.Supersede(newer); err != nil {
		t.Fatal(err)
	}
	other.Refresh()
	select {
	case <-moved:
	default:
		t.Error("it told of no change")
	}
	if s := other.Sidecar(); s.Superseded == nil || !s.Superseded.Equal(newer) {
		t.Errorf("it has %+v", s)
	}
	if err := one.Follow(newer, 9, Contact{}); err != nil {
		t.Fatal(err)
	}
	// What the other one does not know it must not write over.
	if err := other.Supersede(newer.Promote(10)); err != nil {
		t.Fatal(err)
	}
	if s, err := Load(data); err != nil || s.Role != Secondary || !s.Equal(newer) {
		t.Errorf("saved: %+v, %v", s, err)
	}
	b, err := os.ReadFile(SidecarPath(data))
	if err == nil {
		err = os.Remove(SidecarPath(data))
	}
	if err != nil {
		t.Fatal(err)
	}
	other.Refresh()
	if s := other.Sidecar(); s.Role != Secondary {
		t.Errorf("without a file it has %+v", s)
	}
	if err := os.WriteFile(SidecarPath(data)+".copy", b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(SidecarPath(data)+".copy", SidecarPath(data)); err != nil {
		t.Fatal(err)
	}
	other.Refresh()
	if s := other.Sidecar(); s.Role != Secondary || s.Copied {
		t.Errorf("beside a copy in its file's place it has %+v", s)
	}
}

func TestKeeper_Update_fails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	k, err := Open(filepath.Join(dir, "Data.fs"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if err := k.Promote(7); err == nil || k.Lineage().Known() {
		t.Errorf("Promote() = %v, and it has lineage %v", err, k.Lineage())
	}
	// A full disk is no reason to go on as a second primary.
	moved := k.Changed()
	if err := k.Supersede(Begin()); err == nil || k.Sidecar().Superseded == nil {
		t.Errorf("Supersede() = %v, and it is superseded by %v", err, k.Sidecar().Superseded)
	}
	select {
	case <-moved:
	default:
		t.Error("it told of no change")
	}
}

func TestOpenReadOnly(t *testing.T) {
	data := filepath.Join(t.TempDir(), "Data.fs")
	k, err := OpenReadOnly(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Promote(7); err != nil || k.Sidecar().Role != Primary {
		t.Errorf("Promote() = %v, and it has %+v", err, k.Sidecar())
	}
	if _, err := os.Stat(SidecarPath(data)); err == nil {
		t.Error("it wrote a sidecar")
	}
}

func TestKeeper_nil(t *testing.T) {
	var k *Keeper
	if err := k.Promote(7); err != nil || k.Lineage().Known() || k.Changed() != nil {
		t.Errorf("a nil Keeper: %v, %v", err, k.Lineage())
	}
}
