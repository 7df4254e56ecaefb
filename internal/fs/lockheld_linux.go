package fs

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lockHeld reports whether an open file has the lock on f. There is no call that
// asks for that without taking it, so it looks at the kernel's list. That has no
// locks of processes that we can't see.
func lockHeld(f *os.File) (bool, error) {
	want, err := lockName(f)
	if err != nil {
		return false, err
	}
	locks, err := os.Open("/proc/locks")
	if err != nil {
		return false, err
	}
	defer locks.Close()
	list := bufio.NewScanner(locks)
	for list.Scan() {
		// 1: FLOCK  ADVISORY  WRITE 19702 fe:00:10174695 0 EOF
		fields := strings.Fields(list.Text())
		if len(fields) > 5 && fields[1] == "FLOCK" && fields[5] == want {
			return true, nil
		}
	}
	if err := list.Err(); err != nil {
		return false, err
	}
	return false, seesAllLocks(f)
}

// lockName returns how /proc/locks names f: by the device of its mount, which is
// not always the one that stat tells, and its inode.
func lockName(f *os.File) (string, error) {
	var mount, device, inode string
	err := control(f, func(fd int) error {
		var stat unix.Stat_t
		if err := unix.Fstat(fd, &stat); err != nil {
			return fmt.Errorf("stat: %w", err)
		}
		inode = strconv.FormatUint(stat.Ino, 10)
		info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
		for line := range strings.Lines(string(info)) {
			if id, ok := strings.CutPrefix(line, "mnt_id:"); ok {
				mount = strings.TrimSpace(id)
			}
		}
		return err
	})
	if err != nil {
		return "", err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(mounts)) {
		// 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
		if fields := strings.Fields(line); len(fields) > 2 && fields[0] == mount {
			device = fields[2]
		}
	}
	var major, minor int
	if _, err := fmt.Sscanf(device, "%d:%d", &major, &minor); err != nil {
		return "", errLocksUnseen
	}
	return fmt.Sprintf("%02x:%02x:%s", major, minor, inode), nil
}

// remote are file systems whose locks may be held by another host, or on our own
// by a process of theirs.
var remote = map[int64]bool{
	unix.NFS_SUPER_MAGIC: true, unix.SMB_SUPER_MAGIC: true, unix.CIFS_SUPER_MAGIC: true, unix.SMB2_SUPER_MAGIC: true,
	unix.FUSE_SUPER_MAGIC: true, unix.V9FS_MAGIC: true, unix.CEPH_SUPER_MAGIC: true, unix.AFS_SUPER_MAGIC: true,
}

// allProcesses is the name of the namespace in which all processes are seen.
const allProcesses = "pid:[4026531836]"

// seesAllLocks returns an error if there may be locks on f that are not listed.
func seesAllLocks(f *os.File) error {
	namespace, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return err
	}
	var stat unix.Statfs_t
	err = control(f, func(fd int) error { return unix.Fstatfs(fd, &stat) })
	if err == nil && (namespace != allProcesses || remote[int64(stat.Type)]) { //nolint:unconvert // it is another type elsewhere
		err = errLocksUnseen
	}
	return err
}
