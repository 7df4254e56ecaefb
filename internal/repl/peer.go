package repl

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"zrs/internal/fs"
	"zrs/internal/wire"
)

// A Peer is a secondary that is served, as its primary sees it.
type Peer struct {
	Address  string
	Node     string // what it calls itself, "" of zc.zrs
	Protocol string
	Since    time.Time // when it connected
	Heard    time.Time // when it last sent anything, zero if it never did
	Start    fs.TID    // after which it wanted transactions

	Sent         fs.TID // the last transaction that was sent, or Start
	Transactions int64  // sent on this connection
	Bytes        int64  // of frames, sent on this connection

	Reported     bool   // it tells what it has made durable: it is one of ours
	Durable      fs.TID // what it has, if it tells
	BlobsMissing int64  // in what it has, if it tells

	Behind wire.Behind // of Durable, or of Sent where it does not tell
}

// Peers returns the secondaries that are connected, by address and time.
func (p *Primary) Peers() []Peer {
	p.mu.Lock()
	conns := make([]*outgoing, 0, len(p.peers))
	for s := range p.peers {
		conns = append(conns, s)
	}
	p.mu.Unlock()
	peers := make([]Peer, 0, len(conns))
	for _, s := range conns {
		s.mu.Lock()
		peer := s.peer
		s.mu.Unlock()
		peer.Behind = p.behind(peer.has())
		peers = append(peers, peer)
	}
	slices.SortFunc(peers, func(a, b Peer) int {
		return cmp.Or(strings.Compare(a.Address, b.Address), a.Since.Compare(b.Since)) // all of a Unix socket have one address
	})
	return peers
}

// has returns the last transaction that a peer has for sure, or was sent.
func (p *Peer) has() fs.TID {
	if p.Reported {
		return p.Durable
	}
	return p.Sent
}

// behind returns what a secondary lacks that has all up to tid. What can't be
// told now is not known: -1 transactions.
func (p *Primary) behind(tid fs.TID) wire.Behind {
	ahead, err := p.Log.Ahead(tid, mostCounted)
	if err != nil {
		return wire.Behind{Transactions: -1}
	}
	return wire.Behind{Transactions: ahead.Transactions, Bytes: ahead.Bytes, Oldest: ahead.Oldest}
}

// mostCounted is how many transactions are counted to tell how far behind a
// secondary is: some milliseconds, every second.
const mostCounted = 2_000

// register notes that a secondary is served, or not any more.
func (p *Primary) register(s *outgoing, served bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.peers == nil {
		p.peers = make(map[*outgoing]bool)
	}
	if served {
		p.peers[s] = true
	} else {
		delete(p.peers, s)
	}
}

// update changes what is known of the peer.
func (s *outgoing) update(change func(*Peer)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.peer)
}
