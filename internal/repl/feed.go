package repl

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sync"

	"zrs/internal/fs"
	"zrs/internal/wire"
)

const (
	// chunkSize is about how many bytes of frames are encoded at a time.
	// Transactions that take more are streamed.
	chunkSize = 256 << 10

	// feedSize bounds the encoded chunks that are kept for other secondaries.
	feedSize = 8 << 20

	// maxSums is for how many different digests a chunk keeps its checksums. Of
	// tiny transactions they take a third as much as the chunk itself, and a
	// connection can begin with any digest that its peer likes.
	maxSums = 8
)

// A feed encodes the transactions of a log for all secondaries. Those that read
// at the same place share the work of reading, encoding and, as long as their
// connections began alike, of the checksum. It keeps the latest chunks, of
// feedSize bytes in all.
type feed struct {
	log *fs.Log

	mu     sync.Mutex
	chunks map[fs.Position]*chunk
	order  []fs.Position // oldest first
	size   int
}

// A chunk is a run of whole transactions as frames, without the frames of their
// C messages: those have checksums, which differ from connection to connection.
type chunk struct {
	ready chan struct{} // closed when the rest is there

	frames  []byte
	commits []int // offsets in frames where C messages belong
	to      fs.Position
	last    fs.TID // of the last transaction
	err     error

	mu   sync.Mutex
	sums map[[wire.DigestSize]byte]*checksums // maxSums at most
}

// checksums are what a chunk's checksums come to for a connection whose running
// digest was the same before it.
type checksums struct {
	once    sync.Once
	commits [][]byte // frames of the C messages
	after   *wire.Digest
}

// errStream says that the next transaction is too large for a chunk, or has
// blobs: the cursor stands before it.
var errStream = errors.New("transaction must be streamed")

func newFeed(log *fs.Log) *feed {
	return &feed{log: log, chunks: make(map[fs.Position]*chunk)}
}

// next returns the chunk at the cursor's place and moves the cursor behind it.
// It returns io.EOF at the end of the log, or errStream.
func (f *feed) next(ctx context.Context, c *fs.Cursor, e *encoder) (*chunk, error) {
	at := c.Position()
	f.mu.Lock()
	ch := f.chunks[at]
	if ch == nil {
		ch = &chunk{ready: make(chan struct{})}
		f.chunks[at] = ch
		f.mu.Unlock()
		f.build(at, ch, c, e)
		return ch, ch.err
	}
	f.mu.Unlock()
	select {
	case <-ch.ready:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if ch.err != nil || ch.to.Generation != at.Generation {
		// Whoever built it has forgotten it: it crosses a pack, or what went
		// wrong may concern that connection alone.
		alone := &chunk{ready: make(chan struct{})}
		alone.encode(c, e)
		return alone, alone.err
	}
	c.Skip(ch.to, ch.last)
	return ch, nil
}

// build fills a chunk that is in the table already, and keeps it there if it
// is one for others too.
func (f *feed) build(at fs.Position, ch *chunk, c *fs.Cursor, e *encoder) {
	ch.encode(c, e)
	f.mu.Lock()
	defer f.mu.Unlock()
	if ch.err != nil || c.Position().Generation != at.Generation {
		delete(f.chunks, at) // a chunk that crosses a pack has no one place
	} else {
		f.order = append(f.order, at)
		f.size += len(ch.frames)
	}
	for f.size > feedSize && len(f.order) > 1 {
		f.size -= len(f.chunks[f.order[0]].frames)
		delete(f.chunks, f.order[0])
		f.order = f.order[1:]
	}
	close(ch.ready)
}

// encode fills the chunk with whole transactions from the cursor on.
func (ch *chunk) encode(c *fs.Cursor, e *encoder) {
	frames := e.scratch[:0]
	for len(frames) < chunkSize {
		before, last := c.Position(), c.LastTID()
		txn, err := e.next(c)
		if err == nil && int64(txn.Length) > chunkSize {
			err = errStream
		}
		start := len(frames)
		if err == nil {
			frames, err = e.transaction(frames, c, txn)
		}
		if err != nil {
			frames = frames[:start]
			if errors.Is(err, errStream) {
				c.Skip(fs.Position{Generation: c.Position().Generation, Offset: txn.Offset}, last)
			}
			if start == 0 {
				ch.err = err
			}
			// With something in the chunk, the error will come again, on the
			// next call: a cursor's errors stay.
			break
		}
		ch.commits = append(ch.commits, len(frames))
		ch.to, ch.last = c.Position(), c.LastTID()
		if before.Generation != ch.to.Generation {
			break
		}
	}
	ch.frames = slices.Clone(frames)
	e.scratch = frames
}

// checksums returns the C messages of the chunk for a connection with the
// running digest d, and the digest after it. The chunk keeps what it computes:
// connections that started at the same transaction have equal digests.
func (ch *chunk) checksums(d *wire.Digest) *checksums {
	key := d.Sum()
	ch.mu.Lock()
	s := ch.sums[key]
	if s == nil {
		s = new(checksums)
		if ch.sums == nil {
			ch.sums = make(map[[wire.DigestSize]byte]*checksums)
		}
		if len(ch.sums) < maxSums {
			ch.sums[key] = s
		}
	}
	ch.mu.Unlock()
	s.once.Do(func() { s.compute(ch, d.Clone()) })
	return s
}

func (s *checksums) compute(ch *chunk, d *wire.Digest) {
	at := 0
	for _, end := range ch.commits {
		for at < end {
			n := int(binary.BigEndian.Uint32(ch.frames[at:]))
			at += wire.FrameHeaderSize
			d.Add(ch.frames[at : at+n])
			at += n
		}
		payload := (&wire.Commit{Digest: d.Sum()}).AppendTo(nil)
		d.Add(payload)
		s.commits = append(s.commits, wire.AppendFrame(nil, payload))
	}
	s.after = d
}

// isEnd reports whether err is the end of what a log has.
func isEnd(err error) bool { return errors.Is(err, io.EOF) }
