package wire

import (
	"bytes"
	"errors"
	"fmt"

	"zrs/internal/pickle"
)

// An ExtensionForm is one of the ways in which an extension is sent.
type ExtensionForm uint8

// The forms, best first. A Decoder gets the stored bytes from all of them.
const (
	// ExtensionPlain is the dict as zc.zrs sends it.
	ExtensionPlain ExtensionForm = iota

	// ExtensionSpliced has the stored opcodes. A secondary of zc.zrs stores
	// the same bytes too.
	ExtensionSpliced

	// ExtensionHinted is a dict with a hint. A secondary of zc.zrs stores the
	// same dict in other bytes.
	ExtensionHinted

	// ExtensionDropped is an empty dict with a hint. A secondary of zc.zrs
	// loses the extension, so its primary should warn.
	ExtensionDropped
)

// String returns a word for f.
func (f ExtensionForm) String() string {
	return [...]string{"plain", "spliced", "hinted", "dropped"}[f]
}

const (
	emptyDict   = "}"
	pop         = "0"
	proto3      = "\x80\x03"
	stop        = "."
	emptyStored = 0
)

// maxValues is how many values a message may make. The worst stored extension
// has less than one for each of its bytes, and sent in the worst form two.
const maxValues = 1 << 18

// portable reports whether any Python with a zc.zrs on it can load the class or
// function name, and gets nothing from it but data.
func portable(name []byte) bool {
	switch string(name) {
	case "_codecs\nencode",
		"__builtin__\nset", "__builtin__\nfrozenset", "__builtin__\nbytes",
		"__builtin__\nbytearray", "__builtin__\ncomplex",
		"builtins\nset", "builtins\nfrozenset", "builtins\nbytes",
		"builtins\nbytearray", "builtins\ncomplex",
		"datetime\ndate", "datetime\ndatetime", "datetime\ntime",
		"datetime\ntimedelta", "datetime\ntimezone",
		"decimal\nDecimal", "collections\nOrderedDict":
		return true
	}
	return false
}

// A converter turns extensions as they are sent into extensions as they are
// stored.
type converter struct {
	pickles pickle.Decoder
	values  pickle.Encoder
}

func newConverter() converter {
	return converter{
		pickles: pickle.Decoder{MaxValues: maxValues},
		values:  pickle.Encoder{Global: portable, Limit: MaxField},
	}
}

// store appends what is stored for body, the opcodes of an extension in a
// message. It reports whether that was rebuilt from its value; what can't be is
// stored as it came. The error is [ErrTooLarge] or of package pickle.
func (c *converter) store(b, body []byte) (stored []byte, rebuilt bool, err error) {
	v, err := c.pickles.DecodeBody(body)
	if err != nil {
		return b, false, err
	}
	if stored, err = c.rebuild(b, v); err == nil {
		return stored, true, nil
	}
	if len(proto3)+len(body)+len(stop) > MaxField {
		return b, false, ErrTooLarge
	}
	b = append(b, proto3...)
	b = append(b, body...)
	return append(b, stop...), false, nil
}

// rebuild appends what ZODB on Python 3 stores for v. Where zc.zrs passes a
// bytes object in place of a dict, ZODB takes it for the stored bytes.
func (c *converter) rebuild(b []byte, v *pickle.Value) ([]byte, error) {
	switch {
	case v.Kind == pickle.None, v.Kind == pickle.Dict && len(v.Items) == 0:
		return b, nil
	case v.Kind == pickle.Bytes:
		if len(v.Data) > MaxField {
			return b, ErrTooLarge
		}
		return append(b, v.Data...), nil
	}
	out, err := c.values.AppendProtocol3(append(b, proto3...), v)
	if err != nil {
		return b, err
	}
	if len(out)+len(stop)-len(b) > MaxField {
		return b, ErrTooLarge
	}
	return append(out, stop...), nil
}

// An Encoder encodes Begin messages. The others need none. The zero Encoder is
// ready to use.
type Encoder struct {
	converter
	plain, spliced, stored []byte
}

// AppendBegin appends the payload of m, and says in which form its extension is.
func (e *Encoder) AppendBegin(b []byte, m *Begin) ([]byte, ExtensionForm) {
	b = appendStart(b, 'T')
	b = appendID(b, uint64(m.TID))
	b = pickle.AppendLatin1Text(b, []byte{m.Status})
	b = pickle.AppendBytes(b, m.User)
	b = pickle.AppendBytes(b, m.Description)
	body, form := e.extension(m.Extension)
	if form >= ExtensionHinted {
		b = pickle.AppendLatin1Text(b, m.Extension)
		b = append(b, pop...)
	}
	b = append(b, body...)
	return append(b, messageEnd...), form
}

// extension returns the opcodes in which stored is sent.
func (e *Encoder) extension(stored []byte) ([]byte, ExtensionForm) {
	if len(stored) == 0 {
		return []byte(emptyDict), ExtensionPlain
	}
	if e.values.Limit == 0 {
		e.converter = newConverter()
	}
	v, _, err := e.pickles.Decode(stored)
	if err != nil || v.Kind != pickle.Dict {
		return []byte(emptyDict), ExtensionDropped
	}
	e.plain, err = e.appendPlain(e.plain[:0], v)
	plain, same := err == nil, false
	if plain {
		if plain, same = e.rebuilds(e.plain, stored); same {
			return e.plain, ExtensionPlain
		}
	}
	e.spliced, err = pickle.AppendSplice(e.spliced[:0], stored, portable)
	if err == nil {
		spliced, same := e.rebuilds(e.spliced, stored)
		if same {
			return e.spliced, ExtensionSpliced
		}
		if spliced {
			return e.spliced, ExtensionHinted
		}
	}
	if plain {
		return e.plain, ExtensionHinted
	}
	return []byte(emptyDict), ExtensionDropped
}

// appendPlain appends v as zc.zrs sends it.
func (e *Encoder) appendPlain(b []byte, v *pickle.Value) ([]byte, error) {
	e.values.Limit = maxPlain
	defer func() { e.values.Limit = MaxField }()
	return e.values.AppendProtocol1(b, v)
}

// rebuilds reports whether a secondary can store what it is sent as body, and
// whether that is the same as stored.
func (e *Encoder) rebuilds(body, stored []byte) (ok, same bool) {
	var err error
	e.stored, ok, err = e.store(e.stored[:0], body)
	return ok && err == nil, ok && err == nil && bytes.Equal(e.stored, stored)
}
