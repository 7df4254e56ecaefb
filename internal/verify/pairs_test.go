package verify

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"zrs/internal/fs"
)

// memoryDir returns a directory in memory, if the system has that: syncing costs
// nothing there, and some tests make many small files.
func memoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "zrs-test-") //nolint:usetesting // that is not in memory
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// A txn is a transaction of a data file that a test makes.
type txn struct {
	tid        fs.TID
	status     fs.Status
	user, desc string
	extension  string
	recs       []rec
}

// A rec is a data record of a txn.
type rec struct {
	oid     fs.OID
	value   string   // "" if the object is gone
	refs    []fs.OID // what the object refers to
	back    fs.TID   // of a back pointer
	blob    string   // content of its file, if it has one
	isBlob  bool
	hasBlob bool
}

const testClass = "\x80\x03ctest\nThing\nq\x00."

// data returns the record's pickles.
func (r *rec) data() []byte {
	switch {
	case r.isBlob:
		return []byte("\x80\x03cZODB.blob\nBlob\nq\x01.\x80\x03N.")
	case r.value == "":
		return nil
	}
	b := []byte(testClass + "\x80\x03](")
	b = append(b, 'X', byte(len(r.value)), 0, 0, 0)
	b = append(b, r.value...)
	for _, oid := range r.refs {
		b = append(b, 'C', 8)
		b = append(oid.AppendTo(b), "h\x00\x86Q"...)
	}
	return append(b, "e."...)
}

// parseTxns reads transactions as the tests write them, separated by semicolons:
//
//	12 a=1 b=2     transaction 12 has a record of each of the objects a and b;
//	               a is the root
//	12 a=1>bc      a refers to b and c
//	13p a=3        a pack came by
//	15 a=-         a is gone
//	16 a=12^1      a back pointer to transaction 12, where it is "1"
//	16 a=12^-      one to where it is gone
//	17 c*hello     c is a blob whose file has "hello"
//	18 c*          c is a blob whose file is missing
//	19/me a=1      by a user
//	19+ext a=1     with an extension
func parseTxns(t testing.TB, s string) []txn {
	t.Helper()
	var txns []txn
	for part := range strings.SplitSeq(s, ";") {
		words := strings.Fields(part)
		if len(words) == 0 {
			continue
		}
		x := txn{status: fs.StatusComplete}
		head, extension, _ := strings.Cut(words[0], "+")
		head, user, _ := strings.Cut(head, "/")
		x.user, x.extension = user, extension
		if head, packed := strings.CutSuffix(head, "p"); packed {
			x.status = fs.StatusPacked
			x.tid = parseNumber(t, head)
		} else {
			x.tid = parseNumber(t, head)
		}
		for _, w := range words[1:] {
			x.recs = append(x.recs, parseRec(t, w))
		}
		txns = append(txns, x)
	}
	return txns
}

func parseRec(t testing.TB, w string) rec {
	t.Helper()
	r := rec{oid: fs.OID(w[0] - 'a')}
	if w[1] == '*' {
		r.isBlob, r.value, r.blob, r.hasBlob = true, "blob", w[2:], w[2:] != ""
		return r
	}
	value := w[2:]
	if back, rest, ok := strings.Cut(value, "^"); ok {
		r.back, value = parseNumber(t, back), rest
	}
	value, refs, _ := strings.Cut(value, ">")
	for _, c := range refs {
		r.refs = append(r.refs, fs.OID(c-'a'))
	}
	if value != "-" {
		r.value = value
	}
	return r
}

// tidOf returns the TID that a test calls n.
func tidOf(n int) fs.TID { return fs.TID(n) << 32 }

func parseNumber(t testing.TB, s string) fs.TID {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return tidOf(n)
}

// writeTxns makes a data file. Its blob directory is path+".blobs"; it is made if
// there are blobs.
func writeTxns(t testing.TB, path string, txns []txn) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	opts := fs.WriterOptions{Create: true}
	if slices.ContainsFunc(txns, func(x txn) bool {
		return slices.ContainsFunc(x.recs, func(r rec) bool { return r.isBlob })
	}) {
		opts.BlobDir = path + ".blobs"
	}
	w, err := fs.OpenWriter(t.Context(), path, opts)
	check(err)
	for _, x := range txns {
		check(w.Begin(fs.TxnHeader{
			TID: x.tid, Status: x.status,
			User: []byte(x.user), Description: []byte(x.desc), Extension: []byte(x.extension),
		}))
		for _, r := range x.recs {
			if r.hasBlob {
				b, err := w.CreateBlob(r.oid, x.tid)
				check(err)
				_, err = io.WriteString(b, r.blob)
				check(err)
				check(b.Commit())
			}
			check(w.Restore(fs.Restored{OID: r.oid, TID: x.tid, Data: r.data(), DataTxn: r.back}))
		}
		check(w.Commit())
	}
	check(w.Close())
}

// open returns the data file at path as a source, with its blobs if there are
// any.
func open(t testing.TB, path string) *Source {
	t.Helper()
	f, err := fs.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	var blobs *fs.BlobDir
	if _, err := os.Stat(path + ".blobs"); err == nil {
		if blobs, err = fs.OpenBlobDir(path + ".blobs"); err != nil {
			t.Fatal(err)
		}
	}
	return FileSource(f, blobs)
}

// pair makes two data files and returns them as sources.
func pair(t testing.TB, a, b string) (*Source, *Source) {
	t.Helper()
	dir := memoryDir(t)
	pathA, pathB := filepath.Join(dir, "a.fs"), filepath.Join(dir, "b.fs")
	writeTxns(t, pathA, parseTxns(t, a))
	writeTxns(t, pathB, parseTxns(t, b))
	return open(t, pathA), open(t, pathB)
}

// compare compares two sources.
func compare(t testing.TB, a, b *Source, opts CompareOptions) *Comparison {
	t.Helper()
	if opts.List == 0 {
		opts.List = 100
	}
	c, err := Compare(t.Context(), a, b, opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
