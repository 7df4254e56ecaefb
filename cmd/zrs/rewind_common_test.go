package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"zrs/internal/fs"
	"zrs/internal/rewind"
	"zrs/internal/verify"
)

// A forkTxn is a transaction of a history that forks.
type forkTxn struct {
	tid    fs.TID
	packed bool
	recs   map[fs.OID]fs.TID // the transaction whose data each object has
}

// forkHistory makes n transactions, at times that differ with side.
func forkHistory(rng *rand.Rand, start, n, side int) (txns []forkTxn) {
	for i := range n {
		x := forkTxn{tid: fs.TID(0x040d<<48 | (start+i)<<24 | side), recs: map[fs.OID]fs.TID{}}
		for range 1 + rng.IntN(3) {
			x.recs[fs.OID(1+rng.IntN(8))] = x.tid
		}
		txns = append(txns, x)
	}
	return txns
}

// forkPack packs the first n transactions, without collecting garbage.
func forkPack(txns []forkTxn, n int) []forkTxn {
	last := map[fs.OID]fs.TID{}
	for _, x := range txns[:n] {
		for oid := range x.recs {
			last[oid] = x.tid
		}
	}
	var packed []forkTxn
	for _, x := range txns[:n] {
		y := forkTxn{tid: x.tid, packed: true, recs: map[fs.OID]fs.TID{}}
		for oid := range x.recs {
			if last[oid] == x.tid {
				y.recs[oid] = x.tid
			}
		}
		if len(y.recs) > 0 {
			packed = append(packed, y)
		}
	}
	return append(packed, txns[n:]...)
}

func writeFork(t *testing.T, path string, txns []forkTxn) {
	t.Helper()
	w, err := fs.OpenWriter(t.Context(), path, fs.WriterOptions{Create: true})
	for _, x := range txns {
		h := fs.TxnHeader{TID: x.tid, Status: fs.StatusComplete, Description: []byte("edit")}
		if x.packed {
			h.Status = fs.StatusPacked
		}
		err = errors.Join(err, w.Begin(h))
		for oid := range fs.OID(10) {
			if x.recs[oid] != 0 {
				data := fmt.Appendf(nil, "\x80\x03ctest\nThing\nq.%s %s", oid, x.tid)
				err = errors.Join(err, w.Restore(fs.Restored{OID: oid, TID: x.tid, Data: data}))
			}
		}
		err = errors.Join(err, w.Commit())
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
}

// lastCommonOf asks for the last common transaction of two files, and makes sure
// that it may be the last one of the first.
func lastCommonOf(t *testing.T, here, there string) (fs.TID, *rewindSummary, error) {
	t.Helper()
	r, err := rewind.Open(t.Context(), here, true, newEnv(outputFlags{}, nil, io.Discard, io.Discard).log)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f, end := r.Data()
	sum := new(rewindSummary)
	last, err := (&rewindCmd{FS: here, Against: there}).lastCommon(t.Context(), f, end, sum, new(progress))
	if err == nil {
		_, err = r.Plan(t.Context(), last, nil, 1)
	}
	return last, sum, err
}

// relationOf compares a file that has these transactions with another.
func relationOf(t *testing.T, dir string, txns []forkTxn, other string) verify.Relation {
	t.Helper()
	path := dir + "/cut.fs"
	os.Remove(path)
	os.Remove(path + ".index")
	writeFork(t, path, txns)
	var sources [2]*verify.Source
	for i, p := range []string{path, other} {
		f, err := fs.OpenFile(p)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		sources[i] = verify.FileSource(f, nil)
	}
	r, err := verify.Compare(t.Context(), sources[0], sources[1], verify.CompareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return r.Relation
}

// TestRewind_lastCommon has files fork, and be packed at any time: what is found is
// where they have forked, or it is said that this can't be told.
func TestRewind_lastCommon(t *testing.T) {
	dir, err := os.MkdirTemp("/dev/shm", "zrs-test-") //nolint:usetesting // in memory, if there is that
	if err != nil {
		dir = t.TempDir()
	}
	defer os.RemoveAll(dir)
	told, refused, covered := 0, 0, 0
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 7))
		common := forkHistory(rng, 1, 1+rng.IntN(12), 0)
		fork := common[len(common)-1].tid
		mine := append(slices.Clone(common), forkHistory(rng, 100, rng.IntN(4), 1)...)
		theirs := append(slices.Clone(common), forkHistory(rng, 100, rng.IntN(6), 2)...)
		packs := rng.IntN(4)
		if packs&1 != 0 {
			mine = forkPack(mine, 1+rng.IntN(len(mine)))
		}
		if packs&2 != 0 {
			theirs = forkPack(theirs, 1+rng.IntN(len(theirs)))
		}
		want := fs.TID(0)
		for _, x := range mine {
			if x.tid <= fork {
				want = x.tid
			}
		}
		here, there := filepath.Join(dir, fmt.Sprint(seed, "a.fs")), filepath.Join(dir, fmt.Sprint(seed, "b.fs"))
		writeFork(t, here, mine)
		writeFork(t, there, theirs)
		got, sum, err := lastCommonOf(t, here, there)
		switch {
		case err == nil && got == want:
			told++
			kept := mine[:slices.IndexFunc(mine, func(x forkTxn) bool { return x.tid == want })+1]
			if r := relationOf(t, dir, kept, there); !r.Same() && !r.IsBehind() {
				t.Errorf("seed %d, packs %d: cut after %s the file is %s", seed, packs, want, r)
			}
		case packs > 0 && (errors.Is(err, errForkPacked) || errors.Is(err, rewind.ErrPacked)):
			refused++
		case packs&2 != 0 && err == nil && sum.Relation == verify.BehindAfterPack:
			covered++ // nothing is cut; docs/format.md has this limit
		default:
			t.Errorf("seed %d, packs %d: %s (%v), want %s, %s", seed, packs, got, err, want, sum.Relation)
		}
	}
	if told < 200 || refused < 50 || covered > 10 {
		t.Errorf("told %d times, refused %d times, covered %d times", told, refused, covered)
	}
}

// TestRewind_farBack finds a fork that is behind what is looked at first.
func TestRewind_farBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	dir := t.TempDir()
	common := forkHistory(rng, 1, 500, 0)
	writeFork(t, dir+"/a.fs", append(slices.Clone(common), forkHistory(rng, 5000, firstLook+100, 1)...))
	writeFork(t, dir+"/b.fs", append(slices.Clone(common), forkHistory(rng, 5000, 3, 2)...))
	got, _, err := lastCommonOf(t, dir+"/a.fs", dir+"/b.fs")
	if want := common[499].tid; got != want || err != nil {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
}
