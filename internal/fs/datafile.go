package fs

import (
	"io"
	"os"
)

// A dataFile is what a [Writer] needs of the file it writes.
type dataFile interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	Sync() error // of the data, and of the size if it changed
}

// An osFile is a dataFile of the system's.
type osFile struct {
	*os.File
	behind writeBehind
}

func newOSFile(f *os.File) (*osFile, error) {
	o := &osFile{File: f, behind: writeBehind{file: f}}
	size, err := o.Size()
	o.behind.reset(size)
	return o, err
}

func (f *osFile) Size() (int64, error) {
	fi, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

func (f *osFile) WriteAt(b []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(b, off)
	if err == nil {
		err = f.behind.wrote(off + int64(n))
	}
	return n, err
}

func (f *osFile) Truncate(size int64) error {
	if err := f.File.Truncate(size); err != nil {
		return err
	}
	f.behind.reset(size)
	return nil
}

func (f *osFile) Sync() error {
	if err := dataSync(f.File); err != nil {
		return err
	}
	f.behind.synced()
	return nil
}
