package fs

import (
	"encoding/binary"
	"fmt"
)

// Sizes of the fixed parts of a data file, in bytes.
//
//	transaction                             record
//	 0  8  TID                               0  8  OID
//	 8  8  stored length                     8  8  TID of this revision
//	16  1  status                           16  8  offset of the previous record of the OID
//	17  2  bytes of user                    24  8  offset of the transaction
//	19  2  bytes of description             32  2  version length, always 0
//	21  2  bytes of extension               34  8  bytes of data, 0: a back pointer follows
//	23     user, description, extension     42     data, or 8 bytes of back pointer
//	       records
//	       stored length again, 8 bytes
const (
	magicSize        = 4
	txnHeaderSize    = 8 + 8 + 1 + 2 + 2 + 2
	trailerSize      = 8
	recordHeaderSize = 8 + 8 + 8 + 8 + 2 + 8
	backPointerSize  = 8

	statusOffset = 16 // of the status byte in a transaction header
	lengthOffset = 8  // of the stored length in a transaction header
)

// FirstOffset is the offset of the first transaction of a data file.
const FirstOffset int64 = magicSize

// MaxMetadata is the greatest length of a transaction's user, description or
// extension, in bytes: the header has 16 bits for each.
const MaxMetadata = 0xffff

// A Magic is the first four bytes of a data file.
type Magic [magicSize]byte

// The formats that zrs reads. They have the same layout; the magic tells what
// pickles to expect.
var (
	MagicPython3 = Magic{'F', 'S', '3', '0'} // ZODB on Python 3: read and written
	MagicPython2 = Magic{'F', 'S', '2', '1'} // ZODB on Python 2: read only
)

// Status is the status byte of a transaction.
type Status byte

// The statuses of a sound file. Any other is damage.
const (
	StatusComplete   Status = ' ' // committed
	StatusPacked     Status = 'p' // committed, and rewritten by a pack
	StatusCheckpoint Status = 'c' // voted but not finished: legitimate only at the end of the file
	StatusUndone     Status = 'u' // obsolete, its records do not count; no current ZODB writes it
)

// Final reports whether a transaction of this status is finished.
func (s Status) Final() bool {
	return s == StatusComplete || s == StatusPacked || s == StatusUndone
}

// Name returns the word for s in output: complete, packed or undone, or the
// character of one that is not final.
func (s Status) Name() string {
	switch s {
	case StatusComplete:
		return "complete"
	case StatusPacked:
		return "packed"
	case StatusUndone:
		return "undone"
	}
	return string(rune(s))
}

// A TxnHeader is the start of a transaction. The byte slices are raw bytes:
// ZODB writes UTF-8 text and a pickled dict, but files hold other things too.
type TxnHeader struct {
	TID         TID
	Length      uint64 // stored length: 8 less than the bytes the transaction takes
	Status      Status
	User        []byte
	Description []byte
	Extension   []byte
}

// Size returns the bytes that the header takes, with its three texts.
func (h *TxnHeader) Size() int64 {
	return txnHeaderSize + int64(len(h.User)+len(h.Description)+len(h.Extension))
}

// AppendTo appends the header as it is on disk. Each text must be at most
// [MaxMetadata] bytes long.
func (h *TxnHeader) AppendTo(b []byte) []byte {
	b = h.TID.AppendTo(b)
	b = binary.BigEndian.AppendUint64(b, h.Length)
	b = append(b, byte(h.Status))
	b = binary.BigEndian.AppendUint16(b, uint16(len(h.User)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(h.Description)))
	b = binary.BigEndian.AppendUint16(b, uint16(len(h.Extension)))
	b = append(b, h.User...)
	b = append(b, h.Description...)
	return append(b, h.Extension...)
}

// fixedHeader is the part of a transaction header that has a fixed size.
type fixedHeader struct {
	tid                            TID
	length                         uint64
	status                         Status
	userLen, descLen, extensionLen int
}

func decodeFixedHeader(b []byte) fixedHeader {
	_ = b[txnHeaderSize-1]
	return fixedHeader{
		tid:          TIDFromBytes(b),
		length:       binary.BigEndian.Uint64(b[8:]),
		status:       Status(b[statusOffset]),
		userLen:      int(binary.BigEndian.Uint16(b[17:])),
		descLen:      int(binary.BigEndian.Uint16(b[19:])),
		extensionLen: int(binary.BigEndian.Uint16(b[21:])),
	}
}

// metadata is the number of bytes of the three texts.
func (h *fixedHeader) metadata() int { return h.userLen + h.descLen + h.extensionLen }

// check returns what is wrong with a finished transaction's header at offset
// pos of a file that may be read up to end. It returns "" if nothing is.
func (h *fixedHeader) check(pos, end int64) (Kind, string) {
	least := uint64(txnHeaderSize + h.metadata())
	switch {
	case !h.status.Final():
		return KindStatus, fmt.Sprintf("status is %q", byte(h.status))
	case h.length < least:
		return KindLength, fmt.Sprintf("stored length is %d, the header alone takes %d", h.length, least)
	case end-pos < trailerSize || h.length > uint64(end-pos-trailerSize):
		return KindLength, fmt.Sprintf("stored length is %d, the file has %d more bytes", h.length, end-pos)
	}
	return "", ""
}

// A Record is one object's revision in a transaction: a data record's header
// and where it is. The data itself is read through the reader that found it.
type Record struct {
	Offset int64 // of the record's header in the file
	OID    OID
	TID    TID   // of this revision; the transaction's, unless the file is damaged
	Prev   int64 // offset of the previous record of the OID, 0: none, or packed away
	Txn    int64 // offset of the transaction ("tloc")
	Length int64 // bytes of data; 0: Back holds
	Back   int64 // offset of the record that has the data; 0: the object is gone
}

// Size returns the bytes that the record takes in the file.
func (r *Record) Size() int64 { return recordHeaderSize + max(r.Length, 0) + r.backSize() }

// DataOffset returns the offset of the record's data.
func (r *Record) DataOffset() int64 { return r.Offset + recordHeaderSize }

func (r *Record) backSize() int64 {
	if r.Length == 0 {
		return backPointerSize
	}
	return 0
}

// appendHeader appends the record's header as it is on disk, with the back
// pointer if there is one, but not the data.
func (r *Record) appendHeader(b []byte) []byte {
	b = r.OID.AppendTo(b)
	b = r.TID.AppendTo(b)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Prev))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Txn))
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Length))
	if r.Length == 0 {
		b = binary.BigEndian.AppendUint64(b, uint64(r.Back))
	}
	return b
}

// decodeRecord fills r from a record header at offset pos. All but the back
// pointer is set; a version length or an offset that cannot be is reported.
func decodeRecord(r *Record, b []byte, pos int64) (Kind, string) {
	_ = b[recordHeaderSize-1]
	prev, txn := binary.BigEndian.Uint64(b[16:]), binary.BigEndian.Uint64(b[24:])
	version, length := binary.BigEndian.Uint16(b[32:]), binary.BigEndian.Uint64(b[34:])
	*r = Record{
		Offset: pos,
		OID:    OIDFromBytes(b),
		TID:    TIDFromBytes(b[8:]),
		Prev:   int64(prev),
		Txn:    int64(txn),
		Length: int64(length),
	}
	switch {
	case version != 0:
		return KindVersion, fmt.Sprintf("version record (of ZODB before 3.9) or damaged version length %d", version)
	case txn >= uint64(pos):
		return KindTxnOffset, fmt.Sprintf("record says that its transaction is at %d", txn)
	case prev >= uint64(pos):
		return KindPrevious, fmt.Sprintf("record says that its predecessor is at %d", prev)
	case length > maxLength:
		return KindRecord, fmt.Sprintf("record says that it has %d bytes of data", length)
	}
	return "", ""
}

// maxLength bounds lengths read from a file so that sums of a few of them and
// an offset cannot overflow; no file system has files that large.
const maxLength = 1 << 60
