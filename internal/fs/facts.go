package fs

import (
	"cmp"
	"context"
	"errors"
	"io"
	iofs "io/fs"
	"slices"
	"sort"
	"sync/atomic"
)

// First returns the TID of the first transaction before end, 0 if there is none.
func (f *File) First(end Place) (TID, error) {
	if end.Offset <= FirstOffset {
		return 0, nil
	}
	txn, err := f.Reader(FirstOffset, end.Offset).Next()
	if err != nil {
		return 0, err
	}
	return txn.TID, nil
}

// Packed returns the place after the last transaction that a pack has rewritten,
// the start of the file if there is none. Such transactions come before all
// others. Where they end is found by bisection of what the saved index tells, or
// without one by walking backward from end.
func (f *File) Packed(ctx context.Context, end Place) (Place, error) {
	start := Place{Offset: FirstOffset}
	if end.Offset <= FirstOffset {
		return start, nil
	}
	first, err := f.Reader(FirstOffset, end.Offset).Next()
	if err != nil || first.Status != StatusPacked {
		return start, err
	}
	hint, ok := trustIndex(f.path, f, end.Offset)
	if !ok {
		for txn, err := range f.Backward(end.Offset) {
			switch {
			case err != nil:
				return start, err
			case ctx.Err() != nil:
				return start, context.Cause(ctx)
			case txn.Status == StatusPacked:
				return Place{txn.End(), txn.TID}, nil
			}
		}
		return start, nil
	}
	starts := hint.starts
	slices.SortFunc(starts, func(a, b checkpoint) int { return cmp.Compare(a.offset, b.offset) })
	n := sort.Search(len(starts), func(i int) bool {
		txn, err := f.Reader(starts[i].offset, end.Offset).Next()
		return err != nil || txn.Status != StatusPacked
	})
	at := start
	if n > 0 {
		at.Offset = starts[n-1].offset
	}
	for txn, err := range f.Reader(at.Offset, end.Offset).All() {
		switch {
		case err != nil:
			return at, err
		case ctx.Err() != nil:
			return at, context.Cause(ctx)
		case txn.Status != StatusPacked:
			return at, nil
		}
		at = Place{txn.End(), txn.TID}
	}
	return at, nil
}

// An IndexState says what the index file beside a data file is worth.
type IndexState string

// The states of an index file. They are words of the program's output.
const (
	IndexMissing IndexState = "missing" // there is none
	IndexCurrent IndexState = "current" // it has all transactions
	IndexStale   IndexState = "stale"   // it has those before its end: normal while the file is in use
	IndexWrong   IndexState = "wrong"   // it can't be read, or belongs to another file
)

// Index tells the state of the saved index, as far as a sample of it shows, and
// up to which offset it has the transactions before end. With IndexWrong, why
// says what is wrong.
func (f *File) Index(end Place) (state IndexState, indexed int64, why error) {
	hint, err := examineIndex(f.path, f, end.Offset)
	switch {
	case errors.Is(err, iofs.ErrNotExist):
		return IndexMissing, 0, nil
	case err != nil:
		// What ZODB writes for a database without transactions is right too.
		if at, scanErr := ScanIndexFile(f.path+".index", noObjects); scanErr == nil && at == FirstOffset {
			hint.end = at
			break
		}
		return IndexWrong, 0, err
	}
	if hint.end < end.Offset {
		return IndexStale, hint.end, nil
	}
	return IndexCurrent, hint.end, nil
}

// noObjects is for indexes that have no objects.
func noObjects(OID, int64) error { return errors.New("has an object") }

// A Census is what is in a data file, counted by reading all of it.
type Census struct {
	Transactions, Records int64
	Objects               int64 // with a current record, be it one that says that the object is gone

	Read atomic.Int64 // bytes so far, for others to look at
}

// Count counts what is in f, and checks its structure on the way. If that is
// damaged the counts are of what comes before, and the error matches
// [ErrDamaged].
func (c *Census) Count(ctx context.Context, f *File) error {
	var idx Index
	_, flaw, err := Pass(ctx, f, Place{Offset: FirstOffset}, func(s *Span) (n spanCount) {
		if !s.Large {
			n.count(s, &idx)
		}
		return n
	}, func(s *Span, n spanCount) error {
		if s.Large {
			n.count(s, &idx)
		}
		c.Transactions, c.Records = c.Transactions+n.txns, c.Records+n.records
		c.Read.Store(s.End)
		return n.err
	})
	c.Objects = int64(idx.Len())
	if err == nil && !errors.Is(flaw, ErrTornTail) {
		err = flaw
	}
	return err
}

// A spanCount is what was counted in a span, up to what is wrong in it.
type spanCount struct {
	txns, records int64
	err           error
}

func (n *spanCount) count(s *Span, idx *Index) {
	r := s.Reader(s.Offset)
	for txn, err := range r.All() {
		if err != nil {
			n.err = err
			return
		}
		records := int64(0)
		for {
			rec, err := r.NextRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				n.err = err
				return
			}
			if txn.Status != StatusUndone {
				idx.SetMax(rec.OID, rec.Offset)
			}
			records++
		}
		n.txns, n.records = n.txns+1, n.records+records
	}
}
