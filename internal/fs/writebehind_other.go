//go:build !linux

package fs

import (
	"errors"
	"os"
)

func startWriting(*os.File, int64, int64) error { return errors.ErrUnsupported }
func waitWritten(*os.File, int64, int64) error  { return errors.ErrUnsupported }
func dropCache(*os.File, int64, int64)          {}
