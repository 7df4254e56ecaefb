package wire

import (
	"zrs/internal/fs"
	"zrs/internal/pickle"
)

// A Message is one of [*Begin], [*Store], [*Blob] and [*Commit].
type Message interface {
	// AppendTo appends the message's payload, without a frame header.
	AppendTo(b []byte) []byte
	letter() byte
}

// A Begin starts a transaction (T). The fields have the bytes of the header in
// the data file, and no more than MaxField of them.
type Begin struct {
	TID               fs.TID
	Status            byte
	User, Description []byte

	// Extension is the extension as it is stored, a pickle or empty. How it
	// is sent is the Encoder's business.
	Extension []byte
}

// MaxField is the largest size of a user, description or extension: the header
// of a transaction has 16 bits for it.
const MaxField = 65535

// A Store is a data record (S). The data follows in a frame of its own.
type Store struct {
	OID fs.OID
	TID fs.TID

	// DataTxn is the transaction that has the same data of the object, if
	// HasDataTxn: the record is a back pointer in the primary's file. It is a
	// hint. The data is sent all the same.
	DataTxn    fs.TID
	HasDataTxn bool
}

// A Blob is the data record of a blob (B). The data follows in a frame of its
// own, and the blob in so many Blocks.
type Blob struct {
	Store
	Blocks int64 // not negative
}

// A Commit ends a transaction (C).
type Commit struct {
	Digest [DigestSize]byte // of all payloads before this message
}

func (*Begin) letter() byte  { return 'T' }
func (*Store) letter() byte  { return 'S' }
func (*Blob) letter() byte   { return 'B' }
func (*Commit) letter() byte { return 'C' }

// What stands around the fields of a message.
const (
	messageStart = "(X\x01\x00\x00\x00" // and the letter
	fieldsStart  = "("
	emptyText    = "X\x00\x00\x00\x00"
	noDataTxn    = "N"
	messageEnd   = "tt."
)

func appendStart(b []byte, letter byte) []byte {
	b = append(b, messageStart...)
	b = append(b, letter)
	return append(b, fieldsStart...)
}

// AppendTo appends m with an Encoder of its own. Where there are many messages,
// or the form of the extension matters, use one.
func (m *Begin) AppendTo(b []byte) []byte {
	var e Encoder
	b, _ = e.AppendBegin(b, m)
	return b
}

// AppendTo appends the payload of m.
func (m *Store) AppendTo(b []byte) []byte {
	b = m.appendFields(b, 'S')
	return append(b, messageEnd...)
}

// AppendTo appends the payload of m.
func (m *Blob) AppendTo(b []byte) []byte {
	b = m.appendFields(b, 'B')
	b = pickle.AppendInt(b, m.Blocks)
	return append(b, messageEnd...)
}

func (m *Store) appendFields(b []byte, letter byte) []byte {
	b = appendStart(b, letter)
	b = appendID(b, uint64(m.OID))
	b = appendID(b, uint64(m.TID))
	b = append(b, emptyText...) // the version, which FileStorage has no more
	if !m.HasDataTxn {
		return append(b, noDataTxn...)
	}
	return appendID(b, uint64(m.DataTxn))
}

// AppendTo appends the payload of m.
func (m *Commit) AppendTo(b []byte) []byte {
	b = appendStart(b, 'C')
	b = pickle.AppendBytes(b, m.Digest[:])
	return append(b, messageEnd...)
}

func appendID(b []byte, id uint64) []byte {
	var raw [8]byte
	return pickle.AppendBytes(b, fs.TID(id).AppendTo(raw[:0]))
}
