package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"iter"
	"os"
)

// A File is a data file as it was when it was opened, for whoever looks at it:
// it takes no lock and changes nothing. What another process appends later is
// not part of it, and a pack that puts another file in its place leaves it as it
// was. Methods are safe for concurrent use.
type File struct {
	path  string
	file  *os.File
	info  os.FileInfo
	magic Magic
}

// OpenFile opens the data file at path. It fails with [ErrFormat] if that is no
// data file; of ZODB on Python 2 is fine, and so is a file of no bytes, which is
// a database that was just created.
func OpenFile(path string) (*File, error) {
	f, magic, err := openData(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &File{path: path, file: f, info: info, magic: magic}, nil
}

// Path returns the name that the file was opened by.
func (f *File) Path() string { return f.path }

// Magic returns the format, zero for a file of no bytes.
func (f *File) Magic() Magic { return f.magic }

// Info returns the size and the times that the file had when it was opened.
func (f *File) Info() iofs.FileInfo { return f.info }

// Size returns how many bytes the file had when it was opened.
func (f *File) Size() int64 { return f.info.Size() }

// ReadAt is [io.ReaderAt], within the size that the file had. A transaction that
// was voted then may be aborted since, which cuts it off: bytes that are gone
// are zeros, and so remain an unfinished transaction at the end.
func (f *File) ReadAt(b []byte, off int64) (int, error) {
	left := f.Size() - off
	if left <= 0 {
		return 0, io.EOF
	}
	in := b[:min(left, int64(len(b)))]
	n, err := f.file.ReadAt(in, off)
	if errors.Is(err, io.EOF) {
		clear(in[n:])
		n, err = len(in), nil
	}
	if err == nil && n < len(b) {
		err = io.EOF
	}
	return n, err
}

// stillHas returns an error if the file has become shorter than end, where a
// finished transaction ended: no writer does that.
func (f *File) stillHas(end int64) error {
	info, err := f.file.Stat()
	if err == nil && info.Size() < min(end, f.Size()) {
		err = fmt.Errorf("%s: %w: to %d bytes, transactions were read up to %d", f.path, ErrTruncated, info.Size(), end)
	}
	return err
}

// Close closes the file.
func (f *File) Close() error { return f.file.Close() }

// Reader returns a reader of the transactions in [pos, end), see [NewReader].
func (f *File) Reader(pos, end int64) *Reader { return NewReader(f, f.path, pos, end) }

// TxnAt returns the finished transaction that starts at an offset to which a
// pointer led, if one does. Its records are not looked at.
func (f *File) TxnAt(off int64) (*Txn, bool) {
	if off < FirstOffset || off >= f.Size() {
		return nil, false
	}
	r := f.Reader(off, f.Size())
	h, kind, _, err := r.header()
	if err != nil || kind != "" || r.texts(&h) != nil {
		return nil, false
	}
	return &r.txn, true
}

// A Place is a position between two transactions.
type Place struct {
	Offset int64
	TID    TID // of the transaction before it, 0 if there is none
}

// End finds the end of the last whole, finished transaction. What stands behind
// it is told in tail: nil if nothing does, else a [RecordError] that matches
// [ErrTornTail] or [ErrDamaged]. Only if there is something behind it, and no
// index helps, is the file read from the start to find it; then structure is
// checked as far as headers go.
func (f *File) End(ctx context.Context) (end Place, tail, err error) {
	if f.Size() <= FirstOffset {
		return Place{Offset: FirstOffset}, nil, nil
	}
	start, h, err := txnBefore(f.window(), f.Size())
	if err != nil {
		return end, nil, f.ioError(f.Size(), err)
	}
	// An unfinished transaction may hold data that ends like a finished one,
	// but not with records that say that they are where they are.
	if h.tid != 0 && isWhole(f, f.path, start, f.Size()) {
		return Place{f.Size(), h.tid}, nil, nil
	}
	end = Place{Offset: FirstOffset}
	if hint, ok := trustIndex(f.path, f, f.Size()); ok {
		end = Place{hint.end, hint.tid}
	}
	for txn, err := range f.Reader(end.Offset, f.Size()).All() {
		switch {
		case ctx.Err() != nil:
			return end, nil, context.Cause(ctx)
		case errors.Is(err, ErrTornTail), errors.Is(err, ErrDamaged):
			return end, err, nil
		case err != nil:
			return end, nil, err
		}
		end = Place{txn.End(), txn.TID}
	}
	return end, nil, nil
}

// After finds the first transaction that is later than tid, among those before
// end: the place is where it starts. It looks near the end first, then at what
// the saved index tells; with neither it walks over headers from the start of
// the file.
func (f *File) After(ctx context.Context, tid TID, end Place) (Place, error) {
	at := end
	for range lookBack {
		if at.TID <= tid {
			return at, nil
		}
		start, before, err := f.before(at.Offset)
		if err != nil {
			break // the way from the start says what is wrong, if it leads here
		}
		at = Place{start, before}
	}
	start := FirstOffset
	if hint, ok := trustIndex(f.path, f, end.Offset); ok {
		var cps checkpoints
		cps.merge(hint.starts)
		start = cps.before(tid)
	}
	at = Place{Offset: start}
	for txn, err := range f.Reader(start, end.Offset).All() {
		switch {
		case ctx.Err() != nil:
			return at, context.Cause(ctx)
		case err != nil:
			return at, err
		case txn.TID > tid:
			return at, nil
		}
		at = Place{txn.End(), txn.TID}
	}
	return at, nil
}

// lookBack is how many transactions After passes over backward before it takes
// the other way.
const lookBack = 4096

// before returns the start of the transaction that ends at end, and the TID of
// the one before that.
func (f *File) before(end int64) (start int64, previous TID, err error) {
	start, h, err := txnBefore(f.window(), end)
	if err == nil && h.tid == 0 {
		err = f.noTxn(end)
	}
	if err != nil || start == FirstOffset {
		return start, 0, err
	}
	if _, h, err = txnBefore(f.window(), start); err == nil && h.tid == 0 {
		err = f.noTxn(start)
	}
	return start, h.tid, err
}

// Backward ranges over the transactions before the offset end, the last one
// first. A failure is the last pair, with a nil transaction. Each transaction is
// valid for its own iteration; its records are read with a [Reader] of the bytes
// it takes.
func (f *File) Backward(end int64) iter.Seq2[*Txn, error] {
	return func(yield func(*Txn, error) bool) {
		for end > FirstOffset {
			start, h, err := txnBefore(f.window(), end)
			switch {
			case err != nil:
				err = f.ioError(end, err)
			case h.tid == 0:
				err = f.noTxn(end)
			}
			var txn *Txn
			if err == nil {
				txn, err = f.Reader(start, end).Next()
			}
			if !yield(txn, err) || err != nil {
				return
			}
			end = start
		}
	}
}

// noTxn says that no whole transaction ends at an offset.
func (f *File) noTxn(end int64) error {
	return &RecordError{
		Path: f.path, Offset: max(end-trailerSize, 0), Kind: KindTrailer,
		Detail: fmt.Sprintf("no whole transaction ends at %d", end),
	}
}

func (f *File) ioError(off int64, err error) error {
	return &RecordError{Path: f.path, Offset: off, Kind: KindIO, Err: err}
}

func (f *File) window() *window { return &window{src: f, end: f.Size()} }
