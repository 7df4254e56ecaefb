package bench

import (
	"context"
	"crypto/sha1"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"zrs/interop/driver"
)

// Zodbtools is the subject of measurements that dumps and restores are compared
// with. It works on Python 3.11 with ZODB 5.8.1, see interop/python/tools.txt.
const Zodbtools = "zodbtools"

// A Dump is what a database is dumped as.
type Dump struct {
	Name      string // of the measurement
	zodb, zrs []string
	What      string // for the summary
}

// Dumps are what is measured, to /dev/null. Neither program has an index to help it.
var Dumps = []Dump{
	{"dump", []string{"dump"}, []string{"dump"}, "dump (zodb dump)"},
	{"dump-hashes", []string{"dump", "--hashonly"}, []string{"dump", "--hash-only"}, "dump --hash-only (zodb dump --hashonly)"},
}

// Dump measures a dump of a dataset by [Zodbtools] or by [ZRS].
func (b *Bench) Dump(ctx context.Context, dump Dump, subject string, f *Files) (*Result, error) {
	data, remove, err := b.unindexed(f)
	if err != nil {
		return nil, err
	}
	defer remove()
	cmd := exec.CommandContext(ctx, b.ZRS, append(dump.zrs, data)...)
	if subject == Zodbtools {
		cmd = b.Python.Command(ctx, driver.Tools, "tool.py", append(append([]string{"zodb"}, dump.zodb...), data)...)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	cmd.Stdout = null
	r, err := forensics(dump.Name, subject, f, cmd)
	if err == nil {
		r.Extra = map[string]float64{"sha1": sha1Rate()}
	}
	return r, err
}

// Restore measures the restore of a dump of a dataset into a new data file by
// [Zodbtools] or by [ZRS]. Both make it durable, zodbtools after each transaction.
func (b *Bench) Restore(ctx context.Context, subject string, f *Files) (*Result, error) {
	dir, remove, err := b.scratch()
	if err != nil {
		return nil, err
	}
	defer remove()
	dump, restored := filepath.Join(dir, "zodbdump"), filepath.Join(dir, "restored.fs")
	if out, err := exec.CommandContext(ctx, b.ZRS, "dump", "--order=disk", "-o", dump, f.Data).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("zrs dump: %w\n%s", err, out)
	}
	if err := syncDisk(b.Dir); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, b.ZRS, "restore", "-q", dump, restored)
	if subject == Zodbtools {
		cmd = b.Python.Command(ctx, driver.Tools, "tool.py", "zodb", "restore", restored)
		in, err := os.Open(dump)
		if err != nil {
			return nil, err
		}
		defer in.Close()
		cmd.Stdin = in
	}
	r, err := forensics("restore", subject, f, cmd)
	if err == nil {
		err = equalFiles(f.Data, restored)
	}
	return r, err
}

// forensics measures a command that reads or writes all of a dataset.
func forensics(name, subject string, f *Files, cmd *exec.Cmd) (*Result, error) {
	began := time.Now()
	_, used, err := runMeasured(cmd)
	took := time.Since(began)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &Result{
		Schema: schema, Name: name, Subject: subject, Dataset: f.Dataset,
		Seconds: took.Seconds(), Bytes: f.DataBytes, Transactions: f.Transactions, Records: f.Records,
		Processes: map[string]*Usage{subject: used},
	}, nil
}

// sha1Rate returns how many bytes of records a second all processors can hash,
// which a dump can't do without.
func sha1Rate() float64 {
	const size, rounds = 1000, 100_000
	record := make([]byte, size)
	var hashing sync.WaitGroup
	began := time.Now()
	for range runtime.GOMAXPROCS(0) {
		hashing.Go(func() {
			for range rounds {
				sha1.Sum(record)
			}
		})
	}
	hashing.Wait()
	return float64(size*rounds*runtime.GOMAXPROCS(0)) / time.Since(began).Seconds()
}

// dump is a row for the time of a dump.
func (s summary) dump(dump Dump) *Row {
	o, n, ok := s.both(dump.Name, Zodbtools, ZRS, Records.Name, seconds)
	if !ok {
		return nil
	}
	row := faster(dump.What, o, n, 15)
	reached, _ := s.median(resultKey{dump.Name, ZRS, Records.Name}, rate)
	limit, _ := s.median(resultKey{dump.Name, ZRS, Records.Name}, func(r *Result) float64 { return r.Extra["sha1"] })
	row.Target += " or 80 % of limit"
	row.Met = row.Met || reached >= limitShare*limit
	row.Note = fmt.Sprintf("%.0f MB/s, %.0f %% of SHA-1 alone (%.0f MB/s)", reached/1e6, 100*reached/limit, limit/1e6)
	return row
}

// restore is a row for the time of a restore.
func (s summary) restore() *Row {
	o, n, ok := s.both("restore", Zodbtools, ZRS, Records.Name, seconds)
	if !ok {
		return nil
	}
	row := faster("restore (zodb restore)", o, n, 10)
	reached, _ := s.median(resultKey{"restore", ZRS, Records.Name}, rate)
	row.Note = fmt.Sprintf("%.0f MB/s", reached/1e6)
	if write, ok := s.median(resultKey{"limit", "write", Records.Name}, rate); ok {
		row.Note += fmt.Sprintf(", %.0f %% of writing alone (%.0f MB/s)", 100*reached/write, write/1e6)
	}
	return row
}

// mostGrowth is how much more memory all of the data may take than a quarter: the
// index grows, and when the garbage collector runs is chance.
const mostGrowth = 1.5

// forensicMemory is a row for the memory of a measurement, which should not grow
// with the data.
func (s summary) forensicMemory(name string) *Row {
	o, okOld := s.median(resultKey{name, Zodbtools, Records.Name}, peak(Zodbtools))
	whole, ok := s.median(resultKey{name, ZRS, Records.Name}, peak(ZRS))
	quarter, okQuarter := s.median(resultKey{name, ZRS, Quarter.Name}, peak(ZRS))
	if !okOld || !ok || !okQuarter {
		return nil
	}
	return &Row{
		What:   "its memory",
		Old:    megabytes(o),
		New:    megabytes(whole),
		Ratio:  fmt.Sprintf("%.1f", o/whole),
		Target: fmt.Sprintf("≤ %g of a quarter's", mostGrowth),
		Met:    whole/quarter <= mostGrowth,
		Note:   fmt.Sprintf("%s for a quarter of the data", megabytes(quarter)),
	}
}
