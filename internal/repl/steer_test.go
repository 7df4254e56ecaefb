package repl

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Who follows another source than the first stays with it as long as that serves,
// and leaves it when it is told to try all of them.
func TestSecondary_Retry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, good := newSource(t, "1 a=1; 2 a=2")
		var up atomic.Bool
		var firsts, seconds atomic.Int64
		first := counted(Source{Name: "first", Dial: func(ctx context.Context) (net.Conn, error) {
			if !up.Load() {
				return nil, net.ErrClosed
			}
			return good.Dial(ctx)
		}}, &firsts)
		s := newSecondary(t, makeFile(t, "1 a=1"), "", first, counted(good, &seconds))
		stop := runSecondary(t, s)
		waitForTip(t, s.Log, w.End())
		up.Store(true)
		time.Sleep(time.Hour)
		if l := s.Link(); l.Source == "first" || firsts.Load() != 1 {
			t.Errorf("it left a source that serves: %+v, %d attempts at the first", l, firsts.Load())
		}
		for range 2 { // the second time it is where it should be
			s.Retry()
			time.Sleep(time.Minute)
			if l := s.Link(); l.Source != "first" || l.State != LinkReceiving || firsts.Load() != 2 || seconds.Load() != 1 {
				t.Errorf("it was told to try all, and Link() = %+v, with %d and %d connections", l, firsts.Load(), seconds.Load())
			}
		}
		commit(t, w, 3)
		waitForTip(t, s.Log, w.End())
		if err := stop(); err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
}
