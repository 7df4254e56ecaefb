package epoch

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func selfOf(f *os.File) (self, error) {
	var st unix.Statx_t
	err := unix.Statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, unix.STATX_INO|unix.STATX_BTIME, &st)
	if err != nil {
		return self{}, &os.PathError{Op: "statx", Path: f.Name(), Err: err}
	}
	s := self{Inode: st.Ino}
	if st.Mask&unix.STATX_BTIME != 0 {
		s.Born = time.Unix(st.Btime.Sec, int64(st.Btime.Nsec)).UTC()
	}
	return s, nil
}
