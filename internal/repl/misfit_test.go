package repl

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"zrs/internal/epoch"
	"zrs/internal/fs"
	"zrs/internal/wire"
)

// skipGreeting reads what a secondary starts a connection of zrs+1 with.
func skipGreeting(c net.Conn) error {
	for range 2 {
		if _, err := readHandshake(c, wire.MaxGreeting); err != nil {
			return err
		}
	}
	return nil
}

// A source whose epoch was begun independently of ours, and that does not see that
// itself, is left for the next one.
func TestSecondary_leavesDivergedLineage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := epoch.Begin()
		welcome := &wire.Welcome{Lineage: first.Promote(tidOf(1)), Role: epoch.Primary, Last: tidOf(1)}
		bad := newScripted(t, pipes, []step{skipGreeting, send(welcome.AppendFrame(nil)), listen})
		bad.Protocol = ProtocolAuto
		w, good := newSource(t, "1 a=1; 2 a=2")
		path := makeFile(t, "1 a=1")
		s := newSecondary(t, path, "", bad.Source, good)
		s.Identity = identify(t, path, first.Promote(tidOf(1)), epoch.Secondary)
		stop := runSecondary(t, s)
		waitForTip(t, s.Log, w.End())
		if err := stop(); err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
}

// Bytes that were altered between two of ours are noticed, and nothing of their
// transaction is applied.
func TestSecondary_altered1(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		welcome := &wire.Welcome{Lineage: epoch.Begin(), Role: epoch.Primary, Last: tidOf(2)}
		good := newStream1(welcome, 0).txns(parseTxns(t, "1 a=one; 2 b=two")...).b
		for _, tt := range []struct {
			name    string
			altered string
			want    error
			tip     fs.TID
		}{
			{"as-sent", "", nil, tidOf(2)},
			{"altered", "two", ErrChecksum, tidOf(1)},
		} {
			sent := bytes.Clone(good)
			if tt.altered != "" {
				sent[bytes.LastIndex(sent, []byte(tt.altered))] ^= 1
			}
			src := newScripted(t, pipes, []step{skipGreeting, send(sent), send((&wire.Note{End: &wire.End{Last: tidOf(2)}}).AppendFrame(nil)), hangUp})
			src.Protocol = ProtocolZRS1
			s := newSecondary(t, filepath.Join(t.TempDir(), "a.fs"), "", src.Source)
			if err := s.Catchup(t.Context(), 0, false); !errors.Is(err, tt.want) {
				t.Errorf("%s: Catchup() = %v, want %v", tt.name, err, tt.want)
			}
			if tip := s.Log.Tip().TID; tip != tt.tip {
				t.Errorf("%s: it ends with %s, want %s", tt.name, tip, tt.tip)
			}
		}
	})
}

// What is known of a source outlives the process, and is not taken for what is
// known of another one.
func TestSecondary_recallsContact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := makeFile(t, "1 a=1")
		heard := time.Now().Add(-time.Hour)
		known := epoch.Contact{Address: "db1:5000", Protocol: wire.ProtocolZRS1, Heard: heard, Last: tidOf(9)}
		if err := (&epoch.Sidecar{Lineage: epoch.Begin(), Role: epoch.Secondary, At: tidOf(1), Source: &known}).Save(path); err != nil {
			t.Fatal(err)
		}
		gone := Source{Name: "db1:5000", Dial: func(context.Context) (net.Conn, error) { return nil, net.ErrClosed }}
		answer := newStream(0).txns(parseTxns(t, "1 a=1")...)
		plain := newScripted(t, pipes, []step{skipHandshake, send(answer.b), send(newStream(0).b), listen})
		s := newSecondary(t, path, "", gone)
		s.Identity = openIdentity(t, path)
		stop := runSecondary(t, s)
		synctest.Wait()
		if l := s.Link(); l.From != "db1:5000" || l.Last != tidOf(9) || !l.Heard.Equal(heard) {
			t.Errorf("Link() = %+v", l)
		}
		stop()

		s.Sources = []Source{plain.Source}
		s.CheckHistory = CheckTail
		stop = runSecondary(t, s)
		time.Sleep(time.Second)
		if got := s.Identity.Sidecar().Source; got.Address != "script" || got.Protocol != wire.Protocol20 {
			t.Errorf("the sidecar has %+v of a source that speaks as zc.zrs", got)
		}
		stop()
	})
}

// A secondary that loses its source and turns to one that has less remembers what
// the first one had.
func TestSecondary_cutOffSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lineage := epoch.Begin()
		var cutOff atomic.Bool
		cutOff.Store(true)
		theirs := makeFile(t, "1 a=1; 2 a=2")
		p := newPrimary(t, theirs, "")
		p.Identity = identify(t, theirs, lineage, epoch.Secondary)
		heard := time.Now().Add(-time.Hour)
		p.Upstream = func() *Upstream { return &Upstream{CutOff: cutOff.Load(), Heard: heard} }
		src, _ := servePipes(t, p)
		path := makeFile(t, "1 a=1; 2 a=2")
		s := newSecondary(t, path, "", src)
		if err := (&epoch.Sidecar{Lineage: lineage, Role: epoch.Secondary, Source: &epoch.Contact{Address: "db1:5000", Last: tidOf(9)}}).Save(path); err != nil {
			t.Fatal(err)
		}
		s.Identity = openIdentity(t, path)
		stop := runSecondary(t, s)
		time.Sleep(3 * noteEvery)
		if l := s.Link(); l.Last != tidOf(9) || !l.CutOff || l.From != src.Name || heard.Sub(l.Primary).Abs() > time.Second {
			t.Errorf("Link() = %+v", l)
		}
		// A new epoch ends that.
		if err := p.Identity.Promote(tidOf(2)); err != nil {
			t.Fatal(err)
		}
		cutOff.Store(false)
		time.Sleep(3 * noteEvery)
		if l := s.Link(); l.Last != tidOf(2) {
			t.Errorf("Link() = %+v", l)
		}
		stop()
	})
}

// A source that hangs up right behind its welcome is tried again.
func TestSecondary_hangsUpAfterWelcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		welcome := &wire.Welcome{Lineage: epoch.Begin(), Role: epoch.Primary, Last: tidOf(1)}
		for range 20 { // it is a matter of who is faster
			src := newScripted(t, pipes, []step{skipGreeting, send(welcome.AppendFrame(nil)), hangUp})
			conn, err := src.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := greet(conn, &wire.Hello{}, time.Second); err != nil && !errors.Is(err, ErrHungUp) {
				t.Fatalf("greet() = %v, want %v", err, ErrHungUp)
			}
			conn.Close()
		}
	})
}

// A primary does not become a secondary of one that follows it, until that one was
// promoted: a server started in the wrong role changes nothing.
func TestSecondary_ownEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lineage := epoch.Begin()
		theirs := makeFile(t, "1 a=1; 2 a=2")
		p := newPrimary(t, theirs, "")
		p.Identity = identify(t, theirs, lineage, epoch.Secondary)
		src, _ := servePipes(t, p)
		path := makeFile(t, "1 a=1")
		s := newSecondary(t, path, "", src)
		s.Identity = identify(t, path, lineage, epoch.Primary)
		if err := s.Catchup(t.Context(), 0, false); !errors.Is(err, ErrOwnEpoch) {
			t.Errorf("Catchup() = %v, want %v", err, ErrOwnEpoch)
		}
		stop := runSecondary(t, s)
		time.Sleep(time.Second)
		if k, l := openIdentity(t, path).Sidecar(), s.Link(); k.Role != epoch.Primary || s.Log.Tip().TID != tidOf(1) || l.State != LinkRefused {
			t.Errorf("it has up to %s, the sidecar %+v, the link %+v", s.Log.Tip().TID, k, l)
		}
		if err := p.Identity.Promote(tidOf(2)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if k := openIdentity(t, path).Sidecar(); k.Role != epoch.Secondary || s.Log.Tip().TID != tidOf(2) {
			t.Errorf("it has up to %s, the sidecar %+v", s.Log.Tip().TID, k)
		}
		stop()
	})
}

// A server that has its own address among its sources does not follow itself.
func TestSecondary_followsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := makeFile(t, "1 a=1")
		w, err := fs.OpenWriter(t.Context(), path, fs.WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		identity := identify(t, path, epoch.Begin(), epoch.Secondary)
		itself, _ := servePipes(t, &Primary{Log: w.Log(), Identity: identity, Logger: testLogger(t)})
		source, other := newSource(t, "1 a=1; 2 a=2")
		s := &Secondary{Sources: []Source{itself, other}, Identity: identity, Logger: testLogger(t)}
		s.Use(w)
		t.Cleanup(func() { closeSecondary(t, s) })
		stop := runSecondary(t, s)
		waitForTip(t, s.Log, source.End())
		stop()
	})
}

// A connection of zc.zrs, or one that a proxy made look like it, does not make a
// secondary one that must not follow the same primary when that is known again.
func TestSecondary_followsThroughPlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := epoch.Begin()
		theirs := makeFile(t, "1 a=1; 2 a=2; 3 a=3; 4 a=4; 5 a=5")
		p := newPrimary(t, theirs, "")
		p.Identity = identify(t, theirs, first.Promote(tidOf(3)), epoch.Primary)
		src, _ := servePipes(t, p)
		path := makeFile(t, "1 a=1; 2 a=2")
		s := newSecondary(t, path, "", src)
		s.Identity = identify(t, path, first, epoch.Secondary)
		for _, protocol := range []Protocol{ProtocolPlain, ProtocolZRS1} {
			s.Sources[0].Protocol = protocol
			if err := s.Catchup(t.Context(), 0, false); err != nil || s.Log.Tip().TID != tidOf(5) {
				t.Fatalf("Catchup() = %v, up to %s", err, s.Log.Tip().TID)
			}
		}
		if l := s.Identity.Lineage(); !l.Equal(p.Identity.Lineage()) || l.Unsure != nil {
			t.Errorf("its lineage is %+v", l)
		}
	})
}

// Connections that nobody is served on do not hold up a primary that is to stop.
func TestPrimary_stopsBesideIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPrimary(t, makeFile(t, "1 a=1"), "")
		p.Status = func() []byte { return []byte("{}") }
		src, stop := servePipes(t, p)
		for _, say := range [][]byte{nil, {0, 0}, wire.AppendFrame(nil, []byte(wire.ProtocolStatus)), wire.AppendFrame(nil, []byte(wire.ProtocolZRS1))} {
			conn, err := src.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(say); err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = io.Copy(io.Discard, conn) }()
		}
		synctest.Wait()
		begin := time.Now()
		if err := stop(); err != nil {
			t.Errorf("Serve() = %v", err)
		}
		if took := time.Since(begin); took > 2*lastWord {
			t.Errorf("it took %s to stop", took)
		}
	})
}
