package fs

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// mixed makes a data file in memory with transactions of many sizes, some of
// them larger than what a scan reads at a time.
func mixed(t testing.TB, txns int) []byte {
	t.Helper()
	rnd := rand.New(rand.NewPCG(7, 7))
	data := []byte("FS30")
	for i := range txns {
		at := int64(len(data))
		h := TxnHeader{TID: TID(1000 + 10*i), Status: StatusComplete, User: bytes.Repeat([]byte("u"), rnd.IntN(50))}
		n := rnd.IntN(5)
		size := rnd.IntN(3000)
		if i%97 == 50 {
			n, size = 3, scanChunk
		}
		var body []byte
		for range n {
			rec := Record{
				Offset: at + h.Size() + int64(len(body)), OID: OID(rnd.IntN(500)), TID: h.TID, Txn: at,
				Length: int64(1 + rnd.IntN(size+1)),
			}
			body = rec.appendHeader(body)
			body = append(body, bytes.Repeat([]byte{byte(i)}, int(rec.Length))...)
		}
		h.Length = uint64(h.Size() + int64(len(body)))
		data = append(h.AppendTo(data), body...)
		for shift := 56; shift >= 0; shift -= 8 {
			data = append(data, byte(h.Length>>shift))
		}
	}
	return data
}

// slowIndex is what scan has to find, made the obvious way.
func slowIndex(data []byte) (idx *Index, c census, err error) {
	idx = new(Index)
	r := NewReader(bytes.NewReader(data), "", FirstOffset, int64(len(data)))
	c.end = FirstOffset
	for txn, err := range r.All() {
		if err != nil {
			return idx, c, err
		}
		for {
			rec, err := r.NextRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return idx, c, err
			}
			idx.Set(rec.OID, rec.Offset)
		}
		c.txns++
		c.last, c.end = txn.TID, txn.End()
	}
	return idx, c, nil
}

func sameIndex(a, b *Index) bool {
	if a.Len() != b.Len() {
		return false
	}
	for oid, off := range a.All() {
		if got, ok := b.Get(oid); !ok || got != off {
			return false
		}
	}
	return true
}

func TestScan(t *testing.T) {
	data := mixed(t, 1200)
	want, c, err := slowIndex(data)
	if err != nil {
		t.Fatal(err)
	}
	got := new(Index)
	var cps checkpoints
	s, err := scan(t.Context(), bytes.NewReader(data), "", FirstOffset, int64(len(data)), 0, got, &cps)
	if err != nil || s.err != nil {
		t.Fatal(err, s.err)
	}
	if s.end != c.end || s.tid != c.last || s.count != int64(c.txns) {
		t.Errorf("scan() = %+v, want end %d, TID %v, %d transactions", s, c.end, c.last, c.txns)
	}
	if !sameIndex(got, want) {
		t.Error("the index differs from one that is made record by record")
	}
	for _, p := range cps.list {
		if h := decodeFixedHeader(data[p.offset:]); h.tid != p.tid {
			t.Errorf("checkpoint %v at %d leads to transaction %v", p.tid, p.offset, h.tid)
		}
	}
}

// TestScan_FirstFlaw damages a file at random places: a scan by several workers
// ends where a reader does that goes transaction by transaction.
func TestScan_FirstFlaw(t *testing.T) {
	data := mixed(t, 300)
	rnd := rand.New(rand.NewPCG(1, 9))
	for range 300 {
		bad := bytes.Clone(data)
		for range 1 + rnd.IntN(3) {
			bad[4+rnd.IntN(len(bad)-4)] ^= 1 << rnd.IntN(8)
		}
		_, c, want := slowIndex(bad)
		s, err := scan(t.Context(), bytes.NewReader(bad), "", FirstOffset, int64(len(bad)), 0, new(Index), nil)
		if err != nil {
			t.Fatal(err)
		}
		if s.end != c.end || s.tid != c.last {
			t.Fatalf("scan ended at %d after %v (%v), the reader at %d after %v (%v)", s.end, s.tid, s.err, c.end, c.last, want)
		}
		if (s.err == nil) != (want == nil) || s.err != nil && s.err.Error() != want.Error() {
			t.Fatalf("scan: %v, want %v", s.err, want)
		}
	}
}

func TestCheckpoints(t *testing.T) {
	var c checkpoints
	const n = 5 * maxCheckpoints
	for i := range n {
		c.add(TID(10*i+10), FirstOffset+int64(i)*firstStride)
	}
	if len(c.list) > maxCheckpoints {
		t.Errorf("%d checkpoints, the limit is %d", len(c.list), maxCheckpoints)
	}
	for i := 0; i < n; i += 1000 {
		tid := TID(10*i + 15)
		off := c.before(tid)
		at := (off - FirstOffset) / firstStride
		if at > int64(i) || int64(i)-at > 2*n/maxCheckpoints+1 {
			t.Errorf("before(%v) is transaction %d, want %d or a little less", tid, at, i)
		}
	}
	if got := c.before(5); got != FirstOffset {
		t.Errorf("before the first: %d, want %d", got, FirstOffset)
	}
}

// TestTrustIndex believes an index that fits, and no other.
func TestTrustIndex(t *testing.T) {
	read := func(name string) []byte { return readFile(t, corpusPath(t, name)) }
	data := read("realistic_200/Data.fs")
	tests := map[string]struct {
		data, index []byte
		end         int64 // 0: not believed
	}{
		"right":       {data, read("realistic_200/Data.fs.index"), int64(len(data))},
		"stale":       {data, read("realistic_200/Data.fs.index.at100"), 0},
		"of-another":  {data, read("damage_base/Data.fs.index"), 0},
		"cut":         {data, read("realistic_200/Data.fs.index")[:1000], 0},
		"none":        {data, nil, 0},
		"before-pack": {read("packed/Data.fs"), read("undo/Data.fs.index"), 0},
		"file-is-cut": {data[:len(data)-10], read("realistic_200/Data.fs.index"), 0},
		"tiny":        {read("empty/Data.fs"), read("empty/Data.fs.index"), 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "Data.fs")
			if test.index != nil {
				if err := os.WriteFile(path+".index", test.index, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			src := bytes.NewReader(test.data)
			hint, ok := trustIndex(path, src, int64(len(test.data)))
			if name == "stale" { // it is right as far as it goes
				if !ok || hint.end <= FirstOffset || hint.end >= int64(len(data)) {
					t.Errorf("trustIndex() = %+v, %v, want an end inside the file", hint, ok)
				}
				return
			}
			if ok != (test.end != 0) || ok && hint.end != test.end {
				t.Errorf("trustIndex() = end %d, %v, want %d", hint.end, ok, test.end)
			}
		})
	}
}

// TestOpenReadOnly looks at files of all kinds, and leaves them as they were.
func TestOpenReadOnly(t *testing.T) {
	facts := loadFacts(t)
	for name := range healthy {
		dir := t.TempDir()
		path := filepath.Join(dir, "Data.fs")
		if err := os.WriteFile(path, readFile(t, corpusPath(t, name)), 0o444); err != nil {
			t.Fatal(err)
		}
		log, idx, done, err := OpenReadOnly(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		fact := facts[name]
		if log.Tip().TID != fact.LastTID || idx.Len() != fact.DistinctOIDs {
			t.Errorf("%s: last TID %v, %d objects, want %v, %d", name, log.Tip().TID, idx.Len(), fact.LastTID, fact.DistinctOIDs)
		}
		done()
		left, err := os.ReadDir(dir)
		if err != nil || len(left) != 1 {
			t.Errorf("%s: %d files beside it (%v), want none", name, len(left)-1, err)
		}
	}
}

func TestLog_Back(t *testing.T) {
	log, _, done, err := OpenReadOnly(t.Context(), corpusPath(t, "realistic_200/Data.fs"))
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	all, err := log.After(0)
	if err != nil {
		t.Fatal(err)
	}
	defer all.Close()
	tids := readTIDs(t, all)
	for _, n := range []int{1, 2, 16, 199} {
		if got, err := log.Back(n, 1<<40); err != nil || got != tids[len(tids)-1-n] {
			t.Errorf("Back(%d) = %v, %v, want %v", n, got, err, tids[len(tids)-1-n])
		}
	}
	for _, n := range []int{200, 201, 10_000} {
		if got, err := log.Back(n, 1<<40); err != nil || got != 0 {
			t.Errorf("Back(%d) = %v, %v, want 0", n, got, err)
		}
	}
	if got, err := log.Back(100, 1); err != nil || got != tids[len(tids)-2] {
		t.Errorf("Back(100, 1 byte) = %v, %v, want the last but one, %v", got, err, tids[len(tids)-2])
	}
}
