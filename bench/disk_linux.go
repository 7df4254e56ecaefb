package bench

import (
	"os"

	"golang.org/x/sys/unix"
)

// datasync makes what was written to f durable, without the times of the file.
func datasync(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }

// syncDisk makes everything on the file system that holds dir durable.
func syncDisk(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}
