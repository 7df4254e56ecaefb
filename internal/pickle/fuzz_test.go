package pickle

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func addPickles(f *testing.F) {
	for i, c := range goldenCases(f) {
		if len(c.Stored) > 500 || i%4 != 0 {
			continue
		}
		f.Add(c.Stored)
		for _, p := range c.Protocols {
			f.Add(p.Pickle)
		}
	}
	for _, s := range []string{
		"\x80\x03cm\nC\nq\x00)\x81q\x01}q\x02K\x01h\x01QsbK\x02K\x03s.",
		"(im\nC\n(cm\nC\no\x82\x01\x97\x98S'\\x01'\nPid\nt.",
		"]q\x00(h\x00tq\x01a0h\x01.",
	} {
		f.Add([]byte(s))
	}
}

func FuzzDecoder_Decode(f *testing.F) {
	addPickles(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		var d Decoder
		v, n, err := d.Decode(b)
		if err != nil {
			checkError(t, err)
			return
		}
		if n <= 0 || n > len(b) {
			t.Fatalf("Decode() took %d of %d bytes", n, len(b))
		}
		e := Encoder{Limit: 1 << 18}
		checkStable(t, v, e.AppendProtocol3)
		checkStable(t, v, e.AppendProtocol1)
	})
}

func checkError(t *testing.T, err error) {
	t.Helper()
	if _, ok := errors.AsType[*Error](err); !ok {
		t.Fatalf("%T %v, want an *Error", err, err)
	}
	if !errors.Is(err, ErrSyntax) && !errors.Is(err, ErrLimit) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatalf("%v, want one of our errors", err)
	}
}

// checkStable checks that what an encoder writes decodes to something of which
// it writes the same.
func checkStable(t *testing.T, v *Value, encode func([]byte, *Value) ([]byte, error)) {
	t.Helper()
	once, err := encode(nil, v)
	if err != nil {
		if !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrLimit) {
			t.Fatalf("%v, want one of our errors", err)
		}
		return
	}
	again, err := new(Decoder).DecodeBody(once)
	if err != nil {
		t.Fatalf("encoded as %q, which doesn't decode: %v", once, err)
	}
	twice, err := encode(nil, again)
	if err != nil || !bytes.Equal(once, twice) {
		t.Fatalf("encoded as %q, decoded, and encoded as %q, %v", once, twice, err)
	}
}

// A spliced pickle decodes if the original does, to the same value but for what
// Python 2 made.
func FuzzAppendSplice(f *testing.F) {
	addPickles(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		body, err := AppendSplice(nil, b, func([]byte) bool { return true })
		if err != nil {
			return
		}
		var d1, d2 Decoder
		v1, _, err := d1.Decode(b)
		if err != nil {
			return
		}
		v2, err := d2.DecodeBody(body)
		if errors.Is(err, ErrLimit) {
			return // a memo index that is too high for the shorter form
		}
		if err != nil {
			t.Fatalf("AppendSplice() = %q, which doesn't decode: %v", body, err)
		}
		e := Encoder{Limit: 1 << 18}
		want, err := e.AppendProtocol3(nil, v1)
		if err != nil {
			return
		}
		if got, err := e.AppendProtocol3(nil, v2); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("AppendSplice() = %q, encoded as %q, %v, want %q", body, got, err, want)
		}
	})
}

// IsBlobRecord says what the decoder says, but for spellings that no pickler has.
func FuzzIsBlobRecord(f *testing.F) {
	f.Add([]byte("\x80\x03cZODB.blob\nBlob\nq\x01.\x80\x03N."))
	f.Add([]byte("\x80\x04\x95\x16\x00\x00\x00\x00\x00\x00\x00\x8c\tZODB.blob\x94\x8c\x04Blob\x94\x93\x94.\x80\x04N."))
	f.Fuzz(func(t *testing.T, b []byte) {
		if !IsBlobRecord(b) {
			return
		}
		v, _, err := new(Decoder).Decode(b)
		if err != nil {
			var e *Error
			if errors.As(err, &e) && (e.Code == opFrame || errors.Is(err, ErrLimit) || errors.Is(err, ErrSyntax) && e.Code == opPut) {
				return // IsBlobRecord doesn't look at these numbers
			}
			t.Fatalf("IsBlobRecord(%q), which doesn't decode: %v", b, err)
		}
		if v.Kind != Global || string(v.Data) != "ZODB.blob\nBlob" {
			t.Fatalf("IsBlobRecord(%q), which is %s", b, show(v))
		}
	})
}
