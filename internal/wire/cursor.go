package wire

import (
	"encoding/binary"

	"zrs/internal/fs"
	"zrs/internal/pickle"
)

// A cursor reads a message in the recommended form from left to right. Once it
// failed it returns zeros.
type cursor struct {
	rest   []byte
	failed bool
}

func (c *cursor) fail() {
	*c = cursor{failed: true}
}

// end reports whether the message ends here, as it should.
func (c *cursor) end() bool {
	c.skip(messageEnd)
	return !c.failed && len(c.rest) == 0
}

func (c *cursor) skip(s string) {
	if !c.at(s) {
		c.fail()
		return
	}
	c.rest = c.rest[len(s):]
}

func (c *cursor) at(s string) bool {
	return len(c.rest) >= len(s) && string(c.rest[:len(s)]) == s
}

// take returns the next n bytes.
func (c *cursor) take(n int) []byte {
	if n > len(c.rest) {
		c.fail()
		return nil
	}
	b := c.rest[:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) byte() byte {
	if b := c.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

// text reads text, which is not checked to be UTF-8.
func (c *cursor) text() []byte { return c.cut(pickle.CutText(c.rest)) }

// bytes reads bytes, and returns the text they are sent as.
func (c *cursor) bytes() []byte { return c.cut(pickle.CutBytes(c.rest)) }

func (c *cursor) cut(text, rest []byte, ok bool) []byte {
	if !ok {
		c.fail()
		return nil
	}
	c.rest = rest
	return text
}

// id reads 8 bytes.
func (c *cursor) id() uint64 {
	text := c.bytes()
	var raw [16]byte
	if len(text) > len(raw) {
		c.fail()
		return 0
	}
	b, ok := pickle.AppendLatin1(raw[:0], text)
	if !ok || len(b) != 8 {
		c.fail()
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

func (c *cursor) tid() fs.TID { return fs.TID(c.id()) }

// store reads the fields that S and B messages share.
func (c *cursor) store(m *Store) {
	m.OID = fs.OID(c.id())
	m.TID = c.tid()
	c.skip(emptyText)
	m.HasDataTxn = !c.at(noDataTxn)
	m.DataTxn = 0
	if m.HasDataTxn {
		m.DataTxn = c.tid()
	} else {
		c.skip(noDataTxn)
	}
}

// uint reads a number that is not negative, in one of the binary forms.
func (c *cursor) uint() int64 {
	switch c.byte() {
	case 'K':
		return int64(c.byte())
	case 'M':
		if b := c.take(2); !c.failed {
			return int64(binary.LittleEndian.Uint16(b))
		}
	case 'J':
		if b := c.take(4); !c.failed && b[3] < 0x80 {
			return int64(binary.LittleEndian.Uint32(b))
		}
	}
	c.fail()
	return 0
}

// hint reads a text that is popped at once, if there is one.
func (c *cursor) hint() ([]byte, bool) {
	ahead := *c
	text := ahead.text()
	ahead.skip(pop)
	if ahead.failed {
		return nil, false
	}
	*c = ahead
	return text, true
}

// body reads all that is before the end of the message.
func (c *cursor) body() ([]byte, bool) {
	n := len(c.rest) - len(messageEnd)
	if n <= 0 || string(c.rest[n:]) != messageEnd {
		return nil, false
	}
	return c.rest[:n], true
}
