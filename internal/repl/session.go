package repl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"zrs/internal/fs"
	"zrs/internal/wire"
)

// ErrRefused is returned when a source ended the connection without a byte.
// That is all the protocol has to say no.
var ErrRefused = errors.New("the source closed the connection without a word")

// ErrHungUp is returned when a source ended the connection before it had sent
// all, or sent no answer in time.
var ErrHungUp = errors.New("the source hung up")

// errDone says that a session has got what it was to get.
var errDone = errors.New("done")

// A session is one connection to a source, from the handshake to its end.
type session struct {
	s      *Secondary
	conn   net.Conn
	source string
	logger *slog.Logger
	goal   goal

	from  fs.TID
	check *history // nil once the histories are known to agree
	hold  bool     // what was appended may have to be taken back

	writing  sync.Mutex // of conn
	finished bool       // the source was asked for the end
	heard    time.Time  // when the last batch came
	events   int64

	comparing bool // the transaction being received is compared, not appended
	blob      *fs.BlobWriter
	size      int64 // of the data file at the last Begin

	lastSync time.Time
	syncTook time.Duration
}

// A goal says when a session is done.
type goal struct {
	end   bool   // at the end that the source has when asked for it
	until fs.TID // after the last transaction that is not later, if not 0
	dry   bool   // as soon as the histories are known to agree
}

const (
	// silence is how long a source may say nothing, while histories are
	// compared or its end is wanted, before it is asked to finish.
	silence = 2 * time.Second

	// syncBytes is how much is appended before it is made durable, even if
	// more is waiting.
	syncBytes = 64 << 20
)

// attempt runs a session that starts after from. It returns errDone, or
// io.EOF if the source ended between two transactions, or what went wrong.
func (s *Secondary) attempt(ctx context.Context, src Source, from fs.TID, goal goal) (err error) {
	dialCtx, cancelDial := context.WithTimeout(ctx, s.Timeout)
	conn, err := src.Dial(dialCtx)
	cancelDial()
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer conn.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	unblock := context.AfterFunc(ctx, func() { conn.Close() })
	defer unblock()

	c := &session{s: s, conn: conn, source: src.Name, logger: s.Logger.With("source", src.Name), goal: goal, from: from}
	if err := c.prepare(); err != nil {
		return err
	}
	defer c.close()
	if err := c.handshake(); err != nil {
		return fmt.Errorf("%w: %w", ErrHungUp, err)
	}
	// The steps of receiving end with ctx, and are waited for.
	var steps sync.WaitGroup
	defer steps.Wait()
	defer cancel(nil)
	received, verified := make(chan *batch, batchesAhead), make(chan *batch, batchesAhead)
	r := newReceiver(s.limited(ctx, conn))
	steps.Go(func() { r.run(ctx, received) })
	steps.Go(func() { verify(ctx, from, received, verified) })
	steps.Go(func() { c.keepAlive(ctx) })
	return c.run(ctx, r, verified)
}

// prepare makes ready what the session compares with.
func (c *session) prepare() error {
	last := c.s.Log.Tip().TID
	if last == 0 || c.s.CheckHistory == CheckNone {
		return nil
	}
	h, err := newHistory(c.s.Log, c.s.Index, c.s.Blobs, c.from, c.source, c.logger)
	c.check = h
	return err
}

func (c *session) close() {
	if c.check != nil {
		c.check.close()
	}
}

func (c *session) handshake() error {
	protocol := wire.Protocol20
	if c.s.Blobs != nil {
		protocol = wire.Protocol21
	}
	return c.write(wire.AppendHandshake(nil, protocol, c.from))
}

func (c *session) write(b []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.s.Timeout)); err != nil {
		return err
	}
	_, err := c.conn.Write(b)
	return err
}

// keepAlive sends keep-alives, as zc.zrs secondaries do if told to.
func (c *session) keepAlive(ctx context.Context) {
	if c.s.KeepAlive <= 0 {
		return
	}
	tick := time.NewTicker(c.s.KeepAlive)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if c.write(wire.AppendFrame(nil, nil)) != nil {
			return // the reader notices too
		}
	}
}

// finish asks the source to send what it has and then to close. Any message
// that is not empty does that, to zc.zrs as to zrs. To zc.zrs it must not come
// before the source has begun to read its file: then it would close at once.
func (c *session) finish() error {
	if c.finished {
		return nil
	}
	c.finished = true
	if err := c.write(wire.AppendFrame(nil, []byte("f"))); err != nil && !isClosed(err) {
		return fmt.Errorf("%w: %w", ErrHungUp, err)
	}
	return nil
}

// run applies what comes until the end.
func (c *session) run(ctx context.Context, r *receiver, in <-chan *batch) error {
	err := c.loop(ctx, r, in)
	if c.s.Writer == nil {
		return err
	}
	// What is whole is kept, what is not goes.
	if c.hold {
		return also(err, c.s.Writer.Rollback())
	}
	if err := also(err, c.s.Writer.Abort()); err != nil && c.s.Writer.Err() != nil {
		return err
	}
	return also(err, c.s.Writer.Sync())
}

// also adds to err one that came after it, unless it is the same one again: a
// writer that has failed stays failed.
func also(err, later error) error {
	if later == nil || errors.Is(err, later) {
		return err
	}
	return errors.Join(err, later)
}

func (c *session) loop(ctx context.Context, r *receiver, in <-chan *batch) error {
	quiet := time.NewTimer(silence)
	defer quiet.Stop()
	c.heard = time.Now()
	for {
		var b *batch
		select {
		case b = <-in:
		default:
			wait, err := c.sync()
			if err != nil {
				return err
			}
			if b, err = c.await(ctx, in, quiet, wait); err != nil {
				return err
			}
			if b == nil {
				continue
			}
		}
		for i := range b.events {
			if err := c.event(&b.events[i]); err != nil {
				return err
			}
			c.events++
		}
		if b.err != nil {
			return c.ended(ctx, b.err)
		}
		r.recycle(b)
		quiet.Reset(silence)
		c.heard = time.Now()
		if c.goal.end && c.check == nil && c.events > 0 {
			if err := c.finish(); err != nil {
				return err
			}
		}
	}
}

// await waits for the next batch, but not for longer than wait if that is not
// 0. It returns nil if it is to be called again.
func (c *session) await(ctx context.Context, in <-chan *batch, quiet *time.Timer, wait time.Duration) (*batch, error) {
	var pause <-chan time.Time
	if wait > 0 {
		pause = time.After(wait)
	}
	select {
	case b := <-in:
		return b, nil
	case <-pause:
		return nil, nil
	case <-quiet.C:
		if c.check == nil && !c.goal.end {
			return nil, nil // all is said, until something is committed
		}
		if time.Since(c.heard) > c.s.Timeout {
			return nil, fmt.Errorf("%w: it has not answered for %s", ErrHungUp, c.s.Timeout)
		}
		quiet.Reset(silence)
		return nil, c.finish()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// sync makes durable what was appended, now that nothing more is waiting. It
// returns how long to wait with it instead, if the last one was just before:
// when transactions come faster than the disk can sync, they share.
func (c *session) sync() (wait time.Duration, err error) {
	w := c.s.Writer
	if w == nil || c.hold {
		return 0, nil
	}
	if n, _ := w.Unsynced(); n == 0 {
		return 0, nil
	}
	start := time.Now()
	if rest := c.syncTook - start.Sub(c.lastSync); rest > 0 {
		return rest, nil
	}
	if err := w.Sync(); err != nil {
		return 0, err
	}
	c.lastSync = time.Now()
	c.syncTook = c.lastSync.Sub(start)
	return 0, nil
}

// ended says what the end of the connection means.
func (c *session) ended(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrProtocol), errors.Is(err, ErrChecksum):
		return err
	case isClosed(err) && c.events == 0 && !c.finished:
		return ErrRefused
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("%w: %w", ErrHungUp, err)
	case !c.finished:
		return fmt.Errorf("%w: it closed the connection", ErrHungUp)
	case c.check != nil && !c.hold:
		if err := c.compared(0); err != nil {
			return err
		}
	}
	if c.hold {
		return c.check.unproven()
	}
	return io.EOF
}

// compared ends the comparison: all up to our last transaction has come, and
// the next one, if it is known, has the given status.
func (c *session) compared(next fs.Status) error {
	if err := c.check.end(next); err != nil {
		return err
	}
	if c.s.Stats.Transactions.Load() == 0 { // later ones compare what we have from there
		c.s.Stats.Compared.Store(int64(c.check.matched))
	}
	if c.check.proven() {
		return c.agreed()
	}
	c.hold = true
	return nil
}

// agreed notes that the histories fit.
func (c *session) agreed() error {
	c.logger.Info("connected, histories agree", "tid", c.check.last, "transactions", c.check.matched, "packed", c.check.packed)
	c.check.close()
	c.check, c.hold = nil, false
	c.s.verified()
	if c.goal.dry {
		return errDone
	}
	return nil
}

// event takes one step of the stream.
func (c *session) event(e *event) error {
	if e.kind == eventBegin {
		if err := c.place(e); err != nil {
			return err
		}
	}
	if c.comparing {
		return c.compare(e)
	}
	return c.apply(e)
}

// place decides what a transaction that begins is for.
func (c *session) place(e *event) error {
	c.comparing = false
	if c.goal.until != 0 && e.begin.TID > c.goal.until && (c.check == nil || e.begin.TID > c.check.last) {
		if c.check != nil && !c.hold {
			if err := c.compared(fs.Status(e.begin.Status)); err != nil {
				return err
			}
		}
		if c.hold {
			return c.check.unproven()
		}
		return errDone
	}
	if c.check == nil {
		return c.fresh()
	}
	if c.comparing = e.begin.TID <= c.check.last; c.comparing {
		return nil
	}
	if !c.hold {
		if err := c.compared(fs.Status(e.begin.Status)); err != nil {
			return err
		}
	}
	if c.hold && fs.Status(e.begin.Status) != fs.StatusPacked {
		return c.check.unproven()
	}
	return nil
}

// fresh is called for each transaction that is appended without a comparison
// before it.
func (c *session) fresh() error {
	if c.events == 0 {
		c.logger.Info("connected", "start", c.from)
		c.s.verified()
		if c.goal.dry {
			return errDone
		}
	}
	return nil
}

func (c *session) compare(e *event) error {
	h := c.check
	switch e.kind {
	case eventBegin:
		return h.begin(e)
	case eventRecord:
		return h.record(e)
	case eventBlock:
		return h.block(e)
	}
	done, err := h.commit()
	if err != nil || !done {
		return err
	}
	c.comparing = false
	return c.compared(h.lastTheirs)
}
