package repl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sync/semaphore"

	"zrs/internal/fs"
	"zrs/internal/wire"
)

// What a primary sends is received in three steps, each with a goroutine of its
// own: reading and cutting into events, checking the running checksum, and
// applying. They hand on batches, of which a few are under way at a time. A
// little that comes alone is checked where it was read: handing it over would
// take longer.

// An eventKind says what an event is.
type eventKind uint8

const (
	eventBegin eventKind = iota
	eventRecord
	eventBlock
	eventCommit
	eventNote // between two transactions, by a source of ours
)

// An event is one step of a stream: a transaction begins, a record, a block of
// its blob, the transaction ends. The bytes are part of the batch.
type event struct {
	kind   eventKind
	begin  *wire.Begin // eventBegin
	note   *wire.Note  // eventNote
	record wire.Store  // eventRecord
	blob   bool        // eventRecord: blocks follow, at least one, unless last
	last   bool        // eventBlock: the last of the blob; eventRecord: a blob without blocks
	data   []byte      // eventRecord, eventBlock

	frames [2][]byte // what the checksum covers: payloads, the digest's own in frames[1]
	digest [16]byte  // eventCommit
}

// A batch is a run of events and the bytes they came in.
type batch struct {
	buf    []byte
	parsed int // bytes of it that were cut into frames
	held   int // bytes that belong to events
	need   int // bytes that it takes to complete the next frame, if it does not fit
	events []event
	weight int64 // what it counts for in what is under way
	err    error // how the stream ended, after the events
}

const (
	// batchSize is how many bytes are read at a time.
	batchSize = 256 << 10

	// batchesAhead is how many batches may wait between two steps.
	batchesAhead = 16

	// maxAhead is how many bytes may be under way between reading and applying,
	// events included. A batch that is larger travels alone.
	maxAhead = 8 << 20
)

// ErrProtocol is returned when what a peer sends is not the replication
// protocol.
var ErrProtocol = errors.New("the peer does not speak the replication protocol")

// ErrChecksum is returned when the running checksum of a connection is wrong:
// something was altered or lost on the way.
var ErrChecksum = errors.New("wrong checksum, data was altered on the way")

// A splitter cuts the bytes of a stream into events.
type splitter struct {
	decoder wire.Decoder
	notes   bool // there may be some
	inTxn   bool
	awaited awaited
	pending event // the S or B message whose data is awaited
	blocks  int64 // that are still to come
}

// awaited is what the next frame is.
type awaited uint8

const (
	awaitMessage awaited = iota
	awaitData
	awaitBlock
)

// limit is how long the next frame may be.
func (s *splitter) limit() int {
	switch s.awaited {
	case awaitData:
		return wire.MaxData
	case awaitBlock:
		return wire.MaxBlock
	}
	return wire.MaxMessage
}

// frame returns the event that a frame completes, if it completes one.
func (s *splitter) frame(payload []byte) (e event, ok bool, err error) {
	switch s.awaited {
	case awaitData:
		e = s.pending
		e.frames[1], e.data = payload, payload
		s.awaited = awaitMessage
		if s.blocks > 0 {
			s.awaited = awaitBlock
		}
		return e, true, nil
	case awaitBlock:
		s.blocks--
		if s.blocks == 0 {
			s.awaited = awaitMessage
		}
		return event{kind: eventBlock, data: payload, last: s.blocks == 0, frames: [2][]byte{payload}}, true, nil
	}
	return s.message(payload)
}

func (s *splitter) message(payload []byte) (e event, ok bool, err error) {
	if s.notes && !s.inTxn && wire.IsNote(payload) {
		e.kind = eventNote
		if e.note, err = wire.DecodeNote(payload); err != nil {
			err = fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		return e, err == nil, err
	}
	msg, err := s.decoder.Decode(payload)
	if err != nil {
		return e, false, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	e.frames[0] = payload
	switch msg := msg.(type) {
	case *wire.Begin:
		if s.inTxn {
			return e, false, fmt.Errorf("%w: a transaction begins inside another", ErrProtocol)
		}
		s.inTxn = true
		e.kind, e.begin = eventBegin, clone(msg)
		return e, true, nil
	case *wire.Store:
		e.kind, e.record = eventRecord, *msg
	case *wire.Blob:
		e.kind, e.record, e.blob, e.last = eventRecord, msg.Store, true, msg.Blocks == 0
		s.blocks = msg.Blocks
	case *wire.Commit:
		e.kind, e.digest = eventCommit, msg.Digest
	}
	if !s.inTxn {
		return e, false, fmt.Errorf("%w: a message outside of a transaction", ErrProtocol)
	}
	if e.kind == eventCommit {
		s.inTxn = false
		return e, true, nil
	}
	s.pending, s.awaited = e, awaitData
	return e, false, nil
}

// clone copies what belongs to the decoder.
func clone(b *wire.Begin) *wire.Begin {
	c := *b
	c.User, c.Description, c.Extension = bytes.Clone(b.User), bytes.Clone(b.Description), bytes.Clone(b.Extension)
	return &c
}

// A receiver reads a stream.
type receiver struct {
	r     io.Reader
	split splitter
	free  chan []byte // buffers to use again
	ahead *semaphore.Weighted

	unverified chan *batch
	verified   chan *batch  // the last one has the end of the stream in err
	verifying  atomic.Int32 // batches that are not in verified yet
	digest     *wire.Digest
}

// newReceiver returns a receiver of what a source sends after start in a protocol.
func newReceiver(r io.Reader, protocol string, start fs.TID) *receiver {
	return &receiver{
		r:          r,
		free:       make(chan []byte, 2*batchesAhead),
		ahead:      semaphore.NewWeighted(maxAhead),
		unverified: make(chan *batch, batchesAhead),
		verified:   make(chan *batch, batchesAhead),
		digest:     wire.NewDigest(protocol, start),
	}
}

// run sends batches to r.verified until the stream ends, something in it is
// wrong, or ctx is done. The last batch has the reason in err: io.EOF if the
// stream ended between two transactions.
func (r *receiver) run(ctx context.Context) {
	var verifying sync.WaitGroup
	verifying.Go(func() { r.verify(ctx) })
	r.read(ctx)
	close(r.unverified)
	verifying.Wait()
}

func (r *receiver) read(ctx context.Context) {
	b := &batch{buf: r.buffer()}
	for ctx.Err() == nil {
		n, err := r.r.Read(b.buf[len(b.buf):cap(b.buf)])
		b.buf = b.buf[:len(b.buf)+n]
		if parseErr := r.parse(b); parseErr != nil {
			err = parseErr
		}
		switch {
		case err != nil:
			b.err = r.endOf(err, len(b.buf) > b.parsed)
			r.handOn(ctx, b)
			return
		case len(b.events) > 0:
			b.weight = min(int64(cap(b.buf))+int64(cap(b.events))*int64(unsafe.Sizeof(event{})), maxAhead)
			if r.ahead.Acquire(ctx, b.weight) != nil || !r.handOn(ctx, b) {
				return
			}
			b = r.moved(b, batchSize)
		case len(b.buf) == cap(b.buf):
			b = r.larger(b)
		}
	}
}

// handOn verifies b, or has it verified, and reports whether to go on.
func (r *receiver) handOn(ctx context.Context, b *batch) bool {
	if b.held >= directSize || r.verifying.Load() > 0 {
		r.verifying.Add(1)
		return pass(ctx, r.unverified, b)
	}
	b.verify(r.digest)
	return pass(ctx, r.verified, b)
}

// pass sends b, and reports whether it did and another may follow.
func pass(ctx context.Context, to chan<- *batch, b *batch) bool {
	last := b.err != nil // it will not be ours any more
	select {
	case to <- b:
		return !last
	case <-ctx.Done():
		return false
	}
}

// parse cuts what was read into events.
func (r *receiver) parse(b *batch) error {
	b.need = 0
	for len(b.buf)-b.parsed >= wire.FrameHeaderSize {
		n, err := wire.FrameSize(b.buf[b.parsed:], r.split.limit())
		if err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
		end := b.parsed + wire.FrameHeaderSize + n
		if end > len(b.buf) {
			b.need = end - b.held
			return nil
		}
		e, ok, err := r.split.frame(b.buf[b.parsed+wire.FrameHeaderSize : end : end])
		if err != nil {
			return err
		}
		b.parsed = end
		if ok {
			b.events = append(b.events, e)
			b.held = end
		}
	}
	return nil
}

// larger returns a batch with more room, for a frame that does not fit. It grows
// as bytes arrive, whatever length a frame announces.
func (r *receiver) larger(b *batch) *batch {
	next := r.moved(b, min(2*cap(b.buf), max(b.need, batchSize)))
	r.reuse(b.buf)
	return next
}

// moved returns the batch after b, with the bytes of b that no event has. A
// message whose data is awaited moves with them.
func (r *receiver) moved(b *batch, size int) *batch {
	rest := b.buf[b.held:]
	next := &batch{parsed: b.parsed - b.held}
	if size <= batchSize && len(rest) <= batchSize/2 {
		next.buf = r.buffer()
	} else {
		next.buf = make([]byte, 0, max(size, len(rest)+wire.FrameHeaderSize))
	}
	next.buf = append(next.buf, rest...)
	if r.split.awaited == awaitData {
		n := len(r.split.pending.frames[0])
		r.split.pending.frames[0] = next.buf[wire.FrameHeaderSize : wire.FrameHeaderSize+n : wire.FrameHeaderSize+n]
	}
	return next
}

func (r *receiver) buffer() []byte {
	select {
	case buf := <-r.free:
		return buf[:0]
	default:
		return make([]byte, 0, batchSize)
	}
}

// recycle takes back a batch whose events are done with.
func (r *receiver) recycle(b *batch) {
	r.ahead.Release(b.weight)
	r.reuse(b.buf)
}

func (r *receiver) reuse(buf []byte) {
	if cap(buf) != batchSize {
		return
	}
	select {
	case r.free <- buf:
	default:
	}
}

// endOf says what the end of the stream means.
func (r *receiver) endOf(err error, inFrame bool) error {
	if errors.Is(err, io.EOF) && (inFrame || r.split.inTxn) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// verify passes on batches whose checksums are right. It is the step that
// takes the most time.
func (r *receiver) verify(ctx context.Context) {
	for b := range r.unverified {
		b.verify(r.digest)
		if !pass(ctx, r.verified, b) {
			return
		}
		r.verifying.Add(-1)
	}
}

// verify adds the batch to a stream's digest. It cuts the batch short where a
// checksum is wrong, and notes that.
func (b *batch) verify(d *wire.Digest) {
	for i := range b.events {
		e := &b.events[i]
		if e.kind == eventCommit && d.Sum() != e.digest {
			b.events, b.err = b.events[:i], ErrChecksum
			return
		}
		d.Add(e.frames[0])
		if e.frames[1] != nil {
			d.Add(e.frames[1])
		}
	}
}
