package monitor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"zrs/internal/control"
)

// greetingWait is how long a server may take to greet before it is taken for
// one that waits to be spoken to.
const greetingWait = 2 * time.Second

// A Target is something to be checked: a server or a data file. Its methods may
// be called one after the other, not concurrently.
type Target struct {
	Kind Kind // "" for a server of which it is to be found out

	Network, Address string // of a server, for [net.Dial]
	Path             string // of a data file
}

// Probe asks the target how it is, and gives up when ctx ends. It sets Kind, if
// that was not known.
func (t *Target) Probe(ctx context.Context) (*Report, error) {
	if t.Network == "unix" && t.Kind != KindZEO && control.IsSocket(t.Address) {
		return probeControl(ctx, t.Address)
	}
	if t.Kind != KindFile {
		return t.probeServer(ctx, t.Network, t.Address)
	}
	if socket := controlSocket(t.Path); socket != "" {
		return probeControl(ctx, socket)
	}
	return probeFile(ctx, t.Path)
}

func (t *Target) probeServer(ctx context.Context, network, address string) (report *Report, err error) {
	err = converse(ctx, network, address, func(conn net.Conn) error {
		kind := t.Kind
		if kind == "" {
			if conn, kind, err = detect(conn); err != nil {
				return err
			}
		}
		if kind == KindZEO {
			storages, askErr := askZEO(conn)
			report, err = &Report{Kind: kind, Storages: storages}, askErr
		} else {
			report, err = askZRS(conn)
		}
		if err == nil && t.Kind == "" {
			t.Kind = kind
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return report, nil
}

// converse connects to a server and calls talk with the connection, which is
// closed when ctx ends, at the latest when talk returns.
func converse(ctx context.Context, network, address string, talk func(net.Conn) error) error {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			return context.Cause(ctx)
		}
		return connectError(err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	switch err := talk(conn); {
	case err == nil || !isConnectionError(err):
		return err
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return ErrSilent
	case ctx.Err() != nil:
		return context.Cause(ctx)
	default:
		return ErrHungUp
	}
}

// connectError returns why there is no connection, without the address, which
// whoever reads it knows.
func connectError(err error) error {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*os.SyscallError](err); ok {
		err = e.Err
	}
	return fmt.Errorf("%w: %w", ErrUnreachable, err)
}

// isConnectionError reports whether err is how a connection ends.
func isConnectionError(err error) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true
	}
	_, ok := errors.AsType[net.Error](err)
	return ok
}

// detect finds out what server is at the other end of conn. A ZEO server greets
// at once; one of zrs says nothing until it is spoken to. The connection that is
// to be used from then on yields all that the server has said.
func detect(conn net.Conn) (net.Conn, Kind, error) {
	heard := heardConn{conn, bufio.NewReaderSize(conn, maxGreeting)}
	if err := conn.SetReadDeadline(time.Now().Add(greetingWait)); err != nil {
		return nil, "", err
	}
	start, err := heard.r.Peek(greetingStart)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && heard.r.Buffered() == 0:
		return heard, KindZRS, conn.SetReadDeadline(time.Time{})
	case err != nil:
		return nil, "", err
	case !isGreeting(start):
		return nil, "", fmt.Errorf("%w: it begins with %q", ErrAnswer, start)
	}
	return heard, KindZEO, conn.SetReadDeadline(time.Time{})
}

// A heardConn is a connection from which something was read ahead.
type heardConn struct {
	net.Conn
	r *bufio.Reader
}

func (c heardConn) Read(b []byte) (int, error) { return c.r.Read(b) }
