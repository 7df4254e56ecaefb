package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"zrs/internal/fs"
)

// A dataFileToBe is a data file that grows under another name, in a directory
// beside the one that it gets. A crash leaves that directory, which the next
// attempt clears.
type dataFileToBe struct {
	path string // where it grows
	name string // what it becomes
	dir  string
	lock *fs.FileLock // of dir
	old  *fs.FileLock // of the data file that is to be replaced, nil if there is none
}

// newDataFile makes the directory NAME.restoring. If a data file NAME is to be
// replaced, nobody else may have it open for writing.
func newDataFile(name string, replace bool) (_ *dataFileToBe, err error) {
	n := &dataFileToBe{name: name, dir: name + ".restoring"}
	if err := os.Mkdir(n.dir, 0o777); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	n.path = filepath.Join(n.dir, filepath.Base(name))
	if n.lock, err = fs.LockFile(filepath.Join(n.dir, "lock")); err != nil {
		return nil, err
	}
	if replace {
		if n.old, err = fs.LockFile(name + ".lock"); err != nil {
			n.discard()
			return nil, err
		}
	}
	for _, ending := range []string{"", ".index", ".lock"} {
		if err := os.Remove(n.path + ending); err != nil && !errors.Is(err, os.ErrNotExist) {
			n.discard()
			return nil, err
		}
	}
	return n, nil
}

// publish gives the data file and its index, which are whole and durable, their
// names. It returns the name that a replaced data file has now.
func (n *dataFileToBe) publish() (saved string, err error) {
	if n.old != nil {
		saved = n.name + ".old-" + time.Now().UTC().Format("20060102T150405Z")
		return saved, errors.Join(n.replace(saved), fs.SyncDir(filepath.Dir(n.name)))
	}
	// The index comes first: one without a data file does no harm.
	if err := n.moveIndex(); err != nil {
		return "", err
	}
	// A link fails where a file has come up meanwhile, a rename would replace it.
	err = os.Link(n.path, n.name)
	switch {
	case errors.Is(err, os.ErrExist):
		return "", &guardError{fmt.Errorf("%s has come into being meanwhile: it is not overwritten", n.name)}
	case err != nil: // a file system without links
		if err := os.Rename(n.path, n.name); err != nil {
			return "", err
		}
	}
	return "", fs.SyncDir(filepath.Dir(n.name))
}

// replace puts the data file in the place of the old one, which gets the name
// saved. A crash leaves the old or the new one under the name, without an index
// or with its own.
func (n *dataFileToBe) replace(saved string) error {
	if _, err := os.Lstat(saved); err == nil {
		return &guardError{fmt.Errorf("%s exists", saved)}
	}
	if err := n.takeAfter(); err != nil {
		return err
	}
	if err := os.Rename(n.name+".index", saved+".index"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Link(n.name, saved); err != nil { // a file system without links
		if err := os.Rename(n.name, saved); err != nil {
			return err
		}
	}
	if err := os.Rename(n.path, n.name); err != nil {
		return err
	}
	return n.moveIndex()
}

// takeAfter gives the data file the mode and, if we may, the owner of the old one:
// who writes the database must be able to go on.
func (n *dataFileToBe) takeAfter() error {
	info, err := os.Stat(n.name)
	if err != nil {
		return err
	}
	for _, ending := range []string{"", ".index"} {
		if owner, ok := info.Sys().(*syscall.Stat_t); ok {
			err := os.Chown(n.path+ending, int(owner.Uid), int(owner.Gid))
			if err != nil && !errors.Is(err, os.ErrPermission) && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
		if err := os.Chmod(n.path+ending, info.Mode().Perm()); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// moveIndex gives the index its name, if there is one: an empty database has none.
func (n *dataFileToBe) moveIndex() error {
	err := os.Rename(n.path+".index", n.name+".index")
	if errors.Is(err, os.ErrNotExist) {
		err = os.Remove(n.name + ".index")
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// discard removes what is left.
func (n *dataFileToBe) discard() {
	_ = os.RemoveAll(n.dir)
	_ = n.lock.Unlock()
	if n.old != nil {
		_ = n.old.Unlock()
	}
}
