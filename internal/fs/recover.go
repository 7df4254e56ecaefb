package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"log/slog"
	"os"
	"path/filepath"
)

// OpenWriter locks the data file at path and opens it for appending.
//
// A torn tail (see [ErrTornTail]) is saved beside the file, as NAME.trN, before
// it is cut off; the last TID is that of the last transaction that is kept.
// With damage, which is anything that has whole transactions behind it or that
// no crash explains, the file is left as it is and the error matches
// [ErrDamaged]. Other errors: [ErrLocked]; [ErrFormat]; one that matches
// io/fs.ErrNotExist if there is no file and none is to be created;
// [ErrWouldCreate].
//
// The index is the saved one, if it is right as far as a sample of it tells,
// else it is rebuilt from the file; ctx can end that.
func OpenWriter(ctx context.Context, path string, opts WriterOptions) (*Writer, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if err := checkParent(path); err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); errors.Is(err, iofs.ErrNotExist) && !opts.Create {
		if was := checkNeverWas(path); was != nil {
			return nil, was
		}
		return nil, err
	}
	lock, err := LockFile(path + ".lock")
	if err != nil {
		return nil, err
	}
	w := &Writer{path: path, lock: lock, logger: opts.Logger}
	if err := w.open(ctx, opts); err != nil {
		err = errors.Join(err, w.removeUnused())
		if w.file != nil {
			w.file.Close()
		}
		return nil, errors.Join(err, lock.Unlock())
	}
	return w, nil
}

// checkParent gives a clear error for a directory that is not there, where the
// lock file would be the first thing to miss it.
func checkParent(path string) error {
	fi, err := os.Stat(filepath.Dir(path))
	if err == nil && !fi.IsDir() {
		return fmt.Errorf("%s: not a directory", filepath.Dir(path))
	}
	return err
}

func (w *Writer) open(ctx context.Context, opts WriterOptions) error {
	f, created, err := openOrCreate(w.path, opts.Create)
	if err != nil {
		return err
	}
	w.created = created
	file, err := newOSFile(f)
	w.file = file
	if err != nil {
		return err
	}
	if opts.wrap != nil {
		w.file = opts.wrap(w.file)
	}
	if w.opened, err = f.Stat(); err != nil {
		return err
	}
	size, err := w.file.Size()
	if err != nil {
		return err
	}
	if size > MaxOffset {
		return fmt.Errorf("%s: %w: %d bytes are more than index files can express", w.path, ErrFormat, size)
	}
	follow, err := os.Open(w.path) // of its own, since cursors outlive the writer
	if err != nil {
		return err
	}
	w.log = newLog(w.path, follow)
	if err := w.load(ctx, size); err != nil {
		w.log.close(err)
		return err
	}
	if opts.BlobDir != "" { // only now: it takes away what an earlier writer left
		if w.blobs, err = CreateBlobDir(opts.BlobDir); err != nil {
			w.log.close(err)
			return err
		}
	}
	w.log.setReady()
	return nil
}

// openOrCreate opens a data file for writing; an empty or, if wanted, a missing
// one becomes a new database.
func openOrCreate(path string, create bool) (f *os.File, created bool, err error) {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE
	}
	fi, err := os.Stat(path)
	created = errors.Is(err, iofs.ErrNotExist)
	if created || err == nil && fi.Size() == 0 {
		if err := checkNeverWas(path); err != nil {
			return nil, false, err
		}
	}
	if f, err = os.OpenFile(path, flags, 0o666); err != nil {
		return nil, false, err
	}
	magic, err := readMagic(f, path)
	switch {
	case err != nil:
	case magic == MagicPython2:
		err = errPython2(path)
	case magic == Magic{}:
		err = initialize(f, path)
	}
	if err != nil {
		f.Close()
		return nil, false, err
	}
	return f, created, nil
}

// initialize makes an empty file an empty database. A crash before the end of
// it leaves an empty file, which is one too.
func initialize(f *os.File, path string) error {
	if _, err := f.WriteAt(MagicPython3[:], 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// load finds the end of the file and fills the index.
func (w *Writer) load(ctx context.Context, size int64) error {
	// What a process that was killed had written may be in memory only.
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("%s: sync: %w", w.path, err)
	}
	s, idx, err := loadIndex(ctx, w.log, w.file, size)
	if err != nil {
		return err
	}
	if s.err != nil {
		if err := w.cutTail(s.end, size, s.err); err != nil {
			return err
		}
	}
	w.idx = idx
	w.pos, w.bufAt, w.tid = s.end, s.end, s.tid
	w.batch.start, w.finished.tid = s.end, s.tid
	return nil
}

// loadIndex returns an index of all finished transactions in the first size
// bytes of a data file, and publishes them in log: from the saved index if that
// is right, as far as a sample of it tells, and from the file. A torn tail is
// left out, and told in the result's err.
func loadIndex(ctx context.Context, log *Log, src io.ReaderAt, size int64) (scanned, *Index, error) {
	start, tid := FirstOffset, TID(0)
	idx := new(Index)
	if hint, ok := trustIndex(log.path, src, size); ok {
		saved, end, err := ReadIndexFile(log.path + ".index")
		if err == nil && end == hint.end {
			idx, start, tid = saved, hint.end, hint.tid
			log.trust(hint)
		}
	}
	var cps checkpoints
	s, err := scan(ctx, src, log.path, start, size, tid, idx, &cps)
	if err == nil && s.err != nil && !errors.Is(s.err, ErrTornTail) {
		err = s.err
	}
	if err != nil {
		return s, nil, err
	}
	log.publish(s.end, s.tid, cps.list)
	return s, idx, nil
}

// EmptyLog returns the log of a database that does not exist, and could be
// created: else [ErrWouldCreate], or what is wrong with the directory.
func EmptyLog(path string) (*Log, *Index, error) {
	if err := errors.Join(checkParent(path), checkNeverWas(path)); err != nil {
		return nil, nil, err
	}
	if err := mayWrite(filepath.Dir(path)); err != nil {
		return nil, nil, err
	}
	log := newLog(path, nil)
	log.setReady()
	return log, new(Index), nil
}

// MayWrite returns why OpenWriter would not be allowed to write the data file at
// path, which exists, or nil.
func MayWrite(path string) error {
	return errors.Join(mayWrite(filepath.Dir(path)), mayWrite(path))
}

// OpenReadOnly opens the data file at path as it is now, for looking at it: it
// takes no lock and changes nothing. A torn tail is left out. Close the log's
// file with the returned function.
func OpenReadOnly(ctx context.Context, path string) (*Log, *Index, func(), error) {
	f, magic, err := openData(path)
	if err != nil {
		return nil, nil, nil, err
	}
	log := newLog(path, f)
	log.magic = magic
	done := func() { log.close(os.ErrClosed) }
	if magic != (Magic{}) {
		fi, err := f.Stat()
		var idx *Index
		if err == nil {
			_, idx, err = loadIndex(ctx, log, f, fi.Size())
		}
		if err != nil {
			done()
			return nil, nil, nil, err
		}
		log.setReady()
		return log, idx, done, nil
	}
	log.setReady()
	return log, new(Index), done, nil
}

// cutTail saves what is in the file from end on, and cuts it off. A crash in
// between leaves the tail where it was, and perhaps an incomplete copy of it;
// the next open makes another.
func (w *Writer) cutTail(end, size int64, why error) error {
	name, err := saveTail(w.path, w.file, end, size)
	if err != nil {
		return fmt.Errorf("%s: saving the torn tail at %d before it is cut off: %w", w.path, end, err)
	}
	if err := w.file.Truncate(end); err != nil {
		return err
	}
	if err := w.file.Sync(); err != nil {
		return err
	}
	w.logger.Warn("cut an incomplete transaction off the end of the data file",
		"path", w.path, "offset", end, "bytes", size-end, "saved", name, "err", why)
	return nil
}

// saveTail copies the bytes [end, size) of a data file to the first of
// NAME.tr0, NAME.tr1, ... that does not exist, as ZODB does, and returns its
// name. A batch of a [Writer] that was killed goes to NAME.trz, in place of the
// last such: it will come again from where it came, and must not fill the disk.
func saveTail(path string, src io.ReaderAt, end, size int64) (string, error) {
	var head [txnHeaderSize]byte
	if n, _ := src.ReadAt(head[:], end); n == len(head) {
		if h := decodeFixedHeader(head[:]); h.status == StatusCheckpoint && h.length == unknownLength {
			name := path + ".trz"
			return name, replaceFile(name, name+".tmp", func(w io.Writer) error {
				_, err := io.Copy(w, io.NewSectionReader(src, end, size-end))
				return err
			})
		}
	}
	for n := 0; ; n++ {
		name := fmt.Sprintf("%s.tr%d", path, n)
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, iofs.ErrExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = io.Copy(f, io.NewSectionReader(src, end, size-end))
		if err == nil {
			err = f.Sync()
		}
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err == nil {
			err = SyncDir(filepath.Dir(path))
		}
		if err != nil {
			_ = os.Remove(name) // only a copy
			return "", err
		}
		return name, nil
	}
}
