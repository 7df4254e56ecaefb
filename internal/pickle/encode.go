package pickle

import (
	"encoding/binary"
	"fmt"
)

// An Encoder writes values. The zero Encoder is ready to use.
type Encoder struct {
	// Global reports whether the class or function name, "module\nname", may
	// be written; nil means any.
	Global func(name []byte) bool

	// Limit is how many bytes a value may take; 0 means MaxInput. A small
	// pickle can be a large value, by referring to the same part again.
	Limit int

	protocol int // 1 or 3
	out      []byte
	stack    []open
	memo     map[identity]int
}

// An open is a container that is being written.
type open struct {
	v    *Value
	next int // the item of v to write next
}

// An identity tells values apart as Python does. Most are their own. What an
// interpreter has only once, however often a pickle makes it, goes by content:
// names, and text and bytes of length 0 and 1.
type identity struct {
	v       *Value
	kind    Kind
	content string
}

// AppendProtocol1 appends the opcodes that make v as zc.zrs sends it, in
// protocol 1 without memo. There is no STOP at the end.
//
// Like AppendProtocol3 it returns b and [ErrUnsupported] or [ErrLimit] if v is
// or contains anything but None, numbers, text, bytes, tuples, lists, dicts,
// names and results of calls. Str it writes as text if it is ASCII, else as
// bytes.
func (e *Encoder) AppendProtocol1(b []byte, v *Value) ([]byte, error) { return e.encode(b, v, 1) }

// AppendProtocol3 appends the opcodes that make v as ZODB stores it (zodbpickle,
// protocol 3 with memo). There is no PROTO at the start and no STOP at the end.
// A Str is not supported: what Python 2 wrote, it wrote by other rules.
func (e *Encoder) AppendProtocol3(b []byte, v *Value) ([]byte, error) { return e.encode(b, v, 3) }

func (e *Encoder) encode(b []byte, v *Value, protocol int) ([]byte, error) {
	if e.memo == nil {
		e.memo = make(map[identity]int)
	}
	clear(e.memo)
	e.protocol, e.out, e.stack = protocol, b, e.stack[:0]
	most := e.Limit
	if most == 0 {
		most = MaxInput
	}
	err := e.value(v)
	for err == nil && len(e.stack) > 0 {
		if len(e.out)-len(b) > most {
			break
		}
		err = e.step()
	}
	out := e.out
	e.out = nil
	if err == nil && len(out)-len(b) > most {
		err = limit("value too large")
	}
	if err != nil {
		return b, err
	}
	return out, nil
}

// step writes one item of the innermost open container, or closes it.
func (e *Encoder) step() error {
	top := &e.stack[len(e.stack)-1]
	v, i := top.v, top.next
	if i == len(v.Items) {
		e.stack = e.stack[:len(e.stack)-1]
		return e.close(v)
	}
	if err := e.separate(v, i); err != nil {
		return err
	}
	top.next++
	return e.value(v.Items[i])
}

// value writes v, or opens it if it is a container.
func (e *Encoder) value(v *Value) error {
	if e.protocol == 3 {
		if n, ok := e.memo[identify(v)]; ok {
			e.out = appendMemo(e.out, opBinGet, opLongBinGet, n)
			return nil
		}
	}
	switch v.Kind {
	case List:
		e.out = append(e.out, opEmptyList)
		e.put(v)
	case Dict:
		e.out = append(e.out, opEmptyDict)
		e.put(v)
	case Tuple, Reduce, Update:
	default:
		return e.scalar(v)
	}
	if len(e.stack) == MaxDepth {
		return limit("nested too deeply")
	}
	e.stack = append(e.stack, open{v: v})
	return nil
}

func identify(v *Value) identity {
	switch n := len(v.Data); {
	case v.Kind == Global:
		return identity{kind: Global, content: string(appendGlobal3(nil, v.Data))}
	case (v.Kind == Text || v.Kind == Bytes) && n <= 1,
		v.Kind == Text && n == 2 && v.Data[0]&0xfe == 0xc2: // U+0080 to U+00FF
		return identity{kind: v.Kind, content: string(v.Data)}
	}
	return identity{v: v}
}

// put numbers v, which has just been made, in the memo.
func (e *Encoder) put(v *Value) {
	if e.protocol != 3 {
		return
	}
	n := len(e.memo)
	e.memo[identify(v)] = n
	e.out = appendMemo(e.out, opBinPut, opLongBinPut, n)
}

// putMade is put for what is made after its parts. If a part has made it in the
// meantime it is its own part, which Python writes in another way.
func (e *Encoder) putMade(v *Value) error {
	if _, ok := e.memo[identify(v)]; ok {
		return fmt.Errorf("%w: part of itself", ErrUnsupported)
	}
	e.put(v)
	return nil
}

func (e *Encoder) scalar(v *Value) error {
	switch v.Kind {
	case None:
		e.out = append(e.out, opNone)
	case Bool, Int, Long:
		return e.number(v)
	case Float:
		e.out = append(e.out, opBinFloat)
		e.out = binary.BigEndian.AppendUint64(e.out, uint64(v.Int))
	case Text:
		e.out = AppendText(e.out, v.Data)
		e.put(v)
	case Bytes:
		if e.protocol == 3 {
			e.out = appendBinBytes(e.out, v.Data)
		} else {
			e.out = AppendBytes(e.out, v.Data)
		}
		e.put(v)
	case Str:
		if e.protocol == 3 {
			return fmt.Errorf("%w: str of Python 2", ErrUnsupported)
		}
		e.out = appendStr(e.out, v.Data)
	case Global:
		return e.global(v)
	default:
		return fmt.Errorf("%w: object", ErrUnsupported)
	}
	return nil
}

// appendStr appends a Python 2 str for readers in Python 2 and 3.
func appendStr(b, data []byte) []byte {
	if ascii(data) {
		return AppendText(b, data)
	}
	return AppendBytes(b, data)
}

func (e *Encoder) number(v *Value) error {
	switch {
	case v.Kind == Bool && e.protocol == 3:
		e.out = append(e.out, opNewFalse-byte(v.Int))
	case v.Kind == Bool:
		e.out = append(e.out, opInt, '0', '0'+byte(v.Int), '\n')
	case v.Kind == Int && e.protocol == 1:
		e.out = AppendInt(e.out, v.Int)
	case v.Kind == Int:
		out, ok := appendBinInt(e.out, v.Int)
		if !ok {
			le := binary.LittleEndian.AppendUint64(nil, uint64(v.Int))
			out = appendLong(e.out, trimLong(le))
		}
		e.out = out
	case e.protocol == 3:
		e.out = appendLong(e.out, v.Data)
	default:
		out, ok := appendDecimal(append(e.out, opLong), v.Data)
		if !ok {
			return limit("too many digits")
		}
		e.out = append(out, 'L', '\n')
	}
	return nil
}

func (e *Encoder) global(v *Value) error {
	if e.Global != nil && !e.Global(v.Data) {
		return fmt.Errorf("%w: %q", ErrUnsupported, v.Data)
	}
	if e.protocol == 3 {
		e.out = appendGlobal3(e.out, v.Data)
	} else {
		e.out = appendGlobal2(e.out, v.Data)
	}
	e.put(v)
	return nil
}
