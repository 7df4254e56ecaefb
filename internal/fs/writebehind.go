package fs

import (
	"errors"
	"os"
	"sync"
	"syscall"
)

// writeBehindSize is how much is written to a file before it is sent on to the
// disk: enough for a disk to be efficient.
const writeBehindSize = 8 << 20

// A writeBehind sends what is written to a file on to the disk as more comes, so
// that the sync that makes it durable has little left to do, and takes it out of
// the page cache once it is there. A secondary that is seeded would fill the
// memory of its machine with what nobody reads, and take each page of it new:
// where the memory of virtual machines is given out page by page, that costs
// more than all the rest (1 GB on such a machine: 2.0 s, recycled 0.5 s).
//
// What is synced before it is writeBehindSize long stays as it is. A crash finds
// nothing on disk that it could not have found otherwise.
type writeBehind struct {
	file *os.File

	mu      sync.Mutex
	done    int64 // before this, nothing is to be done
	started int64 // before this, writing has started
	end     int64 // of what was written
	off     bool  // the system or the file system can't
}

// wrote notes that the file was written up to end. An error is one of writing
// to disk, which no later sync may return again.
func (w *writeBehind) wrote(end int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.end = max(w.end, end)
	if w.off || w.end-w.started < writeBehindSize {
		return nil
	}
	err := startWriting(w.file, w.started, w.end-w.started)
	if err == nil && w.done < w.started {
		if err = waitWritten(w.file, w.done, w.started-w.done); err == nil {
			dropCache(w.file, w.done, w.started-w.done)
		}
	}
	w.done, w.started = w.started, w.end
	if errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &os.PathError{Op: "write", Path: w.file.Name(), Err: err}
	}
	w.off = err != nil
	return nil
}

// synced notes that all that was written is durable.
func (w *writeBehind) synced() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.off && w.done < w.started {
		dropCache(w.file, w.done, w.end-w.done)
	}
	w.done, w.started = w.end, w.end
}

// reset notes that the file ends at end.
func (w *writeBehind) reset(end int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done, w.started, w.end = end, end, end
}
