package bench

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"zrs/internal/fs"
	"zrs/interop/driver"
)

// Cmp is the subject of measurements by plain cmp, which knows nothing of what is
// in a file: no comparison that reads both should be expected to be faster.
const Cmp = "cmp"

// The comparisons of two files. In the second one the records of the other file
// are in other places, as in a secondary of zc.zrs that pickled an extension anew.
const (
	CompareCopy    = "compare"
	CompareShifted = "compare-shifted"
)

// Compare measures the comparison of a dataset with a copy of it, by content, by
// [Zodbtools], [Cmp] or [ZRS].
func (b *Bench) Compare(ctx context.Context, name, subject string, f *Files) (*Result, error) {
	dir, remove, err := b.scratch()
	if err != nil {
		return nil, err
	}
	defer remove()
	one, other := filepath.Join(dir, "one.fs"), filepath.Join(dir, "other.fs")
	if err := os.Link(f.Data, one); err != nil {
		return nil, err
	}
	write := copyOf
	if name == CompareShifted {
		write = shiftedCopy
	}
	if err := write(ctx, other, f.Data); err != nil {
		return nil, err
	}
	for _, path := range []string{one, other} { // what is measured is not the disk
		if err := readThrough(path); err != nil {
			return nil, err
		}
	}
	var cmd *exec.Cmd
	switch subject {
	case Zodbtools:
		cmd = b.Python.Command(ctx, driver.Tools, "tool.py", "zodb", "cmp", one, other)
	case Cmp:
		cmd = exec.CommandContext(ctx, "cmp", one, other)
	default:
		cmd = exec.CommandContext(ctx, b.ZRS, "verify", one, other)
	}
	r, err := forensics(name, subject, f, cmd)
	if err == nil {
		r.Bytes *= 2
	}
	return r, err
}

func readThrough(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(io.Discard, f)
	return err
}

func copyOf(_ context.Context, to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	out.Close()
	return err
}

// An extension, as an older ZODB pickled it and as zc.zrs does after that.
const (
	oldExtension      = "\x80\x02}q\x01U\x01aK\x01s."
	repickedExtension = "\x80\x03}q\x00X\x01\x00\x00\x00aq\x01K\x01s."
)

// shiftedCopy writes a data file anew, with another extension in the first
// transaction, and gives from the same extension in other bytes.
func shiftedCopy(ctx context.Context, to, from string) error {
	in, err := fs.OpenFile(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := rewritten(ctx, to, in, oldExtension); err != nil {
		return err
	}
	one := filepath.Join(filepath.Dir(to), "one.fs")
	if err := os.Remove(one); err != nil {
		return err
	}
	return rewritten(ctx, one, in, repickedExtension)
}

// rewritten writes a data file anew, with that extension in the first transaction.
func rewritten(ctx context.Context, to string, in *fs.File, extension string) error {
	w, err := fs.OpenWriter(ctx, to, fs.WriterOptions{Create: true})
	if err != nil {
		return err
	}
	defer w.Close()
	r := in.Reader(fs.FirstOffset, in.Size())
	for txn, err := range r.All() {
		if err != nil {
			return err
		}
		h := txn.TxnHeader
		if txn.Offset == fs.FirstOffset {
			h.Extension = []byte(extension)
		}
		if err := w.Begin(h); err != nil {
			return err
		}
		for {
			rec, err := r.NextRecord()
			if err == io.EOF { //nolint:errorlint // it is never wrapped
				break
			}
			if err != nil {
				return err
			}
			data, err := r.Data()
			if err != nil {
				return err
			}
			if err := w.Restore(fs.Restored{OID: rec.OID, TID: rec.TID, Data: data}); err != nil {
				return err
			}
		}
		if err := w.Commit(); err != nil {
			return err
		}
	}
	return w.Sync()
}

// compare is a row for the time of a comparison.
func (s summary) compare() *Row {
	o, n, ok := s.both(CompareCopy, Zodbtools, ZRS, Records.Name, seconds)
	if !ok {
		return nil
	}
	row := faster("verify two files (zodb cmp)", o, n, 20)
	reached, _ := s.median(resultKey{CompareCopy, ZRS, Records.Name}, rate)
	row.Note = fmt.Sprintf("%.0f MB/s", reached/1e6)
	return row
}

// compareLimit is a row for how near a comparison comes to plain cmp.
func (s summary) compareLimit(what, name string) *Row {
	limit, okLimit := s.median(resultKey{CompareCopy, Cmp, Records.Name}, seconds)
	n, ok := s.median(resultKey{name, ZRS, Records.Name}, seconds)
	if !ok || !okLimit {
		return nil
	}
	const most = 3
	return &Row{
		What: what, Old: duration(limit), New: duration(n),
		Ratio: fmt.Sprintf("%.2f", limit/n), Target: fmt.Sprintf("≥ 1/%d", most), Met: n <= most*limit,
	}
}
