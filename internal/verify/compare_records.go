package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"hash/maphash"
	"maps"
	"slices"

	"zrs/internal/fs"
	"zrs/internal/pickle"
)

// A txnCheck is the state of comparing the records of a transaction that both
// sides have. Records that stand side by side are compared as they come. From
// the first that are not the same the last record of each object counts, for the
// order of records means nothing else.
type txnCheck struct {
	seed    maphash.Seed
	matched matchedRecords        // that stood side by side
	last    [2]map[fs.OID]*lonely // of those that did not, by side
	counts  [2]int64              // of all records
	settled int64                 // of those that did not, the same on both sides
}

// matchedRecords are objects whose records stood side by side, with hashes of
// their data. Most transactions are small, and nothing is ever asked.
type matchedRecords struct {
	few  []matchedRecord
	many oidMap[uint64] // what is over fewMatched
}

type matchedRecord struct {
	oid  fs.OID
	hash uint64
}

const fewMatched = 1 << 10

func (m *matchedRecords) add(oid fs.OID, hash uint64) {
	if len(m.few) < fewMatched {
		m.few = append(m.few, matchedRecord{oid, hash})
		return
	}
	m.many.set(oid, hash)
}

// get returns the hash of the last record of oid, and whether there is one.
func (m *matchedRecords) get(oid fs.OID) (hash uint64, ok bool) {
	if hash, ok := m.many.get(oid); ok {
		return hash, true
	}
	for _, r := range slices.Backward(m.few) {
		if r.oid == oid {
			return r.hash, true
		}
	}
	return 0, false
}

func (m *matchedRecords) clear() {
	m.few = m.few[:0]
	m.many.clear()
}

// A lonely record is one that the other side does not have in the same place.
type lonely struct {
	tid   fs.TID
	size  int64 // -1: the object is gone
	hash  uint64
	sum   [sha256.Size]byte
	blob  blobSum
	class string // where it may be told
}

func (l *lonely) same(o *lonely) bool {
	return l.tid == o.tid && l.size == o.size && l.sum == o.sum
}

// records compares the records of the transaction tid of both sides.
func (c *comparer) records(ctx context.Context, tid fs.TID) (count int64, err error) {
	t := &c.txn
	t.matched.clear()
	t.counts, t.settled = [2]int64{}, 0
	var recs [2]*fs.Record
	var ended [2]bool
	for {
		for i, s := range c.sides {
			if recs[i] != nil || ended[i] {
				continue
			}
			if recs[i], err = c.next(ctx, s); err != nil {
				return 0, err
			}
			if ended[i] = recs[i] == nil; !ended[i] {
				t.counts[i]++
			}
		}
		a, b := recs[0], recs[1]
		if a == nil && b == nil {
			break
		}
		if a != nil && b != nil {
			same, err := c.sameRecord(ctx, a, b)
			if err != nil {
				return 0, err
			}
			if same {
				count++
				delete(t.last[0], a.OID) // earlier ones of the object
				delete(t.last[1], a.OID)
				recs = [2]*fs.Record{}
				continue
			}
		}
		for i, take := range c.whom(a, b) {
			if !take {
				continue
			}
			if err := c.lonely(ctx, c.sides[i], recs[i]); err != nil {
				return 0, err
			}
			recs[i] = nil
		}
	}
	if t.last[0] != nil || t.last[1] != nil {
		c.settle(tid)
	}
	return count + t.settled, nil
}

// mayLack reports whether the sides may lack records of the transaction at hand.
func (c *comparer) mayLack(s *side) bool {
	switch c.opts.Mode {
	case ModeHistory:
		return false
	case ModeCurrent:
		return true
	}
	return s.status == fs.StatusPacked
}

// whom says whose record is passed, of two that are not the same; one may be nil.
// A side that may lack records waits for the other, which has them all.
func (c *comparer) whom(a, b *fs.Record) [2]bool {
	lackA, lackB := c.mayLack(c.sides[0]), c.mayLack(c.sides[1])
	switch {
	case a == nil || b != nil && lackA && !lackB:
		return [2]bool{false, true}
	case b == nil || lackB && !lackA:
		return [2]bool{true, false}
	}
	return [2]bool{true, true}
}

// sameRecord reports whether the records that both sides stand on are the same.
// If so, it compares their blobs.
func (c *comparer) sameRecord(ctx context.Context, a, b *fs.Record) (bool, error) {
	if a.OID != b.OID || a.TID != b.TID || a.Length != b.Length {
		return false, nil
	}
	if c.opts.Quick && c.opts.Blobs == BlobsNone {
		c.txn.matched.add(a.OID, uint64(a.Length))
		return true, nil
	}
	dataA, err := c.sides[0].data()
	if err != nil {
		return false, err
	}
	if !c.opts.Quick {
		dataB, err := c.sides[1].data()
		if err != nil {
			return false, err
		}
		if !bytes.Equal(dataA, dataB) {
			return false, nil
		}
	}
	c.txn.matched.add(a.OID, c.hash(dataA))
	if c.opts.Blobs != BlobsNone && mayBeBlob(dataA) {
		return true, c.sameBlob(ctx, a, pickle.IsBlobRecord(dataA))
	}
	return true, nil
}

// hash returns what tells two records of an object apart.
func (c *comparer) hash(data []byte) uint64 {
	if c.opts.Quick {
		return uint64(len(data))
	}
	if c.txn.seed == (maphash.Seed{}) {
		c.txn.seed = maphash.MakeSeed()
	}
	return maphash.Bytes(c.txn.seed, data)
}

// lonely takes a record of s that the other side doesn't have in this place.
func (c *comparer) lonely(ctx context.Context, s *side, rec *fs.Record) error {
	data, err := s.data()
	if err != nil {
		return err
	}
	l := &lonely{tid: rec.TID, size: rec.Length, hash: c.hash(data)}
	if !c.opts.Quick {
		l.sum = sha256.Sum256(data)
	}
	if rec.Length == 0 {
		l.size = -1
	}
	t, other := &c.txn, 1-s.number
	if _, ok := t.last[other][rec.OID]; ok || !c.mayLack(c.sides[other]) {
		l.class = className(data)
	}
	if c.opts.Blobs != BlobsNone && mayBeBlob(data) {
		if l.blob, err = c.lonelyBlob(ctx, s, rec, pickle.IsBlobRecord(data)); err != nil {
			return err
		}
	}
	if t.last[s.number] == nil {
		t.last[s.number] = make(map[fs.OID]*lonely)
	}
	t.last[s.number][rec.OID] = l
	return nil
}

// settle judges the records of the transaction tid that did not stand side by
// side.
func (c *comparer) settle(tid fs.TID) {
	t, before := &c.txn, c.found
	for i, s := range c.sides {
		for _, oid := range slices.Sorted(maps.Keys(t.last[1-i])) {
			theirs := t.last[1-i][oid]
			ours := t.last[i][oid]
			if ours != nil && i == 1 {
				continue // seen from the other side
			}
			c.settleObject(s, tid, oid, ours, theirs)
		}
	}
	// Besides those that count, records must not be missing where no pack has
	// been.
	a, b := c.sides[0], c.sides[1]
	if t.counts[0] != t.counts[1] && !c.mayLack(a) && !c.mayLack(b) && c.found == before {
		side := 0
		if t.counts[1] < t.counts[0] {
			side = 1
		}
		c.differ(Difference{Kind: DiffRecord, Side: side, TID: tid, Detail: "an object's earlier record in this transaction"})
	}
	t.last = [2]map[fs.OID]*lonely{}
}

// settleObject judges what the other side has of an object in the transaction
// tid, in theirs, and s in ours, which may be nil.
func (c *comparer) settleObject(s *side, tid fs.TID, oid fs.OID, ours, theirs *lonely) {
	d := Difference{Kind: DiffData, Side: -1, TID: tid, OID: oid, Class: theirs.class}
	switch {
	case ours == nil:
		hash, ok := c.txn.matched.get(oid)
		switch {
		case ok && hash == theirs.hash:
			return // the same again
		case ok:
			d.Detail = "the last of several records of the object in this transaction"
			d.describe(1-s.number, theirs)
		case c.mayLack(s):
			if c.opts.Mode != ModeCurrent { // else it may be of no account
				c.lonelyBlobThere(c.sides[1-s.number], tid, oid, theirs)
			}
			c.packed = true
			s.res.PackedRecords++
			s.missing.set(oid, missed{tid, theirs.size < 0})
			return
		default:
			c.lonelyBlobThere(c.sides[1-s.number], tid, oid, theirs)
			d.Kind, d.Side = DiffRecord, s.number
			d.describe(1-s.number, theirs)
		}
	case ours.same(theirs):
		c.txn.settled++
		c.compareBlobSums(tid, oid, s, ours, theirs)
		return
	default:
		c.lonelyBlobThere(s, tid, oid, ours)
		c.lonelyBlobThere(c.sides[1-s.number], tid, oid, theirs)
		if ours.class != "" {
			d.Class = ours.class
		}
		d.describe(s.number, ours)
		d.describe(1-s.number, theirs)
	}
	c.differ(d)
}

// describe fills in what a side has.
func (d *Difference) describe(side int, l *lonely) {
	d.Sizes[side] = l.size
	if l.size >= 0 {
		d.Digests[side] = hex.EncodeToString(l.sum[:digestShown])
	}
}

// digestShown is how many bytes of a digest are shown to a person.
const digestShown = 8

func shortDigest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:digestShown])
}
