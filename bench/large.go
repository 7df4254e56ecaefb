package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The large file: a database of 20 GB, made of records of 1 MiB each in a
// transaction of its own. Their data are zeros that take no room on the disk and
// no time to make, but have to be read like any other.
const (
	largeTxns   = 20_000
	largeRecord = 1 << 20
	largeOIDs   = 1000 // objects that are changed in turn
)

// largeCommands are what is run on it.
var largeCommands = []string{"verify", "dump", "dump --hash-only", "log", "log -n 10", "info"}

// Large measures commands of zrs on a database that is much larger than what
// they may have in memory.
func (b *Bench) Large(ctx context.Context, scale float64) ([]*Result, error) {
	dir, remove, err := b.scratch()
	if err != nil {
		return nil, err
	}
	defer remove()
	path := filepath.Join(dir, "Data.fs")
	size, err := makeLarge(path, scaled(largeTxns, scale))
	if err != nil {
		return nil, err
	}
	var results []*Result
	for _, command := range largeCommands {
		args := append(strings.Fields(command), "--progress=never", path)
		cmd := exec.CommandContext(ctx, b.ZRS, args...)
		cmd.Stdout = io.Discard
		began := time.Now()
		_, used, err := runMeasured(cmd)
		if err != nil {
			return nil, fmt.Errorf("zrs %s: %w", command, err)
		}
		results = append(results, &Result{
			Schema:       schema,
			Name:         "large",
			Subject:      ZRS + " " + command,
			Seconds:      time.Since(began).Seconds(),
			Bytes:        size,
			Transactions: scaled(largeTxns, scale),
			Processes:    map[string]*Usage{ZRS: used},
		})
	}
	return results, nil
}

// makeLarge makes the large file with n transactions and returns its size.
func makeLarge(path string, n int) (size int64, err error) {
	f, err := os.Create(path)
	if err != nil {
		return 0, err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	const txnSize = txnHeaderSize + recHeaderSize + largeRecord // without the length at its end
	be := binary.BigEndian
	b := []byte(magic)
	pos := int64(len(b))
	if _, err := f.WriteAt(b, 0); err != nil {
		return 0, err
	}
	for i := range n {
		tid := tidOf(time.Unix(firstTxn, 0).Add(time.Duration(i) * betweenTxns))
		previous := int64(0)
		if i >= largeOIDs {
			previous = pos + txnHeaderSize - largeOIDs*(txnSize+8)
		}
		b = be.AppendUint64(b[:0], tid)
		b = be.AppendUint64(b, txnSize)
		b = append(b, ' ', 0, 0, 0, 0, 0, 0) // no texts
		b = be.AppendUint64(b, uint64(i%largeOIDs))
		b = be.AppendUint64(b, tid)
		b = be.AppendUint64(b, uint64(previous))
		b = be.AppendUint64(b, uint64(pos))
		b = append(b, 0, 0) // no version
		b = be.AppendUint64(b, largeRecord)
		if _, err := f.WriteAt(b, pos); err != nil {
			return 0, err
		}
		if _, err := f.WriteAt(be.AppendUint64(b[:0], txnSize), pos+txnSize); err != nil {
			return 0, err
		}
		pos += txnSize + 8
	}
	return pos, nil
}
