package fs

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"sync"
)

const (
	// scanChunk is how much of the file a pass reads at a time, once it is
	// under way.
	scanChunk = 512 << 10

	// firstChunk is how much it reads at first. Where damage makes a pass end
	// every few transactions, each of them should not cost the full size.
	firstChunk = 64 << 10
)

// A Span is a run of whole transactions of a data file, as a [Pass] cuts it. It
// is valid until the function that was given it returns.
type Span struct {
	Offset, End int64
	Before      TID  // of the transaction before it
	Large       bool // it is one transaction that is too large to be held in memory

	src  io.ReaderAt
	path string
	data []byte
	buf  []byte // to be used again
}

// Reader returns a reader of the transactions of the span from the offset pos
// on, where one of them starts. It is valid until the following call.
func (s *Span) Reader(pos int64) *Reader {
	r := NewReader(s.src, s.path, pos, s.End)
	if s.Large {
		r.w.buf = s.buf[:0]
	} else {
		r.w.buf, r.w.base = s.data, s.Offset
	}
	return r
}

// Pass reads the transactions of f from the place at on, once, with all
// processors. It cuts them into spans by their headers and trailers. Work is
// called for each span, by several goroutines at a time, and must see to the
// records; then is called with what it returned, for one span after the other in
// the order of the file, and may end the pass with an error. A span that is Large
// should be left to then, so that there is but one of them at a time.
//
// Pass returns the place after the last whole transaction. What is wrong behind
// it is told in flaw, as by [Reader.Next]: nil at the end of the file, else a
// [RecordError] that matches [ErrTornTail] or [ErrDamaged].
func Pass[T any](ctx context.Context, f *File, at Place, work func(*Span) T, then func(*Span, T) error) (end Place, flaw, err error) {
	p := &pass{src: f, path: f.path, end: f.Size(), at: at}
	err = runPass(ctx, p, work, then)
	if err == nil && isIO(p.flaw) {
		return p.at, nil, p.flaw
	}
	if err == nil {
		err = f.stillHas(p.at.Offset)
	}
	return p.at, p.flaw, err
}

func isIO(err error) bool {
	e, ok := errors.AsType[*RecordError](err)
	return ok && e.Kind == KindIO
}

// A pass is the walk over a file's headers.
type pass struct {
	src    io.ReaderAt
	path   string
	end    int64
	passed func(tid TID, pos int64) // called for each transaction, unless it is nil

	at   Place // after what was passed
	flaw error // why the walk ended there
	free chan []byte

	reader *Reader // of what is large, nil before the first of it
	next   *ahead
}

// A spanJob is a span on its way: its result comes when a worker is done with it.
type spanJob[T any] struct {
	span   *Span
	result chan T
}

// runPass walks over the file, with workers beside it, and hands on what they
// find out in the order of the file.
func runPass[T any](ctx context.Context, p *pass, work func(*Span) T, then func(*Span, T) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	workers := runtime.GOMAXPROCS(0)
	jobs := make(chan spanJob[T], workers)
	order := make(chan spanJob[T], workers)
	p.free = make(chan []byte, 2*workers+3)
	var wg sync.WaitGroup
	defer wg.Wait()
	for range workers {
		wg.Go(func() {
			for job := range jobs {
				job.result <- work(job.span)
			}
		})
	}
	wg.Go(func() {
		defer close(jobs)
		defer close(order)
		p.walk(ctx, func(s *Span) {
			job := spanJob[T]{s, make(chan T, 1)}
			jobs <- job
			order <- job
		})
	})
	var failed error
	for job := range order {
		result := <-job.result
		if failed == nil && ctx.Err() == nil {
			if failed = then(job.span, result); failed != nil {
				stop()
			}
		}
		p.release(job.span.buf)
	}
	if failed != nil {
		return failed
	}
	return context.Cause(ctx)
}

// walk cuts the file into spans.
func (p *pass) walk(ctx context.Context, found func(*Span)) {
	chunk, large := int64(firstChunk), false
	defer func() { p.next.wait() }()
	for p.at.Offset < p.end && ctx.Err() == nil {
		s := &Span{Offset: p.at.Offset, Before: p.at.TID, src: p.src, path: p.path}
		size, used, more := min(chunk, p.end-p.at.Offset), 0, true
		if large = large && p.largeNext(); !large {
			buf, b, err := p.read(size)
			if err != nil {
				p.flaw = &RecordError{Path: p.path, Offset: p.at.Offset, Kind: KindIO, Err: err}
				return
			}
			used, more = p.split(b)
			s.buf, s.data = buf, b[:used]
			if used > 0 && more && chunk == scanChunk {
				p.readAhead(b[used:])
			}
		}
		if used == 0 && more {
			p.release(s.buf)
			if chunk < scanChunk {
				chunk *= 2
				continue // perhaps it fits in a larger one
			}
			s.data, s.Large, large = nil, true, true
			if !p.large() {
				return
			}
			s.buf = p.buffer(firstChunk)
		}
		if s.End = p.at.Offset; s.End > s.Offset {
			found(s)
		} else {
			p.release(s.buf)
		}
		if !more {
			return
		}
		chunk = min(2*chunk, scanChunk)
	}
}

// largeNext reports whether the next transaction, too, is one that does not fit in
// a chunk, as far as its header tells: then no chunk need be read to find out.
func (p *pass) largeNext() bool {
	var b [txnHeaderSize]byte
	if n, _ := p.src.ReadAt(b[:], p.at.Offset); n < len(b) {
		return false
	}
	h := decodeFixedHeader(b[:])
	kind, _ := h.check(p.at.Offset, p.end)
	return kind == "" && h.length+trailerSize > scanChunk
}

// An ahead is a chunk that is read while the one before it is walked over.
type ahead struct {
	at   int64 // offset of b[0] in the file
	buf  []byte
	b    []byte
	err  error
	done chan struct{} // closed when b has been read
}

// spanRest is the most of a transaction that is copied from one chunk to the next
// one. Where more of it is left, the next one is not read ahead.
const spanRest = 128 << 10

// readAhead begins to read what follows rest, with which the chunk in hand ends and
// the next one begins. A header is not put together from two reads: where the file is
// being written, the transaction may be another one by the second.
func (p *pass) readAhead(rest []byte) {
	pos := p.at.Offset + int64(len(rest))
	size := min(scanChunk, p.end-pos)
	if size <= 0 || len(rest) > spanRest || len(rest) > 0 && len(rest) < txnHeaderSize {
		return
	}
	buf := p.buffer(spanRest + scanChunk)
	a := &ahead{at: p.at.Offset, buf: buf, b: buf[spanRest-len(rest) : spanRest+size], done: make(chan struct{})}
	copy(a.b, rest)
	p.next = a
	go func() {
		defer close(a.done)
		a.err = readFull(p.src, a.b[len(rest):], pos)
	}()
}

// wait waits until a chunk has been read, if there is one.
func (a *ahead) wait() {
	if a != nil {
		<-a.done
	}
}

// read returns what comes at the walk's position, at least size bytes, in a buffer
// to be released.
func (p *pass) read(size int64) (buf, b []byte, err error) {
	a := p.next
	p.next = nil
	if a.wait(); a != nil && a.at == p.at.Offset {
		return a.buf, a.b, a.err
	}
	if a != nil {
		p.release(a.buf)
	}
	buf = p.buffer(size)
	return buf, buf[:size], readFull(p.src, buf[:size], p.at.Offset)
}

// readFull reads all of b, or says why not.
func readFull(src io.ReaderAt, b []byte, pos int64) error {
	n, err := src.ReadAt(b, pos)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// buffer returns a buffer of at least size bytes.
func (p *pass) buffer(size int64) []byte {
	select {
	case b := <-p.free:
		if int64(len(b)) >= size {
			return b
		}
	default:
	}
	return make([]byte, size)
}

// release lets a buffer be used again. A pool of the runtime's would be emptied
// at each garbage collection, and those are frequent in a small heap.
func (p *pass) release(b []byte) {
	if b == nil {
		return
	}
	select {
	case p.free <- b:
	default:
	}
}

// split walks over the whole transactions in b, which holds the file from the
// walk's position on. It returns how many bytes they take, and whether the walk
// may go on.
func (p *pass) split(b []byte) (used int, more bool) {
	start := p.at.Offset
	for len(b)-used >= txnHeaderSize {
		h := decodeFixedHeader(b[used:])
		if kind, _ := h.check(p.at.Offset, p.end); kind != "" {
			break
		}
		size := int64(h.length) + trailerSize
		if size > int64(len(b)-used) {
			return used, true // in the next chunk
		}
		if binary.BigEndian.Uint64(b[used+int(h.length):]) != h.length {
			break
		}
		p.pass(h.tid, h.length)
		used += int(size)
	}
	if int64(len(b)) < p.end-start && len(b)-used < txnHeaderSize {
		return used, true // the header is in the next chunk
	}
	if p.at.Offset == p.end {
		return used, true
	}
	_, p.flaw = NewReader(p.src, p.path, p.at.Offset, p.end).Next()
	return used, p.flaw == nil
}

// large passes a transaction that does not fit in a chunk.
func (p *pass) large() bool {
	if p.reader == nil {
		p.reader = NewReader(p.src, p.path, p.at.Offset, p.end)
	}
	p.reader.MoveTo(p.at.Offset)
	txn, err := p.reader.Next()
	if err != nil {
		p.flaw = err
		return false
	}
	p.pass(txn.TID, txn.Length)
	return true
}

func (p *pass) pass(tid TID, length uint64) {
	if p.passed != nil {
		p.passed(tid, p.at.Offset)
	}
	p.at = Place{p.at.Offset + int64(length) + trailerSize, tid}
}
