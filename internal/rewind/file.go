package rewind

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"zrs/internal/fs"
)

// ErrPacked is returned for a cut that lies among what a pack has rewritten: what
// the objects were at that time is not in the file any more.
var ErrPacked = errors.New("what was current then is gone, packed for a later time")

// A File is a data file that is to be rewound.
type File struct {
	path    string
	lock    *fs.FileLock // of its writers; nil if the file is only looked at
	file    *fs.File
	end     fs.Place
	tail    error // of kind torn-tail, nil if there is none
	journal *journal
	stage   Stage
	log     *slog.Logger

	// step is called before and after each step, for tests: a process may die
	// there.
	step func(name string)
}

// A Stage tells what an earlier run has left.
type Stage int

// The stages.
const (
	None  Stage = iota // nothing
	Saved              // a rewind was begun; the data file is as it was
	Cut                // the data file is cut; its index or blobs may still have to be mended
	Void               // one was begun, but the data file has been changed since
)

// Open opens the data file at path. To rewind it, nobody else may have it open for
// writing; to look at it takes no lock and changes nothing. Errors match those of
// [fs.OpenWriter]; damage at the end is one of them, a torn tail is none.
func Open(ctx context.Context, path string, look bool, log *slog.Logger) (_ *File, err error) {
	r := &File{path: path, log: log, step: func(string) {}}
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	if !look {
		if err := fs.MayWrite(path); err != nil {
			return nil, err
		}
		if r.lock, err = fs.LockFile(path + ".lock"); err != nil {
			return nil, err
		}
	}
	if err := r.open(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func (r *File) open(ctx context.Context) (err error) {
	if r.file, err = fs.OpenFile(r.path); err != nil {
		return err
	}
	if r.file.Magic() == fs.MagicPython2 {
		return fmt.Errorf("%s: %w: it was made by ZODB on Python 2 (FS21)", r.path, fs.ErrFormat)
	}
	if r.end, r.tail, err = r.file.End(ctx); err != nil {
		return err
	}
	if errors.Is(r.tail, fs.ErrDamaged) {
		return r.tail
	}
	if r.journal, err = readJournal(r.path); err != nil || r.journal == nil {
		return err
	}
	r.stage, err = r.journal.stage(r)
	return err
}

// Left returns what an earlier run has left beside the data file at path, which is
// only looked at, and only if there is a journal.
func Left(ctx context.Context, path string) (Stage, error) {
	if there, err := exists(JournalPath(path)); !there || err != nil {
		return None, err
	}
	r, err := Open(ctx, path, true, slog.New(slog.DiscardHandler))
	if err != nil {
		return None, err
	}
	return r.stage, r.Close()
}

// Close lets go of the file and its lock.
func (r *File) Close() error {
	var errs []error
	if r.file != nil {
		errs = append(errs, r.file.Close())
	}
	if r.lock != nil {
		errs = append(errs, r.lock.Unlock())
	}
	return errors.Join(errs...)
}

// Data returns the data file as it was when it was opened, and where its
// transactions end.
func (r *File) Data() (f *fs.File, end fs.Place) { return r.file, r.end }

// Begun returns what an earlier run has left, and if it is anything the
// transaction that it kept as the last one, and its salvage.
func (r *File) Begun() (stage Stage, kept fs.TID, salvage string) {
	if r.stage == None {
		return None, 0, ""
	}
	return r.stage, r.journal.Kept.TID, r.journal.salvage(r.path)
}

// A reader reads transactions with the data of their records, wherever it is.
type reader struct {
	*fs.Reader
	rec   *fs.Record
	found fs.Resolved
	buf   []byte
}

func (r *File) reader(from, to int64) *reader { return &reader{Reader: r.file.Reader(from, to)} }

// next moves to the next record, nil after the last.
func (r *reader) next() (*fs.Record, error) {
	rec, err := r.NextRecord()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r.rec = rec
	r.found = fs.Resolved{Offset: rec.DataOffset(), Length: rec.Length}
	if rec.Length == 0 {
		r.found, err = r.Resolve()
	}
	return rec, err
}

// data returns the data of the record, nil if the object is gone. It is valid
// until the following call.
func (r *reader) data() ([]byte, error) {
	switch {
	case r.found.Gone:
		return nil, nil
	case r.rec.Length > 0:
		return r.Data()
	}
	if int64(cap(r.buf)) < r.found.Length {
		r.buf = make([]byte, r.found.Length)
	}
	r.buf = r.buf[:r.found.Length]
	return r.buf, r.ReadData(r.buf, r.found.Offset)
}
