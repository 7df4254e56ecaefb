//go:build !linux

package fs

import "os"

// dataSync makes f durable. There is no fdatasync that every other system has.
func dataSync(f *os.File) error { return f.Sync() }
