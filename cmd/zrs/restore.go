package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"strings"
	"time"

	"zrs/internal/dump"
	"zrs/internal/fs"
)

// A restoreCmd is zrs restore.
type restoreCmd struct {
	BlobDir   string `placeholder:"DIR" help:"Directory of the blobs that belong to FS, where they are restored to; needs --blobs-from."`
	BlobsFrom string `placeholder:"DIR" help:"Take the blobs from this blob directory, such as dump --blobs-to makes; needs --blob-dir."`
	Until     *when  `placeholder:"WHEN" help:"Stop after the last transaction that is not later than this transaction id or time."`
	DryRun    bool   `help:"Read and check IN, say what would be done, and change nothing."`
	In        string `arg:"" name:"IN" help:"Dump to read, compressed with zstd or gzip or not; - is standard input."`
	FS        string `arg:"" name:"FS" help:"Data file to write; it is created if there is none, else it is appended to."`
}

// Help is the DESCRIPTION of zrs-restore(1).
func (*restoreCmd) Help() string {
	return `Writes the transactions of IN, a dump in the format of zodbtools (zodbdump), into the data
file FS, and prints a summary. zrs dump and zodb dump make such dumps; whether one is
compressed is seen from its content.

A new FS grows in the directory FS.restoring and gets its name when it is whole, checked
and durable, with its index. An FS that exists is appended to: the dump must begin after
its last transaction (else the exit code is 6), and if it turns out to be damaged, what
was appended is taken back. So whatever goes wrong, FS is as it was.

Every object's data is checked against its checksum. A dump with checksums alone
(--hash-only) can't be restored. Objects that have the data of another transaction need
that one in FS or in the dump. Transactions of status u, whose records don't count, are
left out and counted.

A dump has no blobs: --blobs-from says where they are. Blobs that are missing, or left
out, are counted and make the exit code 8.

With --json the summary is one document on standard output, also when the command fails:
schema, input, path, dry_run, created, exit_code, error, first_tid, to_tid, to_time,
transactions, records, bytes, left_out, blobs, blob_bytes, blobs_missing, seconds.`
}

// Examples are the EXAMPLES of the manual page.
func (*restoreCmd) Examples() string {
	return `Restore a backup with its blobs:

	zrs restore day.zodbdump.zst Data.fs --blobs-from day.blobs --blob-dir blobs

Take the site back to a moment, beside what is there:

	zrs restore --until 2026-11-20T14:32:00Z all.zodbdump.zst before.fs

Copy a database through a pipe:

	ssh db1 zrs dump --order=disk /srv/zodb/Data.fs | zrs restore - copy.fs

Is this dump whole?

	zrs restore --dry-run day.zodbdump.zst /nonexistent.fs`
}

// Validate is kong's hook after parsing.
func (c *restoreCmd) Validate() error {
	if (c.BlobDir == "") != (c.BlobsFrom == "") {
		return errors.New("--blob-dir and --blobs-from belong together: to and from where")
	}
	return nil
}

// Run is what the command does.
func (c *restoreCmd) Run(ctx context.Context, e *env) error {
	sum := restoreSummary{Input: c.In, Path: c.FS, DryRun: c.DryRun}
	start := time.Now()
	err := e.withProgress("restoring", func(p *progress) error { return c.restore(ctx, e, &sum, p) })
	if err == nil && sum.BlobsMissing > 0 && !c.DryRun {
		err = dump.ErrBlobsMissing
	}
	sum.finish(err, time.Since(start))
	answer := err == nil || e.json || errors.Is(err, dump.ErrBlobsMissing)
	err = adviseRestore(interrupted(err, "interrupted: "+c.FS+" is as it was"), c)
	if answer {
		err = errors.Join(err, e.answer(&sum, sum.writeText))
	}
	return err
}

// restore does the work, and tells in sum what it was.
func (c *restoreCmd) restore(ctx context.Context, e *env, sum *restoreSummary, p *progress) (err error) {
	in, err := openInput(e.stdin, c.In)
	if err != nil {
		return err
	}
	defer in.close()
	p.setTotal(in.size)
	r := &dump.Restorer{Until: fs.MaxTID, Missing: missingBlob(e.log)}
	defer p.follow(func() (bytes, txns int64) { return in.read.Load(), r.Stats.Transactions.Load() })()
	if c.Until != nil {
		if r.Until, err = c.until(); err != nil {
			return err
		}
	}
	if c.BlobsFrom != "" {
		if r.Blobs, err = fs.OpenBlobDir(c.BlobsFrom); err != nil {
			return err
		}
	}
	if r.After, sum.Created, err = lastOf(ctx, c.FS); err != nil {
		return err
	}
	defer func() { sum.count(r) }()
	d := dump.NewDecoder(in)
	switch {
	case c.DryRun:
		err = r.Restore(ctx, d)
	case sum.Created:
		err = c.create(ctx, e, r, d)
	default:
		err = c.extend(ctx, e, r, d)
	}
	if at, ok := errors.AsType[*dump.DumpError](err); ok && errors.Is(err, fs.ErrTIDOrder) {
		return &guardError{fmt.Errorf("%s ends with %s, but %s begins with %s: nothing was changed",
			c.FS, describeTID(r.After), c.In, describeTID(at.TID))}
	} else if ok {
		return fmt.Errorf("%s: %w", c.In, err)
	}
	return err
}

// until returns the TID to stop at.
func (c *restoreCmd) until() (fs.TID, error) {
	switch {
	case c.Until.head && c.Until.back == 0:
		return fs.MaxTID, nil
	case c.Until.head:
		return 0, fmt.Errorf("--until: %s: where that is can't be told before the end, give a transaction id or a time", c.Until)
	}
	return c.Until.TID(), nil
}

// lastOf returns the last transaction of a data file, or that there is no file.
func lastOf(ctx context.Context, path string) (tid fs.TID, missing bool, err error) {
	f, err := fs.OpenFile(path)
	if errors.Is(err, iofs.ErrNotExist) {
		_, _, err := fs.EmptyLog(path)
		return 0, true, err
	}
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	end, tail, err := f.End(ctx)
	if err == nil && errors.Is(tail, fs.ErrDamaged) {
		err = tail
	}
	return end.TID, false, err
}

// extend appends to the data file, all or nothing.
func (c *restoreCmd) extend(ctx context.Context, e *env, r *dump.Restorer, d *dump.Decoder) (err error) {
	var w *fs.Writer
	r.Open = func() (_ *fs.Writer, err error) {
		if w, err = fs.OpenWriter(ctx, c.FS, fs.WriterOptions{BlobDir: c.BlobDir, Logger: e.log}); err != nil {
			return nil, err
		}
		return w, w.Hold(true)
	}
	err = r.Restore(ctx, d)
	if w == nil {
		return err
	}
	if err != nil {
		return errors.Join(err, w.Rollback(), w.Close())
	}
	return errors.Join(w.Hold(false), w.Close())
}

// create makes a new data file.
func (c *restoreCmd) create(ctx context.Context, e *env, r *dump.Restorer, d *dump.Decoder) (err error) {
	n, err := newDataFile(c.FS)
	if err != nil {
		return err
	}
	defer n.discard()
	w, err := fs.OpenWriter(ctx, n.path, fs.WriterOptions{Create: true, BlobDir: c.BlobDir, Logger: e.log})
	if err != nil {
		return err
	}
	r.Open = func() (*fs.Writer, error) { return w, nil }
	if err := r.Restore(ctx, d); err != nil {
		return errors.Join(err, w.Rollback(), w.Close())
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := dump.Check(ctx, n.path, r.Stats.Transactions.Load(), r.Stats.Records.Load()); err != nil {
		return err
	}
	return n.publish()
}

// adviseRestore adds what to do when a dump can't be restored.
func adviseRestore(err error, c *restoreCmd) error {
	switch {
	case errors.Is(err, fs.ErrNoRevision):
		return advise(err, "the dump begins in the middle of a history: first restore what is before it into "+c.FS)
	case errors.Is(err, dump.ErrHashOnly):
		return advise(err, "make a dump without --hash-only")
	case errors.Is(err, dump.ErrCutShort), errors.Is(err, dump.ErrChecksum), errors.Is(err, errCompression):
		return advise(err, c.FS+" is as it was; use another copy of the dump,", "or take what comes before with --until")
	}
	return err
}

// A restoreSummary is the answer of zrs restore. The JSON names are documented
// in zrs-restore(1).
type restoreSummary struct {
	Schema   int    `json:"schema"`
	Input    string `json:"input"`
	Path     string `json:"path"`
	DryRun   bool   `json:"dry_run"`
	Created  bool   `json:"created"`   // path did not exist before
	ExitCode int    `json:"exit_code"` // the summary is printed on failure too
	Error    string `json:"error,omitempty"`

	FirstTID     fs.TID     `json:"first_tid"` // 0 if there was none
	ToTID        fs.TID     `json:"to_tid"`
	ToTime       *time.Time `json:"to_time"`
	Transactions int64      `json:"transactions"`
	Records      int64      `json:"records"`
	Bytes        int64      `json:"bytes"` // of data
	LeftOut      int64      `json:"left_out"`
	Blobs        int64      `json:"blobs"`
	BlobBytes    int64      `json:"blob_bytes"`
	BlobsMissing int64      `json:"blobs_missing"`
	Seconds      float64    `json:"seconds"`
}

// count takes over what was counted.
func (s *restoreSummary) count(r *dump.Restorer) {
	s.FirstTID, s.ToTID = r.Range()
	s.Transactions, s.Records, s.Bytes = r.Stats.Transactions.Load(), r.Stats.Records.Load(), r.Stats.Bytes.Load()
	s.LeftOut, s.Blobs, s.BlobBytes, s.BlobsMissing = r.Undone, r.Copied, r.BlobBytes, r.Lost
}

// finish fills in what follows from the rest and from how the command ended.
func (s *restoreSummary) finish(err error, took time.Duration) {
	s.Schema = summarySchema
	s.ExitCode = exitCode(err)
	if err != nil {
		s.Error = err.Error()
	}
	if s.ToTID != 0 {
		t := s.ToTID.Time()
		s.ToTime = &t
	}
	s.Seconds = float64(took.Milliseconds()) / 1000
}

// writeText prints the summary for a person.
func (s *restoreSummary) writeText(w io.Writer) error {
	var b strings.Builder
	what := fmt.Sprintf("%s, %s, %s, %s",
		count(s.Transactions, "transaction"), count(s.Records, "record"), formatBytes(s.Bytes), count(s.Blobs, "blob"))
	if s.BlobBytes > 0 {
		what += fmt.Sprintf(" (%s)", formatBytes(s.BlobBytes))
	}
	verb := "appended"
	if s.Created {
		verb = "created"
	}
	if s.DryRun {
		verb = "checked"
	}
	fmt.Fprintf(&b, "%-8s %s in %s\n", verb, what, formatSeconds(s.Seconds))
	if s.LeftOut > 0 {
		fmt.Fprintf(&b, "left out %s of status u, whose records do not count\n", count(s.LeftOut, "transaction"))
	}
	if s.BlobsMissing > 0 {
		fmt.Fprintf(&b, "missing  %s\n", count(s.BlobsMissing, "blob"))
	}
	if s.ToTID != 0 {
		fmt.Fprintf(&b, "from     %s\nto       %s\n", describeTID(s.FirstTID), describeTID(s.ToTID))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
