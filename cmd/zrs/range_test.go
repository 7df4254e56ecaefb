package main

import (
	"strings"
	"testing"
	"time"

	"zrs/internal/fs"
)

func TestParseRange(t *testing.T) {
	now := time.Date(2026, 11, 20, 10, 14, 2, 0, time.UTC)
	for _, tt := range []struct {
		in, from, to string
		single       bool
	}{
		{"03f490755ddddddd..03f49078aeeeeeee", "03f490755ddddddd", "03f49078aeeeeeee", false},
		{"03f490755ddddddd..", "03f490755ddddddd", "", false},
		{"..0x03f490755ddddddd", "", "0x03f490755ddddddd", false},
		{"..", "", "", false},
		{"-1.5h..-30m", "-1.5h", "-30m", false},
		{"2026-11-20T10:14:02.25Z..2026-11-20 12:14:02+02:00", "2026-11-20T10:14:02.25Z", "2026-11-20 12:14:02+02:00", false},
		{"head~9..head", "head~9", "head", false},
		{"A/SWFWZmZmY=..head", "A/SWFWZmZmY=", "head", false},
		{"head~3", "head~3", "", true},
		{"03f490755ddddddd", "03f490755ddddddd", "", true},
	} {
		r, err := parseRange(tt.in, now)
		if err != nil {
			t.Errorf("parseRange(%q): %v", tt.in, err)
			continue
		}
		text := func(w *when) string {
			if w == nil {
				return ""
			}
			return w.String()
		}
		if text(r.from) != tt.from || text(r.to) != tt.to || r.single != tt.single || r.String() != tt.in {
			t.Errorf("parseRange(%q) = %q, %q, %v", tt.in, text(r.from), text(r.to), r.single)
		}
	}
	for _, in := range []string{"", "x", "x..", "..x", "head..tail", "03f490755ddddddd...03f49078aeeeeeee", "a..b..c", "03f490755ddddddd-03f49078aeeeeeee"} {
		if _, err := parseRange(in, now); err == nil {
			t.Errorf("parseRange(%q) succeeds", in)
		}
	}
}

func TestTIDRange_Resolve(t *testing.T) {
	f, err := fs.OpenFile("../../testdata/corpus/realistic_200/Data.fs")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	end, _, err := f.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const first, last, before = 0x03f490755ddddddd, 0x03f49078aeeeeeee, 0x03f49078aaaaaaaa
	for _, tt := range []struct {
		in       string
		from, to fs.TID
		err      string
	}{
		{in: "..", from: 0, to: fs.MaxTID},
		{in: "head", from: last, to: last},
		{in: "head~1", from: before, to: before},
		{in: "head~199", from: first, to: first},
		{in: "head~200", err: "has only 200 transactions"},
		{in: "head~1..", from: before, to: fs.MaxTID},
		{in: "..head~1", from: 0, to: before},
		{in: "03f4000000000001..03f4000000000002", from: 0x03f4000000000001, to: 0x03f4000000000002},
		{in: "03f4000000000002", from: 0x03f4000000000002, to: 0x03f4000000000002},
		{in: "head..head~1", err: "it starts at 03f49078aeeeeeee (2023-11-17 22:16:41Z), after its end at 03f49078aaaaaaaa"},

		// A time takes in all that is printed with it: second 40 has
		// transaction ...aaaaaaaa, whose ticks are a third less.
		{in: "2023-11-17T22:16:40Z..2023-11-17T22:16:40Z", from: before - 35, to: before + 36},
		{in: "2023-11-17T22:16:40Z", from: before, to: before},
		{in: "2023-11-17T22:16:40.9Z", from: before, to: before},
		{in: "2023-11-17T22:16:39.999999Z", from: 0x03f49078a6666666, to: 0x03f49078a6666666},
		{in: "2040-01-01T00:00:00Z", from: last, to: last},
		{in: "2023-11-17T22:13:21Z", err: "has no transaction that early"},
		{in: "1800-01-01T00:00:00Z..9999-12-31T00:00:00Z", from: 0, to: fs.MaxTID},
	} {
		r, err := parseRange(tt.in, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		from, to, err := r.resolve(t.Context(), f, end)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("%s: resolve() = %v, want %q", tt.in, err, tt.err)
			}
			continue
		}
		if err != nil || from != tt.from || to != tt.to {
			t.Errorf("%s: resolve() = %v, %v, %v, want %v, %v", tt.in, from, to, err, tt.from, tt.to)
		}
	}
}

// The time that --json prints of a transaction finds it, at either end.
func TestTIDRange_PrintedTimes(t *testing.T) {
	base := fs.TIDFromTime(time.Date(2024, 2, 29, 23, 59, 59, 999_000_000, time.UTC))
	for ticks := range fs.TID(100_000) {
		tid := base + ticks
		w := when{time: tid.Time()}
		first, err := w.first(t.Context(), nil, fs.Place{})
		if err != nil {
			t.Fatal(err)
		}
		last, err := w.last(t.Context(), nil, fs.Place{})
		if err != nil {
			t.Fatal(err)
		}
		if uint32(tid) < uint32(base) { // no such TID: the minute is over
			break
		}
		if first > tid || last < tid || first.Time() != w.time || last.Time() != w.time {
			t.Fatalf("%v: times from %v to %v", tid, first, last)
		}
	}
}
