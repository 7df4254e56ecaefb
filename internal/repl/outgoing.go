package repl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"zrs/internal/epoch"
	"zrs/internal/fs"
	"zrs/internal/wire"
)

// An outgoing is a connection to a secondary, seen from the primary.
type outgoing struct {
	p      *Primary
	feed   *feed
	conn   net.Conn
	logger *slog.Logger

	protocol string
	start    fs.TID
	hello    *wire.Hello   // nil of a secondary that may be zc.zrs
	lineage  epoch.Lineage // that it was told of
	noted    time.Time     // when it was sent a note
	asked    atomic.Bool   // for the end
	digest   *wire.Digest
	encoder  encoder
	buf      []byte // frames of a transaction that is streamed
	spare    []byte // as buf, being written
	queue    queue
	sent     int64 // transactions

	mu   sync.Mutex
	peer Peer
}

// serve runs the connection to its end. It sends until ctx is done, or until
// there is no more to send after serving is done.
func (s *outgoing) serve(ctx, serving context.Context) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer s.conn.Close()
	unblock := context.AfterFunc(ctx, func() { s.conn.Close() })
	defer unblock()

	// Whoever has not come to be served yet does not hold up the end.
	hurry := context.AfterFunc(serving, func() { _ = s.conn.SetReadDeadline(time.Now().Add(lastWord)) })
	defer hurry()

	switch err := s.handshake(); {
	case errors.Is(err, io.EOF): // a monitor, perhaps
		s.logger.Debug("connection was closed before a word")
		return
	case errors.Is(err, errStatus):
		_, _ = io.Copy(io.Discard, s.conn) // until it hangs up
		return
	case isRefused(err):
		s.logger.Error("refused a secondary", "node", s.hello.Node, "err", err)
		_, _ = io.Copy(io.Discard, s.conn) // until it hangs up, so that it gets the answer
		return
	case err != nil:
		s.logger.Error("refused a connection: it does not speak the replication protocol", "err", err)
		return
	}
	if !hurry() {
		_ = s.conn.SetReadDeadline(time.Time{})
	}
	// The secondary may ask for the end too.
	following, finish := context.WithCancel(ctx)
	defer finish()
	defer context.AfterFunc(serving, finish)()
	var listening sync.WaitGroup
	listening.Go(func() { cancel(s.listen(finish)) })

	c, err := s.open(ctx)
	refused := err != nil
	if err == nil {
		s.p.register(s, true)
		err = s.transmit(ctx, following, c)
		s.p.register(s, false)
		c.Close()
	}
	switch {
	case err == nil:
		s.closeGently()
		s.logger.Info("secondary disconnected", "transactions", s.sent, "reason", "finished")
	case ctx.Err() != nil:
		s.logger.Info("secondary disconnected", "transactions", s.sent, "reason", context.Cause(ctx).Error())
	case isClosed(err):
		s.logger.Info("secondary disconnected", "transactions", s.sent, "reason", err.Error())
		s.conn.Close()
	case isRefused(err):
		s.logger.Error("refused a secondary", "err", err)
	default:
		s.logger.Error("stopped serving a secondary", "transactions", s.sent, "err", err)
		s.tell(err)
		if refused || isClosed(err) {
			s.conn.Close()
		} else {
			s.breakOff()
		}
	}
	listening.Wait()
}

// lastWord is how long whoever has just connected has to say what it wants, and who
// was answered to hang up, when the primary stops.
const lastWord = time.Second

// errStatus says that a connection was about the state of the server.
var errStatus = errors.New("asked for the state")

// breakOff ends the stream so that a secondary can't take it for the end that it
// may have asked for: inside of a frame.
func (s *outgoing) breakOff() {
	if s.write(net.Buffers{{0}}) == nil {
		s.closeGently()
	} else {
		s.conn.Close()
	}
}

// tell hands on an error that is about what is served, not about the connection
// or the secondary.
func (s *outgoing) tell(err error) {
	switch {
	case s.p.failed == nil, isClosed(err), errors.Is(err, net.ErrClosed):
	case errors.Is(err, fs.ErrTIDUnknown), errors.Is(err, fs.ErrTIDTooHigh), errors.Is(err, epoch.ErrSuperseded):
	default:
		s.p.failed(err)
	}
}

// handshake reads what a secondary starts with.
func (s *outgoing) handshake() error {
	if err := s.conn.SetReadDeadline(time.Now().Add(s.p.HandshakeTimeout)); err != nil {
		return err
	}
	protocol, err := readHandshake(s.conn, wire.MaxHandshakeFrame)
	if errors.Is(err, io.EOF) {
		return err
	}
	if err != nil {
		return fmt.Errorf("protocol name: %w", err)
	}
	switch s.protocol = string(protocol); {
	case s.protocol == wire.ProtocolZRS1:
		return s.greeted()
	case s.protocol == wire.ProtocolStatus && s.p.Status != nil:
		if err := s.write(net.Buffers{wire.AppendFrame(nil, s.p.Status())}); err != nil {
			return err
		}
		s.closeGently()
		return errStatus
	case s.protocol != wire.Protocol20 && s.protocol != wire.Protocol21:
		return fmt.Errorf("protocol %q is not supported", protocol)
	case s.protocol == wire.Protocol20 && s.p.Blobs != nil:
		return errors.New("the secondary has no blob directory (it offers zrs2.0), but this database has blobs")
	}
	start, err := readHandshake(s.conn, wire.MaxHandshakeFrame)
	if err != nil {
		return fmt.Errorf("start TID: %w", err)
	}
	if len(start) != 8 {
		return fmt.Errorf("start TID: %d bytes, want 8", len(start))
	}
	s.start = fs.TIDFromBytes(start)
	return s.conn.SetReadDeadline(time.Time{})
}

// readHandshake reads one of the frames that a connection begins with, of
// most bytes at most.
func readHandshake(r io.Reader, most int) ([]byte, error) {
	var head [wire.FrameHeaderSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n, err := wire.FrameSize(head[:], most)
	if err != nil {
		return nil, err
	}
	return readPayload(r, n)
}

// readPayload reads the n bytes of a frame. It takes memory as they arrive.
func readPayload(r io.Reader, n int) ([]byte, error) {
	var payload bytes.Buffer
	_, err := io.CopyN(&payload, r, int64(n))
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return payload.Bytes(), err
}

// errGone is why a connection ends when the secondary closed it.
var errGone = errors.New("closed by the secondary")

// listen reads keep-alives, which mean nothing, until the secondary sends
// anything else, which asks for the rest and the end, and then until it hangs
// up.
func (s *outgoing) listen(finish func()) error {
	for {
		var head [wire.FrameHeaderSize]byte
		if _, err := io.ReadFull(s.conn, head[:]); err == io.EOF {
			return errGone
		} else if err != nil {
			return err
		}
		s.update(func(p *Peer) { p.Heard = time.Now() })
		if head == [wire.FrameHeaderSize]byte{} {
			continue
		}
		if s.hello == nil {
			break
		}
		if finish, err := s.heed(head[:]); err != nil {
			return err
		} else if finish {
			break
		}
	}
	s.asked.Store(true)
	s.logger.Debug("secondary asked for the end")
	finish()
	if _, err := io.Copy(io.Discard, s.conn); err != nil {
		return err
	}
	return errGone
}

// open returns a cursor at what the secondary asks for. A secondary that is
// refused gets no answer: the protocol has none.
func (s *outgoing) open(ctx context.Context) (*fs.Cursor, error) {
	if err := s.waitReady(ctx); err != nil {
		return nil, err
	}
	c, err := s.p.Log.After(s.start)
	switch {
	case errors.Is(err, fs.ErrTIDUnknown) && !s.p.ServeUnknown:
		c.Close()
		return nil, s.refuse(wire.ReasonUnknownStart, fmt.Errorf("%w: its last transaction is not in this database, so its history has diverged; "+
			"compare the two before it is made a secondary again", err))
	case errors.Is(err, fs.ErrTIDUnknown):
		s.logger.Warn("the secondary's last transaction is not in this database", "tid", s.start)
	case errors.Is(err, fs.ErrTIDTooHigh):
		return nil, s.refuse(wire.ReasonAhead, err)
	case err != nil:
		return nil, err
	}
	if err := s.welcome(); err != nil {
		c.Close()
		return nil, err
	}
	s.logger.Info("secondary connected", "protocol", s.protocol, "start", s.start)
	s.digest = wire.NewDigest(s.protocol, s.start)
	s.encoder = encoder{path: s.p.Log.Path(), blobs: s.p.Blobs, missing: s.p.MissingBlob, logger: s.logger, onBlob: func() { s.p.missingBlobs.Add(1) }}
	return c, nil
}

// transmit is send, with a goroutine of its own that writes what is queued.
func (s *outgoing) transmit(ctx, following context.Context, c *fs.Cursor) error {
	ctx, failed := context.WithCancelCause(ctx)
	defer failed(nil)
	following, stop := context.WithCancel(following)
	defer stop()
	defer context.AfterFunc(ctx, stop)()

	s.queue.parts = make(chan net.Buffers)
	var writing errgroup.Group
	writing.Go(func() error {
		err := s.writeQueue()
		if err != nil {
			failed(err)
		}
		return err
	})
	err := s.send(ctx, following, c)
	if err == nil && s.asked.Load() {
		s.mu.Lock()
		last := s.peer.Sent // the cursor may have read ahead
		s.mu.Unlock()
		err = s.note(ctx, &wire.Note{End: &wire.End{Last: last}})
	}
	close(s.queue.parts)
	if writeErr := writing.Wait(); writeErr != nil {
		return writeErr
	}
	return err
}

// send sends what c reads until ctx is done, or, after following is done, until
// all is sent that there was by then.
func (s *outgoing) send(ctx, following context.Context, c *fs.Cursor) error {
	caughtUp := false
	end := endless // of what is to be sent
	for {
		if following.Err() != nil && end == endless {
			end = s.p.Log.Tip().TID
		}
		if c.LastTID() >= end {
			return context.Cause(ctx)
		}
		if err := s.notes(ctx); err != nil {
			return err
		}
		err := s.sendChunks(ctx, following, c, &end)
		switch {
		case err == nil: // all up to end is sent
		case isEnd(err):
			if !caughtUp {
				caughtUp = true
				s.logger.Info("secondary caught up", "tid", c.LastTID(), "transactions", s.sent)
			}
			if err := s.wait(following, c); err != nil && following.Err() == nil {
				return err
			}
			if ctx.Err() != nil || !c.More() && following.Err() != nil {
				return context.Cause(ctx)
			}
		case errors.Is(err, errStream):
			if err := s.stream(ctx, c); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

const (
	// chunksAhead is how many chunks may wait, encoded, while one is sent.
	chunksAhead = 1

	// endless is later than any transaction.
	endless = ^fs.TID(0)
)

// An encoded is a chunk, or why there is none.
type encoded struct {
	chunk *chunk
	err   error
}

// sendChunks sends chunks. It ends with what the feed ended with, or with nil
// when all up to end is sent; end is set as soon as no more than the log has now
// is wanted.
//
// What comes one by one is read here: to hand it over would take longer. Where
// there is more, the next chunks are read and encoded while one is sent.
func (s *outgoing) sendChunks(ctx, following context.Context, c *fs.Cursor, end *fs.TID) error {
	for much := false; !much; {
		ch, err := s.feed.next(ctx, c, &s.encoder)
		if err != nil {
			return err
		}
		if done, err := s.sendUpTo(ctx, following, ch, end); done || err != nil {
			return err
		}
		much = len(ch.frames) >= directSize
	}
	ahead := make(chan encoded, chunksAhead)
	reading, stop := context.WithCancel(ctx)
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			ch, err := s.feed.next(reading, c, &s.encoder)
			select {
			case ahead <- encoded{ch, err}:
			case <-reading.Done():
				return
			}
			if err != nil {
				return // the cursor is the sender's again
			}
		}
	})
	defer reader.Wait()
	defer stop()
	for {
		var e encoded
		select {
		case e = <-ahead:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if e.err != nil {
			return e.err
		}
		if done, err := s.sendUpTo(ctx, following, e.chunk, end); done || err != nil {
			return err
		}
	}
}

// sendUpTo sends a chunk, and reports whether that was all up to end.
func (s *outgoing) sendUpTo(ctx, following context.Context, ch *chunk, end *fs.TID) (done bool, err error) {
	if err := s.sendChunk(ctx, ch); err != nil {
		return false, err
	}
	if following.Err() != nil && *end == endless {
		*end = s.p.Log.Tip().TID
	}
	return ch.last >= *end, nil
}

// sendChunk sends a chunk with the connection's own checksums in it.
func (s *outgoing) sendChunk(ctx context.Context, ch *chunk) error {
	if err := s.notes(ctx); err != nil {
		return err
	}
	sums := ch.checksums(s.digest)
	s.digest = sums.after.Clone()
	buffers := make(net.Buffers, 0, 2*len(ch.commits))
	at := 0
	for i, end := range ch.commits {
		buffers = append(buffers, ch.frames[at:end], sums.commits[i])
		at = end
	}
	if err := s.enqueue(ctx, buffers); err != nil {
		return err
	}
	s.sent += int64(len(ch.commits))
	s.update(func(p *Peer) { p.Sent, p.Transactions, p.Bytes = ch.last, s.sent, p.Bytes+int64(len(ch.frames)) })
	return nil
}

// A queue is what the sender hands to a goroutine that writes, so that the
// checksum of the next bytes is computed meanwhile. There is no room in it: it
// takes something when what it took before is written.
type queue struct {
	parts   chan net.Buffers
	pending atomic.Int32 // taken and not yet written
}

// directSize is how much is cheaper to write than to hand over.
const directSize = 32 << 10

// enqueue has b written. What was enqueued before may be used again when it
// returns, b itself may not.
func (s *outgoing) enqueue(ctx context.Context, b net.Buffers) error {
	size := 0
	for _, part := range b {
		size += len(part)
	}
	if size < directSize && s.queue.pending.Load() == 0 {
		return s.write(b)
	}
	s.queue.pending.Add(1)
	select {
	case s.queue.parts <- b:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// writeQueue writes what is enqueued until there will be no more.
func (s *outgoing) writeQueue() error {
	for b := range s.queue.parts {
		if err := s.write(b); err != nil {
			return err
		}
		s.queue.pending.Add(-1)
	}
	return nil
}

// write sends b. It takes as long as the secondary takes to read, if it reads.
func (s *outgoing) write(b net.Buffers) error {
	for {
		if err := s.conn.SetWriteDeadline(time.Now().Add(s.p.WriteTimeout)); err != nil {
			return err
		}
		n, err := b.WriteTo(s.conn)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case n == 0:
			return fmt.Errorf("the secondary has read nothing for %s: %w", s.p.WriteTimeout, err)
		}
	}
}

// closeGently ends the stream and lets the secondary hang up first: closing
// with its keep-alives unread would make the system throw away what it has not
// received yet.
func (s *outgoing) closeGently() {
	half, ok := s.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		s.conn.Close()
		return
	}
	_ = s.conn.SetReadDeadline(time.Now().Add(s.p.WriteTimeout)) // for listen, which reads on
}

// stream sends the next transaction piece by piece: its data and its blobs
// never are in memory as a whole.
func (s *outgoing) stream(ctx context.Context, c *fs.Cursor) error {
	txn, err := s.encoder.next(c)
	if err != nil {
		return err
	}
	if s.buf == nil {
		s.buf, s.spare = make([]byte, 0, streamBuffer), make([]byte, 0, streamBuffer)
	}
	tid := txn.TID
	if err := s.notes(ctx); err != nil {
		return err
	}
	if err := s.message(ctx, s.encoder.begin(nil, txn)); err != nil {
		return err
	}
	for {
		rec, err := c.NextRecord()
		if isEnd(err) {
			break
		}
		if err == nil {
			err = s.streamRecord(ctx, c, rec)
		}
		if err != nil {
			return err
		}
	}
	payload := (&wire.Commit{Digest: s.digest.Sum()}).AppendTo(nil)
	if err := s.message(ctx, wire.AppendFrame(nil, payload)); err != nil {
		return err
	}
	s.sent++
	s.update(func(p *Peer) { p.Sent, p.Transactions = tid, s.sent })
	return s.flush(ctx)
}

func (s *outgoing) streamRecord(ctx context.Context, c *fs.Cursor, rec *fs.Record) error {
	found, err := c.Resolve()
	if err != nil {
		return err
	}
	start, err := recordStart(c, found)
	if err != nil {
		return err
	}
	blob, err := s.encoder.blob(rec, start)
	if err != nil {
		return err
	}
	data := io.NewSectionReader(c.File(), found.Offset, found.Length)
	if blob == nil {
		frame, err := s.encoder.store(nil, rec, found)
		if err == nil {
			err = s.message(ctx, frame)
		}
		if err == nil {
			err = s.payload(ctx, data, found.Length)
		}
		return err
	}
	defer blob.Close()
	return s.streamBlob(ctx, rec, found, data, blob)
}

// streamBlob sends a blob record and the blob.
func (s *outgoing) streamBlob(ctx context.Context, rec *fs.Record, found fs.Resolved, data io.Reader, blob *os.File) error {
	fi, err := blob.Stat()
	if err != nil {
		return err
	}
	// An empty blob goes as one block of no bytes: with no block at all a
	// zc.zrs secondary makes no file.
	size := fi.Size()
	blocks := max(1, (size+wire.BlockSize-1)/wire.BlockSize)
	msg := &wire.Blob{Store: storeOf(rec, found), Blocks: blocks}
	if err := s.message(ctx, appendMessage(nil, msg.AppendTo)); err != nil {
		return err
	}
	if err := s.payload(ctx, data, found.Length); err != nil {
		return err
	}
	for range blocks {
		n := min(size, wire.BlockSize)
		if err := s.payload(ctx, blob, n); err != nil {
			return fmt.Errorf("blob of object %s, transaction %s: %w", rec.OID, rec.TID, err)
		}
		size -= n
	}
	return nil
}

// streamBuffer is how much is collected before it is sent.
const streamBuffer = 256 << 10

// message sends a whole frame.
func (s *outgoing) message(ctx context.Context, frame []byte) error {
	s.digest.Add(frame[wire.FrameHeaderSize:])
	s.buf = append(s.buf, frame...)
	return s.flushIfFull(ctx)
}

// payload sends a frame of n bytes that come from r.
func (s *outgoing) payload(ctx context.Context, r io.Reader, n int64) error {
	s.buf = wire.AppendFrameHeader(s.buf, int(n))
	for n > 0 {
		if err := s.flushIfFull(ctx); err != nil {
			return err
		}
		at := len(s.buf)
		part := s.buf[at:min(int64(cap(s.buf)), int64(at)+n)]
		got, err := io.ReadFull(r, part)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		s.digest.Add(part[:got])
		s.buf = s.buf[:at+got]
		n -= int64(got)
	}
	return s.flushIfFull(ctx)
}

func (s *outgoing) flushIfFull(ctx context.Context) error {
	if len(s.buf) < streamBuffer-wire.BlockSize {
		return nil
	}
	return s.flush(ctx)
}

func (s *outgoing) flush(ctx context.Context) error {
	n := int64(len(s.buf))
	s.update(func(p *Peer) { p.Bytes += n })
	err := s.enqueue(ctx, net.Buffers{s.buf})
	s.buf, s.spare = s.spare[:0], s.buf
	return err
}
