package repl

import (
	"net"
	"testing"
	"testing/synctest"

	"zrs/internal/epoch"
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
		bad := newScripted(t, pipes, []step{skipGreeting, send(welcome.AppendFrame(nil)), hangUp})
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
