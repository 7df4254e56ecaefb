package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"zrs/internal/control"
	"zrs/internal/epoch"
	"zrs/internal/fs"
	"zrs/internal/repl"
)

// wantRefusal requires that err is a refusal for a reason.
func wantRefusal(t testing.TB, what string, err error, reason string) {
	t.Helper()
	if r, ok := errors.AsType[*control.Refusal](err); !ok || r.Reason != reason {
		t.Errorf("%s = %v, want a refusal because of %s", what, err, reason)
	}
}

// A node is promoted while its source goes on committing and its secondary stays
// connected. Another process writes the file then, and the secondary gets that.
func TestNode_Promote(t *testing.T) {
	dir := t.TempDir()
	source := newPrimary(t, filepath.Join(dir, "a.fs"), 50)
	b, served := newSecondary(t, filepath.Join(dir, "b.fs"), source.source)
	stopB := run(t, b)
	c, _ := newSecondary(t, filepath.Join(dir, "c.fs"), served)
	stopC := run(t, c)
	waitFor(t, c, 50)
	eventually(t, "a report of c", func() bool { p := b.Primary.Peers(); return len(p) == 1 && p[0].Durable >= tidOf(50) })
	since := b.Primary.Peers()[0].Since

	var load sync.WaitGroup
	var enough atomic.Bool
	load.Go(func() {
		for n := 51; !enough.Load(); n++ {
			if err := commit(source.Writer, n, n); err != nil {
				t.Error(err)
				return
			}
		}
	})
	waitFor(t, b, 60)
	p, err := b.Promote(t.Context(), control.PromoteRequest{SourceLives: true})
	if err != nil || !p.Promoted || p.AlreadyPrimary || p.DryRun {
		t.Fatalf("Promote() = %+v, %v", p, err)
	}
	enough.Store(true)
	load.Wait()

	lineage := b.Identity.Lineage()
	last := b.log().Tip().TID
	if p.LastTID != last || p.Epoch != lineage.Epoch || len(p.Forks) != 1 || p.Forks[0].End != last {
		t.Errorf("Promote() = %+v; it ends with %s, and its lineage is %+v", p, last, lineage)
	}
	if role := b.Identity.Sidecar().Role; role != epoch.Primary {
		t.Errorf("its role is %s", role)
	}

	before := readFile(t, b.Path)
	w, err := fs.OpenWriter(t.Context(), b.Path, fs.WriterOptions{Logger: testLogger(t)})
	if err != nil {
		t.Fatalf("another process can't write: %v", err)
	}
	if err := commit(w, 100_000, 100_010); err != nil {
		t.Fatal(err)
	}
	waitFor(t, c, 100_010)
	eventually(t, "the new epoch in c", func() bool { return c.Identity.Lineage().Equal(lineage) })
	if peers := b.Primary.Peers(); len(peers) != 1 || !peers[0].Since.Equal(since) {
		t.Errorf("c was dropped: connected at %v, now %+v", since, peers)
	}
	if s := b.Status(); s.Role != epoch.Primary || s.Health != control.Optimal || s.Source != nil || s.LastTID != tidOf(100_010) {
		t.Errorf("Status() = %+v", s)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	stopped(t, stopC)
	stopped(t, stopB)
	if readFile(t, b.Path) != readFile(t, c.Path) {
		t.Error("c is not what b is")
	}
	if !strings.HasPrefix(readFile(t, source.Log().Path()), before) {
		t.Error("b was not what its source was when it was promoted")
	}
}

// Of several who promote at once one does it, and all are told.
func TestNode_Promote_twice(t *testing.T) {
	_, b, stop := runPair(t)
	var all sync.WaitGroup
	var promoted, already atomic.Int64
	for range 8 {
		all.Go(func() {
			p, err := b.Promote(t.Context(), control.PromoteRequest{SourceLives: true})
			switch {
			case err != nil:
				t.Errorf("Promote() = %v", err)
			case p.Promoted:
				promoted.Add(1)
			case p.AlreadyPrimary:
				already.Add(1)
			}
		})
	}
	all.Wait()
	if promoted.Load() != 1 || already.Load() != 7 {
		t.Errorf("%d have promoted it, to %d it was the primary", promoted.Load(), already.Load())
	}
	if n := len(b.Identity.Lineage().Ancestors); n != 1 {
		t.Errorf("it has %d epochs behind it", n)
	}
	stopped(t, stop)
}

// What is refused leaves a secondary that goes on following.
func TestNode_Promote_refused(t *testing.T) {
	source, b, stop := runPair(t)
	eventually(t, "connected", func() bool { return b.Status().Source.State == "receiving" })
	_, err := b.Promote(t.Context(), control.PromoteRequest{})
	wantRefusal(t, "Promote()", err, "source-lives")
	p, err := b.Promote(t.Context(), control.PromoteRequest{SourceLives: true, Limits: control.Limits{ExpectTID: tidOf(6)}})
	wantRefusal(t, "Promote(expect 6)", err, "behind")
	if p.LastTID != tidOf(5) || p.Loss.Source != source.source.Name {
		t.Errorf("the report of a refusal is %+v", p)
	}
	p, err = b.Promote(t.Context(), control.PromoteRequest{DryRun: true})
	if err != nil || p.Promoted || !p.DryRun || p.LastTID != tidOf(5) {
		t.Errorf("Promote(dry run) = %+v, %v", p, err)
	}
	if err := commit(source.Writer, 6, 9); err != nil {
		t.Fatal(err)
	}
	waitFor(t, b, 9)
	stopped(t, stop)
	if s := b.Identity.Sidecar(); s.Role != epoch.Secondary || len(s.Ancestors) != 0 {
		t.Errorf("its sidecar is %+v", s)
	}
}

// An identity that can't be saved leaves a secondary too.
func TestNode_Promote_unsaved(t *testing.T) {
	source, b, stop := runPair(t)
	eventually(t, "a sidecar", func() bool { return b.Identity.Sidecar().Role == epoch.Secondary })
	unblock := blockSidecar(t, b.Path)
	p, err := b.Promote(t.Context(), control.PromoteRequest{SourceLives: true})
	if _, refused := errors.AsType[*control.Refusal](err); err == nil || refused || p.Promoted {
		t.Errorf("Promote() = %+v, %v, want the file system's trouble", p, err)
	}
	unblock()
	if err := commit(source.Writer, 6, 9); err != nil {
		t.Fatal(err)
	}
	waitFor(t, b, 9)
	if s := b.Status(); s.Role != epoch.Secondary {
		t.Errorf("Status() = %+v", s)
	}
	p, err = b.Promote(t.Context(), control.PromoteRequest{SourceLives: true})
	if err != nil || !p.Promoted || p.LastTID != tidOf(9) {
		t.Errorf("Promote(), again = %+v, %v", p, err)
	}
	stopped(t, stop)
}

// A secondary whose history is not that of its source can be promoted, after it was
// tried again in vain.
func TestNode_Promote_diverged(t *testing.T) {
	dir := t.TempDir()
	source := newPrimary(t, filepath.Join(dir, "a.fs"), 5)
	b, _ := newSecondary(t, filepath.Join(dir, "b.fs"), source.source)
	if err := commit(b.Secondary.Writer, 3, 5); err != nil {
		t.Fatal(err)
	}
	trouble := make(chan error, 10)
	b.Trouble = func(err error) { trouble <- err }
	stop := run(t, b)
	for range 2 {
		if err := <-trouble; !NeedsPerson(err) {
			t.Fatalf("trouble: %v", err)
		}
		if s := b.Status(); s.Health != control.Failed || s.Reason != control.ReasonDiverged {
			t.Errorf("Status() = %+v", s)
		}
		if err := b.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	<-trouble
	p, err := b.Promote(t.Context(), control.PromoteRequest{SourceLives: true})
	if err != nil || !p.Promoted || p.LastTID != tidOf(5) {
		t.Errorf("Promote() = %+v, %v", p, err)
	}
	if s := b.Status(); s.Health != control.Optimal || s.Reason != control.ReasonServing {
		t.Errorf("Status() = %+v", s)
	}
	stopped(t, stop)
}

// A paused secondary applies nothing, goes on where it was, and can be promoted.
func TestNode_Promote_paused(t *testing.T) {
	source, b, stop := runPair(t)
	for first := 6; first < 20; first += 5 {
		if err := b.Pause(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := b.Status(); !s.Paused || s.Reason != control.ReasonPaused {
			t.Errorf("Status() = %+v", s)
		}
		eventually(t, "no session", func() bool { return b.Secondary.Link().State == repl.LinkPaused })
		was := b.log().Tip().TID
		if err := commit(source.Writer, first, first+4); err != nil {
			t.Fatal(err)
		}
		if got := b.log().Tip().TID; got != was {
			t.Errorf("paused, it went on to %s", got)
		}
		if err := b.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := b.Status(); s.Paused || s.Reason == control.ReasonPaused {
			t.Errorf("Status() = %+v", s)
		}
		waitFor(t, b, first+4)
	}
	if err := b.Pause(t.Context()); err != nil {
		t.Fatal(err)
	}
	p, err := b.Promote(t.Context(), control.PromoteRequest{})
	if err != nil || !p.Promoted {
		t.Errorf("Promote() = %+v, %v", p, err)
	}
	wantRefusal(t, "Pause()", b.Pause(t.Context()), "primary")
	wantRefusal(t, "Resume()", b.Resume(t.Context()), "primary")
	wantRefusal(t, "Reload()", b.Reload(t.Context()), "primary")
	if s := b.Status(); s.Paused || s.Reason != control.ReasonServing {
		t.Errorf("Status() = %+v", s)
	}
	stopped(t, stop)
}

// A promotion and a shutdown at once: one of them comes first, and none waits for
// ever. Whoever is too late is told.
func TestNode_Promote_stopping(t *testing.T) {
	for i := range 20 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			_, b, stop := runPair(t)
			var down sync.WaitGroup
			down.Go(func() {
				time.Sleep(time.Duration(i) * 200 * time.Microsecond) // another moment each time
				b.Shutdown()
			})
			p, err := b.Promote(t.Context(), control.PromoteRequest{SourceLives: true})
			down.Wait()
			if err != nil {
				wantRefusal(t, "Promote()", err, "stopping")
			}
			stopped(t, stop)
			role := b.Identity.Sidecar().Role
			if (err == nil) != p.Promoted || p.Promoted != (role == epoch.Primary) {
				t.Errorf("Promote() = %+v, %v; then it is a %s", p, err, role)
			}
			p, err = b.Promote(t.Context(), control.PromoteRequest{SourceLives: true})
			if role == epoch.Secondary {
				wantRefusal(t, "Promote() of a node that has stopped", err, "stopping")
			} else if err != nil || !p.AlreadyPrimary {
				t.Errorf("Promote() of a primary that has stopped = %+v, %v", p, err)
			}
			w, err := fs.OpenWriter(t.Context(), b.Path, fs.WriterOptions{Logger: testLogger(t)})
			if err != nil {
				t.Fatalf("what is left can't be written: %v", err)
			}
			w.Close()
		})
	}
}

// A promotion that nobody waits for any more is not asked for.
func TestNode_Promote_cancelled(t *testing.T) {
	dir := t.TempDir()
	source := newPrimary(t, filepath.Join(dir, "a.fs"), 5)
	b, _ := newSecondary(t, filepath.Join(dir, "b.fs"), source.source)
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	cancel(gone)
	if p, err := b.Promote(ctx, control.PromoteRequest{}); !errors.Is(err, gone) || p.Promoted { // it does not run yet
		t.Errorf("Promote() = %+v, %v", p, err)
	}
	stop := run(t, b)
	waitFor(t, b, 5)
	stopped(t, stop)
}

func TestSettle(t *testing.T) {
	n := func(n int64) *int64 { return &n }
	s := func(s float64) *float64 { return &s }
	for _, tt := range []struct {
		name       string
		last, ours fs.TID
		told       *int64
		txns       *int64
		seconds    *float64
	}{
		{"never-told", 0, tidOf(5), nil, nil, nil},
		{"never-told-but-a-count", 0, tidOf(5), n(3), nil, nil},
		{"equal", tidOf(5), tidOf(5), nil, n(0), s(0)},
		{"equal-and-an-old-count", tidOf(5), tidOf(5), n(3), n(0), s(0)},
		{"ahead", tidOf(4), tidOf(5), n(3), n(0), s(0)},
		{"behind", tidOf(7), tidOf(5), n(2), n(2), s(120)},
		{"behind-uncounted", tidOf(7), tidOf(5), nil, nil, s(120)},
		{"behind-though-none-was-told", tidOf(7), tidOf(5), n(0), nil, s(120)},
		{"nothing-here", tidOf(1), 0, n(1), n(1), s(60)},
	} {
		loss := control.Loss{LastTID: tt.last}
		Settle(&loss, tt.ours, tt.told)
		if !same(loss.Transactions, tt.txns) || !same(loss.Seconds, tt.seconds) {
			t.Errorf("%s: %v transactions, %v seconds, want %v, %v",
				tt.name, show(loss.Transactions), show(loss.Seconds), show(tt.txns), show(tt.seconds))
		}
	}
}

func TestLossOf(t *testing.T) {
	heard := time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))
	log := logOf(t, 5)
	l := repl.Link{Source: "db1", Heard: heard.Add(time.Hour), Primary: heard, Last: tidOf(7), HasBehind: true}
	l.After, l.Behind.Transactions = tidOf(2), 5 // three of which have come since
	loss := lossOf(l, log)
	if loss.Source != "db1" || loss.Heard.String() != "2026-01-02 02:04:05 +0000 UTC" || loss.LastTID != tidOf(7) ||
		show(loss.Transactions) != "2" || show(loss.Seconds) != "120" {
		t.Errorf("lossOf() = %+v", loss)
	}
	l.Behind.Transactions = -1 // more than were counted
	if loss := lossOf(l, log); loss.Transactions != nil {
		t.Errorf("lossOf(uncounted) has %d transactions", *loss.Transactions)
	}
	if loss := lossOf(repl.Link{}, log); loss.Heard != nil || loss.Seconds != nil || loss.Transactions != nil {
		t.Errorf("lossOf(nothing) = %+v", loss)
	}
}

func same[T comparable](a, b *T) bool {
	return a == nil && b == nil || a != nil && b != nil && *a == *b
}

func show[T any](v *T) string {
	if v == nil {
		return "unknown"
	}
	return fmt.Sprint(*v)
}
