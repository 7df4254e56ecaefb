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
func lockExclusive(f *os.File) error { return flock(f, unix.LOCK_EX) }

// lockShared is lockExclusive for a lock that others may share.
func lockShared(f *os.File) error { return flock(f, unix.LOCK_SH) }

func flock(f *os.File, how int) error {
	return control(f, func(fd int) error {
		err := unix.Flock(fd, how|unix.LOCK_NB)
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
