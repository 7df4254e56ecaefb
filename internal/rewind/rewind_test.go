package rewind

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"zrs/internal/epoch"
	"zrs/internal/fs"
)

// TestRewind takes files of random histories back to random transactions: what
// stays is what was there then, and what was cut is in the salvage, byte for byte.
func TestRewind(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			dir := memoryDir(t)
			db, short := dir+"/db", dir+"/short"
			check(t, os.Mkdir(db, 0o777))
			check(t, os.Mkdir(short, 0o777))
			txns := history(rng, 1, 2+rng.IntN(40))
			kept := 1 + rng.IntN(len(txns)-1)
			write(t, db, txns)
			write(t, short, txns[:kept])
			switch rng.IntN(3) {
			case 0:
				check(t, os.Remove(db+"/Data.fs.index"))
			case 1: // a killed process leaves an old one
				copyFile(t, short+"/Data.fs.index", db+"/Data.fs.index")
			}
			tail := bytes.Repeat([]byte("\x00"), rng.IntN(2)*rng.IntN(3000))
			appendBytes(t, db, tail)
			copyDir(t, db, dir+"/before")

			var steps []string
			salvage, err := run(t.Context(), db, txns[kept-1].tid, func(s string) { steps = append(steps, s) })
			check(t, err)
			want := files(t, short)
			if want["Data.fs.index"] == "" {
				delete(want, "Data.fs.index")
			}
			got := without(files(t, db), filepath.Base(salvage))
			if d := differences(without(got, ".lock"), without(want, ".lock")); len(d) > 0 {
				t.Errorf("%q are not what a file has that never had more", d)
			}
			if steps[len(steps)-1] != "journal removed" {
				t.Errorf("steps %q", steps)
			}
			saved := files(t, salvage)
			if saved[tailName] != string(tail) {
				t.Errorf("the tail was not saved")
			}
			restore(t, salvage, db)
			appendBytes(t, db, tail)
			if d := differences(without(files(t, db), filepath.Base(salvage), ".lock", ".index"), without(files(t, dir+"/before"), ".lock", ".index")); len(d) > 0 {
				t.Errorf("%q are not as they were, after the salvage was restored", d)
			}
			compareOrphans(t, salvage, txns[kept:])
		})
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	b, err := os.ReadFile(from)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	check(t, err)
	check(t, os.WriteFile(to, b, 0o666))
}

// compareOrphans compares the data file in a salvage with what it should have.
func compareOrphans(t *testing.T, salvage string, want []txn) {
	t.Helper()
	f, err := fs.OpenFile(salvage + "/" + dataName)
	check(t, err)
	defer f.Close()
	r := &reader{Reader: f.Reader(fs.FirstOffset, f.Size())}
	for _, x := range want {
		got, err := r.Next()
		check(t, err)
		if got.TID != x.tid {
			t.Fatalf("transaction %s, want %s", got.TID, x.tid)
		}
		for _, w := range x.recs {
			rec, err := r.next()
			check(t, err)
			data, err := r.data()
			check(t, err)
			if rec.OID != w.oid || string(data) != w.data {
				t.Fatalf("transaction %s: object %s has %q, want %s %q", got.TID, rec.OID, data, w.oid, w.data)
			}
		}
	}
}

// TestPlan_packed takes files that were packed back to each transaction: if it is
// not refused, each object is what it was then.
func TestPlan_packed(t *testing.T) {
	refused, allowed := 0, 0
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 2))
		full := history(rng, 1, 4+rng.IntN(20))
		for i := range full { // a pack keeps what back pointers lead to; that is another matter
			for j := range full[i].recs {
				full[i].recs[j].from = 0
			}
		}
		txns := full
		for range 1 + rng.IntN(2) {
			stop := txns[rng.IntN(len(txns))].tid
			if txns = pack(txns, stop); len(txns) == 0 {
				break
			}
		}
		if len(txns) < 2 {
			continue
		}
		dir := memoryDir(t)
		write(t, dir, txns)
		r := open(t, dir, true)
		for i, x := range txns[:len(txns)-1] {
			_, err := r.Plan(t.Context(), x.tid, nil, 0)
			if errors.Is(err, ErrPacked) {
				if txns[i].status != fs.StatusPacked || txns[i+1].status != fs.StatusPacked {
					t.Errorf("seed %d: %s is refused", seed, x.tid)
				}
				refused++
				continue
			}
			check(t, err)
			allowed++
			// What was current at x: up to the transaction behind it, of the true history.
			n := slices.IndexFunc(full, func(f txn) bool { return f.tid >= txns[i+1].tid })
			if got, want := present(state(txns[:i+1])), present(state(full[:n])); !maps.Equal(got, want) {
				t.Errorf("seed %d: at %s the objects are %v, were %v", seed, x.tid, got, want)
			}
		}
		check(t, r.Close())
	}
	if refused < 50 || allowed < 50 {
		t.Errorf("only %d were refused and %d allowed", refused, allowed)
	}
}

// present returns what objects there are.
func present(s map[fs.OID]revision) map[fs.OID]fs.TID {
	there := map[fs.OID]fs.TID{}
	for oid, r := range s {
		if r.data != "" {
			there[oid] = r.tid
		}
	}
	return there
}

// pack does what ZODB's pack does up to the transaction stop, without collecting
// garbage.
func pack(txns []txn, stop fs.TID) []txn {
	n, ok := slices.BinarySearchFunc(txns, stop, func(x txn, tid fs.TID) int {
		if x.tid < tid {
			return -1
		} else if x.tid > tid {
			return 1
		}
		return 0
	})
	if ok {
		n++
	}
	now := state(txns[:n])
	var packed []txn
	for _, x := range txns[:n] {
		y := txn{tid: x.tid, status: fs.StatusPacked}
		for i, r := range x.recs {
			last := !slices.ContainsFunc(x.recs[i+1:], func(o rec) bool { return o.oid == r.oid })
			if now[r.oid].tid == x.tid && last && r.data != "" {
				y.recs = append(y.recs, r)
			}
		}
		if len(y.recs) > 0 {
			packed = append(packed, y)
		}
	}
	return append(packed, txns[n:]...)
}

// TestRewind_sidecar: the file is that of a secondary after that, of the epoch
// that has all of what it kept.
func TestRewind_sidecar(t *testing.T) {
	for name, kept := range map[string]int{"own-epoch": 4, "epoch-before": 2} {
		t.Run(name, func(t *testing.T) {
			dir := memoryDir(t)
			txns := history(rand.New(rand.NewPCG(5, 5)), 1, 6)
			write(t, dir, txns)
			before := withSidecar(t, dir, tidOf(3), tidOf(6))
			_, err := run(t.Context(), dir, tidOf(kept), nil)
			check(t, err)
			s, err := epoch.Load(dir + "/Data.fs")
			check(t, err)
			if want := before.Lineage.At(tidOf(kept)); !s.Equal(want) || s.Role != epoch.Secondary || s.At != tidOf(kept) || s.Superseded != nil {
				t.Errorf("sidecar %+v, want a secondary of %+v at %s", s, want, tidOf(kept))
			}
		})
	}
}

// TestRewind_fails: what fails before the salvage is whole leaves everything as it
// was.
func TestRewind_fails(t *testing.T) {
	dir := memoryDir(t)
	db := dir + "/db"
	check(t, os.Mkdir(db, 0o777))
	write(t, db, history(rand.New(rand.NewPCG(9, 9)), 1, 20))
	withSidecar(t, db, tidOf(3), tidOf(20))
	before := files(t, db)
	for _, at := range []string{"salvage directory", "salvage blobs", "salvage " + dumpName, "salvage " + dataName, "salvage " + factsName} {
		t.Run(at, func(t *testing.T) {
			_, err := run(t.Context(), db, tidOf(10), func(step string) {
				if step == at { // everything that comes has its place taken
					spoil(t, db)
				}
			})
			if err == nil {
				t.Fatal("no error")
			}
			if d := differences(files(t, db), before); len(d) > 0 {
				t.Errorf("%q have changed", d)
			}
		})
	}
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := run(ctx, db, tidOf(10), func(step string) {
			if step == "salvage blobs" {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v", err)
		}
		if d := differences(files(t, db), before); len(d) > 0 {
			t.Errorf("%q have changed", d)
		}
	})
}

// spoil takes the places of files that are yet to be made in the salvage of the
// data file in dir, or alters those that are there.
func spoil(t *testing.T, dir string) {
	t.Helper()
	growing, err := filepath.Glob(dir + "/*.unfinished")
	check(t, err)
	for _, name := range []string{dumpName, dataName, factsName} {
		path := filepath.Join(growing[0], name)
		b, err := os.ReadFile(path)
		if err == nil { // as a disk might
			b[len(b)/2] ^= 1
			check(t, os.WriteFile(path, b, 0o666))
		} else {
			check(t, os.WriteFile(path, []byte("not ours"), 0o444))
		}
	}
}
