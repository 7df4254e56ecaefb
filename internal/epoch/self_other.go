//go:build !linux && !darwin && !freebsd && !netbsd

package epoch

import "os"

// selfOf can't tell a file from its copies here.
func selfOf(*os.File) (self, error) { return self{}, nil }
