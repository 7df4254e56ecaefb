package control

import (
	"context"
	"fmt"
	iofs "io/fs"
	"net"
	"os"
	"sync"
	"syscall"
)

// SocketPath returns where the control socket of a data file is, if no other place
// was given.
func SocketPath(data string) string { return data + ".control" }

// IsSocket reports whether a path is that of a control socket, and not one where
// secondaries connect: it is its owner's alone.
func IsSocket(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.Mode() == iofs.ModeSocket|0o600
}

// maxSocketPath is how long a socket's path may be on any system: some have less
// than 108 bytes for it.
const maxSocketPath = 103

// umask is what all files of a process are made with. It is changed for a moment
// only.
var umask sync.Mutex

// Restrict calls listen, which makes a socket, so that only its owner may use that.
func Restrict(ctx context.Context, path string, listen func(ctx context.Context, network, address string) (net.Listener, error)) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("%s: a socket's path may have %d bytes, this has %d", path, maxSocketPath, len(path))
	}
	umask.Lock()
	defer umask.Unlock()
	defer syscall.Umask(syscall.Umask(0o177))
	return listen(ctx, "unix", path)
}
