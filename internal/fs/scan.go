package fs

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"sync"
)

// scanChunk is how much of the file a scan reads at a time.
const scanChunk = 2 << 20

// A scanned part of a file: what [scan] found out.
type scanned struct {
	end   int64 // just after the last whole transaction
	tid   TID   // of that transaction, or what the scan was started with
	count int64 // whole transactions
	err   error // why the scan ended there: nil at the end of the file, else a RecordError
}

// scan checks the structure of all transactions in [pos, end) and puts their
// records into idx and their starts into cps; either may be nil. It reads the
// file once, and uses all processors. What it put into idx is right even if it
// ends early. The TID in from is that of the transaction before pos.
func scan(ctx context.Context, src io.ReaderAt, path string, pos, end int64, from TID, idx *Index, cps *checkpoints) (scanned, error) {
	s := &scanner{src: src, path: path, end: end, idx: idx, cps: cps, state: scanned{end: pos, tid: from}}
	s.jobs = make(chan segment, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(s.work)
	}
	s.walk(ctx)
	close(s.jobs)
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return s.state, context.Cause(ctx)
	}
	if s.worst != nil { // a record was wrong: all before its transaction is fine
		s.state.end, s.state.tid, s.state.err = s.worst.txn, s.worst.before, s.worst.err
	}
	if e := new(RecordError); errors.As(s.state.err, &e) && e.Kind == KindIO {
		return s.state, s.state.err
	}
	return s.state, nil
}

// A segment is a run of whole transactions for a worker.
type segment struct {
	b      []byte // its bytes, or nil if it is one that is too large for a chunk
	pos    int64
	end    int64
	before TID // of the transaction before it
	buf    *[]byte
}

// A flaw is the first thing wrong in a segment.
type flaw struct {
	txn    int64 // offset of the transaction
	before TID   // of the one before
	err    error
}

type scanner struct {
	src  io.ReaderAt
	path string
	end  int64
	idx  *Index
	cps  *checkpoints
	jobs chan segment
	pool sync.Pool

	state scanned // of the walk over the headers

	mu    sync.Mutex
	worst *flaw // the flaw nearest to the start of the file
}

// walk cuts the file into segments, by the transactions' headers and trailers.
func (s *scanner) walk(ctx context.Context) {
	for s.state.end < s.end && ctx.Err() == nil && s.flaw() == nil {
		size := min(scanChunk, s.end-s.state.end)
		buf, _ := s.pool.Get().(*[]byte)
		if buf == nil {
			b := make([]byte, scanChunk)
			buf = &b
		}
		b := (*buf)[:size]
		if n, err := s.src.ReadAt(b, s.state.end); n < len(b) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			s.state.err = &RecordError{Path: s.path, Offset: s.state.end, Kind: KindIO, Err: err}
			return
		}
		seg := segment{pos: s.state.end, before: s.state.tid, buf: buf}
		used, more := s.split(b)
		if used == 0 && more {
			s.pool.Put(buf)
			if !s.large() {
				return
			}
			continue
		}
		seg.b, seg.end = b[:used], seg.pos+int64(used)
		if used > 0 {
			s.jobs <- seg
		}
		if !more {
			return
		}
	}
}

// split walks over the whole transactions in b, which holds the file from the
// walk's position on. It returns how many bytes they take, and whether the
// walk may go on.
func (s *scanner) split(b []byte) (used int, more bool) {
	start := s.state.end
	for len(b)-used >= txnHeaderSize {
		h := decodeFixedHeader(b[used:])
		if kind, _ := h.check(s.state.end, s.end); kind != "" {
			break
		}
		size := int64(h.length) + trailerSize
		if size > int64(len(b)-used) {
			return used, true // in the next chunk
		}
		if binary.BigEndian.Uint64(b[used+int(h.length):]) != h.length {
			break
		}
		s.passed(&h, s.state.end)
		used += int(size)
	}
	if int64(len(b)) < s.end-start && len(b)-used < txnHeaderSize {
		return used, true // the header is in the next chunk
	}
	if s.state.end == s.end {
		return used, true
	}
	_, s.state.err = NewReader(s.src, s.path, s.state.end, s.end).Next()
	return used, s.state.err == nil
}

// large hands on a transaction that does not fit in a chunk.
func (s *scanner) large() bool {
	r := NewReader(s.src, s.path, s.state.end, s.end)
	txn, err := r.Next()
	if err != nil {
		s.state.err = err
		return false
	}
	seg := segment{pos: s.state.end, end: txn.End(), before: s.state.tid}
	s.passed(&fixedHeader{tid: txn.TID, length: txn.Length}, s.state.end)
	s.jobs <- seg
	return true
}

func (s *scanner) passed(h *fixedHeader, pos int64) {
	if s.cps != nil {
		s.cps.add(h.tid, pos)
	}
	s.state.end = pos + int64(h.length) + trailerSize
	s.state.tid = h.tid
	s.state.count++
}

// work checks segments and indexes their records.
func (s *scanner) work() {
	for seg := range s.jobs {
		r := newMemoryReader(seg.b, s.path, seg.pos)
		if seg.b == nil {
			r = NewReader(s.src, s.path, seg.pos, seg.end)
		}
		if f := s.segment(r, seg.before); f != nil {
			s.mu.Lock()
			if s.worst == nil || f.txn < s.worst.txn {
				s.worst = f
			}
			s.mu.Unlock()
		}
		if seg.buf != nil {
			s.pool.Put(seg.buf)
		}
	}
}

func (s *scanner) segment(r *Reader, before TID) *flaw {
	for {
		txn, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return &flaw{r.Offset(), before, err}
		}
		for {
			rec, err := r.NextRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return &flaw{txn.Offset, before, err}
			}
			if s.idx != nil && txn.Status != StatusUndone {
				s.idx.SetMax(rec.OID, rec.Offset)
			}
		}
		before = txn.TID
	}
}

func (s *scanner) flaw() *flaw {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.worst
}
