package repl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"zrs/internal/epoch"
	"zrs/internal/fs"
	"zrs/internal/wire"
)

// How a secondary finds out what its source speaks: protocol zrs+1, which comes
// with a lineage and a sure end, or no more than zc.zrs.

// Protocol says what a source is spoken to in.
type Protocol int

// The protocols.
const (
	// ProtocolAuto is zrs+1 where the source knows it, else zrs2.0 or zrs2.1. A
	// source that has answered in zrs+1 once is not spoken to in another:
	// what it says there of its lineage would be lost.
	ProtocolAuto  Protocol = iota
	ProtocolZRS1           // zrs+1 and nothing else
	ProtocolPlain          // zrs2.0, or zrs2.1 with a blob directory
)

// plainFor is how long a source that speaks no zrs+1 is not asked again. zc.zrs
// logs an error each time.
const plainFor = 24 * time.Hour

// A dialect is what is known of what a source speaks.
type dialect struct {
	zrs1  bool      // it has answered in zrs+1
	plain time.Time // until when it is taken for one that does not know zrs+1
}

// dialect returns what is known of a source.
func (s *Secondary) dialect(src Source) *dialect {
	d := s.dialects[src.Name]
	if d != nil {
		return d
	}
	d = &dialect{}
	if known := s.Identity.Sidecar().Source; known != nil && known.Address == src.Name {
		d.zrs1 = known.Protocol == wire.ProtocolZRS1
		if !d.zrs1 && known.Protocol != "" {
			d.plain = time.Now().Add(plainFor - max(0, time.Since(known.Heard))) // the clock may have been set back
		}
	}
	if s.dialects == nil {
		s.dialects = make(map[string]*dialect)
	}
	s.dialects[src.Name] = d
	return d
}

// ErrSpokeZRS1 is the [ErrRefused] of a source that is not spoken to as zc.zrs,
// although it may be that now.
var ErrSpokeZRS1 = errors.New("it has spoken " + wire.ProtocolZRS1 + " before")

// tries is how often a source has to hang up at a greeting until it is believed
// not to know it: it may have been stopped just then.
const tries = 2

// connect connects to a source and agrees on a protocol. The welcome is nil if it
// is one of zc.zrs. The connection is closed when ctx is done.
func (s *Secondary) connect(ctx context.Context, src Source, hello *wire.Hello) (net.Conn, *wire.Welcome, error) {
	d := s.dialect(src)
	for range tries {
		if src.Protocol == ProtocolPlain || src.Protocol == ProtocolAuto && !d.zrs1 && time.Now().Before(d.plain) {
			break
		}
		conn, err := s.dial(ctx, src)
		if err != nil {
			return nil, nil, err
		}
		welcome, err := greet(conn, hello, s.Timeout)
		d.zrs1 = d.zrs1 || welcome != nil
		if err == nil {
			err = hello.Lineage.MayFollow(welcome.Lineage, hello.Last)
			if err == nil {
				err = s.ownEpoch(welcome.Lineage)
			}
			if err == nil {
				return conn, welcome, nil
			}
			err = fmt.Errorf("%s: %w", s.Log.Path(), err)
		}
		conn.Close()
		switch {
		case ctx.Err() != nil:
			return nil, nil, context.Cause(ctx)
		case welcome != nil:
			return nil, nil, s.parted(ctx, src, hello, welcome.Lineage, err)
		case !errors.Is(err, ErrRefused):
			return nil, nil, err
		case d.zrs1:
			return nil, nil, fmt.Errorf("%w: %w", err, ErrSpokeZRS1)
		}
	}
	if src.Protocol == ProtocolZRS1 {
		return nil, nil, fmt.Errorf("%w: it may not know %s", ErrRefused, wire.ProtocolZRS1)
	}
	conn, err := s.dial(ctx, src)
	if err != nil {
		return nil, nil, err
	}
	protocol := wire.Protocol20
	if hello.Blobs {
		protocol = wire.Protocol21
	}
	if err := write(conn, wire.AppendHandshake(nil, protocol, hello.Start), s.Timeout); err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("%w: %w", ErrHungUp, err)
	}
	return conn, nil, nil
}

// ErrOwnEpoch is returned when we are known as the primary of the epoch that a
// source has: then it follows us, or is a second primary. It may be promoted yet.
var ErrOwnEpoch = errors.New("this is the primary of that epoch itself, and can't follow")

func (s *Secondary) ownEpoch(theirs epoch.Lineage) error {
	if k := s.Identity.Sidecar(); k.Role == epoch.Primary && k.Known() && k.Equal(theirs) {
		return fmt.Errorf("%w: epoch %s", ErrOwnEpoch, theirs.Epoch.Short())
	}
	return nil
}

func (s *Secondary) dial(ctx context.Context, src Source) (net.Conn, error) {
	dialCtx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	conn, err := src.Dial(dialCtx)
	if ctx.Err() != nil {
		if err == nil {
			conn.Close()
		}
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	context.AfterFunc(ctx, func() { conn.Close() })
	return conn, nil
}

// greet says hello and returns the answer. The error is [ErrRefused] if the source
// hung up without one, or what its refusal says.
func greet(conn net.Conn, hello *wire.Hello, timeout time.Duration) (*wire.Welcome, error) {
	err := write(conn, hello.AppendGreeting(nil), timeout)
	if err == nil {
		err = conn.SetReadDeadline(time.Now().Add(timeout))
	}
	var payload []byte
	if err == nil || isClosed(err) { // it may have hung up before it had read all
		payload, err = readHandshake(conn, wire.MaxGreeting)
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fmt.Errorf("%w: it has not answered for %s", ErrHungUp, timeout)
	case errors.Is(err, io.EOF), isReset(err):
		return nil, ErrRefused
	case isClosed(err):
		return nil, fmt.Errorf("%w: %w", ErrHungUp, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	w, err := wire.DecodeWelcome(payload)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	if w.Refused != nil {
		return w, refusal(w.Refused)
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHungUp, err)
	}
	return w, nil
}

// parted says where histories part, if err says that they do and the lineages show
// where.
func (s *Secondary) parted(ctx context.Context, src Source, hello *wire.Hello, theirs epoch.Lineage, err error) error {
	if errors.Is(err, errStart) || !errors.Is(err, ErrDiverged) && !errors.Is(err, epoch.ErrDiverged) {
		return err
	}
	end, ok := theirs.End(hello.Lineage.Epoch)
	if !ok {
		return err
	}
	d := &DivergedError{
		Path: s.Log.Path(), Source: src.Name, Common: end,
		Detail: fmt.Sprintf("epoch %s began there", theirs.Epoch.Short()),
	}
	c, afterErr := s.Log.After(end)
	if afterErr != nil && !errors.Is(afterErr, fs.ErrTIDUnknown) {
		return err
	}
	defer c.Close()
	for {
		txn, nextErr := c.Next()
		if nextErr != nil || ctx.Err() != nil {
			return d // what was found is true in any case
		}
		d.OnlyHere++
		if len(d.First) < maxListed {
			d.First = append(d.First, OnlyTxn{txn.TID, string(txn.User), string(txn.Description)})
		}
	}
}

// errStart says that a source refuses the transaction that we want to start after:
// another one may do.
var errStart = errors.New("it does not know where to start")

// refusal returns what a refusal means.
func refusal(r *wire.Refusal) error {
	var why error
	switch r.Reason {
	case wire.ReasonOtherDatabase:
		why = epoch.ErrOtherDatabase
	case wire.ReasonDiverged:
		why = ErrDiverged
	case wire.ReasonSuperseded:
		why = epoch.ErrSuperseded
	case wire.ReasonNoBlobs:
		why = ErrBlobDirNeeded
	case wire.ReasonUnknownStart:
		why = errors.Join(errStart, ErrDiverged)
	case wire.ReasonAhead:
		why = errors.Join(errStart, ErrAhead)
	default:
		return fmt.Errorf("%w: %s", ErrRejected, r.Text)
	}
	return &rejection{why: why, text: r.Text}
}

// ErrRejected is returned when a source said why it will not serve us now.
var ErrRejected = errors.New("the source refuses us")

// A rejection is a source's no, in its own words. It matches ErrRejected and what
// it means.
type rejection struct {
	why  error
	text string
}

func (e *rejection) Error() string   { return ErrRejected.Error() + ": " + e.text }
func (e *rejection) Unwrap() []error { return []error{ErrRejected, e.why} }

func write(conn net.Conn, b []byte, timeout time.Duration) error {
	if err := conn.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	_, err := conn.Write(b)
	return err
}

// hello is what a session says of us.
func (s *Secondary) hello(from fs.TID) *wire.Hello {
	host, _ := os.Hostname() // without one, the file says enough
	return &wire.Hello{
		Lineage: s.Identity.Lineage(), Start: from, Last: s.Log.Tip().TID, Blobs: s.Blobs != nil,
		Node: host + ":" + s.Log.Path(), Instance: s.Identity.Instance(),
	}
}
