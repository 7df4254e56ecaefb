package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"zrs/internal/control"
	"zrs/internal/epoch"
	"zrs/internal/fs"
	"zrs/internal/repl"
	"zrs/internal/wire"
)

// A promotion is a request that the goroutine that owns the writer answers.
type promotion struct {
	begun  time.Time
	limits control.Limits
	result control.Promotion
	done   chan error // one slot
}

// answer ends a promotion that came to nothing.
func (p *promotion) answer(err error) {
	if p == nil {
		return
	}
	if err == nil {
		err = errStopping
	}
	p.done <- err
}

// Promote makes the secondary the primary. What it is known to lose is in the
// result, also of a dry run and of a refusal.
func (n *Node) Promote(ctx context.Context, r control.PromoteRequest) (control.Promotion, error) {
	n.init()
	p := &promotion{begun: time.Now(), limits: r.Limits, done: make(chan error, 1)}
	p.result = control.Promotion{Schema: control.Schema, Path: n.Path, DryRun: r.DryRun}
	identity := n.Identity.Sidecar()
	describe(&p.result, identity.Lineage, n.log().Tip().TID)
	if n.isPrimary() {
		if by := identity.Superseded; by != nil {
			return p.result, &control.Refusal{Reason: "superseded", Text: fmt.Sprintf("%s: %v, epoch %s", n.Path, epoch.ErrSuperseded, by.Epoch)}
		}
		p.result.AlreadyPrimary = true
		return p.result, nil
	}
	link := n.link()
	p.result.Loss = lossOf(link, n.log())
	p.result.BlobsMissing = n.Secondary.Stats.BlobsMissing.Load()
	if err := errors.Join(n.checkFile(), r.Limits.Check(&p.result)); err != nil {
		return p.result, err
	}
	if lives(link) && !r.SourceLives && !r.DryRun {
		return p.result, &control.Refusal{
			Reason: "source-lives",
			Text:   fmt.Sprintf("the source %s is connected: there would be two primaries", link.Source),
			Next:   []string{"stop it first, or have it stopped by --fence-cmd; --source-lives goes on all the same"},
		}
	}
	if r.DryRun {
		return p.result, nil
	}
	select {
	case n.promotions <- p:
		err := <-p.done
		return p.result, err
	case <-n.replicated:
		if n.isPrimary() { // somebody else was faster
			return n.Promote(ctx, r)
		}
		return p.result, errStopping
	case <-ctx.Done():
		return p.result, context.Cause(ctx)
	}
}

// checkFile refuses a secondary whose data file is not where its next writer looks
// for it.
func (n *Node) checkFile() error {
	err := n.Secondary.Writer.StillNamed()
	if err == nil {
		return nil
	}
	return &control.Refusal{Reason: "other-file", Text: err.Error(), Next: []string{"put the data file back, or promote another secondary"}}
}

// errStopping says that it is too late for a promotion.
var errStopping = &control.Refusal{Reason: "stopping", Text: "the server is being stopped", Next: []string{"promote its data file when it has stopped"}}

// lives reports whether a source is there, as far as one knows. One that is cut off
// from the primary is none: two secondaries may follow each other when that is lost.
func lives(l repl.Link) bool {
	switch l.State {
	case repl.LinkComparing, repl.LinkReceiving:
		return !l.CutOff
	}
	return false
}

// lossOf returns what a source is known to have that a log has not.
func lossOf(l repl.Link, log *fs.Log) control.Loss {
	loss := control.Loss{Source: cmp.Or(l.From, l.Source), Heard: heardAt(l.Primary, time.Now()), LastTID: l.Last}
	settle(&loss, l.Protocol, log.Tip().TID, l.Lacking(log))
	return loss
}

// settle completes a loss where the source speaks a protocol. One of zc.zrs does
// not tell what it has: who has all that came may lack any number.
func settle(loss *control.Loss, protocol string, last fs.TID, told *int64) {
	if protocol == wire.ProtocolZRS1 || loss.LastTID > last {
		Settle(loss, last, told)
	}
}

// Settle completes a loss: what is lost of a source that is known to have come to
// loss.LastTID, where told is how many transactions it said were lacking, or nil.
func Settle(loss *control.Loss, last fs.TID, told *int64) {
	if loss.LastTID == 0 {
		return
	}
	seconds, none := 0.0, int64(0)
	loss.Seconds = &seconds
	if loss.LastTID <= last {
		loss.Transactions = &none
		return
	}
	seconds = loss.LastTID.Time().Sub(last.Time()).Seconds()
	if told != nil && *told > 0 {
		loss.Transactions = told
	}
}

// describe says what a storage is.
func describe(p *control.Promotion, l epoch.Lineage, last fs.TID) {
	p.Database, p.Epoch, p.Forks, p.LastTID = l.Database, l.Epoch, l.Ancestors, last
	p.LastTime = nil
	if last != 0 {
		at := last.Time()
		p.LastTime = &at
	}
}

// become makes the node a primary, after its secondary was drained. It reports
// whether it is one now. If it isn't, and there is no error, it still is a
// secondary.
func (n *Node) become(p *promotion) (bool, error) {
	last := n.log().Tip().TID
	identity := n.Identity.Sidecar()
	// A source that goes on may have told of more since they were checked.
	describe(&p.result, identity.Lineage, last)
	p.result.Loss = lossOf(n.Secondary.Link(), n.log())
	err := errors.Join(n.checkFile(), p.limits.Check(&p.result))
	fork := last
	if err == nil {
		fork, err = forkOf(n.Path, n.log(), identity.At)
	}
	if err == nil {
		err = n.Identity.Promote(fork)
	}
	if err != nil {
		p.answer(err)
		return false, nil
	}
	describe(&p.result, n.Identity.Lineage(), last)
	tailer, err := n.Secondary.Writer.HandOver(n.TailerOptions)
	if err != nil {
		// The epoch has begun, so there is no way back to the source.
		err = fmt.Errorf("promoted, but the data file can't be followed: %w", err)
		p.answer(err)
		return false, err
	}
	n.mu.Lock()
	n.Tailer, n.tailing, n.failed = tailer, true, nil
	n.mu.Unlock()
	p.result.Promoted = true
	p.result.Seconds = time.Since(p.begun).Seconds()
	n.Logger.Info("promoted", "epoch", p.result.Epoch, "tid", last, "took", time.Since(p.begun))
	p.result.BlobsMissing = n.Secondary.Stats.BlobsMissing.Load()
	p.done <- nil
	return true, nil
}
