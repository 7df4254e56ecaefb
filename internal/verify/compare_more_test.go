package verify

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zrs/internal/fs"
)

// blobOptions compare blobs too.
func blobOptions(check BlobCheck) CompareOptions { return CompareOptions{Blobs: check} }

func TestCompare_Blobs(t *testing.T) {
	const good = "1 a=1>bc b*hello c*world"
	tests := []struct {
		name, a, b            string
		exist, size, contents string // relation, and findings
	}{
		{"equal", good, good, "equal", "equal", "equal"},
		{"empty-and-equal", "1 a=1>b b*hello; 2 b*", "1 a=1>b b*hello; 2 b*", "damaged blob-missing 2 b, blob-missing 2 b", "damaged blob-missing 2 b, blob-missing 2 b", "damaged blob-missing 2 b, blob-missing 2 b"},
		{"missing", good, "1 a=1>bc b* c*world", "damaged blob-missing 1 b", "damaged blob-missing 1 b", "damaged blob-missing 1 b"},
		{"truncated", good, "1 a=1>bc b*hell c*world", "equal", "diverged blob 1 b", "diverged blob 1 b"},
		{"altered", good, "1 a=1>bc b*hellO c*world", "equal", "equal", "diverged blob 1 b"},
		{"another-place", "1/x a=1>bc b*hello c*world", "1/xy a=1>bc b*hellO c*world", "diverged texts 1", "diverged texts 1", "diverged texts 1, blob 1 b"},
		{"another-order", good, "1 c*world a=1>bc b*hellO", "equal", "equal", "diverged blob 1 b"},
		{"another-order-missing", good, "1 c* a=1>bc b*hello", "damaged blob-missing 1 c", "damaged blob-missing 1 c", "damaged blob-missing 1 c"},
		{"missing-and-diverged", "1 a=1>bc b* c*world; 2 a=2", "1 a=1>bc b*hello c*world; 3 a=3", "diverged blob-missing 1 b", "diverged blob-missing 1 b", "diverged blob-missing 1 b"},
		{"missing-and-altered", "1 a=1>bc b* c*world", "1 a=1>bc b*hello c*World", "damaged blob-missing 1 b", "damaged blob-missing 1 b", "diverged blob-missing 1 b, blob 1 c"},
		{"missing-and-behind", "1 a=1>bc b* c*world", "1 a=1>bc b*hello c*world; 2 a=2", "damaged blob-missing 1 b", "damaged blob-missing 1 b", "damaged blob-missing 1 b"},
		{"packed", "1p a=1>bc b*hello c*world", "1 a=1>bc b*hello c*World d*lost", "equal-after-pack", "equal-after-pack", "diverged blob 1 c"},
		{"only-on-one-side", good, good + "; 2 b*new", "behind", "behind", "behind"},
		{"missing-on-one-side", good, good + "; 2 b*", "damaged blob-missing 2 b", "damaged blob-missing 2 b", "damaged blob-missing 2 b"},
		{"missing-and-ahead", good + "; 2 b*; 3 c*here", good, "damaged blob-missing 2 b", "damaged blob-missing 2 b", "damaged blob-missing 2 b"},
		{"missing-in-a-fork", good + "; 2 b*; 3 c*", good + "; 4 b*new", "diverged blob-missing 2 b, blob-missing 3 c", "diverged blob-missing 2 b, blob-missing 3 c", "diverged blob-missing 2 b, blob-missing 3 c"},
		{"missing-where-packed-away", "1p a=1>b; 3p b*new", "1 a=1>b b*; 2 b*; 3 b*new", "damaged blob-missing 1 b, blob-missing 2 b", "damaged blob-missing 1 b, blob-missing 2 b", "damaged blob-missing 1 b, blob-missing 2 b"},
		{"missing-in-a-record", "1 a=1", "1 a=1 b*", "diverged record 1 b, blob-missing 1 b", "diverged record 1 b, blob-missing 1 b", "diverged record 1 b, blob-missing 1 b"},
		{"missing-in-another-record", "1 a=1 b=1", "1 a=1 b*", "diverged data 1 b, blob-missing 1 b", "diverged data 1 b, blob-missing 1 b", "diverged data 1 b, blob-missing 1 b"},
		{"missing-in-garbage-at-the-end", "1p a=1", "1p a=1; 2 b*", "damaged blob-missing 2 b", "damaged blob-missing 2 b", "damaged blob-missing 2 b"},
		{"missing-and-unrelated", "1p a=1", "2p a=1 b*", "diverged unrelated 2, blob-missing 2 b", "diverged unrelated 2, blob-missing 2 b", "diverged unrelated 2, blob-missing 2 b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := pair(t, tt.a, tt.b)
			for check, want := range map[BlobCheck]string{BlobsExist: tt.exist, BlobsSize: tt.size, BlobsContent: tt.contents} {
				c := compare(t, a, b, blobOptions(check))
				got := string(c.Relation)
				if tt.name == "missing-and-diverged" && c.LastCommon != tidOf(1) {
					t.Errorf("they part after %s, want %s", c.LastCommon, tidOf(1))
				}
				if c.DifferenceCount > 0 {
					got += " " + differences(c)
				}
				if got != want {
					t.Errorf("BlobCheck %d: %s, want %s", check, got, want)
				}
			}
			if c := compare(t, a, b, blobOptions(BlobsNone)); strings.Contains(differences(c), "blob") || c.Blobs != 0 {
				t.Errorf("without blobs: %d, %s", c.Blobs, differences(c))
			}
		})
	}
}

// What differs in texts is told in quotes, of long ones the start.
func TestCompare_LongTexts(t *testing.T) {
	a, b := pair(t, "1/"+strings.Repeat("\x1b", 60000)+" a=1", "1/x a=1")
	c := compare(t, a, b, CompareOptions{})
	if differences(c) != "texts 1" || len(c.Differences[0].Detail) > 600 || strings.Contains(c.Differences[0].Detail, "\x1b") {
		t.Errorf("%s, %.1000q", differences(c), c.Differences[0].Detail)
	}
}

// Where one side's directory is not known, nothing is said about that side.
func TestCompare_BlobsOfOneSide(t *testing.T) {
	a, b := pair(t, "1 a=1>b b*hello c*", "1 a=1>b b*hello c*")
	b = FileSource(b.file, nil)
	c := compare(t, a, b, blobOptions(BlobsExist))
	if c.ButForBlobs != Equal || c.Relation != Damaged {
		t.Errorf("%s, but for blobs %s", c.Relation, c.ButForBlobs)
	}
	if got := differences(c); got != "blob-missing 1 c" || c.Sides[0].BlobsMissing != 1 || c.Sides[1].BlobsMissing != 0 {
		t.Errorf("got %s, %+v", got, c.Sides)
	}
}

// An interruption ends the reading of a blob, however large it is.
func TestBlobs_Interrupted(t *testing.T) {
	a, b := pair(t, "1 a=1>b b*hello", "1 a=1>b b*hello")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := &comparer{opts: CompareOptions{Blobs: BlobsContent, Progress: new(Progress)}, sides: [2]*side{{Source: a}, {Source: b}}}
	c.sides[0].file, c.sides[1].file = new(fileStream), new(fileStream)
	if err := c.blobFiles(ctx, 1, tidOf(1), true); !errors.Is(err, context.Canceled) {
		t.Errorf("comparing: %v", err)
	}
	rec := &fs.Record{OID: 1, TID: tidOf(1)}
	if _, err := c.lonelyBlob(ctx, c.sides[0], rec, true); !errors.Is(err, context.Canceled) {
		t.Errorf("comparing what did not stand side by side: %v", err)
	}
	w := &hashWorker{hasher: newHasher(a.file, DigestOptions{Blobs: a.blobs}), r: a.file.Reader(fs.FirstOffset, a.file.Size())}
	txn, err := w.r.Next()
	if err == nil {
		err = w.txn(ctx, txn, new(txnDigest))
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("digests: %v", err)
	}
}

// Blobs that a pack took, which replaced the file meanwhile, are not missing.
func TestCompare_Replaced(t *testing.T) {
	a, b := pair(t, "1 a=1>b b*hello", "1 a=1>b b*; 2 b*")
	path := b.file.Path()
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	rewrite(t, path, []byte("FS30"))
	c := compare(t, a, b, blobOptions(BlobsContent))
	if c.Relation != Behind || !c.Sides[1].Replaced || c.Sides[0].Replaced || c.DifferenceCount > 0 {
		t.Errorf("%s, %s, %+v", c.Relation, differences(c), c.Sides)
	}
}

// What two are but for the blobs that are missing, wherever these are.
func TestCompare_ButForBlobs(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want Relation
	}{
		{"1 a=1>b b*x; 2 b*", "1 a=1>b b*x", Ahead},
		{"1p a=1>b; 3p b*new", "1 a=1>b b*; 2 b*; 3 b*new", EqualAfterPack},
		{"1p a=1", "1p a=1; 2 b*", EqualAfterPack},
		{"1p a=1>b b*", "1p a=1>b b*; 2 c=1", EqualAfterPack},
	} {
		a, b := pair(t, tt.a, tt.b)
		if c := compare(t, a, b, blobOptions(BlobsExist)); c.Relation != Damaged || c.ButForBlobs != tt.want {
			t.Errorf("%s | %s: %s, but for blobs %s, want %s", tt.a, tt.b, c.Relation, c.ButForBlobs, tt.want)
		}
	}
	// To the current state, what is superseded does not count.
	a, b := pair(t, "1p a=1>b; 3p b*new", "1 a=1>b b*; 2 b*; 3 b*new")
	if c := compare(t, a, b, CompareOptions{Mode: ModeCurrent, Blobs: BlobsContent}); c.Relation != EqualAfterPack {
		t.Errorf("current: %s, %s", c.Relation, differences(c))
	}
}

func TestCompare_Modes(t *testing.T) {
	tests := []struct {
		name, a, b             string
		auto, history, current Relation
	}{
		{"equal", "1 a=1; 2 a=2", "1 a=1; 2 a=2", Equal, Equal, Equal},
		{"marked", "1p a=1; 2 a=2", "1 a=1; 2 a=2", EqualAfterPack, EqualAfterPack, EqualAfterPack},
		{"packed", "2p a=2; 3 a=3", "1 a=1; 2 a=2; 3 a=3", EqualAfterPack, Diverged, EqualAfterPack},
		{"behind", "1 a=1", "1 a=1; 2 a=2", Behind, Behind, Behind},
		{"lost-and-superseded", "1 a=1; 3 a=3", "1 a=1; 2 a=2; 3 a=3", Diverged, Diverged, EqualAfterPack},
		{"lost", "1 a=1>b b=1; 3 a=3>b", "1 a=1>b b=1; 2 b=2; 3 a=3>b", Diverged, Diverged, Diverged},
		{"another-user", "1/x a=1", "1/y a=1", Diverged, Diverged, Equal},
		{"old-data", "1 a=1; 2 a=2", "1 a=X; 2 a=2", Diverged, Diverged, Diverged},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := pair(t, tt.a, tt.b)
			for mode, want := range map[Mode]Relation{ModeAuto: tt.auto, ModeHistory: tt.history, ModeCurrent: tt.current} {
				if c := compare(t, a, b, CompareOptions{Mode: mode}); c.Relation != want {
					t.Errorf("mode %d: %s (%s), want %s", mode, c.Relation, findings(c), want)
				}
			}
		})
	}
}

func TestCompare_Quick(t *testing.T) {
	a, b := pair(t, "1 a=1; 2 a=2", "1 a=1; 2 a=X")
	if c := compare(t, a, b, CompareOptions{Quick: true}); c.Relation != Equal {
		t.Errorf("other data of the same length: %s", c.Relation)
	}
	a, b = pair(t, "1/x a=1; 2 a=2", "1/x a=1; 2 a=22")
	if c := compare(t, a, b, CompareOptions{Quick: true}); c.Relation != Diverged {
		t.Errorf("other length: %s", c.Relation)
	}
}

func TestCompare_Range(t *testing.T) {
	const a = "1 a=1; 2 a=2; 3 a=3; 4 a=4; 5 a=5"
	tests := []struct {
		a, b     string
		from, to int
		want     Relation
	}{
		{a, "1 a=1; 2 a=X; 3 a=3; 4 a=4; 5 a=5", 3, 0, Equal},
		{a, "1 a=1; 2 a=X; 3 a=3; 4 a=4; 5 a=5", 0, 1, Equal},
		{a, "1 a=1; 2 a=X; 3 a=3; 4 a=4; 5 a=5", 2, 2, Diverged},
		{a, "1 a=1; 2 a=2; 3 a=3", 2, 3, Equal},
		{a, "1 a=1; 2 a=2; 3 a=3", 2, 4, Ahead},
		{a, "1 a=1; 2 a=2; 3 a=3", 6, 0, Equal},
		// What an undo in the range leads to differs before it.
		{"1 a=1; 2 a=2; 3 a=1^1", "1 a=X; 2 a=2; 3 a=1^X", 3, 0, Diverged},
		{"1 a=1; 2 a=2; 3 a=1^1", "1 a=1; 2 a=2; 3 a=1^1", 3, 0, Equal},
		// What supersedes is behind the range, and what refers is before it.
		{a, "1 a=1; 4p a=4; 5 a=5", 2, 3, EqualAfterPack},
		{"1 a=1>b b=1; 2 b=2; 3 c=3; 4 c=4", "1p a=1>b b=1; 3p c=3; 4 c=4", 2, 4, Diverged},
		{"1 a=1 b=1; 2 b=2; 3 c=3; 4 c=4", "1p a=1; 3p c=3; 4 c=4", 2, 4, EqualAfterPack},
	}
	for _, tt := range tests {
		a, b := pair(t, tt.a, tt.b)
		c := compare(t, a, b, CompareOptions{From: tidOf(tt.from), To: tidOf(tt.to)})
		if c.Relation != tt.want {
			t.Errorf("%s\n%s\n%d..%d: %s (%s), want %s", tt.a, tt.b, tt.from, tt.to, c.Relation, findings(c), tt.want)
		}
	}
}

// TestCompare_Corpus compares each file of the corpus with the one it was made
// from, and with itself.
func TestCompare_Corpus(t *testing.T) {
	const dir = "../../testdata/corpus/"
	files, err := filepath.Glob(dir + "*/Data.fs")
	if err != nil || len(files) < 15 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		want := Equal
		if strings.Contains(path, "tid_out_of_order") {
			want = Damaged
		}
		if c := compare(t, open(t, path), open(t, path), CompareOptions{}); c.Relation != want {
			t.Errorf("%s: %s", path, c.Relation)
		}
	}
	tests := []struct {
		a, b        string
		want        Relation
		differences string
	}{
		{"undo/Data.fs", "copied/Data.fs", Equal, ""},
		{"packed_two_revisions/Data.fs", "copied_packed/Data.fs", Equal, ""},
		{"packed_two_revisions/Data.fs", "packed_two_revisions/Data.fs.old", EqualAfterPack, ""},
		{"packed/Data.fs", "packed/Data.fs.old", AheadAfterPack, ""},
		{"blobs_packed/Data.fs", "blobs_packed/Data.fs.old", EqualAfterPack, ""},
		{"pack_multi_undo_bug/Data.fs", "pack_multi_undo_bug/Data.fs.old", Diverged, "data 1 b"},
		{"pack_gc_bug/Data.fs", "pack_gc_bug/Data.fs.old", Diverged, "lost-object 1 c"},
		{"damage_base/Data.fs", "corrupt/data_byte.fs", Diverged, "data 1 a"},
		{"damage_base/Data.fs", "corrupt/record_tid.fs", Diverged, "data 1 a"},
		{"damage_base/Data.fs", "corrupt/oid.fs", Diverged, ""},
		{"damage_base/Data.fs", "corrupt/prev.fs", Equal, ""},
		{"damage_base/Data.fs", "corrupt/magic.fs", Diverged, "format 0"},
		{"damage_base/Data.fs", "corrupt/tloc.fs", Damaged, ""},
		{"damage_base/Data.fs", "corrupt/status_c_middle.fs", Damaged, ""},
		{"damage_base/Data.fs", "torn/cut_in_data.fs", Ahead, ""},
		{"midcommit/Data.fs", "midcommit/Data.fs", Equal, ""},
		{"undo/Data.fs", "realistic_200/Data.fs", Diverged, ""},
		{"empty/Data.fs", "realistic_200/Data.fs", Behind, ""},
	}
	for _, tt := range tests {
		c := compare(t, open(t, dir+tt.a), open(t, dir+tt.b), CompareOptions{})
		got := differences(c)
		if c.Relation != tt.want || tt.differences != "" && !strings.HasPrefix(withoutTIDs(got), withoutTIDs(tt.differences)) {
			t.Errorf("%s and %s: %s with %q, want %s with %q", tt.a, tt.b, c.Relation, got, tt.want, tt.differences)
		}
	}
}

// withoutTIDs leaves kind and object of a difference.
func withoutTIDs(s string) string {
	words := strings.Fields(s)
	if len(words) < 3 {
		return s
	}
	return words[0] + " " + words[2]
}

// TestCompare_Unchanged holds that comparing changes no byte and no modification
// time.
func TestCompare_Unchanged(t *testing.T) {
	a, b := pair(t, "1p a=1>b b*hello; 3 a=3>b", "1 a=1>b b*hello c=1; 2 c=2; 3 a=3>b")
	paths := []string{a.Name, b.Name, a.Name + ".index", b.Name + ".index"}
	type fact struct {
		bytes string
		mtime int64
	}
	facts := func() (all []fact) {
		for _, path := range paths {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			fi, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, fact{string(content), fi.ModTime().UnixNano()})
		}
		return all
	}
	before := facts()
	if c := compare(t, a, b, blobOptions(BlobsContent)); c.Relation != EqualAfterPack {
		t.Errorf("%s (%s)", c.Relation, findings(c))
	}
	if _, err := DigestFile(t.Context(), a.file, DigestOptions{Blobs: a.blobs}); err != nil {
		t.Error(err)
	}
	for i, f := range facts() {
		if f != before[i] {
			t.Errorf("%s has changed", paths[i])
		}
	}
}

// TestCompare_Large has transactions and records larger than what is read at a
// time, at the same places and at others.
func TestCompare_Large(t *testing.T) {
	path := memoryDir(t)
	big := strings.Repeat("0123456789abcdef", 3<<16) // 3 MiB
	makeLarge := func(name, user, last string) *Source {
		w, err := fs.OpenWriter(t.Context(), filepath.Join(path, name), fs.WriterOptions{Create: true})
		if err != nil {
			t.Fatal(err)
		}
		for n := 1; n <= 40; n++ {
			if err := w.Begin(fs.TxnHeader{TID: tidOf(n), Status: ' ', User: []byte(user)}); err != nil {
				t.Fatal(err)
			}
			data := big[:n*1000]
			if n%13 == 0 {
				data = big
			}
			for oid := range fs.OID(30) {
				rest := ""
				if n == 40 && oid == 29 {
					rest = last
				}
				if err := w.Restore(fs.Restored{OID: oid, TID: tidOf(n), Data: []byte(data + rest)}); err != nil {
					t.Fatal(err)
				}
				if n%13 == 0 && oid > 2 {
					break
				}
			}
			if err := w.Commit(); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return open(t, filepath.Join(path, name))
	}
	a, same, shifted, other := makeLarge("a", "x", ""), makeLarge("b", "x", ""), makeLarge("c", "xy", ""), makeLarge("d", "x", "!")
	if c := compare(t, a, same, CompareOptions{}); c.Relation != Equal || c.Transactions != 40 {
		t.Errorf("the same: %s, %d transactions", c.Relation, c.Transactions)
	}
	if c := compare(t, a, shifted, CompareOptions{}); c.Relation != Diverged || c.DifferenceCount != 40 || differences(c)[:7] != "texts 1" {
		t.Errorf("shifted: %s, %s", c.Relation, differences(c))
	}
	if c := compare(t, shifted, a, CompareOptions{Mode: ModeCurrent}); c.Relation != Equal || c.Records != a.records(t) {
		t.Errorf("shifted: %s, %d records, %s", c.Relation, c.Records, differences(c))
	}
	if c := compare(t, a, other, CompareOptions{}); c.Relation != Diverged || c.DifferenceCount != 1 || c.LastCommon != tidOf(39) {
		t.Errorf("other: %s, %s", c.Relation, differences(c))
	}
}

// records counts the records of a source.
func (s *Source) records(t testing.TB) (n int64) {
	t.Helper()
	return compare(t, s, s, CompareOptions{}).Sides[0].Records
}

func TestOIDMap(t *testing.T) {
	var m oidMap[int]
	oids := []fs.OID{0, 1, 31, 32, 33, 1 << 40, 1<<64 - 1}
	for i, oid := range oids {
		if _, ok := m.get(oid); ok {
			t.Errorf("has %s", oid)
		}
		m.set(oid, i)
		m.set(oid, i+1)
	}
	found := 0
	for oid, v := range m.all() {
		if got, ok := m.get(oid); !ok || got != v || oids[v-1] != oid {
			t.Errorf("%s: %d, %d", oid, v, got)
		}
		found++
		m.remove(oid)
		m.remove(oid)
	}
	if found != len(oids) || m.n != 0 || len(m.pages) != 0 {
		t.Errorf("found %d, left %d in %d pages", found, m.n, len(m.pages))
	}
}

// The graph of an object store forgets what older revisions referred to.
func TestObjectGraph_Compact(t *testing.T) {
	var g objectGraph
	entry := make([]byte, 100<<10)
	for i := range 400 {
		oid := fs.OID(i % 10)
		if off, ok := g.at.Get(oid); ok {
			g.live -= int64(len(entryAt(g.slabs, off)))
		}
		g.at.Set(oid, g.store(entry))
		if g.used > 2*g.live+compactFrom {
			g.compact()
		}
	}
	if g.used > 2*g.live+compactFrom || len(g.slabs) > 25 {
		t.Errorf("%d bytes used, %d live, %d slabs", g.used, g.live, len(g.slabs))
	}
	for oid, off := range g.at.All() {
		if n := len(entryAt(g.slabs, off)); n != len(entry)+3 {
			t.Errorf("object %s has %d bytes", oid, n)
		}
	}
}
