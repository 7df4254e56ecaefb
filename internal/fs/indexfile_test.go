package fs

import (
	"bytes"
	"errors"
	iofs "io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestIndexFile_Corpus(t *testing.T) {
	facts := loadFacts(t)
	for _, name := range corpusFiles(t, "*/*.index*") {
		t.Run(name, func(t *testing.T) {
			path := corpusPath(t, name)
			idx, end, err := ReadIndexFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if fact, ok := facts[strings.TrimSuffix(name, ".index")]; ok {
				if end != fact.GoodPrefixBytes || name != "midcommit/Data.fs.index" && idx.Len() != fact.DistinctOIDs {
					t.Errorf("ReadIndexFile() = %d objects, end %d, want %d, %d",
						idx.Len(), end, fact.DistinctOIDs, fact.GoodPrefixBytes)
				}
			}
			checkScan(t, path, idx, end)
			checkWrite(t, path, idx, end)
		})
	}
}

func TestIndexFile_Vectors(t *testing.T) {
	for _, v := range loadVectors(t).Index {
		var idx Index
		for _, e := range v.Entries {
			idx.Set(e.OID, e.Offset)
		}
		path := writeFile(t, "Data.fs.index", v.Hex)
		checkWrite(t, path, &idx, v.Pos)
		got, end, err := ReadIndexFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if end != v.Pos {
			t.Errorf("end = %d, want %d", end, v.Pos)
		}
		checkIndex(t, got, maps.Collect(idx.All()))
		checkScan(t, path, got, end)
	}
}

// checkScan compares ScanIndexFile with an index that was read from the file.
func checkScan(t *testing.T, path string, idx *Index, end int64) {
	t.Helper()
	scanned := make(map[OID]int64)
	got, err := ScanIndexFile(path, func(oid OID, off int64) error {
		scanned[oid] = off
		return nil
	})
	if err != nil || got != end {
		t.Errorf("ScanIndexFile() = %d, %v, want %d", got, err, end)
	}
	if !maps.Equal(scanned, maps.Collect(idx.All())) {
		t.Error("ScanIndexFile() differs from ReadIndexFile()")
	}
}

// checkWrite compares what WriteIndexFile writes with the file path.
func checkWrite(t *testing.T, path string, idx *Index, end int64) {
	t.Helper()
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	written := filepath.Join(dir, "Data.fs.index")
	if err := WriteIndexFile(written, idx, end); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(written)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("WriteIndexFile() wrote %x, want %x", got, want)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
		t.Errorf("WriteIndexFile() left %v, %v", names, err)
	}
}

const (
	bucket0   = "\x00\x00\x00\x00\x00\x00\x00\x34"                                 // OID ...0000 at 52
	bucket01  = "\x00\x00\x00\x01\x00\x00\x00\x00\x00\x34\x00\x00\x00\x00\x00\x68" // and ...0001 at 104
	prefix0   = "\x00\x00\x00\x00\x00\x00"
	prefix1   = "\x00\x00\x00\x00\x00\x01"
	endPickle = "\x80\x03N."
)

// Other picklings of indexes. ZODB 6.3 reads them all as we do (tried with
// fsIndex.load and zodbpickle 4.5).
var acceptedIndexes = []struct {
	name, file string
	end        int64
	want       map[OID]int64
}{
	{"protocol-1", "M\x00\x01.(U\x06" + prefix0 + "U\x08" + bucket0 + "t.N.", 256, map[OID]int64{0: 52}},
	{"protocol-1-long", "L4294967296L\n.N.", 1 << 32, nil},
	{"protocol-1-memo", "K\xa6.(U\x06" + prefix0 + "q\x00U\x08" + bucket0 + "q\x01tq\x02.N.", 166, map[OID]int64{0: 52}},
	{"protocol-2", "\x80\x02K\xa6.\x80\x02U\x06" + prefix0 + "q\x01U\x08" + bucket0 + "q\x02\x86q\x03.\x80\x02N.", 166, map[OID]int64{0: 52}},
	{"protocol-3-memo", "\x80\x03K\xa6.\x80\x03C\x06" + prefix0 + "q\x00B\x08\x00\x00\x00" + bucket0 + "q\x01\x86q\x02." + endPickle, 166, map[OID]int64{0: 52}},
	{"protocol-1-memo-text", "K\xa6.(U\x06" + prefix0 + "p7\nU\x08" + bucket0 + "p8\ntp9\n.N.", 166, map[OID]int64{0: 52}},
	{"memo-long", "\x80\x03K\xa6.\x80\x03C\x06" + prefix0 + "r\x00\x01\x00\x00C\x08" + bucket0 + "r\x01\x01\x00\x00\x86." + endPickle, 166, map[OID]int64{0: 52}},
	{"long-string", "K\xa6.(T\x06\x00\x00\x00" + prefix0 + "T\x10\x00\x00\x00" + bucket01 + "t.N.", 166, map[OID]int64{0: 52, 1: 104}},
	{"unicode", "K\xa6.(X\x06\x00\x00\x00" + prefix0 + "X\x10\x00\x00\x00" + bucket01 + "t.N.", 166, map[OID]int64{0: 52, 1: 104}},
	{"text-int", "I166\n.N.", 166, nil},
	{"text-long-without-l", "L166\n.N.", 166, nil},
	{"long1-empty", "\x80\x02\x8a\x00.N.", 0, nil},
	{"long1-short", "\x80\x02\x8a\x02\xa6\x00.N.", 166, nil},
	{"long4", "\x80\x02\x8b\x05\x00\x00\x00\x00\x00\x00\x00\x01.N.", 1 << 32, nil},
	{"junk-behind", "\x80\x03K\xa6." + endPickle + "junk", 166, nil},
	{"end-at-once", "\x80\x03K\x00." + endPickle, 0, nil},
}

func TestReadIndexFile_Accepts(t *testing.T) {
	for _, test := range acceptedIndexes {
		t.Run(test.name, func(t *testing.T) {
			path := writeFile(t, "Data.fs.index", []byte(test.file))
			idx, end, err := ReadIndexFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if end != test.end {
				t.Errorf("end = %d, want %d", end, test.end)
			}
			checkIndex(t, idx, test.want)
			checkScan(t, path, idx, end)
		})
	}
}

var refusedIndexes = []struct{ name, file string }{
	{"empty", ""},
	{"zeros", strings.Repeat("\x00", 100)},
	{"no-end", "\x80\x03K\xa6."},
	{"bucket-and-no-end", "\x80\x03K\xa6.\x80\x03C\x06" + prefix0 + "C\x08" + bucket0 + "\x86."},
	{"none-first", endPickle},
	{"bytes-first", "\x80\x03C\x01x." + endPickle},
	{"old-format", "\x80\x02}(U\x03posK\xa6U\x05index}u."},
	{"negative-end", "\x80\x03J\xff\xff\xff\xff." + endPickle},
	{"negative-end-long", "\x80\x03\x8a\x01\xff." + endPickle},
	{"negative-end-text", "I-5\n." + endPickle},
	{"end-over-int64", "\x80\x03\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x80\x00." + endPickle},
	{"end-over-int64-text", "L9223372036854775808L\n." + endPickle},
	{"end-no-digits", "I\n." + endPickle},
	{"end-true", "I01x\n." + endPickle},
	{"endless-text", "L" + strings.Repeat("0", 100_000)},
	{"text-cut", "I12"},
	{"protocol-4", "\x80\x04K\xa6.\x80\x04N."},
	{"protocol-4-bytes", "\x80\x03K\xa6.\x80\x03\x8e\x06\x00\x00\x00\x00\x00\x00\x00" + prefix0 + "C\x08" + bucket0 + "\x86." + endPickle},
	{"protocol-4-memo", "\x80\x03K\xa6.\x80\x03C\x06" + prefix0 + "\x94C\x08" + bucket0 + "\x86." + endPickle},
	{"protocol-5", "\x80\x05K\xa6." + endPickle},
	{"global", "\x80\x03cos\nsystem\n."},
	{"8-bit-string", "K\xa6.(U\x06\x00\x00\x00\x00\x00\x80U\x08" + bucket0 + "t.N."},
	{"8-bit-string-bucket", "K\xa6.(U\x06" + prefix0 + "U\x08\x00\x00\x00\x00\x00\x00\x00\xa6t.N."},
	{"unicode-beyond-ascii", "K\xa6.(X\x06\x00\x00\x00\x00\x00\x00\x00\xc3\xa4X\x08\x00\x00\x00" + bucket0 + "t.N."},
	{"short-prefix", "\x80\x03K\xa6.\x80\x03C\x05\x00\x00\x00\x00\x00C\x08" + bucket0 + "\x86." + endPickle},
	{"long-prefix", "\x80\x03K\xa6.\x80\x03C\x08" + bucket0 + "C\x08" + bucket0 + "\x86." + endPickle},
	{"empty-bucket", "\x80\x03K\xa6.\x80\x03C\x06" + prefix0 + "C\x00\x86." + endPickle},
	{"odd-bucket", "\x80\x03K\xa6.\x80\x03C\x06" + prefix0 + "C\x09\x00" + bucket0 + "\x86." + endPickle},
	{"prefix-as-bucket", "\x80\x03K\xa6.\x80\x03C\x06" + prefix0 + "C\x06" + prefix0 + "\x86." + endPickle},
	{"prefix-twice", "\x80\x03K\xa6." + strings.Repeat("\x80\x03C\x06"+prefix0+"C\x08"+bucket0+"\x86.", 2) + endPickle},
	{"prefix-descends", "\x80\x03K\xa6.\x80\x03C\x06" + prefix1 + "C\x08" + bucket0 + "\x86.\x80\x03C\x06" + prefix0 + "C\x08" + bucket0 + "\x86." + endPickle},
	{"object-twice", "\x80\x03K\xa6.\x80\x03C\x06" + prefix0 + "C\x10\x00\x00\x00\x00" + bucket01[4:] + "\x86." + endPickle},
	{"objects-descend", "\x80\x03K\xa6.\x80\x03C\x06" + prefix0 + "C\x10\x00\x01\x00\x00" + bucket01[4:] + "\x86." + endPickle},
	{"bucket-cut", "\x80\x03K\xa6.\x80\x03C\x06" + prefix0 + "C\x08" + bucket0[:5]},
	{"bucket-too-large", "\x80\x03K\xa6.\x80\x03C\x06" + prefix0 + "B\x08\x00\x08\x00" + strings.Repeat("\x00", maxBucketSize+100)},
	{"length-lies", "\x80\x03K\xa6.\x80\x03C\x06" + prefix0 + "B\xff\xff\xff\x7f" + bucket0},
	{"length-lies-within-limit", "\x80\x03K\xa6.\x80\x03C\x06" + prefix0 + "B\x00\x00\x08\x00" + bucket0},
	{"length-negative", "\x80\x03K\xa6.\x80\x03C\x06" + prefix0 + "T\xf8\xff\xff\xff" + bucket0},
	{"number-too-long", "\x80\x03\x8a\xff" + strings.Repeat("\x00", 300)},
	{"number-length-lies", "\x80\x03\x8b\xff\xff\xff\x7f\x00"},
	{"one-string", "\x80\x03K\xa6.\x80\x03C\x06" + prefix0 + "." + endPickle},
	{"not-paired", "\x80\x03K\xa6.\x80\x03C\x06" + prefix0 + "C\x08" + bucket0 + "." + endPickle},
	{"number-for-a-bucket", "\x80\x03K\xa6.\x80\x03K\x01." + endPickle},
	{"pair-of-numbers", "\x80\x03K\xa6.\x80\x03K\x01K\x02\x86." + endPickle},
	{"pair-of-one", "\x80\x03K\xa6.\x80\x03C\x08" + bucket0 + "\x86." + endPickle},
	{"pair-of-three", "\x80\x03K\xa6.\x80\x03(C\x06" + prefix0 + "C\x08" + bucket0 + "C\x08" + bucket0 + "t." + endPickle},
	{"pair-of-pair", "\x80\x03K\xa6.\x80\x03C\x06" + prefix0 + "C\x08" + bucket0 + "\x86\x86." + endPickle},
	{"tuple-without-mark", "\x80\x03K\xa6.\x80\x03C\x06" + prefix0 + "C\x08" + bucket0 + "t." + endPickle},
	{"marks", "K\xa6." + strings.Repeat("(", 100_000)},
	{"mark-alone", "K\xa6.(.N."},
	{"stop-alone", "."},
	{"stop-again", "K\xa6.."},
	{"memo-get", "K\xa6.(U\x06" + prefix0 + "U\x08" + bucket0 + "q\x00t.(U\x06" + prefix1 + "h\x00t.N."},
	{"memo-cut", "K\xa6.(U\x06" + prefix0 + "r\x00\x00"},
}

func TestReadIndexFile_Refuses(t *testing.T) {
	for _, test := range refusedIndexes {
		t.Run(test.name, func(t *testing.T) {
			path := writeFile(t, "Data.fs.index", []byte(test.file))
			idx, end, err := ReadIndexFile(path)
			if !errors.Is(err, ErrNoIndex) || idx != nil || end != 0 {
				t.Errorf("ReadIndexFile() = %v, %d, %v, want ErrNoIndex", idx, end, err)
			}
			if err != nil && !strings.HasPrefix(err.Error(), path+": offset ") {
				t.Errorf("ReadIndexFile() = %q, want path and offset", err)
			}
		})
	}
}

// Every prefix of an index is refused, and every file a byte of which differs
// is either refused or read as something.
func TestReadIndexFile_Damaged(t *testing.T) {
	good, err := os.ReadFile(corpusPath(t, "large_oids/Data.fs.index"))
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for n := range good {
		if _, err := readIndexBytes(good[:n]); err == nil {
			t.Errorf("read the first %d bytes", n)
		}
		bad := bytes.Clone(good)
		bad[n] ^= 0x40
		if _, err := readIndexBytes(bad); err != nil {
			refused++
		}
	}
	if refused == 0 || refused == len(good) {
		t.Errorf("%d of %d damaged files were refused, want some", refused, len(good))
	}
}

func TestReadIndexFile_Missing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Data.fs.index")
	_, _, err := ReadIndexFile(path)
	if !errors.Is(err, ErrNoIndex) || !errors.Is(err, iofs.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("ReadIndexFile() = %v, want ErrNoIndex and ErrNotExist", err)
	}
	_, err = ScanIndexFile(t.TempDir(), nil) // a directory
	if !errors.Is(err, ErrNoIndex) || errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("ScanIndexFile() = %v, want ErrNoIndex", err)
	}
}

func TestScanIndexFile_Stops(t *testing.T) {
	stop := errors.New("stop")
	n := 0
	_, err := ScanIndexFile(corpusPath(t, "realistic_200/Data.fs.index"), func(OID, int64) error {
		if n++; n == 100 {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || errors.Is(err, ErrNoIndex) || n != 100 {
		t.Errorf("ScanIndexFile() = %v after %d calls, want %v after 100", err, n, stop)
	}
}

func TestWriteIndexFile_Replaces(t *testing.T) {
	path := writeFile(t, "Data.fs.index", bytes.Repeat([]byte("old"), 1000))
	if err := os.WriteFile(path+".index_tmp", bytes.Repeat([]byte("left by a crash"), 1000), 0o644); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(corpusPath(t, "empty/Data.fs.index"))
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteIndexFile(path, new(Index), 4); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("wrote %x, %v, want %x", got, err, want)
	}
}

func TestWriteIndexFile_Fails(t *testing.T) {
	old := []byte("old")
	path := writeFile(t, "Data.fs.index", old)
	if err := WriteIndexFile(path, new(Index), -1); err == nil {
		t.Error("WriteIndexFile() took a negative end")
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, old) {
		t.Errorf("the old index is %q, %v", got, err)
	}
	if names, err := os.ReadDir(filepath.Dir(path)); err != nil || len(names) != 1 {
		t.Errorf("WriteIndexFile() left %v, %v", names, err)
	}
	if err := WriteIndexFile(filepath.Join(path, "Data.fs.index"), new(Index), 4); err == nil {
		t.Error("WriteIndexFile() wrote below a file")
	}
}

// An indexContent is what is in an index file.
type indexContent struct {
	idx *Index
	end int64
}

func readIndexBytes(data []byte) (indexContent, error) {
	idx := new(Index)
	r := indexReader{file: window{src: bytes.NewReader(data), end: int64(len(data))}}
	end, err := r.read(idx.addBucket)
	return indexContent{idx, end}, err
}

func FuzzIndexFile(f *testing.F) {
	for _, name := range corpusFiles(f, "*/*.index*") {
		data, err := os.ReadFile(corpusPath(f, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, test := range acceptedIndexes {
		f.Add([]byte(test.file))
	}
	for _, test := range refusedIndexes {
		if len(test.file) < 4096 {
			f.Add([]byte(test.file))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := readIndexBytes(data)
		if err != nil {
			return
		}
		// What is read comes back from what is written for it.
		var b bytes.Buffer
		if err := writeIndex(&b, got.idx, got.end); err != nil {
			t.Fatal(err)
		}
		again, err := readIndexBytes(b.Bytes())
		if err != nil {
			t.Fatalf("%x: %v", b.Bytes(), err)
		}
		if again.end != got.end {
			t.Errorf("end = %d, was %d", again.end, got.end)
		}
		checkIndex(t, again.idx, maps.Collect(got.idx.All()))
	})
}

func writeFile(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Reading takes no more memory than the window, whatever the index.
func TestScanIndexFile_Memory(t *testing.T) {
	path := writeBigIndex(t, 1_000_000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := ScanIndexFile(path, func(OID, int64) error { return nil }); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 2<<20 {
		t.Errorf("ScanIndexFile() allocated %d bytes", got)
	}
}

// writeBigIndex writes an index of OIDs of which an eighth is missing.
func writeBigIndex(t testing.TB, objects int) string {
	t.Helper()
	var idx Index
	rng := rand.New(rand.NewPCG(5, 6))
	for oid := OID(0); objects > 0; oid++ {
		if oid%8 != 3 {
			idx.Set(oid, rng.Int64N(1<<40))
			objects--
		}
	}
	path := filepath.Join(t.TempDir(), "Data.fs.index")
	if err := WriteIndexFile(path, &idx, 1<<40); err != nil {
		t.Fatal(err)
	}
	return path
}

func BenchmarkReadIndexFile(b *testing.B) {
	path := writeBigIndex(b, 10_000_000)
	setFileBytes(b, path)
	for b.Loop() {
		if _, _, err := ReadIndexFile(path); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScanIndexFile(b *testing.B) {
	path := writeBigIndex(b, 10_000_000)
	setFileBytes(b, path)
	for b.Loop() {
		if _, err := ScanIndexFile(path, func(OID, int64) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriteIndexFile(b *testing.B) {
	path := writeBigIndex(b, 10_000_000)
	idx, end, err := ReadIndexFile(path)
	if err != nil {
		b.Fatal(err)
	}
	setFileBytes(b, path)
	for b.Loop() {
		if err := WriteIndexFile(path, idx, end); err != nil {
			b.Fatal(err)
		}
	}
}

func setFileBytes(b *testing.B, path string) {
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
}
