package verify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"zrs/internal/fs"
	"zrs/internal/verify/plant"
)

// kindsOf are the kinds of findings by which damage to a field shows.
var kindsOf = map[plant.Field][]fs.Kind{
	plant.TID:        {KindTxnTID, KindRecordTID, fs.KindTID},
	plant.Length:     {fs.KindLength},
	plant.Status:     {fs.KindStatus, fs.KindCheckpoint},
	plant.UserLen:    {fs.KindTexts},
	plant.DescLen:    {fs.KindTexts},
	plant.ExtLen:     {fs.KindTexts},
	plant.Trailer:    {fs.KindTrailer},
	plant.OID:        {KindPrevChain, fs.KindBack, KindMissing, KindEntry, KindExtra},
	plant.RecordTID:  {KindRecordTID},
	plant.Prev:       {KindPrevChain, fs.KindPrevious},
	plant.Txn:        {fs.KindTxnOffset},
	plant.VersionLen: {fs.KindVersion},
	plant.DataLen:    {fs.KindRecord},
	plant.Back:       {fs.KindBack},
}

// plantBases are sound files of all that ZODB writes. Each has an index, so that
// an object that changes its id is missed.
var plantBases = []string{
	"damage_base/Data.fs", "undo/Data.fs", "undo_creation/Data.fs", "multi_undo/Data.fs", "duplicate_oid/Data.fs",
	"packed/Data.fs", "copied_packed/Data.fs", "zero_records/Data.fs", "one_txn/Data.fs",
}

// TestSound_Planted flips every bit of every field, in two files; in the others,
// which differ in how records refer to each other, every seventh.
func TestSound_Planted(t *testing.T) {
	for _, name := range plantBases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := corpusFile(t, name)
			txns := plant.Parse(base)
			path := writeFile(t, base)
			rewrite(t, path+".index", corpusFile(t, name+".index"))
			if o := sound(t, path, Options{}); o.Err() != nil || len(o.findings) != 0 || o.Index != IndexCurrent {
				t.Fatalf("the base: %+v", o)
			}
			every := 6
			if name == "damage_base/Data.fs" || name == "undo/Data.fs" {
				every = 0
			}
			for f := range plant.Flips(base, every) {
				rewrite(t, path, f.Data)
				checkPlanted(t, &f, base, txns, sound(t, path, Options{}))
				checkNotTorn(t, &f, path)
			}
		})
	}
}

func checkPlanted(t *testing.T, f *plant.File, base []byte, txns []plant.Transaction, o *outcome) {
	t.Helper()
	from, to, kinds := f.Offset, f.Offset+1, kindsOf[f.Field]
	for _, txn := range txns {
		if f.Field == plant.TID && int64(txn.Offset) == f.Offset {
			to = int64(txn.End) + 1 // or by the order, at the next
		}
	}
	if f.Index {
		from, to, kinds = NoOffset, int64(len(base)), append(kinds, kindsOf[plant.OID]...)
	}
	switch {
	case f.Hidden:
		return
	case o.Tail != nil:
		t.Errorf("%s: a torn tail, %v", f.Name, o.Tail)
	case !o.has(from, to, kinds...):
		t.Errorf("%s: no finding of %v: %+v", f.Name, kinds, o.findings)
	case o.Err() == nil:
		t.Errorf("%s: is sound", f.Name)
	}
	// One flipped bit costs no transaction, and makes no avalanche.
	if o.Lost > 0 || o.Transactions != int64(len(txns)) || o.End != int64(len(base)) {
		t.Errorf("%s: %d bytes lost, %d transactions, end %d: %+v", f.Name, o.Lost, o.Transactions, o.End, o.findings)
	}
	if len(o.findings) > 6 {
		t.Errorf("%s: %d findings: %+v", f.Name, len(o.findings), o.findings)
	}
}

// checkNotTorn holds that what a writer would cut off is what Sound calls torn:
// nothing, where a bit has flipped.
func checkNotTorn(t *testing.T, f *plant.File, path string) {
	t.Helper()
	file, err := fs.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, tail, err := file.End(t.Context()); err != nil || errors.Is(tail, fs.ErrTornTail) {
		t.Errorf("%s: End() tells of %v, %v", f.Name, tail, err)
	}
}

// TestSound_Truncated cuts a file at every byte.
func TestSound_Truncated(t *testing.T) {
	for _, name := range []string{"undo/Data.fs", "zero_records/Data.fs"} {
		base := corpusFile(t, name)
		path := writeFile(t, base)
		want := map[int64]int{fs.FirstOffset: 0}
		for i, txn := range plant.Parse(base) {
			want[int64(txn.End)] = i + 1
		}
		end, count := fs.FirstOffset, 0
		for size := end; size <= int64(len(base)); size++ {
			rewrite(t, path, base[:size])
			o := sound(t, path, Options{})
			if n, ok := want[size]; ok {
				end, count = size, n
			}
			if o.Err() != nil || len(o.findings) > 0 || o.End != end || o.Transactions != int64(count) {
				t.Fatalf("%s cut at %d: %+v, want %d transactions and the end %d", name, size, o, count, end)
			}
			if (o.Tail != nil) != (size > end) || o.TailBytes != size-end {
				t.Fatalf("%s cut at %d: tail %v of %d bytes", name, size, o.Tail, o.TailBytes)
			}
		}
	}
}

// TestSound_Mangled has damage of more than a field: the finding at an offset, and
// how many of the transactions are still seen.
func TestSound_Mangled(t *testing.T) {
	base := corpusFile(t, "damage_base/Data.fs")
	txns := plant.Parse(base)
	third, fourth := txns[2], txns[3]
	cut := func(t plant.Transaction) []byte { return base[t.Offset:t.End] }
	with := func(at int, b []byte) []byte {
		data := bytes.Clone(base)
		copy(data[at:], b)
		return data
	}
	record := third.Records[1].Offset
	tests := []struct {
		name   string
		data   []byte
		kinds  []fs.Kind
		offset int
		txns   int64
		lost   int
	}{
		{"swapped", with(third.Offset, slices.Concat(cut(fourth), cut(third))), []fs.Kind{fs.KindTxnOffset}, fourth.Records[0].Offset - fourth.Offset + third.Offset, 6, 0},
		{"duplicated", with(fourth.Offset, cut(third)), []fs.Kind{fs.KindTxnOffset}, third.Records[0].Offset - third.Offset + fourth.Offset, 0, -1},
		{"header-zeroed", with(third.Offset, make([]byte, 23)), []fs.Kind{fs.KindStatus}, third.Offset, 5, third.End - third.Offset},
		{"transaction-zeroed", with(third.Offset, make([]byte, third.End-third.Offset)), []fs.Kind{fs.KindStatus}, third.Offset, 5, third.End - third.Offset},
		{"two-zeroed", with(third.Offset, make([]byte, fourth.End-third.Offset)), []fs.Kind{fs.KindStatus}, third.Offset, 4, fourth.End - third.Offset},
		{"across-two-zeroed", with(third.End-20, make([]byte, 40)), []fs.Kind{fs.KindTrailer}, third.Offset, 5, -1},
		{"record-header-zeroed", with(record, make([]byte, 42)), []fs.Kind{fs.KindTxnOffset, fs.KindRecord}, record, 6, 0},
		{"noise", with(third.Offset+10, []byte("what is this doing here, in the middle of a header?")), []fs.Kind{fs.KindStatus, fs.KindLength}, third.Offset, 5, third.End - third.Offset},
		{"ones", with(third.Offset, bytes.Repeat([]byte{0xff}, third.End-third.Offset)), []fs.Kind{fs.KindStatus}, third.Offset, 5, third.End - third.Offset},
		{"byte-lost", slices.Concat(base[:third.Offset+100], base[third.Offset+101:]), []fs.Kind{fs.KindTrailer}, third.Offset, 2, len(base) - 1 - third.Offset},
		{"byte-inserted", slices.Concat(base[:third.Offset+100], []byte("x"), base[third.Offset+100:]), []fs.Kind{fs.KindTrailer}, third.Offset, 2, len(base) + 1 - third.Offset},
		{"transaction-lost", slices.Concat(base[:third.Offset], base[third.End:]), []fs.Kind{fs.KindTxnOffset}, third.Offset + fourth.Records[0].Offset - fourth.Offset, 5, 0},
		{"ones-behind", slices.Concat(base, bytes.Repeat([]byte{0xff}, 100)), []fs.Kind{fs.KindStatus}, len(base), 6, 100},
		{"text-behind", slices.Concat(base, []byte("this_has_nothing_to_do_here,_at_the_end_of_a_database\n")), []fs.Kind{fs.KindStatus}, len(base), 6, 54},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := sound(t, writeFile(t, tt.data), Options{References: true})
			if !o.has(int64(tt.offset), int64(tt.offset)+1, tt.kinds...) || o.Err() == nil {
				t.Errorf("no finding of %v at %d: %+v", tt.kinds, tt.offset, o.findings)
			}
			if tt.txns > 0 && o.Transactions != tt.txns || tt.lost >= 0 && o.Lost != int64(tt.lost) {
				t.Errorf("%d transactions and %d bytes lost, want %d and %d: %+v", o.Transactions, o.Lost, tt.txns, tt.lost, o.findings)
			}
		})
	}
}

// TestSound_Nested puts a database into an object of another one: what is in data
// is no transaction, not even behind damage.
func TestSound_Nested(t *testing.T) {
	inner := corpusFile(t, "zero_records/Data.fs")
	var data []byte
	data = append(data, "FS30"...)
	var prev uint64
	for i := range 4 {
		data, prev = appendTxn(data, uint64(100+i), prev, inner)
	}
	path := writeFile(t, data)
	if o := sound(t, path, Options{}); o.Err() != nil || o.Transactions != 4 {
		t.Fatalf("%+v", o)
	}
	txns := plant.Parse(data)
	binary.BigEndian.PutUint64(data[txns[1].Offset+8:], 1<<40)
	rewrite(t, path, data)
	o := sound(t, path, Options{})
	if o.Transactions != 4 || o.Damage != 1 || !o.has(int64(txns[1].Offset), int64(txns[1].Offset)+1, fs.KindLength) {
		t.Errorf("%+v %+v", o.Report, o.findings)
	}
}

// appendTxn appends a transaction with one record of object 1.
func appendTxn(b []byte, tid, prev uint64, data []byte) ([]byte, uint64) {
	be := binary.BigEndian
	at := uint64(len(b))
	length := uint64(23 + 42 + len(data))
	b = be.AppendUint64(b, tid)
	b = be.AppendUint64(b, length)
	b = append(b, ' ', 0, 0, 0, 0, 0, 0)
	rec := uint64(len(b))
	for _, v := range []uint64{1, tid, prev, at} {
		b = be.AppendUint64(b, v)
	}
	b = be.AppendUint64(append(b, 0, 0), uint64(len(data)))
	b = append(b, data...)
	return be.AppendUint64(b, length), rec
}

// TestSound_Large has a transaction that no buffer holds, sound and damaged in
// each record.
func TestSound_Large(t *testing.T) {
	const records = 3 * maxPiece
	b := []byte("FS30")
	be := binary.BigEndian
	b = be.AppendUint64(b, 77)
	length := uint64(23 + records*(42+50))
	b = append(be.AppendUint64(b, length), ' ', 0, 0, 0, 0, 0, 0)
	for i := range uint64(records) {
		for _, v := range []uint64{i, 77, 0, 4} {
			b = be.AppendUint64(b, v)
		}
		b = be.AppendUint64(append(b, 0, 0), 50)
		b = append(b, make([]byte, 50)...)
	}
	b = be.AppendUint64(b, length)
	path := writeFile(t, b)
	if o := sound(t, path, Options{}); o.Err() != nil || o.Records != records || o.Objects != records || o.Transactions != 1 {
		t.Fatalf("%+v", o)
	}
	for _, damage := range []struct {
		field  plant.Field
		offset int
	}{{plant.RecordTID, 15}, {plant.Txn, 31}, {plant.DataLen, 41}, {plant.VersionLen, 33}} {
		bad := bytes.Clone(b)
		at := 4 + 23 + (records/2)*92
		bad[at+damage.offset] ^= 1
		rewrite(t, path, bad)
		o := sound(t, path, Options{})
		if o.Damage != 1 || !o.has(int64(at), int64(at)+1, kindsOf[damage.field]...) || o.Records != records || o.Transactions != 1 {
			t.Errorf("%s: %+v %+v", damage.field, o.Report, o.findings)
		}
	}
}

// FuzzSound holds that nothing panics, that it ends, and that no finding is
// outside of the file: by sound.
func FuzzSound(f *testing.F) {
	for _, name := range plantBases {
		f.Add(corpusFile(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 4 {
			return
		}
		copy(data, "FS30")
		o := sound(t, writeFile(t, data), Options{References: true})
		if sum := o.End + o.TailBytes; sum > int64(len(data)) {
			t.Errorf("%+v", o.Report)
		}
	})
}
