package epoch

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"zrs/internal/fs"
)

func TestLineage_MayFollow(t *testing.T) {
	first := Begin()
	second := first.Promote(100)
	third := second.Promote(200)
	sibling := first.Promote(100)
	nephew := sibling.Promote(150)
	for _, test := range []struct {
		name string
		l, p Lineage
		last fs.TID
		want error
	}{
		{"same-epoch", second, second, 500, nil},
		{"behind-the-fork", first, second, 99, nil},
		{"at-the-fork", first, second, 100, nil},
		{"after-the-fork", first, second, 101, ErrDiverged},
		{"two-epochs-behind", first, third, 100, nil},
		{"two-epochs-behind-after-the-fork", first, third, 150, ErrDiverged},
		{"one-of-two-behind", second, third, 200, nil},
		{"empty", first, third, 0, nil},
		{"old-primary", second, first, 50, ErrSuperseded},
		{"old-primary-of-two", third, first, 300, ErrSuperseded},
		{"siblings", second, sibling, 100, ErrDiverged},
		{"empty-sibling", second, sibling, 0, ErrDiverged},
		{"nephew", third, nephew, 100, ErrDiverged},
		{"other-database", first, Begin(), 0, ErrOtherDatabase},
		{"unknown-here", Lineage{}, first, 7, nil},
		{"unknown-there", first, Lineage{}, 7, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := test.l.MayFollow(test.p, test.last); !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
				t.Errorf("MayFollow() = %v, want %v", err, test.want)
			}
		})
	}
}

// A secondary that is behind the fork takes on the new epoch, and is promoted
// itself before it has come that far.
func TestLineage_Promote_behindTheFork(t *testing.T) {
	first := Begin()
	second := first.Promote(100)
	third := second.Promote(50)
	if err := third.Check(); err != nil {
		t.Fatalf("Check() = %v", err)
	}
	for _, test := range []struct {
		name string
		l    Lineage
		last fs.TID
		want error
	}{
		{"first-as-far", first, 50, nil},
		{"first-further", first, 51, ErrDiverged},
		{"second-as-far", second, 50, nil},
		{"second-further", second, 51, ErrDiverged},
	} {
		if err := test.l.MayFollow(third, test.last); !errors.Is(err, test.want) {
			t.Errorf("%s: MayFollow() = %v, want %v", test.name, err, test.want)
		}
	}
}

func TestLineage_At(t *testing.T) {
	first := Begin()
	second := first.Promote(100)
	third := second.Promote(200)
	for _, test := range []struct {
		last fs.TID
		want Lineage
	}{{0, first}, {100, first}, {101, second}, {200, second}, {201, third}} {
		if got := third.At(test.last); !got.Equal(test.want) || len(got.Ancestors) != len(test.want.Ancestors) {
			t.Errorf("At(%d) = %v, want %v", test.last, got, test.want)
		}
	}
}

func TestLineage_Promote_keepsTheLatest(t *testing.T) {
	l := Begin()
	for n := range maxAncestors + 10 {
		l = l.Promote(fs.TID(n))
	}
	if err := l.Check(); err != nil || len(l.Ancestors) != maxAncestors || l.Ancestors[maxAncestors-1].End != maxAncestors+9 {
		t.Errorf("%d ancestors, the last ends at %s; Check() = %v", len(l.Ancestors), l.Ancestors[len(l.Ancestors)-1].End, err)
	}
}

func TestLineage_Check(t *testing.T) {
	good := Begin().Promote(5).Promote(5).Promote(7)
	for _, test := range []struct {
		name   string
		change func(*Lineage)
		ok     bool
	}{
		{"good", func(*Lineage) {}, true},
		{"unknown", func(l *Lineage) { *l = Lineage{} }, true},
		{"no-database", func(l *Lineage) { l.Database = ID{} }, false},
		{"no-epoch", func(l *Lineage) { l.Epoch = ID{} }, false},
		{"epoch-twice", func(l *Lineage) { l.Ancestors[1].Epoch = l.Ancestors[0].Epoch }, false},
		{"own-ancestor", func(l *Lineage) { l.Ancestors[1].Epoch = l.Epoch }, false},
		{"back-in-time", func(l *Lineage) { l.Ancestors[2].End = 4 }, false},
		{"too-many", func(l *Lineage) { l.Ancestors = make([]Ancestor, maxAncestors+1) }, false},
	} {
		l := good.At(8)
		l.Ancestors = append([]Ancestor(nil), good.Ancestors...)
		test.change(&l)
		if err := l.Check(); (err == nil) != test.ok {
			t.Errorf("%s: Check() = %v", test.name, err)
		}
	}
}

func TestLineage_json(t *testing.T) {
	want := Begin().Promote(5)
	b, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Lineage
	if err := json.Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s is read as %v, %v", b, got, err)
	}
	var id ID
	for _, text := range []string{"00", "zz", want.Epoch.String() + "00"} {
		if err := id.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("UnmarshalText(%q) = nil", text)
		}
	}
}
