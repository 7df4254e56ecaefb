package node

import (
	"encoding/json"
	"os"
	"time"

	"zrs/internal/control"
	"zrs/internal/fs"
	"zrs/internal/repl"
	"zrs/internal/wire"
)

// Status returns the state of the server.
func (n *Node) Status() control.Status {
	n.init()
	now := time.Now() // with the reading that no setting of the clock changes
	identity, tip := n.Identity.Sidecar(), n.log().Tip()
	started := n.started.UTC().Truncate(time.Millisecond)
	s := control.Status{
		Schema: control.Schema, Version: n.Version, Path: n.Path, PID: os.Getpid(),
		Role: identity.Role, Database: identity.Database, Epoch: identity.Epoch, Ancestors: identity.Ancestors,
		Now: now.UTC().Truncate(time.Millisecond), Started: &started,
		LastTID: tip.TID, LastTime: timeOf(tip.TID),
		Peers: []control.Peer{},
	}
	if n.Listener != nil {
		s.Address = n.Listener.Addr().String()
	}
	n.mu.Lock()
	failed, primary, gone := n.failed, n.tailing, n.gone
	source, peers := n.samples.source, n.samples.peers
	n.mu.Unlock()
	if n.Primary != nil {
		s.BlobsMissing = n.Primary.MissingBlobs()
		for _, p := range n.Primary.Peers() {
			s.Peers = append(s.Peers, peerOf(p, peers[connectionOf(p)], now))
		}
	}
	facts := facts{now: now, primary: primary, superseded: identity.Superseded, ready: n.log().Ready(), logErr: n.log().Err(), gone: gone, failed: failed}
	if !primary {
		link := n.link()
		s.BlobsMissing += n.Secondary.Stats.BlobsMissing.Load()
		s.Source = sourceOf(link, tip.TID, source, now)
		s.Paused = link.State == repl.LinkPaused
		facts.link = link
	}
	facts.judge(&s)
	return s
}

// link returns what is known of the source. An operator who has paused it, or has
// it go on, sees that at once.
func (n *Node) link() repl.Link {
	link := n.Secondary.Link()
	switch paused := n.Secondary.Paused(); {
	case paused:
		link.State, link.Err = repl.LinkPaused, nil
	case link.State == repl.LinkPaused:
		link.State = repl.LinkConnecting
	}
	return link
}

// statusJSON is the answer to whoever asks at the replication port.
func (n *Node) statusJSON() []byte {
	b, err := json.Marshal(n.Status())
	if err != nil {
		panic("node: " + err.Error()) // a Status has nothing that has no JSON
	}
	return b
}

// timeOf returns the time of a transaction, nil of none.
func timeOf(tid fs.TID) *time.Time {
	if tid == 0 {
		return nil
	}
	at := tid.Time()
	return &at
}

func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Millisecond)
	return &t
}

// heardAt returns when somebody was heard by the clock as it is set now, which may
// not be how it was set then: how long ago it was is right.
func heardAt(t, now time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return orNil(now.Add(-now.Sub(t)))
}

// lagOf tells what a side lacks of what is known. Its age is told by the clock that
// wrote the transaction and by ours, which may not agree: it is no less than what
// we have seen of it.
func lagOf(b wire.Behind, seen series, now time.Time) control.Lag {
	if b.Transactions < 0 && b.Oldest == 0 { // it could not be told
		return control.Lag{}
	}
	l := control.Lag{Bytes: &b.Bytes}
	if b.Transactions >= 0 {
		l.Transactions = &b.Transactions
	}
	age := 0.0
	if b.Oldest != 0 {
		age = max(now.Sub(b.Oldest.Time()), seen.lacked(b.Oldest, now)).Seconds()
	}
	l.Seconds = &age
	return l
}

// stuckAfter is how long nothing may move where something is to be moved.
const stuckAfter = 10 * time.Second

func peerOf(p repl.Peer, s series, now time.Time) control.Peer {
	out := control.Peer{
		Address: p.Address, Node: p.Node, State: "caught-up", Protocol: p.Protocol,
		Since: p.Since.UTC().Truncate(time.Millisecond), Heard: heardAt(p.Heard, now), SentTID: p.Sent,
		Lag: lagOf(p.Behind, s, now), Rate: s.rate(), ETA: s.eta(p.Behind.Bytes), Trend: s.trend(),
	}
	if p.Reported {
		out.DurableTID, out.BlobsMissing = &p.Durable, &p.BlobsMissing
	}
	switch {
	case p.Behind.Bytes == 0 && p.Behind.Transactions == 0:
	case s.idle(now) > stuckAfter:
		out.State = "stuck"
	default:
		out.State = "streaming"
	}
	return out
}

func sourceOf(l repl.Link, last fs.TID, s series, now time.Time) *control.Source {
	out := &control.Source{
		Address: l.Source, State: string(l.State), Since: orNil(l.Since), Protocol: l.Protocol,
		Heard: heardAt(l.Heard, now), LastTID: l.Last, Rate: s.rate(), Trend: s.trend(),
	}
	if l.Err != nil {
		out.Error = l.Err.Error()
	}
	out.Lag = sourceLag(l, last, s, now)
	if out.Lag.Bytes != nil {
		out.ETA = s.eta(*out.Lag.Bytes)
	}
	return out
}

// sourceLag tells what a secondary that ends with last lacks of its source. Only
// a source of ours tells; of another one is known what has arrived.
func sourceLag(l repl.Link, last fs.TID, s series, now time.Time) control.Lag {
	switch {
	case l.Last != 0 && l.Last <= last && l.Protocol == wire.ProtocolZRS1:
		return lagOf(wire.Behind{}, s, now) // what was told before was caught up with
	case l.HasBehind && lagOf(l.Behind, s, now) != (control.Lag{}):
		return lagOf(l.Behind, s, now)
	case l.Last > last:
		age := max(0, now.Sub(l.Last.Time()).Seconds())
		return control.Lag{Seconds: &age} // at least
	}
	return control.Lag{}
}
