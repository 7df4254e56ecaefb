package fs

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func TestLockFile(t *testing.T) {
	path := writeFile(t, "Data.fs.lock", []byte(" 123456789012345\nleft by the last writer\n"))
	lock, err := LockFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf(" %d\n", os.Getpid())
	checkFile(t, path, want)

	// An flock belongs to an open file: this process can't lock it twice.
	_, err = LockFile(path)
	checkLocked(t, err, path, os.Getpid())

	unlock(t, lock)
	checkFile(t, path, want)
	again, err := LockFile(path)
	if err != nil {
		t.Fatal(err)
	}
	unlock(t, again)
}

func TestLockFile_Creates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Data.fs.lock")
	lock, err := LockFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unlock(t, lock) })
	checkFile(t, path, fmt.Sprintf(" %d\n", os.Getpid()))
}

func TestLockHolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Data.fs.lock")
	check := func(what string, wantPID int, wantHeld bool) {
		t.Helper()
		pid, held, err := LockHolder(path)
		if errors.Is(err, errLocksUnseen) && !wantHeld {
			err = nil // the tests run in a container
		}
		if pid != wantPID || held != wantHeld || err != nil {
			t.Errorf("%s: LockHolder() = %d, %v, %v, want %d, %v", what, pid, held, err, wantPID, wantHeld)
		}
	}
	check("no file", 0, false)
	lock, err := LockFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check("locked", os.Getpid(), true)
	checkFile(t, path, fmt.Sprintf(" %d\n", os.Getpid()))
	if err := os.WriteFile(path, []byte("someone"), 0o644); err != nil {
		t.Fatal(err)
	}
	check("locked, no number", 0, true)
	unlock(t, lock)
	check("unlocked", 0, false)
	if lock, err = LockFile(path); err != nil {
		t.Errorf("LockFile() after LockHolder(): %v", err)
	}
	unlock(t, lock)
	if _, _, err := LockHolder(filepath.Join(path, "x")); err == nil {
		t.Error("LockHolder() below a file succeeds")
	}
}

// TestLockHolder_Harmless has writers that start while somebody looks.
func TestLockHolder_Harmless(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Data.fs.lock")
	done := make(chan struct{})
	var looking sync.WaitGroup
	looking.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				_, _, _ = LockHolder(path)
			}
		}
	})
	for range 3000 {
		lock, err := LockFile(path)
		if err != nil {
			t.Error(err)
			break
		}
		unlock(t, lock)
	}
	close(done)
	looking.Wait()
}

func TestLockFile_Fails(t *testing.T) {
	dir := t.TempDir()
	if _, err := LockFile(filepath.Join(dir, "missing", "Data.fs.lock")); !errors.Is(err, iofs.ErrNotExist) || errors.Is(err, ErrLocked) {
		t.Errorf("LockFile() below a missing directory = %v, want ErrNotExist", err)
	}
	if _, err := LockFile(dir); err == nil || errors.Is(err, ErrLocked) {
		t.Errorf("LockFile() of a directory = %v", err)
	}
}

// What the holder wrote is for people, and may be anything.
func TestLockFile_Content(t *testing.T) {
	for _, test := range []struct {
		name, content, pid string
	}{
		{"zc.lockfile", " 4711\n", "4711"},
		{"template", " 4711;host.example\n", ""},
		{"template-with-blank", " 4711 host.example\n", "4711"},
		{"empty", "", ""},
		{"blank", "  \n", ""},
		{"text", " locked\n", ""},
		{"negative", " -1\n", ""},
		{"huge", strings.Repeat("9", 1000), ""},
		{"control-characters", "\x1b[2J\n", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "Data.fs.lock")
			lock, err := LockFile(path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { unlock(t, lock) })
			if err := os.WriteFile(path, []byte(test.content), 0o644); err != nil {
				t.Fatal(err)
			}
			want := path + ": locked by another writer"
			if test.pid != "" {
				want += ": process " + test.pid
			}
			_, err = LockFile(path)
			if !errors.Is(err, ErrLocked) || err.Error() != want {
				t.Errorf("LockFile() = %v, want %s", err, want)
			}
			checkFile(t, path, test.content)
		})
	}
}

// lockHelper is the environment variable that makes TestLockFile_Process the
// other process: it names the file to lock.
const lockHelper = "ZRS_TEST_LOCK"

func TestLockFile_Process(t *testing.T) {
	if path := os.Getenv(lockHelper); path != "" {
		lock, err := LockFile(path)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("locked")
		// Until the other end is closed, or we are killed.
		if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
			t.Fatal(err)
		}
		unlock(t, lock)
		return
	}

	path := filepath.Join(t.TempDir(), "Data.fs.lock")
	for _, end := range []string{"unlock", "kill"} {
		t.Run(end, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLockFile_Process$")
			cmd.Env = append(os.Environ(), lockHelper+"="+path)
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "locked\n" {
				t.Fatalf("the other process said %q, %v", line, err)
			}
			_, err = LockFile(path)
			checkLocked(t, err, path, cmd.Process.Pid)

			if end == "kill" {
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
			stdin.Close()
			if err := cmd.Wait(); (err == nil) != (end == "unlock") {
				t.Fatalf("the other process ended with %v", err)
			}
			lock, err := LockFile(path)
			if err != nil {
				t.Fatal(err)
			}
			unlock(t, lock)
		})
	}
}

func unlock(t *testing.T, lock *FileLock) {
	t.Helper()
	if err := lock.Unlock(); err != nil {
		t.Error(err)
	}
}

func checkLocked(t *testing.T, err error, path string, pid int) {
	t.Helper()
	want := fmt.Sprintf("%s: locked by another writer: process %d", path, pid)
	if !errors.Is(err, ErrLocked) || err.Error() != want {
		t.Errorf("LockFile() = %v, want %s", err, want)
	}
}

func checkFile(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s is %q, %v, want %q", filepath.Base(path), got, err, want)
	}
}

func TestDataSync(t *testing.T) {
	path := writeFile(t, "Data.fs", []byte("FS30"))
	f, err := os.Open(path) // for reading, as those have it who follow a file
	if err != nil {
		t.Fatal(err)
	}
	if err := dataSync(f); err != nil {
		t.Error(err)
	}
	f.Close()
	if err := dataSync(f); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("dataSync() of a closed file = %v, want an error with its path", err)
	}
}

func TestReplaceFile(t *testing.T) {
	full := errors.New("disk full")
	for _, test := range []struct {
		name string
		fail error
		want string
	}{
		{"replaces", nil, "new"},
		{"fails", full, "old"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := writeFile(t, "file", []byte("old"))
			err := replaceFile(path, path+".tmp", func(w io.Writer) error {
				if _, err := w.Write([]byte("new")); err != nil {
					return err
				}
				return test.fail
			})
			if !errors.Is(err, test.fail) {
				t.Errorf("replaceFile() = %v, want %v", err, test.fail)
			}
			checkFile(t, path, test.want)
			if _, err := os.Lstat(path + ".tmp"); !errors.Is(err, iofs.ErrNotExist) {
				t.Errorf("the temporary file is there: %v", err)
			}
		})
	}
	t.Run("name-taken", func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "file")
		if err := os.MkdirAll(filepath.Join(path, "full"), 0o755); err != nil {
			t.Fatal(err)
		}
		err := replaceFile(path, path+".tmp", func(w io.Writer) error {
			_, err := w.Write(bytes.Repeat([]byte("x"), 1<<20))
			return err
		})
		if err == nil {
			t.Error("replaceFile() replaced a directory")
		}
		if names, err := os.ReadDir(dir); err != nil || len(names) != 1 {
			t.Errorf("replaceFile() left %v, %v", names, err)
		}
	})
}

func TestSyncDir(t *testing.T) {
	dir := t.TempDir()
	if err := SyncDir(dir); err != nil {
		t.Error(err)
	}
	if err := SyncDir(filepath.Join(dir, "missing")); !errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("SyncDir() = %v, want ErrNotExist", err)
	}
}
