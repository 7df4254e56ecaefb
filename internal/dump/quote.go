package dump

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// plain tells which bytes stand for themselves in a quoted string.
var plain = func() (t [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

const hexDigits = "0123456789abcdef"

// AppendQuoted appends s in double quotes, as zodbtools quotes (pygolang
// golang/strconv.py: quote). Letters, numbers, punctuation and symbols stay as
// they are, in UTF-8; of everything else each byte is escaped. That is not what
// Go's strconv.Quote does, nor does zodbtools read all of that.
//
// In one thing this is not as pygolang: it loses two bytes of a genuine U+FFFD,
// which here has its three bytes escaped.
func AppendQuoted(b, s []byte) []byte {
	b = append(b, '"')
	for len(s) > 0 {
		n := 0
		for n < len(s) && plain[s[n]] {
			n++
		}
		b = append(b, s[:n]...)
		if s = s[n:]; len(s) == 0 {
			break
		}
		n = 1
		switch c := s[0]; c {
		case '\\', '"':
			b = append(b, '\\', c)
		case '\t':
			b = append(b, `\t`...)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		default:
			var r rune
			r, n = utf8.DecodeRune(s)
			if r != utf8.RuneError && unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) {
				b = append(b, s[:n]...)
				break
			}
			for _, c := range s[:n] {
				b = append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&0xf])
			}
		}
		s = s[n:]
	}
	return append(b, '"')
}

// errQuote is wrapped by the errors of Unquote.
var errQuote = errors.New("bad quoted string")

// AppendUnquoted appends what the quoted string q, with its quotes, stands for.
// It takes what zodbtools takes, and \u and \U too, which Go's programs write
// for characters that are not printable. On failure it returns b as it was.
func AppendUnquoted(b, q []byte) ([]byte, error) {
	if len(q) < 2 || q[0] != '"' {
		return b, fmt.Errorf("%w: no opening quote", errQuote)
	}
	out := b
	for s := q[1:]; ; {
		n := 0
		for n < len(s) && s[n] != '"' && s[n] != '\\' {
			n++
		}
		out = append(out, s[:n]...)
		s = s[n:]
		switch {
		case len(s) == 0:
			return b, fmt.Errorf("%w: no closing quote", errQuote)
		case s[0] == '"' && len(s) == 1:
			return out, nil
		case s[0] == '"':
			return b, fmt.Errorf("%w: %d bytes after the closing quote", errQuote, len(s)-1)
		}
		var err error
		if out, s, err = appendEscape(out, s[1:]); err != nil {
			return b, err
		}
	}
}

// simpleEscapes are those of one letter.
var simpleEscapes = map[byte]byte{
	'\\': '\\', '"': '"', 't': '\t', 'n': '\n', 'r': '\r', 'a': '\a', 'b': '\b', 'v': '\v', 'f': '\f',
}

// escapeDigits tells how many hex digits follow.
var escapeDigits = map[byte]int{'x': 2, 'u': 4, 'U': 8}

// appendEscape appends what the escape at the start of s, behind its backslash,
// stands for, and returns what follows it.
func appendEscape(b, s []byte) (out, rest []byte, err error) {
	if len(s) == 0 {
		return b, s, fmt.Errorf("%w: ends in a backslash", errQuote)
	}
	if c, ok := simpleEscapes[s[0]]; ok {
		return append(b, c), s[1:], nil
	}
	digits, ok := escapeDigits[s[0]]
	if !ok {
		return b, s, fmt.Errorf("%w: unknown escape \\%q", errQuote, s[0])
	}
	if len(s) < 1+digits {
		return b, s, fmt.Errorf("%w: \\%c cut short", errQuote, s[0])
	}
	var v uint32
	for _, c := range s[1 : 1+digits] {
		d, ok := hexValue(c)
		if !ok {
			return b, s, fmt.Errorf("%w: %q is no hex digit", errQuote, c)
		}
		v = v<<4 | uint32(d)
	}
	rest = s[1+digits:]
	switch {
	case digits == 2:
		return append(b, byte(v)), rest, nil
	case v > unicode.MaxRune || !utf8.ValidRune(rune(v)):
		return b, s, fmt.Errorf("%w: %x is no character", errQuote, v)
	}
	return utf8.AppendRune(b, rune(v)), rest, nil
}

func hexValue(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
