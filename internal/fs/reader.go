package fs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
)

// A Txn is a transaction that a [Reader] stands on. Its texts are valid until
// the reader's following Next.
type Txn struct {
	Offset int64 // of the transaction's header
	TxnHeader
}

// End returns the offset just after the transaction.
func (t *Txn) End() int64 { return t.Offset + int64(t.Length) + trailerSize }

// A Reader iterates over the transactions of a part of a data file, and over
// the records of each. It holds a window of the file, or one record if that is
// larger. It checks the structure of what it passes (lengths, statuses, bounds,
// pointers), not the order of TIDs and not the data. Errors are [RecordError]s
// and stay. A Reader is not safe for concurrent use.
type Reader struct {
	w       window
	path    string
	pos     int64 // of the next transaction
	txn     Txn
	meta    []byte // the texts of txn
	nextRec int64  // offset of the next record of txn
	rec     Record
	err     error
}

// NewReader returns a reader of the transactions in the bytes [pos, end) of
// src. pos must be the start of a transaction. The path is for messages.
func NewReader(src io.ReaderAt, path string, pos, end int64) *Reader {
	return &Reader{w: window{src: src, end: end}, path: path, pos: pos}
}

// Offset returns where the next transaction starts.
func (r *Reader) Offset() int64 { return r.pos }

// Next moves to the next transaction, past any records that were not read. It
// returns io.EOF when the last one ended where the part to read ends. When
// something else than a whole, finished transaction comes, the error matches
// [ErrTornTail] if a crashed writer explains it, else [ErrDamaged].
func (r *Reader) Next() (*Txn, error) {
	if r.err != nil {
		return nil, r.err
	}
	if r.pos == r.w.end {
		return nil, r.fail(io.EOF)
	}
	h, kind, detail, err := r.header()
	if err != nil {
		return nil, r.fail(&RecordError{Path: r.path, Offset: r.pos, Kind: KindIO, Err: err})
	}
	if kind != "" {
		return nil, r.fail(classifyEnd(r.w.src, r.path, r.pos, r.w.end, kind, detail))
	}
	if err := r.texts(&h); err != nil {
		return nil, r.fail(&RecordError{Path: r.path, Offset: r.pos, TID: h.tid, Kind: KindIO, Err: err})
	}
	r.nextRec = r.txn.Offset + r.txn.TxnHeader.Size()
	r.pos = r.txn.End()
	return &r.txn, nil
}

// header reads and checks the fixed header at pos and the length behind the
// transaction.
func (r *Reader) header() (h fixedHeader, kind Kind, detail string, err error) {
	if r.w.end-r.pos < txnHeaderSize {
		return h, KindLength, fmt.Sprintf("%d bytes, less than a transaction header", r.w.end-r.pos), nil
	}
	b, err := r.w.bytes(r.pos, txnHeaderSize)
	if err != nil {
		return h, "", "", err
	}
	h = decodeFixedHeader(b)
	if kind, detail = h.check(r.pos, r.w.end); kind != "" {
		return h, kind, detail, nil
	}
	var trailer [trailerSize]byte
	if err := r.w.small(r.pos+int64(h.length), trailer[:]); err != nil {
		return h, "", "", err
	}
	if again := binary.BigEndian.Uint64(trailer[:]); again != h.length {
		return h, KindTrailer, fmt.Sprintf("trailing length %d, header says %d", again, h.length), nil
	}
	return h, "", "", nil
}

// texts makes h the current transaction, with its user, description and
// extension.
func (r *Reader) texts(h *fixedHeader) error {
	b, err := r.w.bytes(r.pos+txnHeaderSize, h.metadata())
	if err != nil {
		return err
	}
	r.meta = append(r.meta[:0], b...)
	u, d := h.userLen, h.userLen+h.descLen
	r.txn = Txn{Offset: r.pos, TxnHeader: TxnHeader{
		TID: h.tid, Length: h.length, Status: h.status,
		User: r.meta[:u:u], Description: r.meta[u:d:d], Extension: r.meta[d:len(r.meta):len(r.meta)],
	}}
	return nil
}

// NextRecord moves to the next record of the transaction. It returns io.EOF
// after the last one. The record is valid until the following call.
func (r *Reader) NextRecord() (*Record, error) {
	if r.err != nil && !errors.Is(r.err, io.EOF) {
		return nil, r.err
	}
	end := r.txn.Offset + int64(r.txn.Length)
	if r.nextRec >= end {
		return nil, io.EOF
	}
	kind, detail, err := r.record(end)
	switch {
	case err != nil:
		return nil, r.fail(&RecordError{Path: r.path, Offset: r.nextRec, TID: r.txn.TID, Kind: KindIO, Err: err})
	case kind != "":
		return nil, r.fail(&RecordError{Path: r.path, Offset: r.nextRec, TID: r.txn.TID, Kind: kind, Detail: detail})
	}
	r.nextRec += r.rec.Size()
	return &r.rec, nil
}

// record reads and checks the record at nextRec, in a transaction whose records
// end at end.
func (r *Reader) record(end int64) (Kind, string, error) {
	left := end - r.nextRec
	if left < recordHeaderSize {
		return KindRecord, fmt.Sprintf("%d bytes left in the transaction, less than a record header", left), nil
	}
	n := min(left, recordHeaderSize+backPointerSize)
	b, err := r.w.bytes(r.nextRec, int(n))
	if err != nil {
		return "", "", err
	}
	if kind, detail := decodeRecord(&r.rec, b, r.nextRec); kind != "" {
		return kind, detail, nil
	}
	kind, detail := checkRecord(&r.rec, b, r.txn.Offset, left)
	return kind, detail, nil
}

// checkRecord returns what is wrong with a record whose header, and the back
// pointer behind it, is in b: in the transaction at txn, which has left more
// bytes from the record on. It sets the back pointer.
func checkRecord(rec *Record, b []byte, txn, left int64) (Kind, string) {
	switch {
	case rec.Txn != txn:
		return KindTxnOffset, fmt.Sprintf("record says that its transaction is at %d, it is at %d", rec.Txn, txn)
	case rec.Size() > left:
		return KindRecord, fmt.Sprintf("record takes %d bytes, the transaction has %d left", rec.Size(), left)
	case rec.Length == 0:
		back := binary.BigEndian.Uint64(b[recordHeaderSize:])
		if back >= uint64(rec.Offset) {
			return KindBack, fmt.Sprintf("back pointer leads to %d", back)
		}
		rec.Back = int64(back)
	}
	return "", ""
}

// Data returns the data of the record that the reader stands on, which has some
// (Length > 0). It is valid until the following call of any method.
func (r *Reader) Data() ([]byte, error) {
	b, err := r.w.bytes(r.rec.DataOffset(), int(r.rec.Length))
	if err != nil {
		return nil, r.fail(&RecordError{Path: r.path, Offset: r.rec.Offset, TID: r.txn.TID, Kind: KindIO, Err: err})
	}
	return b, nil
}

// Resolve follows the back pointer of the record that the reader stands on, see
// [Resolve].
func (r *Reader) Resolve() (Resolved, error) {
	res, err := Resolve(r.w.src, r.path, &r.rec)
	if e := new(RecordError); errors.As(err, &e) && e.TID == 0 {
		e.TID = r.txn.TID
	}
	return res, err
}

// Peek returns up to n bytes from the start of the data of a resolved record.
// They are valid until the following call of any method.
func (r *Reader) Peek(data Resolved, n int) ([]byte, error) {
	n = int(min(int64(n), data.Length))
	if i := data.Offset - r.w.base; i >= 0 && i+int64(n) <= int64(len(r.w.buf)) {
		return r.w.buf[i : i+int64(n) : i+int64(n)], nil
	}
	b := make([]byte, n)
	return b, r.w.small(data.Offset, b)
}

// ReadData reads data of a resolved record, from offset off of the file.
func (r *Reader) ReadData(b []byte, off int64) error { return r.w.small(off, b) }

// All ranges over the remaining transactions. A failure is the last pair, with
// a nil transaction. Each transaction is valid for its own iteration.
func (r *Reader) All() iter.Seq2[*Txn, error] {
	return func(yield func(*Txn, error) bool) {
		for {
			txn, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(txn, err) || err != nil {
				return
			}
		}
	}
}

// extend lets the reader go on to a later end.
func (r *Reader) extend(end int64) {
	r.w.end = end
	if errors.Is(r.err, io.EOF) {
		r.err = nil
	}
}

func (r *Reader) fail(err error) error {
	r.err = err
	return err
}

// Resolved tells where a record's data is, once its back pointers are followed.
type Resolved struct {
	Gone    bool  // the object does not exist as of the record
	Offset  int64 // of the data
	Length  int64 // bytes of data
	BackTID TID   // TID of the record that the first back pointer leads to, 0 without one
}

// Resolve finds the data of rec, a record of src, by its back pointers. Each
// step must lead to a record of the same object and further back, so that
// chains end. The error is a [RecordError] of the kind back-pointer at the
// record where the chain breaks.
func Resolve(src io.ReaderAt, path string, rec *Record) (Resolved, error) {
	if rec.Length > 0 {
		return Resolved{Offset: rec.DataOffset(), Length: rec.Length}, nil
	}
	var first TID
	cur := *rec
	for cur.Length == 0 && cur.Back != 0 {
		next, err := ReadRecord(src, path, cur.Back)
		if err == nil && next.OID != cur.OID {
			err = &RecordError{
				Path: path, Offset: cur.Offset, Kind: KindBack,
				Detail: fmt.Sprintf("back pointer leads to %d, a record of object %s, from one of object %s", cur.Back, next.OID, cur.OID),
			}
		}
		if err == nil && next.Offset+next.Size() > cur.Offset {
			err = &RecordError{
				Path: path, Offset: cur.Offset, Kind: KindBack,
				Detail: fmt.Sprintf("back pointer leads to %d, a record that reaches over this one", cur.Back),
			}
		}
		if err != nil {
			return Resolved{}, err
		}
		if first == 0 {
			first = next.TID
		}
		cur = next
	}
	if cur.Length == 0 {
		return Resolved{Gone: true, BackTID: first}, nil
	}
	return Resolved{Offset: cur.DataOffset(), Length: cur.Length, BackTID: first}, nil
}

// ReadRecord reads the record at off, which a pointer led to. Its transaction
// may be another than it says.
func ReadRecord(src io.ReaderAt, path string, off int64) (Record, error) {
	var rec Record
	var b [recordHeaderSize + backPointerSize]byte
	if off < FirstOffset+txnHeaderSize {
		return rec, &RecordError{Path: path, Offset: off, Kind: KindBack, Detail: "a pointer leads here, where no record can be"}
	}
	n, err := src.ReadAt(b[:], off)
	if n < recordHeaderSize {
		if err == io.EOF {
			return rec, &RecordError{Path: path, Offset: off, Kind: KindBack, Detail: "a pointer leads here, where no record can be"}
		}
		return rec, &RecordError{Path: path, Offset: off, Kind: KindIO, Err: err}
	}
	if kind, detail := decodeRecord(&rec, b[:recordHeaderSize], off); kind != "" {
		return rec, &RecordError{Path: path, Offset: off, Kind: KindBack, Detail: "a pointer leads here: " + detail}
	}
	if rec.Length == 0 {
		back := binary.BigEndian.Uint64(b[recordHeaderSize:])
		if n < len(b) || back >= uint64(off) {
			return rec, &RecordError{Path: path, Offset: off, Kind: KindBack, Detail: fmt.Sprintf("back pointer leads to %d", back)}
		}
		rec.Back = int64(back)
	}
	return rec, nil
}
