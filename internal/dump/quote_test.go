package dump

import (
	"bytes"
	"errors"
	"testing"
)

// quoteTests were made with pygolang 0.1 on Python 3.11, but for U+FFFD.
var quoteTests = []struct{ name, in, want string }{
	{"empty", "", `""`},
	{"ascii", "admin /news 100%", `"admin /news 100%"`},
	{"quotes", `a"b\c'd`, `"a\"b\\c'd"`},
	{"short-escapes", "\t\n\r", `"\t\n\r"`},
	{"controls", "\x00\x07\x08\x0b\x0c\x1b\x7f", `"\x00\x07\x08\x0b\x0c\x1b\x7f"`},
	{"letters", "Grüße 日本語", `"Grüße 日本語"`},
	{"number-punctuation-symbol", "Ⅷ½ „“ €😀", `"Ⅷ½ „“ €😀"`},
	{"no-break-space", "a\u00a0b", `"a\xc2\xa0b"`},
	{"combining-mark", "e\u0301", `"e\xcc\x81"`},
	{"format-character", "a\u200bb\ufeff", `"a\xe2\x80\x8bb\xef\xbb\xbf"`},
	{"line-separator", "\u2028", `"\xe2\x80\xa8"`},
	{"private-use", "\ue000", `"\xee\x80\x80"`},
	{"replacement-character", "a\ufffdb", `"a\xef\xbf\xbdb"`},
	{"invalid-utf-8", "\xff\xfe raw", `"\xff\xfe raw"`},
	{"cut-utf-8", "\xe6\x97", `"\xe6\x97"`},
	{"surrogate", "\xed\xa0\x80", `"\xed\xa0\x80"`},
	{"overlong", "\xc0\xaf", `"\xc0\xaf"`},
	{"beyond-unicode", "\xf4\x90\x80\x80", `"\xf4\x90\x80\x80"`},
	{"latin-1-before-letter", "\xe9t\xc3\xa9", `"\xe9t` + "\u00e9" + `"`},
}

func TestAppendQuoted(t *testing.T) {
	for _, tt := range quoteTests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(AppendQuoted([]byte(">"), []byte(tt.in))); got != ">"+tt.want {
				t.Errorf("AppendQuoted(%q) = %s, want %s", tt.in, got[1:], tt.want)
			}
			if got, err := AppendUnquoted([]byte(">"), []byte(tt.want)); err != nil || string(got) != ">"+tt.in {
				t.Errorf("AppendUnquoted(%s) = %q, %v, want %q", tt.want, got[1:], err, tt.in)
			}
		})
	}
}

func TestAppendUnquoted(t *testing.T) {
	tests := []struct {
		name, in, want string
		ok             bool
	}{
		{"go-letters", `"\a\b\v\f"`, "\a\b\v\f", true},
		{"go-characters", `"\u00a0\U0001f600\ufeff"`, "\u00a0\U0001f600\ufeff", true},
		{"upper-case-hex", `"\xC3\xA9"`, "é", true},
		{"raw-bytes", "\"\x00\xff\"", "\x00\xff", true},
		{"empty-line", ``, "", false},
		{"one-quote", `"`, "", false},
		{"no-opening-quote", `a"`, "", false},
		{"no-closing-quote", `"a`, "", false},
		{"escaped-closing-quote", `"a\"`, "", false},
		{"rest", `"a" `, "", false},
		{"lone-backslash", `"\`, "", false},
		{"octal", `"\101"`, "", false},
		{"unknown-letter", `"\q"`, "", false},
		{"short-hex", `"\x4"`, "", false},
		{"no-hex", `"\xg0"`, "", false},
		{"surrogate", `"\ud800"`, "", false},
		{"beyond-unicode", `"\U00110000"`, "", false},
		{"huge", `"\Uffffffff"`, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := AppendUnquoted([]byte(">"), []byte(tt.in))
			if (err == nil) != tt.ok || string(got) != ">"+tt.want {
				t.Errorf("AppendUnquoted(%q) = %q, %v, want %q, ok %v", tt.in, got, err, tt.want, tt.ok)
			}
			if err != nil && !errors.Is(err, errQuote) {
				t.Errorf("AppendUnquoted(%q) = %v, not a bad quoted string", tt.in, err)
			}
		})
	}
}

func FuzzQuote(f *testing.F) {
	for _, tt := range quoteTests {
		f.Add([]byte(tt.in))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		q := AppendQuoted(nil, s)
		if bytes.ContainsAny(q, "\n\r\t\x00") {
			t.Errorf("AppendQuoted(%q) = %s, which has raw control characters", s, q)
		}
		got, err := AppendUnquoted(nil, q)
		if err != nil || !bytes.Equal(got, s) {
			t.Errorf("AppendUnquoted(%s) = %q, %v, want %q", q, got, err, s)
		}
	})
}

func FuzzUnquote(f *testing.F) {
	for _, tt := range quoteTests {
		f.Add([]byte(tt.want))
	}
	f.Add([]byte(`"\u00a0\a\U0001f600"`))
	f.Fuzz(func(t *testing.T, q []byte) {
		s, err := AppendUnquoted(nil, q)
		if err != nil {
			if !errors.Is(err, errQuote) || len(s) != 0 {
				t.Errorf("AppendUnquoted(%q) = %q, %v", q, s, err)
			}
			return
		}
		again, err := AppendUnquoted(nil, AppendQuoted(nil, s))
		if err != nil || !bytes.Equal(again, s) {
			t.Errorf("%q means %q, which comes back as %q, %v", q, s, again, err)
		}
	})
}
