package dump

import (
	"context"
	"errors"
	"io"

	"zrs/internal/fs"
)

// Follow writes the transactions of a log from the TID from up to the TID to,
// waiting for those that are yet to come. Whenever there is nothing more to
// write it calls idle. It returns nil after a transaction later than to, else
// when ctx is done or the log has failed. Transactions of status 'u' are left out.
func (d *Dumper) Follow(ctx context.Context, w io.Writer, log *fs.Log, c *fs.Cursor, from, to fs.TID, idle func() error) error {
	j := &job{Dumper: d, format: d.formatter(), path: log.Path(), to: to, out: &output{w: w}}
	t := new(spanText)
	for {
		head, err := c.Next()
		switch {
		case errors.Is(err, io.EOF):
			if err := errors.Join(j.out.flush(), idle()); err != nil {
				return err
			}
			if err := c.Wait(ctx); err != nil {
				return err
			}
			continue
		case err != nil:
			return errors.Join(j.out.flush(), err)
		case head.TID > to:
			return j.out.flush()
		case head.TID < from:
			continue
		}
		j.file = c.File()
		before := *t
		if err := j.txn(t, j.out, head, c, false); err != nil {
			return errors.Join(j.out.flush(), err)
		}
		d.Stats.Transactions.Add(t.txns - before.txns)
		d.Stats.Records.Add(t.records - before.records)
		d.Stats.Bytes.Store(head.End())
		if ctx.Err() != nil {
			return errors.Join(j.out.flush(), context.Cause(ctx))
		}
	}
}
