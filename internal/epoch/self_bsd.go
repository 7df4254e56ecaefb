//go:build darwin || freebsd || netbsd

package epoch

import (
	"os"
	"syscall"
	"time"
)

func selfOf(f *os.File) (self, error) {
	fi, err := f.Stat()
	if err != nil {
		return self{}, err
	}
	st := fi.Sys().(*syscall.Stat_t)
	return self{Inode: uint64(st.Ino), Born: time.Unix(st.Birthtimespec.Unix()).UTC()}, nil
}
