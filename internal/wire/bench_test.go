package wire

import "testing"

func benchmarkMessages() map[string]Message {
	return map[string]Message{
		"begin":      &Begin{TID: 0x040d2d7e00db27bb, Status: ' ', User: []byte("/ admin"), Description: []byte("/site/folder/manage_edit")},
		"begin-dict": &Begin{TID: 0x040d2d7e00db27bb, Status: ' ', User: []byte("/ admin"), Extension: []byte("\x80\x03}q\x00(X\x0c\x00\x00\x00request_typeq\x01X\x04\x00\x00\x00formq\x02X\x01\x00\x00\x00nq\x03K\x07u.")},
		"store":      &Store{OID: 0x12345, TID: 0x040d2d7e00db27bb},
		"store-back": &Store{OID: 0x12345, TID: 0x040d2d7e00db27bb, DataTxn: 0x040d2d7e00db0000, HasDataTxn: true},
		"commit":     &Commit{Digest: NewDigest(Protocol21, 0).Sum()},
	}
}

func BenchmarkDecoder_Decode(b *testing.B) {
	for name, m := range benchmarkMessages() {
		b.Run(name, func(b *testing.B) {
			payload := m.AppendTo(nil)
			var d Decoder
			b.SetBytes(int64(len(payload)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.Decode(payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendTo(b *testing.B) {
	for name, m := range benchmarkMessages() {
		b.Run(name, func(b *testing.B) {
			var e Encoder
			out := m.AppendTo(nil)
			b.SetBytes(int64(len(out)))
			b.ReportAllocs()
			for b.Loop() {
				if begin, ok := m.(*Begin); ok {
					out, _ = e.AppendBegin(out[:0], begin)
				} else {
					out = m.AppendTo(out[:0])
				}
			}
		})
	}
}

func BenchmarkDigest(b *testing.B) {
	d := NewDigest(Protocol21, 0)
	block := make([]byte, BlockSize)
	b.SetBytes(BlockSize)
	b.ReportAllocs()
	for b.Loop() {
		d.Add(block)
		d.Sum()
	}
}
