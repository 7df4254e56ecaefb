package repl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"zrs/internal/epoch"
	"zrs/internal/fs"
	"zrs/internal/wire"
)

// ErrRefused is returned when a source ended the connection without a byte.
// That is all the protocol has to say no.
var ErrRefused = errors.New("the source closed the connection without a word")

// ErrHungUp is returned when a source ended the connection before it had sent
// all, or sent no answer in time.
var ErrHungUp = errors.New("the source hung up")

// errStalled is the [ErrHungUp] of a source that owes us something and has fallen
// silent, with the connection up: another one may do better.
var errStalled = fmt.Errorf("%w: it has fallen silent", ErrHungUp)

// errDone says that a session has got what it was to get.
var errDone = errors.New("done")

// errSilent says that a source that was asked for the end sent nothing. It may
// have nothing, or it was asked before it had begun.
var errSilent = fmt.Errorf("%w: it sent nothing", ErrHungUp)

// A session is one connection to a source, from the handshake to its end.
type session struct {
	s      *Secondary
	conn   net.Conn
	source string
	logger *slog.Logger
	goal   goal

	welcome *wire.Welcome // of a source of ours, else nil
	lineage epoch.Lineage // of such a source

	from  start
	last  fs.TID   // our last transaction when the session began
	check *history // nil once the histories are known to agree
	hold  bool     // what was appended may have to be taken back
	good  bool     // the source has sent what we can use

	writing  sync.Mutex // of conn
	finished bool       // the source was asked for the end
	received atomic.Int64
	heard    int64 // received when we last looked
	waiting  bool  // for the source to go on, since we last looked
	sureEnd  bool  // the source of ours said that this is the end

	tid       fs.TID // of the source's last transaction
	inTxn     bool   // it has not ended yet
	comparing bool   // that one is here already: it is compared, or passed over
	blob      *fs.BlobWriter
	size      int64  // of the data file at the last Begin
	unsure    counts // of what may be taken back

	unsettled  int64     // bytes that came since we last settled
	finishedAt time.Time // when transactions were finished
	busy       bool      // they were soon after the ones before
}

// A goal says when a session is done.
type goal struct {
	check CheckHistory // how histories are compared
	end   bool         // at the end that the source has when asked for it
	until fs.TID       // after the last transaction that is not later, if not 0
	dry   bool         // as soon as the histories are known to agree
}

const (
	// silence is how long a source may say nothing, before it has begun or
	// while histories are compared, until it is asked to finish.
	silence = 2 * time.Second

	// endPause is the same for a source that has sent nothing new. One that can't
	// go on closes the connection by itself, at once.
	endPause = 100 * time.Millisecond

	// syncBytes is how much is appended before it is made durable, even if
	// more is waiting.
	syncBytes = 64 << 20

	// lingerBytes is how much comes at a time when the source has much to send.
	// Then more is waited for, up to lingerTime, before that is made durable: a
	// sync of each piece would take as long as all the rest. The same where
	// transactions follow each other in less than twice that time: the sync of
	// one's data makes the one before durable.
	lingerBytes = 64 << 10
	lingerTime  = 2 * time.Millisecond
)

// attempt runs a session that starts at from. It returns errDone, or io.EOF if
// the source came to the end that it was asked for, or errSilent, or what went
// wrong.
func (s *Secondary) attempt(ctx context.Context, src Source, from start, goal goal) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	hello := s.hello(from.tid)
	connected := s.steer.drainBy(ctx, func() { cancel(errInterrupted) })
	conn, welcome, err := s.connect(ctx, src, hello)
	connected()
	if err != nil {
		return err
	}
	defer conn.Close()
	defer s.steer.drainBy(ctx, func() { _ = conn.SetReadDeadline(time.Now().Add(drainTime)) })()
	c := &session{
		s: s, conn: conn, source: src.Name, logger: s.Logger.With("source", src.Name), goal: goal,
		from: from, last: s.Log.Tip().TID, tid: from.tid, welcome: welcome,
	}
	defer c.close()
	if err := c.prepare(); err != nil {
		return err
	}
	if err := c.greeted(); err != nil {
		return err
	}
	// The steps of receiving end with ctx, and are waited for.
	var steps sync.WaitGroup
	defer steps.Wait()
	defer cancel(nil)
	r := newReceiver(s.limited(ctx, conn, &c.received), c.protocol(), from.tid)
	r.split.notes = welcome != nil
	steps.Go(func() { r.run(ctx) })
	steps.Go(func() { c.keepAlive(ctx) })
	steps.Go(func() { c.report(ctx) })
	err = c.run(ctx, r)
	if welcome == nil && c.received.Load() > 0 {
		s.dialect(src).plain = time.Now().Add(plainFor)
	}
	if c.good && !goal.dry {
		s.keepContact()
	}
	return err
}

// prepare makes ready what the session compares with.
func (c *session) prepare() error {
	if c.last == 0 || c.goal.check == CheckNone {
		return nil
	}
	h, err := newHistory(c.s, c.source, c.logger, c.from, c.goal)
	if err != nil {
		return err
	}
	c.check = h
	if c.from.tid == c.last { // a comparison was left at our last transaction
		return c.agreed()
	}
	return nil
}

func (c *session) close() {
	if c.check != nil {
		c.check.close()
	}
}

func (c *session) write(b []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return write(c.conn, b, c.s.Timeout)
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
// before the source has begun to read its file: then it would close at once. A
// source of ours may be asked at any time, and says what the end is.
func (c *session) finish() error {
	if c.finished {
		return nil
	}
	c.finished = true
	ask := wire.AppendFrame(nil, []byte("f"))
	if c.welcome != nil {
		ask = (&wire.Note{Finish: &wire.Finish{}}).AppendFrame(nil)
	}
	if err := c.write(ask); err != nil && !isClosed(err) {
		return fmt.Errorf("%w: %w", ErrHungUp, err)
	}
	return nil
}

// run applies what comes until the end. Then what is whole is kept, and what is
// not goes. Trouble with that is the error that counts.
func (c *session) run(ctx context.Context, r *receiver) error {
	err := c.loop(ctx, r)
	if c.s.Writer == nil {
		return err
	}
	undo := c.s.Writer.Abort
	if c.hold {
		undo = c.s.Writer.Rollback
	}
	if err := undo(); err != nil {
		return err
	}
	c.unsure.takeFrom(&c.s.Stats)
	if err := c.s.Writer.Sync(); err != nil {
		return err
	}
	return err
}

func (c *session) loop(ctx context.Context, r *receiver) error {
	in := r.verified
	quiet := time.NewTimer(c.patience())
	defer quiet.Stop()
	for {
		var b *batch
		select {
		case b = <-in:
		default:
			b = c.linger(ctx, in)
		}
		if b == nil {
			settled, err := c.settle()
			if err == nil && settled {
				b, err = c.await(ctx, in, quiet)
			}
			if err != nil {
				return err
			}
			if b == nil {
				continue
			}
		}
		c.unsettled += int64(len(b.buf))
		silent := true // but for notes
		for i := range b.events {
			silent = silent && b.events[i].kind == eventNote
			if err := c.event(&b.events[i]); err != nil {
				return err
			}
		}
		if len(b.events) > 0 {
			c.tell(c.tid)
		}
		if b.err != nil {
			return c.ended(ctx, b.err)
		}
		r.recycle(b)
		if c.goal.end && c.check == nil && c.tid > c.last {
			// What came shows that there was more. Whether this was all will be
			// seen on the next connection.
			if err := c.finish(); err != nil {
				return err
			}
		}
		if !silent || c.check == nil {
			c.heard, c.waiting = c.received.Load(), false
			quiet.Reset(c.patience())
		}
	}
}

// linger waits a moment for the next batch, before transactions are finished or
// after, where it is likely to come and saves a sync.
func (c *session) linger(ctx context.Context, in <-chan *batch) *batch {
	finished := false
	if c.busy {
		n, _ := c.s.Writer.Unfinished()
		finished = n == 0
	}
	if c.unsettled >= lingerBytes || finished {
		moment := time.NewTimer(lingerTime)
		defer moment.Stop()
		select {
		case b := <-in:
			return b
		case <-moment.C:
		case <-ctx.Done():
		}
	}
	c.unsettled = 0
	if finished {
		c.busy = false
	}
	return nil
}

// await waits for the next batch. It returns nil if it is to be called again.
func (c *session) await(ctx context.Context, in <-chan *batch, quiet *time.Timer) (*batch, error) {
	select {
	case b := <-in:
		return b, nil
	case <-quiet.C:
		return nil, c.silent(quiet)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// patience is how long the source may say nothing where it is its turn. A
// zc.zrs primary looks through its file for the place to start, which can take
// long. If it is asked for the end before it has found it, it sends nothing.
func (c *session) patience() time.Duration {
	begun := c.received.Load() > 0 || c.welcome != nil
	due := c.from.tid != c.last // it has something that we have
	switch {
	case c.finished, !begun && due:
		return c.s.Timeout
	case !begun, c.check != nil:
		return silence
	}
	return endPause
}

// silent decides what to do when nothing has come for a while.
func (c *session) silent(quiet *time.Timer) error {
	n := c.received.Load()
	if c.check == nil && !c.goal.end {
		return c.owed(n, quiet)
	}
	if n == c.heard && c.finished {
		return fmt.Errorf("%w: it has not answered for %s", ErrHungUp, c.s.Timeout)
	}
	if n == c.heard || c.welcome != nil { // notes are no answer
		if err := c.finish(); err != nil {
			return err
		}
	}
	c.heard = n
	quiet.Reset(c.patience())
	return nil
}

// owed decides what to do about the silence of a source that is followed. n is
// how many bytes have come: slow is not silent.
func (c *session) owed(n int64, quiet *time.Timer) error {
	switch {
	case !c.due(): // more may come at any time, or never
		c.waiting = false
	case !c.waiting || n != c.heard:
		c.waiting = true
	default:
		return fmt.Errorf("%w: nothing has come for %s", errStalled, c.s.Timeout)
	}
	c.heard = n
	quiet.Reset(c.s.Timeout)
	return nil
}

// due reports whether the source owes us something: the rest of a transaction,
// or the first one where we have none.
func (c *session) due() bool {
	return c.inTxn || !c.good && c.from.tid == 0
}

// settle takes a step to make durable what was appended, now that nothing more
// is waiting, and reports whether there was none to take. The first finishes the
// transactions. If more has come by then, they become durable with that: when
// transactions come faster than the disk can sync, they share.
func (c *session) settle() (settled bool, err error) {
	w := c.s.Writer
	if w == nil || c.hold {
		return true, nil
	}
	if n, _ := w.Unfinished(); n == 0 {
		return true, w.Sync()
	}
	err = w.Finish()
	now := time.Now()
	c.busy = now.Sub(c.finishedAt) < 2*lingerTime
	c.finishedAt = now
	return false, err
}

// ended says what the end of the connection means.
func (c *session) ended(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, ErrProtocol), errors.Is(err, ErrChecksum):
		return err
	case isClosed(err) && c.received.Load() == 0 && !c.finished && c.welcome == nil:
		return ErrRefused
	case !errors.Is(err, io.EOF):
		return fmt.Errorf("%w: %w", ErrHungUp, err)
	case !c.finished:
		return fmt.Errorf("%w: it closed the connection", ErrHungUp)
	case c.check != nil && !c.hold:
		if err := c.compared(noTxn); err != nil {
			return err
		}
	}
	switch {
	case c.hold:
		return c.check.unproven()
	case c.welcome != nil && !c.sureEnd:
		return fmt.Errorf("%w: it closed the connection", ErrHungUp)
	case c.welcome != nil:
		if err := c.usable(); err != nil { // with nothing to compare and nothing new, too
			return err
		}
		if c.goal.end {
			return errDone
		}
	case c.received.Load() == 0 && c.last != 0:
		return errSilent
	}
	return io.EOF
}

// compared ends the comparison: the source has nothing more up to our last
// transaction. See [history.end] about next.
func (c *session) compared(next fs.Status) error {
	if err := c.check.end(next); err != nil {
		return err
	}
	if c.check.proven() {
		return c.agreed()
	}
	c.hold = true
	if c.s.Writer == nil {
		return nil
	}
	return c.s.Writer.Hold(true)
}

// agreed notes that the histories fit.
func (c *session) agreed() error {
	h := c.check
	c.logger.Info("connected, histories agree", "tid", h.last, "transactions", h.matched, "packed", h.packed)
	c.s.compared(h)
	if err := h.placeBlobs(); err != nil {
		return err
	}
	h.close()
	if c.hold && c.s.Writer != nil {
		if err := c.s.Writer.Hold(false); err != nil {
			return err
		}
	}
	c.check, c.hold, c.unsure = nil, false, counts{}
	return c.usable()
}

// usable notes that the source has what we can use.
func (c *session) usable() error {
	if !c.good {
		if err := c.adopt(); err != nil {
			return err
		}
	}
	c.good = true
	c.s.good.Store(true)
	if c.goal.dry {
		return errDone
	}
	return nil
}

// event takes one step of the stream.
func (c *session) event(e *event) error {
	switch e.kind {
	case eventNote:
		return c.note(e.note)
	case eventBegin:
		c.inTxn = true
	case eventCommit:
		c.inTxn = false
	}
	if e.kind == eventBegin {
		if err := c.place(e.begin); err != nil {
			return err
		}
	}
	switch {
	case c.comparing && c.check == nil:
		return nil
	case c.comparing:
		return c.compare(e)
	}
	if c.hold && e.kind == eventRecord {
		c.check.superseded(e.record.OID)
	}
	if !c.goal.dry {
		if err := c.apply(e); err != nil {
			return err
		}
	}
	if c.hold && e.kind == eventCommit && c.check.proven() {
		return c.agreed()
	}
	return nil
}

// place decides what a transaction that begins is for.
func (c *session) place(b *wire.Begin) error {
	status := fs.Status(b.Status)
	switch {
	case b.TID <= c.tid:
		return fmt.Errorf("%w: transaction %s comes after %s", ErrProtocol, b.TID, c.tid)
	case status != fs.StatusComplete && status != fs.StatusPacked:
		return fmt.Errorf("%w: transaction %s has status %q", ErrProtocol, b.TID, b.Status)
	}
	c.tid = b.TID
	if c.comparing = b.TID <= c.last; c.comparing {
		return nil
	}
	return c.fresh(b.TID, status)
}

// fresh takes a transaction that is not here yet.
func (c *session) fresh(tid fs.TID, status fs.Status) error {
	if c.check != nil && !c.hold {
		if err := c.compared(status); err != nil {
			return err
		}
	}
	beyond := c.goal.until != 0 && tid > c.goal.until
	switch {
	case c.hold && (beyond || status != fs.StatusPacked):
		// From here on nothing was packed away: what is not explained by now
		// will not be.
		return c.check.unproven()
	case beyond:
		return errDone
	case c.hold || c.good:
		return nil
	}
	c.logger.Info("connected", "start", c.from.tid)
	return c.usable()
}

func (c *session) compare(e *event) error {
	h := c.check
	switch e.kind {
	case eventBegin:
		return h.begin(e.begin)
	case eventRecord:
		return h.record(e)
	case eventBlock:
		return h.block(e)
	}
	done, err := h.commit()
	if err != nil || !done {
		return err
	}
	return c.compared(fs.StatusComplete)
}
