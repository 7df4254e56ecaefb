package verify

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sync/errgroup"

	"zrs/internal/fs"
	"zrs/internal/wire"
)

// A Mode says what of two storages is compared.
type Mode int

// The modes.
const (
	// ModeAuto compares the histories. What a pack explains is no difference.
	ModeAuto Mode = iota
	// ModeHistory compares the histories. Packs explain nothing.
	ModeHistory
	// ModeCurrent compares the current state only, as if both had been packed
	// to the end of the one that ends first.
	ModeCurrent
)

// A BlobCheck says how blobs are compared.
type BlobCheck int

// The ways to compare blobs.
const (
	BlobsNone BlobCheck = iota
	BlobsExist
	BlobsSize
	BlobsContent
)

// CompareOptions are what [Compare] may be told. The zero value is usable.
type CompareOptions struct {
	Mode  Mode
	Blobs BlobCheck

	// Quick compares the lengths of records instead of their data.
	Quick bool

	// From and To bound the transactions that are compared, both inclusive.
	// What a pack explains is told by the whole of the packed side. To is
	// open if it is 0.
	From, To fs.TID

	// List is how many differences, transactions of one side and objects of
	// each of them are told in full.
	List int

	// Progress counts what is read.
	Progress *Progress
}

// Compare finds out how a and b relate. The rules, and why they are right, are in
// docs/format.md; in brief, both sides' transactions are passed in the order of
// their TIDs.
//
//   - One that both have must have the same texts and records. Where a pack has
//     been, on either side, records may be missing on that side.
//   - One that only one side has must have been packed away on the other. A pack
//     leaves its mark there, the status 'p' on a neighbour.
//   - What is missing must be superseded or garbage where it is missing.
//
// Damage is part of the result. An error says that there is none.
func Compare(ctx context.Context, a, b *Source, opts CompareOptions) (*Comparison, error) {
	if opts.Progress == nil {
		opts.Progress = new(Progress)
	}
	if !a.HasBlobs && !b.HasBlobs {
		opts.Blobs = BlobsNone
	}
	c := &comparer{opts: opts, result: new(Comparison), first: fs.MaxTID}
	for i, src := range []*Source{a, b} {
		s := &side{Source: src, number: i, res: &c.result.Sides[i]}
		s.res.Name = src.Name
		if opts.From > 0 {
			s.status = fs.StatusPacked // not known: let what is missing be looked into
		}
		stream, err := src.Open(ctx, max(opts.From, 1)-1)
		if err != nil {
			return nil, err
		}
		defer stream.Close()
		s.stream = stream
		s.file, _ = stream.(*fileStream)
		c.sides[i] = s
	}
	c.formats(a, b)
	if a.file != nil && b.file != nil { // how much an address sends nobody knows
		opts.Progress.expect(max(1, a.Size()+b.Size()))
	}
	c.blobs.SetLimit(blobsAtOnce)
	if err := errors.Join(c.run(ctx), c.blobs.Wait()); err != nil {
		return nil, err
	}
	if err := c.conclude(ctx); err != nil {
		return nil, err
	}
	return c.result, nil
}

// formats compares what says whose pickles to expect in the files, if both are.
func (c *comparer) formats(a, b *Source) {
	if a.file == nil || b.file == nil {
		return
	}
	ma, mb := a.file.Magic(), b.file.Magic()
	if none := (fs.Magic{}); ma == mb || ma == none || mb == none {
		return
	}
	c.differ(Difference{Kind: DiffFormat, Side: -1, Detail: fmt.Sprintf("%s, and %s", ma, mb)})
}

// A comparer is a comparison in progress.
type comparer struct {
	opts   CompareOptions
	sides  [2]*side
	txn    txnCheck
	result *Comparison

	packed  bool           // they differ by what packs did
	parted  bool           // one has transactions that the other should have
	found   int64          // differences, but for those of blobs
	sameTo  int64          // up to where the bytes of both files were found to be the same
	unequal int64          // offset of a transaction to be passed record by record
	blobs   errgroup.Group // comparisons of blob files, beside the rest

	mu    sync.Mutex // guards what those write: first; in result the Differences, their count, Blobs, and of the sides BlobsMissing and Replaced
	first fs.TID     // of what differs
}

// A side is one of the two storages.
type side struct {
	*Source
	number int
	res    *SideResult
	stream Stream
	file   *fileStream // the stream, if it is one

	txn     *fs.Txn // the next one, unless it is still to be read
	ended   bool
	beyond  fs.Status // of the first one after opts.To, noTxn if there is none
	counted int64     // how much of the file is counted in Progress
	status  fs.Status // of the last one passed, noTxn if there is none

	// missing are the objects of which this side lacks a revision that the
	// other has, up to the end of the present run of packed transactions. What
	// comes before that end supersedes it. What is left then is in runs.
	missing oidMap[missed]
	runs    []run

	// tail are the objects of what only this side has at its end, if that may
	// have been packed away on the other side.
	tail oidMap[struct{}]
}

// noTxn stands for the status of a transaction that is not there.
const noTxn fs.Status = 0

// A missed is a revision that a side lacks.
type missed struct {
	tid  fs.TID
	gone bool // the object does not exist as of it
}

// A run is a run of packed transactions that has ended, and the revisions that
// were found missing in it.
type run struct {
	end     fs.TID // of the transaction behind it
	missing oidMap[missed]
}

func (c *comparer) run(ctx context.Context) error {
	a, b := c.sides[0], c.sides[1]
	for {
		if err := c.passEqual(ctx); err != nil {
			return err
		}
		c.progress()
		for _, s := range c.sides {
			if err := c.peek(ctx, s); err != nil {
				return err
			}
		}
		var err error
		switch {
		case a.res.Damage != nil || b.res.Damage != nil:
			return nil
		case a.ended && b.ended:
			return nil
		case b.ended || !a.ended && a.txn.TID < b.txn.TID:
			err = c.only(ctx, a, b)
		case a.ended || b.txn.TID < a.txn.TID:
			err = c.only(ctx, b, a)
		default:
			err = c.common(ctx)
		}
		if err != nil && !c.damaged(err) {
			return err
		}
	}
}

// progress tells how much was read of files.
func (c *comparer) progress() {
	for _, s := range c.sides {
		if s.file != nil {
			c.opts.Progress.Bytes.Add(s.file.pos - s.counted)
			s.counted = s.file.pos
		}
	}
}

// damaged takes note of damage in the records of one of the transactions at
// hand, and reports whether err was that.
func (c *comparer) damaged(err error) bool {
	var where *sideError
	if !errors.As(err, &where) || !isDamage(where.err) {
		return false
	}
	c.stop(where.side, where.err)
	return true
}

// A sideError is one that reading a side gave.
type sideError struct {
	side *side
	err  error
}

func (e *sideError) Error() string { return e.err.Error() }
func (e *sideError) Unwrap() error { return e.err }

func isDamage(err error) bool { return errors.Is(err, fs.ErrDamaged) }

// stop ends a side where it is damaged.
func (c *comparer) stop(s *side, err error) {
	s.res.Damage, s.ended, s.txn = err, true, nil
}

// peek reads the next transaction of s, if that was not done.
func (c *comparer) peek(ctx context.Context, s *side) error {
	if s.txn != nil || s.ended {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	txn, err := s.stream.Next(ctx)
	switch {
	case isEnd(err):
		s.ended = true
	case errors.Is(err, fs.ErrTornTail):
		s.ended, s.res.Tail = true, err
	case isDamage(err):
		c.stop(s, err)
	case err != nil:
		return err
	case txn.TID <= s.res.Last:
		c.stop(s, s.outOfOrder(txn))
	case c.opts.To != 0 && txn.TID > c.opts.To:
		s.ended, s.beyond = true, txn.Status
	default:
		s.txn = txn
	}
	return nil
}

func (s *side) outOfOrder(txn *fs.Txn) error {
	return &fs.RecordError{
		Path: s.Name, Offset: txn.Offset, TID: txn.TID, Kind: fs.KindTID,
		Detail: fmt.Sprintf("it comes after %s", s.res.Last),
	}
}

// passed takes note of a transaction of s that is being passed.
func (c *comparer) passed(s *side, tid fs.TID, status fs.Status) {
	if s.status == fs.StatusPacked && status != fs.StatusPacked && c.opts.Mode != ModeCurrent {
		s.endRun(tid)
	}
	s.status = status
	if s.res.Transactions++; s.res.Transactions == 1 {
		s.res.First = tid
	}
	s.res.Last = tid
	if status == fs.StatusPacked {
		s.res.PackedTo = tid
	}
	c.opts.Progress.Transactions.Add(1)
}

// endRun takes note that the transaction end is not packed, the one before is.
func (s *side) endRun(end fs.TID) {
	if s.missing.n > 0 {
		s.runs = append(s.runs, run{end, s.missing})
		s.missing = oidMap[missed]{}
	}
}

// supersede takes a record of a transaction of s that is being passed.
func (c *comparer) supersede(s *side, oid fs.OID, status fs.Status) {
	if s.missing.n > 0 && (status == fs.StatusPacked || c.opts.Mode == ModeCurrent) {
		s.missing.remove(oid)
	}
}

// next moves to the next record of s, nil after the last.
func (c *comparer) next(ctx context.Context, s *side) (*fs.Record, error) {
	rec, err := s.stream.NextRecord(ctx)
	if isEnd(err) {
		return nil, nil
	}
	if err != nil {
		return nil, &sideError{s, err}
	}
	s.res.Records++
	c.supersede(s, rec.OID, s.status)
	if s.file == nil {
		c.opts.Progress.Bytes.Add(rec.Length)
	}
	return rec, nil
}

// data returns the data of the record that s stands on.
func (s *side) data() ([]byte, error) {
	data, err := s.stream.Data()
	if err != nil {
		err = &sideError{s, err}
	}
	return data, err
}

// packExplains reports whether a pack explains that s lacks a transaction before
// its next one, by the statuses of its neighbours. What a pack keeps it marks, so
// a gap that it left has a mark before it, or behind it where the pack went
// further.
func (c *comparer) packExplains(s *side) bool {
	switch c.opts.Mode {
	case ModeHistory:
		return false
	case ModeCurrent:
		return true
	}
	behind := s.beyond
	if s.txn != nil {
		behind = s.txn.Status
	}
	return s.status == fs.StatusPacked || behind == fs.StatusPacked
}

// only passes the next transaction of s, which the other lacks.
func (c *comparer) only(ctx context.Context, s, other *side) error {
	txn := s.txn
	s.txn = nil
	c.passed(s, txn.TID, txn.Status)
	tail := other.ended && other.beyond == noTxn
	explained := !tail && c.packExplains(other)
	var told *OnlyTxn
	switch {
	case explained:
		c.packed = true
		other.res.PackedTransactions++
	case !tail && !c.parted:
		c.parted = true
		c.differsAt(txn.TID)
		fallthrough
	default:
		told = s.tell(txn, c.opts.List)
	}
	mayBeTail := tail && other.status == fs.StatusPacked && c.opts.Mode == ModeAuto
	for {
		rec, err := c.next(ctx, s)
		if rec == nil || err != nil {
			return err
		}
		if told != nil {
			if err := s.tellObject(told, rec, c.opts.List); err != nil {
				return err
			}
		}
		if !explained || c.opts.Mode != ModeCurrent { // else it may be of no account
			if err := c.ownBlob(ctx, s, rec); err != nil {
				return err
			}
		}
		if explained {
			other.res.PackedRecords++
			other.missing.set(rec.OID, missed{rec.TID, rec.Length == 0})
		}
		if mayBeTail {
			s.tail.set(rec.OID, struct{}{})
		}
	}
}

// tell puts txn on the list of what only s has. It returns nil if the list is
// full.
func (s *side) tell(txn *fs.Txn, most int) *OnlyTxn {
	s.res.OnlyCount++
	if len(s.res.Only) >= most {
		return nil
	}
	s.res.Only = append(s.res.Only, OnlyTxn{
		TID: txn.TID, User: bytes.Clone(txn.User), Description: bytes.Clone(txn.Description),
	})
	return &s.res.Only[len(s.res.Only)-1]
}

func (s *side) tellObject(told *OnlyTxn, rec *fs.Record, most int) error {
	told.ObjectCount++
	if len(told.Objects) >= most {
		return nil
	}
	data, err := s.data()
	if err != nil {
		return err
	}
	told.Objects = append(told.Objects, Object{rec.OID, className(data), rec.Length == 0})
	return nil
}

// common passes the next transactions of both, which have the same TID.
func (c *comparer) common(ctx context.Context) error {
	a, b := c.sides[0], c.sides[1]
	ta, tb := a.txn, b.txn
	a.txn, b.txn = nil, nil
	tid, before := ta.TID, c.found
	c.passed(a, tid, ta.Status)
	c.passed(b, tid, tb.Status)
	if ta.Status != tb.Status {
		c.packed = true
	}
	c.texts(ta, tb)
	records, err := c.records(ctx, tid)
	if err != nil {
		return err
	}
	c.equal(tid, records, before)
	return nil
}

// equal counts a transaction that both have, unless a difference was found in it.
func (c *comparer) equal(tid fs.TID, records, foundBefore int64) {
	if c.found > foundBefore {
		return
	}
	c.result.Transactions++
	c.result.Records += records
	if c.found == 0 && !c.parted {
		c.result.LastCommon = tid
	}
}

// texts compares what the headers of a transaction say.
func (c *comparer) texts(a, b *fs.Txn) {
	if c.opts.Mode == ModeCurrent {
		return
	}
	if !bytes.Equal(a.User, b.User) || !bytes.Equal(a.Description, b.Description) {
		c.differ(Difference{
			Kind: DiffTexts, Side: -1, TID: a.TID,
			Detail: fmt.Sprintf("%s %s, and %s %s", shortText(a.User), shortText(a.Description), shortText(b.User), shortText(b.Description)),
		})
	}
	if bytes.Equal(a.Extension, b.Extension) {
		return
	}
	if !wire.SameExtension(a.Extension, b.Extension) {
		c.differ(Difference{
			Kind: DiffExtension, Side: -1, TID: a.TID,
			Digests: [2]string{shortDigest(a.Extension), shortDigest(b.Extension)},
			Sizes:   [2]int64{int64(len(a.Extension)), int64(len(b.Extension))},
		})
		return
	}
	c.result.Extensions++
}

// shortText returns a text in quotes, or the start of a long one.
func shortText(b []byte) string {
	const most = 60
	if len(b) <= most {
		return strconv.Quote(string(b))
	}
	return strconv.Quote(string(b[:most])) + "..."
}

// differ takes note of a difference.
func (c *comparer) differ(d Difference) {
	c.found++
	c.note(d)
}

// note takes note of a difference that may be found at any time. Histories do not
// part where a blob is missing.
func (c *comparer) note(d Difference) {
	if d.Kind != DiffBlobMissing {
		c.differsAt(d.TID)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.result.DifferenceCount++
	if len(c.result.Differences) < c.opts.List {
		c.result.Differences = append(c.result.Differences, d)
	}
}

// differsAt takes note of the place of a difference.
func (c *comparer) differsAt(tid fs.TID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.first = min(c.first, tid)
}

// conclude draws the conclusion.
func (c *comparer) conclude(ctx context.Context) error {
	a, b := c.sides[0], c.sides[1]
	r := c.result
	if a.res.Damage == nil && b.res.Damage == nil {
		if err := c.explain(ctx); err != nil {
			return err
		}
	}
	slices.SortStableFunc(r.Differences, func(x, y Difference) int {
		return cmp.Or(cmp.Compare(x.TID, y.TID), cmp.Compare(x.OID, y.OID), cmp.Compare(x.Side, y.Side))
	})
	switch {
	case a.res.Damage != nil || b.res.Damage != nil:
		r.Relation = Damaged
	case c.differing():
		r.Relation = Diverged
	case r.DifferenceCount > 0:
		r.Relation, r.ButForBlobs = Damaged, c.related()
	default:
		r.Relation = c.related()
	}
	return nil
}

// differing reports whether anything else than missing blobs, each of which is a
// difference, sets the two apart.
func (c *comparer) differing() bool {
	missing := c.sides[0].res.BlobsMissing + c.sides[1].res.BlobsMissing
	return c.parted || c.result.DifferenceCount > missing
}

// related returns the relation of two that have not diverged.
func (c *comparer) related() (rel Relation) {
	a, b, r := c.sides[0].res, c.sides[1].res, c.result
	rel = Equal
	switch {
	case a.OnlyCount > 0:
		rel = Ahead
		r.apart(a, b)
	case b.OnlyCount > 0:
		rel = Behind
		r.apart(b, a)
	}
	if c.packed {
		rel = rel.afterPack()
	}
	return rel
}

// apart takes note of by how much ahead is ahead of behind.
func (r *Comparison) apart(ahead, behind *SideResult) {
	r.Apart = ahead.OnlyCount
	from := behind.Last
	if from == 0 {
		from = ahead.First
	}
	r.ApartTime = ahead.Last.Time().Sub(from.Time())
}
