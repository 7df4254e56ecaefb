package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"zrs/internal/fs"
)

// digestOf returns the digest of transactions written to a file.
func digestOf(t testing.TB, txns []txn, to int) *Digest {
	t.Helper()
	path := filepath.Join(memoryDir(t), "Data.fs")
	writeTxns(t, path, txns)
	s := open(t, path)
	d, err := DigestFile(t.Context(), s.file, DigestOptions{To: tidOf(to), Blobs: s.blobs})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// modelDigest computes a digest as docs/format.md says, in the plainest way.
func modelDigest(txns []txn) (history, state string) {
	h := func(parts ...any) []byte {
		sum := sha256.New()
		for _, p := range parts {
			switch p := p.(type) {
			case []byte:
				sum.Write(p)
			case string:
				sum.Write([]byte(p))
			default:
				binary.Write(sum, binary.BigEndian, p)
			}
		}
		return sum.Sum(nil)
	}
	modulus := new(big.Int).Lsh(big.NewInt(1), 256)
	add := func(sum *big.Int, d []byte) {
		sum.Add(sum, new(big.Int).SetBytes(d))
		sum.Mod(sum, modulus)
	}
	number := func(sum *big.Int) []byte { return sum.FillBytes(make([]byte, 32)) }
	digest := func(x *txn, r *rec, superseded byte) []byte {
		switch {
		case r.value == "":
			return h(uint64(r.oid), uint64(x.tid), superseded)
		case r.hasBlob:
			return h(uint64(r.oid), uint64(x.tid), 2|superseded, h(r.data()), h(r.blob))
		case r.isBlob:
			return h(uint64(r.oid), uint64(x.tid), 3|superseded, h(r.data()))
		}
		return h(uint64(r.oid), uint64(x.tid), 1|superseded, h(r.data()))
	}
	chain := make([]byte, 32)
	current := map[fs.OID][]byte{}
	for i := range txns {
		x := &txns[i]
		sum := new(big.Int)
		for k := range x.recs {
			r := &x.recs[k]
			superseded := byte(0)
			if slices.ContainsFunc(x.recs[k+1:], func(o rec) bool { return o.oid == r.oid }) {
				superseded = 0x80
			}
			add(sum, digest(x, r, superseded))
			delete(current, r.oid)
			if r.value != "" {
				current[r.oid] = digest(x, r, 0)
			}
		}
		texts := h(uint64(x.tid), uint32(len(x.user)), x.user, uint32(len(x.desc)), x.desc, uint32(len(x.extension)), x.extension)
		chain = h(chain, h(texts, uint64(len(x.recs)), number(sum)))
	}
	all := new(big.Int)
	for _, d := range current {
		add(all, d)
	}
	return hex.EncodeToString(chain), hex.EncodeToString(number(all))
}

func TestDigestFile_Model(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 2))
		w := &world{rng: rng}
		for i := range 1 + rng.IntN(10) {
			w.commit(tidOf(2 * (i + 1)))
		}
		txns := life(rng, w.txns, 2)
		history, state := modelDigest(txns)
		d := digestOf(t, txns, 0)
		if hex.EncodeToString(d.History[:]) != history || hex.EncodeToString(d.State[:]) != state {
			t.Fatalf("seed %d: digests %x, %x, want %s, %s\n%s", seed, d.History, d.State, history, state, show(txns))
		}
		// As of a transaction it is that of a file that ends there.
		i := rng.IntN(len(txns))
		history, _ = modelDigest(txns[:i+1])
		d = digestOf(t, txns, int(txns[i].tid>>32)+1)
		if hex.EncodeToString(d.History[:]) != history && i+1 < len(txns) && txns[i+1].tid != txns[i].tid+tidOf(1) || d.TID < txns[i].tid {
			t.Fatalf("seed %d: history as of %s %x, want %s", seed, txns[i].tid, d.History, history)
		}
	}
}

func TestDigestFile(t *testing.T) {
	const base = "1/x+e a=1>b b*hello; 2 b*world; 3 c=1 c=2; 4 c=-"
	digest := func(txns string) (string, string) {
		d := digestOf(t, parseTxns(t, txns), 0)
		return hex.EncodeToString(d.History[:]), hex.EncodeToString(d.State[:])
	}
	history, state := digest(base)
	if h, s := modelDigest(parseTxns(t, base)); h != history || s != state {
		t.Errorf("digests %s, %s, want %s, %s", history, state, h, s)
	}
	tests := []struct {
		name, txns           string
		sameHistory, sameAll bool
	}{
		{"another-order", "1/x+e b*hello a=1>b; 2 b*world; 3 c=1 c=2; 4 c=-", true, true},
		{"back-pointer", "1/x+e a=1>b b*hello; 2 b*world; 3 c=1 c=2; 4 c=0^-", true, true},
		{"marked", "1p/x+e a=1>b b*hello; 2p b*world; 3 c=1 c=2; 4 c=-", true, true},
		{"packed", "1p/x+e a=1>b; 2p b*world", false, true},
		{"exchanged", "1/x+e a=1>b b*hello; 2 b*world; 3 c=2 c=1; 4 c=-", false, true},
		{"old-blob", "1/x+e a=1>b b*Hello; 2 b*world; 3 c=1 c=2; 4 c=-", false, true},
		{"blob", "1/x+e a=1>b b*hello; 2 b*World; 3 c=1 c=2; 4 c=-", false, false},
		{"blob-missing", "1/x+e a=1>b b*hello; 2 b*; 3 c=1 c=2; 4 c=-", false, false},
		{"user", "1/y+e a=1>b b*hello; 2 b*world; 3 c=1 c=2; 4 c=-", false, true},
		{"extension", "1/x+f a=1>b b*hello; 2 b*world; 3 c=1 c=2; 4 c=-", false, true},
		{"moved-text", "1/xe+ a=1>b b*hello; 2 b*world; 3 c=1 c=2; 4 c=-", false, true},
		{"data", "1/x+e a=2>b b*hello; 2 b*world; 3 c=1 c=2; 4 c=-", false, false},
		{"not-gone", "1/x+e a=1>b b*hello; 2 b*world; 3 c=1 c=2; 4 c=3", false, false},
	}
	for _, tt := range tests {
		h, s := digest(tt.txns)
		if (h == history) != tt.sameHistory || (s == state) != tt.sameAll {
			t.Errorf("%s: same history %v, same state %v", tt.name, h == history, s == state)
		}
	}
	d := digestOf(t, nil, 0)
	if d.History != [32]byte{} || d.State != [32]byte{} || d.TID != 0 {
		t.Errorf("of nothing: %+v", d)
	}
}

// An extension that a zc.zrs secondary pickled anew counts as the same.
func TestDigestFile_Repickled(t *testing.T) {
	one := []txn{{tid: tidOf(1), status: ' ', extension: "\x80\x02}q\x01U\x01aK\x01s.", recs: []rec{{value: "1"}}}}
	two := []txn{{tid: tidOf(1), status: ' ', extension: "\x80\x03}q\x00X\x01\x00\x00\x00aq\x01K\x01s.", recs: []rec{{value: "1"}}}}
	a, b := digestOf(t, one, 0), digestOf(t, two, 0)
	if a.History != b.History {
		t.Errorf("%x and %x", a.History, b.History)
	}
	dir := memoryDir(t)
	writeTxns(t, dir+"/a.fs", one)
	writeTxns(t, dir+"/b.fs", two)
	if c := compareFiles(t, dir+"/a.fs", dir+"/b.fs"); c.Relation != Equal || c.Extensions != 1 {
		t.Errorf("%s, %d extensions", c.Relation, c.Extensions)
	}
}

func TestDigestFile_Damaged(t *testing.T) {
	for _, name := range []string{"tloc", "tlen_5", "status_x", "tid_reduction"} {
		s := open(t, "../../testdata/corpus/corrupt/"+name+".fs")
		if _, err := DigestFile(t.Context(), s.file, DigestOptions{}); !errors.Is(err, fs.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	d, err := DigestFile(t.Context(), open(t, "../../testdata/corpus/midcommit/Data.fs").file, DigestOptions{})
	if err != nil || d.Transactions != 5 || !errors.Is(d.Tail, fs.ErrTornTail) {
		t.Errorf("unfinished: %+v, %v", d, err)
	}
}

// manifestOf returns the manifest of transactions written to a file.
func manifestOf(t testing.TB, txns string) string {
	t.Helper()
	path := filepath.Join(memoryDir(t), "Data.fs")
	writeTxns(t, path, parseTxns(t, txns))
	s := open(t, path)
	var b bytes.Buffer
	if _, err := WriteManifest(t.Context(), s.file, &b, DigestOptions{Blobs: s.blobs}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func checkAgainst(t testing.TB, manifest, path string) (*ManifestCheck, error) {
	t.Helper()
	s := open(t, path)
	return CheckManifest(t.Context(), s.file, strings.NewReader(manifest), DigestOptions{Blobs: s.blobs}, 100)
}

func TestCheckManifest(t *testing.T) {
	const base = "1/x a=1>b b=1; 2 b=2; 3 a=2>bc c=1 d=1; 4 c=2"
	tests := []struct {
		name, txns string
		changes    string // kind, transaction, record, object
		same       int64
		later      int64
		packed     string
	}{
		{"same", base, "", 4, 0, "0 0"},
		{"grown", base + "; 5 c=3; 6 c=4", "", 4, 2, "0 0"},
		{"data", "1/x a=1>b b=1; 2 b=2; 3 a=2>bc c=X d=1; 4 c=2", "record 3 2 c", 3, 0, "0 0"},
		{"user", "1/y a=1>b b=1; 2 b=2; 3 a=2>bc c=1 d=1; 4 c=2", "texts 1 0 a", 3, 0, "0 0"},
		{"user-and-data", "1/y a=1>b b=1; 2 b=2; 3 a=2>bc c=1 d=1; 4 c=X", "texts 1 0 a, record 4 1 c", 2, 0, "0 0"},
		{"record-lost", "1/x a=1>b b=1; 2 b=2; 3 a=2>bc c=1; 4 c=2", "records 3 0 a", 3, 0, "0 0"},
		{"cut", "1/x a=1>b b=1; 2 b=2", "missing 3 0 a, missing 4 0 a", 2, 0, "0 0"},
		{"lost", "1/x a=1>b b=1; 3 a=2>bc c=1 d=1; 4 c=2", "missing 2 0 a", 3, 0, "0 0"},
		{"new-in-the-middle", "1/x a=1>b b=1; 2 b=2; 3 a=2>bc c=1 d=1; 4 c=2; 5 c=3", "", 4, 1, "0 0"},
		{"packed", "2p b=2; 3p a=2>bc; 4p c=2; 5 c=3", "", 3, 1, "1 4"},
		{"packed-and-rotten", "2p b=2; 3p a=X>bc; 4p c=2", "record 3 1 a", 2, 0, "1 4"},
		{"packed-and-grown", "2p b=2; 3p a=2>bc c=1 d=1 e=1; 4p c=2", "record 3 4 e, records 3 0 a", 2, 0, "1 2"},
		{"packed-at-the-end", "2p b=2; 3p a=2>bc d=1", "", 2, 0, "2 4"},
	}
	manifest := manifestOf(t, base)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(memoryDir(t), "Data.fs")
			writeTxns(t, path, parseTxns(t, tt.txns))
			c, err := checkAgainst(t, manifest, path)
			if err != nil {
				t.Fatal(err)
			}
			var changes []string
			for _, ch := range c.Changes {
				changes = append(changes, fmt.Sprintf("%s %d %d %c", ch.Kind, ch.TID>>32, ch.Record, 'a'+ch.OID))
				if (ch.Offset == 0) != (ch.Kind == ChangeMissing) {
					t.Errorf("%+v: no offset", ch)
				}
			}
			packed := fmt.Sprint(c.PackedTransactions, c.PackedRecords)
			if got := strings.Join(changes, ", "); got != tt.changes || c.Transactions != tt.same || c.Later != tt.later || packed != tt.packed || c.Covered != tidOf(4) {
				t.Errorf("changes %q, %d the same, %d later, packed %s, covered %s\nwant    %q, %d the same, %d later, packed %s",
					got, c.Transactions, c.Later, packed, c.Covered, tt.changes, tt.same, tt.later, tt.packed)
			}
		})
	}
}

// A file that a pack has marked, and that was cut short later, does not fit its
// manifest, wherever it was cut. Something newer that is being written there
// explains nothing, but for what the pack has removed.
func TestCheckManifest_Torn(t *testing.T) {
	path := filepath.Join(memoryDir(t), "Data.fs")
	const packed = "1p a=1>b; 2p b=2; 3p a=2>b"
	writeTxns(t, path, parseTxns(t, packed))
	manifest := manifestOf(t, packed)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	starts := []int64{}
	for txn, err := range fs.NewReader(bytes.NewReader(whole), "", fs.FirstOffset, int64(len(whole))).All() {
		if err != nil {
			t.Fatal(err)
		}
		starts = append(starts, txn.Offset)
	}
	for i, from := range starts {
		to := int64(len(whole))
		if i+1 < len(starts) {
			to = starts[i+1]
		}
		for n := from + 1; n < to; n++ {
			rewrite(t, path, whole[:n])
			c, err := checkAgainst(t, manifest, path)
			if err != nil || c.Tail == nil || c.ChangeCount != int64(len(starts)-i) {
				t.Fatalf("cut at %d: %+v, %v", n, c, err)
			}
		}
	}
	voted := "\x00\x00\x00\x04\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x17" + "c" +
		"\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x17"
	rewrite(t, path, append(slices.Clone(whole[:starts[2]]), voted...))
	if c, err := checkAgainst(t, manifest, path); err != nil || c.Tail == nil || c.ChangeCount != 0 || c.PackedTransactions != 1 {
		t.Errorf("something newer: %+v, %v", c, err)
	}
}

// TestCheckManifest_EveryByte flips each byte of a file, and each is found:
// as a change, or as damage.
func TestCheckManifest_EveryByte(t *testing.T) {
	path := filepath.Join(memoryDir(t), "Data.fs")
	writeTxns(t, path, parseTxns(t, "1/x a=1>b b=1; 2 b=2; 3 b=1^1"))
	s := open(t, path)
	var manifest bytes.Buffer
	if _, err := WriteManifest(t.Context(), s.file, &manifest, DigestOptions{}); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var missed []int
	for i := 4; i < len(whole); i++ {
		rotten := slices.Clone(whole)
		rotten[i] ^= 0x40
		rewrite(t, path, rotten)
		if c, err := checkAgainst(t, manifest.String(), path); err == nil && c.ChangeCount == 0 {
			missed = append(missed, i)
		}
	}
	// What a record says of the place of its predecessor is no content.
	for _, i := range missed {
		if !isPrevious(whole, i) {
			t.Errorf("byte %d was flipped, and not missed", i)
		}
	}
}

// isPrevious reports whether a byte of a data file is of a record's prev field.
func isPrevious(file []byte, at int) bool {
	r := fs.NewReader(bytes.NewReader(file), "", fs.FirstOffset, int64(len(file)))
	for range r.All() {
		for {
			rec, err := r.NextRecord()
			if err != nil {
				break
			}
			if off := int64(at) - rec.Offset; off >= 16 && off < 24 {
				return true
			}
		}
	}
	return false
}

func TestCheckManifest_Refused(t *testing.T) {
	const txns = "1 a=1; 2 a=2 b=1"
	good := manifestOf(t, txns)
	path := filepath.Join(memoryDir(t), "Data.fs")
	writeTxns(t, path, parseTxns(t, txns))
	lines := strings.SplitAfter(good, "\n")
	for name, bad := range map[string]string{
		"empty":         "",
		"other-file":    "hello\n",
		"other-version": strings.Replace(good, "manifest 1", "manifest 2", 1),
		"cut":           good[:len(good)-1],
		"cut-line":      strings.Join(lines[:3], ""),
		"line-missing":  strings.Join(slices.Delete(slices.Clone(lines), 2, 3), ""),
		"twice":         strings.Join(slices.Insert(slices.Clone(lines), 2, lines[2]), ""),
		"altered":       strings.Replace(good, lines[2][17:27], "0000000000", 1),
		"not-hex":       strings.Replace(good, lines[2][17:27], "xxxxxxxxxx", 1),
		"count":         strings.Replace(good, " 2 ", " 3 ", 1),
		"negative":      strings.Replace(good, " 2 ", " -2 ", 1),
	} {
		if c, err := checkAgainst(t, bad, path); !errors.Is(err, ErrManifest) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	blobs := strings.Replace(good, "blobs false", "blobs true", 1)
	if _, err := checkAgainst(t, blobs, path); err == nil {
		t.Error("a manifest of blobs was taken without them")
	}
}

func FuzzManifest(f *testing.F) {
	path := filepath.Join(f.TempDir(), "Data.fs")
	writeTxns(f, path, parseTxns(f, "1 a=1; 2 a=2 b=1"))
	s := open(f, path)
	f.Add(manifestOf(f, "1 a=1; 2 a=2 b=1"))
	f.Add("zrs-manifest 1\nblobs false\nend 0 0000000000000000 " + strings.Repeat("0", 64) + "\n")
	f.Fuzz(func(t *testing.T, manifest string) {
		_, err := CheckManifest(t.Context(), s.file, strings.NewReader(manifest), DigestOptions{}, 10)
		if err != nil && !errors.Is(err, ErrManifest) && !strings.Contains(err.Error(), "directory is needed") {
			t.Error(err)
		}
	})
}
