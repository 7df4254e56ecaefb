package wire

import (
	"errors"
	"fmt"

	"zrs/internal/fs"
	"zrs/internal/pickle"
)

// decodePickle decodes a message in whatever form a pickler gave it: Python 2
// str or Python 3 bytes, tuples or lists, any protocol, memo or not. What it
// takes besides is what zc.zrs takes: text for bytes and bytes for text where it
// does no harm.
func (d *Decoder) decodePickle(payload []byte) (Message, error) {
	d.init()
	root, n, err := d.pickles.Decode(payload)
	if err != nil {
		return nil, &MessageError{Err: fmt.Errorf("%w: %w", ErrMalformed, err)}
	}
	if n != len(payload) {
		return nil, &MessageError{Err: malformed("bytes after the pickle")}
	}
	letter, items, err := pair(root)
	if err != nil {
		return nil, err
	}
	f := fields{letter: letter, items: items}
	var m Message
	switch letter {
	case 'T':
		d.begin = Begin{}
		f.begin(d, payload)
		m = &d.begin
	case 'S':
		f.want(4)
		d.store = f.store()
		m = &d.store
	case 'B':
		f.want(5)
		d.blob = Blob{Store: f.store(), Blocks: f.blocks(4)}
		m = &d.blob
	case 'C':
		f.want(1)
		copy(d.commit.Digest[:], f.exactly("digest", 0, len(d.commit.Digest)))
		m = &d.commit
	default:
		return nil, &MessageError{Err: malformed(fmt.Sprintf("unknown letter %q", letter))}
	}
	if f.err != nil {
		return nil, f.err
	}
	return m, nil
}

// pair takes a message apart into its letter and its fields.
func pair(root *pickle.Value) (byte, []*pickle.Value, error) {
	if !isSequence(root) || len(root.Items) != 2 {
		return 0, nil, &MessageError{Err: malformed("not a pair")}
	}
	letter, list := root.Items[0], root.Items[1]
	if !isString(letter) || len(letter.Data) != 1 {
		return 0, nil, &MessageError{Err: malformed("no letter")}
	}
	if !isSequence(list) {
		return 0, nil, &MessageError{Err: malformed("no fields")}
	}
	return letter.Data[0], list.Items, nil
}

func isSequence(v *pickle.Value) bool { return v.Kind == pickle.Tuple || v.Kind == pickle.List }

func isBytes(v *pickle.Value) bool { return v.Kind == pickle.Bytes || v.Kind == pickle.Str }

func isString(v *pickle.Value) bool { return v.Kind == pickle.Text || isBytes(v) }

// fields are the fields of a message. The first that is not as it should be is
// remembered, and what is read after that doesn't count.
type fields struct {
	letter byte
	items  []*pickle.Value
	err    error
}

func (f *fields) fail(field string, err error) {
	if f.err == nil {
		f.err = &MessageError{Letter: f.letter, Field: field, Err: err}
	}
}

func (f *fields) want(n int) {
	if len(f.items) != n {
		f.fail("", malformed(fmt.Sprintf("%d fields, want %d", len(f.items), n)))
	}
}

// exactly returns the n bytes of a field.
func (f *fields) exactly(field string, i, n int) []byte {
	if f.err != nil {
		return nil
	}
	v := f.items[i]
	if !isBytes(v) {
		f.fail(field, malformed("not bytes"))
		return nil
	}
	if len(v.Data) != n {
		f.fail(field, malformed(fmt.Sprintf("%d bytes, want %d", len(v.Data), n)))
		return nil
	}
	return v.Data
}

func (f *fields) tid(field string, i int) fs.TID {
	if b := f.exactly(field, i, 8); b != nil {
		return fs.TIDFromBytes(b)
	}
	return 0
}

// store reads the fields that S and B messages share.
func (f *fields) store() Store {
	m := Store{OID: fs.OID(f.tid("oid", 0)), TID: f.tid("tid", 1)}
	if f.err != nil {
		return m
	}
	if v := f.items[2]; !isString(v) || len(v.Data) != 0 {
		f.fail("version", malformed("not empty"))
	}
	if f.items[3].Kind != pickle.None {
		m.DataTxn, m.HasDataTxn = f.tid("data transaction", 3), true
	}
	return m
}

func (f *fields) blocks(i int) int64 {
	if f.err != nil {
		return 0
	}
	if v := f.items[i]; v.Kind == pickle.Int && v.Int >= 0 {
		return v.Int
	}
	f.fail("blocks", malformed("not a count"))
	return 0
}

// begin reads a T message into d.
func (f *fields) begin(d *Decoder, payload []byte) {
	f.want(5)
	d.begin.TID = f.tid("tid", 0)
	d.begin.Status = f.status(1)
	d.user = f.header(d.user, "user", 2)
	d.description = f.header(d.description, "description", 3)
	if f.err != nil {
		return
	}
	d.begin.User, d.begin.Description = d.user, d.description
	var err error
	d.extension, err = d.rebuildOrSplice(d.extension[:0], f.items[4], payload)
	if err != nil {
		f.fail("extension", err)
	}
	d.begin.Extension = d.extension
}

func (f *fields) status(i int) byte {
	if f.err != nil {
		return 0
	}
	v := f.items[i]
	data := v.Data
	if v.Kind == pickle.Text {
		data, _ = pickle.AppendLatin1(nil, data)
	}
	if !isString(v) || len(data) != 1 {
		f.fail("status", malformed("not one character"))
		return 0
	}
	return data[0]
}

// header copies a field that goes into the header of the transaction.
func (f *fields) header(b []byte, field string, i int) []byte {
	b = b[:0]
	if f.err != nil {
		return b
	}
	v := f.items[i]
	if !isString(v) {
		f.fail(field, malformed("not a string"))
		return b
	}
	if len(v.Data) > MaxField {
		f.fail(field, ErrTooLarge)
		return b
	}
	return append(b, v.Data...)
}

// rebuildOrSplice appends what is stored for the extension v of a message. What
// can't be rebuilt is stored in the opcodes it came in, if those are complete
// without the rest of the message.
func (d *Decoder) rebuildOrSplice(b []byte, v *pickle.Value, payload []byte) ([]byte, error) {
	out, err := d.rebuild(b, v)
	if err == nil {
		return out, nil
	}
	out, _, spliceErr := d.toStored(b, payload[v.Off:v.End])
	switch {
	case spliceErr == nil:
		return out, nil
	case errors.Is(err, pickle.ErrLimit), errors.Is(err, ErrTooLarge), errors.Is(spliceErr, ErrTooLarge):
		return b, ErrTooLarge
	}
	return b, fmt.Errorf("%w: %w", ErrMalformed, err)
}
