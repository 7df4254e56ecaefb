package bench

import (
	"io"

	"golang.org/x/sys/unix"
)

// A blockingFD is a file descriptor whose thread waits in the system, and not
// for Go's poller.
type blockingFD int

func blockingSocket(fd int) (io.ReadWriter, error) {
	return blockingFD(fd), unix.SetNonblock(fd, false)
}

func (fd blockingFD) Read(b []byte) (int, error) {
	n, err := unix.Read(int(fd), b)
	if n == 0 && err == nil {
		return 0, io.EOF
	}
	return n, err
}

func (fd blockingFD) Write(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var m int
		m, err = unix.Write(int(fd), b[n:])
		n += max(m, 0)
	}
	return n, err
}

// fileEvents returns a function that waits until something is written to a file.
func fileEvents(path string) (wait func() error, err error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if _, err := unix.InotifyAddWatch(fd, path, unix.IN_MODIFY); err != nil {
		return nil, err
	}
	events := make([]byte, 64*unix.SizeofInotifyEvent)
	return func() error {
		_, err := unix.Read(fd, events)
		return err
	}, nil
}
