package fs

import "encoding/binary"

// ReaderOf returns a reader of whole transactions that the caller has read: b
// holds the bytes of f from the offset pos on. Back pointers are followed in f.
func (f *File) ReaderOf(b []byte, pos int64) *Reader {
	return &Reader{w: window{src: f, buf: b, base: pos, end: pos + int64(len(b))}, path: f.path, pos: pos}
}

// WholeTransactions returns how many of the bytes of b, which starts at a
// transaction, are those of whole transactions, going by their stored lengths
// alone. A length that can't be ends it.
func WholeTransactions(b []byte) int {
	used := 0
	for len(b)-used >= txnHeaderSize {
		length := binary.BigEndian.Uint64(b[used+lengthOffset:])
		if length < txnHeaderSize || length > uint64(len(b)-used) || uint64(len(b)-used)-length < trailerSize {
			break
		}
		used += int(length) + trailerSize
	}
	return used
}

// MoveTo makes r go on with the transaction at the offset pos, also after an
// error.
func (r *Reader) MoveTo(pos int64) {
	r.pos, r.txn, r.nextRec, r.err = pos, Txn{}, 0, nil
}
