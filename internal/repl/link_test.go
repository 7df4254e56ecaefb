package repl

import (
	"math"
	"path/filepath"
	"testing"
	"time"

	"zrs/internal/epoch"
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

// A contact that is yet to come, since the clock was set back, is no contact.
func TestSession_note_clockSetBack(t *testing.T) {
	s := &Secondary{}
	s.link.l.Primary = time.Now().Round(0).Add(time.Hour)
	c := &session{s: s}
	if err := c.note(&wire.Note{Tip: &wire.Tip{Silent: 60_000}}); err != nil {
		t.Fatal(err)
	}
	if ago := time.Since(s.Link().Primary).Round(time.Second); ago != time.Minute {
		t.Errorf("the primary was last heard %v ago, want 1m0s", ago)
	}
}

// What a secondary hears of the primary through its own follower it has told that
// itself: it must not become later each time round.
func TestSession_note_ring(t *testing.T) {
	s := &Secondary{Identity: openIdentity(t, filepath.Join(t.TempDir(), "Data.fs"))}
	heard := time.Now().Add(-time.Minute)
	s.link.l.Primary = heard
	c := &session{s: s}
	for _, test := range []struct {
		via  []epoch.ID
		want time.Duration
	}{
		{[]epoch.ID{epoch.NewID(), s.Identity.Instance()}, time.Minute},
		{[]epoch.ID{epoch.NewID()}, 50 * time.Second},
	} {
		if err := c.note(&wire.Note{Tip: &wire.Tip{Silent: 50_000, Via: test.via}}); err != nil {
			t.Fatal(err)
		}
		if ago := time.Since(s.Link().Primary).Round(time.Second); ago != test.want {
			t.Errorf("through %s the primary was last heard %v ago, want %v", test.via, ago, test.want)
		}
	}
}

// A source of zc.zrs is asked again after a day, however the clock was set since.
func TestSecondary_dialect_clockSetBack(t *testing.T) {
	for _, heard := range []time.Duration{-48 * time.Hour, -time.Hour, 0, 1000 * time.Hour} {
		path := filepath.Join(t.TempDir(), "Data.fs")
		known := epoch.Contact{Address: "db1:5000", Protocol: wire.Protocol21, Heard: time.Now().Add(heard)}
		if err := (&epoch.Sidecar{Lineage: epoch.Begin(), Role: epoch.Secondary, Source: &known}).Save(path); err != nil {
			t.Fatal(err)
		}
		s := &Secondary{Identity: openIdentity(t, path)}
		left := time.Until(s.dialect(Source{Name: "db1:5000"}).plain).Round(time.Minute)
		if want := plainFor + min(0, heard); left != want {
			t.Errorf("heard %v from now, it is not asked for another %v, want %v", heard, left, want)
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
