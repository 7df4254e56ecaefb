package verify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"zrs/internal/fs"
)

// A look is what was seen of a run of transactions: by a worker, or, of what is
// too large or damaged, by the sounder itself.
type look struct {
	s        *sounder
	before   fs.TID // of the last transaction looked at
	txns     []txnSeen
	recs     []recSeen
	records  int64
	findings []Finding
	err      error // what prevented an answer

	inOrder bool // all before was applied already

	odd   []recSeen // records of the transaction in hand that have another TID
	mixed bool      // there are also others

	blobs []blobKey
	blobCount
	python3 int64 // offset of a record of Python 3 in a file of Python 2, 0 if there is none
}

// A txnSeen is a transaction, or a piece of one, with the records [first, last).
type txnSeen struct {
	offset, end int64
	tid         fs.TID
	status      fs.Status
	first, last int
	ended       bool // this is its last piece
}

// A recSeen is a record that counts.
type recSeen struct {
	oid       fs.OID
	tid       fs.TID
	off, prev int64
	gone      bool
	noPrev    bool // prev is known to be wrong
}

// maxPiece is how many records are looked at before they are applied, in a
// transaction that is too large for a worker.
const maxPiece = 1 << 14

func (s *sounder) newLook(before fs.TID) *look {
	l, _ := s.looks.Get().(*look)
	if l == nil {
		l = new(look)
	}
	*l = look{
		s: s, before: before,
		txns: l.txns[:0], recs: l.recs[:0], findings: l.findings[:0], odd: l.odd[:0], blobs: l.blobs[:0],
	}
	return l
}

// span looks at a run of whole transactions.
func (l *look) span(span *fs.Span) {
	r := span.Reader(span.Offset)
	for l.err == nil {
		txn, err := r.Next()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				l.err = err // headers and trailers were right a moment ago
			}
			return
		}
		end, from := txn.End(), txn.Offset
		if hidesRecord(txn, r.Texts()) {
			l.inspect(txn.Offset, from, false, &fs.RecordError{Offset: txn.Offset, TID: txn.TID, Kind: fs.KindTexts})
			if l.err == nil {
				l.finish(end)
			}
			r = span.Reader(end)
			continue
		}
		l.begin(txn.Offset, txn.TID, txn.Status)
		for l.err == nil {
			rec, err := r.NextRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				l.inspect(txn.Offset, from, true, err)
				r = span.Reader(end)
				break
			}
			from = rec.Offset + 1
			l.record(r, rec, "")
		}
		l.finish(end)
	}
}

// hidesRecord reports whether the texts of a transaction may have a record in
// them, because a length of theirs is wrong: records name the transaction's offset.
func hidesRecord(txn *fs.Txn, texts []byte) bool {
	const recordHeader = 42
	if len(texts) < recordHeader {
		return false
	}
	var offset [8]byte
	binary.BigEndian.PutUint64(offset[:], uint64(txn.Offset))
	return bytes.Contains(texts, offset[:])
}

// begin begins a transaction.
func (l *look) begin(off int64, tid fs.TID, status fs.Status) {
	if tid <= l.before {
		l.findings = append(l.findings, Finding{
			Kind: fs.KindTID, Severity: Damage, Offset: off, TID: tid,
			Detail: fmt.Sprintf("transaction id is not above %s, the one before", l.before),
		})
	}
	l.before = tid
	l.txns = append(l.txns, txnSeen{offset: off, tid: tid, status: status, first: len(l.recs), last: len(l.recs)})
	l.odd, l.mixed = l.odd[:0], false
}

// finish ends the transaction, which ends at the offset end.
func (l *look) finish(end int64) {
	t := l.txn()
	t.end, t.ended = end, true
	l.tellOdd(true)
}

func (l *look) txn() *txnSeen { return &l.txns[len(l.txns)-1] }

// record looks at a record. The reader stands on it, or is nil. Flaw is what is
// known to be wrong with it, and was told.
func (l *look) record(r *fs.Reader, rec *fs.Record, flaw fs.Kind) {
	l.records++
	t := l.txn()
	if t.status == fs.StatusUndone {
		return
	}
	seen := recSeen{oid: rec.OID, tid: rec.TID, off: rec.Offset, prev: rec.Prev, noPrev: flaw == fs.KindPrevious}
	data := fs.Resolved{Offset: rec.DataOffset(), Length: rec.Length}
	if rec.Length <= 0 || flaw != "" {
		data = l.resolve(rec, flaw)
		seen.gone = data.Gone
	}
	l.recs = append(l.recs, seen)
	t.last++
	if rec.TID != t.tid {
		l.odd = append(l.odd, seen)
	} else {
		l.mixed = true
	}
	if data.Length > 0 {
		l.start(r, rec, data)
	}
	if l.inOrder && len(l.recs) >= maxPiece {
		l.applyPiece()
	}
}

// resolve finds the data of a record by its back pointers. Of a record with a
// flaw that concerns its data nothing is known.
func (l *look) resolve(rec *fs.Record, flaw fs.Kind) fs.Resolved {
	if flaw == fs.KindBack || flaw == fs.KindRecord || flaw == fs.KindVersion {
		return fs.Resolved{}
	}
	data, err := fs.Resolve(l.s.f, l.s.f.Path(), rec)
	e, ok := errors.AsType[*fs.RecordError](err)
	switch {
	case ok && e.Kind == fs.KindBack:
		detail := e.Detail
		if e.Offset != rec.Offset {
			detail = fmt.Sprintf("back pointers lead to %d: %s", e.Offset, detail)
		}
		l.findings = append(l.findings, about(rec, fs.KindBack, "%s", detail))
	case err != nil:
		l.err = err
	}
	return data
}

// tellOdd tells of records that have another TID than their transaction. If all
// have the same it is the transaction's that is wrong.
func (l *look) tellOdd(ended bool) {
	t := l.txn()
	if n := len(l.odd); ended && n > 1 && !l.mixed {
		tid := l.odd[0].tid
		if !slices.ContainsFunc(l.odd, func(r recSeen) bool { return r.tid != tid }) {
			l.findings = append(l.findings, Finding{
				Kind: KindTxnTID, Severity: Damage, Offset: t.offset, TID: t.tid,
				Detail: fmt.Sprintf("the transaction's id is %s, that of all its %d records %s", t.tid, n, tid),
			})
			return
		}
	}
	for _, r := range l.odd {
		l.findings = append(l.findings, Finding{
			Kind: KindRecordTID, Severity: Damage, Offset: r.off, TID: t.tid, OID: r.oid, HasOID: true,
			Detail: fmt.Sprintf("the record's transaction id is %s, its transaction's %s", r.tid, t.tid),
		})
	}
	l.odd, l.mixed = l.odd[:0], true
}

// applyPiece applies what was seen of the transaction in hand.
func (l *look) applyPiece() {
	l.tellOdd(false)
	t := *l.txn()
	if l.err = l.s.applyLook(l); l.err != nil {
		return
	}
	t.first, t.last = 0, 0
	l.txns = append(l.txns[:0], t)
	l.recs, l.findings, l.blobs = l.recs[:0], l.findings[:0], l.blobs[:0]
	l.records, l.blobCount = 0, blobCount{}
}

// inspect looks at the transaction at pos, of which a reader said flaw, and at
// those of its records that start at the offset from or later. It may have begun
// already.
func (l *look) inspect(pos, from int64, begun bool, flaw error) fs.Inspection {
	result, err := fs.Inspect(l.s.f, pos, flaw, visitor{l, pos, from, begun})
	if err != nil {
		l.err = err
	}
	return result
}

// A visitor lets a look see a damaged transaction.
type visitor struct {
	*look
	pos, from int64
	begun     bool
}

func (v visitor) Txn(tid fs.TID, status fs.Status) {
	if !v.begun {
		v.begin(v.pos, tid, status)
	}
}

func (v visitor) Record(rec *fs.Record, flaw fs.Kind) {
	if rec.Offset >= v.from && v.err == nil {
		v.record(nil, rec, flaw)
	}
}

func (v visitor) Flaw(e *fs.RecordError) { v.findings = append(v.findings, damage(e)) }
