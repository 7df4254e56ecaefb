package verify

import (
	"context"
	"errors"
	"io"
	"sync"

	"zrs/internal/fs"
)

// A Source is a storage that can be compared: a file, or what a replication
// address serves.
type Source struct {
	Name string

	// Open begins to read the transactions that are later than after. It may
	// be called several times.
	Open func(ctx context.Context, after fs.TID) (Stream, error)

	// HasBlobs says that the streams know of blobs. Without it nothing is
	// known of them: no directory was given.
	HasBlobs bool

	file  *fs.File // nil for an address
	blobs *fs.BlobDir
}

// A Stream gives the transactions of a storage, in order, without those of
// status 'u'. What a method returns is valid until the following call.
type Stream interface {
	// Next moves to the next transaction, past what was not read of the last.
	// It returns io.EOF when there are no more.
	Next(ctx context.Context) (*fs.Txn, error)

	// NextRecord moves to the next record of the transaction, io.EOF after the
	// last. Of the record count its OID, its TID and Length, the bytes of its
	// data wherever they are stored: 0 if the object is gone. Its Offset is 0
	// where there is no file.
	NextRecord(ctx context.Context) (*fs.Record, error)

	// Data returns the data of the record.
	Data() ([]byte, error)

	// Blob opens the blob of the record, once, before the following call.
	// The error wraps fs.ErrNoBlob if there is none.
	Blob(ctx context.Context) (io.ReadCloser, error)

	Close() error
}

// FileSource returns the data file f, with its blobs unless they are nil.
func FileSource(f *fs.File, blobs *fs.BlobDir) *Source {
	s := &Source{Name: f.Path(), HasBlobs: blobs != nil, file: f, blobs: blobs}
	s.Open = func(ctx context.Context, after fs.TID) (Stream, error) { return s.openFile(ctx, after) }
	return s
}

// Size returns the bytes of the data file, 0 for an address.
func (s *Source) Size() int64 {
	if s.file == nil {
		return 0
	}
	return s.file.Size()
}

func (s *Source) openFile(ctx context.Context, after fs.TID) (*fileStream, error) {
	start := fs.Place{Offset: fs.FirstOffset}
	size := max(s.file.Size(), fs.FirstOffset) // a file of no bytes is one without transactions
	if after > 0 {
		var err error
		if start, err = s.startAfter(ctx, after); err != nil {
			return nil, err
		}
	}
	f := &fileStream{src: s, size: size, pos: start.Offset}
	f.ahead = newChunkReader(s.file, start.Offset, size)
	f.reader = fs.NewReader(f.ahead, s.file.Path(), start.Offset, size)
	return f, nil
}

// startAfter finds the first transaction that is later than after. What is wrong
// behind the last whole transaction will be met when it is read.
func (s *Source) startAfter(ctx context.Context, after fs.TID) (fs.Place, error) {
	end, _, err := s.file.End(ctx)
	if err != nil {
		return end, err
	}
	return s.file.After(ctx, after, end)
}

// A fileStream reads a data file.
type fileStream struct {
	src    *Source
	size   int64
	ahead  *chunkReader
	reader *fs.Reader
	pos    int64 // of the next transaction

	rec   fs.Record
	found fs.Resolved
	data  []byte
}

func (f *fileStream) Next(context.Context) (*fs.Txn, error) {
	if f.reader.Offset() != f.pos {
		f.reader.MoveTo(f.pos)
	}
	for {
		txn, err := f.reader.Next()
		if err != nil {
			return nil, err
		}
		f.pos = txn.End()
		if txn.Status != fs.StatusUndone {
			return txn, nil
		}
	}
}

func (f *fileStream) NextRecord(context.Context) (*fs.Record, error) {
	rec, err := f.reader.NextRecord()
	if err != nil {
		return nil, err
	}
	f.rec = *rec
	if rec.Length > 0 {
		f.found = fs.Resolved{Offset: rec.DataOffset(), Length: rec.Length}
		return &f.rec, nil
	}
	if f.found, err = f.reader.Resolve(); err != nil {
		return nil, err
	}
	f.rec.Length = f.found.Length
	return &f.rec, nil
}

func (f *fileStream) Data() ([]byte, error) {
	switch {
	case f.found.Gone:
		return nil, nil
	case f.found.Offset == f.rec.DataOffset():
		return f.reader.Data()
	}
	if int64(cap(f.data)) < f.found.Length {
		f.data = make([]byte, f.found.Length)
	}
	f.data = f.data[:f.found.Length]
	return f.data, f.reader.ReadData(f.data, f.found.Offset)
}

func (f *fileStream) Blob(context.Context) (io.ReadCloser, error) {
	return f.src.blobs.Open(f.rec.OID, f.rec.TID)
}

func (f *fileStream) Close() error {
	f.ahead.close()
	return nil
}

// window returns what has been read of the file from the next transaction on, up
// to a multiple of chunkSize. It is valid until the following call. Nothing is
// returned for what can't be read: Next will say why.
func (f *fileStream) window() []byte { return f.ahead.from(f.pos) }

const (
	// chunkSize is how much of a file is read at a time, at multiples of it.
	chunkSize = 1 << 20

	// peekSize is how much is read at a place far ahead without going there.
	peekSize = 64

	// chunksAhead is how many chunks are read ahead.
	chunksAhead = 3
)

// A chunkReader reads a file from front to back in a goroutine of its own. As a
// ReaderAt it serves what it has, and reads what it has not.
type chunkReader struct {
	file   *fs.File
	chunks chan chunk
	free   chan []byte
	done   chan struct{}
	ended  sync.WaitGroup

	prev, cur chunk
}

type chunk struct {
	off int64
	b   []byte
	err error // why it is shorter than it should be
}

func (c *chunk) end() int64 { return c.off + int64(len(c.b)) }

func newChunkReader(file *fs.File, pos, end int64) *chunkReader {
	r := &chunkReader{
		file: file, chunks: make(chan chunk, chunksAhead), free: make(chan []byte, chunksAhead+3), done: make(chan struct{}),
		cur: chunk{off: pos},
	}
	r.ended.Go(func() { r.run(pos, end) })
	return r
}

func (r *chunkReader) run(pos, end int64) {
	defer close(r.chunks)
	for pos < end {
		var buf []byte
		select {
		case buf = <-r.free:
		default:
			buf = make([]byte, chunkSize)
		}
		size := min(chunkSize-pos%chunkSize, end-pos)
		n, err := r.file.ReadAt(buf[:size], pos)
		if int64(n) == size {
			err = nil
		} else if err == nil || isEnd(err) {
			err = io.ErrUnexpectedEOF
		}
		select {
		case r.chunks <- chunk{pos, buf[:n], err}:
		case <-r.done:
			return
		}
		if err != nil {
			return
		}
		pos += size
	}
}

func (r *chunkReader) close() {
	close(r.done)
	r.ended.Wait()
}

// advance takes the next chunk, and reports whether there is one.
func (r *chunkReader) advance() bool {
	if r.cur.err != nil {
		return false
	}
	c, ok := <-r.chunks
	if !ok {
		return false
	}
	if r.prev.b != nil {
		select {
		case r.free <- r.prev.b[:cap(r.prev.b)]:
		default:
		}
	}
	r.prev, r.cur = r.cur, c
	return true
}

// from returns what there is from the offset pos on, up to the end of a chunk.
func (r *chunkReader) from(pos int64) []byte {
	for pos >= r.cur.end() {
		if !r.advance() {
			return nil
		}
	}
	for _, c := range []*chunk{&r.cur, &r.prev} {
		if pos >= c.off && pos < c.end() {
			return c.b[pos-c.off:]
		}
	}
	return nil
}

// ReadAt is [io.ReaderAt]. What lies before the chunks at hand, as the target of
// a back pointer may, is read from the file. So is the end of a transaction that
// reaches far beyond them: what is between will be wanted next.
func (r *chunkReader) ReadAt(b []byte, off int64) (n int, err error) {
	if len(b) <= peekSize && off > r.cur.end() {
		return r.file.ReadAt(b, off)
	}
	for n < len(b) {
		part := r.from(off + int64(n))
		if part == nil {
			m, err := r.file.ReadAt(b[n:], off+int64(n))
			return n + m, err
		}
		n += copy(b[n:], part)
	}
	return n, nil
}

// isEnd reports whether err says that there are no more transactions or records.
func isEnd(err error) bool { return errors.Is(err, io.EOF) }
