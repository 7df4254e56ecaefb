package fs

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

// openCorpus opens a corpus file and returns it with its size.
func openCorpus(t testing.TB, name string) (*os.File, int64) {
	t.Helper()
	f, err := os.Open(corpusPath(t, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	fi, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return f, fi.Size()
}

// A census is what a walk over a data file finds.
type census struct {
	txns, records, backs int
	first, last          TID
	end                  int64 // of the last whole transaction
	objects              map[OID]bool
}

// count reads everything, and follows all back pointers.
func count(r *Reader) (c census, err error) {
	c.objects = make(map[OID]bool)
	c.end = r.Offset()
	for txn, err := range r.All() {
		if err != nil {
			return c, err
		}
		before := c
		for {
			rec, err := r.NextRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return before, err
			}
			c.records++
			c.objects[rec.OID] = true
			if rec.Length == 0 {
				c.backs++
				_, err = r.Resolve()
			} else {
				_, err = r.Data()
			}
			if err != nil {
				return before, err
			}
		}
		if c.txns == 0 {
			c.first = txn.TID
		}
		c.txns++
		c.last, c.end = txn.TID, txn.End()
	}
	return c, nil
}

func TestReader_Corpus(t *testing.T) {
	for name, fact := range loadFacts(t) {
		if strings.HasPrefix(name, "torn/") || strings.HasPrefix(name, "corrupt/") {
			continue // see TestReader_Damage
		}
		t.Run(name, func(t *testing.T) {
			f, size := openCorpus(t, name)
			c, err := count(NewReader(f, name, FirstOffset, size))
			if want := fact.GoodPrefixBytes != fact.Size; (err != nil) != want {
				t.Errorf("error = %v, want one: %v", err, want)
			}
			if c.end != fact.GoodPrefixBytes || c.txns != fact.GoodPrefixTxns {
				t.Errorf("read %d transactions up to %d, want %d up to %d", c.txns, c.end, fact.GoodPrefixTxns, fact.GoodPrefixBytes)
			}
			if err != nil {
				return
			}
			if c.records != fact.Records || c.backs != fact.BackPointerRecords || len(c.objects) != fact.DistinctOIDs {
				t.Errorf("records, back pointers, objects = %d, %d, %d, want %d, %d, %d",
					c.records, c.backs, len(c.objects), fact.Records, fact.BackPointerRecords, fact.DistinctOIDs)
			}
			if c.first != fact.FirstTID || c.last != fact.LastTID {
				t.Errorf("TIDs from %v to %v, want %v to %v", c.first, c.last, fact.FirstTID, fact.LastTID)
			}
		})
	}
}

// TestReader_Damage holds the verdict, the place and the kind for each torn or
// damaged file of the corpus.
func TestReader_Damage(t *testing.T) {
	const third, last = 554, 1379 // where the transactions that were changed start
	tests := map[string]struct {
		kind   Kind
		offset int64
	}{
		"midcommit/Data.fs":            {KindTornTail, last},
		"torn/cut_in_trailer.fs":       {KindTornTail, last},
		"torn/cut_in_data.fs":          {KindTornTail, last},
		"torn/cut_in_data_header.fs":   {KindTornTail, last},
		"torn/cut_in_txn_header_16.fs": {KindTornTail, last},
		"torn/cut_in_txn_header_1.fs":  {KindTornTail, last},
		"torn/zeros_4096_appended.fs":  {KindTornTail, 1654},
		"torn/last_header_zeroed.fs":   {KindTornTail, last},
		"torn/last_body_zeroed.fs":     {KindTornTail, last},
		"torn/status_c_partial.fs":     {KindTornTail, last},
		"corrupt/tlen_bit0.fs":         {KindTrailer, third},
		"corrupt/tlen_bit62.fs":        {KindLength, third},
		"corrupt/tlen_5.fs":            {KindLength, third},
		"corrupt/redundant_len.fs":     {KindTrailer, third},
		"corrupt/plen.fs":              {KindVersion, 0},
		"corrupt/tloc.fs":              {KindTxnOffset, 0},
		"corrupt/vlen.fs":              {KindVersion, 0},
		"corrupt/status_x.fs":          {KindStatus, third},
		"corrupt/status_c_middle.fs":   {KindCheckpoint, third},
		"corrupt/status_0xff.fs":       {KindStatus, third},
		"corrupt/ulen.fs":              {"", 0},
		"corrupt/byte_lost.fs":         {"", 0},
		"corrupt/data_byte.fs":         {"none", 0}, // only a comparison can tell
		"corrupt/record_tid.fs":        {"none", 0},
		"corrupt/prev.fs":              {"none", 0},
		"corrupt/oid.fs":               {"none", 0},
		"corrupt/tid_reduction.fs":     {"none", 0},
		"corrupt/magic.fs":             {"none", 0}, // for Open to find
	}
	facts := loadFacts(t)
	for _, name := range append(corpusFiles(t, "torn/*.fs"), append(corpusFiles(t, "corrupt/*.fs"), "midcommit/Data.fs")...) {
		t.Run(name, func(t *testing.T) {
			want, ok := tests[name]
			if !ok {
				t.Fatal("no expectation")
			}
			f, size := openCorpus(t, name)
			c, err := count(NewReader(f, name, FirstOffset, size))
			if fact := facts[name]; c.end != fact.GoodPrefixBytes || c.txns != fact.GoodPrefixTxns {
				t.Errorf("read %d transactions up to %d, want %d up to %d", c.txns, c.end, fact.GoodPrefixTxns, fact.GoodPrefixBytes)
			}
			if want.kind == "none" {
				if err != nil {
					t.Errorf("error = %v, want none", err)
				}
				return
			}
			e := new(RecordError)
			if !errors.As(err, &e) {
				t.Fatalf("error = %v, want a RecordError", err)
			}
			if torn := want.kind == KindTornTail; errors.Is(err, ErrTornTail) != torn || errors.Is(err, ErrDamaged) == torn {
				t.Errorf("error = %v, want a torn tail: %v", err, torn)
			}
			if want.kind != "" && e.Kind != want.kind {
				t.Errorf("kind = %s, want %s (%v)", e.Kind, want.kind, err)
			}
			if want.offset != 0 && e.Offset != want.offset {
				t.Errorf("offset = %d, want %d", e.Offset, want.offset)
			}
		})
	}
}

// TestReader_Prefixes reads every prefix of a good file: whole transactions,
// then the end or a torn tail.
func TestReader_Prefixes(t *testing.T) {
	for _, name := range []string{"damage_base/Data.fs", "multi_undo/Data.fs", "zero_records/Data.fs", "packed/Data.fs"} {
		f, size := openCorpus(t, name)
		ends := map[int64]bool{FirstOffset: true}
		for txn := range NewReader(f, name, FirstOffset, size).All() {
			ends[txn.End()] = true
		}
		for n := FirstOffset; n <= size; n++ {
			c, err := count(NewReader(io.NewSectionReader(f, 0, n), name, FirstOffset, n))
			if !ends[c.end] {
				t.Fatalf("%s cut at %d: ended at %d, in the middle of a transaction", name, n, c.end)
			}
			if whole := ends[n]; whole && err != nil || !whole && !errors.Is(err, ErrTornTail) {
				t.Fatalf("%s cut at %d: error = %v, torn: %v", name, n, err, !whole)
			}
		}
	}
}

// FuzzReader holds that no bytes make a reader panic, return other than its own
// errors, or stand still.
func FuzzReader(f *testing.F) {
	for _, pattern := range []string{"*/Data.fs", "torn/*.fs", "corrupt/*.fs"} {
		for _, name := range corpusFiles(f, pattern) {
			data, err := os.ReadFile(corpusPath(f, name))
			if err != nil {
				f.Fatal(err)
			}
			if len(data) < 4096 {
				f.Add(data[FirstOffset:])
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		data = append([]byte("FS30"), data...)
		size := int64(len(data))
		src := strings.NewReader(string(data))
		c, err := count(NewReader(src, "", FirstOffset, size))
		e := new(RecordError)
		switch {
		case err == nil && c.end != size:
			t.Errorf("ended at %d of %d without an error", c.end, size)
		case err != nil && !errors.As(err, &e):
			t.Errorf("error %v is no RecordError", err)
		case err != nil && e.Kind == KindIO:
			t.Errorf("error %v: reading cannot fail here", err)
		}
		idx := new(Index)
		s, err := scan(t.Context(), src, "", FirstOffset, size, 0, idx, nil)
		if err != nil || s.end < c.end {
			t.Errorf("scan() = %v, %v, want an end of at least %d", s, err, c.end)
		}
	})
}

func TestResolve(t *testing.T) {
	f, _ := openCorpus(t, "undo/Data.fs")
	rec, err := ReadRecord(f, "undo", 1083)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Resolve(f, "undo", &rec)
	if err != nil || got.Offset != 161+recordHeaderSize || got.Gone {
		t.Errorf("Resolve(1083) = %+v, %v, want the data of the record at 161", got, err)
	}

	f, _ = openCorpus(t, "undo_creation/Data.fs")
	if rec, err = ReadRecord(f, "undo_creation", 815); err != nil {
		t.Fatal(err)
	}
	if got, err := Resolve(f, "undo_creation", &rec); err != nil || !got.Gone {
		t.Errorf("Resolve(815) = %+v, %v, want gone", got, err)
	}
}

// TestResolve_WildPointers plants every kind of bad back pointer.
func TestResolve_WildPointers(t *testing.T) {
	data, err := os.ReadFile(corpusPath(t, "undo/Data.fs"))
	if err != nil {
		t.Fatal(err)
	}
	const record = 437 + txnHeaderSize + 8 // the undo of transaction 3
	tests := map[string]uint64{
		"itself":            record,
		"forward":           record + 100,
		"huge":              1 << 63,
		"magic":             1,
		"middle-of-data":    170,
		"other-object":      38, // the root's first record
		"beyond-end-of-int": ^uint64(0),
	}
	for name, back := range tests {
		t.Run(name, func(t *testing.T) {
			bad := []byte(string(data))
			for i := range 8 {
				bad[record+recordHeaderSize+i] = byte(back >> (56 - 8*i))
			}
			_, err := count(NewReader(strings.NewReader(string(bad)), "x", FirstOffset, int64(len(bad))))
			e := new(RecordError)
			if !errors.As(err, &e) || e.Kind != KindBack || !errors.Is(err, ErrDamaged) {
				t.Errorf("error = %v, want a bad back pointer", err)
			}
		})
	}
}
