//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package fs

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lockExclusive locks f without waiting. The error is [ErrLocked] if another
// open file has the lock. It must be flock: ZODB uses that, and on Linux the
// POSIX locks of fcntl neither see it nor are seen by it.
func lockExclusive(f *os.File) error {
	return control(f, func(fd int) error {
		err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			return ErrLocked
		}
		return err
	})
}

// control calls fn with the descriptor of f, which stays open meanwhile, and
// again while a signal interrupts it.
func control(f *os.File, fn func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	err = conn.Control(func(fd uintptr) {
		result = fn(int(fd))
		for errors.Is(result, unix.EINTR) {
			result = fn(int(fd))
		}
	})
	if err != nil {
		return err
	}
	return result
}
