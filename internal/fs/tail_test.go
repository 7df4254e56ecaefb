package fs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"sync/atomic"
	"testing"
)

// A countedReader counts the bytes that are read.
type countedReader struct {
	io.ReaderAt
	n atomic.Int64
}

func (c *countedReader) ReadAt(b []byte, off int64) (int, error) {
	c.n.Add(int64(len(b)))
	return c.ReaderAt.ReadAt(b, off)
}

// TestClassifyEnd_Work holds how much is read to judge one place: of damaged
// transactions behind each other each its own part, and of what could be the
// start of a transaction at every few bytes all of it a few times.
func TestClassifyEnd_Work(t *testing.T) {
	many := []byte("FS30")
	for i := range 50_000 {
		at := len(many)
		head := TxnHeader{TID: TID(i + 1), Status: 'x', Length: txnHeaderSize + recordHeaderSize + 8}
		many = head.AppendTo(many)
		many = append(many, bytes.Repeat([]byte{0}, 24)...) // oid, tid, prev
		many = binary.BigEndian.AppendUint64(many, uint64(at))
		many = append(many, 0, 0)
		many = binary.BigEndian.AppendUint64(many, 8)
		many = append(many, "the data"...)
		many = binary.BigEndian.AppendUint64(many, txnHeaderSize+recordHeaderSize+8)
	}
	starts := append([]byte("FS30"), bytes.Repeat([]byte{0xff}, txnHeaderSize)...)
	starts = append(starts, bytes.Repeat([]byte("\x00\x00\x00\x00\x00\x00\x00       \x20\x00"), 50_000)...)
	for name, test := range map[string]struct {
		data  []byte
		limit int64
	}{"many": {many, 1 << 20}, "starts": {starts, 4 * int64(len(starts))}} {
		src := &countedReader{ReaderAt: bytes.NewReader(test.data)}
		_, err := NewReader(src, "", FirstOffset, int64(len(test.data))).Next()
		if !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v, want damage", name, err)
		}
		if n := src.n.Load(); n > test.limit {
			t.Errorf("%s: %d bytes were read of %d", name, n, len(test.data))
		}
	}
}
