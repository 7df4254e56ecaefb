package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
)

// BackwardOf is [File.Backward] for the transactions that wrote an object. They
// are found by the previous and back pointers of its records: the newest through
// the saved index or, in what that doesn't cover, from the end of the file. A
// pack keeps of the older revisions of an object those that back pointers lead
// to; one that it keeps for no reason is not found.
func (f *File) BackwardOf(ctx context.Context, oid OID, end Place) iter.Seq2[*Txn, error] {
	return func(yield func(*Txn, error) bool) {
		off, err := f.newest(ctx, oid, end.Offset)
		if err != nil {
			yield(nil, err)
			return
		}
		var ahead offsetSet
		for last := int64(0); off != 0; off = ahead.take() {
			rec, txn, err := f.revision(oid, off, end.Offset)
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if txn.Offset != last && txn.Status != StatusUndone && !yield(txn, nil) {
				return
			}
			last = rec.Txn
			ahead.add(rec.Prev)
			ahead.add(rec.Back)
		}
	}
}

// Wrote reports whether a transaction of f wrote an object.
func (f *File) Wrote(txn *Txn, oid OID) (bool, error) {
	if txn.Status == StatusUndone {
		return false, nil
	}
	off, err := f.lastRecord(oid, txn)
	return off != 0, err
}

// newest returns the offset of the last record of oid before end, 0 if there is
// none.
func (f *File) newest(ctx context.Context, oid OID, end int64) (int64, error) {
	indexed, offset := FirstOffset, int64(0)
	if hint, ok := trustIndex(f.path, f, end); ok {
		found, err := f.indexed(oid)
		if err == nil {
			indexed, offset = hint.end, found
		}
	}
	for txn, err := range f.Backward(end) {
		switch {
		case err != nil:
			return 0, err
		case ctx.Err() != nil:
			return 0, context.Cause(ctx)
		case txn.Offset < indexed:
			return offset, nil
		case txn.Status == StatusUndone:
			continue // its records do not count
		}
		last, err := f.lastRecord(oid, txn)
		if err != nil || last != 0 {
			return last, err
		}
	}
	return offset, nil
}

// indexed returns what the saved index says of oid, 0 if that is nothing.
func (f *File) indexed(oid OID) (offset int64, err error) {
	errFound := errors.New("found")
	_, err = ScanIndexFile(f.path+".index", func(have OID, off int64) error {
		if have < oid {
			return nil
		}
		if have == oid {
			offset = off
		}
		return errFound
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	return offset, err
}

// lastRecord returns the offset of the last record of oid in a transaction, 0 if
// there is none.
func (f *File) lastRecord(oid OID, txn *Txn) (offset int64, err error) {
	r := f.Reader(txn.Offset, txn.End())
	if _, err := r.Next(); err != nil {
		return 0, err
	}
	for {
		rec, err := r.NextRecord()
		if errors.Is(err, io.EOF) {
			return offset, nil
		}
		if err != nil {
			return 0, err
		}
		if rec.OID == oid {
			offset = rec.Offset
		}
	}
}

// revision reads the record of oid at off, to which a pointer or an index led,
// and its transaction.
func (f *File) revision(oid OID, off, end int64) (Record, *Txn, error) {
	rec, err := ReadRecord(f, f.path, off)
	if err != nil {
		return rec, nil, err
	}
	if rec.OID != oid {
		return rec, nil, &RecordError{
			Path: f.path, Offset: off, Kind: KindPrevious,
			Detail: fmt.Sprintf("a pointer of object %s leads here, to a record of object %s", oid, rec.OID),
		}
	}
	txn, err := f.Reader(rec.Txn, end).Next()
	if err == nil && rec.Offset+rec.Size() > txn.Offset+int64(txn.Length) {
		err = &RecordError{
			Path: f.path, Offset: off, Kind: KindTxnOffset,
			Detail: fmt.Sprintf("record says that its transaction is at %d, which ends before it", rec.Txn),
		}
	}
	return rec, txn, err
}

// An offsetSet gives offsets back, the greatest first and each once. Few are in
// it: where an undone revision's data is, until the previous pointers get there.
type offsetSet []int64 // ascending

func (s *offsetSet) add(off int64) {
	if i, found := slices.BinarySearch(*s, off); !found && off != 0 {
		*s = slices.Insert(*s, i, off)
	}
}

// take removes the greatest offset and returns it, 0 if there is none.
func (s *offsetSet) take() int64 {
	last := len(*s) - 1
	if last < 0 {
		return 0
	}
	off := (*s)[last]
	*s = (*s)[:last]
	return off
}
