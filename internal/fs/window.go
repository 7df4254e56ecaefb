package fs

import (
	"io"
	"math/bits"
)

const (
	// windowSize is how much a reader fetches at a time: large enough that
	// the system call is cheap, small enough for many readers.
	windowSize = 256 << 10

	// firstSize is how much it fetches at a place to which it has jumped: behind
	// a large record there may be another one.
	firstSize = 16 << 10

	// keepSize is the largest buffer that a reader keeps when it moves on.
	keepSize = 4 * windowSize
)

// A window reads a file through a buffer that slides along it. The zero window
// with src and end set is ready.
type window struct {
	src  io.ReaderAt
	end  int64 // nothing at or after it is read
	buf  []byte
	base int64 // offset of buf[0]
}

// bytes returns the n bytes at off, valid until the following call. Bytes that
// are not there give io.ErrUnexpectedEOF.
func (w *window) bytes(off int64, n int) ([]byte, error) {
	if i := off - w.base; i >= 0 && i+int64(n) <= int64(len(w.buf)) {
		return w.buf[i : i+int64(n) : i+int64(n)], nil
	}
	if off < 0 || int64(n) > w.end-off {
		return nil, io.ErrUnexpectedEOF
	}
	if err := w.fill(off, n); err != nil {
		return nil, err
	}
	return w.buf[:n:n], nil
}

// fill makes the window start at off and have at least n bytes.
func (w *window) fill(off int64, n int) error {
	ahead := int64(firstSize)
	if gap := off - w.base - int64(len(w.buf)); len(w.buf) > 0 && off >= w.base && gap < firstSize {
		ahead = windowSize
	}
	size := max(n, int(min(ahead, w.end-off)))
	if cap(w.buf) < size || cap(w.buf) > keepSize && size <= windowSize {
		// A reader that jumps from one large record to the next needs no more.
		w.buf = make([]byte, 0, 1<<bits.Len(uint(size-1)))
	}
	w.buf, w.base = w.buf[:size], off
	got, err := w.src.ReadAt(w.buf, off)
	w.buf = w.buf[:got]
	if got >= n {
		return nil // what is missing behind n will be asked for again
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// small reads n bytes at off without moving the window, into b.
func (w *window) small(off int64, b []byte) error {
	if i := off - w.base; i >= 0 && i+int64(len(b)) <= int64(len(w.buf)) {
		copy(b, w.buf[i:])
		return nil
	}
	if off < 0 || int64(len(b)) > w.end-off {
		return io.ErrUnexpectedEOF
	}
	return readFull(w.src, b, off)
}
