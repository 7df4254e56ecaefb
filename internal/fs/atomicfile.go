package fs

import (
	"bufio"
	"errors"
	"io"
	iofs "io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// SyncDir makes the names in the directory path durable: what was created,
// renamed or removed there.
func SyncDir(path string) error {
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

// replaceFile gives the file path the content that write produces, durably. A
// crash at any time leaves the old content or the new one under that name, and
// perhaps the file tmp, in which the new content grows: it must be in the same
// directory, and whatever is there under its name is overwritten. On failure
// tmp is removed, and path is as before, unless only the last sync failed.
func replaceFile(path, tmp string, write func(io.Writer) error) (err error) {
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp) // gone already if the rename was done
		}
	}()
	if err := writeAndSync(f, write); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// writeAndSync writes f through a buffer, makes it durable and closes it.
func writeAndSync(f *os.File, write func(io.Writer) error) error {
	w := bufio.NewWriterSize(f, 256<<10)
	err := write(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// ReplaceFile gives the file path the content that content returns for the new
// file, which is empty yet and will have that name. It is durable when it
// returns; a crash at any time leaves the old content or the new one, and
// perhaps a file path.tmp. On failure path is as before, unless only the last
// sync failed.
func ReplaceFile(path string, content func(f *os.File) ([]byte, error)) (err error) {
	tmp := path + ".tmp"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp) // gone already if the rename was done
		}
	}()
	b, err := content(f)
	if err == nil {
		_, err = f.Write(b)
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}
