//go:build darwin || dragonfly || freebsd || illumos || netbsd || openbsd

package fs

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// lockHeld reports whether an open file has the lock on f. Here the locks of flock
// and of fcntl are of one kind, and fcntl can be asked.
func lockHeld(f *os.File) (bool, error) {
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	err := control(f, func(fd int) error { return unix.FcntlFlock(uintptr(fd), unix.F_GETLK, &lock) })
	return lock.Type != unix.F_UNLCK, err
}
