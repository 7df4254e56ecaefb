package repl

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"zrs/internal/epoch"
	"zrs/internal/fs"
)

// Times that a [Primary] uses where it is told no others.
const (
	DefaultWriteTimeout     = 60 * time.Second
	DefaultStopTimeout      = 60 * time.Second
	DefaultHandshakeTimeout = 30 * time.Second
)

// A Primary serves the transactions of a log to secondaries, ours or zc.zrs', on
// any number of connections. Each has the memory of a chunk and no more, so a
// secondary that is slow, or reads nothing, costs the others nothing; one that
// reads nothing for WriteTimeout is cut off.
type Primary struct {
	Log   *fs.Log
	Blobs *fs.BlobDir // nil for a database without blobs

	// Identity has the lineage of the database, for secondaries of ours. A
	// secondary that has met a newer epoch makes it superseded.
	Identity *epoch.Keeper // nil: unknown

	// MissingBlob says what to do about blob records without a file.
	MissingBlob MissingBlob

	// ServeUnknown makes it serve a secondary whose last transaction this
	// history never had, as zc.zrs does: the next later transaction is sent,
	// and two histories are joined. Without it such a secondary is refused.
	ServeUnknown bool

	Allow    []netip.Prefix // who may connect over TCP; empty: everybody
	MaxConns int            // most secondaries at a time, 0: any number

	WriteTimeout     time.Duration // how long a write may be stuck
	HandshakeTimeout time.Duration // for the two messages that a secondary starts with
	StopTimeout      time.Duration // how long secondaries may take to get the rest when the primary stops

	// Upstream returns where the transactions come from, nil if nobody sends
	// them. It may be nil itself.
	Upstream func() *Upstream

	// Status returns the answer for those who ask for the state of the server
	// in place of transactions. Without it they are refused.
	Status func() []byte

	Logger *slog.Logger // never nil

	failed       func(error) // told why a connection could not go on; may be nil
	conns        atomic.Int64
	missingBlobs atomic.Int64

	mu    sync.Mutex
	peers map[*outgoing]bool // connections that were served
}

// Serve accepts secondaries on l until ctx is done or the log fails. It closes
// l, sends the secondaries what the log has by then, for StopTimeout at most,
// and waits for all connections to end. The error is that of the log, or of
// the listener; being told to stop is none.
func (p *Primary) Serve(ctx context.Context, l net.Listener) error {
	p.setDefaults()
	feed := newFeed(p.Log)

	serving, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	// Connections outlive ctx: when it is done they send what there is.
	sending, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)
	unblock := context.AfterFunc(serving, func() { l.Close() })
	defer unblock()

	var conns sync.WaitGroup
	conns.Go(func() { stop(p.Log.WaitFailed(serving)) })
	err := p.accept(serving, l, func(conn net.Conn) {
		conns.Go(func() {
			defer p.conns.Add(-1)
			s := &outgoing{p: p, feed: feed, conn: conn, logger: p.Logger.With("peer", peerName(conn))}
			s.peer.Address, s.peer.Since = peerName(conn), time.Now()
			s.serve(sending, serving)
		})
	})
	l.Close()
	stop(nil)
	timer := time.AfterFunc(p.StopTimeout, func() { cut(errStopTimeout) })
	defer timer.Stop()
	conns.Wait()
	if logErr := p.Log.Err(); logErr != nil && ctx.Err() == nil {
		return logErr
	}
	return err
}

var errStopTimeout = errors.New("the primary stops and the secondary took too long")

func (p *Primary) setDefaults() {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&p.WriteTimeout, DefaultWriteTimeout)
	set(&p.HandshakeTimeout, DefaultHandshakeTimeout)
	set(&p.StopTimeout, DefaultStopTimeout)
}

// accept hands on connections that may be served, until ctx is done.
func (p *Primary) accept(ctx context.Context, l net.Listener, serve func(net.Conn)) error {
	for delay := time.Duration(0); ; {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return nil
		}
		if err != nil {
			// Out of file descriptors, perhaps: that passes.
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			delay = min(max(2*delay, 5*time.Millisecond), time.Second)
			p.Logger.Warn("accept failed, trying again", "err", err, "delay", delay)
			select {
			case <-time.After(delay):
			case <-ctx.Done():
			}
			continue
		}
		delay = 0
		if why := p.refuse(conn); why != "" {
			p.Logger.Warn("connection refused", "peer", peerName(conn), "reason", why)
			conn.Close()
			continue
		}
		serve(conn)
	}
}

// refuse returns why a connection may not be served, or "" and counts it.
func (p *Primary) refuse(conn net.Conn) string {
	if !p.allowed(conn.RemoteAddr()) {
		return "address is not allowed"
	}
	if n := p.conns.Add(1); p.MaxConns > 0 && n > int64(p.MaxConns) {
		p.conns.Add(-1)
		return fmt.Sprintf("there are %d connections already", p.MaxConns)
	}
	return ""
}

// allowed reports whether a peer may connect. Unix sockets have their own
// permissions.
func (p *Primary) allowed(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || len(p.Allow) == 0 {
		return true
	}
	ip := tcp.AddrPort().Addr().Unmap()
	for _, prefix := range p.Allow {
		if prefix.Contains(ip) {
			return true
		}
	}
	return false
}

func peerName(conn net.Conn) string {
	if name := conn.RemoteAddr().String(); name != "" && name != "@" {
		return name
	}
	return conn.LocalAddr().String() // a Unix socket's client has no name
}

// MissingBlobs returns how many blobs were found missing since the primary
// started, each time that their record was sent.
func (p *Primary) MissingBlobs() int64 { return p.missingBlobs.Load() }
