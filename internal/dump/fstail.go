package dump

import (
	"context"
	"crypto/sha1"
	"errors"
	"io"

	"zrs/internal/fs"
)

// Tail writes the transactions of f before end in the format [Fstail], the last
// one first, down to the TID from, but at most n of them if n is not 0.
func (d *Dumper) Tail(ctx context.Context, w io.Writer, f *fs.File, end int64, from fs.TID, n int) error {
	o := &output{w: w}
	for txn, err := range f.Backward(end) {
		if err != nil {
			return errors.Join(o.flush(), err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if txn.TID < from {
			break
		}
		if d.Txn == nil || d.Txn(txn) {
			hash := sha1.New()
			start := txn.Offset + txn.TxnHeader.Size()
			records := io.NewSectionReader(f, start, txn.Offset+int64(txn.Length)-start)
			if _, err := io.Copy(hash, records); err != nil {
				return err
			}
			o.b = appendFstail(o.b, txn, hash.Sum(nil))
			d.Stats.Transactions.Add(1)
			if err := o.relieve(); err != nil {
				return err
			}
			if n--; n == 0 {
				break
			}
		}
		d.Stats.Bytes.Store(end - txn.Offset)
	}
	return o.flush()
}
