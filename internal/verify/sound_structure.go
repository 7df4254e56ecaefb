package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"zrs/internal/fs"
)

// structure goes through the whole file. Workers look at transactions by
// themselves; what takes the history before them (previous pointers, the index)
// is checked by apply, in order.
func (s *sounder) structure(ctx context.Context) error {
	at := fs.Place{Offset: fs.FirstOffset}
	if s.saved.ends { // that of a new database
		s.compareIndex()
	}
	for torn := s.f.Size() <= fs.FirstOffset; !torn; {
		end, flaw, err := fs.Pass(ctx, s.f, at, s.look, s.apply)
		if err != nil {
			return err
		}
		if flaw == nil {
			break
		}
		if at, torn, err = s.flawed(end, flaw); err != nil {
			return err
		}
	}
	s.report.Objects = int64(s.idx.Len())
	s.o.Progress.Bytes.Store(s.f.Size())
	s.judgeIndex()
	return nil
}

// flawed looks at the transaction behind the place end, of which a reader said
// flaw, and returns where the file goes on: nowhere behind a torn tail.
func (s *sounder) flawed(end fs.Place, flaw error) (next fs.Place, torn bool, err error) {
	if errors.Is(flaw, fs.ErrTornTail) {
		s.report.Tail, _ = errors.AsType[*fs.RecordError](flaw)
		s.report.TailBytes = s.f.Size() - end.Offset
		return end, true, nil
	}
	l := s.newLook(end.TID)
	l.inOrder = true
	defer s.looks.Put(l)
	result := l.inspect(end.Offset, end.Offset, false, flaw)
	next = fs.Place{Offset: result.End, TID: result.TID}
	switch {
	case l.err != nil:
		return end, false, l.err
	case result.Lost:
		next.TID = end.TID
		s.lost.add(end.Offset, result.End)
		s.report.Lost += result.End - end.Offset
	default:
		l.finish(result.End)
	}
	return next, false, s.applyLook(l)
}

// look is what workers do with a span. One that is large is left to apply.
func (s *sounder) look(span *fs.Span) *look {
	if span.Large {
		return nil
	}
	l := s.newLook(span.Before)
	l.span(span)
	return l
}

// apply takes over what was seen of a span.
func (s *sounder) apply(span *fs.Span, l *look) error {
	if l == nil {
		l = s.newLook(span.Before)
		l.inOrder = true
		l.span(span)
	}
	defer s.looks.Put(l)
	return s.applyLook(l)
}

// applyLook checks what was seen against the history before it, and tells what
// was found.
func (s *sounder) applyLook(l *look) error {
	if l.err != nil {
		return l.err
	}
	for i := range l.txns {
		t := &l.txns[i]
		for j := t.first; j < t.last; j++ {
			if err := s.applyRecord(l, t, &l.recs[j]); err != nil {
				return err
			}
		}
		if !t.ended {
			continue
		}
		s.report.Transactions++
		s.report.End, s.report.LastTID = t.end, t.tid
		if t.end == s.saved.end {
			s.saved.ends = true
			s.compareIndex()
		}
	}
	s.report.Records += l.records
	s.report.blobCount.add(&l.blobCount)
	s.blobs = append(s.blobs, l.blobs...)
	if l.python3 != 0 && s.report.Kinds[fs.KindMagic] == 0 {
		s.found(&Finding{
			Kind: fs.KindMagic, Severity: Damage,
			Detail: fmt.Sprintf("the file begins with %q, of ZODB on Python 2, the record at %d was written by Python 3", fs.MagicPython2[:], l.python3),
		})
	}
	s.o.Progress.Bytes.Store(s.report.End)
	s.o.Progress.Transactions.Store(s.report.Transactions)

	slices.SortStableFunc(l.findings, func(a, b Finding) int { return cmp.Compare(a.Offset, b.Offset) })
	for i := range l.findings {
		f := &l.findings[i]
		if f.Kind == KindBlob && s.replaced() {
			s.report.BlobsMissing-- // the pack that replaced the file may have taken it
			continue
		}
		s.found(f)
	}
	return nil
}

// applyRecord makes a record the current one of its object, and checks that it
// points to the one before.
func (s *sounder) applyRecord(l *look, t *txnSeen, rec *recSeen) error {
	before := s.idx.Replace(rec.oid, rec.off)
	if rec.gone {
		s.gone.Set(rec.oid, rec.off)
		s.anyGone = true
	} else if s.anyGone {
		s.gone.Delete(rec.oid)
	}
	if rec.noPrev || rec.prev == before {
		return nil
	}
	if before >= t.offset {
		// The object again, in the same transaction: all its records point to
		// the one before that.
		first, err := fs.ReadRecord(s.f, s.f.Path(), before)
		if err != nil {
			return nil //nolint:nilerr // what is wrong with that one was told
		}
		before = first.Prev
	}
	if rec.prev == before || rec.prev == 0 && t.status == fs.StatusPacked || s.lost.has(rec.prev) {
		return nil
	}
	if f, bad := s.judgePrevious(rec, before); bad {
		l.findings = append(l.findings, f)
	}
	return nil
}

// judgePrevious says what is wrong with a record's previous pointer, which does
// not lead to the record at the offset before, 0 for none.
func (s *sounder) judgePrevious(rec *recSeen, before int64) (f Finding, bad bool) {
	is := "the object has no record before"
	if before != 0 {
		is = fmt.Sprintf("the object's last record before is at %d", before)
	}
	found := "previous pointer says that there is none"
	if rec.prev != 0 {
		found = fmt.Sprintf("previous pointer leads to %d, where no record is", rec.prev)
		prev, err := fs.ReadRecord(s.f, s.f.Path(), rec.prev)
		if err == nil && s.statusOf(&prev) != 0 {
			if prev.OID == rec.oid && s.statusOf(&prev) == fs.StatusUndone {
				return f, false // it does not count, but a writer may not have known
			}
			found = fmt.Sprintf("previous pointer leads to %d, a record of object %s", rec.prev, prev.OID)
		}
	}
	return Finding{
		Kind: KindPrevChain, Severity: Damage, Offset: rec.off, TID: rec.tid, OID: rec.oid, HasOID: true,
		Detail: found + "; " + is,
	}, true
}

// statusOf returns the status of the transaction that a record says it is in, 0
// if there is none.
func (s *sounder) statusOf(rec *fs.Record) fs.Status {
	txn, ok := s.f.TxnAt(rec.Txn)
	if !ok || txn.End() < rec.Offset {
		return 0
	}
	return txn.Status
}
