package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"zrs/internal/fs"
)

// A dataFileToBe is a data file that grows under another name, in a directory
// beside the one that it gets. A crash leaves that directory, which the next
// attempt clears.
type dataFileToBe struct {
	path string // where it grows
	name string // what it becomes
	dir  string
	lock *fs.FileLock
}

// newDataFile makes the directory FS.restoring.
func newDataFile(name string) (*dataFileToBe, error) {
	n := &dataFileToBe{name: name, dir: name + ".restoring"}
	if err := os.Mkdir(n.dir, 0o777); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	n.path = filepath.Join(n.dir, filepath.Base(name))
	lock, err := fs.LockFile(filepath.Join(n.dir, "lock"))
	if err != nil {
		return nil, err
	}
	n.lock = lock
	for _, ending := range []string{"", ".index", ".lock"} {
		if err := os.Remove(n.path + ending); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, errors.Join(err, lock.Unlock())
		}
	}
	return n, nil
}

// publish gives the data file and its index, which are whole and durable, their
// names. The index comes first: one without a data file does no harm.
func (n *dataFileToBe) publish() error {
	if err := os.Rename(n.path+".index", n.name+".index"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	// A link fails where a file has come up meanwhile, a rename would replace it.
	err := os.Link(n.path, n.name)
	switch {
	case errors.Is(err, os.ErrExist):
		return &guardError{fmt.Errorf("%s has come into being meanwhile: it is not overwritten", n.name)}
	case err != nil: // a file system without links
		if err := os.Rename(n.path, n.name); err != nil {
			return err
		}
	}
	return syncDir(filepath.Dir(n.name))
}

// discard removes what is left.
func (n *dataFileToBe) discard() {
	_ = os.RemoveAll(n.dir)
	_ = n.lock.Unlock()
}
