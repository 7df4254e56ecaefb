package wire

import (
	"bytes"

	"zrs/internal/pickle"
)

// An Encoder encodes Begin messages. The others need none. The zero Encoder is
// ready to use.
type Encoder struct {
	converter
	sent                   pickle.Encoder
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

// extension returns the opcodes in which stored is sent, and their form.
func (e *Encoder) extension(stored []byte) ([]byte, ExtensionForm) {
	if len(stored) == 0 {
		return e.empty(), ExtensionPlain
	}
	e.init()
	v, _, err := e.pickles.Decode(stored)
	if err != nil || v.Kind != pickle.Dict {
		return e.empty(), ExtensionDropped
	}
	e.plain, err = e.sent.AppendProtocol1(e.plain[:0], v)
	plain, same := e.arrives(e.plain, stored, err)
	if same {
		return e.plain, ExtensionPlain
	}
	e.spliced, err = pickle.AppendSplice(e.spliced[:0], stored, portable)
	spliced, same := e.arrives(e.spliced, stored, err)
	switch {
	case same:
		return e.spliced, ExtensionSpliced
	case spliced:
		return e.spliced, ExtensionHinted
	case plain:
		return e.plain, ExtensionHinted
	}
	return e.empty(), ExtensionDropped
}

// arrives reports whether a secondary can store the dict that is sent as body,
// unless err says that there is none, and whether it will store the same bytes.
// A secondary of zc.zrs that can't store it hangs for ever.
func (e *Encoder) arrives(body, stored []byte, err error) (ok, same bool) {
	if err != nil {
		return false, false
	}
	e.stored, ok, err = e.toStored(e.stored[:0], body)
	ok = ok && err == nil
	return ok, ok && bytes.Equal(e.stored, stored)
}

func (e *Encoder) empty() []byte {
	e.plain = append(e.plain[:0], emptyDict...)
	return e.plain
}

func (e *Encoder) init() {
	if e.values.Limit == 0 {
		e.converter = newConverter()
		e.sent = pickle.Encoder{Global: portable, Limit: maxPlain}
	}
}
