//go:build unix

package fs

import (
	iofs "io/fs"

	"golang.org/x/sys/unix"
)

// mayWrite returns why this process may not write the file, or in the directory,
// at path, or nil.
func mayWrite(path string) error {
	if err := unix.Access(path, unix.W_OK); err != nil {
		return &iofs.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}
