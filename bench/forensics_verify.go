package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"time"

	"zrs/interop/driver"
)

// A Check is what a storage is verified for.
type Check struct {
	Name   string   // of the measurement
	python string   // ZODB's program for it
	zrs    []string // arguments of zrs
	What   string   // for the summary
}

// Checks are the checks of one storage. Neither program has an index to help it.
var Checks = []Check{
	{"verify-structure", "fstest", []string{"verify", "--json"}, "verify, structure only (fstest)"},
	{"verify-references", "fsrefs", []string{"verify", "--json", "--references"}, "verify --references (fsrefs)"},
}

// Verify measures a check of a dataset by [ZODB] or by [ZRS]. ZODB's time is that
// of the check alone, that of zrs is of the whole process.
func (b *Bench) Verify(ctx context.Context, check Check, subject string, f *Files) (*Result, error) {
	data, remove, err := b.unindexed(f)
	if err != nil {
		return nil, err
	}
	defer remove()
	cmd := b.Python.Command(ctx, driver.Modern, "bench/python/fscheck.py", check.python, data)
	if subject == ZRS {
		cmd = exec.CommandContext(ctx, b.ZRS, append(check.zrs, data)...)
	}
	began := time.Now()
	out, used, err := runMeasured(cmd)
	took := time.Since(began).Seconds()
	var got struct {
		Seconds float64
		Objects float64 // zrs tells
	}
	if err == nil {
		err = json.Unmarshal(out, &got)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", check.Name, err)
	}
	if subject == ZODB {
		took = got.Seconds
	}
	return &Result{
		Schema: schema, Name: check.Name, Subject: subject, Dataset: f.Dataset,
		Seconds: took, Bytes: f.DataBytes, Transactions: f.Transactions, Records: f.Records,
		Processes: map[string]*Usage{subject: used},
		Extra:     map[string]float64{"objects": got.Objects},
	}, nil
}

// verify is a row for a check's time.
func (s summary) verify(check Check) *Row {
	o, n, ok := s.both(check.Name, ZODB, ZRS, Records.Name, seconds)
	if !ok {
		return nil
	}
	row := faster(check.What, o, n, 20)
	reached, _ := s.median(resultKey{check.Name, ZRS, Records.Name}, rate)
	row.Note = fmt.Sprintf("%.0f MB/s", reached/1e6)
	if read, ok := s.median(resultKey{"limit", "read", Records.Name}, rate); ok {
		row.Target += " or 80 % of limit"
		row.Met = row.Met || reached >= limitShare*read
		row.Note += fmt.Sprintf(", %.0f %% of reading alone (%.0f MB/s)", 100*reached/read, read/1e6)
	}
	return row
}

// mostPerMillion is how many bytes a million objects may take, as measured between
// a quarter and all of a dataset: the index and what is known of each object, 11
// bytes, and as much again for the garbage collector; and the batches of objects
// to be read, which stop growing at 256 Ki objects but still do between these two.
const mostPerMillion = 100e6

// verifyMemory is a row for what a check needs for each object: what it takes for
// all of the data beyond what it takes for a quarter.
func (s summary) verifyMemory(check Check) *Row {
	old, okOld := s.median(resultKey{check.Name, ZODB, Records.Name}, peak(ZODB))
	whole, ok := s.median(resultKey{check.Name, ZRS, Records.Name}, peak(ZRS))
	quarter, okQuarter := s.median(resultKey{check.Name, ZRS, Quarter.Name}, peak(ZRS))
	if !okOld || !ok || !okQuarter {
		return nil
	}
	objects := func(d Dataset) float64 {
		v, _ := s.median(resultKey{check.Name, ZRS, d.Name}, func(r *Result) float64 { return r.Extra["objects"] })
		return v
	}
	each := (whole - quarter) / (objects(Records) - objects(Quarter))
	return &Row{
		What:   "its memory",
		Old:    megabytes(old),
		New:    megabytes(whole),
		Ratio:  fmt.Sprintf("%.1f", old/whole),
		Target: fmt.Sprintf("≤ %.0f MB/million", mostPerMillion/1e6),
		Met:    each*1e6 <= mostPerMillion,
		Note:   fmt.Sprintf("%.0f MB for each million objects, %s for a quarter of the data", each, megabytes(quarter)),
	}
}
