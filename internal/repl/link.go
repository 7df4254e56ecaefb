package repl

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"zrs/internal/epoch"
	"zrs/internal/fs"
	"zrs/internal/wire"
)

// What a session does with a source of ours, which has a lineage and sends notes.

// A link is what a secondary knows of its source.
type link struct {
	mu sync.Mutex
	l  Link
}

// A Link is a secondary's connection to its source, or its lack of one.
type Link struct {
	Source    string
	State     LinkState
	Since     time.Time   // when it came to be so
	Err       error       // why it is not connected, nil if it is or never was
	From      string      // the source that was heard last, which all that follows is of
	Protocol  string      // that it speaks, "" if none ever answered
	Heard     time.Time   // when the source last sent anything
	Primary   time.Time   // when the primary was last heard, through the source if that is a secondary
	Last      fs.TID      // the latest transaction that it told of or sent, or that is known to be before it
	Behind    wire.Behind // what we lacked, who had all up to After
	After     fs.TID
	HasBehind bool // the source told Behind
	CutOff    bool // the source is a secondary without a source, or follows us
	Via       []epoch.ID
}

// A LinkState says what a secondary does about its source.
type LinkState string

// The states.
const (
	LinkConnecting   LinkState = "connecting"
	LinkComparing    LinkState = "comparing" // histories
	LinkReceiving    LinkState = "receiving" // and applying
	LinkDisconnected LinkState = "disconnected"
	LinkRefused      LinkState = "refused"  // or left without a word
	LinkDiverged     LinkState = "diverged" // or packed past us: for a person to decide
	LinkPaused       LinkState = "paused"
)

// Link returns what is known of the source now. It may be called at any time.
func (s *Secondary) Link() Link {
	s.link.mu.Lock()
	defer s.link.mu.Unlock()
	return s.link.l
}

func (k *link) update(change func(*Link)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	before := k.l.State
	change(&k.l)
	if k.l.State != before {
		k.l.Since = time.Now()
	}
}

// greeted takes what the source said of itself, if it is one of ours.
func (c *session) greeted() error {
	w := c.welcome
	if w != nil {
		c.lineage = w.Lineage
	}
	c.s.link.update(func(l *Link) { l.HasBehind, l.Behind, l.CutOff, l.Via = false, wire.Behind{}, false, nil })
	if w == nil {
		return nil // a refusal comes without a word
	}
	c.tell(w.Last)
	if c.goal.end {
		return c.finish()
	}
	return nil
}

// An Upstream is what a secondary tells its own ones of its source.
type Upstream struct {
	CutOff bool       // the source is out of reach: there may be more than it has
	Via    []epoch.ID // the servers that the transactions come through, the nearest first
	Heard  time.Time  // when the primary was last heard, zero if it never was
}

// Upstream returns what is known of the way to the primary.
func (l Link) Upstream() *Upstream {
	return &Upstream{CutOff: l.State != LinkReceiving || l.CutOff, Via: l.Via, Heard: l.Primary}
}

// describe completes a tip. Without an upstream it is of the primary itself.
func (u *Upstream) describe(tip *wire.Tip) {
	switch {
	case u == nil:
		return
	case u.Heard.IsZero():
		tip.Silent = -1
	default:
		tip.Silent = max(0, time.Since(u.Heard).Milliseconds())
	}
	tip.CutOff = u.CutOff
	if len(tip.Via) > 0 {
		tip.Via = append(tip.Via, u.Via...)
	}
}

// tell notes that the source has sent something, and a transaction that it has.
func (c *session) tell(last fs.TID) {
	c.s.link.update(func(l *Link) {
		l.State, l.Err = LinkReceiving, nil
		if c.check != nil {
			l.State = LinkComparing
		}
		l.From, l.Protocol, l.Heard, l.Last = c.source, c.protocol(), time.Now(), max(l.Last, last)
		if c.welcome == nil || c.welcome.Role == epoch.Primary {
			l.Primary = l.Heard // as far as zc.zrs tells
		}
	})
}

func (c *session) protocol() string {
	switch {
	case c.welcome != nil:
		return wire.ProtocolZRS1
	case c.s.Blobs != nil:
		return wire.Protocol21
	}
	return wire.Protocol20
}

// lost notes why a session with a source has ended.
func (k *link) lost(err error) {
	k.update(func(l *Link) {
		l.Err = err
		switch {
		case misfit(err):
			l.State = LinkDiverged
		case errors.Is(err, ErrRefused), errors.Is(err, ErrRejected), errors.Is(err, ErrAhead), errors.Is(err, ErrOwnEpoch):
			l.State = LinkRefused
		default:
			l.State = LinkDisconnected
		}
	})
}

// note takes a note of the source.
func (c *session) note(n *wire.Note) error {
	switch {
	case n.Tip != nil:
		c.s.link.update(func(l *Link) {
			l.CutOff, l.Via = c.s.cutOff(n.Tip)
			if !l.CutOff || l.Last < n.Tip.Last {
				l.Last = n.Tip.Last // else more is known than it has: another source told
			}
			l.Behind, l.After, l.HasBehind = n.Tip.Behind, n.Tip.After, true
			if n.Tip.Silent >= 0 && !c.s.isIn(n.Tip.Via) { // else it is what we told ourselves
				now := time.Now()
				heard := now.Add(-time.Duration(min(n.Tip.Silent, maxSilent)) * time.Millisecond)
				if heard.After(l.Primary.Add(noteTime)) || l.Primary.After(now) { // the clock was set back since
					l.Primary = heard
				}
			}
		})
	case n.End != nil:
		c.sureEnd = true
	case n.Lineage != nil:
		return c.renewed(*n.Lineage)
	}
	return nil
}

// noteTime is what a note may take from one server to the next. By less than that
// the primary was not heard later, as far as one can tell.
const noteTime = time.Second

// maxSilent is for how many milliseconds a primary can be known to be silent: more
// is no [time.Duration].
const maxSilent = int64(math.MaxInt64 / time.Millisecond)

// cutOff reports whether a source does not lead to a primary, and the servers
// between: a ring of secondaries, each of which has a source, has none.
func (s *Secondary) cutOff(tip *wire.Tip) (bool, []epoch.ID) {
	if s.isIn(tip.Via) {
		return true, tip.Via[:slices.Index(tip.Via, s.Identity.Instance())]
	}
	if len(tip.Via) >= wire.MaxVia {
		return true, nil
	}
	return tip.CutOff, tip.Via
}

// isIn reports whether s is among the servers that transactions come through.
func (s *Secondary) isIn(via []epoch.ID) bool {
	self := s.Identity.Instance()
	return !self.IsZero() && slices.Contains(via, self)
}

// renewed takes the lineage of a source that has begun a new epoch.
func (c *session) renewed(l epoch.Lineage) error {
	if err := c.s.Identity.Lineage().MayFollow(l, c.s.Log.Tip().TID); err != nil {
		return fmt.Errorf("%s: %w", c.s.Log.Path(), err)
	}
	c.lineage = l
	if !c.good {
		return nil
	}
	c.logger.Info("the source has another lineage", "epoch", l.Epoch, "unsure", l.Unsure != nil)
	return c.adopt()
}

// adopt takes on the lineage of a source whose history is ours.
func (c *session) adopt() error {
	if c.welcome != nil && !c.lineage.Equal(c.s.Identity.Lineage()) {
		// What another source had told of an epoch that has ended does not count.
		c.s.link.update(func(l *Link) { l.Last = c.welcome.Last })
	}
	c.tell(c.tid)
	c.s.link.update(func(l *Link) { l.State = LinkReceiving })
	if c.goal.dry {
		return nil
	}
	return c.s.Identity.Follow(c.lineage, c.s.Log.Tip().TID, c.s.contact())
}

// recall takes what the sidecar has of a source until one is heard.
func (s *Secondary) recall() {
	known := s.Identity.Sidecar().Source
	if known == nil {
		return
	}
	s.link.update(func(l *Link) {
		if l.From == "" {
			l.From, l.Protocol, l.Heard, l.Last = known.Address, known.Protocol, known.Heard, known.Last
			l.Primary = known.Heard
		}
	})
}

// contact is what a sidecar keeps of the source.
func (s *Secondary) contact() epoch.Contact {
	l := s.Link()
	return epoch.Contact{Address: l.From, Protocol: l.Protocol, Heard: l.Primary.UTC(), Last: l.Last, Behind: l.Lacking(s.Log)}
}

// Lacking returns how many of the transactions that the source told of a log has
// not, or nil if that is not known.
func (l Link) Lacking(log *fs.Log) *int64 {
	if !l.HasBehind {
		return nil
	}
	return Lacking(log, l.After, l.Behind.Transactions)
}

// Lacking returns how many transactions a log lacks that lacked behind when it
// ended with after, or nil if that can't be told.
func Lacking(log *fs.Log, after fs.TID, behind int64) *int64 {
	if behind < 0 {
		return nil
	}
	since, err := log.Ahead(after, mostApplied)
	if err != nil || since.Transactions < 0 {
		return nil
	}
	left := max(0, behind-since.Transactions)
	return &left
}

// mostApplied is how many transactions are counted that came since the source told
// how many are lacking: about a second's worth of reading.
const mostApplied = 1_000_000

const (
	// reportEvery is how often a source of ours is told what is durable here.
	reportEvery = 200 * time.Millisecond

	// keepEvery is how often the sidecar is told of the contact with the source.
	keepEvery = 10 * time.Second
)

// report tells a source of ours what is durable here, whenever that has changed,
// and the sidecar when the source was last heard.
func (c *session) report(ctx context.Context) {
	if c.s.Writer == nil {
		return
	}
	tick, keep := time.NewTicker(reportEvery), time.NewTicker(keepEvery)
	defer tick.Stop()
	defer keep.Stop()
	if c.welcome == nil {
		tick.Stop()
	}
	told := wire.Report{Durable: c.last}
	for {
		select {
		case <-tick.C:
		case <-keep.C:
			if c.s.good.Load() { // else it is not known yet whether this is our source
				c.s.keepContact()
			}
			continue
		case <-ctx.Done():
			return
		}
		now := wire.Report{Durable: c.s.Log.Tip().TID, BlobsMissing: c.s.Stats.BlobsMissing.Load()}
		if now == told {
			continue
		}
		if c.write((&wire.Note{Report: &now}).AppendFrame(nil)) != nil {
			return // the reader notices too
		}
		told = now
	}
}

// keepContact writes down when the source was last heard, if there is a sidecar.
// That it can't be written will be seen when it matters.
func (s *Secondary) keepContact() {
	if known := s.Identity.Sidecar(); known.Role != epoch.Secondary || s.Writer == nil {
		return
	}
	contact, last := s.contact(), s.Log.Tip().TID
	err := s.Identity.Update(func(k *epoch.Sidecar) { k.Source, k.At = &contact, last })
	if err != nil {
		s.Logger.Warn("the sidecar can't be written", "path", epoch.SidecarPath(s.Log.Path()), "err", err)
	}
}
