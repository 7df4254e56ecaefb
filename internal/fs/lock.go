package fs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"strconv"
)

// ErrLocked is returned by [LockFile] when another writer holds the lock: a
// ZODB that has the database open, another zrs, or this process itself. Waiting
// helps only once that one has closed the database.
var ErrLocked = errors.New("locked by another writer")

// A FileLock is the lock that ZODB's writers hold for as long as they have a
// database open (zc.lockfile): an flock on a file beside the data file. The
// process holds it until [FileLock.Unlock] or its own end, however that comes.
// It must not become garbage before: that would release it.
type FileLock struct{ f *os.File }

// LockFile takes the lock on the lock file path, NAME.lock for the data file
// NAME, and leaves " PID\n" in it for people to read. The file is made if it is
// missing and never removed: whoever unlinked it would let two writers lock two
// files of the same name. LockFile does not wait. When another writer holds the
// lock, the error wraps [ErrLocked] and names the process that the file names.
//
// Read-only users of a data file take no lock.
func LockFile(path string) (*FileLock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	if err := lockExclusive(f); err != nil {
		if errors.Is(err, ErrLocked) {
			err = lockedBy(f)
		} else {
			err = fmt.Errorf("%s: flock: %w", path, err)
		}
		f.Close()
		return nil, err
	}
	if err := writePID(f); err != nil {
		f.Close()
		return nil, err
	}
	return &FileLock{f}, nil
}

// Unlock releases the lock. The file and the process id in it stay.
func (l *FileLock) Unlock() error { return l.f.Close() }

// writePID replaces the content of the lock file, which means nothing to ZODB.
func writePID(f *os.File) error {
	text := fmt.Sprintf(" %d\n", os.Getpid())
	if _, err := f.WriteAt([]byte(text), 0); err != nil {
		return err
	}
	return f.Truncate(int64(len(text)))
}

// CreateLocked is [os.Create] for a file that one process at a time may write: it
// is locked until it is closed. The error wraps [ErrLocked] if another has it.
// Where there are no locks it does without.
func CreateLocked(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, err
		}
		if err := lockExclusive(f); errors.Is(err, ErrLocked) {
			f.Close()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		// The one who had it may have given it another name, or removed it.
		there, errThere := os.Stat(path)
		info, err := f.Stat()
		if err == nil && errThere == nil && os.SameFile(there, info) {
			err = f.Truncate(0)
			if err == nil {
				return f, nil
			}
		}
		f.Close()
		if err != nil {
			return nil, err
		}
	}
}

// errLocksUnseen is returned where no holder of a lock is seen, and there may be one.
var errLocksUnseen = errors.New("none is seen, but the locks of other containers and hosts are not visible from here")

// LockHolder reports whether a writer holds the lock on the lock file path, and
// the process id that the file names, 0 if it names none: on this host, unless
// the writer is on another or in a container. It takes no lock to find out, be it
// for an instant: a writer that started in that instant would find the file
// locked, and give up. Where it can't tell otherwise it returns an error.
func LockHolder(path string) (pid int, held bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, iofs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	if held, err = lockHeld(f); !held {
		return 0, false, err
	}
	return lockPID(f), true, nil
}

// lockedBy returns the error for the lock file f, held by another.
func lockedBy(f *os.File) error {
	if pid := lockPID(f); pid != 0 {
		return fmt.Errorf("%s: %w: process %d", f.Name(), ErrLocked, pid)
	}
	return fmt.Errorf("%s: %w", f.Name(), ErrLocked)
}

// lockPID returns the process id in the lock file f, 0 if there is none.
func lockPID(f *os.File) int {
	// The holder may be between locking and writing, and a zc.lockfile with a
	// template of its own writes more after the number, or something else.
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 64))
	if fields := bytes.Fields(text); err == nil && len(fields) > 0 {
		if pid, err := strconv.ParseInt(string(fields[0]), 10, 32); err == nil && pid > 0 {
			return int(pid)
		}
	}
	return 0
}
