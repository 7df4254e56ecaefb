package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"zrs/interop/driver"
)

// CatchUp measures how long a new secondary takes to get a whole dataset, with
// any program at either end.
//
// A zc.zrs secondary is measured from the moment it starts to connect until its
// last TID is the primary's; it has started, and opened its file, before. zrs is
// measured as a user runs it, with its start: "zrs catchup" until it ends, and
// [ZRSServer], which is "zrs serve-secondary", until the last transaction is in
// its file.
//
// Then it measures how long what the secondary left in the kernel's hands takes
// to reach the disk: "unsynced". That is not part of the catch-up, but a crash
// before it would lose what the secondary has said to have.
func (b *Bench) CatchUp(ctx context.Context, primary, secondary string, f *Files) (*Result, error) {
	dir, remove, err := b.scratch()
	if err != nil {
		return nil, err
	}
	defer remove()
	server, before, err := b.serve(ctx, primary, f, dir)
	if err != nil {
		return nil, err
	}
	defer server.stop()

	target, err := replicaDir(dir)
	if err != nil {
		return nil, err
	}
	replica, blobs := filepath.Join(target, "Data.fs"), ""
	if f.Blobs != "" {
		blobs = filepath.Join(target, "blobs")
	}
	catchUp := map[string]catchUpFunc{
		ZCZRS:     b.catchUpZCZRS,
		ZRS:       b.catchUpZRS(),
		ZRS21:     b.catchUpZRS("--protocol=zc.zrs"),
		ZRSServer: b.catchUpServer(),

		ZRS21Server: b.catchUpServer("--protocol=zc.zrs"),
	}[secondary]
	seconds, used, err := catchUp(ctx, server.address, f, replica, blobs)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := syncDisk(dir); err != nil {
		return nil, err
	}
	unsynced := time.Since(began).Seconds()
	after, err := UsageOf(server.pid)
	if err != nil {
		return nil, err
	}
	after.CPU -= before.CPU
	if err := equalFiles(f.Data, replica); err != nil {
		return nil, err
	}
	got, err := blobBytes(blobs)
	if err != nil {
		return nil, err
	}
	if got != f.BlobBytes {
		return nil, fmt.Errorf("replica has %d bytes of blobs, want %d", got, f.BlobBytes)
	}
	return &Result{
		Schema:       schema,
		Name:         "catch-up",
		Subject:      primary + "-" + secondary,
		Dataset:      f.Dataset,
		Seconds:      seconds,
		Bytes:        f.DataBytes + f.BlobBytes,
		Transactions: f.Transactions,
		Records:      f.Records,
		Processes:    map[string]*Usage{"primary": after, "secondary": used},
		Extra:        map[string]float64{"unsynced": unsynced, "objects": float64(f.Objects)},
	}, nil
}

// catchUpLimit bounds the time of one catch-up.
const catchUpLimit = 30 * time.Minute

const (
	// ZRSServer is the kind of a secondary that goes on to follow its primary.
	ZRSServer = "zrs-server"

	// ZRS21 is a secondary that takes its primary for zc.zrs, and speaks zrs2.1.
	ZRS21 = "zrs2.1"

	// ZRS21Server is the same of one that goes on.
	ZRS21Server = "zrs2.1-server"
)

// A catchUpFunc has a new secondary get everything of f from an address.
type catchUpFunc func(ctx context.Context, address string, f *Files, data, blobs string) (seconds float64, used *Usage, err error)

func (b *Bench) catchUpZCZRS(ctx context.Context, address string, f *Files, data, blobs string) (seconds float64, used *Usage, err error) {
	p, err := b.Python.Start(ctx, driver.Legacy, nil, "secondary.py", storageArgs(data, blobs)...)
	if err != nil {
		return 0, nil, err
	}
	defer p.Stop()
	before, err := UsageOf(p.PID())
	if err != nil {
		return 0, nil, err
	}
	var result struct{ Seconds float64 }
	args := driver.Args{"source": address, "tid": f.LastTID, "timeout": catchUpLimit.Seconds()}
	if err := p.Do(ctx, "catch_up", args, &result); err != nil {
		return 0, nil, err
	}
	used, err = UsageOf(p.PID())
	if err != nil {
		return 0, nil, err
	}
	used.CPU -= before.CPU
	return result.Seconds, used, nil
}

func (b *Bench) catchUpZRS(flags ...string) catchUpFunc {
	return func(ctx context.Context, address string, _ *Files, data, blobs string) (seconds float64, used *Usage, err error) {
		ctx, cancel := context.WithTimeout(ctx, catchUpLimit)
		defer cancel()
		args := append([]string{"catchup", "--quiet"}, flags...)
		args = append(args, storageArgs(address, blobs)...)
		cmd := exec.CommandContext(ctx, b.ZRS, append(args, data)...)
		began := time.Now()
		_, used, err = runMeasured(cmd)
		took := time.Since(began)
		if err != nil {
			return 0, nil, fmt.Errorf("zrs catchup: %w", err)
		}
		return took.Seconds(), used, nil
	}
}

func (b *Bench) catchUpServer(flags ...string) catchUpFunc {
	return func(ctx context.Context, address string, f *Files, data, blobs string) (seconds float64, used *Usage, err error) {
		ctx, cancel := context.WithTimeout(ctx, catchUpLimit)
		defer cancel()
		began := time.Now()
		s, err := b.secondary(ctx, ZRS, address, data, blobs, flags...)
		if err != nil {
			return 0, nil, err
		}
		defer s.stop()
		for {
			ok, err := endsWith(data, f)
			if err != nil {
				return 0, nil, err
			}
			if ok {
				break
			}
			select {
			case <-time.After(time.Millisecond):
			case <-ctx.Done():
				return 0, nil, fmt.Errorf("zrs serve-secondary: %w", context.Cause(ctx))
			}
		}
		took := time.Since(began)
		used, err = UsageOf(s.pid)
		return took.Seconds(), used, err
	}
}

// endsWith tells whether the data file at path is as long as that of f, and its
// last transaction is finished.
func endsWith(path string, f *Files) (bool, error) {
	data, err := os.Open(path)
	if errors.Is(err, iofs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer data.Close()
	var length [8]byte
	if _, err := data.ReadAt(length[:], f.DataBytes-8); err != nil {
		return false, ignoreEOF(err)
	}
	start := f.DataBytes - 8 - int64(binary.BigEndian.Uint64(length[:]))
	if start < int64(len(magic)) {
		return false, nil
	}
	var header [txnHeaderSize]byte
	if _, err := data.ReadAt(header[:], start); err != nil {
		return false, ignoreEOF(err)
	}
	return header[16] == ' ' && fmt.Sprintf("%x", header[:8]) == f.LastTID, nil
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
