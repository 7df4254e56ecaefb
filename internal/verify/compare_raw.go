package verify

import (
	"bytes"
	"context"
	"errors"

	"zrs/internal/fs"
	"zrs/internal/pickle"
)

// passEqual passes transactions that are the same in both files, byte for byte
// and at the same place, as they are in files of which one was copied from the
// other. It looks into the headers of one of them only. It stops between two
// transactions where that ends.
func (c *comparer) passEqual(ctx context.Context) error {
	a, b := c.sides[0], c.sides[1]
	if a.file == nil || b.file == nil {
		return nil
	}
	for a.txn == nil && b.txn == nil && !a.ended && !b.ended && a.file.pos == b.file.pos && a.file.pos != c.unequal {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		pos := a.file.pos
		wa, wb := a.file.window(), b.file.window()
		if c.sameTo <= pos {
			c.sameTo = pos + int64(commonPrefix(wa, wb))
		}
		n := fs.WholeTransactions(wa[:min(c.sameTo-pos, int64(len(wa)))])
		done, err := c.passEqualBytes(ctx, wa[:n:n], pos)
		if err != nil {
			return err
		}
		a.file.pos, b.file.pos = pos+done, pos+done
		if done < int64(n) || n == 0 {
			c.unequal = pos + done
		}
	}
	return nil
}

// commonPrefix returns how many bytes at the start of a and b are the same, or
// somewhat less.
func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	if bytes.Equal(a[:n], b[:n]) {
		return n
	}
	const step = 4 << 10
	same := 0
	for same+step <= n && bytes.Equal(a[same:same+step], b[same:same+step]) {
		same += step
	}
	for same < n && a[same] == b[same] {
		same++
	}
	return same
}

// passEqualBytes passes whole transactions, b, that both files have at the offset
// pos. It returns how many bytes of them it passed: with the rest something is
// wrong, which reading them in the other way will tell.
func (c *comparer) passEqualBytes(ctx context.Context, b []byte, pos int64) (done int64, err error) {
	r := c.sides[0].Source.file.ReaderOf(b, pos)
	last := max(c.sides[0].res.Last, c.sides[1].res.Last)
	for {
		txn, err := r.Next()
		if err != nil || txn.TID <= last || c.opts.To != 0 && txn.TID > c.opts.To {
			return done, nil //nolint:nilerr // it will be met again
		}
		if txn.Status != fs.StatusUndone {
			before := c.found
			records, err := c.equalRecords(ctx, r, txn)
			if err != nil {
				return done, unlessDamage(err)
			}
			for _, s := range c.sides {
				c.passed(s, txn.TID, txn.Status)
				s.res.Records += records
			}
			c.equal(txn.TID, records, before)
			last = txn.TID
		}
		done = txn.End() - pos
	}
}

func unlessDamage(err error) error {
	if isDamage(err) || errors.Is(err, errElsewhere) {
		return nil // it will be met again
	}
	return err
}

// errElsewhere says that the same bytes may mean something else in the files.
var errElsewhere = errors.New("a back pointer leads to what was not compared")

// equalBack sees to the back pointer of a record that is the same in both files:
// where all before it was the same, its data is the same.
func (c *comparer) equalBack(r *fs.Reader) error {
	if c.opts.From > 0 || c.found > 0 || c.parted || c.packed {
		return errElsewhere
	}
	_, err := r.Resolve()
	return err
}

// equalRecords passes the records of a transaction that is the same in both
// files.
func (c *comparer) equalRecords(ctx context.Context, r *fs.Reader, txn *fs.Txn) (count int64, err error) {
	for {
		rec, err := r.NextRecord()
		if isEnd(err) {
			return count, nil
		}
		if err != nil {
			return count, err
		}
		count++
		if rec.Length == 0 {
			if err := c.equalBack(r); err != nil {
				return count, err
			}
		}
		for _, s := range c.sides {
			c.supersede(s, rec.OID, txn.Status)
		}
		if c.opts.Blobs != BlobsNone {
			if err := c.equalBlob(ctx, r, rec); err != nil {
				return count, err
			}
		}
	}
}

// equalBlob compares the blobs of a record that is the same in both files, if it
// is a blob's.
func (c *comparer) equalBlob(ctx context.Context, r *fs.Reader, rec *fs.Record) error {
	found, err := r.Resolve()
	if err != nil || found.Gone {
		return err
	}
	data, err := r.Peek(found, blobStart)
	if err != nil || !mayBeBlob(data) {
		return err
	}
	c.startBlobFiles(ctx, rec.OID, rec.TID, pickle.IsBlobRecord(data))
	return nil
}
