package wire

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"zrs/internal/fs"
	"zrs/internal/pickle"
)

// Python 2 strings make short messages.
const (
	oid5   = "U\x08\x00\x00\x00\x00\x00\x00\x00\x05"
	tid7   = "U\x08\x00\x00\x00\x00\x00\x00\x00\x07"
	digest = "U\x100123456789abcdef"
	names  = "U\x01uU\x01d" // user and description
)

func TestDecoder_Decode(t *testing.T) {
	begin := &Begin{TID: 7, Status: ' ', User: []byte("u"), Description: []byte("d")}
	store := &Store{OID: 5, TID: 7}
	commit := &Commit{Digest: [16]byte([]byte("0123456789abcdef"))}
	blob := func(n int64) Message { return &Blob{*store, n} }
	tests := []struct {
		name, payload string
		want          Message
	}{
		{"python2-begin", "(U\x01T(" + tid7 + "U\x01 " + names + "}tt.", begin},
		{"python2-store", "(U\x01S(" + oid5 + tid7 + "U\x00Ntt.", store},
		{"python2-blob", "(U\x01B(" + oid5 + tid7 + "U\x00NL17L\ntt.", blob(17)},
		{"python2-commit", "(U\x01C(" + digest + "tt.", commit},
		{"lists", "](U\x01C](" + digest + "ee.", commit},
		{"protocol-3", "\x80\x03X\x01\x00\x00\x00Sq\x00(" + strings.ReplaceAll(oid5+tid7, "U", "C") + "X\x00\x00\x00\x00q\x03Ntq\x04\x86q\x05.", store},
		{"letter-as-bytes", "(C\x01C(" + digest + "tt.", commit},
		{"status-and-version-as-bytes", "(U\x01T(" + tid7 + "C\x01 " + names + "}tt.", begin},
		{"version-as-bytes", "(U\x01S(" + oid5 + tid7 + "C\x00Ntt.", store},
		{"user-as-text", "(U\x01T(" + tid7 + "U\x01 X\x01\x00\x00\x00uX\x01\x00\x00\x00d}tt.", begin},
		{"no-extension", "(U\x01T(" + tid7 + "U\x01 " + names + "Ntt.", begin},
		{"status-beyond-ascii", "(X\x01\x00\x00\x00T(" + tid7 + "X\x02\x00\x00\x00\xc3\xbfU\x00U\x00}tt.", &Begin{TID: 7, Status: 0xff}},
		{"data-transaction", "(U\x01S(" + oid5 + tid7 + "U\x00" + tid7 + "tt.", &Store{5, 7, 7, true}},
		{"data-transaction-zero", "(U\x01S(" + oid5 + tid7 + "U\x00U\x08\x00\x00\x00\x00\x00\x00\x00\x00tt.", &Store{5, 7, 0, true}},
		{"blocks-long1", "(U\x01B(" + oid5 + tid7 + "U\x00N\x8a\x05\x00\x00\x00\x00\x01tt.", blob(1 << 32)},
		{"blocks-int-text", "(U\x01B(" + oid5 + tid7 + "U\x00NI70000\ntt.", blob(70000)},
		{"popped-garbage", "(U\x01C(U\x01x0" + digest + "tt.", commit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var d Decoder
			m, err := d.Decode([]byte(tt.payload))
			if err != nil || !equal(m, tt.want) {
				t.Errorf("Decode() = %+v, %v, want %+v", m, err, tt.want)
			}
		})
	}
}

func TestDecoder_Decode_errors(t *testing.T) {
	long := "T\x00\x00\x01\x00" + strings.Repeat("x", 65536)
	tests := []struct {
		name, payload string
		want          error
		text          string
	}{
		{"empty", "", ErrEmptyMessage, "empty message"},
		{"not-a-pickle", "hello", ErrMalformed, "malformed message: offset 0: BINGET: not a pickle: nothing in the memo there"},
		{"cut-short", "(U\x01S(" + oid5, io.ErrUnexpectedEOF, "offset 15"},
		{"bytes-after-it", "(U\x01C(" + digest + "tt..", ErrMalformed, "bytes after the pickle"},
		{"not-a-pair", "(U\x01Ct.", ErrMalformed, "not a pair"},
		{"no-letter", "(K\x01(" + digest + "tt.", ErrMalformed, "no letter"},
		{"two-letters", "(U\x02CC(" + digest + "tt.", ErrMalformed, "no letter"},
		{"no-fields", "(U\x01CNt.", ErrMalformed, "no fields"},
		{"fields-in-a-dict", "(U\x01C}t.", ErrMalformed, "no fields"},
		{"unknown-letter", "(U\x01X)t.", ErrMalformed, "unknown letter 'X'"},
		{"too-few-fields", "(U\x01S(" + oid5 + tid7 + "U\x00tt.", ErrMalformed, "S message: malformed message: 3 fields, want 4"},
		{"too-many-fields", "(U\x01C(" + digest + "Ntt.", ErrMalformed, "C message: malformed message: 2 fields, want 1"},
		{"short-oid", "(U\x01S(U\x071234567" + tid7 + "U\x00Ntt.", ErrMalformed, "S message: oid: malformed message: 7 bytes, want 8"},
		{"short-oid-recommended", "(X\x01\x00\x00\x00S(c_codecs\nencode\n(X\x01\x00\x00\x00aX\x06\x00\x00\x00latin1tR" + tid7 + "U\x00Ntt.", ErrMalformed, "oid"},
		{"tid-as-text", "(U\x01S(" + oid5 + "X\x08\x00\x00\x0012345678U\x00Ntt.", ErrMalformed, "tid: malformed message: not bytes"},
		{"version", "(U\x01S(" + oid5 + tid7 + "U\x01vNtt.", ErrMalformed, "version"},
		{"version-none", "(U\x01S(" + oid5 + tid7 + "NNtt.", ErrMalformed, "version"},
		{"data-transaction-false", "(U\x01S(" + oid5 + tid7 + "U\x00I00\ntt.", ErrMalformed, "data transaction"},
		{"blocks-negative", "(U\x01B(" + oid5 + tid7 + "U\x00NJ\xff\xff\xff\xfftt.", ErrMalformed, "blocks"},
		{"blocks-negative-recommended", string(new(Blob).AppendTo(nil)[:0]) + "(U\x01B(" + oid5 + tid7 + "U\x00NJ\x00\x00\x00\x80tt.", ErrMalformed, "blocks"},
		{"blocks-huge", "(U\x01B(" + oid5 + tid7 + "U\x00NL9223372036854775808L\ntt.", ErrMalformed, "blocks"},
		{"blocks-true", "(U\x01B(" + oid5 + tid7 + "U\x00NI01\ntt.", ErrMalformed, "blocks"},
		{"blocks-float", "(U\x01B(" + oid5 + tid7 + "U\x00NF1.0\ntt.", ErrMalformed, "blocks"},
		{"digest-short", "(U\x01C(U\x00tt.", ErrMalformed, "digest: malformed message: 0 bytes, want 16"},
		{"status-of-two", "(U\x01T(" + tid7 + "U\x02  " + names + "}tt.", ErrMalformed, "status"},
		{"status-empty", "(U\x01T(" + tid7 + "U\x00" + names + "}tt.", ErrMalformed, "status"},
		{"status-beyond-latin1", "(U\x01T(" + tid7 + "X\x02\x00\x00\x00\xc4\x80" + names + "}tt.", ErrMalformed, "status"},
		{"user-none", "(U\x01T(" + tid7 + "U\x01 NU\x01d}tt.", ErrMalformed, "user"},
		{"user-too-long", "(U\x01T(" + tid7 + "U\x01 " + long + "U\x01d}tt.", ErrTooLarge, "T message: user: too large for a transaction header"},
		{"description-too-long", "(U\x01T(" + tid7 + "U\x01 U\x01u" + long + "}tt.", ErrTooLarge, "description"},
		{"call", "cos\nsystem\n(U\x04truetR.", ErrMalformed, "not a pair"},
		{"call-for-a-field", "(U\x01C(cos\nsystem\n(U\x04truetRtt.", ErrMalformed, "digest"},
		{"long-of-too-many-digits", "(U\x01B(" + oid5 + tid7 + "U\x00NL" + strings.Repeat("1", 1e6) + "L\ntt.", pickle.ErrLimit, "too many digits"},
		{"too-many-values", "(" + strings.Repeat("N", maxValues+1) + "t.", pickle.ErrLimit, "too many values"},
		{"deep", strings.Repeat("(", 1e6), pickle.ErrLimit, "too many marks"},
		{"over-the-limit", strings.Repeat("N", MaxMessage+1), ErrFrameTooLarge, "frame too large: 2097153 bytes, limit is 2097152"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := new(Decoder).Decode([]byte(tt.payload))
			if m != nil || !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Decode() = %v, %v, want %v, %q", m, err, tt.want, tt.text)
			}
		})
	}
}

// Every message in the recommended form is read the same by the fast path and
// by the pickle machine, and a message cut anywhere is an error for both.
func TestDecoder_Decode_prefixes(t *testing.T) {
	messages := []Message{
		&Begin{TID: 1 << 63, Status: 'p', User: []byte("\xff"), Extension: []byte("\x80\x03}q\x00X\x01\x00\x00\x00aq\x01K\x01s.")},
		&Begin{TID: fs.MaxTID, Status: ' ', Extension: []byte("hinted")},
		&Store{OID: 1, TID: 2, DataTxn: 3, HasDataTxn: true},
		&Blob{Store{OID: 0xffffffffffffffff, TID: 2}, 1 << 40},
		&Blob{Store{OID: 1, TID: 2}, 70000},
		&Commit{Digest: [16]byte{0: 0x80, 15: 0xff}},
	}
	for _, m := range messages {
		payload := m.AppendTo(nil)
		for n := range payload {
			if got, err := new(Decoder).Decode(payload[:n]); err == nil {
				t.Errorf("Decode(%q) = %v, want an error", payload[:n], got)
			}
		}
		if got, err := new(Decoder).Decode(payload); err != nil || !equal(got, m) {
			t.Errorf("Decode(%q) = %v, %v, want %v", payload, got, err, m)
		}
		if b, ok := m.(*Begin); ok && bytes.Equal(b.Extension, []byte("hinted")) {
			continue // which the pickle machine doesn't know
		}
		if got, err := new(Decoder).decodePickle(payload); err != nil || !equal(got, m) {
			t.Errorf("decodePickle(%q) = %v, %v, want %v", payload, got, err, m)
		}
	}
}

// A Decoder keeps nothing of one message in the next.
func TestDecoder_Decode_again(t *testing.T) {
	var d Decoder
	for _, s := range sessions(t) {
		s.walk(func(payload []byte, _ [16]byte) (Message, error) {
			got, gotErr := d.Decode(payload)
			want, wantErr := new(Decoder).Decode(payload)
			if (gotErr == nil) != (wantErr == nil) || gotErr == nil && !equal(got, want) {
				t.Fatalf("%s: Decode() = %v, %v, want %v, %v", s.name, got, gotErr, want, wantErr)
			}
			return got, gotErr
		}, func([]byte) {})
	}
}

func TestDecoder_Decode_allocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	messages := []Message{
		&Begin{TID: 1 << 63, Status: 'p', User: []byte("/ j\xc3\xb6rg"), Description: []byte("edited")},
		&Store{OID: 1, TID: 0xffffffffffffffff, DataTxn: 3, HasDataTxn: true},
		&Blob{Store{OID: 1, TID: 2}, 70000},
		&Commit{Digest: [16]byte{0: 0x80, 15: 0xff}},
	}
	for _, m := range messages {
		var d Decoder
		var e Encoder
		payload := m.AppendTo(nil)
		n := testing.AllocsPerRun(100, func() {
			if _, err := d.Decode(payload); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("Decode() of %T: %v allocations, want 0", m, n)
		}
		out := make([]byte, 0, 2*len(payload))
		n = testing.AllocsPerRun(100, func() {
			if b, ok := m.(*Begin); ok {
				e.AppendBegin(out, b)
			} else {
				m.AppendTo(out)
			}
		})
		if n != 0 {
			t.Errorf("AppendTo() of %T: %v allocations, want 0", m, n)
		}
	}
}
