package fs

import (
	"context"
	"errors"
	"io"
)

// A scanned part of a file: what [scan] found out.
type scanned struct {
	end   int64 // just after the last whole transaction
	tid   TID   // of that transaction, or what the scan was started with
	count int64 // whole transactions
	err   error // why the scan ended there: nil at the end of the file, else a RecordError
}

// scan checks the structure of all transactions in [pos, end) and puts their
// records into idx and their starts into cps; either may be nil. It reads the
// file once, and uses all processors. What it put into idx is right even if it
// ends early. The TID in from is that of the transaction before pos.
func scan(ctx context.Context, src io.ReaderAt, path string, pos, end int64, from TID, idx *Index, cps *checkpoints) (scanned, error) {
	var s scanned
	p := &pass{src: src, path: path, end: end, at: Place{pos, from}}
	p.passed = func(tid TID, pos int64) {
		s.count++
		if cps != nil {
			cps.add(tid, pos)
		}
	}
	var worst *flaw // nearest to the start of the file
	err := runPass(ctx, p, func(span *Span) *flaw { return indexSpan(span, idx) }, func(_ *Span, f *flaw) error {
		if worst = f; f != nil {
			return errFlawed
		}
		return nil
	})
	s.end, s.tid, s.err = p.at.Offset, p.at.TID, p.flaw
	if worst != nil { // a record was wrong: all before its transaction is fine
		s.end, s.tid, s.err = worst.txn, worst.before, worst.err
		err = nil
	}
	if err == nil && isIO(s.err) {
		err = s.err
	}
	return s, err
}

// A flaw is the first thing wrong in a span.
type flaw struct {
	txn    int64 // offset of the transaction
	before TID   // of the one before
	err    error
}

var errFlawed = errors.New("a record is wrong")

// indexSpan checks the records of a span and puts them into idx.
func indexSpan(span *Span, idx *Index) *flaw {
	r, before := span.Reader(span.Offset), span.Before
	for {
		txn, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return &flaw{r.Offset(), before, err}
		}
		for {
			rec, err := r.NextRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return &flaw{txn.Offset, before, err}
			}
			if idx != nil && txn.Status != StatusUndone {
				idx.SetMax(rec.OID, rec.Offset)
			}
		}
		before = txn.TID
	}
}
