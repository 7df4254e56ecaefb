package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// A Log is a data file with a published end. All that follows a database reads
// it through one: replication to secondaries, catch-up from a local file. The
// end moves because a [Writer] of this process appended, or because a [Tailer]
// saw that another process did; those who follow can't tell which, nor that a
// pack put another file in the place of the first. What is before the end is
// durable and final.
//
// All methods are safe for concurrent use.
type Log struct {
	path  string
	magic Magic // of a file that is only looked at

	mu      sync.Mutex
	gen     *generation
	ready   bool // the end that the file had when it was opened is published
	err     error
	changed chan struct{} // closed and replaced at every change of the above
}

// A Tip is the published end of a [Log].
type Tip struct {
	TID        TID   // of the last transaction, 0 if there is none
	Offset     int64 // just after it
	Generation int   // counts the files that had the name: a pack makes a new one
}

// A generation is one file that has or had the log's name. It stays open as
// long as a cursor reads it.
type generation struct {
	number int
	file   *os.File

	// Guarded by Log.mu.
	refs int // one of the log while it is the current one, one of each cursor
	end  int64
	tid  TID
	cps  checkpoints
	next *generation // what replaced it
}

func newLog(path string, file *os.File) *Log {
	return &Log{
		path:    path,
		gen:     &generation{file: file, refs: 1, end: FirstOffset},
		changed: make(chan struct{}),
	}
}

// Path returns the data file's name.
func (l *Log) Path() string { return l.path }

// Writable returns why nothing can be appended to the file whatever its
// condition, or nil: it was made by ZODB on Python 2.
func (l *Log) Writable() error {
	if l.magic == MagicPython2 {
		return errPython2(l.path)
	}
	return nil
}

// Tip returns the published end.
func (l *Log) Tip() Tip {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Tip{TID: l.gen.tid, Offset: l.gen.end, Generation: l.gen.number}
}

// Err returns why the log can't be followed any more, or nil.
func (l *Log) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Ready reports whether all that the file had when it was opened is published.
func (l *Log) Ready() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ready
}

// WaitReady waits until all that the file had when it was opened is published.
func (l *Log) WaitReady(ctx context.Context) error {
	return l.wait(ctx, func() bool { return l.ready })
}

// WaitFailed waits until the log can't be followed any more, and returns why.
// It returns nil when ctx is done.
func (l *Log) WaitFailed(ctx context.Context) error {
	if err := l.wait(ctx, func() bool { return false }); ctx.Err() == nil {
		return err
	}
	return nil
}

// wait waits until what, which is called with the lock held, is true, or the
// log has failed.
func (l *Log) wait(ctx context.Context, what func() bool) error {
	for {
		l.mu.Lock()
		done, err, changed := what(), l.err, l.changed
		l.mu.Unlock()
		switch {
		case done:
			return nil
		case err != nil:
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// update changes the log under its lock, and wakes all who wait.
func (l *Log) update(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	close(l.changed)
	l.changed = make(chan struct{})
}

// publish moves the end of the current file.
func (l *Log) publish(end int64, tid TID, passed []checkpoint) {
	l.update(func() {
		l.gen.end, l.gen.tid = end, tid
		for _, p := range passed {
			l.gen.cps.add(p.tid, p.offset)
		}
	})
}

// trust publishes what an index file told.
func (l *Log) trust(hint indexHint) {
	l.update(func() {
		l.gen.end, l.gen.tid = hint.end, hint.tid
		l.gen.cps.merge(hint.starts)
	})
}

func (l *Log) setReady() { l.update(func() { l.ready = true }) }

// replace makes file the current one. The end and the TID are those of the
// part of it that is known to be what the old file had.
func (l *Log) replace(file *os.File, end int64, tid TID) {
	l.update(func() {
		old := l.gen
		l.gen = &generation{number: old.number + 1, file: file, refs: 1, end: end, tid: tid}
		old.next = l.gen
		l.gen.refs++ // of old, for the cursors that still read it
		l.release(old)
	})
}

// hold returns the current generation and its end. It stays open until release is
// called.
func (l *Log) hold() (g *generation, end int64, release func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gen.refs++
	held := l.gen
	return held, held.end, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.release(held)
	}
}

// release drops a reference to g, with the lock held.
func (l *Log) release(g *generation) {
	for g != nil {
		g.refs--
		if g.refs > 0 {
			return
		}
		_ = g.file.Close() // was only read, or is closed by its writer
		g = g.next         // whose reference the closed one held
	}
}

// close gives up the log's own reference; cursors go on with what they have.
func (l *Log) close(err error) {
	l.update(func() {
		if l.err == nil {
			l.err = err
		}
		l.release(l.gen)
	})
}

// After returns a cursor at the first transaction later than tid; 0 is before
// the first one. It fails with [ErrTIDTooHigh] if tid is later than the last
// one. It returns [ErrTIDUnknown] together with a usable cursor if tid was never
// in this history: it falls between two transactions and no pack explains that.
// The log must be ready.
func (l *Log) After(tid TID) (*Cursor, error) {
	l.mu.Lock()
	g, last := l.gen, l.gen.tid
	if tid > last {
		l.mu.Unlock()
		return nil, fmt.Errorf("transaction %s: %w, %s", tid, ErrTIDTooHigh, last)
	}
	g.refs++
	l.mu.Unlock()

	c := &Cursor{log: l, gen: g, last: tid}
	offset, known, err := l.find(g, tid)
	if err != nil {
		c.Close()
		return nil, err
	}
	c.r = c.reader(offset)
	if !known {
		return c, fmt.Errorf("transaction %s: %w", tid, ErrTIDUnknown)
	}
	return c, nil
}

// Back returns the TID of the transaction that is n before the last one, or
// fewer if those after it would take more than limit bytes, but at least one; 0
// if that is before the first. After(Back(n, limit)) reads them again.
func (l *Log) Back(n int, limit int64) (TID, error) {
	g, end, release := l.hold()
	defer release()
	w := window{src: g.file, end: end}
	at := end
	for i := range n + 1 {
		start, h, err := txnBefore(&w, at)
		switch {
		case err != nil:
			return 0, err
		case h.tid == 0:
			return 0, nil // no transaction before this one
		case i == n, i > 0 && end-start > limit:
			return h.tid, nil
		}
		at = start
	}
	return 0, nil
}

// Ahead is what a log has after a transaction.
type Ahead struct {
	Transactions int64 // -1 if there are more than were counted
	Bytes        int64 // of the data file
	Oldest       TID   // the first of them, 0 if there is none
}

// Ahead returns what the log has after tid, which need not be one of its
// transactions. It counts up to most.
func (l *Log) Ahead(tid TID, most int) (Ahead, error) {
	g, end, release := l.hold()
	defer release()
	offset, _, err := l.find(g, tid)
	if err != nil || offset >= end {
		return Ahead{}, err
	}
	a := Ahead{Bytes: end - offset}
	r := NewReader(g.file, l.path, offset, end)
	for txn, err := range r.All() {
		if err != nil {
			return a, err
		}
		if a.Transactions == int64(most) {
			a.Transactions = -1
			break
		}
		if a.Oldest == 0 {
			a.Oldest = txn.TID
		}
		a.Transactions++
	}
	return a, nil
}

// find returns where the first transaction later than tid is in g, and whether
// tid is or may have been a transaction of g.
func (l *Log) find(g *generation, tid TID) (offset int64, known bool, err error) {
	l.mu.Lock()
	end, last := g.end, g.tid
	l.mu.Unlock()
	switch tid {
	case 0:
		return FirstOffset, true, nil
	case last:
		return end, true, nil
	}
	offset = l.nearest(g, tid, end)
	packed := true // the transaction before, or that there is none, lets a pack explain a gap
	r := NewReader(g.file, l.path, offset, end)
	for txn, err := range r.All() {
		if err != nil {
			return 0, false, err
		}
		if txn.TID == tid {
			return txn.End(), true, nil
		}
		if txn.TID > tid {
			return txn.Offset, txn.Status == StatusPacked || packed && txn.Offset != FirstOffset, nil
		}
		packed = txn.Status == StatusPacked
	}
	return end, packed, nil
}

// nearest returns a known start of a transaction not later than tid, near it.
func (l *Log) nearest(g *generation, tid TID, end int64) int64 {
	l.mu.Lock()
	offset := g.cps.before(tid)
	next := g.cps.after(tid, end)
	l.mu.Unlock()
	if next-offset <= maxWalk {
		return offset
	}
	hint, _ := trustIndex(l.path, g.file, end)
	l.mu.Lock()
	defer l.mu.Unlock()
	g.cps.merge(hint.starts)
	return g.cps.before(tid)
}

// A Cursor reads a [Log] transaction by transaction, over packs. It is a
// [Reader] that knows the way: a transaction's records are read through the
// embedded methods. It is not safe for concurrent use.
type Cursor struct {
	log  *Log
	gen  *generation
	r    *Reader
	last TID // of the last transaction passed
}

// Next moves to the next transaction of the log, leaving out those of status
// 'u'. It returns io.EOF at the published end; more may come later. Any other
// error stays.
func (c *Cursor) Next() (*Txn, error) {
	for {
		txn, err := c.r.Next()
		switch {
		case errors.Is(err, io.EOF):
			if err := c.move(); err != nil {
				return nil, err
			}
		case err != nil:
			return nil, err
		default:
			c.last = txn.TID
			if txn.Status != StatusUndone {
				return txn, nil
			}
		}
	}
}

// move makes more of the log readable for c, whose reader has come to its end.
func (c *Cursor) move() error {
	c.log.mu.Lock()
	end, next, err := c.gen.end, c.gen.next, c.log.err
	c.log.mu.Unlock()
	switch {
	case end > c.r.Offset():
		c.r.extend(end)
		return nil
	case next != nil:
		return c.follow(next)
	case err != nil && !errors.Is(err, os.ErrClosed):
		return err
	}
	return io.EOF
}

// follow goes on in the file that replaced the one read to its end.
func (c *Cursor) follow(next *generation) error {
	offset, _, err := c.log.find(next, c.last)
	if err != nil {
		return err
	}
	c.log.mu.Lock()
	next.refs++
	c.log.release(c.gen)
	c.gen = next
	c.log.mu.Unlock()
	c.r = c.reader(offset)
	return nil
}

func (c *Cursor) reader(offset int64) *Reader {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	return NewReader(c.gen.file, c.log.path, offset, c.gen.end)
}

// Wait waits until there is more to read than c has read, or the log has
// failed, or ctx is done.
func (c *Cursor) Wait(ctx context.Context) error {
	return c.log.wait(ctx, c.more)
}

// More reports whether there is more to read now.
func (c *Cursor) More() bool {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	return c.more()
}

func (c *Cursor) more() bool { return c.gen.end > c.r.Offset() || c.gen.next != nil }

// NextRecord is [Reader.NextRecord].
func (c *Cursor) NextRecord() (*Record, error) { return c.r.NextRecord() }

// Data is [Reader.Data].
func (c *Cursor) Data() ([]byte, error) { return c.r.Data() }

// Resolve is [Reader.Resolve].
func (c *Cursor) Resolve() (Resolved, error) { return c.r.Resolve() }

// ReadData is [Reader.ReadData].
func (c *Cursor) ReadData(b []byte, off int64) error { return c.r.ReadData(b, off) }

// Position identifies where a cursor stands between transactions. Two cursors
// of a log at equal positions will read the same.
type Position struct {
	Generation int
	Offset     int64
}

// Position returns the place of the next transaction.
func (c *Cursor) Position() Position { return Position{c.gen.number, c.r.Offset()} }

// LastTID returns the TID of the last transaction that was passed, or what the
// cursor was made with.
func (c *Cursor) LastTID() TID { return c.last }

// Skip moves to a place that another cursor of the same log has reached by
// reading on from c's position. The TID is that of the transaction before it.
func (c *Cursor) Skip(to Position, last TID) {
	if to.Generation != c.gen.number {
		panic("fs: Skip over a pack")
	}
	c.r = c.reader(to.Offset)
	c.last = last
}

// File gives access to the bytes of the file that the cursor reads, until it
// moves on: large data is read from here in pieces.
func (c *Cursor) File() io.ReaderAt { return c.gen.file }

// Close releases the file. The cursor must not be used afterwards.
func (c *Cursor) Close() {
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	c.log.release(c.gen)
}

// DataIs reports whether the data of a resolved record is want.
func (c *Cursor) DataIs(found Resolved, want []byte) (bool, error) {
	if found.Length != int64(len(want)) {
		return false, nil
	}
	return equalAt(c.gen.file, found.Offset, want)
}

// RecordAt reads the record at an offset that an index of the log's current
// file has.
func (l *Log) RecordAt(off int64) (Record, error) {
	g, _, release := l.hold()
	defer release()
	return ReadRecord(g.file, l.path, off)
}
