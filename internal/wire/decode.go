package wire

import "zrs/internal/pickle"

// A Decoder decodes messages. The zero Decoder is ready to use.
type Decoder struct {
	converter
	begin  Begin
	store  Store
	blob   Blob
	commit Commit

	user, description, extension []byte
}

// Decode decodes one payload. The message and its slices belong to the Decoder
// and are valid until the next call; they don't alias the payload.
//
// Errors are of type [*MessageError], and wrap [ErrEmptyMessage], [ErrMalformed]
// or [ErrTooLarge], or of type [*FrameError].
func (d *Decoder) Decode(payload []byte) (Message, error) {
	if len(payload) > MaxMessage {
		return nil, &FrameError{Size: int64(len(payload)), Limit: MaxMessage}
	}
	if len(payload) == 0 {
		return nil, &MessageError{Err: ErrEmptyMessage}
	}
	if m, ok := d.decodeRecommended(payload); ok {
		return m, nil
	}
	return d.decodePickle(payload)
}

// init makes the pickle machine ready, which few messages need.
func (d *Decoder) init() {
	if d.values.Limit == 0 {
		d.converter = newConverter()
	}
}

// decodeRecommended decodes a message in the form that zrs and zc.zrs on Python
// 3 write. It gives up at the first difference: decodePickle knows the reasons.
func (d *Decoder) decodeRecommended(payload []byte) (Message, bool) {
	c := cursor{rest: payload}
	c.skip(messageStart)
	letter := c.byte()
	c.skip(fieldsStart)
	switch letter {
	case 'T':
		return &d.begin, d.decodeBegin(&c)
	case 'S':
		c.store(&d.store)
		return &d.store, c.end()
	case 'B':
		c.store(&d.blob.Store)
		d.blob.Blocks = c.uint()
		return &d.blob, c.end()
	case 'C':
		text := c.bytes()
		b, ok := pickle.AppendLatin1(d.commit.Digest[:0], text)
		return &d.commit, ok && len(b) == len(d.commit.Digest) && c.end()
	}
	return nil, false
}

func (d *Decoder) decodeBegin(c *cursor) bool {
	m := &d.begin
	m.TID = c.tid()
	status, ok := pickle.AppendLatin1(d.user[:0], c.text())
	if !ok || len(status) != 1 {
		return false
	}
	m.Status = status[0]
	if d.user, ok = pickle.AppendLatin1(d.user[:0], c.bytes()); !ok {
		return false
	}
	if d.description, ok = pickle.AppendLatin1(d.description[:0], c.bytes()); !ok {
		return false
	}
	if c.failed || len(d.user) > MaxField || len(d.description) > MaxField {
		return false
	}
	m.User, m.Description = d.user, d.description
	return d.decodeExtension(c)
}

// decodeExtension decodes the last field of a T message, and the hint before it
// if there is one.
func (d *Decoder) decodeExtension(c *cursor) bool {
	hint, hinted := c.hint()
	body, ok := c.body()
	if !ok {
		return false
	}
	if hinted {
		if d.extension, ok = pickle.AppendLatin1(d.extension[:0], hint); !ok || len(d.extension) > MaxField {
			return false
		}
	}
	switch {
	case string(body) == emptyDict && hinted:
	case string(body) == emptyDict:
		d.extension = d.extension[:0]
	case hinted:
		d.init()
		if _, err := d.pickles.DecodeBody(body); err != nil {
			return false
		}
	default:
		var err error
		d.init()
		if d.extension, _, err = d.toStored(d.extension[:0], body); err != nil {
			return false
		}
	}
	d.begin.Extension = d.extension
	return true
}
