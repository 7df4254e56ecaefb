package repl

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"zrs/internal/fs"
)

// A world is a random database: what was committed, and when objects became
// garbage.
type world struct {
	txns    []txn
	garbage map[fs.OID]fs.TID // since when it is out of reach
}

const (
	rootOID   = fs.OID(0)
	worldOIDs = 9
)

// grow commits n transactions more, with TIDs that no other call uses. Names
// tells whose data they are.
func (w *world) grow(r *rand.Rand, n int, name string) {
	next := w.txns[len(w.txns)-1].tid
	exists := state(w.txns)
	for range n {
		next += fs.TID(1 + r.IntN(1<<20))
		x := txn{tid: next, status: fs.StatusComplete}
		for range r.IntN(4) {
			oid := fs.OID(r.IntN(worldOIDs))
			if _, garbage := w.garbage[oid]; garbage {
				continue
			}
			data := fmt.Sprintf("%s %s %d", name, next, len(x.recs))
			switch _, ok := exists[oid]; {
			case oid == rootOID, r.IntN(8) > 0:
				exists[oid] = data
			case ok && r.IntN(2) == 0: // its creation is undone
				delete(exists, oid)
				w.garbage[oid] = next
				data = ""
			case ok: // nothing refers to it any more: the root has changed
				w.garbage[oid] = next
				oid = rootOID
			default:
				continue
			}
			x.recs = append(x.recs, rec{oid: oid, data: data})
		}
		w.txns = append(w.txns, x)
	}
}

// newWorld returns a database as ZODB makes it: the first transaction has the
// root, without which nothing can be packed.
func newWorld() *world {
	return &world{
		txns: []txn{{
			tid: tidOf(1), status: fs.StatusComplete, desc: "initial database creation",
			recs: []rec{{oid: rootOID, data: "root"}},
		}},
		garbage: make(map[fs.OID]fs.TID),
	}
}

// clone returns a copy that grows on its own.
func (w *world) clone() *world {
	return &world{txns: slices.Clone(w.txns), garbage: maps.Clone(w.garbage)}
}

// packed returns the first n transactions as they are after a pack up to the
// k-th, with or without the garbage.
func (w *world) packed(n, k int, collect bool) []txn {
	all := slices.Clone(w.txns[:n])
	if k == 0 {
		return all
	}
	stop := all[k-1].tid
	current := make(map[fs.OID][2]int)
	for i, x := range all[:k] {
		for j, r := range x.recs {
			current[r.oid] = [2]int{i, j}
		}
	}
	var kept []txn
	for i, x := range all[:k] {
		recs := x.recs
		x.recs, x.status = nil, fs.StatusPacked
		for j, r := range recs {
			since, garbage := w.garbage[r.oid]
			if current[r.oid] == [2]int{i, j} && r.data != "" && !(collect && garbage && since <= stop) {
				x.recs = append(x.recs, r)
			}
		}
		if len(x.recs) > 0 {
			kept = append(kept, x)
		}
	}
	return append(kept, all[k:]...)
}

// some returns a part of w's history, packed at some place or not at all, or as
// a replica has it that was away while its source was packed.
func (w *world) some(r *rand.Rand) []txn {
	n := 1 + r.IntN(len(w.txns))
	k := 0
	if r.IntN(3) > 0 {
		k = r.IntN(n + 1)
	}
	txns := w.packed(n, k, r.IntN(4) > 0)
	if r.IntN(3) > 0 {
		return txns
	}
	j := r.IntN(n)
	i := slices.IndexFunc(txns, func(x txn) bool { return x.tid > w.txns[j].tid })
	if i < 0 || txns[i].status != fs.StatusPacked && txns[i].tid != w.txns[j+1].tid {
		return txns // no mark would tell of the gap
	}
	return append(slices.Clone(w.txns[:j+1]), txns[i:]...)
}

// checkReach checks that each object that can be reached at the source is the
// same here.
func (w *world) checkReach(t *testing.T, ours, theirs []txn) {
	t.Helper()
	last := theirs[len(theirs)-1].tid
	here := state(ours)
	for oid, data := range state(theirs) {
		if since, garbage := w.garbage[oid]; garbage && since <= last {
			continue
		}
		if here[oid] != data {
			t.Errorf("object %s is %q here, %q there", oid, here[oid], data)
		}
	}
}

func show(txns []txn) string {
	var b strings.Builder
	for _, x := range txns {
		fmt.Fprintf(&b, "  %s %c", x.tid, x.status)
		for _, r := range x.recs {
			fmt.Fprintf(&b, " %d=%q", r.oid, r.data)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// checkRandom compares a part of ours with a part of theirs, and checks what
// an agreement is worth.
func checkRandom(t *testing.T, seed uint64, here, there []txn, source *world, check CheckHistory, allowed ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		dir := memoryDir(t)
		ours, theirs := dir+"/ours.fs", dir+"/theirs.fs"
		writeTxns(t, ours, here)
		writeTxns(t, theirs, there)
		before := takeSnapshot(t, ours, "")
		src, _ := servePipes(t, newPrimary(t, theirs, ""))
		s := newSecondary(t, ours, "", src)
		s.CheckHistory = check
		got := verdict(s.Catchup(t.Context(), 0, false))
		closeSecondary(t, s)
		word, _, _ := strings.Cut(got, " after")
		if !slices.Contains(allowed, word) {
			t.Errorf("%s, allowed is %q", got, allowed)
		}
		if got == "agree" {
			source.checkReach(t, readTxns(t, ours), there)
		} else {
			before.checkUnchanged(t, ours, "")
		}
		if t.Failed() {
			t.Fatalf("seed %d, check %d: %s\nhere:\n%sthere:\n%s", seed, check, got, show(here), show(there))
		}
	})
}

const randomPairs = 120

// A healthy pair, whatever packs each side had, is never called diverged, and
// if it is accepted the two are equal afterwards.
func TestHistory_randomHealthy(t *testing.T) {
	for seed := range uint64(randomPairs) {
		r := rand.New(rand.NewPCG(seed, 1))
		w := newWorld()
		w.grow(r, 2+r.IntN(40), "ours")
		here, there := w.some(r), w.some(r)
		if len(here) == 0 || len(there) == 0 {
			continue
		}
		checkRandom(t, seed, here, there, w, CheckTail, "agree", "ahead", "packed past")
		checkRandom(t, seed, here, there, w, CheckFull, "agree", "ahead", "packed past")
	}
}

// A fork is never accepted unless a pack has made it one in name only: then the
// two are equal afterwards.
func TestHistory_randomForks(t *testing.T) {
	for seed := range uint64(randomPairs) {
		r := rand.New(rand.NewPCG(seed, 2))
		a := newWorld()
		a.grow(r, 1+r.IntN(25), "common")
		b := a.clone()
		fork := len(a.txns)
		a.grow(r, 1+r.IntN(25), "ours")
		b.grow(r, 1+r.IntN(25), "theirs")
		here, there := a.some(r), b.some(r)
		if len(here) == 0 || len(there) == 0 {
			continue
		}
		allowed := []string{"agree", "ahead", "packed past", "diverged"}
		if !isPacked(here) && !isPacked(there) && len(here) > fork && len(there) > fork {
			allowed = []string{"diverged"}
		}
		checkRandom(t, seed, here, there, b, CheckTail, allowed...)
		checkRandom(t, seed, here, there, b, CheckFull, allowed...)
	}
}

// A transaction that is missing in the middle is found by a full comparison.
func TestHistory_randomHoles(t *testing.T) {
	for seed := range uint64(randomPairs / 3) {
		r := rand.New(rand.NewPCG(seed, 3))
		w := newWorld()
		w.grow(r, 3+r.IntN(40), "ours")
		here, there := slices.Clone(w.txns), w.some(r)
		i := r.IntN(len(here) - 1)
		hole := here[i]
		here = slices.Delete(here, i, i+1)
		if len(there) == 0 {
			continue
		}
		allowed := []string{"agree", "ahead", "packed past", "diverged"}
		if !isPacked(there) && slices.ContainsFunc(there, func(x txn) bool { return x.tid == hole.tid }) {
			allowed = []string{"diverged"}
		}
		checkRandom(t, seed, here, there, w, CheckFull, allowed...)
	}
}
