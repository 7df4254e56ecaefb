package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"zrs/internal/fs"
)

// A tidRange is the part of a history that an operator names: A..B, A.., ..B, or
// one transaction. The bounds are inclusive. The zero tidRange is all of it.
type tidRange struct {
	text     string
	from, to *when // nil: open
	single   bool  // from is one transaction
}

// UnmarshalText reads a range whose ends are what [parseWhen] reads, with the
// present as now.
func (r *tidRange) UnmarshalText(text []byte) (err error) {
	*r, err = parseRange(string(text), time.Now())
	return err
}

func parseRange(s string, now time.Time) (tidRange, error) {
	r := tidRange{text: s}
	from, to, isRange := strings.Cut(s, "..")
	r.single = !isRange
	for _, end := range []struct {
		text string
		when **when
	}{{from, &r.from}, {to, &r.to}} {
		if end.text == "" && isRange || end.when == &r.to && r.single {
			continue
		}
		w, err := parseWhen(end.text, now)
		if err != nil {
			return tidRange{}, fmt.Errorf("range %q: %w", s, err)
		}
		*end.when = &w
	}
	return r, nil
}

// String returns what the operator wrote.
func (r tidRange) String() string { return r.text }

// resolve returns the first and the last transaction id of r in the part of f
// before end: 0 and [fs.MaxTID] where r is open. There need not be transactions
// of these ids. What can't be a range of this file is an error.
//
// A time stands for all transactions that are printed with it, to the
// microsecond, and alone for the last transaction that is not later.
func (r tidRange) resolve(ctx context.Context, f *fs.File, end fs.Place) (from, to fs.TID, err error) {
	from, to = 0, fs.MaxTID
	switch {
	case r.single:
		if from, err = r.from.last(ctx, f, end); err == nil && !r.from.time.IsZero() {
			from, err = lastBefore(ctx, f, end, from, r.from)
		}
		return from, from, err
	case r.from != nil:
		if from, err = r.from.first(ctx, f, end); err != nil {
			return 0, 0, err
		}
	}
	if r.to != nil {
		if to, err = r.to.last(ctx, f, end); err != nil {
			return 0, 0, err
		}
	}
	if from > to {
		return 0, 0, fmt.Errorf("range %s: it starts at %s, after its end at %s", r, describeTID(from), describeTID(to))
	}
	return from, to, nil
}

// first returns w as a lower bound.
func (w *when) first(ctx context.Context, f *fs.File, end fs.Place) (fs.TID, error) {
	switch {
	case w.head:
		return w.beforeHead(ctx, f, end)
	case w.time.IsZero():
		return w.tid, nil
	}
	t := w.time.Truncate(time.Microsecond)
	if t.Before(w.time) {
		t = t.Add(time.Microsecond)
	}
	tid := fs.TIDFromTime(t.Add(-500 * time.Nanosecond))
	if tid.Time().Before(t) {
		tid++
	}
	return min(tid, fs.MaxTID), nil
}

// last returns w as an upper bound.
func (w *when) last(ctx context.Context, f *fs.File, end fs.Place) (fs.TID, error) {
	switch {
	case w.head:
		return w.beforeHead(ctx, f, end)
	case w.time.IsZero():
		return w.tid, nil
	}
	t := w.time.Truncate(time.Microsecond)
	tid := fs.TIDFromTime(t.Add(500 * time.Nanosecond))
	if tid > 0 && tid.Time().After(t) {
		tid--
	}
	return min(tid, fs.MaxTID), nil
}

// beforeHead returns the transaction that is w.back before the last one.
func (w *when) beforeHead(ctx context.Context, f *fs.File, end fs.Place) (fs.TID, error) {
	n := 0
	for txn, err := range f.Backward(end.Offset) {
		switch {
		case err != nil:
			return 0, fmt.Errorf("%s: %w", w, err)
		case ctx.Err() != nil:
			return 0, context.Cause(ctx)
		case n == w.back:
			return txn.TID, nil
		}
		n++
	}
	return 0, fmt.Errorf("%s: %s has only %s", w, f.Path(), count(int64(n), "transaction"))
}

// lastBefore returns the last transaction that is not later than tid.
func lastBefore(ctx context.Context, f *fs.File, end fs.Place, tid fs.TID, w *when) (fs.TID, error) {
	at, err := f.After(ctx, tid, end)
	if err != nil {
		return 0, err
	}
	for txn, err := range f.Backward(at.Offset) {
		if err != nil {
			return 0, err
		}
		return txn.TID, nil
	}
	return 0, fmt.Errorf("%s: %s has no transaction that early", w, f.Path())
}
