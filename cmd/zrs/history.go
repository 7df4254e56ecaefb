package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"zrs/internal/fs"
)

// A history is what zrs log shows of a file.
type history struct {
	*logCmd
	f           *fs.File
	end         fs.Place // of the file
	start, stop int64    // the range
	progress    *progress
}

// maxKept is how many places of transactions are kept to be shown in the other
// direction than they were found in. Beyond it the file is read twice.
const maxKept = 1 << 20

// bounds finds out where the range is.
func (h *history) bounds(ctx context.Context) error {
	from, to, err := h.Range.resolve(ctx, h.f, h.end)
	if err != nil {
		return err
	}
	h.start, h.stop = fs.FirstOffset, h.end.Offset
	for _, bound := range []struct {
		open  bool
		after fs.TID
		at    *int64
	}{{from == 0, from - 1, &h.start}, {to >= h.end.TID, to, &h.stop}} {
		if bound.open {
			continue
		}
		place, err := h.f.After(ctx, bound.after, h.end)
		if err != nil {
			return err
		}
		*bound.at = place.Offset
	}
	h.progress.setTotal(h.stop - h.start)
	if h.Range.single && h.start >= h.stop {
		return fmt.Errorf("%s: %w: %s", h.f.Path(), errNoTxn, describeTID(from))
	}
	return nil
}

// each calls show for the transactions that are wanted, in the order that is,
// with a reader that stands on them.
func (h *history) each(ctx context.Context, show func(*fs.Reader, *fs.Txn) error) error {
	switch {
	case h.MaxCount != nil && *h.MaxCount == 0:
		return nil
	case h.Reverse:
		return h.backward(ctx, func(txn *fs.Txn) error { return h.at(txn.Offset, show) })
	case h.MaxCount == nil && h.OID == nil:
		return h.forward(ctx, h.start, show)
	}
	var found []int64 // backward
	start, all := h.stop, true
	err := h.backward(ctx, func(txn *fs.Txn) error {
		if start = txn.Offset; len(found) < maxKept {
			found = append(found, start)
		} else {
			found, all = nil, false
		}
		return nil
	})
	if ctx.Err() != nil {
		return err
	}
	if !all {
		return errors.Join(h.forward(ctx, start, show), err)
	}
	for _, offset := range slices.Backward(found) {
		if err := h.at(offset, show); err != nil {
			return err
		}
	}
	return err
}

// at shows the transaction at an offset.
func (h *history) at(offset int64, show func(*fs.Reader, *fs.Txn) error) error {
	r := h.f.Reader(offset, h.stop)
	txn, err := r.Next()
	if err != nil {
		return err
	}
	return show(r, txn)
}

// forward reads the file from an offset on.
func (h *history) forward(ctx context.Context, start int64, show func(*fs.Reader, *fs.Txn) error) error {
	r := h.f.Reader(start, h.stop)
	for txn, err := range r.All() {
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		h.progress.add(txn.End()-txn.Offset, 1)
		wanted := h.matches(txn)
		if wanted && h.OID != nil {
			if wanted, err = h.f.Wrote(txn, *h.OID); err != nil {
				return err
			}
		}
		if !wanted {
			continue
		}
		if err := show(r, txn); err != nil {
			return err
		}
	}
	return nil
}

// backward calls found for the transactions that are wanted, the last one first.
func (h *history) backward(ctx context.Context, found func(*fs.Txn) error) error {
	n := 0
	for txn, err := range h.newestFirst(ctx) {
		if err == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		if txn.Offset < h.start {
			return nil
		}
		h.progress.add(txn.End()-txn.Offset, 1)
		if txn.Offset >= h.stop || !h.matches(txn) {
			continue
		}
		if err := found(txn); err != nil {
			return err
		}
		if n++; h.MaxCount != nil && n == *h.MaxCount {
			return nil
		}
	}
	return nil
}

func (h *history) newestFirst(ctx context.Context) iter.Seq2[*fs.Txn, error] {
	if h.OID != nil {
		return h.f.BackwardOf(ctx, *h.OID, h.end)
	}
	return h.f.Backward(h.stop)
}

// matches reports whether the texts of a transaction are as wanted.
func (h *history) matches(txn *fs.Txn) bool {
	if h.Grep != nil && !h.Grep.Match(txn.Description) {
		return false
	}
	return len(h.User) == 0 || slices.ContainsFunc(h.User, func(name string) bool { return isUser(txn.User, name) })
}

// isUser reports whether name is the user of a transaction. Zope puts the path
// of the user's folder and a blank before the name.
func isUser(user []byte, name string) bool {
	if string(user) == name {
		return true
	}
	_, last, ok := bytes.Cut(user, []byte(" "))
	return ok && string(last) == name
}
