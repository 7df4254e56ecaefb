package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"zrs/internal/dump"
	"zrs/internal/fs"
)

// A restoreCmd is zrs restore.
type restoreCmd struct {
	BlobDir   string `placeholder:"DIR" help:"Directory of the blobs that belong to FS, where they are restored to."`
	BlobsFrom string `placeholder:"DIR" help:"Take the blobs from this blob directory, such as dump --blobs-to makes; needs --blob-dir, which may be the same."`
	Until     *when  `placeholder:"WHEN" help:"Stop after the last transaction that is not later than this transaction id or time."`
	Replace   bool   `help:"Put what is restored in the place of an FS that exists, which is kept as FS.old-TIME."`
	DryRun    bool   `help:"Read and check IN, say what would be done, and change nothing."`
	In        string `arg:"" name:"IN" help:"Dump to read, compressed with zstd or gzip or not, - for standard input; or a directory of repozo's backups."`
	FS        string `arg:"" name:"FS" help:"Data file to write; it is created if there is none, else it is appended to."`
}

// Help is the DESCRIPTION of zrs-restore(1).
func (*restoreCmd) Help() string {
	return `Writes the transactions of IN into the data file FS, and prints a summary. IN is a dump in
the format of zodbtools (zodbdump), as zrs dump and zodb dump make it, or a directory of
repozo's backups. Whether a dump is compressed is seen from its content.

A new FS grows in the directory FS.restoring and gets its name when it is whole, checked
and durable, with its index. An FS that exists is appended to: the dump must begin after
its last transaction (else the exit code is 6), and if it turns out to be damaged, what
was appended is taken back. With --replace it is not appended to but keeps its contents
under another name, FS.old-TIME. So whatever goes wrong, FS is as it was.

Of repozo's backups the newest full one and its increments are joined. With --until it is
the first backup made after that time, and then what is later is cut off: so nothing is
missing, unless a pack has come between. Each file must have the length and the MD5 that
repozo has listed for it. FS must not exist, or --replace be given. Blobs are not in such
backups.

An input without transactions, up to --until, is taken for a mistake: it makes an empty
database only if it is a file that is empty itself, and replaces none.

Every object's data is checked against its checksum. A dump with checksums alone
(--hash-only) can't be restored. Objects that have the data of another transaction need
that one in FS or in the dump. Transactions of status u, whose records don't count, are
left out and counted.

A dump has no blobs: --blobs-from says where they are. Blobs that are missing, or left
out, are counted and make the exit code 8.

With --json the summary is one document on standard output, also when the command fails:
schema, input, path, dry_run, created, exit_code, error, first_tid, to_tid, to_time,
transactions, records, bytes, left_out, blobs, blob_bytes, blobs_missing, seconds, saved.`
}

// Examples are the EXAMPLES of the manual page.
func (*restoreCmd) Examples() string {
	return `Restore a backup with its blobs:

	zrs restore day.zodbdump.zst Data.fs --blobs-from day.blobs --blob-dir blobs

Take the site back to a moment, beside what is there:

	zrs restore --until 2026-11-20T14:32:00Z all.zodbdump.zst before.fs

Copy a database through a pipe:

	ssh db1 zrs dump --order=disk /srv/zodb/Data.fs | zrs restore - copy.fs

Restore repozo's backups of this morning, and keep what is there now:

	zrs restore --replace --until 2026-11-20T08:00:00Z /backup/repozo Data.fs

Is this dump whole?

	zrs restore --dry-run day.zodbdump.zst /nonexistent.fs`
}

// Validate is kong's hook after parsing.
func (c *restoreCmd) Validate() error {
	if c.BlobsFrom != "" && c.BlobDir == "" {
		return errors.New("--blobs-from needs --blob-dir, for the blobs to go to")
	}
	return nil
}

// Run is what the command does.
func (c *restoreCmd) Run(ctx context.Context, e *env) error {
	sum := restoreSummary{Input: c.In, Path: c.FS, DryRun: c.DryRun}
	start := time.Now()
	err := e.withProgress("restoring", func(p *progress) error {
		if fi, err := os.Stat(c.In); err == nil && fi.IsDir() {
			return c.repozo(ctx, e, &sum, p)
		}
		return c.restore(ctx, e, &sum, p)
	})
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
	in, err := openInput(ctx, e.stdin, c.In)
	if err != nil {
		return err
	}
	defer in.close()
	p.setTotal(in.size)
	r := &dump.Restorer{Until: fs.MaxTID, Missing: missingBlob(e.log)}
	defer p.follow(func() (bytes, txns int64) { return in.read.Load(), r.Stats.Transactions.Load() })()
	if r.Until, err = c.until(); err != nil {
		return err
	}
	if c.BlobsFrom != "" {
		if r.Blobs, err = fs.OpenBlobDir(c.BlobsFrom); err != nil {
			return err
		}
		if sameFile(c.BlobsFrom, c.BlobDir) {
			c.BlobDir = "" // they are in place
		}
	}
	if err = c.judgeTarget(ctx, sum); err != nil {
		return err
	}
	if !c.Replace {
		r.After = sum.before
	}
	defer func() { sum.count(r) }()
	d := dump.NewDecoder(in)
	read := func() error {
		if err := r.Restore(ctx, d); err != nil || !sum.Created && !c.Replace {
			return err
		}
		return c.notNothing(r.Stats.Transactions.Load(), in.pipe && in.read.Load() == 0)
	}
	switch {
	case c.DryRun:
		err = read()
	case sum.Created, c.Replace:
		err = c.create(ctx, e, sum, r, read)
	default:
		err = c.extend(ctx, e, r, d)
	}
	if at, ok := errors.AsType[*dump.Error](err); ok && errors.Is(err, fs.ErrTIDOrder) {
		return advise(&guardError{fmt.Errorf("%s ends with %s, but %s begins with %s: nothing was changed",
			c.FS, describeTID(r.After), c.In, describeTID(at.TID))},
			"if it was restored before, there is nothing to do;", "if it has the whole database, --replace puts it in the place of "+c.FS+", which is kept")
	} else if ok {
		return fmt.Errorf("%s: %w", c.In, err)
	}
	return err
}

// errNoInput is returned where a database would be made from nothing.
var errNoInput = errors.New("there is no input: has the command failed that should write it?")

// notNothing refuses to make a database without transactions of what is likely to
// be a mistake: nothing came, or it is to take the place of one.
func (c *restoreCmd) notNothing(txns int64, nothingCame bool) error {
	switch {
	case txns > 0:
		return nil
	case nothingCame:
		return fmt.Errorf("%s: %w", c.In, errNoInput)
	case c.Until != nil:
		return &guardError{fmt.Errorf("%s has no transaction up to %s, which --until says", c.In, c.Until)}
	case c.Replace:
		return &guardError{fmt.Errorf("%s has no transaction: %s is not replaced by nothing", c.In, c.FS)}
	}
	return nil
}

// until returns the TID to stop at.
func (c *restoreCmd) until() (fs.TID, error) {
	switch {
	case c.Until == nil, c.Until.head && c.Until.back == 0:
		return fs.MaxTID, nil
	case c.Until.head:
		return 0, fmt.Errorf("--until: %s: where that is can't be told before the end, give a transaction id or a time", c.Until)
	}
	return c.Until.TID(), nil
}

// judgeTarget finds out whether the data file exists, and where it ends.
func (c *restoreCmd) judgeTarget(ctx context.Context, sum *restoreSummary) error {
	f, err := fs.OpenFile(c.FS)
	if errors.Is(err, iofs.ErrNotExist) {
		sum.Created = true
		_, _, err := fs.EmptyLog(c.FS)
		return err
	}
	if err != nil {
		return err
	}
	defer f.Close()
	end, tail, err := f.End(ctx)
	if err == nil && errors.Is(tail, fs.ErrDamaged) && !c.Replace {
		err = tail
	}
	sum.before = end.TID
	return err
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
func (c *restoreCmd) create(ctx context.Context, e *env, sum *restoreSummary, r *dump.Restorer, read func() error) (err error) {
	n, err := newDataFile(c.FS, !sum.Created)
	if err != nil {
		return err
	}
	defer n.discard()
	w, err := fs.OpenWriter(ctx, n.path, fs.WriterOptions{Create: true, BlobDir: c.BlobDir, Logger: e.log})
	if err != nil {
		return err
	}
	r.Open = func() (*fs.Writer, error) { return w, nil }
	if err := read(); err != nil {
		return errors.Join(err, w.Rollback(), w.Close())
	}
	if err := w.Close(); err != nil {
		return err
	}
	if err := checkWritten(ctx, n.path, r); err != nil {
		return err
	}
	sum.Saved, err = n.publish()
	return err
}

// checkWritten reads what was restored, as it is in the file.
func checkWritten(ctx context.Context, path string, r *dump.Restorer) error {
	f, err := fs.OpenFile(path)
	if err != nil {
		return err
	}
	defer f.Close()
	facts, err := dump.Check(ctx, f, fs.MaxTID)
	if err != nil {
		return err
	}
	txns, records := r.Stats.Transactions.Load(), r.Stats.Records.Load()
	if facts.Transactions != txns || facts.Records != records {
		return fmt.Errorf("%s: %s with %s were written, but %s with %s are there", path,
			count(txns, "transaction"), count(records, "record"),
			count(facts.Transactions, "transaction"), count(facts.Records, "record"))
	}
	return nil
}

// adviseRestore adds what to do when a dump can't be restored.
func adviseRestore(err error, c *restoreCmd) error {
	switch {
	case errors.Is(err, fs.ErrNoRevision):
		return advise(err, "the dump begins in the middle of a history: first restore what is before it into "+c.FS)
	case errors.Is(err, dump.ErrHashOnly):
		return advise(err, "make a dump without --hash-only")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return advise(err, c.FS+" is as it was; make room there and run the same again")
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

	Saved string `json:"saved,omitempty"` // what was replaced

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

	before fs.TID // the last transaction of path before
}

// count takes over what was counted.
func (s *restoreSummary) count(r *dump.Restorer) {
	s.FirstTID, s.ToTID = r.Range()
	s.Transactions, s.Records, s.Bytes = r.Stats.Transactions.Load(), r.Stats.Records.Load(), r.Stats.Bytes.Load()
	s.LeftOut, s.Blobs, s.BlobBytes, s.BlobsMissing = r.Undone, r.Copied, r.BlobBytes, r.Lost
}

// finish fills in what follows from the rest and from how the command ended.
func (s *restoreSummary) finish(err error, took time.Duration) {
	s.Schema, s.ExitCode, s.Error = summarySchema, exitCode(err), errorText(err)
	s.ToTime, s.Seconds = timeOf(s.ToTID), inSeconds(took)
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
	switch {
	case s.DryRun:
		verb = "checked"
	case s.Created:
		verb = "created"
	case s.Saved != "":
		verb = "replaced"
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
	if s.Saved != "" {
		fmt.Fprintf(&b, "saved    %s, what was there before\n", s.Saved)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
