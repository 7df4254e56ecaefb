package fs

import (
	"os"

	"golang.org/x/sys/unix"
)

// startWriting has the system start to write a part of f to disk.
func startWriting(f *os.File, off, n int64) error {
	return control(f, func(fd int) error {
		return unix.SyncFileRange(fd, off, n, unix.SYNC_FILE_RANGE_WRITE)
	})
}

// waitWritten waits until a part of f is on disk. It is not durable then: the
// disk may have it in a cache of its own, and what leads to it may be missing.
func waitWritten(f *os.File, off, n int64) error {
	return control(f, func(fd int) error {
		return unix.SyncFileRange(fd, off, n,
			unix.SYNC_FILE_RANGE_WAIT_BEFORE|unix.SYNC_FILE_RANGE_WRITE|unix.SYNC_FILE_RANGE_WAIT_AFTER)
	})
}

// dropCache takes a part of f out of the page cache, all of it from off on if n
// is 0. What is not on disk yet stays.
func dropCache(f *os.File, off, n int64) {
	_ = control(f, func(fd int) error { return unix.Fadvise(fd, off, n, unix.FADV_DONTNEED) })
}
