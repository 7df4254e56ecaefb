package monitor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"zrs/internal/control"
	"zrs/internal/epoch"
)

// askZRS asks the zrs server at the other end of conn, over which nothing has
// gone yet, and which has a deadline. It is called for what said nothing by
// itself, so a ZEO server that is slow, or hangs, may be there too: what does not
// answer as a zrs server is an [ErrSilent], [ErrHungUp] or [ErrAnswer].
func askZRS(conn net.Conn) (*Report, error) {
	s, err := control.Ask(conn)
	if err != nil {
		return nil, err
	}
	return reportOf(s)
}

// probeControl asks a zrs server at its control socket.
func probeControl(ctx context.Context, socket string) (*Report, error) {
	s, err := (&control.Client{Socket: socket}).Status(ctx)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return nil, ErrSilent
	case errors.Is(err, control.ErrNoServer):
		return nil, fmt.Errorf("%w: nobody answers at %s, which its server has left there", ErrUnreachable, socket)
	case err != nil:
		return nil, err
	}
	return reportOf(s)
}

// reportOf is what a zrs server's state means to a monitor.
func reportOf(s *control.Status) (*Report, error) {
	switch s.Health {
	case control.Optimal, control.Recovering, control.Degraded, control.Failed:
	default:
		return nil, ErrAnswer
	}
	out := Storage{
		Role: string(s.Role), Health: Health(s.Health), Reason: string(s.Reason), Sentence: s.Message, LastTID: s.LastTID,
	}
	if s.Source != nil {
		connected := s.Source.State == "comparing" || s.Source.State == "receiving"
		out.Connected, out.Lag = &connected, lagOf(s.Source.Lag)
		if !connected {
			out.Lag = out.Lag.atLeast()
		}
		if s.Source.Heard != nil {
			out.LastContact = *s.Source.Heard
		}
	} else if s.Role == epoch.Primary && len(s.Peers) > 0 {
		out.Lag = farthest(s.Peers)
	}
	return &Report{Kind: KindZRS, Storages: []Storage{out}}, nil
}

// atLeast returns what is known of a lag behind a source that may have gone on
// since it told of it: it is no less, but nothing is not known.
func (l Lag) atLeast() Lag {
	if l.Age != nil && *l.Age == 0 {
		l.Age = nil
	}
	if l.Transactions != nil && *l.Transactions == 0 {
		l.Transactions = nil
	}
	if l.Bytes != nil && *l.Bytes == 0 {
		l.Bytes = nil
	}
	return l
}

func lagOf(l control.Lag) Lag {
	out := Lag{Transactions: l.Transactions, Bytes: l.Bytes}
	if l.Seconds != nil {
		age := time.Duration(*l.Seconds * float64(time.Second))
		out.Age = &age
	}
	return out
}

// farthest returns the lag of the peer that is farthest behind.
func farthest(peers []control.Peer) Lag {
	worst := lagOf(peers[0].Lag)
	for _, p := range peers[1:] {
		if l := lagOf(p.Lag); l.Age == nil || worst.Age != nil && *l.Age > *worst.Age {
			worst = l
		}
	}
	return worst
}

// controlSocket returns the path of the Unix socket where the zrs server that
// has the data file path in its care can be asked, or "" if there is none.
func controlSocket(path string) string {
	socket := control.SocketPath(path)
	if fi, err := os.Stat(socket); err != nil || fi.Mode().Type() != os.ModeSocket {
		return ""
	}
	return socket
}
