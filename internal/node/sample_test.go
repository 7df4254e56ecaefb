package node

import (
	"testing"
	"time"

	"zrs/internal/repl"
	"zrs/internal/wire"
)

func TestSeries(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	type point struct {
		bytes int64
		lag   float64
	}
	for _, tt := range []struct {
		name   string
		points []point // a second apart
		rate   float64
		trend  string
		idle   time.Duration // a second after the last
	}{
		{"nothing", nil, 0, "", 0},
		{"one", []point{{100, 5}}, 0, "", time.Second},
		{"shrinking", []point{{0, 300}, {100, 200}, {200, 100}}, 100, "shrinking", time.Second},
		{"growing", []point{{0, 100}, {100, 250}}, 100, "growing", time.Second},
		{"steady", []point{{0, 100}, {100, 90}, {150, 100}}, 75, "steady", time.Second},
		{"idle", []point{{0, 100}, {100, 100}, {100, 100}, {100, 100}}, 33, "steady", 3 * time.Second},
		{"idle-for-all-that-is-known", []point{{9, 0}, {9, 0}, {9, 0}}, 0, "steady", 3 * time.Second},
		{"last-seconds-count", []point{{0, 9}, {1000, 9}, {1000, 9}, {1000, 9}, {1000, 9}, {1000, 9}, {1000, 9}}, 0, "steady", 6 * time.Second},
		{"another-connection", []point{{5000, 900}, {6000, 800}, {10, 700}, {30, 650}}, 20, "shrinking", time.Second},
	} {
		var s series
		at := start
		for _, p := range tt.points {
			s.add(sample{at: at, bytes: p.bytes, lag: p.lag})
			at = at.Add(time.Second)
		}
		if s.rate() != tt.rate || s.trend() != tt.trend || s.idle(at) != tt.idle {
			t.Errorf("%s: rate %v, trend %q, idle %v, want %v, %q, %v", tt.name, s.rate(), s.trend(), s.idle(at), tt.rate, tt.trend, tt.idle)
		}
		if len(s) > maxSamples {
			t.Errorf("%s: it has %d samples", tt.name, len(s))
		}
	}

	moving := series{{at: start}, {at: start.Add(time.Second), bytes: 50}}
	if eta := moving.eta(400); eta == nil || *eta != 8 {
		t.Errorf("eta(400 bytes at 50 a second) = %v", show(eta))
	}
	for _, bytes := range []int64{0, -1} {
		if eta := moving.eta(bytes); eta != nil {
			t.Errorf("eta(%d) = %v", bytes, *eta)
		}
	}
	if eta := (series{{at: start, bytes: 5}, {at: start.Add(time.Second), bytes: 5}}).eta(400); eta != nil {
		t.Errorf("eta() of what does not move = %v", *eta)
	}
}

// A transaction of a clock that is ahead of ours has no age by ours, but it has been
// lacking for as long as it was seen to be.
func TestSeries_lacked(t *testing.T) {
	now, ahead := tidOf(10).Time(), wire.Behind{Transactions: 1, Bytes: 100, Oldest: tidOf(99)}
	var s series
	for second := range 20 {
		s.add(sampleOf(now.Add(time.Duration(second)*time.Second), int64(second), ahead))
	}
	now = now.Add(20 * time.Second)
	if l := lagOf(ahead, s, now); *l.Seconds != 20 {
		t.Errorf("it lacks %s for 20 s, and the age is %v s", ahead.Oldest, *l.Seconds)
	}
	next := wire.Behind{Transactions: 1, Bytes: 100, Oldest: tidOf(100)}
	if l := lagOf(next, s, now); *l.Seconds != 0 {
		t.Errorf("it lacks %s, which was not seen yet, and the age is %v s", next.Oldest, *l.Seconds)
	}
	s.add(sampleOf(now, 20, next))
	if l := lagOf(next, s, now.Add(3*time.Second)); *l.Seconds != 3 {
		t.Errorf("it lacks %s for 3 s, and the age is %v s", next.Oldest, *l.Seconds)
	}
	s.add(sampleOf(now, 20, wire.Behind{}))
	if l := lagOf(wire.Behind{}, s, now.Add(time.Minute)); *l.Seconds != 0 {
		t.Errorf("it lacks nothing, and the age is %v s", *l.Seconds)
	}
}

// What a peer's state is, and what is told of it.
func TestPeerOf(t *testing.T) {
	now := tidOf(10).Time()
	behind := wire.Behind{Transactions: 2, Bytes: 200, Oldest: tidOf(8)}
	moving := series{{at: now.Add(-time.Second), lag: 300}, {at: now, bytes: 100, lag: 200}}
	still := series{{at: now.Add(-stuckAfter - time.Second), bytes: 100, lag: 200}, {at: now, bytes: 100, lag: 200}}
	for _, tt := range []struct {
		name   string
		behind wire.Behind
		series series
		state  string
		eta    string
	}{
		{"caught-up", wire.Behind{}, still, "caught-up", "unknown"},
		{"new", behind, nil, "streaming", "unknown"},
		{"streaming", behind, moving, "streaming", "2"},
		{"stuck", behind, still, "stuck", "unknown"},
		{"uncounted", wire.Behind{Transactions: -1}, still, "stuck", "unknown"},
	} {
		p := peerOf(repl.Peer{Address: "db2", Behind: tt.behind, Reported: true, Durable: tidOf(7)}, tt.series, now)
		if p.State != tt.state || show(p.ETA) != tt.eta || *p.DurableTID != tidOf(7) || *p.BlobsMissing != 0 || p.Heard != nil {
			t.Errorf("%s: %+v, eta %s, want %s, %s", tt.name, p, show(p.ETA), tt.state, tt.eta)
		}
	}
	if p := peerOf(repl.Peer{Address: "db2"}, nil, now); p.DurableTID != nil || p.BlobsMissing != nil {
		t.Errorf("one that reports nothing: %+v", p)
	}
}
