package fs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// classifyEnd decides what it means that no whole, finished transaction is at
// pos, though the file goes on to end; kind and detail say what a reader found
// there. The result matches [ErrTornTail] if a writer that crashed explains it,
// else [ErrDamaged]:
//
//   - fewer bytes than a header, or a transaction that reaches over the end of
//     the file: a write that was cut;
//   - status c, up to the end of the file or reaching over it: voted, or being
//     written, and never finished. A [Writer] gives a batch that is not yet
//     durable such a header, which reaches over all that follows;
//   - zeros where the status or the trailing length should be: the machine lost
//     power before the pages were written.
//
// With a whole transaction behind it none of these is a torn tail: then the
// bytes at pos were damaged later, and cutting them off would lose what follows.
// Nor is a transaction that is whole but for its status or one of its lengths,
// unless the status says that it was never finished. This is seen first, as it
// takes no search: a file may have any number of those.
func classifyEnd(src io.ReaderAt, path string, pos, end int64, kind Kind, detail string) error {
	damaged := &RecordError{Path: path, Offset: pos, Kind: kind, Detail: detail}
	torn := &RecordError{Path: path, Offset: pos, Kind: KindTornTail, Detail: detail}
	if src == nil {
		return damaged
	}
	if end-pos < txnHeaderSize {
		return torn
	}
	var b [txnHeaderSize]byte
	w := window{src: src, end: end}
	if err := w.small(pos, b[:]); err != nil {
		return &RecordError{Path: path, Offset: pos, Kind: KindIO, Err: err}
	}
	h := decodeFixedHeader(b[:])
	fits := h.length <= uint64(end-pos-trailerSize) // a file of 23 bytes after pos has room for 8
	damaged.TID, torn.TID = h.tid, h.tid

	from := pos + 1
	if h.status == StatusCheckpoint {
		if !fits || pos+int64(h.length)+trailerSize == end {
			return torn
		}
		if h.length >= txnHeaderSize {
			from = pos + int64(h.length) + trailerSize
		}
	} else {
		in := &inspector{w: w, path: path, txn: pos, h: h, v: nobody{}}
		_, stop, err := in.bounds()
		if err != nil {
			return &RecordError{Path: path, Offset: pos, Kind: KindIO, Err: err}
		}
		if stop != 0 {
			if next := stop + trailerSize; isWhole(src, path, next, end) {
				damaged.Detail += follows(next)
			}
			return damaged
		}
	}
	whole, err := findWhole(src, path, from, end)
	if err != nil {
		return &RecordError{Path: path, Offset: pos, Kind: KindIO, Err: err}
	}
	if whole != 0 {
		if h.status == StatusCheckpoint {
			damaged.Kind = KindCheckpoint
		}
		damaged.Detail += follows(whole)
		return damaged
	}
	switch {
	case h.status == StatusCheckpoint,
		h.status == 0,
		h.status.Final() && !fits,
		kind == KindTrailer && trailerIsZero(&w, pos+int64(h.length)):
		return torn
	}
	return damaged
}

func follows(whole int64) string { return fmt.Sprintf("; a whole transaction follows at %d", whole) }

func trailerIsZero(w *window, off int64) bool {
	var b [trailerSize]byte
	return w.small(off, b[:]) == nil && b == [trailerSize]byte{}
}

// findWhole returns the offset of the first whole, finished transaction that
// starts in [from, end), or 0 if there is none. Every byte is tried.
func findWhole(src io.ReaderAt, path string, from, end int64) (int64, error) {
	const least = txnHeaderSize + trailerSize
	w := window{src: src, end: end}
	r := NewReader(src, path, from, end) // for all of them: its window is read once
	for pos := from; pos+least <= end; {
		n := min(windowSize, end-pos)
		b, err := w.bytes(pos, int(n))
		if err != nil {
			return 0, err
		}
		for i := 0; i+txnHeaderSize <= len(b); i++ {
			if maybeTxn(b[i:]) && r.wholeAt(pos+int64(i)) {
				return pos + int64(i), nil
			}
		}
		pos += n - txnHeaderSize + 1
	}
	return 0, nil
}

// maybeTxn is a cheap test that most offsets fail: two leading zero bytes of
// the length, a final status and a TID.
func maybeTxn(b []byte) bool {
	return b[lengthOffset] == 0 && b[lengthOffset+1] == 0 && Status(b[statusOffset]).Final() &&
		!bytes.Equal(b[:8], make([]byte, 8)) &&
		binary.BigEndian.Uint64(b[lengthOffset:]) >= txnHeaderSize
}

// isWhole reports whether a finished transaction with sound structure is at pos.
func isWhole(src io.ReaderAt, path string, pos, end int64) bool {
	return NewReader(src, path, pos, end).wholeAt(pos)
}

// wholeAt is isWhole for a reader that is used for nothing else.
func (r *Reader) wholeAt(pos int64) bool {
	r.MoveTo(pos)
	h, kind, _, err := r.header()
	if err != nil || kind != "" || r.texts(&h) != nil {
		return false
	}
	r.nextRec = r.txn.Offset + r.txn.TxnHeader.Size()
	for {
		if _, err := r.NextRecord(); err != nil {
			return errors.Is(err, io.EOF)
		}
	}
}
