package repl

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"zrs/internal/fs"
	"zrs/internal/wire"
)

// newSource opens a data file that grows during a test, and serves it.
func newSource(t testing.TB, txns string) (*fs.Writer, Source) {
	t.Helper()
	w, err := fs.OpenWriter(t.Context(), makeFile(t, txns), fs.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	src, stop := servePipes(t, &Primary{Log: w.Log(), Logger: testLogger(t)})
	t.Cleanup(func() { stop() })
	return w, src
}

// commit appends one transaction and makes it durable.
func commit(t testing.TB, w *fs.Writer, n int) {
	t.Helper()
	appendTxns(t, w, []txn{{tid: tidOf(n), status: ' ', recs: []rec{{oid: 1, data: strings.Repeat("x", n%100+1)}}}})
	if err := w.Sync(); err != nil {
		t.Fatal(err)
	}
}

// counted counts connections to a source.
func counted(src Source, n *atomic.Int64) Source {
	dial := src.Dial
	src.Dial = func(ctx context.Context) (net.Conn, error) {
		n.Add(1)
		return dial(ctx)
	}
	return src
}

// A catch-up ends though the source goes on, at an end that it had after the
// catch-up began.
func TestCatchup_sourceGrows(t *testing.T) {
	for _, every := range []time.Duration{time.Millisecond, 100 * time.Millisecond, time.Second} {
		synctest.Test(t, func(t *testing.T) {
			w, src := newSource(t, "1 a=1; 2 a=2")
			var committed atomic.Int64
			committed.Store(2)
			done, stopped := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(stopped)
				for n := 3; ; n++ {
					select {
					case <-done:
						return
					case <-time.After(every):
					}
					commit(t, w, n)
					committed.Store(int64(n))
				}
			}()
			time.Sleep(10 * every)
			s := newSecondary(t, filepath.Join(memoryDir(t), "Data.fs"), "", src)
			before := committed.Load()
			if err := s.Catchup(t.Context(), 0, false); err != nil {
				t.Errorf("Catchup() = %v", err)
			}
			if got := int64(s.Log.Tip().TID >> 32); got < before || got > committed.Load() {
				t.Errorf("it has %d transactions, there were %d to %d", got, before, committed.Load())
			}
			close(done)
			<-stopped
		})
	}
}

// Nothing to do is done soon.
func TestCatchup_nothingToDo(t *testing.T) {
	for _, test := range []struct {
		name, here, there string
		check             CheckHistory
		most              time.Duration
	}{
		{"both-empty", "", "", CheckTail, silence},
		{"up-to-date", "1 a=1; 2 b=1", "1 a=1; 2 b=1", CheckTail, endPause},
		{"up-to-date-full", "1 a=1; 2 b=1", "1 a=1; 2 b=1", CheckFull, endPause},
		{"up-to-date-none", "1 a=1; 2 b=1", "1 a=1; 2 b=1", CheckNone, silence + endPause},
		{"seed", "", "1 a=1; 2 b=1", CheckTail, endPause},
		{"behind", "1 a=1", "1 a=1; 2 b=1", CheckTail, endPause},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src, _ := servePipes(t, newPrimary(t, makeFile(t, test.there), ""))
				s := newSecondary(t, makeFile(t, test.here), "", src)
				s.CheckHistory = test.check
				begin := time.Now()
				if err := s.Catchup(t.Context(), 0, false); err != nil {
					t.Errorf("Catchup() = %v", err)
				}
				if took := time.Since(begin); took > test.most {
					t.Errorf("it took %s, want at most %s", took, test.most)
				}
				if got, want := s.Log.Tip().TID, tidOf(2); got != want && test.there != "" {
					t.Errorf("it has up to %s, want %s", got, want)
				}
			})
		})
	}
}

// All of a history is compared once, not again to see that the end is the end.
func TestCatchup_comparesAllOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, src := newSource(t, "1 a=1")
		s := newSecondary(t, makeFile(t, "1 a=1"), "", src)
		for n := 2; n <= 200; n++ {
			commit(t, w, n)
			if n < 200 {
				commit(t, s.Writer, n)
			}
		}
		s.CheckHistory = CheckFull
		if err := s.Catchup(t.Context(), 0, false); err != nil {
			t.Fatalf("Catchup() = %v", err)
		}
		all := len(ask(t, &Primary{Log: w.Log(), Logger: testLogger(t)}, wire.Protocol20, 0))
		if got := s.Stats.Received.Load(); got < int64(all) || got > int64(all)*3/2 {
			t.Errorf("it received %d bytes, all of it is %d", got, all)
		}
	})
}

// A source that dies in the middle is not taken for one that has ended. What came
// is kept, and the next catch-up goes on there.
func TestCatchup_sourceDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const all = "1 a=1; 2 b=1; 3 c*hello; 4 d=1"
		theirs := makeFile(t, all)
		answer := newStream(0).txns(parseTxns(t, "1 a=1; 2 b=1")...)
		half := newStream(0).txns(parseTxns(t, "1 a=1; 2 b=1")...).begin(tidOf(3)).blob(2, tidOf(3), 1).b
		primary, _ := servePipes(t, newPrimary(t, theirs, theirs+".blobs"))
		down := errors.New("no route")
		played := 0
		src := Source{Name: "dying", Protocol: ProtocolPlain, Dial: func(ctx context.Context) (net.Conn, error) {
			played++
			switch played {
			case 1: // between two transactions
				return newScripted(t, pipes, []step{skipHandshake, send(answer.b), waitForFinish, hangUp}).Dial(ctx)
			case 2, 4:
				return nil, down
			case 3: // inside of one
				return newScripted(t, pipes, []step{skipHandshake, send(half), hangUp}).Dial(ctx)
			}
			return primary.Dial(ctx)
		}}
		ours := filepath.Join(memoryDir(t), "Data.fs")
		s := newSecondary(t, ours, ours+".blobs", src)
		if err := s.Catchup(t.Context(), 0, false); !errors.Is(err, ErrUnreachable) || !errors.Is(err, down) {
			t.Errorf("Catchup() = %v, want %v", err, ErrUnreachable)
		}
		if err := s.Catchup(t.Context(), 0, false); !errors.Is(err, ErrHungUp) {
			t.Errorf("Catchup() = %v, want %v", err, ErrHungUp)
		}
		if err := s.Catchup(t.Context(), 0, false); !errors.Is(err, ErrUnreachable) {
			t.Errorf("Catchup() = %v, want %v", err, ErrUnreachable)
		}
		if got := s.Log.Tip().TID; got != tidOf(2) {
			t.Errorf("it has up to %s, want %s", got, tidOf(2))
		}
		if err := s.Catchup(t.Context(), 0, false); err != nil {
			t.Errorf("Catchup() = %v", err)
		}
		if n := s.Stats.Transactions.Load(); n != 4 {
			t.Errorf("%d transactions are counted, want 4", n)
		}
		closeSecondary(t, s)
		checkSame(t, ours, theirs)
		checkSameBlobs(t, ours+".blobs", theirs+".blobs")
	})
}

// A catch-up may be told where to stop.
func TestCatchup_until(t *testing.T) {
	for _, test := range []struct {
		here        string
		until, want int
	}{
		{"", 3, 3},
		{"", 35, 3}, // between two
		{"", 9, 5},
		{"1 a=1", 3, 3},
		{"1 a=1; 2 b=1; 3 c=1", 2, 3}, // is there already
		{"1 a=1; 2 b=1; 3 c=1", 3, 3},
		{"1 a=1; 2 b=1; 3 c=1", 4, 4},
	} {
		synctest.Test(t, func(t *testing.T) {
			src, _ := servePipes(t, newPrimary(t, makeFile(t, "1 a=1; 2 b=1; 3 c=1; 4 d=1; 5 e=1"), ""))
			s := newSecondary(t, makeFile(t, test.here), "", src)
			until := tidOf(test.until)
			if test.until > 9 {
				until = tidOf(test.until/10) + 5
			}
			if err := s.Catchup(t.Context(), until, false); err != nil {
				t.Errorf("Catchup(%s) = %v", until, err)
			}
			if got := s.Log.Tip().TID; got != tidOf(test.want) {
				t.Errorf("from %q until %s: it has up to %s, want %s", test.here, until, got, tidOf(test.want))
			}
		})
	}
}

// A dry run compares, and changes nothing.
func TestCatchup_dry(t *testing.T) {
	for _, test := range []struct{ name, here, there, want string }{
		{"up-to-date", "1 a=1", "1 a=1", "agree"},
		{"behind", "1 a=1", "1 a=1; 2 b=1", "agree"},
		{"ahead", "1 a=1; 2 b=1", "1 a=1", "ahead"},
		{"fork", "1 a=1; 2 b=1", "1 a=1; 3 b=1", "diverged after 1, 1 here, 0 there"},
		{"packed-past", "1 a=1; 2 b=1", "1p a=1; 3p b=2; 4p a=2", "agree"},
		{"hidden-fork", "1 a=1 b=1; 2 b=2", "1p a=1 b=1; 3p a=2; 4 a=4", "packed past"},
		{"blobs", "1 a=1", "1 a=1; 2 b*hello", "agree"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := makeFile(t, test.here), makeFile(t, test.there)
				was := takeSnapshot(t, ours, ours+".blobs")
				blobs := ""
				if test.name == "blobs" {
					blobs = theirs + ".blobs"
				}
				src, _ := servePipes(t, newPrimary(t, theirs, blobs))
				log, index, done, err := fs.OpenReadOnly(t.Context(), ours)
				if err != nil {
					t.Fatal(err)
				}
				defer done()
				s := &Secondary{Sources: []Source{src}, Log: log, Index: index, Logger: testLogger(t)}
				if blobs != "" {
					s.Blobs = new(fs.BlobDir) // there is none yet
				}
				if got := verdict(s.Catchup(t.Context(), 0, true)); got != test.want {
					t.Errorf("Catchup() = %s, want %s", got, test.want)
				}
				was.checkUnchanged(t, ours, ours+".blobs")
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // with no file at all
		src, _ := servePipes(t, newPrimary(t, makeFile(t, "1 a=1"), ""))
		path := filepath.Join(memoryDir(t), "Data.fs")
		s := &Secondary{Sources: []Source{src}, Logger: testLogger(t)}
		var err error
		if s.Log, s.Index, err = fs.EmptyLog(path); err != nil {
			t.Fatal(err)
		}
		if err := s.Catchup(t.Context(), 0, true); err != nil {
			t.Errorf("Catchup() = %v", err)
		}
		if files := walkFiles(filepath.Dir(path)); len(files) > 0 {
			t.Errorf("it made %q", files)
		}
	})
}

// A file of this host is as good a source as a primary, forks included.
func TestCatchup_localSource(t *testing.T) {
	here := run(1, 100)
	there := append(run(1, 80), run(101, 150)...)
	for _, test := range []struct {
		name        string
		here, there []txn
		want        string
	}{
		{"seed", nil, there, "agree"},
		{"resume", run(1, 30), here, "agree"},
		{"fork", here, there, "diverged after 80, 20 here, 0 there"},
		{"ahead", here, run(1, 80), "ahead"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ours, theirs := makeFile(t, ""), makeFile(t, "")
			writeTxns(t, ours, test.here)
			writeTxns(t, theirs, test.there)
			src, stop := LocalSource(t.Context(), theirs, &Primary{Log: follow(t, theirs), Logger: testLogger(t)})
			defer stop()
			s := newSecondary(t, ours, "", src)
			if got := verdict(s.Catchup(t.Context(), 0, false)); got != test.want {
				t.Errorf("Catchup() = %s, want %s", got, test.want)
			}
			closeSecondary(t, s)
			if test.want == "agree" {
				checkSame(t, ours, theirs)
			}
		})
	}
	// What is wrong with the file is what the catch-up says.
	t.Run("damaged", func(t *testing.T) {
		theirs := filepath.Join(corpusDir, "corrupt", "redundant_len.fs")
		src, stop := LocalSource(t.Context(), theirs, &Primary{Log: follow(t, theirs), Logger: testLogger(t)})
		defer stop()
		s := newSecondary(t, filepath.Join(t.TempDir(), "Data.fs"), "", src)
		if err := s.Catchup(t.Context(), 0, false); !errors.Is(err, fs.ErrDamaged) {
			t.Errorf("Catchup() = %v, want %v", err, fs.ErrDamaged)
		}
	})
	t.Run("missing-blob", func(t *testing.T) {
		theirs := makeFile(t, "1 a=1; 2 b*; 3 c=1")
		_, blobs := readLog(t, theirs, theirs+".blobs")
		p := &Primary{Log: follow(t, theirs), Blobs: blobs, MissingBlob: FailMissingBlob, Logger: testLogger(t)}
		src, stop := LocalSource(t.Context(), theirs, p)
		defer stop()
		ours := filepath.Join(t.TempDir(), "Data.fs")
		s := newSecondary(t, ours, ours+".blobs", src)
		if err := s.Catchup(t.Context(), 0, false); !errors.Is(err, ErrMissingBlob) {
			t.Errorf("Catchup() = %v, want %v", err, ErrMissingBlob)
		}
	})
}

// It takes no more than it may from the source.
func TestCatchup_limitRate(t *testing.T) {
	for _, rate := range []int64{100, 10_000, 1 << 30} {
		synctest.Test(t, func(t *testing.T) {
			theirs := filepath.Join(memoryDir(t), "Data.fs")
			writeTxns(t, theirs, run(1, 100))
			src, _ := servePipes(t, newPrimary(t, theirs, ""))
			s := newSecondary(t, filepath.Join(memoryDir(t), "Data.fs"), "", src)
			s.LimitRate = rate
			begin := time.Now()
			if err := s.Catchup(t.Context(), 0, false); err != nil {
				t.Errorf("Catchup() = %v", err)
			}
			want := time.Duration(s.Stats.Received.Load()) * time.Second / time.Duration(rate)
			if took := time.Since(begin); took < want-2*time.Second || took > want+5*time.Second {
				t.Errorf("%d bytes took %s at %d a second, want about %s", s.Stats.Received.Load(), took, rate, want)
			}
			closeSecondary(t, s)
			checkSame(t, s.Log.Path(), theirs)
		})
	}
}

// Being told to stop is the end of everything, and no error of ours.
func TestCatchup_interrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole := newStream(0).txns(parseTxns(t, "1 a=1; 2 b=1")...).b
		src := newScripted(t, pipes, []step{skipHandshake, send(whole[:len(whole)-5]), listen})
		s := newSecondary(t, filepath.Join(memoryDir(t), "Data.fs"), "", src.Source)
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("somebody pressed a key")
		time.AfterFunc(time.Second, func() { cancel(why) })
		if err := s.Catchup(ctx, 0, false); !errors.Is(err, why) {
			t.Errorf("Catchup() = %v, want %v", err, why)
		}
		if got := s.Log.Tip().TID; got != tidOf(1) {
			t.Errorf("it has up to %s, want %s", got, tidOf(1))
		}
	})
}

// Large blobs of the last transactions don't come again and again.
func TestSecondary_largeBlobsAreNotComparedAgain(t *testing.T) {
	const most = blobBudget + maxAhead + 1<<20 // what is under way when it is left comes on top
	large := strings.Repeat("0123456789abcdef", (blobBudget+8<<20)/16)
	huge := strings.Repeat("0123456789abcdef", (most+8<<20)/16)
	common := run(1, 30)
	blob := func(n int, content string) txn {
		return txn{tid: tidOf(n), status: ' ', recs: []rec{{oid: fs.OID(n), data: blobData, blob: content, hasBlob: true}}}
	}
	for _, test := range []struct {
		name        string
		here, there []txn // after what is common
		live        int64 // bytes that are received at most, when it is followed
		want        string
	}{
		{"in-the-window", []txn{blob(31, large), blob(32, "small")}, nil, 100 << 10, "agree"},
		{"last", []txn{blob(31, "small"), blob(32, huge)}, nil, most, "agree"},
		{"several", []txn{blob(31, large[:blobBudget]), blob(32, large[:blobBudget])}, nil, blobBudget + 1<<20, "agree"},
		{"differs-early", []txn{blob(31, "x"+large)}, []txn{blob(31, large)}, 2 * int64(len(large)), "diverged after 30, 0 here, 0 there"},
		{"fork-after-it", []txn{blob(31, large), blob(33, "ours")}, []txn{blob(31, large), blob(34, "theirs")}, most, "diverged after 31, 1 here, 0 there"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			ours, theirs := filepath.Join(dir, "ours.fs"), filepath.Join(dir, "theirs.fs")
			writeTxns(t, ours, slices.Concat(common, test.here))
			if test.there == nil {
				test.there = slices.Concat(test.here, []txn{blob(40, "new")})
			}
			writeTxns(t, theirs, slices.Concat(common, test.there))
			synctest.Test(t, func(t *testing.T) {
				src, _ := servePipes(t, newPrimary(t, theirs, theirs+".blobs"))
				s := newSecondary(t, ours, ours+".blobs", src)
				s.setDefaults()
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- s.settle(ctx, s.Sources[0], goal{}) }()
				if test.want == "agree" {
					waitForTip(t, s.Log, int64(len(readFile(t, theirs))))
					cancel()
					if err := <-done; !errors.Is(err, context.Canceled) {
						t.Errorf("settle() = %v", err)
					}
				} else if got := verdict(<-done); got != test.want {
					t.Errorf("settle() = %s, want %s", got, test.want)
				}
				cancel()
				if n := s.Stats.Received.Load(); n > test.live {
					t.Errorf("%d bytes were received, want at most %d", n, test.live)
				}
			})
		})
	}
}

// It connects again as long as it takes, first soon and then less often.
func TestSecondary_reconnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries []time.Duration
		begin := time.Now()
		src := Source{Name: "down", Dial: func(context.Context) (net.Conn, error) {
			tries = append(tries, time.Since(begin))
			return nil, errors.New("connection refused")
		}}
		s := newSecondary(t, makeFile(t, "1 a=1"), "", src)
		stop := runSecondary(t, s)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if err := stop(); err != nil {
			t.Errorf("Run() = %v", err)
		}
		for i := 1; i < len(tries); i++ {
			wait, most := tries[i]-tries[i-1], min(DefaultReconnectDelay<<(i-1), DefaultReconnectMax)
			if wait < most/2 || wait > most {
				t.Errorf("try %d is %s after the one before, want %s to %s", i, wait, most/2, most)
			}
		}
		if len(tries) < 20 || len(tries) > 60 {
			t.Errorf("%d tries in ten minutes", len(tries))
		}
	})
}

// With several sources the first one that is fit is taken, and the one that is
// liked best is tried first again.
func TestSecondary_sources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book, logger := newLogBook(t)
		w, good := newSource(t, "1 a=1; 2 a=2")
		var first, third atomic.Int64
		var up atomic.Bool
		best := counted(Source{Name: "best", Dial: func(ctx context.Context) (net.Conn, error) {
			if !up.Load() {
				return nil, errors.New("connection refused")
			}
			return good.Dial(ctx)
		}}, &first)
		refusing := newScripted(t, pipes, []step{skipHandshake, hangUp})
		refusing.Name = "refusing"
		s := newSecondary(t, makeFile(t, "1 a=1"), "", best, refusing.Source, counted(good, &third))
		s.Logger = logger
		stop := runSecondary(t, s)
		commit(t, w, 3)
		waitForTip(t, s.Log, w.End())
		if first.Load() != 1 || refusing.played == 0 || third.Load() != 1 {
			t.Errorf("connections are %d, %d, %d", first.Load(), refusing.played, third.Load())
		}
		if !book.has("the source refuses us", "source=refusing", "give a blob directory") {
			t.Error("it is not told that the second one refuses")
		}
		up.Store(true)
		if err := stop(); err != nil {
			t.Errorf("Run() = %v", err)
		}
		stop = runSecondary(t, s)
		commit(t, w, 4)
		waitForTip(t, s.Log, w.End())
		if first.Load() != 2 || third.Load() != 1 {
			t.Errorf("connections are %d and %d, want the best one to be tried first", first.Load(), third.Load())
		}
		if err := stop(); err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
}

// What a person has to decide ends Run. A source that is behind does not.
func TestSecondary_runEnds(t *testing.T) {
	for _, test := range []struct {
		name, here, there string
		want              error
	}{
		{"diverged", "1 a=1; 2 b=1", "1 a=1; 3 b=1", ErrDiverged},
		{"packed-past", "1 a=1 b=1; 2 b=2", "1p a=1 b=1; 3p a=2; 4 a=3", ErrPackedPast},
		{"ahead", "1 a=1; 2 b=1", "1 a=1", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours := makeFile(t, test.here)
				was := takeSnapshot(t, ours, "")
				src, _ := servePipes(t, newPrimary(t, makeFile(t, test.there), ""))
				s := newSecondary(t, ours, "", src)
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				if err := s.Run(ctx); !errors.Is(err, test.want) {
					t.Errorf("Run() = %v, want %v", err, test.want)
				}
				if (ctx.Err() == nil) != (test.want != nil) {
					t.Errorf("Run() ended after %v", ctx.Err())
				}
				closeSecondary(t, s)
				was.checkUnchanged(t, ours, "")
			})
		})
	}
}

// With several sources, those with another history are left out. Only when there
// is no other Run ends.
func TestSecondary_sourcesThatDoNotFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, good := newSource(t, "1 a=1; 2 b=1")
		var forked atomic.Int64
		fork, _ := servePipes(t, newPrimary(t, makeFile(t, "1 a=1; 3 b=2"), ""))
		var up atomic.Bool
		up.Store(true)
		s := newSecondary(t, makeFile(t, "1 a=1; 2 b=1"), "", counted(fork, &forked), Source{Name: "good", Dial: func(ctx context.Context) (net.Conn, error) {
			if !up.Load() {
				return nil, errors.New("connection refused")
			}
			return good.Dial(ctx)
		}})
		stop := runSecondary(t, s)
		commit(t, w, 3)
		waitForTip(t, s.Log, w.End())
		if err := stop(); err != nil {
			t.Errorf("Run() = %v", err)
		}
		tried := forked.Load()
		up.Store(false)
		stop = runSecondary(t, s)
		time.Sleep(time.Hour)
		up.Store(true)
		commit(t, w, 4)
		waitForTip(t, s.Log, w.End())
		if err := stop(); err != nil {
			t.Errorf("Run() = %v", err)
		}
		if n := forked.Load() - tried; n > tried {
			t.Errorf("there were %d connections to a source that does not fit", n)
		}
		s.Sources[1] = fork
		if err := s.Run(t.Context()); !errors.Is(err, ErrDiverged) {
			t.Errorf("Run() = %v, want %v", err, ErrDiverged)
		}
	})
}

// A source that was behind is followed as soon as it is not any more.
func TestSecondary_aheadForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, src := newSource(t, "1 a=1")
		s := newSecondary(t, makeFile(t, "1 a=1; 2 b=1"), "", src)
		stop := runSecondary(t, s)
		time.Sleep(10 * time.Minute)
		appendTxns(t, w, parseTxns(t, "2 b=1; 3 c=1"))
		if err := w.Sync(); err != nil {
			t.Fatal(err)
		}
		waitForTip(t, s.Log, w.End())
		if err := stop(); err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
}

// Keep-alives go out at the interval that was asked for, and only then.
func TestSecondary_keepAlive(t *testing.T) {
	for _, every := range []time.Duration{0, -time.Second, time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			var times []time.Duration
			read := func(c net.Conn) error {
				for {
					b := make([]byte, wire.FrameHeaderSize)
					if _, err := c.Read(b); err != nil {
						return nil
					}
					if string(b) != "\x00\x00\x00\x00" {
						t.Errorf("it sent %q", b)
					}
					times = append(times, time.Since(begin))
				}
			}
			src := newScripted(t, pipes, []step{skipHandshake, send(newStream(0).txns(parseTxns(t, "1 a=1")...).b), read})
			s := newSecondary(t, makeFile(t, ""), "", src.Source)
			s.KeepAlive = every
			stop := runSecondary(t, s)
			time.Sleep(10*time.Minute + time.Second)
			if err := stop(); err != nil {
				t.Errorf("Run() = %v", err)
			}
			src.peers.Wait()
			if every <= 0 {
				if len(times) > 0 {
					t.Errorf("with %s there are keep-alives after %v", every, times)
				}
				return
			}
			for i, at := range times {
				if want := time.Duration(i+1) * every; at != want {
					t.Errorf("keep-alive %d comes after %s, want %s", i, at, want)
				}
			}
			if len(times) != 10 {
				t.Errorf("%d keep-alives in 10 minutes", len(times))
			}
		})
	}
}

// Trouble with our own file is not hidden by how the stream ended.
func TestSecondary_ownFileFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, _ := servePipes(t, newPrimary(t, makeFile(t, "1 a=1; 2 b=1"), ""))
		path := filepath.Join(memoryDir(t), "Data.fs")
		s := newSecondary(t, path, "", src)
		if err := s.Catchup(t.Context(), tidOf(1), false); err != nil {
			t.Fatal(err)
		}
		copyFile(t, path+".other", path)
		if err := os.Rename(path+".other", path); err != nil { // a pack by somebody else
			t.Fatal(err)
		}
		if err := s.Catchup(t.Context(), 0, false); !errors.Is(err, fs.ErrReplaced) {
			t.Errorf("Catchup() = %v, want %v", err, fs.ErrReplaced)
		}
		if err := s.Run(t.Context()); !errors.Is(err, fs.ErrReplaced) {
			t.Errorf("Run() = %v, want %v", err, fs.ErrReplaced)
		}
	})
}

// That histories do not fit is not believed at once: bytes may be altered on the
// way before the checksum that tells is there.
func TestSecondary_comparesTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		theirs := makeFile(t, "1 a=1; 2 b=1; 3 c=1")
		good, _ := servePipes(t, newPrimary(t, theirs, ""))
		altered := newStream(0).begin(tidOf(3)).b // 1 and 2 are lost on the way
		n := 0
		src := Source{Name: "altering", Protocol: ProtocolPlain, Dial: func(ctx context.Context) (net.Conn, error) {
			if n++; n == 1 {
				return newScripted(t, pipes, []step{skipHandshake, send(altered), listen}).Dial(ctx)
			}
			return good.Dial(ctx)
		}}
		s := newSecondary(t, makeFile(t, "1 a=1; 2 b=1"), "", src)
		if err := s.Catchup(t.Context(), 0, false); err != nil {
			t.Errorf("Catchup() = %v", err)
		}
	})
}

// A source that refuses everything is not asked further and further back: in a large
// file that would be looked for at each attempt.
func TestSecondary_refusedInLargeFile(t *testing.T) {
	path := filepath.Join(memoryDir(t), "Data.fs")
	txns := make([]txn, 2*refusedTxns*widenBy)
	for i := range txns {
		txns[i] = txn{tid: fs.TID(i + 1), status: fs.StatusComplete}
	}
	writeTxns(t, path, txns)
	var starts []fs.TID
	src := Source{Name: "refuses", Protocol: ProtocolPlain, Dial: func(context.Context) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			b := make([]byte, len(wire.AppendHandshake(nil, wire.Protocol20, 0)))
			if _, err := io.ReadFull(theirs, b); err != nil {
				t.Error(err)
			}
			starts = append(starts, fs.TIDFromBytes(b[len(b)-8:]))
		}()
		return ours, nil
	}}
	s := newSecondary(t, path, "", src)
	if err := s.Catchup(t.Context(), 0, false); !errors.Is(err, ErrRefused) {
		t.Errorf("Catchup() = %v, want %v", err, ErrRefused)
	}
	last := txns[len(txns)-1].tid
	if want := []fs.TID{last - tailTxns, last - tailTxns*widenBy, last - refusedTxns, 0}; !slices.Equal(starts, want) {
		t.Errorf("it was asked for what is after %v, want %v", starts, want)
	}
}
