package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"time"

	"zrs/interop/driver"
)

// hugeTxns are the transactions of a database of 100 GB whose data take no room,
// see [Bench.Large].
const hugeTxns = 100_000

// Huge names that database in results.
const Huge = "100-gb-sparse"

// lost is the address of a source that is not there any more.
const lost = "127.0.0.1:1"

// Promote measures how long it takes to make a primary of a secondary that runs,
// whose source is lost. With zrs it is the whole command, until it has printed its
// answer. With zc.zrs the process is stopped and another one started on the same
// file, as a primary: until that accepts secondaries.
func (b *Bench) Promote(ctx context.Context, kind string, f *Files) (*Result, error) {
	data, remove, err := b.unindexed(f)
	if err != nil {
		return nil, err
	}
	defer remove()
	result := &Result{
		Schema: schema, Name: "promote", Subject: kind, Dataset: f.Dataset,
		Bytes: f.DataBytes, Transactions: f.Transactions, Records: f.Records,
	}
	if kind == ZRS {
		return result, b.promoteZRS(ctx, data, result)
	}
	return result, b.promoteZCZRS(ctx, data, result)
}

// PromoteHuge measures the same for zrs on a database of 100 GB.
func (b *Bench) PromoteHuge(ctx context.Context, scale float64) (*Result, error) {
	dir, remove, err := b.scratch()
	if err != nil {
		return nil, err
	}
	defer remove()
	data := filepath.Join(dir, "Data.fs")
	n := scaled(hugeTxns, scale)
	size, err := makeLarge(data, n)
	if err != nil {
		return nil, err
	}
	result := &Result{Schema: schema, Name: "promote", Subject: ZRS, Dataset: Huge, Bytes: size, Transactions: n, Records: n}
	return result, b.promoteZRS(ctx, data, result)
}

func (b *Bench) promoteZRS(ctx context.Context, data string, result *Result) error {
	secondary, err := b.secondary(ctx, ZRS, lost, data, "")
	if err != nil {
		return err
	}
	defer secondary.stop()
	socket := data + ".control"
	if err := b.disconnected(ctx, socket); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, b.ZRS, "promote", "--json", "--control", socket)
	began := time.Now()
	out, used, err := runMeasured(cmd)
	result.Seconds = time.Since(began).Seconds()
	if err != nil {
		return fmt.Errorf("zrs promote: %w", err)
	}
	var answer struct{ Promoted bool }
	if err := json.Unmarshal(out, &answer); err != nil || !answer.Promoted {
		return fmt.Errorf("zrs promote: it says %s", out)
	}
	result.Processes = map[string]*Usage{ZRS: used}
	return nil
}

// disconnected waits until the server of a control socket has opened its file and
// found that its source is lost.
func (b *Bench) disconnected(ctx context.Context, socket string) error {
	ctx, cancel := context.WithTimeout(ctx, catchUpLimit)
	defer cancel()
	for {
		// Its exit code is that of a server that is not well.
		out, err := exec.CommandContext(ctx, b.ZRS, "status", "--json", socket).Output()
		if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		var status struct{ Reason string }
		if json.Unmarshal(out, &status) == nil && status.Reason == "disconnected" {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (b *Bench) promoteZCZRS(ctx context.Context, data string, result *Result) error {
	secondary, err := b.Python.Start(ctx, driver.Legacy, nil, "secondary.py", "--from", lost, data)
	if err != nil {
		return err
	}
	began := time.Now()
	secondary.Stop()
	primary, err := b.primary(ctx, ZCZRS, data, "")
	if err != nil {
		return err
	}
	result.Seconds = time.Since(began).Seconds()
	defer primary.stop()
	used, err := UsageOf(primary.pid)
	result.Processes = map[string]*Usage{ZCZRS: used}
	return err
}
