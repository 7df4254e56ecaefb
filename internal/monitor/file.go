package monitor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zrs/internal/fs"
)

// probeFile looks at the end of a data file. An incomplete transaction there is
// no trouble: somebody may be writing it.
func probeFile(ctx context.Context, path string) (*Report, error) {
	f, end, err := openFile(ctx, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return &Report{Kind: KindFile, Storages: []Storage{{LastTID: end.TID}}}, nil
}

// openFile opens a data file and finds the end of its last transaction.
func openFile(ctx context.Context, path string) (*fs.File, fs.Place, error) {
	f, err := fs.OpenFile(path)
	if err != nil {
		return nil, fs.Place{}, err
	}
	end, tail, err := f.End(ctx)
	if err == nil && !errors.Is(tail, fs.ErrTornTail) {
		err = tail
	}
	if err != nil {
		f.Close()
		return nil, fs.Place{}, err
	}
	return f, end, nil
}

// Behind tells how far a history that ends with the transaction tid is behind
// the target, which must be a data file. It returns [ErrDiverged] if the file never had that
// transaction, and no lag if a pack may have removed it.
func (t *Target) Behind(ctx context.Context, tid fs.TID) (Lag, error) {
	f, end, err := openFile(ctx, t.Path)
	if err != nil {
		return Lag{}, err
	}
	defer f.Close()
	at, err := f.After(ctx, tid, end)
	if err != nil {
		return Lag{}, err
	}
	if at.TID != tid {
		packed, err := f.Packed(ctx, end)
		if err != nil {
			return Lag{}, err
		}
		if tid > packed.TID {
			return Lag{}, fmt.Errorf("%w: the primary never had transaction %s", ErrDiverged, showTID(tid))
		}
		return Lag{}, nil
	}
	lag := Lag{Age: new(time.Duration), Transactions: new(int64), Bytes: new(end.Offset - at.Offset)}
	for txn, err := range f.Reader(at.Offset, end.Offset).All() {
		switch {
		case err != nil:
			return Lag{}, err
		case ctx.Err() != nil:
			return Lag{}, context.Cause(ctx)
		case *lag.Transactions == 0:
			*lag.Age = ageAt(txn.TID, end.TID)
		}
		*lag.Transactions++
	}
	return lag, nil
}

// ageAt returns the age of a transaction of a history that ends with last, which is
// no less than the time between them: the clock that they are of may be ahead of
// ours.
func ageAt(tid, last fs.TID) time.Duration {
	return max(time.Since(tid.Time()), last.Time().Sub(tid.Time()))
}
