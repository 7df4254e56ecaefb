package main

import (
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"

	"zrs/internal/fs"
)

// An outFile is where a command writes its answer: standard output, or a file
// that appears under its name when it is whole and durable. Either may be
// compressed.
type outFile struct {
	io.Writer
	zstd   *zstd.Encoder // nil if it is not compressed
	file   *os.File      // nil for standard output
	path   string
	direct bool // the file is a device or a pipe, which nothing can take the place of
}

// openOutput opens the file path, or standard output for "" and "-". Beside path
// the file path.part grows, locked against others that write the same.
func openOutput(stdout io.Writer, path string, compress bool) (*outFile, error) {
	o := &outFile{Writer: stdout}
	if path != "" && path != "-" {
		if err := o.open(path); err != nil {
			return nil, err
		}
		o.Writer = o.file
		compress = compress || strings.HasSuffix(path, ".zst")
	}
	if compress {
		enc, err := zstd.NewWriter(o.Writer)
		if err != nil {
			return nil, errors.Join(err, o.abort())
		}
		o.zstd, o.Writer = enc, enc
	}
	return o, nil
}

// open opens what becomes the file path. One that exists keeps its mode, and a
// link to it stays one.
func (o *outFile) open(path string) (err error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, iofs.ErrNotExist):
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a directory", path)
	case !info.Mode().IsRegular():
		o.direct = true
		o.file, err = os.OpenFile(path, os.O_WRONLY, 0)
		return err
	default:
		if path, err = filepath.EvalSymlinks(path); err != nil {
			return err
		}
	}
	if err := notData(path); err != nil {
		return err
	}
	o.path = path
	if o.file, err = fs.CreateLocked(path + ".part"); err != nil || info == nil {
		return err
	}
	if err := o.file.Chmod(info.Mode().Perm()); err != nil {
		return errors.Join(err, o.abort())
	}
	return nil
}

// besideData are the endings of ZODB's own files beside a data file.
var besideData = []string{".index", ".lock", ".tmp"}

// notData refuses to put a text in the place of a data file, or of what belongs to
// one: if a lock was replaced, two writers would hold it.
func notData(path string) error {
	for _, ending := range besideData {
		if base, ok := strings.CutSuffix(path, ending); ok && notData(base) != nil {
			return &guardError{fmt.Errorf("%s belongs to the FileStorage %s: it is not overwritten", path, base)}
		}
	}
	f, err := fs.OpenFile(path)
	if err == nil {
		defer f.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrDamaged) || err == nil && f.Size() == 0 {
		return nil
	}
	return &guardError{fmt.Errorf("%s is a FileStorage: it is not overwritten", path)}
}

// Flush hands on what was written so far, compressed or not.
func (o *outFile) Flush() error {
	if o.zstd == nil {
		return nil
	}
	return o.zstd.Flush()
}

// finish ends the output, and makes the file appear unless err says that it is
// not whole. It returns err and what went wrong besides.
func (o *outFile) finish(err error) error {
	if err != nil && o.file != nil {
		return errors.Join(err, o.abort())
	}
	if o.zstd != nil {
		err = errors.Join(err, o.zstd.Close())
	}
	if o.file == nil {
		return err
	}
	if o.direct {
		return errors.Join(err, o.file.Close())
	}
	if err == nil {
		err = o.file.Sync()
	}
	if err == nil { // before it is closed, which unlocks it
		err = os.Rename(o.file.Name(), o.path)
	}
	if err != nil {
		return errors.Join(err, o.abort())
	}
	return errors.Join(o.file.Close(), fs.SyncDir(filepath.Dir(o.path)))
}

// abort removes an unfinished file.
func (o *outFile) abort() error {
	if o.file == nil {
		return nil
	}
	var err error
	if !o.direct {
		err = os.Remove(o.file.Name())
	}
	o.file.Close()
	return err
}

// sameFile reports whether two paths lead to the same file or directory.
func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}
