// Package plant makes damaged data files, for tests: one after the other with
// something wrong at every field of the format. It knows the layout by itself, so
// that what tests say about zrs does not rest on zrs.
package plant

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
)

// A File is a data file with one thing wrong.
type File struct {
	Name   string
	Data   []byte
	Field  Field
	Offset int64 // of the transaction or record that has it
	Index  bool  // it may show only in an index of the file as it was
	Hidden bool  // no structure shows it
}

// A Field is one of the format.
type Field string

// The fields of transactions and records.
const (
	TID         Field = "txn-tid"
	Length      Field = "txn-length"
	Status      Field = "txn-status"
	UserLen     Field = "txn-user-length"
	DescLen     Field = "txn-description-length"
	ExtLen      Field = "txn-extension-length"
	Texts       Field = "txn-texts"
	Trailer     Field = "txn-redundant-length"
	OID         Field = "record-oid"
	RecordTID   Field = "record-tid"
	Prev        Field = "record-prev"
	Txn         Field = "record-txn-offset"
	VersionLen  Field = "record-version-length"
	DataLen     Field = "record-data-length"
	Data        Field = "record-data"
	Back        Field = "record-back-pointer"
	txnHeader         = 23
	recHeader         = 42
	firstOffset       = 4
	lengthBytes       = 8
	statusByte        = 16
	textLengths       = 17
)

// A Transaction is where one is in a sound file.
type Transaction struct {
	Offset, End int
	Texts       int // where the header ends
	Records     []Record
}

// A Record is where one is.
type Record struct {
	Offset, End int
	OID         uint64
	DataLen     int // 0: a back pointer
}

// Parse tells where everything is in a sound file.
func Parse(b []byte) (txns []Transaction) {
	be := binary.BigEndian
	for at := firstOffset; at < len(b); {
		h := b[at:]
		t := Transaction{Offset: at, End: at + int(be.Uint64(h[8:])) + lengthBytes}
		t.Texts = at + txnHeader + int(be.Uint16(h[17:])) + int(be.Uint16(h[19:])) + int(be.Uint16(h[21:]))
		for rec := t.Texts; rec < t.End-lengthBytes; {
			n := int(be.Uint64(b[rec+34:]))
			end := rec + recHeader + n
			if n == 0 {
				end += 8
			}
			t.Records = append(t.Records, Record{rec, end, be.Uint64(b[rec:]), n})
			rec = end
		}
		txns = append(txns, t)
		at = t.End
	}
	return txns
}

// A place is where a field is.
type place struct {
	field      Field
	start, end int
	owner      int
	records    int // of the transaction
}

func places(txns []Transaction) (all []place) {
	for _, t := range txns {
		add := func(f Field, start, size, owner int) {
			if size > 0 {
				all = append(all, place{f, start, start + size, owner, len(t.Records)})
			}
		}
		at := t.Offset
		add(TID, at, 8, at)
		add(Length, at+8, 8, at)
		add(Status, at+statusByte, 1, at)
		add(UserLen, at+textLengths, 2, at)
		add(DescLen, at+textLengths+2, 2, at)
		add(ExtLen, at+textLengths+4, 2, at)
		add(Texts, at+txnHeader, t.Texts-at-txnHeader, at)
		for _, r := range t.Records {
			at := r.Offset
			add(OID, at, 8, at)
			add(RecordTID, at+8, 8, at)
			add(Prev, at+16, 8, at)
			add(Txn, at+24, 8, at)
			add(VersionLen, at+32, 2, at)
			add(DataLen, at+34, 8, at)
			if r.DataLen > 0 {
				add(Data, at+recHeader, r.DataLen, at)
			} else {
				add(Back, at+recHeader, 8, at)
			}
		}
		add(Trailer, t.End-lengthBytes, lengthBytes, at)
	}
	return all
}

// Flips ranges over the files that differ from base, a sound one, in one bit:
// each bit of each field, but of texts and data, where nothing can be seen, only
// one of each. Every is how many bits of a field are left out after each.
func Flips(base []byte, every int) iter.Seq[File] {
	txns := Parse(base)
	return func(yield func(File) bool) {
		for _, p := range places(txns) {
			bits := (p.end - p.start) * 8
			step := 1 + every
			if p.field == Texts || p.field == Data {
				step = bits
			}
			for bit := 0; bit < bits; bit += step {
				f := File{Name: fmt.Sprintf("%s-at-%d-bit-%d", p.field, p.owner, bit), Field: p.field, Offset: int64(p.owner)}
				f.Data = bytes.Clone(base)
				f.Data[p.start+bit/8] ^= 1 << (7 - bit%8)
				f.judge(base, &p, txns)
				if !yield(f) {
					return
				}
			}
		}
	}
}

// judge finds out what can't be seen.
func (f *File) judge(base []byte, p *place, txns []Transaction) {
	be := binary.BigEndian
	switch f.Field {
	case Texts, Data:
		f.Hidden = true
	case TID:
		f.Hidden = p.records == 0 // unless it leaves the order
	case OID:
		f.Index = true
	case DataLen:
		// A back pointer of 8 bytes becomes data of 8 bytes.
		f.Hidden = be.Uint64(base[p.start:]) == 0 && be.Uint64(f.Data[p.start:]) == 8
		// Data may swallow the records behind it whole.
		end := p.start + lengthBytes + int(be.Uint64(f.Data[p.start:]))
		for _, t := range txns {
			for _, r := range t.Records {
				f.Index = f.Index || r.End == end
			}
		}
	case Back:
		// A back pointer may lead to another revision of the object.
		to := int(be.Uint64(f.Data[p.start:]))
		for _, t := range txns {
			for _, r := range t.Records {
				if r.Offset == to && r.OID == be.Uint64(base[p.owner:]) && to < p.owner {
					f.Hidden = true
				}
			}
		}
		f.Hidden = f.Hidden || to == 0
	}
}
