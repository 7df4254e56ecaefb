package bench

import (
	"context"
	"fmt"
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
// measured as a user runs it: "zrs catchup" from start to end.
func (b *Bench) CatchUp(ctx context.Context, primary, secondary string, f *Files) (*Result, error) {
	dir, remove, err := b.scratch()
	if err != nil {
		return nil, err
	}
	defer remove()
	source, err := unindexed(f, dir)
	if err != nil {
		return nil, err
	}
	server, err := b.primary(ctx, primary, source, f.Blobs)
	if err != nil {
		return nil, err
	}
	defer server.stop()
	before, err := UsageOf(server.pid)
	if err != nil {
		return nil, err
	}

	replica := filepath.Join(dir, "replica.fs")
	blobs := ""
	if f.Blobs != "" {
		blobs = filepath.Join(dir, "replica-blobs")
	}
	catchUp := b.catchUpZCZRS
	if secondary == ZRS {
		catchUp = b.catchUpZRS
	}
	seconds, used, err := catchUp(ctx, server.address, f.LastTID, replica, blobs)
	if err != nil {
		return nil, err
	}
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
	}, nil
}

// catchUpLimit bounds the time of one catch-up.
const catchUpLimit = 30 * time.Minute

func (b *Bench) catchUpZCZRS(ctx context.Context, address, tid, data, blobs string) (seconds float64, used *Usage, err error) {
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
	args := driver.Args{"source": address, "tid": tid, "timeout": catchUpLimit.Seconds()}
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

func (b *Bench) catchUpZRS(ctx context.Context, address, _, data, blobs string) (seconds float64, used *Usage, err error) {
	ctx, cancel := context.WithTimeout(ctx, catchUpLimit)
	defer cancel()
	args := append([]string{"catchup", "--quiet"}, storageArgs(address, blobs)...)
	cmd := exec.CommandContext(ctx, b.ZRS, append(args, data)...)
	began := time.Now()
	out, err := cmd.CombinedOutput()
	took := time.Since(began)
	if err != nil {
		return 0, nil, fmt.Errorf("zrs catchup: %w\n%s", err, out)
	}
	return took.Seconds(), usageAtEnd(cmd.ProcessState), nil
}
