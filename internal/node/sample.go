package node

import (
	"context"
	"math"
	"time"

	"zrs/internal/fs"
	"zrs/internal/repl"
	"zrs/internal/wire"
)

// sampleEvery is how often it is noted how much was transferred.
const sampleEvery = time.Second

// samples are what rates and trends are told from.
type samples struct {
	source series
	peers  map[connection]series // a new one each time: who reads one has no lock
}

// A connection tells peers apart: all that come by a Unix socket have the same
// address.
type connection struct {
	address string
	since   int64
}

func connectionOf(p repl.Peer) connection { return connection{p.Address, p.Since.UnixNano()} }

// A series is the last samples of a connection, oldest first.
type series []sample

type sample struct {
	at     time.Time
	bytes  int64
	lag    float64   // bytes that are lacking
	oldest fs.TID    // of the transactions that are lacking, 0 if there is none
	since  time.Time // when that was first noted
}

func sampleOf(at time.Time, bytes int64, b wire.Behind) sample {
	return sample{at: at, bytes: bytes, lag: float64(b.Bytes), oldest: b.Oldest}
}

// maxSamples is how far a series goes back: a rate is that of the last seconds.
const maxSamples = 6

func (s *series) add(x sample) {
	if len(*s) > 0 && x.bytes < (*s)[len(*s)-1].bytes {
		*s = nil // another connection
	}
	x.since = x.at
	if len(*s) > 0 && x.oldest == (*s)[len(*s)-1].oldest {
		x.since = (*s)[len(*s)-1].since
	}
	*s = append(*s, x)
	if len(*s) > maxSamples {
		*s = append(series(nil), (*s)[1:]...)
	}
}

// rate returns bytes a second.
func (s series) rate() float64 {
	if len(s) < 2 {
		return 0
	}
	first, last := s[0], s[len(s)-1]
	return math.Round(float64(last.bytes-first.bytes) / last.at.Sub(first.at).Seconds())
}

// trend tells what becomes of the lag.
func (s series) trend() string {
	if len(s) < 2 {
		return ""
	}
	switch first, last := s[0].lag, s[len(s)-1].lag; {
	case last > first:
		return "growing"
	case last < first:
		return "shrinking"
	}
	return "steady"
}

// lacked returns for how long a transaction has been seen to be the oldest that is
// lacking.
func (s series) lacked(oldest fs.TID, now time.Time) time.Duration {
	if len(s) == 0 || s[len(s)-1].oldest != oldest {
		return 0
	}
	return now.Sub(s[len(s)-1].since)
}

// idle returns for how long nothing was transferred, as far as was noted.
func (s series) idle(now time.Time) time.Duration {
	for i := len(s) - 1; i > 0; i-- {
		if s[i].bytes != s[i-1].bytes {
			return now.Sub(s[i].at)
		}
	}
	if len(s) == 0 {
		return 0
	}
	return now.Sub(s[0].at)
}

// eta returns how many seconds it takes to catch up, or nil if that can't be told.
func (s series) eta(lagBytes int64) *float64 {
	rate := s.rate()
	if lagBytes <= 0 || rate <= 0 {
		return nil
	}
	seconds := float64(lagBytes) / rate
	return &seconds
}

// sample takes samples until ctx is done.
func (n *Node) sample(ctx context.Context) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			n.take(time.Now())
		case <-ctx.Done():
			return
		}
	}
}

func (n *Node) take(now time.Time) {
	n.lookAround()
	var peers []repl.Peer
	if n.Primary != nil {
		peers = n.Primary.Peers()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	kept := make(map[connection]series, len(peers))
	for _, p := range peers {
		s := n.samples.peers[connectionOf(p)]
		s.add(sampleOf(now, p.Bytes, p.Behind))
		kept[connectionOf(p)] = s
	}
	n.samples.peers = kept
	if n.Secondary != nil && !n.tailing {
		link := n.Secondary.Link()
		n.samples.source.add(sampleOf(now, n.Secondary.Stats.Received.Load(), link.Behind))
	}
}
