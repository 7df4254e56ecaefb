package pickle

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"testing"
)

// A goldenCase is a line of extensions.jsonl; extensions.py beside it explains
// the fields.
type goldenCase struct {
	Name      string
	Stored    []byte
	Message   []byte
	Rebuilt   []byte
	Protocols []struct {
		Protocol     int
		Pickle, Want []byte
	}
}

func goldenCases(t testing.TB) []goldenCase {
	t.Helper()
	f, err := os.Open("../wire/testdata/extensions.jsonl")
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

// zodb returns the value of pickle as ZODB stores it.
func zodb(t *testing.T, pickle []byte) []byte {
	t.Helper()
	var d Decoder
	v, n, err := d.Decode(pickle)
	if err != nil || n != len(pickle) {
		t.Fatalf("Decode(%q) = %d, %v", pickle, n, err)
	}
	var e Encoder
	b, err := e.AppendProtocol3([]byte{opProto, 3}, v)
	if err != nil {
		t.Fatalf("AppendProtocol3() of %q: %v", pickle, err)
	}
	return append(b, opStop)
}

// What ZODB stored, and what pickle made of it in other protocols, comes out as
// ZODB stores it.
func TestEncoder_AppendProtocol3_golden(t *testing.T) {
	for _, c := range goldenCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			if got := zodb(t, c.Stored); !bytes.Equal(got, c.Stored) {
				t.Errorf("stored:\n got %q\nwant %q", got, c.Stored)
			}
			for _, p := range c.Protocols {
				want := p.Want
				if want == nil {
					want = c.Stored
				}
				if got := zodb(t, p.Pickle); !bytes.Equal(got, want) {
					t.Errorf("protocol %d, %q:\n got %q\nwant %q", p.Protocol, p.Pickle, got, want)
				}
			}
		})
	}
}

// The fast form of what ZODB stored is the tail of the message in which zc.zrs
// sends it, and comes back as zc.zrs' secondary stores it.
func TestEncoder_AppendProtocol1_golden(t *testing.T) {
	for _, c := range goldenCases(t) {
		t.Run(c.Name, func(t *testing.T) {
			var d Decoder
			v, _, err := d.Decode(c.Stored)
			if err != nil {
				t.Fatal(err)
			}
			var e Encoder
			fast, err := e.AppendProtocol1(nil, v)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasSuffix(c.Message, append(slices.Clip(fast), "tt."...)) {
				t.Fatalf("AppendProtocol1() = %q, want the tail of %q", fast, c.Message)
			}
			want := c.Rebuilt
			if want == nil {
				want = c.Stored
			}
			if got := zodb(t, append(fast, opStop)); !bytes.Equal(got, want) {
				t.Errorf("again in protocol 3:\n got %q\nwant %q", got, want)
			}
		})
	}
}
