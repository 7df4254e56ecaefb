package repl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"zrs/internal/epoch"
	"zrs/internal/fs"
)

// ErrUnreachable is returned when no connection to a source can be made.
var ErrUnreachable = errors.New("can't connect")

// CheckHistory says how much of a source's history is compared with ours before
// anything is appended.
type CheckHistory int

// The ways to compare histories.
const (
	// CheckTail compares the last transactions, and goes further back as long
	// as none of them is in both.
	CheckTail CheckHistory = iota
	// CheckFull compares everything that the source still has.
	CheckFull
	// CheckNone believes the source, as zc.zrs does.
	CheckNone
)

// A Source is where transactions come from.
type Source struct {
	Name string // for messages
	Dial func(context.Context) (net.Conn, error)

	Protocol Protocol // that it is spoken to in

	failure func() error // why it hung up or is out of reach, where that can be known; may be nil
}

// TCPSource returns a source at an address of package net. A host that does not
// answer the system's probes for deadAfter is given up.
func TCPSource(network, address string, deadAfter time.Duration) Source {
	const probes = 3
	d := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{
		Enable:   true,
		Idle:     max(deadAfter/(probes+1), time.Second),
		Interval: max(deadAfter/(probes+1), time.Second),
		Count:    probes,
	}}
	return Source{Name: address, Dial: func(ctx context.Context) (net.Conn, error) {
		return d.DialContext(ctx, network, address)
	}}
}

// Times that a [Secondary] uses where it is told no others.
const (
	DefaultTimeout        = 30 * time.Second
	DefaultReconnectDelay = 200 * time.Millisecond
	DefaultReconnectMax   = 30 * time.Second
)

// A Secondary brings a data file up to what a source has, and keeps it there.
// Before it appends anything to what the file had when a connection began, the
// source has to show that it has the same history; how, and why that is enough,
// is in docs/protocol.md.
type Secondary struct {
	Sources []Source // in order of preference; Catchup uses the first

	Writer *fs.Writer // nil to compare only; see Use
	Log    *fs.Log
	Index  *fs.Index
	Blobs  *fs.BlobDir // nil without blobs

	// Identity has the lineage of the file, and takes on that of a source that
	// proved to have the same history.
	Identity *epoch.Keeper // nil: unknown, and stays so

	CheckHistory CheckHistory
	KeepAlive    time.Duration // between keep-alives, 0: none
	LimitRate    int64         // bytes a second, 0: no limit
	Timeout      time.Duration // for connecting, and for an answer where one is due

	ReconnectDelay time.Duration // before the first new attempt
	ReconnectMax   time.Duration // between attempts, at most

	Logger *slog.Logger // never nil
	Stats  Stats

	good     atomic.Bool // the connection had what we could use
	counted  bool        // a comparison is in Stats
	dialects map[string]*dialect
	link     link
	steer    steer
}

// Use makes s write with w.
func (s *Secondary) Use(w *fs.Writer) {
	s.Writer, s.Log, s.Index, s.Blobs = w, w.Log(), w.Index(), w.Blobs()
}

func (s *Secondary) setDefaults() {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	set(&s.Timeout, DefaultTimeout)
	set(&s.ReconnectDelay, DefaultReconnectDelay)
	set(&s.ReconnectMax, DefaultReconnectMax)
}

// compared counts what was found equal, once: later comparisons are about what
// we have from there.
func (s *Secondary) compared(h *history) {
	if !s.counted {
		s.counted = true
		s.Stats.Compared.Store(int64(h.matched))
		s.Stats.BlobsMissing.Add(int64(h.blobsMissing))
	}
}

// Run replicates until ctx is done, or it is drained, and returns nil then. It
// returns before that only when a person has to act: when no source is left that
// fits, with [ErrDiverged], [ErrPackedPast] or whatever else misfits, for the one
// that is liked best, or for trouble with the local files, after which the writer
// can't go on.
func (s *Secondary) Run(ctx context.Context) error {
	s.setDefaults()
	s.steer.init()
	defer s.steer.reset()
	s.recall()
	delay := s.ReconnectDelay
	unfit := make([]error, len(s.Sources)) // why a source is not tried again
	for {
		s.pause(ctx)
		good, left, err := s.round(ctx, unfit)
		switch {
		case ctx.Err() != nil:
			return s.interrupted(ctx, err)
		case err != nil:
			return err
		case s.steer.drained():
			return nil
		case good:
			delay = s.ReconnectDelay
		case left == 0:
			return unfit[0]
		}
		select {
		case <-time.After(delay/2 + rand.N(delay/2+1)):
		case <-s.steer.retry:
			clear(unfit)
			delay = s.ReconnectDelay
		case <-s.steer.draining:
			return nil
		case <-ctx.Done():
			return nil
		}
		delay = min(2*delay, s.ReconnectMax)
	}
}

// round tries all sources that are not known to be unfit, until one had what we
// could use. It tells how many are left that may fit. An error is one that will
// not go away.
func (s *Secondary) round(ctx context.Context, unfit []error) (good bool, left int, err error) {
	for i, src := range s.Sources {
		if unfit[i] != nil {
			continue
		}
		s.link.update(func(l *Link) {
			if l.Source = src.Name; l.State == "" {
				l.State = LinkConnecting
			}
		})
		s.good.Store(false)
		current, done := s.steer.begin(ctx, i > 0)
		err := s.session(current, src, goal{check: s.CheckHistory})
		interrupted := current.Err() != nil && !fatal(err)
		done()
		switch {
		case ctx.Err() != nil, s.steer.drained() && !fatal(err):
			return false, left, s.interrupted(ctx, err)
		case interrupted:
			s.link.update(func(l *Link) { l.State, l.Err = LinkPaused, nil })
			return true, left + 1, nil
		case misfit(err):
			unfit[i] = err
		case fatal(err):
			return false, left, err
		default:
			left++
		}
		s.link.lost(err)
		s.explain(src, err)
		if s.good.Load() && !errors.Is(err, errStalled) {
			return true, left, nil // start again with the one that we like best
		}
	}
	return false, left, nil
}

// misfit reports whether err says that a source is none for our file.
func misfit(err error) bool {
	for _, why := range []error{ErrDiverged, ErrPackedPast, ErrBlobDirNeeded, epoch.ErrOtherDatabase, epoch.ErrDiverged, epoch.ErrSuperseded} {
		if errors.Is(err, why) {
			return true
		}
	}
	return false
}

// interrupted returns what is left of an error once we were told to stop.
func (s *Secondary) interrupted(ctx context.Context, err error) error {
	if err == nil || errors.Is(err, context.Cause(ctx)) || !fatal(err) {
		return nil
	}
	return err
}

// fatal reports whether err will not go away by connecting again.
func fatal(err error) bool {
	switch {
	case misfit(err):
		return true
	case errors.Is(err, io.EOF), errors.Is(err, errDone):
		return false
	}
	for _, passing := range []error{ErrUnreachable, ErrRefused, ErrRejected, ErrHungUp, ErrProtocol, ErrChecksum, ErrAhead, ErrOwnEpoch, errInterrupted, context.Canceled} {
		if errors.Is(err, passing) {
			return false
		}
	}
	return true // of our own files
}

// explain logs why a session ended, in words.
func (s *Secondary) explain(src Source, err error) {
	log := s.Logger.With("source", src.Name)
	switch {
	case errors.Is(err, ErrSpokeZRS1):
		log.Warn("the source refuses us", "err", err, "advice", "does it allow our address? If zc.zrs serves there now, it has to be spoken to as such")
	case errors.Is(err, ErrRefused):
		log.Warn("the source refuses us", "err", err, "advice", refusedAdvice(s.Blobs != nil))
	case misfit(err):
		log.Error("the source does not fit and is not tried again", "err", err)
	case errors.Is(err, ErrOwnEpoch):
		log.Error("the source is not followed", "err", err, "advice", "serve this file with zrs serve-primary, or promote the source if that is to be the primary")
	case errors.Is(err, ErrAhead):
		log.Error("the source lacks transactions that are here", "err", err)
	case errors.Is(err, ErrProtocol), errors.Is(err, ErrChecksum):
		log.Error("the source sent what can't be used", "err", err)
	default:
		log.Warn("disconnected", "err", err)
	}
}

func refusedAdvice(blobs bool) string {
	if blobs {
		return "is it a primary of this database? Does it allow our address?"
	}
	return "if its database has blobs, give a blob directory; is it a primary of this database, and does it allow our address?"
}

// Catchup brings the file up to the end that the source has at some moment
// after the call, or to the last transaction that is not later than until if
// that is not 0. With dry it only connects and compares.
func (s *Secondary) Catchup(ctx context.Context, until fs.TID, dry bool) error {
	s.setDefaults()
	dry = dry || until != 0 && s.Log.Tip().TID >= until // then only the histories are compared
	// A source that dies just between two transactions looks as one that has
	// come to its end. So it has to come to its end again, with nothing new.
	check := s.CheckHistory
	for range maxRounds {
		before := s.Stats.Transactions.Load()
		s.link.update(func(l *Link) { l.Source = s.Sources[0].Name })
		err := s.session(ctx, s.Sources[0], goal{check: check, end: true, until: until, dry: dry})
		s.counted = true // what comes now we have from there
		if check == CheckFull {
			check = CheckTail // all was compared, and what came since is the source's own
		}
		switch {
		case errors.Is(err, errDone):
			return nil
		case !errors.Is(err, io.EOF):
			return err
		case s.Stats.Transactions.Load() == before:
			return nil
		}
	}
	return nil
}

// maxRounds is how often Catchup asks for the end of a source to which
// transactions are being committed all the time.
const maxRounds = 4

// session connects to a source and replicates from it. That histories do not
// fit is believed when it is found twice: a pack in the middle of a comparison
// can look like that, and so can bytes that were altered on the way.
//
// Where a pack has taken the proof from the last transactions, all of what the
// source has may still hold it: garbage is what it has no record of.
func (s *Secondary) session(ctx context.Context, src Source, goal goal) error {
	err := s.settle(ctx, src, goal)
	switch {
	case errors.Is(err, ErrPackedPast) && goal.check == CheckTail:
		s.Logger.Warn("the source was packed past our end, comparing all that it has", "source", src.Name, "err", err)
		goal.check = CheckFull
	case errors.Is(err, ErrDiverged), errors.Is(err, ErrPackedPast):
		s.Logger.Warn("histories do not fit, comparing them again to be sure", "source", src.Name, "err", err)
	default:
		return err
	}
	return s.settle(ctx, src, goal)
}

const (
	// tailTxns and tailBytes are how much history is compared at first.
	tailTxns  = 16
	tailBytes = 1 << 20

	// widenBy is by how much more each time none of it is in both.
	widenBy = 16

	// refusedTxns is how far back a source is asked that refuses without a word.
	// Then it is asked for all: most of them would refuse that too, and to look
	// further back in a large file, at each attempt, would take as long as to
	// read it.
	refusedTxns = tailTxns * widenBy * widenBy
)

// settle connects to a source as often as it takes to compare the histories: if
// the part that is compared has no transaction in common with the source's, once
// more with more of it.
func (s *Secondary) settle(ctx context.Context, src Source, goal goal) error {
	check := goal.check
	for n, limit := tailTxns, int64(tailBytes); ; n, limit = n*widenBy, limit*widenBy {
		from, err := s.start(check, n, limit)
		if err != nil {
			return err
		}
		err = s.attempt(ctx, src, start{tid: from}, goal)
		if errors.Is(err, errSilent) {
			// Our last transaction will show that it has begun.
			if from, err = s.Log.Back(1, limit); err != nil {
				return err
			}
			err = s.attempt(ctx, src, start{tid: from}, goal)
		}
		for left, ok := errors.AsType[*leftError](err); ok; left, ok = errors.AsType[*leftError](err) {
			err = s.attempt(ctx, src, left.at, goal)
		}
		if src.failure != nil && (errors.Is(err, ErrHungUp) || errors.Is(err, ErrRefused) || errors.Is(err, ErrUnreachable)) {
			if why := src.failure(); why != nil {
				return why
			}
		}
		refused := errors.Is(err, ErrRefused) || errors.Is(err, errStart)
		widen := errors.Is(err, errWiden) || refused && goal.check == CheckTail
		if from == 0 || !widen {
			return err
		}
		if errors.Is(err, ErrRefused) && n >= refusedTxns {
			check = CheckFull
		}
	}
}

// start returns the TID after which a source is asked for transactions, to get
// n of ours again, or fewer if they take more than limit bytes.
func (s *Secondary) start(check CheckHistory, n int, limit int64) (fs.TID, error) {
	switch check {
	case CheckFull:
		return 0, nil
	case CheckNone:
		return s.Log.Tip().TID, nil
	}
	from, err := s.Log.Back(n, limit)
	if err == nil && n == tailTxns && s.Blobs != nil {
		return s.lighter(from)
	}
	return from, err
}

// lighter returns the TID of a transaction not before from, behind which there
// are not more bytes of blobs than are worth comparing, or as few as possible.
func (s *Secondary) lighter(from fs.TID) (fs.TID, error) {
	c, err := s.Log.After(from)
	if err != nil && !errors.Is(err, fs.ErrTIDUnknown) {
		return 0, err
	}
	defer c.Close()
	tids, sizes := []fs.TID{from}, []int64{0}
	for {
		txn, err := c.Next()
		if isEnd(err) {
			break
		}
		if err != nil {
			return 0, err
		}
		tids = append(tids, txn.TID)
		size, err := s.blobBytes(c)
		if err != nil {
			return 0, err
		}
		sizes = append(sizes, size)
	}
	i, sum := len(tids)-1, int64(0)
	for ; i > 0; i-- {
		if sum += sizes[i]; sum > blobBudget {
			break
		}
	}
	return tids[max(0, min(i, len(tids)-2))], nil
}

// blobBytes returns how large the blobs of the transaction are that c stands on.
func (s *Secondary) blobBytes(c *fs.Cursor) (sum int64, err error) {
	for {
		rec, err := c.NextRecord()
		if isEnd(err) {
			return sum, nil
		}
		if err != nil {
			return 0, err
		}
		found, err := c.Resolve()
		if err != nil {
			return 0, err
		}
		start, err := recordStart(c, found)
		if err != nil {
			return 0, err
		}
		if !mayBeBlob(start) {
			continue
		}
		if fi, err := os.Stat(s.Blobs.Path(rec.OID, rec.TID)); err == nil {
			sum += fi.Size()
		}
	}
}

// limited returns conn, slowed down if it has to be, and counted in received.
func (s *Secondary) limited(ctx context.Context, conn net.Conn, received *atomic.Int64) io.Reader {
	r := &meteredReader{ctx: ctx, r: conn, most: batchSize, counters: [2]*atomic.Int64{&s.Stats.Received, received}}
	if s.LimitRate > 0 {
		// A few reads a second at least, so that they tell that the source is
		// alive.
		r.most = int(max(1, min(s.LimitRate/4, batchSize)))
		r.limit = rate.NewLimiter(rate.Limit(s.LimitRate), r.most)
	}
	return r
}

// A meteredReader counts what is read, and reads no faster than it may.
type meteredReader struct {
	ctx      context.Context //nolint:containedctx // of the connection whose reader this is
	r        io.Reader
	most     int // bytes in one read
	counters [2]*atomic.Int64
	limit    *rate.Limiter // nil: none
}

func (m *meteredReader) Read(b []byte) (int, error) {
	n, err := m.r.Read(b[:min(len(b), m.most)])
	for _, c := range m.counters {
		c.Add(int64(n))
	}
	if m.limit != nil && n > 0 {
		if err := m.limit.WaitN(m.ctx, n); err != nil {
			return n, fmt.Errorf("waiting for the rate limit: %w", err)
		}
	}
	return n, err
}

// isClosed reports whether err says that the other end closed the connection.
func isClosed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, os.ErrDeadlineExceeded) || isReset(err)
}
