package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"zrs/internal/fs"
	"zrs/internal/rewind"
	"zrs/internal/verify"
)

var (
	// errUnrelated is returned for two storages that have nothing in common.
	errUnrelated = errors.New("no transaction in common")

	// errForkPacked is returned where a pack of the source has taken away what
	// would tell where the histories part.
	errForkPacked = errors.New("packed past where the histories part")
)

const (
	// firstLook is how many of the last transactions are compared at first, and
	// firstBytes how many bytes of them. Most files part near their end.
	firstLook  = 1000
	firstBytes = 32 << 20

	// lookFurther is by how much that grows while none of them is in both.
	lookFurther = 32

	// told is how much a comparison tells: enough to see what comes first.
	told = 100
)

// lastCommon returns the last transaction that f has in common with the source, or
// its own last one if there is nothing that the source should have and hasn't.
func (c *rewindCmd) lastCommon(ctx context.Context, f *fs.File, end fs.Place, sum *rewindSummary, p *progress) (fs.TID, error) {
	src, closeSource, err := (&verifyCmd{compareFlags: compareFlags{Timeout: c.Timeout}}).openSource(c.Against, "", "")
	if err != nil {
		return 0, err
	}
	defer closeSource()
	for look := 1; ; look *= lookFurther {
		opts := verify.CompareOptions{List: told, Progress: new(verify.Progress)}
		if opts.From, err = backFrom(ctx, f, end, look*firstLook, int64(look)*firstBytes); err != nil {
			return 0, err
		}
		stop := p.follow(func() (bytes, txns int64) { return opts.Progress.Bytes.Load(), opts.Progress.Transactions.Load() })
		result, err := verify.Compare(ctx, verify.FileSource(f, nil), src.Source, opts)
		stop()
		switch {
		case err != nil:
			return 0, err
		case result.Relation == verify.Damaged:
			damaged := c.FS
			if result.Sides[0].Damage == nil {
				damaged = c.Against
			}
			return 0, adviseDamage(damagedError(result), damaged)
		case result.LastCommon == 0 && opts.From > 0:
			continue
		}
		sum.Relation, sum.SourceOnly = result.Relation, result.Sides[1].OnlyCount
		if result.Relation.Same() || result.Relation.IsBehind() {
			return end.TID, nil
		}
		return c.fork(ctx, f, end, result)
	}
}

// backFrom returns where to begin for the last n transactions, or for so many
// bytes; 0 for all of them. It is just behind a transaction, which a primary knows.
func backFrom(ctx context.Context, f *fs.File, end fs.Place, n int, bytes int64) (fs.TID, error) {
	for txn, err := range f.Backward(end.Offset) {
		switch {
		case err != nil:
			return 0, err
		case ctx.Err() != nil:
			return 0, context.Cause(ctx)
		case txn.Offset == fs.FirstOffset:
			return 0, nil
		}
		if n--; n < 0 || end.Offset-txn.Offset > bytes {
			return txn.TID + 1, nil
		}
	}
	return 0, nil
}

// fork returns the last common transaction of two that have parted, if that can be
// told.
func (c *rewindCmd) fork(ctx context.Context, f *fs.File, end fs.Place, r *verify.Comparison) (fs.TID, error) {
	here, there := &r.Sides[0], &r.Sides[1]
	if r.LastCommon != 0 {
		next, err := nextAfter(ctx, f, end, r.LastCommon)
		if err != nil || partedBy(r, next) {
			return r.LastCommon, err
		}
	}
	switch {
	case there.PackedTo != 0:
		return 0, fmt.Errorf("%s: %w, up to %s: which of the transactions here it once had can't be told",
			c.Against, errForkPacked, describeTID(there.PackedTo))
	case here.PackedTo != 0:
		return 0, fmt.Errorf("%s: %w: up to %s", c.FS, rewind.ErrPacked, describeTID(here.PackedTo))
	}
	return 0, fmt.Errorf("%s and %s: %w: are they one database?", c.FS, c.Against, errUnrelated)
}

// nextAfter returns the first transaction of f that is later than tid.
func nextAfter(ctx context.Context, f *fs.File, end fs.Place, tid fs.TID) (fs.TID, error) {
	at, err := f.After(ctx, tid, end)
	if err != nil {
		return 0, err
	}
	txn, err := f.Reader(at.Offset, end.Offset).Next()
	if err != nil {
		return 0, err
	}
	return txn.TID, nil
}

// partedBy reports whether the two have parted before next, our first transaction
// after the last common one, or with it. Otherwise a pack of the source may have
// taken that one away, and it and others were common too.
func partedBy(r *verify.Comparison, next fs.TID) bool {
	from := func(tid fs.TID) bool { return tid > r.LastCommon && tid <= next }
	for _, s := range r.Sides {
		if len(s.Only) > 0 && from(s.Only[0].TID) {
			return true
		}
	}
	return slices.ContainsFunc(r.Differences, func(d verify.Difference) bool { return from(d.TID) })
}
