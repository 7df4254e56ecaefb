package verify

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"slices"

	"zrs/internal/fs"
)

// explain judges what the sides lack and nothing superseded: it must be garbage
// there. Then what only one side has at its end may be, too.
func (c *comparer) explain(ctx context.Context) error {
	for _, s := range c.sides {
		if s.missing.n > 0 {
			s.runs = append(s.runs, run{missing: s.missing})
			s.missing = oidMap[missed]{}
		}
		if len(s.runs) == 0 {
			continue
		}
		j := &judgement{c: c, side: s}
		if err := j.run(ctx); err != nil {
			return err
		}
	}
	a, b := c.sides[0], c.sides[1]
	if c.differing() {
		return c.complete(ctx)
	}
	if c.result.Transactions == 0 && a.res.Transactions > 0 && b.res.Transactions > 0 {
		// A pack may have taken what they had in common. But nothing says that
		// they are one database.
		c.differ(Difference{Kind: DiffUnrelated, Side: -1, TID: max(a.res.First, b.res.First)})
		return nil
	}
	for i, s := range c.sides {
		if err := c.judgeTail(ctx, s, c.sides[1-i]); err != nil {
			return err
		}
	}
	return nil
}

// A judgement finds out what of the revisions that a side lacks was garbage when
// they were packed away. It reads that side once more.
type judgement struct {
	c    *comparer
	side *side
	g    objectGraph

	// lost are objects that were garbage then and have not been written since.
	lost oidMap[missed]

	found []Difference // that were not told yet
}

func (j *judgement) run(ctx context.Context) error {
	s := j.side
	horizon, beyond := j.c.sides[1-s.number].res.Last, false
	err := j.c.eachTxn(ctx, s, 0, func(stream Stream, txn *fs.Txn) (more bool, err error) {
		for len(s.runs) > 0 && j.ended(&s.runs[0], txn) {
			j.judge(&s.runs[0])
			s.runs = s.runs[1:]
		}
		if j.late(txn) && len(s.runs) == 0 {
			return false, nil
		}
		if txn.TID > horizon && !beyond {
			beyond = true
			j.judgeLost()
		}
		return true, j.add(ctx, stream, txn)
	})
	if err != nil {
		return err
	}
	if len(s.runs) > 0 {
		j.judge(&s.runs[0])
	}
	j.judgeLost()
	return nil
}

// judgeLost looks for objects that are wanted again. It is called for the end of
// the other side, and for the end.
func (j *judgement) judgeLost() {
	if j.lost.n == 0 {
		return
	}
	live := j.g.reach()
	for oid, m := range j.lost.all() {
		if live.has(oid) {
			j.lost.remove(oid)
			j.found = append(j.found, Difference{
				Kind: DiffLost, Side: j.side.number, TID: m.tid, OID: oid,
				Detail: "it was garbage when it was packed away, and is referred to again",
			})
		}
	}
	j.tell()
}

// tell hands on what was found, in order.
func (j *judgement) tell() {
	slices.SortFunc(j.found, func(x, y Difference) int { return cmp.Or(cmp.Compare(x.TID, y.TID), cmp.Compare(x.OID, y.OID)) })
	for _, d := range j.found {
		j.c.differ(d)
	}
	j.found = nil
}

// ended reports whether the run is over when txn comes.
func (j *judgement) ended(r *run, txn *fs.Txn) bool {
	if r.end != 0 {
		return txn.TID >= r.end
	}
	return j.late(txn) && txn.Status != fs.StatusPacked
}

// late reports whether txn is behind what was compared.
func (j *judgement) late(txn *fs.Txn) bool {
	return j.c.opts.To != 0 && txn.TID > j.c.opts.To
}

// add takes the records of a transaction.
func (j *judgement) add(ctx context.Context, stream Stream, txn *fs.Txn) error {
	late := j.late(txn)
	return eachRecord(ctx, stream, func(rec *fs.Record) error {
		j.lost.remove(rec.OID)
		if late && len(j.side.runs) > 0 {
			j.side.runs[0].missing.remove(rec.OID)
		}
		return j.g.add(stream, rec)
	})
}

// judge judges what was found missing in a run, by the state at its end.
func (j *judgement) judge(r *run) {
	live := j.g.reach()
	for oid, m := range r.missing.all() {
		there := j.g.has(oid)
		switch {
		case !live.has(oid):
			if !m.gone {
				j.lost.set(oid, m)
			}
		case m.gone && !there:
		default:
			d := Difference{Kind: DiffRevision, Side: j.side.number, TID: m.tid, OID: oid, Detail: "the object is missing there"}
			if there {
				d.Detail = "an older revision is there in its place"
			}
			j.found = append(j.found, d)
		}
	}
	j.tell()
}

// judgeTail judges what only s has, at its end. If the other side ends with what a
// pack left there, it may lack that because it is garbage.
func (c *comparer) judgeTail(ctx context.Context, s, other *side) error {
	if s.tail.n == 0 {
		return nil
	}
	if _, root := s.tail.get(0); root {
		return nil
	}
	var g objectGraph
	err := c.eachTxn(ctx, s, 0, func(stream Stream, txn *fs.Txn) (bool, error) {
		if txn.TID > s.res.Last {
			return false, nil
		}
		return true, eachRecord(ctx, stream, func(rec *fs.Record) error { return g.add(stream, rec) })
	})
	if err != nil {
		return err
	}
	live := g.reach()
	for oid := range s.tail.all() {
		if live.has(oid) {
			return nil
		}
	}
	c.packed = true
	other.res.PackedTransactions += s.res.OnlyCount
	s.res.Only, s.res.OnlyCount = nil, 0
	return nil
}

// complete fills in what was not at hand when differences were found by what is
// missing.
func (c *comparer) complete(ctx context.Context) error {
	for _, s := range c.sides {
		if err := c.describeMissing(ctx, s); err != nil {
			return err
		}
	}
	if c.first > c.result.LastCommon {
		return nil
	}
	return c.lastCommonBefore(ctx, c.first)
}

// describeMissing fills in what s has of what the other side lacks.
func (c *comparer) describeMissing(ctx context.Context, s *side) error {
	missing := make(map[fs.TID][]*Difference)
	first, last := fs.MaxTID, fs.TID(0)
	for i := range c.result.Differences {
		d := &c.result.Differences[i]
		if (d.Kind == DiffRevision || d.Kind == DiffLost) && d.Side != s.number {
			missing[d.TID] = append(missing[d.TID], d)
			first, last = min(first, d.TID), max(last, d.TID)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return c.eachTxn(ctx, s, first-1, func(stream Stream, txn *fs.Txn) (bool, error) {
		if txn.TID > last {
			return false, nil
		}
		differences := missing[txn.TID]
		if len(differences) == 0 {
			return true, nil
		}
		return true, eachRecord(ctx, stream, func(rec *fs.Record) error {
			i := slices.IndexFunc(differences, func(d *Difference) bool { return d.OID == rec.OID })
			if i < 0 {
				return nil
			}
			data, err := stream.Data()
			if err != nil {
				return err
			}
			d := differences[i]
			d.describe(s.number, &lonely{size: rec.Length, sum: sha256.Sum256(data)})
			d.Sizes[d.Side], d.Class = -1, className(data)
			return nil
		})
	})
}

// lastCommonBefore finds the last transaction of both that is earlier than tid.
func (c *comparer) lastCommonBefore(ctx context.Context, tid fs.TID) error {
	var streams [2]Stream
	for i, s := range c.sides {
		stream, err := s.Open(ctx, max(c.opts.From, 1)-1)
		if err != nil {
			return err
		}
		defer stream.Close()
		streams[i] = stream
	}
	c.result.LastCommon = 0
	var at [2]fs.TID
	for {
		i := 0
		if at[1] < at[0] {
			i = 1
		}
		txn, err := streams[i].Next(ctx)
		if isDamage(err) {
			c.stop(c.sides[i], err)
			return nil
		}
		if isEnd(err) || err == nil && txn.TID >= tid {
			return nil
		}
		if err != nil {
			return err
		}
		if at[i] = txn.TID; at[0] == at[1] {
			c.result.LastCommon = txn.TID
		}
	}
}

// eachTxn calls fn for the transactions of s that are later than after, until it
// says that it needs no more, or damage is met.
func (c *comparer) eachTxn(ctx context.Context, s *side, after fs.TID, fn func(Stream, *fs.Txn) (more bool, err error)) error {
	err := c.walk(ctx, s, after, fn)
	if isDamage(err) {
		c.stop(s, err)
		return nil
	}
	return err
}

func (c *comparer) walk(ctx context.Context, s *side, after fs.TID, fn func(Stream, *fs.Txn) (more bool, err error)) error {
	stream, err := s.Open(ctx, after)
	if err != nil {
		return err
	}
	defer stream.Close()
	file, _ := stream.(*fileStream)
	var counted int64
	if file != nil {
		counted = file.pos
		if c.opts.Progress.Total.Load() > 0 {
			c.opts.Progress.expect(file.size - file.pos)
		}
	}
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if file != nil {
			c.opts.Progress.Bytes.Add(file.pos - counted)
			counted = file.pos
		}
		txn, err := stream.Next(ctx)
		if isEnd(err) || errors.Is(err, fs.ErrTornTail) {
			return nil
		}
		if err != nil {
			return err
		}
		if more, err := fn(stream, txn); err != nil || !more {
			return err
		}
	}
}

func eachRecord(ctx context.Context, stream Stream, fn func(*fs.Record) error) error {
	for {
		rec, err := stream.NextRecord(ctx)
		if isEnd(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := fn(rec); err != nil {
			return err
		}
	}
}
