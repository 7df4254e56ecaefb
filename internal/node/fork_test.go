package node

import (
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"zrs/internal/control"
	"zrs/internal/epoch"
	"zrs/internal/fs"
	"zrs/internal/repl"
	"zrs/internal/wire"
)

// Where a new epoch begins, of a file that had a transaction once.
func TestForkOf(t *testing.T) {
	for _, test := range []struct {
		name   string
		status fs.Status // of its transactions 1 to 3
		at     fs.TID
		want   fs.TID // 0: refused
	}{
		{"nothing-known", fs.StatusComplete, 0, tidOf(3)},
		{"the-last", fs.StatusComplete, tidOf(3), tidOf(3)},
		{"went-on", fs.StatusComplete, tidOf(2), tidOf(3)},
		{"an-older-copy", fs.StatusComplete, tidOf(5), 0},
		{"another-file", fs.StatusComplete, tidOf(2) + 1, 0},
		{"packed-from-the-end", fs.StatusPacked, tidOf(5), tidOf(5)},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.fs")
			w, err := fs.OpenWriter(t.Context(), path, fs.WriterOptions{Create: true})
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			for n := 1; n <= 3; n++ {
				if err := w.Begin(fs.TxnHeader{TID: tidOf(n), Status: test.status}); err != nil {
					t.Fatal(err)
				}
				if err := w.Commit(); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Sync(); err != nil {
				t.Fatal(err)
			}
			got, err := forkOf(path, w.Log(), test.at)
			if test.want == 0 {
				wantRefusal(t, "forkOf()", err, "other-file")
			} else if err != nil || got != test.want {
				t.Errorf("forkOf() = %s, %v, want %s", got, err, test.want)
			}
		})
	}
}

// A running secondary is promoted by what it knows at the end: its limits hold
// then, and its file has to be the one that it was.
func TestNode_become_refused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.fs")
	if err := (&epoch.Sidecar{Lineage: epoch.Begin(), Role: epoch.Secondary, At: tidOf(5)}).Save(path); err != nil {
		t.Fatal(err)
	}
	n, _ := newSecondary(t, path, newPrimary(t, filepath.Join(t.TempDir(), "b.fs"), 1).source)
	defer n.Close()
	if err := commit(n.Secondary.Writer, 1, 3); err != nil {
		t.Fatal(err)
	}
	for reason, limits := range map[string]control.Limits{"behind": {ExpectTID: tidOf(4)}, "other-file": {}} {
		p := &promotion{limits: limits, done: make(chan error, 1)}
		promoted, err := n.become(p)
		if promoted || err != nil {
			t.Errorf("become() = %v, %v", promoted, err)
		}
		wantRefusal(t, "become()", <-p.done, reason)
		if s := n.Identity.Sidecar(); s.Role != epoch.Secondary || len(s.Ancestors) != 0 {
			t.Errorf("the sidecar has %+v", s)
		}
	}
}

// What a source does not tell is unknown: it is no reason to believe that nothing
// is lost, or lacking.
func TestUnknown(t *testing.T) {
	log := logOf(t, 5)
	for _, test := range []struct {
		protocol string
		last     fs.TID
		known    bool
	}{
		{wire.ProtocolZRS1, tidOf(5), true},
		{wire.Protocol21, tidOf(5), false}, // it sent that: what else it has it does not tell
		{wire.Protocol21, tidOf(6), true},  // at least that is lost
		{"", tidOf(5), false},
	} {
		loss := lossOf(repl.Link{From: "db1", Protocol: test.protocol, Last: test.last}, log)
		if known := loss.Seconds != nil; known != test.known {
			t.Errorf("%q, up to %s: lossOf() = %+v", test.protocol, test.last, loss)
		}
		if test.last == tidOf(5) && (loss.Transactions != nil) != test.known {
			t.Errorf("%q: lossOf() has %v transactions", test.protocol, show(loss.Transactions))
		}
	}
	now := tidOf(9).Time()
	l := repl.Link{Protocol: wire.ProtocolZRS1, Last: tidOf(7), HasBehind: true, Behind: wire.Behind{Transactions: -1}}
	if lag := sourceLag(l, tidOf(5), nil, now); lag.Bytes != nil || show(lag.Seconds) != "120" {
		t.Errorf("sourceLag() = %v bytes, %v seconds", show(lag.Bytes), show(lag.Seconds))
	}
	if lag := lagOf(wire.Behind{Transactions: -1}, nil, now); lag != (control.Lag{}) {
		t.Errorf("lagOf() = %+v of what could not be told", lag)
	}
}

// A primary ends when another process makes a secondary of its file: what it would
// serve then is of another one's epoch.
func TestNode_demoted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.fs")
	source := newPrimary(t, path, 3) // has the file, and its sidecar
	source.stop()
	if err := source.Close(); err != nil {
		t.Fatal(err)
	}
	tailer, err := fs.OpenTailer(path, fs.TailerOptions{Logger: testLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	identity, err := epoch.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	n := &Node{
		Path: path, Identity: identity, Tailer: tailer, Listener: listenTCP(t), Logger: testLogger(t),
		Primary: &repl.Primary{Log: tailer.Log(), Identity: identity, Logger: testLogger(t)},
	}
	done := make(chan error, 1)
	go func() { done <- n.Run(t.Context()) }()
	another, err := epoch.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := another.Follow(another.Lineage().Promote(tidOf(3)), tidOf(3), epoch.Contact{Address: "db2:5000"}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, ErrDemoted) {
		t.Errorf("Run() = %v, want %v", err, ErrDemoted)
	}
}

// A source that has lost the primary itself is no second primary.
func TestLives(t *testing.T) {
	for state, want := range map[repl.LinkState]bool{
		repl.LinkReceiving: true, repl.LinkComparing: true, repl.LinkDisconnected: false, repl.LinkPaused: false,
	} {
		if lives(repl.Link{State: state}) != want || lives(repl.Link{State: state, CutOff: true}) {
			t.Errorf("%s: lives() is not %t, and false when cut off", state, want)
		}
	}
}

// Two secondaries that turn to each other when the primary is lost have no source,
// and say so, as long as they do; either can be promoted then.
func TestNode_ring(t *testing.T) {
	dir := t.TempDir()
	source := newPrimary(t, filepath.Join(dir, "a.fs"), 5)
	b, bAt := newSecondary(t, filepath.Join(dir, "b.fs"), source.source)
	c, cAt := newSecondary(t, filepath.Join(dir, "c.fs"), source.source)
	b.Secondary.Sources = append(b.Secondary.Sources, cAt)
	c.Secondary.Sources = append(c.Secondary.Sources, bAt)
	stopB, stopC := run(t, b), run(t, c)
	waitFor(t, b, 5)
	waitFor(t, c, 5)
	source.stop()
	ended := time.Now()
	lost := func(n *Node) bool {
		s := n.Status()
		return s.Source.State == "receiving" && s.Reason == control.ReasonDisconnected
	}
	eventually(t, "two that follow each other and know it", func() bool { return lost(b) && lost(c) })
	for range 20 {
		time.Sleep(50 * time.Millisecond)
		if !lost(b) || !lost(c) {
			t.Fatalf("Status() = %+v, %+v", b.Status(), c.Status())
		}
	}
	for _, n := range []*Node{b, c} {
		// They hear each other, but what they have is as old as the primary's last word.
		p, err := n.Promote(t.Context(), control.PromoteRequest{DryRun: true})
		if err != nil || p.Loss.Heard.After(ended) || !n.Status().Source.Heard.After(ended) {
			t.Errorf("Promote(dry) = %+v, %v; the primary was gone at %v", p.Loss, err, ended)
		}
	}
	if p, err := b.Promote(t.Context(), control.PromoteRequest{}); err != nil || !p.Promoted {
		t.Errorf("Promote() = %+v, %v", p, err)
	}
	eventually(t, "c is well", func() bool { return c.Status().Reason == control.ReasonCaughtUp })
	stopped(t, stopC)
	stopped(t, stopB)
}

// The state may be asked for at any time: the race detector is the judge.
func TestNode_Status_whileSampling(t *testing.T) {
	dir := t.TempDir()
	source := newPrimary(t, filepath.Join(dir, "a.fs"), 5)
	b, served := newSecondary(t, filepath.Join(dir, "b.fs"), source.source)
	stopB := run(t, b)
	c, _ := newSecondary(t, filepath.Join(dir, "c.fs"), served)
	stopC := run(t, c)
	waitFor(t, c, 5)
	var sampling sync.WaitGroup
	sampling.Go(func() {
		for range 200 {
			b.take(time.Now())
		}
	})
	for range 200 {
		if s := b.Status(); len(s.Peers) != 1 {
			t.Errorf("Status() = %+v", s)
		}
	}
	sampling.Wait()
	stopped(t, stopC)
	stopped(t, stopB)
}
