package pickle

import (
	"bytes"
	"errors"
	"math/big"
	"strings"
	"testing"
)

func decode(t testing.TB, body string) *Value {
	t.Helper()
	v, err := new(Decoder).DecodeBody([]byte(body))
	if err != nil {
		t.Fatalf("DecodeBody(%.100q): %v", body, err)
	}
	return v
}

// What zodbpickle never writes, and so is not among the golden cases.
func TestEncoder(t *testing.T) {
	tests := []struct{ name, body, protocol1, protocol3 string }{
		{"str-ascii", "U\x01a", "X\x01\x00\x00\x00a", ""},
		{"str", "U\x01\xff", "c_codecs\nencode\n(X\x02\x00\x00\x00\xc3\xbfX\x06\x00\x00\x00latin1tR", ""},
		{"cycle-list", "]q\x00h\x00a", "", "]q\x00h\x00a"},
		{"cycle-dict", "}q\x05K\x01h\x05s", "", "}q\x00K\x01h\x00s"},
		{"cycle-tuple", "]q\x00(h\x00tq\x01a0h\x01", "", ""},
		{"cycle-call", "cm\nf\n]q\x00\x85Rq\x01h\x00h\x01a0", "", ""},
		{
			"shared-number", "(\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01q\x00h\x00t", "(L18446744073709551616L\nL18446744073709551616L\nt",
			"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01\x86q\x00",
		},
		{"shared-empty-tuple", ")q\x00h\x00\x86", "())t", "))\x86q\x00"},
		{"builtin-name", "c__builtin__\nset\n", "c__builtin__\nset\n", "cbuiltins\nset\nq\x00"},
		{"same-name", "(cm\nC\ncm\nC\nt", "(cm\nC\ncm\nC\nt", "cm\nC\nq\x00h\x00\x86q\x01"},
		{"object", "cm\nC\n)\x81", "", ""},
		{"build", "cm\nf\n)RNb", "", ""},
		{"extend", "cm\nf\n)RNa", "", ""},
		{"persistent-id", "NQ", "", ""},
		{"registered", "\x82\x01", "", ""},
		{"buffer", "\x97", "", ""},
		{"forbidden-name", "cos\nsystem\n", "", ""},
		{"forbidden-call", "cos\nsystem\nX\x04\x00\x00\x00true\x85R", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := decode(t, tt.body)
			e := Encoder{
				Global: func(name []byte) bool { return string(name) != "os\nsystem" },
				Limit:  1 << 16,
			}
			check := func(method string, f func([]byte, *Value) ([]byte, error), want string) {
				got, err := f([]byte("before "), v)
				if want == "" && (err == nil || string(got) != "before ") {
					t.Errorf("%s() = %q, %v, want an error", method, got, err)
				}
				if want != "" && (err != nil || string(got) != "before "+want) {
					t.Errorf("%s() = %q, %v, want %q", method, got, err, want)
				}
				if err != nil && !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrLimit) {
					t.Errorf("%s() = %v", method, err)
				}
			}
			check("AppendProtocol1", e.AppendProtocol1, tt.protocol1)
			check("AppendProtocol3", e.AppendProtocol3, tt.protocol3)
		})
	}
}

// A few bytes of sharing can be a value of any size. Encoders stop at their limit.
func TestEncoder_limits(t *testing.T) {
	laughs := "]q\x00"
	for i := range 60 {
		laughs += "(h" + string(rune(i)) + "h" + string(rune(i)) + "lq" + string(rune(i+1))
	}
	laughs = "(" + laughs + "t"
	number := "\x8b\x00\x00\x01\x00" + strings.Repeat("\x01", 1<<16)
	tests := []struct {
		name, body           string
		protocol1, protocol3 error
	}{
		{"billion-laughs", laughs, ErrLimit, nil},
		{"large-number-shared", "(" + number + "q\x00" + strings.Repeat("h\x00", 1000) + "t", ErrLimit, ErrLimit},
		{"nested-to-the-limit", strings.Repeat("]", MaxDepth) + strings.Repeat("a", MaxDepth-1), nil, nil},
		{"nested-too-deeply", strings.Repeat("]", MaxDepth+1) + strings.Repeat("a", MaxDepth), ErrLimit, ErrLimit},
		{"long-text", "X\x00\x00\x20\x00" + strings.Repeat("x", 1<<21), ErrLimit, ErrLimit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := decode(t, tt.body)
			e := Encoder{Limit: 1 << 20}
			if got, err := e.AppendProtocol1(nil, v); !errors.Is(err, tt.protocol1) {
				t.Errorf("AppendProtocol1() = %d bytes, %v, want %v", len(got), err, tt.protocol1)
			}
			if got, err := e.AppendProtocol3(nil, v); !errors.Is(err, tt.protocol3) {
				t.Errorf("AppendProtocol3() = %d bytes, %v, want %v", len(got), err, tt.protocol3)
			}
		})
	}
}

func TestLong(t *testing.T) {
	numbers := []string{"9223372036854775808", "-9223372036854775809", "18446744073709551615", "170141183460469231731687303715884105728", "-170141183460469231731687303715884105728", strings.Repeat("9", MaxLongDigits), "-" + strings.Repeat("9", MaxLongDigits)}
	for _, s := range numbers {
		_, le, err := parseDecimal([]byte(s))
		if err != nil || le == nil {
			t.Fatalf("parseDecimal(%.50s) = %v, %v", s, le, err)
		}
		if got, ok := appendDecimal(nil, le); !ok || string(got) != s {
			t.Errorf("appendDecimal() = %.50s, %v, want %.50s", got, ok, s)
		}
		z, _ := new(big.Int).SetString(s, 10)
		if got := bigInt(le); got.Cmp(z) != 0 {
			t.Errorf("bigInt() = %v, want %v", got, z)
		}
	}
	_, le, _ := parseDecimal([]byte(numbers[5]))
	tooLong := longBytes(new(big.Int).Add(bigInt(le), big.NewInt(1)))
	if got, ok := appendDecimal([]byte("x"), tooLong); ok || string(got) != "x" {
		t.Errorf("appendDecimal() = %.50s, %v, want nothing", got, ok)
	}
}

func TestCutBytes(t *testing.T) {
	for _, data := range []string{"", "abc", "\x00\x7f\x80\xbf\xc0\xff"} {
		b := AppendBytes(nil, []byte(data))
		text, rest, ok := CutBytes(append(b, "rest"...))
		if !ok || string(rest) != "rest" {
			t.Fatalf("CutBytes() = %q, %q, %v", text, rest, ok)
		}
		if got, ok := AppendLatin1(nil, text); !ok || string(got) != data {
			t.Errorf("AppendLatin1() = %q, %v, want %q", got, ok, data)
		}
		for n := range b {
			if text, _, ok := CutBytes(b[:n]); ok {
				t.Errorf("CutBytes(%q) = %q", b[:n], text)
			}
		}
	}
	for _, text := range []string{"\xff", "\xc4\x80", "\xc3", "\xc2\x20", "\xe2\x82\xac"} {
		if got, ok := AppendLatin1(nil, []byte(text)); ok {
			t.Errorf("AppendLatin1(%q) = %q", text, got)
		}
	}
}

func TestAppendSplice(t *testing.T) {
	encoded := func(s string) string { return string(AppendBytes(nil, []byte(s))) }
	tests := []struct{ name, stored, want string }{
		{"protocol-3", "\x80\x03}q\x00X\x01\x00\x00\x00aq\x01C\x01bq\x02s.", "}q\x00X\x01\x00\x00\x00aq\x01" + encoded("b") + "q\x02s"},
		{"frames", "\x80\x04\x95\x03\x00\x00\x00\x00\x00\x00\x00}\x94.", "}q\x00"},
		{"memoize", "](]\x94]\x94h\x01e.", "](]q\x00]q\x01h\x01e"},
		{"bytes", "(B\x01\x00\x00\x00a\x8e\x01\x00\x00\x00\x00\x00\x00\x00bC\x00t.", "(" + encoded("a") + encoded("b") + encoded("") + "t"},
		{"text", "(\x8c\x01a\x8d\x01\x00\x00\x00\x00\x00\x00\x00bVc\nt.", "(X\x01\x00\x00\x00aX\x01\x00\x00\x00bVc\nt"},
		{"str", "(U\x01aT\x01\x00\x00\x00bS'\\xff'\nt.", "(X\x01\x00\x00\x00aX\x01\x00\x00\x00b" + encoded("\xff") + "t"},
		{"builtins", "cbuiltins\nset\n]q\x00\x85R.", "c__builtin__\nset\n]q\x00\x85R"},
		{"bytes-after-it", "N.N", "N"},
		{"forbidden", "cos\nsystem\n.", ""},
		{"mixed-memo", "]q\x01]\x94\x86.", ""},
		{"stack-global", "\x8c\x08builtins\x8c\x03set\x93.", ""},
		{"set", "\x8f.", ""},
		{"object", "cbuiltins\nset\n)\x81.", ""},
		{"persistent-id", "NQ.", ""},
		{"not-a-string", "Sa\n.", ""},
		{"no-stop", "N", ""},
		{"unknown-opcode", "\xff.", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			allowed := func(name []byte) bool { return bytes.HasPrefix(name, []byte("builtins\n")) }
			got, err := AppendSplice([]byte("before "), []byte(tt.stored), allowed)
			if (err != nil) != (tt.want == "") || string(got) != "before "+tt.want {
				t.Errorf("AppendSplice() = %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

// A spliced pickle has the value of the original, sharing included.
func TestAppendSplice_golden(t *testing.T) {
	all := func([]byte) bool { return true }
	for _, c := range goldenCases(t) {
		body, err := AppendSplice(nil, c.Stored, all)
		if err != nil {
			t.Fatalf("%s: AppendSplice(): %v", c.Name, err)
		}
		if got := zodb(t, append(body, opStop)); !bytes.Equal(got, c.Stored) {
			t.Errorf("%s: AppendSplice() = %q, stored again as %q, want %q", c.Name, body, got, c.Stored)
		}
	}
}
