package epoch

import (
	"fmt"
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
	} else {
		s.Disk = diskOf(f)
	}
	return s, nil
}

// diskOf returns the identity of the file system that f is on, for those of which
// it is known that it is their own and stays: the ext family. A new one of these
// numbers its files as another new one does, and some tell no times of birth.
func diskOf(f *os.File) string {
	var st unix.Statfs_t
	if unix.Fstatfs(int(f.Fd()), &st) != nil || st.Type != unix.EXT4_SUPER_MAGIC {
		return ""
	}
	return fmt.Sprintf("%08x%08x", uint32(st.Fsid.Val[0]), uint32(st.Fsid.Val[1]))
}
