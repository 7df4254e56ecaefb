package repl

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
)

// LocalSource returns a source that is a primary of this process, as if it were
// reached over the network. Its connections end when ctx is done; stop waits
// for them.
func LocalSource(ctx context.Context, name string, p *Primary) (src Source, stop func()) {
	l := &pairListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	var why atomic.Pointer[error]
	p.failed = func(err error) { why.Store(&err) }
	ctx, cancel := context.WithCancel(ctx)
	var serving sync.WaitGroup
	serving.Go(func() { _ = p.Serve(ctx, l) }) // the log's errors reach the secondary as a hang-up
	dial := func(ctx context.Context) (net.Conn, error) {
		ours, theirs, err := socketPair()
		if err != nil {
			return nil, err
		}
		select {
		case l.conns <- theirs:
			return ours, nil
		case <-l.closed:
			err = net.ErrClosed
			if failed := p.Log.Err(); failed != nil {
				err = failed
			}
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		ours.Close()
		theirs.Close()
		return nil, err
	}
	failure := func() error {
		if err := why.Load(); err != nil {
			return *err
		}
		return p.Log.Err()
	}
	return Source{Name: name, Dial: dial, failure: failure}, func() {
		cancel()
		serving.Wait()
	}
}

// A pairListener hands on connections that were made in this process.
type pairListener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *pairListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pairListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pairListener) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// socketPair returns two ends of a connection. The system buffers what is
// written, as it does for any other.
func socketPair() (a, b net.Conn, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socketpair: %w", err)
	}
	var conns [2]net.Conn
	var errs [2]error
	for i, fd := range fds {
		syscall.CloseOnExec(fd)
		f := os.NewFile(uintptr(fd), "socketpair")
		conns[i], errs[i] = net.FileConn(f) // has a descriptor of its own
		f.Close()
	}
	for i, err := range errs {
		if err != nil {
			if conns[1-i] != nil {
				conns[1-i].Close()
			}
			return nil, nil, err
		}
	}
	return conns[0], conns[1], nil
}
