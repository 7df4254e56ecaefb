package bench

import (
	"context"
	"encoding/json"
	"fmt"

	"zrs/interop/driver"
)

// Open measures how long ZODB takes to open a dataset without a saved index,
// which is how long it takes to read it all.
func (b *Bench) Open(ctx context.Context, f *Files) (*Result, error) {
	dir, remove, err := b.scratch()
	if err != nil {
		return nil, err
	}
	defer remove()
	data, err := unindexed(f, dir)
	if err != nil {
		return nil, err
	}
	cmd := b.Python.Command(ctx, driver.Modern, "bench/python/open.py", storageArgs(data, f.Blobs)...)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("open.py: %w", err)
	}
	var got struct {
		Seconds float64
		Objects float64
	}
	if err := json.Unmarshal(out, &got); err != nil {
		return nil, err
	}
	return &Result{
		Schema:       schema,
		Name:         "open-without-index",
		Subject:      ZODB,
		Dataset:      f.Dataset,
		Seconds:      got.Seconds,
		Bytes:        f.DataBytes,
		Transactions: f.Transactions,
		Records:      f.Records,
		Processes:    map[string]*Usage{"zodb": usageAtEnd(cmd.ProcessState)},
		Extra:        map[string]float64{"objects": got.Objects},
	}, nil
}
