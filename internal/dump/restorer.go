package dump

import (
	"context"
	"errors"
	"fmt"
	"io"

	"zrs/internal/fs"
	"zrs/internal/pickle"
)

// ErrHashOnly is returned for a dump that was made without data.
var ErrHashOnly = errors.New("the dump has checksums in place of data, and can't be restored")

// A Restorer writes the transactions of a dump into a FileStorage.
type Restorer struct {
	// Open returns where they go. It is called when the first one is to be
	// written; nil is to read the dump and do no more.
	Open func() (*fs.Writer, error)

	// After is the transaction that the first one has to be above.
	After fs.TID

	// Until is the last transaction that is wanted.
	Until fs.TID

	// Blobs is where the blobs are taken from, nil to leave them out. If the
	// writer has no directory for them they stay there.
	Blobs *fs.BlobDir

	// Missing is called for each blob that is not there.
	Missing func(oid fs.OID, tid fs.TID, err error)

	Stats     Stats // Bytes are of data
	Undone    int64 // transactions of status 'u', which are left out
	BlobCount int64 // records of blobs
	Copied    int64 // blobs that were there
	BlobBytes int64
	Lost      int64 // blobs that were not there

	w           *fs.Writer
	first, last fs.TID
}

// Range returns the first and the last transaction that was restored, 0 if none
// was.
func (r *Restorer) Range() (first, last fs.TID) { return r.first, r.last }

// Restore writes what d reads. Nothing is finished: that is for the caller, or to
// take it all back. A dump that begins at or before After gives an error that
// wraps [fs.ErrTIDOrder], before anything is written.
func (r *Restorer) Restore(ctx context.Context, d *Decoder) error {
	for {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		txn, err := d.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case txn.TID > r.Until:
			return nil
		case r.last == 0 && txn.TID <= r.After:
			return &Error{Line: d.line, TID: txn.TID, Err: fs.ErrTIDOrder}
		case txn.TID <= r.last:
			return d.fail(fmt.Errorf("%w: it is not above %s, the one before", ErrSyntax, r.last))
		case txn.Status == fs.StatusUndone:
			r.Undone++
			continue
		}
		if err := r.txn(ctx, d, *txn); err != nil {
			return err
		}
	}
}

// txn restores a transaction.
func (r *Restorer) txn(ctx context.Context, d *Decoder, txn fs.TxnHeader) error {
	if txn.Status != fs.StatusComplete && txn.Status != fs.StatusPacked {
		return d.fail(fmt.Errorf("%w: status %q is none that a transaction can have", ErrSyntax, byte(txn.Status)))
	}
	if r.w == nil && r.Open != nil {
		var err error
		if r.w, err = r.Open(); err != nil {
			return err
		}
	}
	if r.w != nil {
		if err := r.w.Begin(txn); err != nil {
			return d.fail(err)
		}
	}
	for {
		obj, err := d.NextObject()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = r.object(ctx, txn.TID, obj)
		}
		if err == nil && obj.Size > readStep {
			err = context.Cause(ctx)
		}
		if err != nil {
			return r.where(d, err)
		}
		r.Stats.Records.Add(1)
		r.Stats.Bytes.Add(obj.Size)
	}
	if r.w != nil {
		if err := r.w.Commit(); err != nil {
			return err
		}
	}
	r.Stats.Transactions.Add(1)
	if r.first == 0 {
		r.first = txn.TID
	}
	r.last = txn.TID
	return nil
}

// where adds to an error of the dump's contents where in the dump it is.
func (r *Restorer) where(d *Decoder, err error) error {
	if errors.Is(err, ErrHashOnly) || errors.Is(err, fs.ErrNoRevision) {
		return d.fail(err)
	}
	return err
}

// object restores a record.
func (r *Restorer) object(ctx context.Context, tid fs.TID, obj *Object) error {
	switch {
	case obj.Kind == Hash:
		return fmt.Errorf("object %s: %w", obj.OID, ErrHashOnly)
	case r.w == nil:
		if obj.Kind == Full && pickle.IsBlobRecord(obj.Data) {
			r.BlobCount++
		}
		return nil
	case obj.Kind == Copy:
		return r.copy(ctx, tid, obj)
	}
	if err := r.w.Restore(fs.Restored{OID: obj.OID, TID: tid, Data: obj.Data}); err != nil {
		return err
	}
	return r.blob(ctx, obj.OID, tid, obj.Data)
}

// copy restores a record that has the data of another transaction.
func (r *Restorer) copy(ctx context.Context, tid fs.TID, obj *Object) error {
	found, err := r.w.Copy(obj.OID, tid, obj.From)
	if err != nil || found.Length > maxBlobRecord {
		return err
	}
	data := make([]byte, found.Length)
	if err := r.w.ReadData(data, found.Offset); err != nil {
		return err
	}
	return r.blob(ctx, obj.OID, tid, data)
}

// maxBlobRecord is more than the record of a blob has: the name of its class.
const maxBlobRecord = 4 << 10

// blob copies the blob of a record with this data, if it has one.
func (r *Restorer) blob(ctx context.Context, oid fs.OID, tid fs.TID, data []byte) error {
	if !pickle.IsBlobRecord(data) {
		return nil
	}
	r.BlobCount++
	if r.Blobs == nil {
		r.Lost++
		return nil
	}
	src, err := r.Blobs.Open(oid, tid)
	if errors.Is(err, fs.ErrNoBlob) {
		r.Lost++
		r.Missing(oid, tid, err)
		return nil
	}
	if err != nil {
		return err
	}
	defer src.Close()
	if r.w.Blobs() == nil { // it is where it should be
		fi, err := src.Stat()
		if err == nil {
			r.Copied++
			r.BlobBytes += fi.Size()
		}
		return err
	}
	dst, err := r.w.CreateBlob(oid, tid)
	if err != nil {
		return err
	}
	n, err := copyBlob(ctx, dst, src)
	r.Copied++
	r.BlobBytes += n
	return err
}
