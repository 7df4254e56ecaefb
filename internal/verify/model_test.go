package verify

import (
	"maps"
	"math/rand/v2"
	"slices"

	"zrs/internal/fs"
)

// A model of databases, of what happens to them, and of what a comparison should
// find. It is slow and obvious: whole histories in memory, states as maps.

// A world makes a history as an application would.
type world struct {
	rng  *rand.Rand
	txns []txn
	oids int // used so far
	wild bool
}

// state is what a storage has at some time: the last record of each object.
type state map[fs.OID]revision

type revision struct {
	tid fs.TID
	rec
}

// stateAt returns the state of a storage before the transaction end.
func stateAt(txns []txn, end fs.TID) state {
	s := state{}
	for _, x := range txns {
		if x.tid >= end {
			break
		}
		for _, r := range x.recs {
			s[r.oid] = revision{x.tid, r}
		}
	}
	return s
}

const forever = fs.MaxTID

// live returns what can be reached from the root, whether it is there or not;
// everything if there is no root.
func (s state) live() func(fs.OID) bool {
	if s[0].value == "" {
		return func(fs.OID) bool { return true }
	}
	seen := map[fs.OID]bool{0: true}
	for todo := []fs.OID{0}; len(todo) > 0; todo = todo[1:] {
		for _, ref := range s[todo[0]].refs {
			if !seen[ref] {
				seen[ref] = true
				todo = append(todo, ref)
			}
		}
	}
	return func(oid fs.OID) bool { return seen[oid] }
}

// there reports whether an object exists.
func (s state) there(oid fs.OID) bool { return s[oid].value != "" }

func (w *world) value() string {
	return string(rune('A'+w.rng.IntN(26))) + string(rune('A'+w.rng.IntN(26)))
}

// pick returns a random object that can be reached.
func (w *world) pick(s state) fs.OID {
	live := s.live()
	var oids []fs.OID
	for _, oid := range slices.Sorted(maps.Keys(s)) {
		if s.there(oid) && live(oid) {
			oids = append(oids, oid)
		}
	}
	return oids[w.rng.IntN(len(oids))]
}

// commit makes a transaction. The first makes the root.
func (w *world) commit(tid fs.TID) {
	x := txn{tid: tid, status: fs.StatusComplete, user: w.value()}
	s := stateAt(w.txns, forever)
	if len(w.txns) == 0 {
		w.oids = 1
		x.recs = []rec{{oid: 0, value: w.value()}}
	} else {
		for range 1 + w.rng.IntN(2) {
			w.change(s, &x)
		}
	}
	w.txns = append(w.txns, x)
}

// change makes one change in transaction x, of which s has the state so far.
func (w *world) change(s state, x *txn) {
	put := func(r rec) {
		x.recs = append(x.recs, r)
		s[r.oid] = revision{x.tid, r}
	}
	edit := func(oid fs.OID, refs []fs.OID) { put(rec{oid: oid, value: w.value(), refs: refs}) }
	oid := w.pick(s)
	refs := slices.Clone(s[oid].refs)
	switch w.rng.IntN(12) {
	case 0, 1, 2:
		edit(oid, refs)
	case 3, 4, 5: // a new object
		child := fs.OID(w.oids)
		w.oids++
		edit(child, nil)
		edit(oid, append(refs, child))
	case 6, 7: // unlink, and perhaps change what is unlinked
		if len(refs) == 0 {
			return
		}
		i := w.rng.IntN(len(refs))
		child := refs[i]
		edit(oid, slices.Delete(refs, i, i+1))
		if w.rng.IntN(2) == 0 && s.there(child) {
			edit(child, s[child].refs)
		}
	case 8: // link what is there, perhaps as garbage
		child := fs.OID(w.rng.IntN(w.oids))
		if child == 0 || !s.there(child) || slices.Contains(refs, child) {
			return
		}
		edit(oid, append(refs, child))
		if !w.wild || w.rng.IntN(4) > 0 {
			w.touch(s, child, put)
		}
	case 9, 10:
		w.undo(x, put)
	case 11: // the same object twice, or nothing
		if w.rng.IntN(2) == 0 {
			edit(oid, refs)
			edit(oid, refs)
		}
	}
}

// touch writes an object and all that it leads to anew, as if it came back whole.
func (w *world) touch(s state, oid fs.OID, put func(rec)) {
	seen := map[fs.OID]bool{}
	for todo := []fs.OID{oid}; len(todo) > 0; todo = todo[1:] {
		oid := todo[0]
		if seen[oid] || oid == 0 {
			continue
		}
		seen[oid] = true
		if s.there(oid) {
			put(rec{oid: oid, value: w.value(), refs: s[oid].refs})
			todo = append(todo, s[oid].refs...)
		}
	}
}

// undo undoes a transaction of the history whose records are all current.
func (w *world) undo(x *txn, put func(rec)) {
	if len(x.recs) > 0 || len(w.txns) < 2 {
		return
	}
	i := 1 + w.rng.IntN(len(w.txns)-1)
	undone := w.txns[i]
	now, before := stateAt(w.txns, forever), stateAt(w.txns, undone.tid)
	seen := map[fs.OID]bool{}
	for _, r := range undone.recs {
		if now[r.oid].tid != undone.tid || seen[r.oid] {
			return // changed since, or there twice
		}
		seen[r.oid] = true
	}
	for _, r := range undone.recs {
		old := before[r.oid]
		put(rec{oid: r.oid, value: old.value, refs: old.refs, back: old.tid})
	}
}

// pack does what ZODB's pack does, up to and with the transaction stop. It
// returns the storage as it was if that would fail.
func pack(txns []txn, stop fs.TID, gc bool) []txn {
	s := stateAt(txns, stop+1)
	for oid, r := range s {
		if r.value == "" && r.back == 0 {
			delete(s, oid)
		}
	}
	live := func(fs.OID) bool { return true }
	if gc {
		if !s.there(0) {
			return txns
		}
		live = s.live()
		for oid := range s {
			for _, ref := range s[oid].refs {
				if _, ok := s[ref]; live(oid) && !ok {
					return txns
				}
			}
		}
	}
	type key struct {
		oid fs.OID
		tid fs.TID
	}
	keep := map[key]bool{}
	for oid, r := range s {
		keep[key{oid, r.tid}] = live(oid)
	}
	for _, x := range txns {
		for _, r := range x.recs {
			if x.tid <= stop || r.back == 0 || r.back > stop {
				continue
			}
			if !gc && !keep[key{r.oid, r.back}] {
				return txns
			}
			keep[key{r.oid, r.back}] = true
		}
	}
	var packed []txn
	for _, x := range txns {
		if x.tid > stop {
			packed = append(packed, x)
			continue
		}
		x.status = fs.StatusPacked
		recs := x.recs
		x.recs = nil
		for i, r := range recs {
			again := slices.ContainsFunc(recs[i+1:], func(o rec) bool { return o.oid == r.oid })
			if keep[key{r.oid, x.tid}] && !again {
				r.back = 0
				x.recs = append(x.recs, r)
			}
		}
		if len(x.recs) > 0 {
			packed = append(packed, x)
		}
	}
	return packed
}

// lastOf returns the last TID of a storage, 0 if it is empty.
func lastOf(txns []txn) fs.TID {
	if len(txns) == 0 {
		return 0
	}
	return txns[len(txns)-1].tid
}

// follow appends what source has after the last transaction of txns, n of them
// at most. Back pointers to what was packed away become data.
func follow(txns, source []txn, n int) []txn {
	txns = slices.Clone(txns)
	last := lastOf(txns)
	for _, x := range source {
		if x.tid <= last || n == 0 {
			continue
		}
		n--
		x.recs = slices.Clone(x.recs)
		for i := range x.recs {
			if r := &x.recs[i]; r.back != 0 && !hasRecord(txns, r.oid, r.back) {
				r.back = 0
			}
		}
		txns = append(txns, x)
	}
	return txns
}

func hasRecord(txns []txn, oid fs.OID, tid fs.TID) bool {
	x := find(txns, tid)
	return x != nil && slices.ContainsFunc(x.recs, func(r rec) bool { return r.oid == oid })
}

func find(txns []txn, tid fs.TID) *txn {
	i := slices.IndexFunc(txns, func(x txn) bool { return x.tid == tid })
	if i < 0 {
		return nil
	}
	return &txns[i]
}

// lossy reports whether a storage that comes from a history lacks, or lacked at
// some time, what its root leads to: then it is not well.
func lossy(txns, history []txn) bool {
	for i := range txns {
		end := txns[i].tid + 1
		s, full := stateAt(txns, end), stateAt(history, end)
		live := s.live()
		for oid := range s {
			for _, ref := range s[oid].refs {
				if live(oid) && !s.there(ref) && full.there(ref) {
					return true
				}
			}
		}
	}
	return false
}

// unmarked reports whether a storage lacks a transaction of its history between
// two that no pack has marked.
func unmarked(txns, history []txn) bool {
	for _, x := range history {
		if x.tid < lastOf(txns) && find(txns, x.tid) == nil && !marked(txns, x.tid) {
			return true
		}
	}
	return false
}

// marked reports whether a neighbour of the place of tid has the mark of a pack.
func marked(txns []txn, tid fs.TID) bool {
	i := slices.IndexFunc(txns, func(x txn) bool { return x.tid > tid })
	return i >= 0 && txns[i].status == fs.StatusPacked || i > 0 && txns[i-1].status == fs.StatusPacked
}

// modelRelation is what Compare should find, by the rules of docs/format.md.
func modelRelation(a, b []txn) Relation {
	packed, parted := false, false
	common := 0
	var tails [2][]txn
	for i, pair := range [2][2][]txn{{a, b}, {b, a}} {
		ours, theirs := pair[0], pair[1]
		for _, x := range theirs {
			mine := find(ours, x.tid)
			switch {
			case mine == nil && x.tid > lastOf(ours):
				tails[1-i] = append(tails[1-i], x)
			case mine == nil && !marked(ours, x.tid):
				parted = true
			case mine == nil:
				packed = true
				for _, r := range x.recs {
					parted = parted || !excused(ours, x.tid, r, lastOf(theirs))
				}
			default:
				common++
				if mine.user != x.user {
					parted = true
				}
				packed = packed || mine.status != x.status
				p, d := modelCommon(ours, mine, &x, lastOf(theirs))
				packed, parted = packed || p, parted || d
			}
		}
	}
	if common == 0 && len(a) > 0 && len(b) > 0 {
		parted = true
	}
	if parted {
		return Diverged
	}
	r := Equal
	for i, name := range []Relation{Ahead, Behind} {
		longer, shorter := [2][]txn{a, b}[i], [2][]txn{b, a}[i]
		if len(tails[i]) == 0 {
			continue
		}
		r = name
		if len(shorter) > 0 && shorter[len(shorter)-1].status == fs.StatusPacked && !matters(longer, tails[i]) {
			r, packed = Equal, true
		}
	}
	if packed {
		r = r.afterPack()
	}
	return r
}

// matters reports whether what a storage has at its end is more than garbage.
func matters(txns, tail []txn) bool {
	live := stateAt(txns, forever).live()
	n := 0
	for _, x := range tail {
		for _, r := range x.recs {
			n++
			if live(r.oid) {
				return true
			}
		}
	}
	return n == 0
}

// modelCommon compares the records of a transaction that both have, with those of
// theirs that we lack.
func modelCommon(ours []txn, mine, theirs *txn, horizon fs.TID) (packed, parted bool) {
	lastOfEach := func(x *txn) map[fs.OID]rec {
		m := map[fs.OID]rec{}
		for _, r := range x.recs {
			m[r.oid] = r
		}
		return m
	}
	have, had := lastOfEach(mine), lastOfEach(theirs)
	if mine.status != fs.StatusPacked && theirs.status != fs.StatusPacked && len(mine.recs) != len(theirs.recs) {
		parted = true
	}
	for oid, r := range had {
		m, ok := have[oid]
		switch {
		case ok:
			parted = parted || string(m.data()) != string(r.data())
		case mine.status != fs.StatusPacked:
			parted = true
		default:
			packed = true
			parted = parted || !excused(ours, mine.tid, r, horizon)
		}
	}
	return packed, parted
}

// excused reports whether a pack explains that a storage lacks a revision of
// another one, which ends at horizon.
func excused(txns []txn, tid fs.TID, r rec, horizon fs.TID) bool {
	end := forever
	for _, x := range txns {
		if x.tid > tid && x.status != fs.StatusPacked {
			end = x.tid
			break
		}
	}
	s := stateAt(txns, end)
	if s[r.oid].tid > tid {
		return true // superseded
	}
	gone := r.value == ""
	if s.live()(r.oid) {
		return gone && !s.there(r.oid)
	}
	for _, when := range []fs.TID{max(end, horizon+1), forever} {
		if now := stateAt(txns, when); !gone && now[r.oid].tid <= tid && now.live()(r.oid) {
			return false // lost
		}
	}
	return true
}
