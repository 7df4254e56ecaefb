package fs

import (
	"os"

	"golang.org/x/sys/unix"
)

// dataSync makes the data of f durable, with as much of its metadata as it
// takes to read them again (the size, not the times). It also covers what other
// processes wrote to the same file, and works on a descriptor opened for
// reading. After a failure the data may be lost though a later call succeeds:
// the file has to be read again.
func dataSync(f *os.File) error {
	if err := control(f, unix.Fdatasync); err != nil {
		return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
	}
	return nil
}
