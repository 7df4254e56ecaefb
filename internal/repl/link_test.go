package repl

import (
	"math"
	"testing"
	"time"

	"zrs/internal/wire"
)

// What is lacking is what the source told of, without what has come since.
func TestLink_Lacking(t *testing.T) {
	log := newSecondary(t, makeFile(t, "1 a=1; 2 a=2; 3 a=3; 4 a=4"), "").Log
	for _, tt := range []struct {
		name   string
		told   bool
		after  int
		behind int64
		want   int64 // -1: unknown
	}{
		{"never-told", false, 4, 2, -1},
		{"not-counted", true, 4, -1, -1},
		{"nothing-since", true, 4, 2, 2},
		{"two-since", true, 2, 5, 3},
		{"all-since", true, 0, 4, 0},
		{"more-than-it-told-of", true, 1, 2, 0},
		{"after-our-end", true, 9, 2, 2},
	} {
		l := Link{HasBehind: tt.told, After: tidOf(tt.after), Behind: wire.Behind{Transactions: tt.behind}}
		got := int64(-1)
		if n := l.Lacking(log); n != nil {
			got = *n
		}
		if got != tt.want {
			t.Errorf("%s: Lacking() = %d, want %d", tt.name, got, tt.want)
		}
	}
}

// When the primary was last heard is in the past, whatever a source says.
func TestLink_heard(t *testing.T) {
	for _, silent := range []int64{0, 1000, maxSilent, maxSilent + 1, math.MaxInt64} {
		s := newSecondary(t, makeFile(t, "1 a=1"), "")
		c := &session{s: s}
		if err := c.note(&wire.Note{Tip: &wire.Tip{Silent: silent}}); err != nil {
			t.Fatal(err)
		}
		heard := s.Link().Primary
		if ago := time.Since(heard); heard.After(time.Now()) || silent <= maxSilent && ago.Milliseconds() < silent {
			t.Errorf("silent for %d ms: heard %s ago", silent, ago)
		}
	}
}
