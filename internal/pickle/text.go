package pickle

import (
	"strconv"
	"unicode/utf8"
)

// validText reports whether b is UTF-8 as pickle has it: with surrogates, which
// Python's "surrogatepass" writes as 3 bytes each.
func validText(b []byte) bool {
	for !utf8.Valid(b) {
		for len(b) > 0 {
			r, n := utf8.DecodeRune(b)
			if r == utf8.RuneError && n == 1 {
				break
			}
			b = b[n:]
		}
		if len(b) < 3 || b[0] != 0xed || b[1]&0xe0 != 0xa0 || b[2]&0xc0 != 0x80 {
			return false
		}
		b = b[3:]
	}
	return true
}

// appendRune is utf8.AppendRune with surrogates.
func appendRune(b []byte, r rune) []byte {
	if r < 0xd800 || r > 0xdfff {
		return utf8.AppendRune(b, r)
	}
	return append(b, 0xed, 0x80|byte(r>>6)&0x3f, 0x80|byte(r)&0x3f)
}

// appendUnescapedText appends what raw is in Python's raw-unicode-escape: Latin-1
// with \uXXXX and \UXXXXXXXX.
func appendUnescapedText(b, raw []byte) ([]byte, bool) {
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c != '\\' || i+1 == len(raw) {
			b = appendRune(b, rune(c))
			continue
		}
		i++
		digits := 0
		switch raw[i] {
		case 'u':
			digits = 4
		case 'U':
			digits = 8
		default: // two backslashes make no escape of what follows them
			b = appendRune(append(b, '\\'), rune(raw[i]))
			continue
		}
		r, ok := parseDigits(raw[i+1:], digits, 16)
		if !ok || r > utf8.MaxRune {
			return nil, false
		}
		b = appendRune(b, rune(r))
		i += digits
	}
	return b, true
}

// appendUnquoted appends what literal is as a Python 2 string literal.
func appendUnquoted(b, literal []byte) ([]byte, bool) {
	n := len(literal)
	if n < 2 || literal[0] != literal[n-1] || literal[0] != '\'' && literal[0] != '"' {
		return nil, false
	}
	return appendUnescapedString(b, literal[1:n-1])
}

func appendUnescapedString(b, quoted []byte) ([]byte, bool) {
	for i := 0; i < len(quoted); i++ {
		c := quoted[i]
		if c != '\\' {
			b = append(b, c)
			continue
		}
		i++
		if i == len(quoted) {
			return nil, false
		}
		switch c := quoted[i]; {
		case c == 'x':
			v, ok := parseDigits(quoted[i+1:], 2, 16)
			if !ok {
				return nil, false
			}
			b = append(b, byte(v))
			i += 2
		case '0' <= c && c <= '7':
			n := 1
			for n < 3 && i+n < len(quoted) && '0' <= quoted[i+n] && quoted[i+n] <= '7' {
				n++
			}
			v, _ := parseDigits(quoted[i:], n, 8)
			b = append(b, byte(v)) // \777 is \377, as in Python
			i += n - 1
		default:
			b = appendSimpleEscape(b, c)
		}
	}
	return b, true
}

func appendSimpleEscape(b []byte, c byte) []byte {
	switch c {
	case 'a':
		return append(b, '\a')
	case 'b':
		return append(b, '\b')
	case 'f':
		return append(b, '\f')
	case 'n':
		return append(b, '\n')
	case 'r':
		return append(b, '\r')
	case 't':
		return append(b, '\t')
	case 'v':
		return append(b, '\v')
	case '\\', '\'', '"':
		return append(b, c)
	}
	return append(b, '\\', c) // no escape at all
}

// parseDigits reads exactly n digits at the start of b.
func parseDigits(b []byte, n, base int) (uint64, bool) {
	if len(b) < n {
		return 0, false
	}
	v, err := strconv.ParseUint(string(b[:n]), base, 64)
	return v, err == nil
}

// AppendLatin1 appends the bytes whose Latin-1 characters text is in UTF-8, and
// reports whether it has no others.
func AppendLatin1(b, text []byte) ([]byte, bool) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c >= utf8.RuneSelf {
			if c&0xfe != 0xc2 || i+1 == len(text) || text[i+1]&0xc0 != 0x80 {
				return nil, false
			}
			i++
			c = c<<6 | text[i]&0x3f
		}
		b = append(b, c)
	}
	return b, true
}

func ascii(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
