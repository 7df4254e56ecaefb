package dump

import (
	"context"
	"errors"
	"fmt"
	"io"

	"zrs/internal/fs"
)

// Check reads a data file that was just written, and returns an error unless it
// is whole, with ascending TIDs, and has so many transactions and records.
func Check(ctx context.Context, path string, txns, records int64) error {
	f, err := fs.OpenFile(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var gotTxns, gotRecords int64
	_, flaw, err := fs.Pass(ctx, f, fs.Place{Offset: fs.FirstOffset}, countSpan, func(_ *fs.Span, c spanCount) error {
		gotTxns += c.txns
		gotRecords += c.records
		return c.err
	})
	if err = errors.Join(err, flaw); err != nil {
		return err
	}
	if gotTxns != txns || gotRecords != records {
		return fmt.Errorf("%s: %d transactions with %d records were written, but it has %d with %d: %w",
			path, txns, records, gotTxns, gotRecords, fs.ErrDamaged)
	}
	return nil
}

// A spanCount is what is in a span.
type spanCount struct {
	txns, records int64
	err           error
}

func countSpan(s *fs.Span) (c spanCount) {
	r := s.Reader(s.Offset)
	last := s.Before
	for {
		txn, err := r.Next()
		if errors.Is(err, io.EOF) {
			return c
		}
		if err == nil && txn.TID <= last {
			err = &fs.RecordError{Offset: txn.Offset, TID: txn.TID, Kind: fs.KindTID}
		}
		for err == nil {
			if _, err = r.NextRecord(); err == nil {
				c.records++
			}
		}
		if !errors.Is(err, io.EOF) {
			c.err = err
			return c
		}
		last = txn.TID
		c.txns++
	}
}
