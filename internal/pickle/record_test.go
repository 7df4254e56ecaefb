package pickle

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
)

// vectors are records and what the real programs see in them.
type vectors struct {
	BlobRecord []struct {
		Form, Record string
		ZCZRS        bool `json:"zc_zrs"`
	} `json:"blob_record"`
	References []struct {
		Form, Record string
		Strong       any
	}
}

func readVectors(t *testing.T) vectors {
	t.Helper()
	b, err := os.ReadFile("../../testdata/wire/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v vectors
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestIsBlobRecord(t *testing.T) {
	for _, v := range readVectors(t).BlobRecord {
		if got := IsBlobRecord(unhex(t, v.Record)); got != v.ZCZRS {
			t.Errorf("%s: IsBlobRecord() = %v, want %v", v.Form, got, v.ZCZRS)
		}
	}
	tests := []struct {
		record string
		want   bool
	}{
		{"", false},
		{"\x80", false},
		{"\x80\x03", false},
		{"\x80\x06cZODB.blob\nBlob\n.", false},
		{"cZODB.blob\nBlob\n.", true},
		{"cZODB.blob\nBlob\nr\x00\x00\x00\x00.", true},
		{"cZODB.blob\nBlob\n", false},
		{"cZODB.blob\nBlob\nq", false},
		{"cZODB.blob\nBlob\nq\x00q\x00.", false},
		{"cZODB.blob\nBlob\n)\x81.", false},
		{"cZODB.blob\nBlobs\n.", false},
		{"X\x09\x00\x00\x00ZODB.blobX\x04\x00\x00\x00Blob\x93.", true},
		{"\x8c\x09ZODB.blob\x8c\x04Blob\x93", false},
		{"\x8c\x09ZODB.blob\x8c\x04Blob.", false},
		{"C\x09ZODB.blobC\x04Blob\x93.", false},
		{"\x95\x00\x00", false},
		{".h80036300", false},
	}
	for _, tt := range tests {
		if got := IsBlobRecord([]byte(tt.record)); got != tt.want {
			t.Errorf("IsBlobRecord(%q) = %v, want %v", tt.record, got, tt.want)
		}
	}
}

func TestIsBlobRecord_allocs(t *testing.T) {
	record := []byte("\x80\x03cZODB.blob\nBlob\nq\x01.\x80\x03N.")
	other := []byte("\x80\x03cpersistent.mapping\nPersistentMapping\nq\x01.\x80\x03}.")
	n := testing.AllocsPerRun(100, func() {
		if !IsBlobRecord(record) || IsBlobRecord(other) {
			t.Fatal("IsBlobRecord() is wrong")
		}
	})
	if n != 0 {
		t.Errorf("IsBlobRecord(): %v allocations, want 0", n)
	}
}

// The references of a record are the persistent ids of its two pickles, which
// share a memo.
func TestDecoder_DecodeNext(t *testing.T) {
	for _, v := range readVectors(t).References {
		t.Run(v.Form, func(t *testing.T) {
			record := unhex(t, v.Record)
			var d Decoder
			_, n, err := d.Decode(record)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := d.DecodeNext(record[n:]); err != nil {
				t.Fatal(err)
			}
			want := []string{}
			if list, ok := v.Strong.([]any); ok {
				for _, oid := range list {
					want = append(want, oid.(string))
				}
			} else { // an 8-bit string that Python 3 can't decode
				want = append(want, "0000000000000085")
			}
			got := []string{}
			for v := range d.Values() {
				if v.Kind == Persistent {
					got = append(got, strong(v.Items[0])...)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("references %v, want %v", got, want)
			}
		})
	}
}

// strong returns the object id in a persistent id, unless it is a weak one.
func strong(id *Value) []string {
	if id.Kind == Tuple {
		id = id.Items[0]
	}
	if id.Kind == List {
		return nil
	}
	return []string{fmt.Sprintf("%x", id.Data)}
}
