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

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	fi, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

func (f osFile) Sync() error { return dataSync(f.File) }
