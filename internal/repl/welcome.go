package repl

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"zrs/internal/epoch"
	"zrs/internal/fs"
	"zrs/internal/wire"
)

// What the primary says to a secondary of ours, and hears from it: protocol zrs+1.

// greeted reads the Hello of a secondary of ours, and compares lineages: whoever
// may not follow us is told so before anything is looked for.
func (s *outgoing) greeted() error {
	payload, err := readHandshake(s.conn, wire.MaxGreeting)
	if err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	if s.hello, err = wire.DecodeHello(payload); err != nil {
		return err
	}
	h := s.hello
	s.start = h.Start
	s.update(func(p *Peer) { p.Node, p.Reported, p.Durable = h.Node, true, h.Last })
	if s.p.Blobs != nil && !h.Blobs {
		return s.refuse(wire.ReasonNoBlobs, errors.New("the secondary has no blob directory, but this database has blobs"))
	}
	if !h.Instance.IsZero() && h.Instance == s.p.Identity.Instance() {
		return s.refuse(wire.ReasonUnavailable, errors.New("this is the very server that asks, under another name: it can't follow itself"))
	}
	identity := s.p.Identity.Sidecar()
	if by := identity.Superseded; by != nil {
		return s.refuse(wire.ReasonSuperseded, superseded(*by))
	}
	switch err := h.Lineage.MayFollow(identity.Lineage, h.Last); {
	case errors.Is(err, epoch.ErrSuperseded):
		if identity.Role == epoch.Primary {
			s.logger.Error("this is not the primary any more: a secondary has met a newer epoch", "epoch", h.Lineage.Epoch, "node", h.Node)
			if err := s.p.Identity.Supersede(h.Lineage); err != nil {
				s.logger.Error("this could not be noted down", "err", err)
			}
		}
		return s.refuse(wire.ReasonSuperseded, err)
	case errors.Is(err, epoch.ErrOtherDatabase):
		return s.refuse(wire.ReasonOtherDatabase, err)
	case err != nil:
		return s.refuse(wire.ReasonDiverged, err)
	}
	return s.conn.SetReadDeadline(time.Time{})
}

func superseded(by epoch.Lineage) error {
	return fmt.Errorf("%w, epoch %s", epoch.ErrSuperseded, by.Epoch.Short())
}

// A refusedError is what a secondary of ours was told.
type refusedError struct{ err error }

func (e *refusedError) Error() string { return "refused it: " + e.err.Error() }
func (e *refusedError) Unwrap() error { return e.err }

func isRefused(err error) bool {
	_, ok := errors.AsType[*refusedError](err)
	return ok
}

// refuse tells a secondary of ours why it is not served, and leaves it to the
// secondary to hang up. Another one can't be told. It returns why, for the log.
func (s *outgoing) refuse(reason wire.Reason, why error) error {
	if s.hello == nil {
		return why
	}
	identity := s.p.Identity.Sidecar()
	w := &wire.Welcome{
		Lineage: identity.Lineage, Role: identity.Role, Last: s.p.Log.Tip().TID,
		Refused: &wire.Refusal{Reason: reason, Text: why.Error()},
	}
	if err := s.write(net.Buffers{w.AppendFrame(nil)}); err == nil {
		s.closeGently()
	}
	return &refusedError{why}
}

// waitReady waits until the log knows what it has. A secondary of ours is not
// left without an answer for long.
func (s *outgoing) waitReady(ctx context.Context) error {
	if s.hello == nil {
		return s.p.Log.WaitReady(ctx)
	}
	soon, cancel := context.WithTimeout(ctx, s.p.HandshakeTimeout/3)
	defer cancel()
	err := s.p.Log.WaitReady(soon)
	if soon.Err() != nil && ctx.Err() == nil {
		return s.refuse(wire.ReasonUnavailable, errors.New("the data file is still being read, try again"))
	}
	return err
}

// welcome tells a secondary of ours that it is served.
func (s *outgoing) welcome() error {
	s.update(func(p *Peer) {
		p.Protocol, p.Start, p.Sent = s.protocol, s.start, s.start
	})
	identity := s.p.Identity.Sidecar()
	if by := identity.Superseded; by != nil {
		return s.refuse(wire.ReasonSuperseded, superseded(*by))
	}
	if s.hello == nil {
		return nil
	}
	s.lineage = identity.Lineage
	w := &wire.Welcome{Lineage: identity.Lineage, Role: identity.Role, Last: s.p.Log.Tip().TID}
	return s.write(net.Buffers{w.AppendFrame(nil)})
}

// noteEvery is how often a secondary of ours is told how far we are.
const noteEvery = time.Second / 2

// notes sends what a secondary of ours should know now, between two
// transactions. A new epoch it must know of before the first of its transactions.
func (s *outgoing) notes(ctx context.Context) error {
	identity := s.p.Identity.Sidecar()
	if identity.Superseded != nil {
		return superseded(*identity.Superseded)
	}
	if s.hello == nil {
		return nil
	}
	if l := identity.Lineage; l.Known() && (!l.Equal(s.lineage) || (l.Unsure == nil) != (s.lineage.Unsure == nil)) {
		if err := s.lineage.MayFollow(l, 0); err != nil {
			return fmt.Errorf("our lineage has changed: %w", err) // it has to compare anew
		}
		if err := s.note(ctx, &wire.Note{Lineage: &l}); err != nil {
			return err
		}
		s.lineage = l
	}
	if time.Since(s.noted) < noteEvery {
		return nil
	}
	s.mu.Lock()
	has := s.peer.has()
	s.mu.Unlock()
	tip := &wire.Tip{Last: s.p.Log.Tip().TID, Behind: s.p.behind(has), After: has}
	if self := s.p.Identity.Instance(); !self.IsZero() {
		tip.Via = []epoch.ID{self}
	}
	if s.p.Upstream != nil {
		s.p.Upstream().describe(tip)
	}
	return s.note(ctx, &wire.Note{Tip: tip})
}

// note sends a note to a secondary of ours.
func (s *outgoing) note(ctx context.Context, n *wire.Note) error {
	if s.hello == nil {
		return nil
	}
	s.noted = time.Now()
	return s.enqueue(ctx, net.Buffers{n.AppendFrame(nil)})
}

// wait waits for more to send, or until it is time to look for notes.
func (s *outgoing) wait(ctx context.Context, c *fs.Cursor) error {
	due, cancel := context.WithTimeout(ctx, noteEvery)
	defer cancel()
	err := c.Wait(due)
	if due.Err() != nil && ctx.Err() == nil {
		return nil
	}
	return err
}

// heed reads a note of the secondary whose frame begins with head. It reports
// whether that asks for the end.
func (s *outgoing) heed(head []byte) (finish bool, err error) {
	n, err := wire.FrameSize(head, wire.MaxNote)
	if err != nil {
		return false, err
	}
	payload, err := readPayload(s.conn, n)
	if err != nil {
		return false, err
	}
	note, err := wire.DecodeNote(payload)
	if err != nil {
		return false, err
	}
	if r := note.Report; r != nil {
		s.update(func(p *Peer) { p.Durable, p.BlobsMissing = r.Durable, r.BlobsMissing })
	}
	return note.Finish != nil, nil
}
