package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"zrs/internal/fs"
)

// A goldenCase is a line of testdata/extensions.jsonl, made by real picklers.
// extensions.py beside it explains the fields.
type goldenCase struct {
	Name      string
	Stored    []byte
	Message   []byte
	Rebuilt   []byte
	Protocols []struct {
		Protocol int
		Pickle   []byte
	}
}

// goldenBegin returns the T message of all cases, with an extension.
func goldenBegin(extension []byte) *Begin {
	return &Begin{TID: 0x03f8a1b2c3d40100, Status: ' ', User: []byte("/ j\xc3\xb6rg"), Extension: extension}
}

func goldenCases(t testing.TB) []goldenCase {
	t.Helper()
	f, err := os.Open("testdata/extensions.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var cases []goldenCase
	for dec := json.NewDecoder(f); dec.More(); {
		var c goldenCase
		if err := dec.Decode(&c); err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	return cases
}

// A message from a primary of zc.zrs gives what a secondary of zc.zrs would
// store. An extension that ZODB stored is sent as that primary sends it, if a
// secondary then stores the same, and spliced if not.
func TestAppendBegin_golden(t *testing.T) {
	for _, c := range goldenCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			want, wantForm := c.Stored, ExtensionPlain
			if c.Rebuilt != nil {
				want, wantForm = c.Rebuilt, ExtensionSpliced
			}
			if c.Name == "empty" {
				want, wantForm = nil, ExtensionHinted
			}
			if got := decodeExtension(t, c.Message); !bytes.Equal(got, want) {
				t.Errorf("Decode() of a message by zc.zrs: extension %q, want %q", got, want)
			}
			out, form := new(Encoder).AppendBegin(nil, goldenBegin(c.Stored))
			if form != wantForm {
				t.Errorf("AppendBegin() = %v, want %v", form, wantForm)
			}
			if form == ExtensionPlain && !bytes.Equal(out, c.Message) {
				t.Errorf("AppendBegin() = %q, want %q", out, c.Message)
			}
			checkRoundTrip(t, c.Stored)
			for _, p := range c.Protocols {
				checkRoundTrip(t, p.Pickle)
			}
		})
	}
}

func decodeExtension(t *testing.T, payload []byte) []byte {
	t.Helper()
	m, err := new(Decoder).Decode(payload)
	if err != nil {
		t.Fatalf("Decode(%q): %v", payload, err)
	}
	b, ok := m.(*Begin)
	if !ok {
		t.Fatalf("Decode() = %T, want a *Begin", m)
	}
	return b.Extension
}

// checkRoundTrip checks that an extension arrives as it is stored, and returns
// the form it was sent in.
func checkRoundTrip(t *testing.T, extension []byte) ExtensionForm {
	t.Helper()
	want := goldenBegin(extension)
	out, form := new(Encoder).AppendBegin(nil, want)
	if len(out) > MaxMessage {
		t.Errorf("AppendBegin() gives %d bytes, limit is %d", len(out), MaxMessage)
	}
	got, err := new(Decoder).Decode(out)
	if err != nil || !equal(got, want) {
		t.Errorf("Decode(AppendBegin()) = %.200q, %v, want %.200q", got, err, want)
	}
	return form
}

// What picklers of ZODB never wrote arrives all the same.
func TestAppendBegin_forms(t *testing.T) {
	long := strings.Repeat("x", 60000)
	stored := func(body string) string { return "\x80\x03" + body + "." }
	tests := []struct {
		name, extension string
		form            ExtensionForm
		value           string // the opcodes sent as the value
	}{
		{"nothing", "", ExtensionPlain, "}"},
		{"flat", stored("}q\x00X\x01\x00\x00\x00aq\x01K\x01s"), ExtensionPlain, "}X\x01\x00\x00\x00aK\x01s"},
		{
			"shared-once-too-often", stored("}q\x00(X\x01\x00\x00\x00aq\x01X\x60\xea\x00\x00" + long + "q\x02X\x01\x00\x00\x00bq\x03h\x02u"),
			ExtensionSpliced, "}q\x00(X\x01\x00\x00\x00aq\x01X\x60\xea\x00\x00" + long + "q\x02X\x01\x00\x00\x00bq\x03h\x02u",
		},
		{"cyclic", stored("}q\x00X\x01\x00\x00\x00aq\x01h\x00s"), ExtensionSpliced, "}q\x00X\x01\x00\x00\x00aq\x01h\x00s"},
		{"pickled-empty-dict", stored("}q\x00"), ExtensionHinted, "}q\x00"},
		{"no-memo", stored("}X\x01\x00\x00\x00aK\x01s"), ExtensionHinted, "}X\x01\x00\x00\x00aK\x01s"},
		{
			"python2", "}q\x01U\x01kU\x02v\xffs.", ExtensionHinted,
			"}q\x01X\x01\x00\x00\x00kc_codecs\nencode\n(X\x03\x00\x00\x00v\xc3\xbfX\x06\x00\x00\x00latin1tRs",
		},
		{"stored-by-zrs-from-python2", stored("}(U\x01kU\x01vu"), ExtensionHinted, "}(X\x01\x00\x00\x00kX\x01\x00\x00\x00vu"},
		{
			"protocol4-set", "\x80\x04}\x94\x8c\x01a\x94\x8f\x94(K\x01K\x02\x90s.", ExtensionHinted,
			"}X\x01\x00\x00\x00ac__builtin__\nset\n(](K\x01K\x02etRs",
		},
		{"bytes-after-it", stored("}q\x00X\x01\x00\x00\x00aq\x01K\x01s") + "!", ExtensionHinted, "}q\x00X\x01\x00\x00\x00aq\x01K\x01s"},
		{"garbage", "no pickle", ExtensionDropped, "}"},
		{"cut-short", "\x80\x03}q\x00X\x01", ExtensionDropped, "}"},
		{"not-a-dict", stored("]q\x00K\x01a"), ExtensionDropped, "}"},
		{"none", stored("N"), ExtensionDropped, "}"},
		{"class-of-application", stored("}q\x00X\x01\x00\x00\x00aq\x01capp\nThing\nq\x02s"), ExtensionDropped, "}"},
		{"call", stored("}q\x00X\x01\x00\x00\x00aq\x01cos\nsystem\nq\x02X\x04\x00\x00\x00trueq\x03\x85q\x04Rq\x05s"), ExtensionDropped, "}"},
		{"uuid", stored("}q\x00X\x01\x00\x00\x00aq\x01cuuid\nUUID\nq\x02)\x81q\x03}q\x04X\x03\x00\x00\x00intq\x05K\x01sbs"), ExtensionDropped, "}"},
		{"reconstructor", "}q\x01U\x01kccopy_reg\n_reconstructor\nq\x02(capp\nT\nc__builtin__\nobject\nNtRs.", ExtensionDropped, "}"},
		{"persistent-id", stored("}q\x00X\x01\x00\x00\x00aq\x01K\x01Qs"), ExtensionDropped, "}"},
		{"nested-too-deeply", stored("}X\x01\x00\x00\x00a" + strings.Repeat("]", 600) + strings.Repeat("a", 599) + "s"), ExtensionDropped, "}"},
		{"largest", strings.Repeat("\xff", MaxField), ExtensionDropped, "}"},
		{"grows-over-the-limit", stored("}(" + strings.Repeat("C\x02xyN", 13000) + "u"), ExtensionDropped, "}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, form := new(Encoder).AppendBegin(nil, &Begin{Extension: []byte(tt.extension)})
			if form != tt.form {
				t.Errorf("AppendBegin() = %v, want %v", form, tt.form)
			}
			if !bytes.HasSuffix(out, []byte(tt.value+"tt.")) {
				t.Errorf("AppendBegin() = %.500q, want %.500q at the end", out, tt.value)
			}
			if got := bytes.Contains(out, []byte("0"+tt.value+"tt.")); got != (form >= ExtensionHinted) {
				t.Errorf("AppendBegin() = %.500q, hint %v", out, got)
			}
			checkRoundTrip(t, []byte(tt.extension))
		})
	}
}

// The largest message of all is within MaxMessage, whatever is in it.
func TestAppendBegin_largest(t *testing.T) {
	field := bytes.Repeat([]byte{0xff}, MaxField)
	fill := func(unit string) []byte {
		s := "\x80\x03}q\x00K\x01](" + strings.Repeat(unit, (MaxField-20)/len(unit)) + "es."
		return []byte(s)
	}
	for _, unit := range []string{"\xff", "N", "C\x00", "C\x01\xff", "U\x01\xff", "U\x00", "h\x00", "X\x01\x00\x00\x00a"} {
		m := &Begin{User: field, Description: field, Extension: fill(unit)}
		out, form := new(Encoder).AppendBegin(nil, m)
		if len(out) > MaxMessage {
			t.Errorf("of %q: %d bytes, limit is %d", unit, len(out), MaxMessage)
		}
		got, err := new(Decoder).Decode(out)
		if err != nil || !equal(got, m) {
			t.Errorf("of %q (%v): Decode(AppendBegin()) differs, %v", unit, form, err)
		}
	}
}

// One byte shared over and over makes the largest plain form of all, and one for
// which the spliced form is taken.
func TestAppendBegin_sharedByte(t *testing.T) {
	batch := "(" + strings.Repeat("h\x03", 1000) + "e"
	first := strings.Replace(batch, "h\x03", "C\x01xq\x03", 1)
	extension := "\x80\x03}q\x00X\x01\x00\x00\x00aq\x01]q\x02" + first + strings.Repeat(batch, 31) + "s."
	if form := checkRoundTrip(t, []byte(extension)); form != ExtensionSpliced {
		t.Errorf("AppendBegin() = %v, want %v", form, ExtensionSpliced)
	}
}

func TestDecode_extension(t *testing.T) {
	tests := []struct{ name, sent, want string }{
		{"empty-dict", "}", ""},
		{"none", "N", ""},
		{"empty-dict-with-memo", "}q\x00", ""},
		{"bytes-object", "c_codecs\nencode\n(X\x04\x00\x00\x00any\x00X\x06\x00\x00\x00latin1tR", "any\x00"},
		{"unknown-class", "}X\x01\x00\x00\x00acapp\nThing\n)\x81s", "\x80\x03}X\x01\x00\x00\x00acapp\nThing\n)\x81s."},
		{"unknown-call", "}X\x01\x00\x00\x00acos\nsystem\n(X\x04\x00\x00\x00truetRs", "\x80\x03}X\x01\x00\x00\x00acos\nsystem\n(X\x04\x00\x00\x00truetRs."},
		{"python2", "}U\x01kU\x01vs", "\x80\x03}U\x01kU\x01vs."},
		{"hint", "X\x03\x00\x00\x00a\xc3\xbf0}", "a\xff"},
		{"empty-hint", "X\x00\x00\x00\x000}X\x01\x00\x00\x00aK\x01s", ""},
		{"hint-and-value", "X\x01\x00\x00\x00h0}X\x01\x00\x00\x00aK\x01s", "h"},
		{"hint-beyond-latin1", "X\x02\x00\x00\x00\xc4\x800}X\x01\x00\x00\x00aK\x01s", "\x80\x03}q\x00X\x01\x00\x00\x00aq\x01K\x01s."},
		{"hint-too-long", fmt.Sprintf("X\x00\x00\x01\x00%s0}", strings.Repeat("x", 65536)), ""},
		{"second-hint", "X\x01\x00\x00\x00h0X\x01\x00\x00\x00i0}", "h"},
		{"hint-of-another-opcode", "U\x01h0}", ""},
		{"hint-not-before-the-value", "}X\x01\x00\x00\x00h0", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := decodeExtension(t, beginWith(tt.sent)); string(got) != tt.want {
				t.Errorf("extension %q, want %q", got, tt.want)
			}
		})
	}
}

// beginWith returns a T message with opcodes in place of the extension.
func beginWith(opcodes string) []byte {
	out := goldenBegin(nil).AppendTo(nil)
	return append(bytes.TrimSuffix(out, []byte("}tt.")), opcodes+"tt."...)
}

func TestDecode_extensionTooLarge(t *testing.T) {
	half := strings.Repeat("x", 40000)
	text := "X\x40\x9c\x00\x00" + half
	fits := "}(K\x01" + text + "q\x00K\x02h\x00u"
	if got := decodeExtension(t, beginWith(fits)); len(got) > 41000 {
		t.Errorf("shared text gives %d bytes, want it shared", len(got))
	}
	_, err := new(Decoder).Decode(beginWith("}(K\x01" + text + "K\x02" + text + "u"))
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("Decode() = %v, want %v", err, ErrTooLarge)
	}

	// Rebuilt, these get memo puts and do not fit; as they came, they do.
	many := "}(" + strings.Repeat("X\x00\x00\x00\x00]", 10000) + "u"
	if got, want := decodeExtension(t, beginWith(many)), "\x80\x03"+many+"."; string(got) != want {
		t.Errorf("extension of %d bytes, want the %d that came", len(got), len(want))
	}
}

// An extension that refers to another field of its message is rebuilt; if it
// can't be, it can't be stored either.
func TestDecode_extensionNotComplete(t *testing.T) {
	start := "(U\x01T(U\x08" + string(fs.TID(1).AppendTo(nil)) + "U\x01 X\x02\x00\x00\x00usq\x01U\x00"
	if got, want := decodeExtension(t, []byte(start+"}K\x01h\x01stt.")), "\x80\x03}q\x00K\x01X\x02\x00\x00\x00usq\x01s."; string(got) != want {
		t.Errorf("extension %q, want %q", got, want)
	}
	_, err := new(Decoder).Decode([]byte(start + "}h\x01capp\nThing\nstt."))
	if !errors.Is(err, ErrMalformed) {
		t.Errorf("Decode() = %v, want %v", err, ErrMalformed)
	}
	if got, want := decodeExtension(t, []byte(start+"}K\x01capp\nThing\nstt.")), "\x80\x03}K\x01capp\nThing\ns."; string(got) != want {
		t.Errorf("extension %q, want %q", got, want)
	}
}
