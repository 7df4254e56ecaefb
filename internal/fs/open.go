package fs

import (
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
)

// openData opens a data file for reading and checks its magic. A file of no
// bytes is a database that was just created: its magic is zero.
func openData(path string) (*os.File, Magic, error) {
	var magic Magic
	// To open a pipe is to wait for who writes to it.
	if fi, err := os.Stat(path); err == nil && !fi.Mode().IsRegular() {
		return nil, magic, errIrregular(path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, magic, err
	}
	if magic, err = readMagic(f, path); err != nil {
		f.Close()
		return nil, magic, err
	}
	return f, magic, nil
}

func readMagic(f *os.File, path string) (Magic, error) {
	var magic Magic
	if fi, err := f.Stat(); err == nil && !fi.Mode().IsRegular() {
		return magic, errIrregular(path)
	}
	n, err := f.ReadAt(magic[:], 0)
	switch {
	case n == 0 && err == io.EOF:
		return Magic{}, nil
	case n < magicSize && err == io.EOF:
		return magic, fmt.Errorf("%s: %w: only %d bytes", path, ErrFormat, n)
	case n < magicSize:
		return magic, fmt.Errorf("%s: %w", path, err)
	}
	switch magic {
	case MagicPython3, MagicPython2:
		return magic, nil
	case Magic{'F', 'S', '2', '0'}, Magic{'F', 'S', '1', '0'}, Magic{'F', 'S', '4', '3'}:
		return magic, fmt.Errorf("%s: %w: format %s is too old; open and pack it with the ZODB it was made by", path, ErrFormat, magic[:])
	}
	if fi, err := f.Stat(); err == nil && isWhole(f, path, FirstOffset, fi.Size()) {
		return magic, &RecordError{
			Path: path, Kind: KindMagic, Err: ErrFormat,
			Detail: fmt.Sprintf("damaged magic: it starts with %q, not FS30, but a whole transaction follows", magic[:]),
		}
	}
	return magic, fmt.Errorf("%s: %w: it starts with %q, not FS30", path, ErrFormat, magic[:])
}

func errIrregular(path string) error {
	return fmt.Errorf("%s: %w: not a regular file", path, ErrFormat)
}

// errPython2 says why a file with magic FS21 can't be replicated.
func errPython2(path string) error {
	return fmt.Errorf("%s: %w: it was made by ZODB on Python 2 (FS21); convert it to Python 3 first", path, ErrFormat)
}

// checkNeverWas refuses to take a missing or empty data file for a new
// database where a pack's files say that there was one.
func checkNeverWas(path string) error {
	for _, suffix := range []string{".old", ".pack"} {
		if _, err := os.Stat(path + suffix); err == nil {
			return fmt.Errorf("%s: %w: there is no data file but %s%s exists: "+
				"a pack was probably interrupted; rename the right one to %s", path, ErrWouldCreate, path, suffix, path)
		} else if !errors.Is(err, iofs.ErrNotExist) {
			return err
		}
	}
	return nil
}
