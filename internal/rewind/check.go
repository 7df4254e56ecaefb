package rewind

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"

	"zrs/internal/dump"
	"zrs/internal/fs"
)

// errSalvage is wrapped by what is wrong with a salvage that was read back.
var errSalvage = errors.New("it is not what the data file has")

// check reads the salvage back, and compares it with the data file.
func (s *saver) check(ctx context.Context) error {
	for _, part := range []struct {
		name  string
		check func(context.Context) error
	}{
		{dumpName, s.checkDump}, {dataName, s.checkData}, {blobsName, s.checkBlobs}, {tailName, s.checkTail},
	} {
		if err := part.check(ctx); err != nil {
			return fmt.Errorf("reading %s back: %w", part.name, err)
		}
	}
	return nil
}

// differ says that something is not as it is in the data file.
func differ(tid fs.TID, what string, args ...any) error {
	return fmt.Errorf("%w: transaction %s: %s", errSalvage, tid, fmt.Sprintf(what, args...))
}

// checkDump compares the dump, record by record.
func (s *saver) checkDump(ctx context.Context) error {
	f, err := os.Open(s.path(dumpName))
	if err != nil {
		return err
	}
	defer f.Close()
	d := dump.NewDecoder(f)
	err = s.eachTxn(ctx, func(txn *fs.Txn, src *reader) error {
		got, err := d.Next()
		if err != nil {
			return unexpected(txn.TID, err)
		}
		if !sameHeader(got, &txn.TxnHeader) {
			return differ(txn.TID, "it is %s %q %q %q", got.TID, got.User, got.Description, got.Extension)
		}
		for {
			rec, err := src.next()
			if err != nil {
				return err
			}
			obj, err := d.NextObject()
			if rec == nil && errors.Is(err, io.EOF) {
				return nil
			}
			if rec == nil || err != nil {
				return unexpected(txn.TID, err)
			}
			if err := sameObject(txn, src, obj); err != nil {
				return err
			}
		}
	})
	if err != nil {
		return err
	}
	if _, err := d.Next(); !errors.Is(err, io.EOF) {
		return unexpected(s.plan.End.TID, err)
	}
	return nil
}

// unexpected returns what it means that reading gave err where something else was
// due.
func unexpected(tid fs.TID, err error) error {
	if err == nil {
		return differ(tid, "there is more than in the data file")
	}
	if errors.Is(err, io.EOF) {
		return differ(tid, "there is less than in the data file")
	}
	return err
}

func sameHeader(a, b *fs.TxnHeader) bool {
	return a.TID == b.TID && a.Status == b.Status &&
		bytes.Equal(a.User, b.User) && bytes.Equal(a.Description, b.Description) && bytes.Equal(a.Extension, b.Extension)
}

// sameObject compares an object of a dump with the record that src stands on.
func sameObject(txn *fs.Txn, src *reader, obj *dump.Object) error {
	want := dump.Object{OID: src.rec.OID, Kind: dump.Full}
	switch {
	case src.rec.Length > 0:
		want.Size = src.rec.Length
	case src.rec.Back == 0:
		want.Kind = dump.Delete
	default:
		want.Kind, want.From = dump.Copy, src.found.BackTID
	}
	if obj.OID != want.OID || obj.Kind != want.Kind || obj.From != want.From || obj.Size != want.Size {
		return differ(txn.TID, "object %s is another record", want.OID)
	}
	if want.Kind != dump.Full {
		return nil
	}
	data, err := src.data()
	if err == nil && !bytes.Equal(data, obj.Data) {
		err = differ(txn.TID, "the data of object %s", want.OID)
	}
	return err
}

// checkData compares the data file of the salvage, record by record.
func (s *saver) checkData(ctx context.Context) error {
	f, err := fs.OpenFile(s.path(dataName))
	if err != nil {
		return err
	}
	defer f.Close()
	got := &reader{Reader: f.Reader(fs.FirstOffset, f.Size())}
	err = s.eachTxn(ctx, func(txn *fs.Txn, src *reader) error {
		if txn.Status == fs.StatusUndone {
			return nil
		}
		gotTxn, err := got.Next()
		if err != nil {
			return unexpected(txn.TID, err)
		}
		if !sameHeader(&gotTxn.TxnHeader, &txn.TxnHeader) {
			return differ(txn.TID, "it is %s", gotTxn.TID)
		}
		for {
			rec, err := src.next()
			if err != nil {
				return err
			}
			gotRec, err := got.next()
			if err != nil {
				return err
			}
			if rec == nil && gotRec == nil {
				return nil
			}
			if rec == nil || gotRec == nil {
				return differ(txn.TID, "it has another number of records")
			}
			if err := sameRecord(txn, src, got); err != nil {
				return err
			}
		}
	})
	if err != nil {
		return err
	}
	if _, err := got.Next(); !errors.Is(err, io.EOF) {
		return unexpected(s.plan.End.TID, err)
	}
	return nil
}

// sameRecord compares the records that two readers stand on.
func sameRecord(txn *fs.Txn, want, got *reader) error {
	if want.rec.OID != got.rec.OID || want.rec.TID != got.rec.TID || want.found.Gone != got.found.Gone {
		return differ(txn.TID, "object %s is another record", want.rec.OID)
	}
	data, err := want.data()
	if err != nil {
		return err
	}
	gotData, err := got.data()
	if err == nil && !bytes.Equal(data, gotData) {
		err = differ(txn.TID, "the data of object %s", want.rec.OID)
	}
	return err
}

// checkBlobs compares the contents of the blobs.
func (s *saver) checkBlobs(ctx context.Context) error {
	if s.blobs == nil || s.plan.Blobs == s.plan.BlobsMissing {
		return nil
	}
	saved, err := fs.OpenBlobDir(s.path(blobsName))
	if err != nil {
		return err
	}
	missing := int64(0)
	err = s.eachBlob(ctx, func(oid fs.OID, tid fs.TID) error {
		want, err := s.blobs.Open(oid, tid)
		if errors.Is(err, fs.ErrNoBlob) {
			missing++
			return nil
		}
		if err != nil {
			return err
		}
		defer want.Close()
		got, err := saved.Open(oid, tid)
		if err != nil {
			return err
		}
		defer got.Close()
		n, err := sameBytes(ctx, want, got)
		s.done(n)
		if errors.Is(err, errSalvage) {
			return differ(tid, "the blob of object %s", oid)
		}
		return err
	})
	if err == nil && missing != s.plan.BlobsMissing {
		err = fmt.Errorf("%w: %d blobs are missing, there were %d", errSalvage, missing, s.plan.BlobsMissing)
	}
	return err
}

// checkTail compares what was behind the last transaction.
func (s *saver) checkTail(ctx context.Context) error {
	f, err := os.Open(s.path(tailName))
	if s.plan.TailBytes == 0 && errors.Is(err, iofs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = sameBytes(ctx, s.tailReader(), f)
	return err
}

// sameBytes compares two streams, to the end of both.
func sameBytes(ctx context.Context, want, got io.Reader) (n int64, err error) {
	a, b := make([]byte, 256<<10), make([]byte, 256<<10)
	for {
		if ctx.Err() != nil {
			return n, context.Cause(ctx)
		}
		i, errA := io.ReadFull(want, a)
		j, errB := io.ReadFull(got, b)
		n += int64(i)
		switch {
		case !ended(errA) && errA != nil:
			return n, errA
		case !ended(errB) && errB != nil:
			return n, errB
		case !bytes.Equal(a[:i], b[:j]):
			return n, errSalvage
		case ended(errA):
			return n, nil
		}
	}
}

func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
