package pickle

import (
	"encoding/binary"
	"math"
	"strconv"
)

// The two ways in which picklers spell bytes before protocol 3 (Python 3.6 to
// 3.13, Lib/pickle.py: save_bytes). Python 2 reads them as its str.
const (
	encodeCall  = "c_codecs\nencode\n("
	encodeEnd   = "X\x06\x00\x00\x00latin1tR"
	emptyBytes  = "c__builtin__\nbytes\n)R"
	batchSize   = 1000 // items to an APPENDS or SETITEMS
	maxShortLen = 255
)

// AppendText appends the opcode that makes text, which is UTF-8, in protocols 1
// to 3.
func AppendText(b, text []byte) []byte {
	b = append(b, opBinUnicode)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	return append(b, text...)
}

// AppendLatin1Text appends the opcode that makes the text whose characters are
// the bytes of data.
func AppendLatin1Text(b, data []byte) []byte {
	size := len(data)
	for _, c := range data {
		size += int(c >> 7)
	}
	b = append(b, opBinUnicode)
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	if size == len(data) {
		return append(b, data...)
	}
	for _, c := range data {
		if c < 0x80 {
			b = append(b, c)
		} else {
			b = append(b, 0xc0|c>>6, 0x80|c&0x3f)
		}
	}
	return b
}

// AppendBytes appends the opcodes that make data in protocol 1: bytes in Python
// 3, str in Python 2.
func AppendBytes(b, data []byte) []byte {
	if len(data) == 0 {
		return append(b, emptyBytes...)
	}
	b = append(b, encodeCall...)
	b = AppendLatin1Text(b, data)
	return append(b, encodeEnd...)
}

// CutText takes what AppendText appends off b. It doesn't look at the text.
func CutText(b []byte) (text, rest []byte, ok bool) {
	const size = 1 + 4
	if len(b) < size || b[0] != opBinUnicode {
		return nil, nil, false
	}
	n := binary.LittleEndian.Uint32(b[1:])
	b = b[size:]
	if uint64(n) > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:n:n], b[n:], true
}

// CutBytes takes what AppendBytes appends off b, except that the bytes are still
// the text that [AppendLatin1] takes.
func CutBytes(b []byte) (text, rest []byte, ok bool) {
	if rest, ok = cutPrefix(b, emptyBytes); ok {
		return nil, rest, true
	}
	if b, ok = cutPrefix(b, encodeCall); !ok {
		return nil, nil, false
	}
	if text, b, ok = CutText(b); !ok {
		return nil, nil, false
	}
	rest, ok = cutPrefix(b, encodeEnd)
	return text, rest, ok
}

func cutPrefix(b []byte, prefix string) ([]byte, bool) {
	if len(b) < len(prefix) || string(b[:len(prefix)]) != prefix {
		return nil, false
	}
	return b[len(prefix):], true
}

// AppendInt appends the opcode that makes n in protocol 1.
func AppendInt(b []byte, n int64) []byte {
	if out, ok := appendBinInt(b, n); ok {
		return out
	}
	b = append(b, opLong)
	b = strconv.AppendInt(b, n, 10)
	return append(b, 'L', '\n')
}

// appendBinInt appends the opcode for n that all protocols but 0 have, if there
// is one.
func appendBinInt(b []byte, n int64) ([]byte, bool) {
	switch {
	case 0 <= n && n <= math.MaxUint8:
		return append(b, opBinInt1, byte(n)), true
	case 0 <= n && n <= math.MaxUint16:
		return append(b, opBinInt2, byte(n), byte(n>>8)), true
	case math.MinInt32 <= n && n <= math.MaxInt32:
		b = append(b, opBinInt)
		return binary.LittleEndian.AppendUint32(b, uint32(n)), true
	}
	return b, false
}

// appendLong appends the opcode that makes the number le, in little-endian two's
// complement, in protocols 2 and up.
func appendLong(b, le []byte) []byte {
	if len(le) > maxShortLen {
		b = append(b, opLong4)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(le)))
	} else {
		b = append(b, opLong1, byte(len(le)))
	}
	return append(b, le...)
}

// appendBinBytes appends the opcode that makes data in protocol 3.
func appendBinBytes(b, data []byte) []byte {
	if len(data) > maxShortLen {
		b = append(b, opBinBytes)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	} else {
		b = append(b, opShortBinBytes, byte(len(data)))
	}
	return append(b, data...)
}

// appendMemo appends the opcode that puts into the memo or gets from it, in its
// short or long form.
func appendMemo(b []byte, short, long byte, n int) []byte {
	if n <= math.MaxUint8 {
		return append(b, short, byte(n))
	}
	b = append(b, long)
	return binary.LittleEndian.AppendUint32(b, uint32(n))
}
