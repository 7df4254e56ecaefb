package repl

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"zrs/internal/epoch"
	"zrs/internal/fs"
	"zrs/internal/wire"
)

// identify gives the data file at path a sidecar, and returns its keeper.
func identify(t testing.TB, path string, l epoch.Lineage, role epoch.Role) *epoch.Keeper {
	t.Helper()
	if err := (&epoch.Sidecar{Lineage: l, Role: role}).Save(path); err != nil {
		t.Fatal(err)
	}
	return openIdentity(t, path)
}

func openIdentity(t testing.TB, path string) *epoch.Keeper {
	t.Helper()
	k, err := epoch.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// hangUpAtGreeting plays a zc.zrs primary, which does not know the protocol.
var hangUpAtGreeting = []step{expect(wire.AppendFrame(nil, []byte(wire.ProtocolZRS1))), hangUp}

// A source that hangs up at the greeting, and does it again, is spoken to as
// zc.zrs, now and for a day.
func TestSecondary_fallsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := newStream(0).txns(parseTxns(t, "1 a=1; 2 b=1")...)
		plain := []step{expect(wire.AppendHandshake(nil, wire.Protocol20, 0)), send(answer.b), waitForFinish, hangUp}
		// The first time it has to see that the end is the end.
		src := newScripted(t, pipes, hangUpAtGreeting, hangUpAtGreeting, plain, plain, hangUpAtGreeting, hangUpAtGreeting, plain)
		src.Protocol = ProtocolAuto
		path := filepath.Join(memoryDir(t), "Data.fs")
		s := newSecondary(t, path, "", src.Source)
		s.Identity = openIdentity(t, path)
		for range 2 {
			if err := s.Catchup(t.Context(), 0, false); err != nil {
				t.Fatalf("Catchup() = %v; %v", err, src.err())
			}
			time.Sleep(plainFor + time.Second)
		}
		if err := src.err(); err != nil {
			t.Error(err)
		}
		if got := s.Identity.Sidecar(); got.Known() || got.Role != epoch.Secondary || got.Source.Protocol != wire.Protocol20 || got.Source.Last != tidOf(2) {
			t.Errorf("the sidecar has %+v", got)
		}
	})
}

// That a source speaks as zc.zrs is known from the sidecar too.
func TestSecondary_remembersPlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		again := newStream(0).txns(parseTxns(t, "1 a=1; 2 b=1")...)
		src := newScripted(t, pipes,
			[]step{expect(wire.AppendHandshake(nil, wire.Protocol20, 0)), send(again.b), waitForFinish, hangUp})
		src.Protocol = ProtocolAuto
		path := makeFile(t, "1 a=1; 2 b=1")
		known := epoch.Contact{Address: "script", Protocol: wire.Protocol20, Heard: time.Now()}
		if err := (&epoch.Sidecar{Role: epoch.Secondary, Source: &known}).Save(path); err != nil {
			t.Fatal(err)
		}
		s := newSecondary(t, path, "", src.Source)
		s.Identity = openIdentity(t, path)
		if err := s.Catchup(t.Context(), 0, false); err != nil {
			t.Errorf("Catchup() = %v", err)
		}
	})
}

// A source that has spoken zrs+1 is never spoken to in another way: what it would
// say of its lineage would be lost.
func TestSecondary_neverFallsBackFromZRS1(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newScripted(t, pipes, hangUpAtGreeting)
		src.Protocol = ProtocolAuto
		path := makeFile(t, "1 a=1")
		known := epoch.Contact{Address: "script", Protocol: wire.ProtocolZRS1}
		if err := (&epoch.Sidecar{Lineage: epoch.Begin(), Role: epoch.Secondary, Source: &known}).Save(path); err != nil {
			t.Fatal(err)
		}
		s := newSecondary(t, path, "", src.Source)
		s.Identity = openIdentity(t, path)
		if err := s.Catchup(t.Context(), 0, false); !errors.Is(err, ErrRefused) {
			t.Errorf("Catchup() = %v, want %v", err, ErrRefused)
		}
		if src.played != 1 {
			t.Errorf("it connected %d times, want 1", src.played)
		}
	})
}

// Lineages decide before any transaction is looked at, and both ends say so.
func TestLineages(t *testing.T) {
	first := epoch.Begin()
	second := first.Promote(tidOf(2))
	for _, test := range []struct {
		name         string
		ours, theirs epoch.Lineage
		here         string
		want         error
		both         string // what both ends say
	}{
		{"same", first, first, "1 a=1; 2 a=2", nil, ""},
		{"unknown-here", epoch.Lineage{}, first, "1 a=1", nil, ""},
		{"unknown-there", first, epoch.Lineage{}, "1 a=1", nil, ""},
		{"ancestor", first, second, "1 a=1; 2 a=2", nil, ""},
		{"gone-on", first, second, "1 a=1; 2 a=2; 3 a=3", ErrDiverged, "gone on"},
		{"siblings", first.Promote(tidOf(2)), second, "1 a=1", ErrDiverged, "independently of each other"},
		{"other-database", epoch.Begin(), first, "1 a=1", epoch.ErrOtherDatabase, "another database"},
		{"superseded", second, first, "1 a=1", epoch.ErrSuperseded, "another primary was promoted since"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				book, logger := newLogBook(t)
				theirs := makeFile(t, "1 a=1; 2 a=2; 4 a=4")
				p := newPrimary(t, theirs, "")
				p.Identity, p.Logger = identify(t, theirs, test.theirs, epoch.Primary), logger
				src, _ := servePipes(t, p)
				ours := makeFile(t, test.here)
				s := newSecondary(t, ours, "", src)
				s.Identity = identify(t, ours, test.ours, epoch.Secondary)
				before := takeSnapshot(t, ours, "")
				err := s.Catchup(t.Context(), 0, false)
				if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
					t.Fatalf("Catchup() = %v, want %v", err, test.want)
				}
				if test.want == nil {
					if got := s.Log.Tip().TID; got != tidOf(4) {
						t.Errorf("it has up to %s", got)
					}
					want := test.theirs
					if !want.Known() {
						want = test.ours
					}
					if got := s.Identity.Sidecar(); !got.Equal(want) || got.Role != epoch.Secondary {
						t.Errorf("its lineage is %+v, want %+v", got, want)
					}
					return
				}
				before.checkUnchanged(t, ours, "")
				synctest.Wait()
				if test.both == "gone on" { // each says what it knows
					if d, ok := errors.AsType[*DivergedError](err); !ok || d.Common != tidOf(2) || d.OnlyHere != 1 || d.First[0].TID != tidOf(3) {
						t.Errorf("Catchup() = %#v", err)
					}
					if !book.has("level=ERROR", "which has gone on to "+tidOf(3).String()) {
						t.Error("the primary does not say why")
					}
				} else if !strings.Contains(err.Error(), test.both) || !book.has("level=ERROR", test.both) {
					t.Errorf("the ends don't both say %q: Catchup() = %v", test.both, err)
				}
				if got := s.Identity.Lineage(); !got.Equal(test.ours) {
					t.Errorf("its lineage is now %+v", got)
				}
			})
		})
	}
}

// A primary that meets a newer epoch serves nobody any more, zc.zrs or zrs, and
// not after a restart either.
func TestPrimary_superseded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := epoch.Begin()
		theirs := makeFile(t, "1 a=1")
		w, err := fs.OpenWriter(t.Context(), theirs, fs.WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		identity := identify(t, theirs, first, epoch.Primary)
		src, _ := servePipes(t, &Primary{Log: w.Log(), Identity: identity, Logger: testLogger(t)})

		follower := newSecondary(t, filepath.Join(memoryDir(t), "Data.fs"), "", src)
		follower.Identity = openIdentity(t, follower.Log.Path())
		stop := runSecondary(t, follower)
		old, err := src.Dial(t.Context()) // a zc.zrs secondary
		if err != nil {
			t.Fatal(err)
		}
		defer old.Close()
		if _, err := old.Write(wire.AppendHandshake(nil, wire.Protocol20, tidOf(1))); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()

		ours := makeFile(t, "1 a=1")
		newer := newSecondary(t, ours, "", src)
		newer.Identity = identify(t, ours, first.Promote(tidOf(1)), epoch.Secondary)
		if err := newer.Catchup(t.Context(), 0, false); !errors.Is(err, epoch.ErrSuperseded) {
			t.Fatalf("Catchup() = %v", err)
		}
		commit(t, w, 2)
		time.Sleep(2 * noteEvery)
		if b, err := io.ReadAll(old); len(b) > 1 || err != nil { // one that breaks the stream off
			t.Errorf("zc.zrs was sent %q, %v", b, err)
		}
		if got := follower.Log.Tip().TID; got != tidOf(1) {
			t.Errorf("the follower has up to %s", got)
		}
		stop()
		for _, protocol := range []Protocol{ProtocolPlain, ProtocolZRS1} {
			src.Protocol = protocol
			s := newSecondary(t, filepath.Join(memoryDir(t), "Data.fs"), "", src)
			if err := s.Catchup(t.Context(), 0, false); err == nil || s.Log.Tip().TID != 0 {
				t.Errorf("Catchup() = %v, up to %s", err, s.Log.Tip().TID)
			}
		}
		if kept := openIdentity(t, theirs).Sidecar(); kept.Superseded == nil || !kept.Superseded.Equal(newer.Identity.Lineage()) {
			t.Errorf("the sidecar has %+v", kept)
		}
	})
}

// A secondary learns of a new epoch before the first of its transactions, on the
// connection that it has.
func TestSecondary_newEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		theirs := makeFile(t, "1 a=1; 2 a=2")
		w, err := fs.OpenWriter(t.Context(), theirs, fs.WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		identity := identify(t, theirs, epoch.Begin(), epoch.Secondary)
		src, _ := servePipes(t, &Primary{Log: w.Log(), Identity: identity, Logger: testLogger(t)})
		dials := 0
		dial := src.Dial
		src.Dial = func(ctx context.Context) (net.Conn, error) { dials++; return dial(ctx) }
		s := newSecondary(t, filepath.Join(memoryDir(t), "Data.fs"), "", src)
		s.Identity = openIdentity(t, s.Log.Path())
		stop := runSecondary(t, s)
		synctest.Wait()
		if got := s.Identity.Lineage(); !got.Equal(identity.Lineage()) {
			t.Errorf("it has lineage %v, want %v", got, identity.Lineage())
		}
		if err := identity.Promote(tidOf(2)); err != nil {
			t.Fatal(err)
		}
		commit(t, w, 3)
		time.Sleep(noteEvery / 2)
		if got, tid := s.Identity.Lineage(), s.Log.Tip().TID; !got.Equal(identity.Lineage()) || tid != tidOf(3) {
			t.Errorf("it has lineage %v and up to %s, want %v", got, tid, identity.Lineage())
		}
		if err := stop(); err != nil || dials != 1 {
			t.Errorf("Run() = %v, %d connections", err, dials)
		}
	})
}

// The primary knows what a secondary of ours has made durable, and the secondary
// how far behind it is.
func TestPrimary_Peers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		theirs := makeFile(t, "1 a=1; 2 a=2")
		w, err := fs.OpenWriter(t.Context(), theirs, fs.WriterOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		p := &Primary{Log: w.Log(), Logger: testLogger(t)}
		src, _ := servePipes(t, p)
		s := newSecondary(t, filepath.Join(memoryDir(t), "Data.fs"), "", src)
		stop := runSecondary(t, s)
		old, err := src.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer old.Close()
		if _, err := old.Write(wire.AppendHandshake(nil, wire.Protocol20, tidOf(1))); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * noteEvery)
		peers := p.Peers()
		if len(peers) != 2 {
			t.Fatalf("Peers() = %+v", peers)
		}
		ours, theOld := peers[0], peers[1]
		if !ours.Reported {
			ours, theOld = theOld, ours
		}
		host, _ := os.Hostname()
		if ours.Durable != tidOf(2) || ours.Sent != tidOf(2) || ours.Transactions != 2 || ours.Behind != (wire.Behind{}) ||
			ours.Node != host+":"+s.Log.Path() || ours.Protocol != wire.ProtocolZRS1 {
			t.Errorf("the one of ours is %+v", ours)
		}
		if theOld.Protocol != wire.Protocol20 || theOld.Start != tidOf(1) || theOld.Reported {
			t.Errorf("the one of zc.zrs is %+v", theOld)
		}
		link := s.Link()
		if link.State != LinkReceiving || link.Last != tidOf(2) || !link.HasBehind || link.Protocol != wire.ProtocolZRS1 || time.Since(link.Heard) > noteEvery {
			t.Errorf("Link() = %+v", link)
		}
		stop()
		old.Close()
		synctest.Wait()
		if peers := p.Peers(); len(peers) != 0 {
			t.Errorf("Peers() = %+v after all have left", peers)
		}
		if link := s.Link(); link.Last != tidOf(2) {
			t.Errorf("Link() = %+v", link)
		}
	})
}

// A pause keeps what has arrived and holds until it is resumed; draining ends Run
// with what has arrived.
func TestSecondary_steer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, src := newSource(t, "1 a=1")
		s := newSecondary(t, filepath.Join(memoryDir(t), "Data.fs"), "", src)
		ended := make(chan error, 1)
		go func() { ended <- s.Run(t.Context()) }()
		waitForTip(t, s.Log, w.End())

		s.Pause()
		synctest.Wait()
		if got := s.Link().State; got != LinkPaused {
			t.Errorf("paused, it is %s", got)
		}
		commit(t, w, 2)
		time.Sleep(time.Hour)
		if got := s.Log.Tip().TID; got != tidOf(1) {
			t.Errorf("paused, it has come to %s", got)
		}
		s.Resume()
		waitForTip(t, s.Log, w.End())

		commit(t, w, 3)
		begin := time.Now()
		s.Drain()
		if err := <-ended; err != nil {
			t.Errorf("Run() = %v", err)
		}
		if took := time.Since(begin); took > 2*drainTime {
			t.Errorf("draining took %s", took)
		}
		if got := s.Log.Tip().TID; got != tidOf(3) {
			t.Errorf("drained, it has come to %s", got)
		}

		go func() { ended <- s.Run(t.Context()) }() // it can be run again
		commit(t, w, 4)
		waitForTip(t, s.Log, w.End())
		s.Pause()
		s.Drain()
		if err := <-ended; err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
}

// What a primary says to be the end is what it has sent, not what it has read ahead
// of that.
func TestPrimary_saysTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(memoryDir(t), "Data.fs")
		w, err := fs.OpenWriter(t.Context(), path, fs.WriterOptions{Create: true})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		large := func(from, to int) (txns []txn) {
			for i := from; i <= to; i++ {
				txns = append(txns, txn{tid: tidOf(i), status: fs.StatusComplete, recs: []rec{{oid: 1, data: strings.Repeat("x", chunkSize/2)}}})
			}
			return txns
		}
		grow := func(from, to int) {
			appendTxns(t, w, large(from, to))
			if err := w.Sync(); err != nil {
				t.Fatal(err)
			}
		}
		grow(1, 8)
		src, _ := servePipes(t, &Primary{Log: w.Log(), Logger: testLogger(t)})
		conn, err := src.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ask := (&wire.Hello{}).AppendGreeting(nil)
		if _, err := conn.Write((&wire.Note{Finish: &wire.Finish{}}).AppendFrame(ask)); err != nil {
			t.Fatal(err)
		}
		for range 2 { // the welcome, and the first note
			if _, err := readHandshake(conn, wire.MaxGreeting); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait() // it has decided where the end is
		grow(9, 30)

		split := splitter{notes: true}
		var last, end fs.TID
		for end == 0 {
			synctest.Wait() // it has read ahead as far as it will
			payload, err := readHandshake(conn, split.limit())
			if err != nil {
				t.Fatal(err)
			}
			e, ok, err := split.frame(payload)
			switch {
			case err != nil:
				t.Fatal(err)
			case ok && e.kind == eventBegin:
				last = e.begin.TID
			case ok && e.kind == eventNote && e.note.End != nil:
				end = e.note.End.Last
			}
		}
		if end != last || last < tidOf(8) || last == tidOf(30) {
			t.Errorf("the end is said to be %s, the last one sent was %s", end, last)
		}
	})
}
