package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"time"

	"zrs/internal/fs"
	"zrs/interop/driver"
)

// Open measures how long it takes to open a dataset without a saved index,
// which is how long it takes to read it all: with [ZODB] or with [ZRS].
//
// Each is timed inside of a process of its own, from before the call that opens
// the file until that returns.
func (b *Bench) Open(ctx context.Context, subject string, f *Files) (*Result, error) {
	data, remove, err := b.unindexed(f)
	if err != nil {
		return nil, err
	}
	defer remove()
	cmd := b.Python.Command(ctx, driver.Modern, "bench/python/open.py", storageArgs(data, f.Blobs)...)
	if subject == ZRS {
		cmd = exec.CommandContext(ctx, b.Opener, OpenArg, data)
	}
	out, used, err := runMeasured(cmd)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	var got opened
	if err := json.Unmarshal(out, &got); err != nil {
		return nil, err
	}
	return &Result{
		Schema:       schema,
		Name:         "open-without-index",
		Subject:      subject,
		Dataset:      f.Dataset,
		Seconds:      got.Seconds,
		Bytes:        f.DataBytes,
		Transactions: f.Transactions,
		Records:      f.Records,
		Processes:    map[string]*Usage{subject: used},
		Extra:        map[string]float64{"objects": float64(got.Objects)},
	}, nil
}

// opened is what bench/python/open.py prints, and OpenMain.
type opened struct {
	Seconds float64 `json:"seconds"`
	Objects int     `json:"objects"`
}

// OpenArg tells a [Bench.Opener] to run [OpenMain] with its second argument.
const OpenArg = "open-data-file"

// OpenMain opens a data file as zrs does and writes how long that took. A
// program of its own shows what memory that needs.
func OpenMain(ctx context.Context, path string, stdout io.Writer) error {
	began := time.Now()
	_, index, closeFile, err := fs.OpenReadOnly(ctx, path)
	if err != nil {
		return err
	}
	defer closeFile()
	return json.NewEncoder(stdout).Encode(opened{time.Since(began).Seconds(), index.Len()})
}
