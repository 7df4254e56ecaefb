package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"zrs/interop/driver"
)

// The subjects of measurements, and the kinds of programs at each end.
const (
	ZRS   = "zrs"
	ZCZRS = "zc.zrs"
	ZODB  = "zodb"
	Bare  = "bare" // what a replica can't do without, and nothing else
)

// A Bench is where measurements run, and with what.
type Bench struct {
	Python *driver.Python
	ZRS    string // path of the zrs program
	Opener string // path of a program that runs [OpenMain] if its first argument is [OpenArg]
	Dir    string // for replicas, removed after each measurement; on the datasets' disk
}

// scratch makes a directory for one measurement. What was written before is on
// disk then, so that no measurement pays for another.
func (b *Bench) scratch() (dir string, remove func(), err error) {
	if err := syncDisk(b.Dir); err != nil {
		return "", nil, err
	}
	dir, err = os.MkdirTemp(b.Dir, "run-")
	return dir, func() { os.RemoveAll(dir) }, err
}

// replicaDir makes the directory of a secondary in that of a measurement. Both ends
// watch their directories, and should not see what the other does.
func replicaDir(dir string) (string, error) {
	dir = filepath.Join(dir, "replica")
	return dir, os.Mkdir(dir, 0o755)
}

// A server is a running program.
type server struct {
	address string // for secondaries
	pid     int
	stop    func()
}

// storageArgs are command line arguments that name a database.
func storageArgs(data, blobs string) []string {
	if blobs == "" {
		return []string{data}
	}
	return []string{"--blob-dir", blobs, data}
}

// primary serves a database to secondaries.
func (b *Bench) primary(ctx context.Context, kind, data, blobs string) (*server, error) {
	args := storageArgs(data, blobs)
	if kind == ZRS {
		return b.startZRS(ctx, append([]string{"serve-primary", "--replicate-to", "127.0.0.1:0"}, args...)...)
	}
	var ready struct{ Address string }
	p, err := b.Python.Start(ctx, driver.Legacy, &ready, "storage.py", append([]string{"--primary", "127.0.0.1:0"}, args...)...)
	if err != nil {
		return nil, err
	}
	return &server{ready.Address, p.PID(), p.Stop}, nil
}

// serve serves a dataset to secondaries, from a link to it in dir. It returns what
// the server has used by then.
func (b *Bench) serve(ctx context.Context, kind string, f *Files, dir string) (*server, *Usage, error) {
	data, err := linkInto(dir, f)
	if err != nil {
		return nil, nil, err
	}
	s, err := b.primary(ctx, kind, data, f.Blobs)
	if err != nil {
		return nil, nil, err
	}
	used, err := UsageOf(s.pid)
	if err != nil {
		s.stop()
		return nil, nil, err
	}
	return s, used, nil
}

// secondary keeps a database a replica of the one at an address. The flags are for
// zrs.
func (b *Bench) secondary(ctx context.Context, kind, from, data, blobs string, flags ...string) (*server, error) {
	args := storageArgs(data, blobs)
	if kind == ZRS {
		args = append(flags, args...)
		return b.startZRS(ctx, append([]string{"serve-secondary", "--replicate-from", from}, args...)...)
	}
	p, err := b.Python.Start(ctx, driver.Legacy, nil, "secondary.py", append([]string{"--from", from}, args...)...)
	if err != nil {
		return nil, err
	}
	return &server{"", p.PID(), p.Stop}, nil
}

// startZRS starts a zrs server. If it listens, it waits until it does.
func (b *Bench) startZRS(ctx context.Context, args ...string) (*server, error) {
	cmd := exec.Command(b.ZRS, append(args, "--log-format=json")...)
	log := driver.NewLog()
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		cmd.Wait()
		log.Close()
		close(done)
	}()
	s := &server{pid: cmd.Process.Pid, stop: func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(time.Minute):
			cmd.Process.Kill()
			<-done
		}
	}}
	if args[0] != "serve-primary" {
		return s, nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	_, err := log.Wait(ctx, 1, func(line string) bool {
		var record struct{ Msg, Address string }
		if json.Unmarshal([]byte(line), &record) != nil || record.Msg != "listening" {
			return false
		}
		s.address = record.Address
		return true
	})
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("zrs %s: %w\n%s", args[0], err, log)
	}
	return s, nil
}

// unindexed links a dataset's data file into a directory of its own, so that programs
// find no index beside it and leave none.
func (b *Bench) unindexed(f *Files) (data string, remove func(), err error) {
	dir, remove, err := b.scratch()
	if err != nil {
		return "", nil, err
	}
	if data, err = linkInto(dir, f); err != nil {
		remove()
		return "", nil, err
	}
	return data, remove, nil
}

// linkInto links a dataset's data file into dir.
func linkInto(dir string, f *Files) (data string, err error) {
	data = filepath.Join(dir, "Data.fs")
	return data, os.Link(f.Data, data)
}

// equalFiles returns an error unless two files have the same contents.
func equalFiles(a, b string) error {
	fa, err := os.Open(a)
	if err != nil {
		return err
	}
	defer fa.Close()
	fb, err := os.Open(b)
	if err != nil {
		return err
	}
	defer fb.Close()
	bufA, bufB := make([]byte, 1<<20), make([]byte, 1<<20)
	for offset := int64(0); ; {
		na, errA := io.ReadFull(fa, bufA)
		nb, errB := io.ReadFull(fb, bufB)
		if !bytes.Equal(bufA[:na], bufB[:nb]) {
			return fmt.Errorf("%s and %s differ after offset %d", a, b, offset)
		}
		offset += int64(na)
		switch err := errors.Join(errA, errB); {
		case err == nil:
		case na == nb && errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		default:
			return err
		}
	}
}
