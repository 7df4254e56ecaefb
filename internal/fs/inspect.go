package fs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// An Inspection tells what is left of a transaction that is not sound.
type Inspection struct {
	TID    TID    // as its header says
	Status Status // likewise
	End    int64  // where the file goes on: the next transaction, or the end of the file

	// Lost says that nothing is known of what is between the transaction's start
	// and End. Otherwise the transaction ends there.
	Lost bool
}

// A Visitor is told what there is in a transaction that is not sound.
type Visitor interface {
	// Txn is called first, if the transaction is not lost.
	Txn(tid TID, status Status)

	// Record is called for each record, valid for the call, with the kind of
	// what is wrong with it if something is.
	Record(rec *Record, flaw Kind)

	// Flaw is called for all that is wrong. A wrong length of a record shows
	// only behind it, everything else comes in the order of the file.
	Flaw(flaw *RecordError)
}

// nobody is a Visitor where only what is returned is wanted.
type nobody struct{}

func (nobody) Txn(TID, Status)      {}
func (nobody) Record(*Record, Kind) {}
func (nobody) Flaw(*RecordError)    {}

// Inspect looks at the transaction at the offset pos of f, in which something is
// wrong: why is the [RecordError] of a [Reader].
//
// A field is taken for the damaged one if the rest of the transaction then fits
// together: records name the offset of their transaction, and its length stands
// before and behind it.
func Inspect(f *File, pos int64, why error, v Visitor) (Inspection, error) {
	in := &inspector{w: window{src: f, end: f.Size()}, path: f.path, txn: pos, v: v}
	result, err := in.inspect(why)
	if err != nil {
		err = &RecordError{Path: f.path, Offset: pos, TID: in.h.tid, Kind: KindIO, Err: err}
	}
	return result, err
}

type inspector struct {
	w    window
	path string
	txn  int64 // offset of the transaction
	h    fixedHeader
	v    Visitor
}

func (in *inspector) inspect(why error) (Inspection, error) {
	found, ok := errors.AsType[*RecordError](why)
	if !ok || in.w.end-in.txn < txnHeaderSize {
		return Inspection{End: in.w.end, Lost: true}, nil
	}
	var b [txnHeaderSize]byte
	if err := in.w.small(in.txn, b[:]); err != nil {
		return Inspection{}, err
	}
	in.h = decodeFixedHeader(b[:])
	result := Inspection{TID: in.h.tid, Status: in.h.status}
	start, stop, err := in.bounds()
	if err != nil {
		return result, err
	}
	if stop == 0 {
		next, err := findWhole(in.w.src, in.path, in.txn+1, in.w.end)
		if err != nil {
			return result, err
		}
		result.End, result.Lost = next, true
		if next == 0 {
			result.End = in.w.end
		}
		in.report(in.txn, found.Kind, found.Detail)
		return result, nil
	}
	result.End = stop + trailerSize
	in.v.Txn(in.h.tid, in.h.status)
	if !in.h.status.Final() {
		kind := KindStatus
		if in.h.status == StatusCheckpoint {
			kind = KindCheckpoint
		}
		in.report(in.txn, kind, fmt.Sprintf("status is %q", byte(in.h.status)))
	}
	return result, in.records(start, stop)
}

// bounds finds where the records of the transaction start and stop, and reports
// what is wrong with the header or the trailing length. If that can't be told,
// stop is 0.
func (in *inspector) bounds() (start, stop int64, err error) {
	start = in.txn + txnHeaderSize + int64(in.h.metadata())
	fits := in.h.length >= txnHeaderSize && in.h.length <= uint64(max(0, in.w.end-in.txn-trailerSize))
	said := in.txn + int64(in.h.length) // if it fits
	if fits && in.lengthAt(said) == in.h.length {
		first, err := in.next(in.txn+txnHeaderSize, min(start, said), said)
		if first == 0 && start > said { // the header takes more than there is
			first = said
		}
		if first != 0 {
			in.reportTexts(first)
			start = first
		}
		return start, said, err
	}
	last, err := in.chain(start)
	switch {
	case err != nil:
		return 0, 0, err
	case in.lengthAt(last) == uint64(last-in.txn):
		in.report(in.txn, KindLength, fmt.Sprintf("stored length is %d, the transaction's records end after %d bytes", in.h.length, last-in.txn))
		return start, last, nil
	case fits && last == said && (last > start || said+trailerSize == in.w.end || isWhole(in.w.src, in.path, said+trailerSize, in.w.end)):
		in.report(in.txn, KindTrailer, fmt.Sprintf("trailing length %d, header says %d", in.lengthAt(said), in.h.length))
		return start, last, nil
	}
	return 0, 0, nil
}

// records goes from record to record.
func (in *inspector) records(at, stop int64) error {
	floor := in.txn + txnHeaderSize // nothing before it is looked at again
	var last Record                 // before at, if its Offset is not 0
	for at < stop {
		var rec Record
		kind, detail, sized, err := in.at(&rec, at, stop)
		if err != nil {
			return err
		}
		if end := at + rec.Size(); kind == "" || sized && (end == stop || in.plausible(end, stop)) {
			if kind != "" {
				in.report(at, kind, detail)
			}
			in.v.Record(&rec, kind)
			last, at, floor = rec, end, rec.DataOffset()+1
			continue
		}
		next, err := in.blame(&rec, &last, kind, detail, floor, stop)
		if next == 0 || err != nil {
			return err
		}
		last, at, floor = Record{}, next, next
	}
	return nil
}

// blame finds out what is wrong where rec is no record that leads to another
// one: itself, the length of the record before, or the lengths of texts. It
// returns where the next record is, 0 if there is none.
func (in *inspector) blame(rec, last *Record, kind Kind, detail string, floor, stop int64) (next int64, err error) {
	likely := rec.Length != unread && (rec.Txn == in.txn || rec.TID == in.h.tid || *rec == Record{Offset: rec.Offset}) // zeros are no text
	if likely {
		floor = rec.Offset + 1
	}
	if next, err = in.next(floor, stop, stop); err != nil {
		return 0, err
	}
	end := next // of what stands before
	if next == 0 {
		end = stop
	}
	switch {
	case likely && oneByte(end-rec.DataOffset(), rec.Length):
		in.reportSize(rec, end)
	case !likely && last.Offset != 0 && (end < rec.Offset || oneByte(end-last.DataOffset(), last.Length)):
		in.reportSize(last, end)
	case !likely && last.Offset == 0 && in.textsExplain(end-rec.Offset):
		in.reportTexts(end)
	default:
		in.report(rec.Offset, kind, detail)
	}
	return next, nil
}

// textsExplain reports whether a single byte of the lengths of the texts, if it
// was another, made the header so many bytes shorter than it is.
func (in *inspector) textsExplain(by int64) bool {
	for _, n := range []int{in.h.userLen, in.h.descLen, in.h.extensionLen} {
		if want := int64(n) + by; want >= 0 && want <= MaxMetadata && oneByte(int64(n), want) {
			return true
		}
	}
	return false
}

// unread is the length of a record that there was no room for.
const unread = -1

// at reads the record at an offset, and says what is wrong with it. It is sized
// if its length is one that can be.
func (in *inspector) at(rec *Record, at, stop int64) (kind Kind, detail string, sized bool, err error) {
	*rec = Record{Offset: at, Length: unread}
	if stop-at < recordHeaderSize {
		return KindRecord, fmt.Sprintf("%d bytes left in the transaction, less than a record header", stop-at), false, nil
	}
	var b [recordHeaderSize + backPointerSize]byte
	if err := in.w.small(at, b[:min(stop-at, int64(len(b)))]); err != nil {
		return "", "", false, err
	}
	kind, detail = decodeRecord(rec, b[:], at)
	sized = rec.Length >= 0 && rec.Length <= maxLength && at+rec.Size() <= stop
	if kind == "" {
		kind, detail = checkRecord(rec, b[:], in.txn, stop-at)
	} else if back := binary.BigEndian.Uint64(b[recordHeaderSize:]); rec.Length == 0 && back < uint64(at) {
		rec.Back = int64(back)
	}
	return kind, detail, sized, nil
}

// sound reports whether there is a record of the transaction at an offset.
func (in *inspector) sound(at, stop int64) bool {
	var rec Record
	kind, _, _, err := in.at(&rec, at, stop)
	return err == nil && kind == ""
}

// plausible reports whether there may be a record of the transaction at an
// offset, with something wrong or not.
func (in *inspector) plausible(at, stop int64) bool {
	var rec Record
	kind, _, sized, err := in.at(&rec, at, stop)
	return err == nil && sized && kind != KindVersion && (rec.Txn == in.txn || rec.TID == in.h.tid)
}

// chain returns where the records end that follow each other from start on.
func (in *inspector) chain(start int64) (int64, error) {
	for at := start; ; {
		var rec Record
		kind, _, _, err := in.at(&rec, at, in.w.end)
		if err != nil || kind != "" {
			return at, err
		}
		at += rec.Size()
	}
}

// next returns where the first record in [from, to) starts that leads to another
// one or to stop; 0 if there is none.
func (in *inspector) next(from, to, stop int64) (int64, error) {
	const tlocAt = 24
	want := [8]byte(binary.BigEndian.AppendUint64(nil, uint64(in.txn)))
	for pos := from; pos < to && pos+recordHeaderSize <= stop; {
		n := min(windowSize, stop-pos, to-pos+tlocAt+int64(len(want)))
		b, err := in.w.bytes(pos, int(n))
		if err != nil {
			return 0, err
		}
		for i := tlocAt; i+len(want) <= len(b); i++ {
			if b[i+7] != want[7] || [8]byte(b[i:]) != want {
				continue
			}
			var rec Record
			at := pos + int64(i) - tlocAt
			kind, _, _, err := in.at(&rec, at, stop)
			if err != nil {
				return 0, err
			}
			if end := at + rec.Size(); at < to && kind == "" && (end == stop || in.sound(end, stop)) {
				return at, nil
			}
		}
		if pos+n >= stop {
			break
		}
		pos += max(1, n-recordHeaderSize)
	}
	return 0, nil
}

// lengthAt returns the number in the 8 bytes at an offset, 0 if they are not
// there.
func (in *inspector) lengthAt(off int64) uint64 {
	var b [trailerSize]byte
	if err := in.w.small(off, b[:]); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0
	}
	return binary.BigEndian.Uint64(b[:])
}

func (in *inspector) reportTexts(first int64) {
	in.report(in.txn, KindTexts, fmt.Sprintf("the header takes %d bytes with its texts, but they end after %d",
		txnHeaderSize+in.h.metadata(), first-in.txn))
}

func (in *inspector) reportSize(rec *Record, end int64) {
	in.report(rec.Offset, KindRecord, fmt.Sprintf("record says that it has %d bytes of data, it ends after %d", rec.Length, end-rec.DataOffset()))
}

func (in *inspector) report(off int64, kind Kind, detail string) {
	in.v.Flaw(&RecordError{Path: in.path, Offset: off, TID: in.h.tid, Kind: kind, Detail: detail})
}

// oneByte reports whether two numbers differ in a single byte.
func oneByte(a, b int64) bool {
	x := uint64(a ^ b)
	return x != 0 && bits.TrailingZeros64(x)/8 == (63-bits.LeadingZeros64(x))/8
}
