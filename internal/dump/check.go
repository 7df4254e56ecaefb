package dump

import (
	"context"
	"errors"
	"io"

	"zrs/internal/fs"
)

// Facts are what a data file has up to a transaction.
type Facts struct {
	First, Last           fs.TID // 0 if it has no transaction
	Transactions, Records int64
	End                   int64 // offset after the last one
	PackedLater           bool  // a pack has rewritten what comes behind it
}

// Check reads a data file that was just written, and returns an error unless all
// of it is whole and its TIDs ascend. It tells what it has up to the TID until.
func Check(ctx context.Context, f *fs.File, until fs.TID) (Facts, error) {
	facts := Facts{End: fs.FirstOffset}
	start := fs.Place{Offset: fs.FirstOffset}
	_, flaw, err := fs.Pass(ctx, f, start, func(s *fs.Span) spanFacts { return checkSpan(s, until) }, func(_ *fs.Span, s spanFacts) error {
		if facts.First == 0 {
			facts.First = s.First
		}
		if s.Transactions > 0 {
			facts.Last, facts.End = s.Last, s.Facts.End
		}
		facts.Transactions += s.Transactions
		facts.Records += s.Records
		facts.PackedLater = facts.PackedLater || s.PackedLater
		return s.err
	})
	return facts, errors.Join(err, flaw)
}

// spanFacts are those of a span.
type spanFacts struct {
	Facts
	err error
}

func checkSpan(s *fs.Span, until fs.TID) (facts spanFacts) {
	r := s.Reader(s.Offset)
	last := s.Before
	for {
		txn, err := r.Next()
		if errors.Is(err, io.EOF) {
			return facts
		}
		if err == nil && txn.TID <= last {
			err = &fs.RecordError{Offset: txn.Offset, TID: txn.TID, Kind: fs.KindTID}
		}
		records := int64(0)
		for err == nil {
			if _, err = r.NextRecord(); err == nil {
				records++
			}
		}
		if !errors.Is(err, io.EOF) {
			facts.err = err
			return facts
		}
		if last = txn.TID; last > until {
			facts.PackedLater = facts.PackedLater || txn.Status == fs.StatusPacked
			continue
		}
		if facts.First == 0 {
			facts.First = last
		}
		facts.Last, facts.End = last, txn.End()
		facts.Transactions++
		facts.Records += records
	}
}
