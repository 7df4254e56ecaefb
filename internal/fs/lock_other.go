//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package fs

import (
	"errors"
	"os"
)

// lockExclusive fails: without flock there is no lock that ZODB would respect.
func lockExclusive(*os.File) error { return errors.ErrUnsupported }

func lockHeld(*os.File) (bool, error) { return false, errors.ErrUnsupported }
