package repl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"zrs/internal/fs"
	"zrs/internal/wire"
)

// A Stream gives the transactions of a source in order, to be looked at and not
// to be stored. It ends where the source ended at some moment after it was
// opened, and finds that out as [Secondary.Catchup] does: a source that was asked
// for its end, and closed the connection, has to do so once more with nothing
// new.
//
// What a method returns is valid until the following call. A Stream is not safe
// for concurrent use.
type Stream struct {
	src     Source
	timeout time.Duration

	start fs.TID      // where the first connection begins
	conn  *streamConn // nil between two
	round int
	known fs.TID // the last transaction when the connection was made
	last  fs.TID // of the source that was begun
	prev  fs.TID // the one before

	txn   fs.Txn
	rec   fs.Record
	cur   *event // the record that the stream stands on
	inTxn bool
	fresh bool // the connection has brought something new

	// Received counts the bytes read from the source.
	Received atomic.Int64
}

// A streamConn is one connection of a Stream.
type streamConn struct {
	conn     net.Conn
	stop     func() // ends the connection and waits for its goroutines
	recv     *receiver
	batch    *batch
	next     int // event of batch
	tid      fs.TID
	due      bool // the source has something to send, whatever it is
	finished bool
	received atomic.Int64
	heard    int64
}

// OpenStream connects to a source to read what is later than after. It need not be
// a transaction of the source: one that refuses it is asked for everything. It
// gives up when the source does not answer for the time of timeout where an answer
// is due.
func OpenStream(ctx context.Context, src Source, after fs.TID, timeout time.Duration) (*Stream, error) {
	s := &Stream{src: src, timeout: timeout, start: after, known: after, last: after, prev: after}
	return s, s.connect(ctx, after)
}

// Close ends the connection.
func (s *Stream) Close() error {
	if s.conn != nil {
		s.conn.stop()
		s.conn = nil
	}
	return nil
}

// connect makes a connection that starts behind from.
func (s *Stream) connect(ctx context.Context, from fs.TID) error {
	dialCtx, cancelDial := context.WithTimeout(ctx, s.timeout)
	conn, err := s.src.Dial(dialCtx)
	cancelDial()
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	c := &streamConn{conn: conn, tid: from, due: s.known != 0}
	// Protocol 2.1 is for those who take blobs: a primary that has some would
	// refuse another.
	if err := c.write(wire.AppendHandshake(nil, wire.Protocol21, from), s.timeout); err != nil {
		conn.Close()
		return fmt.Errorf("%w: %w", ErrHungUp, err)
	}
	// The goroutines live as long as the connection, whatever call it was that
	// made it.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.recv = newReceiver(&meteredReader{ctx: ctx, r: conn, most: batchSize, counters: [2]*atomic.Int64{&s.Received, &c.received}}, wire.Protocol21, from)
	var steps sync.WaitGroup
	steps.Go(func() { c.recv.run(ctx) })
	c.stop = func() {
		cancel()
		conn.Close()
		steps.Wait()
	}
	s.conn, s.fresh = c, false
	s.round++
	return nil
}

func (c *streamConn) write(b []byte, timeout time.Duration) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	_, err := c.conn.Write(b)
	return err
}

// finish asks the source to send what it has and then to close, see
// [session.finish].
func (c *streamConn) finish(timeout time.Duration) error {
	if c.finished {
		return nil
	}
	c.finished = true
	if err := c.write(wire.AppendFrame(nil, []byte("f")), timeout); err != nil && !isClosed(err) {
		return fmt.Errorf("%w: %w", ErrHungUp, err)
	}
	return nil
}

// Next moves to the next transaction, past what was not read of the last. It
// returns io.EOF at the end.
func (s *Stream) Next(ctx context.Context) (*fs.Txn, error) {
	for {
		e, err := s.event(ctx)
		switch {
		case isEnd(err):
			if err := s.again(ctx); err != nil {
				return nil, err
			}
			continue
		case errors.Is(err, ErrRefused) && s.start != 0:
			s.Close()
			s.start, s.prev = 0, 0
			if err := s.connect(ctx, 0); err != nil {
				return nil, err
			}
			continue
		case err != nil:
			return nil, err
		case e.kind == eventCommit:
			s.inTxn = false
			continue
		case e.kind != eventBegin:
			continue
		}
		if err := s.begin(e.begin); err != nil {
			return nil, err
		}
		if e.begin.TID <= s.known {
			continue // it was read from an earlier connection
		}
		s.inTxn = true
		return &s.txn, nil
	}
}

// begin takes a transaction that begins.
func (s *Stream) begin(b *wire.Begin) error {
	c, status := s.conn, fs.Status(b.Status)
	switch {
	case b.TID <= c.tid:
		return fmt.Errorf("%w: transaction %s comes after %s", ErrProtocol, b.TID, c.tid)
	case status != fs.StatusComplete && status != fs.StatusPacked:
		return fmt.Errorf("%w: transaction %s has status %q", ErrProtocol, b.TID, b.Status)
	}
	c.tid = b.TID
	if b.TID <= s.known {
		return c.finish(s.timeout)
	}
	s.fresh = true
	s.prev, s.last = s.last, b.TID
	s.txn = fs.Txn{TxnHeader: fs.TxnHeader{
		TID: b.TID, Status: status, User: b.User, Description: b.Description, Extension: b.Extension,
	}}
	return c.finish(s.timeout)
}

// again makes sure that the end of a connection is that of the source, by another
// one that begins with the last transaction. It returns io.EOF if it was.
func (s *Stream) again(ctx context.Context) error {
	if !s.fresh || s.round > maxRounds {
		return io.EOF
	}
	s.Close()
	s.known = s.last
	return s.connect(ctx, s.prev)
}

// NextRecord moves to the next record of the transaction, io.EOF after the last.
// Its Length counts the bytes of its data, 0 if the object is gone; its places in
// a file are 0.
func (s *Stream) NextRecord(ctx context.Context) (*fs.Record, error) {
	for s.inTxn {
		e, err := s.event(ctx)
		switch {
		case err != nil:
			if isEnd(err) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		case e.kind == eventCommit:
			s.inTxn = false
		case e.kind == eventRecord:
			s.cur = e
			s.rec = fs.Record{OID: e.record.OID, TID: e.record.TID, Length: int64(len(e.data))}
			return &s.rec, nil
		}
	}
	return nil, io.EOF
}

// Data returns the data of the record.
func (s *Stream) Data() ([]byte, error) { return s.cur.data, nil }

// Blob opens the blob of the record. The error is [fs.ErrNoBlob] if the source
// sent none. It is to be read before the following call.
func (s *Stream) Blob(ctx context.Context) (io.ReadCloser, error) {
	if !s.cur.blob {
		return nil, fs.ErrNoBlob
	}
	return &streamBlob{ctx: ctx, s: s, ended: s.cur.last}, nil
}

// A streamBlob reads a blob from a stream.
type streamBlob struct {
	ctx   context.Context //nolint:containedctx // of the call of Blob, whose reader this is
	s     *Stream
	rest  []byte
	ended bool
}

func (b *streamBlob) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		if b.ended {
			return 0, io.EOF
		}
		e, err := b.s.event(b.ctx)
		if err != nil {
			return 0, err
		}
		b.rest, b.ended = e.data, e.last
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

func (b *streamBlob) Close() error { return nil }

// event returns the next event, io.EOF when the source has come to the end that
// it was asked for.
func (s *Stream) event(ctx context.Context) (*event, error) {
	c := s.conn
	for c.batch == nil || c.next == len(c.batch.events) {
		if c.batch != nil {
			if c.batch.err != nil {
				return nil, s.ended(ctx, c.batch.err)
			}
			c.recv.recycle(c.batch)
			c.batch = nil
		}
		b, err := s.await(ctx)
		if err != nil {
			return nil, err
		}
		c.batch, c.next = b, 0
	}
	c.next++
	return &c.batch.events[c.next-1], nil
}

// await waits for the next batch.
func (s *Stream) await(ctx context.Context) (*batch, error) {
	c := s.conn
	select {
	case b := <-c.recv.verified:
		return b, nil
	default:
	}
	quiet := time.NewTimer(s.patience())
	defer quiet.Stop()
	for {
		select {
		case b := <-c.recv.verified:
			return b, nil
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-quiet.C:
		}
		n := c.received.Load()
		switch {
		case n != c.heard: // slow is not silent
		case c.finished:
			return nil, fmt.Errorf("%w: it has not answered for %s", ErrHungUp, s.timeout)
		default:
			if err := c.finish(s.timeout); err != nil {
				return nil, err
			}
		}
		c.heard = n
		quiet.Reset(s.patience())
	}
}

// patience is how long the source may say nothing, see [session.patience].
func (s *Stream) patience() time.Duration {
	if c := s.conn; c.finished || c.due && c.received.Load() == 0 {
		return s.timeout
	}
	return silence
}

// ended says what the end of the connection means, see [session.ended].
func (s *Stream) ended(ctx context.Context, err error) error {
	c := s.conn
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrProtocol), errors.Is(err, ErrChecksum):
		return err
	case isClosed(err) && c.received.Load() == 0 && !c.finished:
		return ErrRefused
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("%w: %w", ErrHungUp, err)
	case !c.finished:
		return fmt.Errorf("%w: it closed the connection", ErrHungUp)
	case c.tid < s.known:
		return errSilent // it did not come to what it has sent before
	}
	return io.EOF
}
