package rewind

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"zrs/internal/dump"
	"zrs/internal/epoch"
	"zrs/internal/fs"
)

// memoryDir returns a directory in memory, if the system has that: syncing costs
// nothing there.
func memoryDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "zrs-test-") //nolint:usetesting // that is not in memory
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A txn is a transaction of a history.
type txn struct {
	tid    fs.TID
	status fs.Status
	recs   []rec
}

// A rec is a record of a txn.
type rec struct {
	oid  fs.OID
	data string // "" if the object is gone
	from fs.TID // of a back pointer, 0 for none
	blob string // of its file, if data is blobData
}

const blobData = "\x80\x03cZODB.blob\nBlob\nq\x01.\x80\x03N."

// tidOf returns the TID that a test calls n.
func tidOf(n int) fs.TID { return fs.TID(0x040d<<48 | n<<32 | 7) }

// history makes n random transactions, the first of which is tidOf(start).
func history(rng *rand.Rand, start, n int) []txn {
	var txns []txn
	for i := range n {
		txns = append(txns, random(rng, txns, tidOf(start+i)))
	}
	return txns
}

// random makes a transaction that can follow others.
func random(rng *rand.Rand, before []txn, tid fs.TID) txn {
	x := txn{tid: tid, status: fs.StatusComplete}
	for range rng.IntN(4) {
		r := rec{oid: fs.OID(1 + rng.IntN(12)), data: fmt.Sprintf("\x80\x03ctest\nThing\nq.%d", rng.IntN(1000))}
		switch old := state(before)[r.oid]; {
		case r.oid > 9:
			r.data, r.blob = blobData, strings.Repeat("blob", rng.IntN(20))
		case rng.IntN(5) == 0 && old.tid != 0:
			r.data = ""
		case rng.IntN(3) == 0 && old.tid != 0:
			r.data, r.from = old.data, old.tid
		case rng.IntN(20) == 0:
			r.data = strings.Repeat(r.data, 20_000)
		}
		if slices.ContainsFunc(x.recs, func(o rec) bool { return o.oid == r.oid && (r.blob != "" || o.from+r.from != 0) }) {
			continue
		}
		x.recs = append(x.recs, r)
	}
	return x
}

// A revision is the last record of an object.
type revision struct {
	tid fs.TID
	rec
}

// state returns the current records of a history.
func state(txns []txn) map[fs.OID]revision {
	s := map[fs.OID]revision{}
	for _, x := range txns {
		for _, r := range x.recs {
			s[r.oid] = revision{x.tid, r}
		}
	}
	return s
}

// write makes, or appends to, the data file dir/Data.fs with its blobs and index.
func write(t testing.TB, dir string, txns []txn) {
	t.Helper()
	w, err := fs.OpenWriter(t.Context(), dir+"/Data.fs", fs.WriterOptions{Create: true, BlobDir: dir + "/blobs"})
	check(t, err)
	for _, x := range txns {
		check(t, w.Begin(fs.TxnHeader{
			TID: x.tid, Status: x.status,
			User: []byte("user \xff\n"), Description: fmt.Appendf(nil, "edit %d", x.tid), Extension: []byte("\x80\x03}q\x00."),
		}))
		for _, r := range x.recs {
			if r.data == blobData {
				b, err := w.CreateBlob(r.oid, x.tid)
				check(t, err)
				_, err = io.WriteString(b, r.blob)
				check(t, err)
				check(t, b.Commit())
			}
			check(t, w.Restore(fs.Restored{OID: r.oid, TID: x.tid, Data: []byte(r.data), DataTxn: r.from}))
		}
		check(t, w.Commit())
	}
	check(t, w.Close())
}

// files returns the contents of all files below dir, by their paths in it.
func files(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	check(t, filepath.WalkDir(dir, func(path string, d iofs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all[name] = string(b)
		return err
	}))
	return all
}

func copyDir(t testing.TB, from, to string) {
	t.Helper()
	check(t, os.CopyFS(to, os.DirFS(from)))
}

// open opens the data file in dir.
func open(t testing.TB, dir string, look bool) *File {
	t.Helper()
	r, err := Open(t.Context(), dir+"/Data.fs", look, slog.New(slog.DiscardHandler))
	check(t, err)
	return r
}

var errNowhere = errors.New("back to where?")

// run takes the data file in dir back to the transaction last, as the command
// does, and returns where the salvage is. A last of 0 is that of an earlier run.
func run(ctx context.Context, dir string, last fs.TID, step func(string)) (salvage string, err error) {
	r, err := Open(ctx, dir+"/Data.fs", false, slog.New(slog.DiscardHandler))
	if err != nil {
		return "", err
	}
	defer r.Close()
	if step != nil {
		r.step = step
	}
	stage, kept, salvage := r.Begun()
	if stage == Cut {
		if err := r.Finish(ctx); err != nil {
			return "", err
		}
		if last == 0 {
			return salvage, nil
		}
	}
	if last == 0 && stage != Saved {
		return "", errNowhere
	}
	if last == 0 {
		last = kept
	}
	blobs, err := fs.OpenBlobDir(dir + "/blobs")
	if err != nil {
		return "", err
	}
	p, err := r.Plan(ctx, last, blobs, 10)
	if err != nil || p.Transactions == 0 {
		return salvage, err
	}
	return r.Rewind(ctx, p, Options{Blobs: blobs, BlobDir: dir + "/blobs"})
}

// freshIndex returns the index file that a scan of a data file gives.
func freshIndex(t testing.TB, data string) string {
	t.Helper()
	dir := memoryDir(t)
	check(t, os.WriteFile(dir+"/Data.fs", []byte(readFile(t, data)), 0o666))
	w, err := fs.OpenWriter(t.Context(), dir+"/Data.fs", fs.WriterOptions{})
	check(t, err)
	check(t, w.Close())
	b, err := os.ReadFile(dir + "/Data.fs.index")
	if os.IsNotExist(err) {
		return ""
	}
	check(t, err)
	return string(b)
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	check(t, err)
	return string(b)
}

// restore puts a salvage back onto the data file in dir.
func restore(t testing.TB, salvage, dir string) {
	t.Helper()
	text, err := os.Open(salvage + "/" + dumpName)
	check(t, err)
	defer text.Close()
	w, err := fs.OpenWriter(t.Context(), dir+"/Data.fs", fs.WriterOptions{BlobDir: dir + "/blobs"})
	check(t, err)
	r := &dump.Restorer{
		After: w.LastTID(), Until: fs.MaxTID, Open: func() (*fs.Writer, error) { return w, nil },
		Missing: func(_ fs.OID, _ fs.TID, err error) { t.Error(err) },
	}
	if _, err := os.Stat(salvage + "/blobs"); err == nil {
		r.Blobs, err = fs.OpenBlobDir(salvage + "/blobs")
		check(t, err)
	}
	check(t, r.Restore(t.Context(), dump.NewDecoder(text)))
	check(t, w.Close())
}

// withSidecar makes the data file in dir that of a primary of a second epoch.
func withSidecar(t testing.TB, dir string, forked, last fs.TID) *epoch.Sidecar {
	t.Helper()
	s := &epoch.Sidecar{Lineage: epoch.Begin().Promote(forked), Role: epoch.Primary, At: last}
	newer := s.Lineage.Promote(forked)
	s.Superseded = &newer
	check(t, s.Save(dir+"/Data.fs"))
	return s
}

// differences returns the paths that are not the same in two sets of files.
func differences(a, b map[string]string) (paths []string) {
	for path, content := range a {
		if other, ok := b[path]; !ok || other != content {
			paths = append(paths, path)
		}
	}
	for path := range b {
		if _, ok := a[path]; !ok {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// without returns files but for those in a directory, or with a name.
func without(all map[string]string, names ...string) map[string]string {
	rest := map[string]string{}
	for path, content := range all {
		if !slices.ContainsFunc(names, func(name string) bool {
			return strings.HasPrefix(path, name) || strings.HasSuffix(path, name)
		}) {
			rest[path] = content
		}
	}
	return rest
}

// appendBytes puts something behind the data file in dir.
func appendBytes(t testing.TB, dir string, b []byte) {
	t.Helper()
	f, err := os.OpenFile(dir+"/Data.fs", os.O_WRONLY|os.O_APPEND, 0)
	check(t, err)
	_, err = io.Copy(f, bytes.NewReader(b))
	check(t, err)
	check(t, f.Close())
}
