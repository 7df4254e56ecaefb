package epoch

import (
	"os"
	"path/filepath"
	"testing"
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
	if s := check("unknown source", Secondary, moved, false); s.Epoch != newer.Epoch {
		t.Errorf("of a source without a lineage it took %v", s.Lineage)
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

func TestKeeper_nil(t *testing.T) {
	var k *Keeper
	if err := k.Promote(7); err != nil || k.Lineage().Known() || k.Changed() != nil {
		t.Errorf("a nil Keeper: %v, %v", err, k.Lineage())
	}
}
