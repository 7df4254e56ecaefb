package bench

import (
	"bufio"
	"encoding/binary"
	"io"
	"math/bits"
	"time"
)

// The writer here knows the layout of a FileStorage by itself: what one
// measures on must not rest on the code that one measures.

const (
	magic         = "FS30"
	statusAt      = 8 + 8                     // in a transaction's header
	txnHeaderSize = 8 + 8 + 1 + 2 + 2 + 2     // tid, length, status, user, description, extension
	recHeaderSize = 8 + 8 + 8 + 8 + 2 + 8     // oid, tid, prev, tloc, version, data
	nsPerMinute   = uint64(time.Minute)       //
	firstTxn      = 1735689600                // 2025-01-01, the time of the first transaction
	betweenTxns   = 50 * time.Millisecond     // the time from each to the next
	description   = "a transaction of a site" // of each
)

// tidOf returns the TID of a time: the minutes since 1900 in months of 31 days,
// and the part of the minute in 32 bits.
func tidOf(t time.Time) uint64 {
	t = t.UTC()
	months := (t.Year()-1900)*12 + int(t.Month()) - 1
	minutes := ((months*31+t.Day()-1)*24+t.Hour())*60 + t.Minute()
	hi, lo := bits.Mul64(uint64(t.Second())*1e9+uint64(t.Nanosecond()), 1<<32)
	fraction, _ := bits.Div64(hi, lo, nsPerMinute)
	return uint64(minutes)<<32 | fraction
}

// A storageWriter writes the transactions of a data file.
type storageWriter struct {
	w       *bufio.Writer
	pos     int64   // end of the last transaction
	txns    int     // number of transactions
	records int     // and of records
	current []int64 // offset of the current record, by OID; 0: none yet
}

func newStorageWriter(w io.Writer) (*storageWriter, error) {
	s := &storageWriter{w: bufio.NewWriterSize(w, 1<<20), pos: int64(len(magic))}
	_, err := s.w.WriteString(magic)
	return s, err
}

// nextTID returns the TID of the transaction that commit will write.
func (s *storageWriter) nextTID() uint64 {
	return tidOf(time.Unix(firstTxn, 0).Add(time.Duration(s.txns) * betweenTxns))
}

// A record is a data record to be written.
type record struct {
	oid  uint64
	data []byte
}

// commit writes a transaction.
func (s *storageWriter) commit(records ...record) error {
	size := txnHeaderSize + len(description)
	for _, r := range records {
		size += recHeaderSize + len(r.data)
	}
	tid, be := s.nextTID(), binary.BigEndian
	b := make([]byte, 0, txnHeaderSize+len(description))
	b = be.AppendUint64(b, tid)
	b = be.AppendUint64(b, uint64(size))
	b = append(b, ' ')
	b = be.AppendUint16(b, 0)
	b = be.AppendUint16(b, uint16(len(description)))
	b = be.AppendUint16(b, 0)
	b = append(b, description...)
	s.w.Write(b) // a failure of a bufio.Writer stays: Flush or the last Write tells

	pos := s.pos + int64(len(b))
	for _, r := range records {
		for uint64(len(s.current)) <= r.oid {
			s.current = append(s.current, 0)
		}
		b = be.AppendUint64(b[:0], r.oid)
		b = be.AppendUint64(b, tid)
		b = be.AppendUint64(b, uint64(s.current[r.oid]))
		b = be.AppendUint64(b, uint64(s.pos))
		b = be.AppendUint16(b, 0)
		b = be.AppendUint64(b, uint64(len(r.data)))
		s.w.Write(b)
		s.w.Write(r.data)
		s.current[r.oid] = pos
		pos += recHeaderSize + int64(len(r.data))
	}
	s.pos = pos + 8
	s.txns++
	s.records += len(records)
	_, err := s.w.Write(be.AppendUint64(b[:0], uint64(size)))
	return err
}
