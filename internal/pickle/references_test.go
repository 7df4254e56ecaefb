package pickle

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
)

// A referenceVector is a record with what ZODB.serialize.referencesf made of it.
type referenceVector struct {
	Form   string
	Record string
	Strong json.RawMessage // a list of OIDs, or the text of an error
}

func referenceVectors(t testing.TB) []referenceVector {
	t.Helper()
	text, err := os.ReadFile("../../testdata/corpus/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct{ References []referenceVector }
	if err := json.Unmarshal(text, &vectors); err != nil || len(vectors.References) == 0 {
		t.Fatal(err)
	}
	return vectors.References
}

// TestReferenceReader_Read compares with what the real ZODB found.
func TestReferenceReader_Read(t *testing.T) {
	var r ReferenceReader
	for _, v := range referenceVectors(t) {
		var want []byte
		var oids []string
		if json.Unmarshal(v.Strong, &oids) == nil {
			for _, oid := range oids {
				want = append(want, unhex(t, oid)...)
			}
		} else {
			want = unhex(t, "0000000000000085") // ZODB can't read this one, we can
		}
		got, err := r.Read(unhex(t, v.Record))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %x, %v, want %x", v.Form, got, err, want)
		}
	}
}

// TestReferenceReader_Refused has records that referencesf fails on.
func TestReferenceReader_Refused(t *testing.T) {
	const class = "\x80\x03cm\nC\nq\x00."
	for name, data := range map[string]string{
		"nothing":            "",
		"one pickle":         class,
		"second cut":         class + "\x80\x03}q\x01X\x04",
		"without stop":       class + "\x80\x03N",
		"not a pickle":       class + "\xff.",
		"underflow":          class + "\x80\x03Q.",
		"id is a number":     class + "\x80\x03K\x01Q.",
		"id is None":         class + "\x80\x03NQ.",
		"id of 7 bytes":      class + "\x80\x03C\x071234567Q.",
		"id of odd tuple":    class + "\x80\x03K\x01N\x86Q.",
		"id of empty tuple":  class + "\x80\x03)Q.",
		"tuple without mark": class + "\x80\x03Nt.",
		"nothing in memo":    class + "\x80\x03h\x05.",
		"text id of 3 bytes": class + "\x80\x03Pabc\n.",
		"beneath the mark":   class + "\x80\x03N(Q.",
	} {
		if refs, err := new(ReferenceReader).Read([]byte(data)); err == nil {
			t.Errorf("%s: Read() = %x, want an error", name, refs)
		} else {
			checkError(t, err)
		}
	}
}

// TestReferenceReader_Decoder compares with the references among the values of
// a Decoder, on every record there is.
func TestReferenceReader_Decoder(t *testing.T) {
	for _, v := range referenceVectors(t) {
		compareReferences(t, unhex(t, v.Record))
	}
}

// compareReferences checks a record against a Decoder, which is slow and
// obvious. It may take what the Decoder refuses: it does not look at values.
func compareReferences(t *testing.T, data []byte) {
	t.Helper()
	got, err := new(ReferenceReader).Read(data)
	var d Decoder
	_, n, decodeErr := d.Decode(data)
	if decodeErr == nil {
		_, _, decodeErr = d.DecodeNext(data[n:])
	}
	if decodeErr != nil || err != nil {
		return
	}
	var want []byte
	for v := range d.Values() {
		if v.Kind != Persistent {
			continue
		}
		id := v.Items[0]
		if id.Kind == Tuple {
			id = id.Items[0]
		}
		if id.Kind != List {
			want = append(want, id.Data...)
		}
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%x: Read() = %x, a Decoder has %x", data, got, want)
	}
}

func FuzzReferenceReader_Read(f *testing.F) {
	for _, v := range referenceVectors(f) {
		f.Add(unhex(f, v.Record))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var r ReferenceReader
		first, err := r.Read(data)
		if err != nil {
			checkError(t, err)
		}
		first = bytes.Clone(first)
		if again, _ := r.Read(data); !bytes.Equal(first, again) {
			t.Fatalf("Read() = %x, then %x", first, again)
		}
		compareReferences(t, data)
	})
}

func BenchmarkReferenceReader_Read(b *testing.B) {
	var data []byte
	for _, v := range referenceVectors(b) {
		if v.Form == "(oid, class) with the class from the memo of the first pickle" {
			data = unhex(b, v.Record)
		}
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	var r ReferenceReader
	for b.Loop() {
		if _, err := r.Read(data); err != nil {
			b.Fatal(err)
		}
	}
}
