package repl

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"zrs/internal/fs"
)

// An oidSet does what a map does.
func TestOIDSet(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var s oidSet
	want := make(map[fs.OID]bool)
	for range 20_000 {
		oid := fs.OID(r.IntN(2000))
		if r.IntN(10) == 0 {
			oid = ^oid
		}
		if r.IntN(3) == 0 {
			s.remove(oid)
			delete(want, oid)
		} else {
			s.add(oid)
			want[oid] = true
		}
		if s.has(oid) != want[oid] || s.n != len(want) {
			t.Fatalf("has(%s) = %t, n = %d, want %t, %d", oid, s.has(oid), s.n, want[oid], len(want))
		}
	}
	if got, want := slices.Sorted(s.all()), slices.Sorted(maps.Keys(want)); !slices.Equal(got, want) {
		t.Errorf("all() = %v, want %v", got, want)
	}
	for oid := range s.all() {
		s.remove(oid)
	}
	if s.n != 0 || len(s.pages) != 0 {
		t.Errorf("%d OIDs and %d pages are left", s.n, len(s.pages))
	}
}
