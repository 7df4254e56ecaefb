package pickle

import "testing"

func BenchmarkDecoder_Decode(b *testing.B) {
	cases := goldenCases(b)
	size := 0
	for _, c := range cases {
		size += len(c.Stored)
	}
	var d Decoder
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		for _, c := range cases {
			if _, _, err := d.Decode(c.Stored); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkIsBlobRecord(b *testing.B) {
	record := []byte("\x80\x03cZODB.blob\nBlob\nq\x01.\x80\x03N.")
	b.SetBytes(int64(len(record)))
	b.ReportAllocs()
	for b.Loop() {
		if !IsBlobRecord(record) {
			b.Fatal("IsBlobRecord() = false")
		}
	}
}
