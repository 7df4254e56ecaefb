//go:build !linux

package bench

import (
	"io"
	"net"
	"os"
)

func blockingSocket(fd int) (io.ReadWriter, error) {
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	return net.FileConn(f)
}

// fileEvents returns a function that waits a moment, in which something may have
// been written to a file.
func fileEvents(string) (wait func() error, err error) {
	return func() error {
		rest(pause)
		return nil
	}, nil
}
