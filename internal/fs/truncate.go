package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"path/filepath"
)

// IndexBefore returns the index of the transactions of f before at, as an index
// file would have it if f ended there. End is where f ends. If the saved index is
// right, as far as a sample of it tells, only what is behind at is read, or what
// the saved index lacks; else all that is before at. Done is told of bytes that
// were read; it may be called concurrently.
func (f *File) IndexBefore(ctx context.Context, at, end Place, done func(bytes int64)) (*Index, error) {
	idx, start := new(Index), Place{Offset: FirstOffset}
	if hint, ok := trustIndex(f.path, f, end.Offset); ok {
		saved, savedEnd, err := ReadIndexFile(f.path + ".index")
		switch {
		case err != nil || savedEnd != hint.end:
		case savedEnd <= at.Offset:
			idx, start = saved, Place{savedEnd, hint.tid}
		case f.unindex(ctx, saved, at.Offset, savedEnd) == nil:
			return saved, nil
		}
	}
	s, err := scan(ctx, toldReader{f, done}, f.path, start.Offset, at.Offset, start.TID, idx, nil)
	if err == nil {
		err = s.err
	}
	if err != nil {
		return nil, err
	}
	return idx, nil
}

// A toldReader tells how much is read through it.
type toldReader struct {
	io.ReaderAt
	done func(bytes int64)
}

func (r toldReader) ReadAt(b []byte, off int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(b, off)
	r.done(int64(n))
	return n, err
}

// unindex takes the records in [at, end) out of an index. Each names the one that
// was current before it; one that is not where it should be is an error.
func (f *File) unindex(ctx context.Context, idx *Index, at, end int64) error {
	r := f.Reader(at, end)
	for {
		txn, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case txn.Status != StatusComplete:
			return f.noRevisionAt(txn.Offset) // a pack leaves no pointers; and records that don't count may be led to
		}
		for {
			rec, err := r.NextRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			switch {
			case rec.Prev >= at: // an earlier one of the object has told
			case rec.Prev == 0:
				idx.Delete(rec.OID)
			case !f.isCurrent(rec.OID, rec.Prev):
				return f.noRevisionAt(rec.Offset)
			default:
				idx.Set(rec.OID, rec.Prev)
			}
		}
	}
}

// isCurrent reports whether a record of an object is at an offset, in a
// transaction that counts.
func (f *File) isCurrent(oid OID, off int64) bool {
	rec, err := ReadRecord(f, f.path, off)
	if err != nil || rec.OID != oid || rec.Txn < FirstOffset || rec.Txn >= off {
		return false
	}
	var head [txnHeaderSize]byte
	if _, err := f.ReadAt(head[:], rec.Txn); err != nil {
		return false
	}
	h := decodeFixedHeader(head[:])
	return h.tid == rec.TID && h.status.Final() && h.status != StatusUndone
}

func (f *File) noRevisionAt(off int64) error {
	return &RecordError{Path: f.path, Offset: off, Kind: KindPrevious, Detail: "it does not lead to the revision before"}
}

// Truncate cuts the data file off at the offset at, where a transaction starts,
// durably. It is for whoever holds the lock of writers, and has removed the index.
// A crash leaves the file as it was or as it will be; a file system that gives
// the end back in pieces may leave something between, which is whole
// transactions and a torn tail.
func (f *File) Truncate(at int64) error {
	w, err := os.OpenFile(f.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer w.Close()
	info, err := w.Stat()
	switch {
	case err != nil:
		return err
	case !os.SameFile(info, f.info):
		return fmt.Errorf("%s: %w: another process put it there", f.path, ErrReplaced)
	case info.Size() != f.info.Size():
		return fmt.Errorf("%s: it has %d bytes now, %d when it was opened", f.path, info.Size(), f.info.Size())
	}
	if err := w.Truncate(at); err != nil {
		return err
	}
	return w.Sync()
}

// RemoveIndex removes the index of the data file at path, durably.
func RemoveIndex(path string) error {
	if err := os.Remove(path + ".index"); err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return err
	}
	return SyncDir(filepath.Dir(path))
}
