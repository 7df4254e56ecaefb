package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/klauspost/compress/zstd"

	"zrs/internal/fs"
)

// An outFile is where a command writes its answer: standard output, or a file
// that appears under its name when it is whole and durable. Either may be
// compressed.
type outFile struct {
	io.Writer
	zstd *zstd.Encoder // nil if it is not compressed
	file *os.File      // nil for standard output
	path string
}

// openOutput opens the file path, or standard output for "" and "-". Beside path
// the file path.tmp grows.
func openOutput(stdout io.Writer, path string, compress bool) (*outFile, error) {
	o := &outFile{Writer: stdout}
	if path != "" && path != "-" {
		if err := notData(path); err != nil {
			return nil, err
		}
		f, err := os.Create(path + ".tmp")
		if err != nil {
			return nil, err
		}
		o.file, o.path, o.Writer = f, path, f
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

// notData refuses to put a text in the place of a data file.
func notData(path string) error {
	f, err := fs.OpenFile(path)
	if err != nil || f.Size() == 0 {
		return nil
	}
	f.Close()
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
	if err == nil {
		err = o.file.Sync()
	}
	if err != nil {
		return errors.Join(err, o.abort())
	}
	err = o.file.Close()
	if err == nil {
		err = os.Rename(o.file.Name(), o.path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(o.file.Name()))
	}
	return syncDir(filepath.Dir(o.path))
}

// abort removes an unfinished file.
func (o *outFile) abort() error {
	if o.file == nil {
		return nil
	}
	o.file.Close()
	return os.Remove(o.file.Name())
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	// EINVAL is how a file system says that it has nothing to do for a directory.
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) {
		return err
	}
	return nil
}

// sameFile reports whether two paths lead to the same file or directory.
func sameFile(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}
