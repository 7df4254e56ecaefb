package verify

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zrs/internal/fs"
)

// show writes transactions nearly as parseTxns reads them.
func show(txns []txn) string {
	var words []string
	for _, x := range txns {
		w := fmt.Sprintf("%d%s/%s", x.tid>>32, strings.TrimSpace(string(rune(x.status))), x.user)
		for _, r := range x.recs {
			w += fmt.Sprintf(" %c=", 'a'+r.oid)
			if r.back != 0 {
				w += fmt.Sprintf("%d^", r.back>>32)
			}
			if r.value == "" {
				w += "-"
			}
			w += r.value
			if len(r.refs) > 0 {
				w += ">"
			}
			for _, ref := range r.refs {
				w += string(rune('a' + ref))
			}
		}
		words = append(words, w)
	}
	return strings.Join(words, "; ")
}

// life makes a storage of a history: a part of it, packed, continued, perhaps
// replicated from another that was packed.
func life(rng *rand.Rand, history []txn, steps int) []txn {
	var side []txn
	side = follow(side, history, 1+rng.IntN(len(history)))
	for range rng.IntN(steps + 1) {
		switch rng.IntN(5) {
		case 0, 1, 2:
			stop := side[rng.IntN(len(side))].tid
			if rng.IntN(3) == 0 {
				stop = lastOf(side)
			}
			side = pack(side, stop, rng.IntN(3) > 0)
		case 3:
			side = follow(side, history, rng.IntN(4))
		case 4: // what another, packed one has
			side = follow(side, life(rng, history, 1), -1)
		}
		if len(side) == 0 {
			break
		}
	}
	if rng.IntN(2) == 0 {
		side = follow(side, history, -1)
	}
	return side
}

// healthy reports whether two storages of one history must not be called diverged.
func healthy(a, b, history []txn) bool {
	for _, s := range [][]txn{a, b} {
		if lossy(s, history) || unmarked(s, history) {
			return false
		}
	}
	return sharing(a, b) || len(a) == 0 || len(b) == 0
}

func sharing(a, b []txn) bool {
	for _, x := range a {
		if find(b, x.tid) != nil {
			return true
		}
	}
	return false
}

// apart reports whether two storages must be called diverged: one has a
// transaction that the other lacks where no pack has been; or the root leads to
// something else.
func apart(a, b []txn) bool {
	for _, pair := range [2][2][]txn{{a, b}, {b, a}} {
		for _, x := range pair[0] {
			if x.tid < lastOf(pair[1]) && find(pair[1], x.tid) == nil && !marked(pair[1], x.tid) {
				return true
			}
		}
	}
	end := min(lastOf(a), lastOf(b)) + 1
	for _, s := range [][]txn{a, b} {
		for _, x := range s {
			if x.tid >= end && x.status == fs.StatusPacked {
				return false // what it had then is gone
			}
		}
	}
	sa, sb := stateAt(a, end), stateAt(b, end)
	for _, pair := range [2][2]state{{sa, sb}, {sb, sa}} {
		ours, theirs := pair[0], pair[1]
		live := ours.live()
		for oid, r := range ours {
			if !ours.there(0) {
				break
			}
			t, ok := theirs[oid]
			if live(oid) && r.value != "" && (!ok || string(t.data()) != string(r.data()) || t.tid != r.tid) {
				return true
			}
		}
	}
	return false
}

// TestCompare_Random makes random histories, forks some, packs and replicates
// them, and holds what Compare says against the model, and against where they
// come from: no pair of one history is called diverged, and no pair that can be
// told to have forked is called anything else.
func TestCompare_Random(t *testing.T) {
	dir := memoryDir(t)
	n := 4000
	if testing.Short() {
		n = 300
	}
	found := map[Relation]int{}
	claims := [2]int{}
	for seed := range n {
		rng := rand.New(rand.NewPCG(uint64(seed), 1))
		w := &world{rng: rng, wild: seed%4 == 0}
		length := 2 + rng.IntN(12)
		for i := range length {
			w.commit(tidOf(2 * (i + 1)))
		}
		histories := [2][]txn{w.txns, w.txns}
		forked := seed%2 == 1
		if forked {
			fork := *w
			fork.txns = append([]txn(nil), w.txns[:1+rng.IntN(length)]...)
			for i := range 1 + rng.IntN(6) {
				fork.commit(lastOf(fork.txns) + tidOf(2) - tidOf((i+1)%2*rng.IntN(2)))
			}
			histories[1] = fork.txns
		}
		a, b := life(rng, histories[0], 3), life(rng, histories[1], 3)
		if rng.IntN(50) == 0 {
			a = nil
		}
		want := modelRelation(a, b)
		mustHealthy := !forked && healthy(a, b, w.txns)
		mustApart := apart(a, b)
		if mustHealthy && want == Diverged || mustApart && want != Diverged {
			t.Errorf("seed %d: the model says %s, of one history: %v, apart: %v\na: %s\nb: %s\nof: %s\nand: %s", seed, want, mustHealthy, mustApart, show(a), show(b), show(histories[0]), show(histories[1]))
		}
		if mustHealthy {
			claims[0]++
		}
		if mustApart {
			claims[1]++
		}
		pathA, pathB := filepath.Join(dir, "a.fs"), filepath.Join(dir, "b.fs")
		writeTxns(t, pathA, a)
		writeTxns(t, pathB, b)
		got := compareFiles(t, pathA, pathB)
		if got.Relation != want {
			t.Errorf("seed %d: Compare() = %s (%s), the model says %s\na: %s\nb: %s", seed, got.Relation, findings(got), want, show(a), show(b))
		}
		if mirrored := compareFiles(t, pathB, pathA); mirrored.Relation != want.mirrored() {
			t.Errorf("seed %d: exchanged, Compare() = %s, want %s\na: %s\nb: %s", seed, mirrored.Relation, want.mirrored(), show(a), show(b))
		}
		found[got.Relation]++
		if t.Failed() {
			return
		}
		os.Remove(pathA)
		os.Remove(pathB)
	}
	t.Logf("relations: %v; %d pairs of one history, %d apart", found, claims[0], claims[1])
	for _, r := range []Relation{Equal, Behind, Ahead, EqualAfterPack, BehindAfterPack, AheadAfterPack, Diverged} {
		if found[r] == 0 {
			t.Errorf("no pair was %s", r)
		}
	}
}

func compareFiles(t testing.TB, pathA, pathB string) *Comparison {
	t.Helper()
	var sources [2]*Source
	for i, path := range []string{pathA, pathB} {
		f, err := fs.OpenFile(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		sources[i] = FileSource(f, nil)
	}
	return compare(t, sources[0], sources[1], CompareOptions{})
}
