package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"syscall"

	"zrs/internal/dump"
	"zrs/internal/fs"
)

// A dumpCmd is zrs dump.
type dumpCmd struct {
	Format   string    `enum:"zodbdump,json,fsdump,fstail" default:"zodbdump" placeholder:"FORMAT" help:"Write zodbdump (the format of zodbtools), json (an object a line), fsdump or fstail (as ZODB's tools of these names)."`
	HashOnly bool      `help:"Write the SHA-1 of data instead of data; such a dump can be compared but not restored."`
	Order    string    `enum:"canonical,disk" default:"canonical" placeholder:"ORDER" help:"Write a transaction's records in canonical order (by object id, as zodbtools) or in that of the file (disk), which restores it byte for byte."`
	Data     bool      `help:"With json, add the data of records in base64."`
	Records  bool      `help:"With json, write an object for each record instead of each transaction."`
	OID      []fs.OID  `name:"oid" placeholder:"OID" help:"Write the records of this object only, and the transactions that have any; may be given several times."`
	User     []string  `placeholder:"NAME" help:"Write the transactions of this user only; the name alone is enough where Zope has put a path before it."`
	Since    *when     `placeholder:"WHEN" help:"Begin with the first transaction that is not earlier than this transaction id or time."`
	Follow   bool      `help:"Go on with what is committed from now on, over packs, until stopped."`
	BlobDir  string    `placeholder:"DIR" help:"Directory of the blobs that belong to FS."`
	BlobsTo  string    `placeholder:"DIR" help:"Copy the blobs of what is written to this blob directory, which is made if it is missing; needs --blob-dir."`
	Output   string    `short:"o" placeholder:"FILE" help:"Write to this file, which appears when it is whole."`
	Compress bool      `help:"Compress with zstd, as is done for an output FILE that ends in .zst."`
	FS       string    `arg:"" name:"FS" help:"Data file to read."`
	Range    *tidRange `arg:"" optional:"" name:"RANGE" help:"Part of the history, see zrs help ranges, or one transaction."`
}

// Help is the DESCRIPTION of zrs-dump(1).
func (*dumpCmd) Help() string {
	return `Writes the transactions of the data file FS as text, the oldest first, to standard output.
It takes no lock and changes nothing; FS may be in use.

zodbdump is the format of zodbtools: byte for byte what its zodb dump writes, for zodb
restore and zrs restore. With --order=disk restoring it gives the same file byte for byte,
unless FS was packed. fsdump and fstail write what ZODB's tools of these names do; fstail
begins with the newest transaction, and without a RANGE ends with the tenth.

json is for other programs: an object a line with schema, tid, time, status (complete,
packed or undone), user, description, extension, offset, bytes and records, each of these
with oid, class, bytes, data_tid (the transaction whose data it has), blob, and on request
data or sha1; an object that is gone has deleted, and null for class and bytes. With
--records each record is a line with schema, tid and time of its own. Texts that are not
UTF-8 have their exact bytes in user_base64 and description_base64 too. Extensions and
class names are decoded without running anything; of an extension that can't be,
extension_base64 has the bytes and extension_error the reason.

With --follow it is a change feed: what is committed is written as soon as it is durable.
To resume, begin with the last transaction that was seen: it comes again.

What can be read is written before an error is reported. A transaction that was not
finished at the end of the file is left out with a warning. Damage ends the dump with
exit code 3, and makes --output leave no file. If RANGE is one id, and FS has no such
transaction, the exit code is 1. Blobs that are missing are counted, and
make the exit code 8. --quiet is for what is said on standard error.`
}

// Examples are the EXAMPLES of the manual page.
func (*dumpCmd) Examples() string {
	return `A backup of the last day, with its blobs:

	zrs dump Data.fs --since=-1d --blob-dir blobs --blobs-to day.blobs -o day.zodbdump.zst

Has one host what another has?

	zrs dump Data.fs --hash-only -o db1.hashes

Who changed an object, and when:

	zrs dump --json --records Data.fs --oid 0x2a

Feed an indexer with classes and object ids, from a transaction on:

	zrs dump --json --follow Data.fs 0411c6f2a0b1cc77..`
}

// Validate is kong's hook after parsing.
func (c *dumpCmd) Validate() error {
	switch {
	case c.BlobsTo != "" && c.BlobDir == "":
		return errors.New("--blobs-to needs --blob-dir, for the blobs to come from")
	case c.Follow && c.Output != "" && c.Output != "-":
		return errors.New("--follow has no end, and --output appears at the end: redirect standard output")
	case c.Follow && c.Format == string(dump.Fstail):
		return errors.New("--follow goes forward, fstail goes backward")
	case (c.Data || c.Records) && c.Format != string(dump.JSON) && c.Format != string(dump.Zodbdump):
		return fmt.Errorf("--data and --records are for json, not for %s", c.Format)
	}
	return nil
}

// Run is what the command does.
func (c *dumpCmd) Run(ctx context.Context, e *env) (err error) {
	d, err := c.dumper(e)
	if err != nil {
		return err
	}
	if _, err := os.Stat(c.FS); err != nil {
		return err // before anything is made
	}
	blobs, err := c.blobs(ctx, e, d)
	if err != nil {
		return err
	}
	out, err := openOutput(e.stdout, c.Output, c.Compress)
	if err != nil {
		return err
	}
	if c.Follow {
		err = stopped(c.follow(ctx, e, d, out, blobs))
	} else {
		err = c.once(ctx, e, d, out)
	}
	if blobs != nil {
		err = errors.Join(err, blobs.Sync())
	}
	err = out.finish(err)
	if errors.Is(err, syscall.EPIPE) {
		return nil // the reader has had enough
	}
	if err == nil && blobs != nil {
		e.log.Info("blobs copied", "path", c.BlobsTo, "blobs", blobs.Copied, "bytes", blobs.Bytes, "missing", blobs.Lost)
		if blobs.Lost > 0 {
			err = dump.ErrBlobsMissing
		}
	}
	return interrupted(err, "interrupted: the output is not whole; run the command again")
}

// dumper returns what does the work.
func (c *dumpCmd) dumper(e *env) (*dump.Dumper, error) {
	d := &dump.Dumper{
		Format: dump.Format(c.Format), HashOnly: c.HashOnly, Disk: c.Order == "disk",
		Data: c.Data, Records: c.Records,
	}
	if e.json && d.Format == dump.Zodbdump {
		d.Format = dump.JSON
	}
	switch {
	case (c.Data || c.Records) && d.Format != dump.JSON:
		return nil, errors.New("--data and --records are for json: add --json")
	case e.json && d.Format != dump.JSON:
		return nil, fmt.Errorf("--json and --format=%s contradict each other", d.Format)
	case d.Format == dump.Fsdump:
		d.Disk = true // as the tool does
	}
	if len(c.User) > 0 {
		d.Txn = func(t *fs.Txn) bool {
			return slices.ContainsFunc(c.User, func(name string) bool { return isUser(t.User, name) })
		}
	}
	if len(c.OID) > 0 {
		d.OIDs = map[fs.OID]bool{}
		for _, id := range c.OID {
			d.OIDs[id] = true
		}
	}
	return d, nil
}

// blobs makes d copy blobs, if that is wanted.
func (c *dumpCmd) blobs(ctx context.Context, e *env, d *dump.Dumper) (*dump.BlobCopier, error) {
	if c.BlobsTo == "" {
		return nil, nil
	}
	from, err := fs.OpenBlobDir(c.BlobDir)
	if err != nil {
		return nil, err
	}
	if sameFile(c.BlobDir, c.BlobsTo) {
		return nil, errors.New("--blob-dir and --blobs-to are the same directory")
	}
	to, err := fs.CreateBlobDir(c.BlobsTo)
	if err != nil {
		return nil, err
	}
	b := &dump.BlobCopier{From: from, To: to, Missing: missingBlob(e.log)}
	d.Blob = func(oid fs.OID, tid fs.TID) error { return b.Copy(ctx, oid, tid) }
	return b, nil
}

// missingBlob returns a function that tells of a blob that is not there.
func missingBlob(log *slog.Logger) func(oid fs.OID, tid fs.TID, err error) {
	return func(oid fs.OID, tid fs.TID, err error) {
		log.Warn("a blob is missing", "oid", oid, "tid", tid, "err", err)
	}
}

// once writes what the file has now.
func (c *dumpCmd) once(ctx context.Context, e *env, d *dump.Dumper, out *outFile) error {
	f, err := fs.OpenFile(c.FS)
	if err != nil {
		return err
	}
	defer f.Close()
	from, to, err := c.bounds(ctx, f)
	if err != nil {
		return err
	}
	if f.Magic() == fs.MagicPython2 {
		e.log.Warn("the data file was made by ZODB on Python 2: what is restored from its dump is not converted to Python 3", "path", c.FS)
	}
	var tail error
	write := func(p *progress) (err error) {
		tail, err = c.write(ctx, d, out, f, from, to, p)
		return err
	}
	if out.file == nil && isTerminal(e.stdout) {
		err = write(new(progress)) // the text moves by itself
	} else {
		err = e.withProgress("dumping", write)
	}
	if err == nil && tail == nil && c.isMissing(d) {
		err = fmt.Errorf("%s: %w: %s", c.FS, errNoTxn, c.Range)
	}
	if err != nil || !errors.Is(tail, fs.ErrTornTail) {
		return errors.Join(err, tail)
	}
	e.log.Warn("left out an incomplete transaction at the end of the data file", "err", tail)
	return nil
}

// isMissing reports whether one transaction was asked for that is not there.
func (c *dumpCmd) isMissing(d *dump.Dumper) bool {
	return c.Range != nil && c.Range.single && d.Txn == nil && d.OIDs == nil && d.Stats.Transactions.Load() == 0
}

// write writes the transactions of f that are wanted.
func (c *dumpCmd) write(ctx context.Context, d *dump.Dumper, out *outFile, f *fs.File, from, to fs.TID, p *progress) (tail, err error) {
	at, end := fs.Place{Offset: fs.FirstOffset}, fs.Place{}
	if from > 0 || d.Format == dump.Fstail {
		if end, tail, err = f.End(ctx); err != nil {
			return nil, err
		}
	}
	if from > 0 {
		if at, err = f.After(ctx, from-1, end); err != nil {
			return nil, err
		}
	}
	p.setTotal(max(1, f.Size()-at.Offset))
	defer p.follow(func() (bytes, txns int64) { return d.Stats.Bytes.Load(), d.Stats.Transactions.Load() })()
	if d.Format != dump.Fstail {
		return d.Dump(ctx, out, f, at, to)
	}
	n := 0
	if c.Range == nil && c.Since == nil {
		n = fstailCount
	}
	last := end.Offset
	if to < end.TID {
		place, err := f.After(ctx, to, end)
		if err != nil {
			return nil, err
		}
		last, tail = place.Offset, nil
	}
	return tail, d.Tail(ctx, out, f, last, from, n)
}

// fstailCount is how many transactions ZODB's fstail shows.
const fstailCount = 10

// bounds returns the first and the last transaction id that are wanted.
func (c *dumpCmd) bounds(ctx context.Context, f *fs.File) (from, to fs.TID, err error) {
	to = fs.MaxTID
	if c.Range == nil && c.Since == nil {
		return from, to, nil
	}
	end, _, err := f.End(ctx)
	if err != nil {
		return 0, 0, err
	}
	if c.Range != nil {
		if from, to, err = c.Range.resolve(ctx, f, end); err != nil {
			return 0, 0, err
		}
	}
	if c.Since != nil {
		since, err := c.Since.first(ctx, f, end)
		if err != nil {
			return 0, 0, err
		}
		from = max(from, since)
	}
	return from, to, nil
}

// follow writes what the file has and what it gets.
func (c *dumpCmd) follow(ctx context.Context, e *env, d *dump.Dumper, out *outFile, blobs *dump.BlobCopier) (err error) {
	f, err := fs.OpenFile(c.FS)
	if err != nil {
		return err
	}
	from, to, err := c.bounds(ctx, f)
	f.Close()
	if err != nil {
		return err
	}
	tailer, err := fs.OpenTailer(c.FS, fs.TailerOptions{Logger: e.log})
	if err != nil {
		return err
	}
	var following sync.WaitGroup
	defer following.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	following.Go(func() { _ = tailer.Run(ctx) }) // fails the log, and that those who read it
	log := tailer.Log()
	if err := log.WaitReady(ctx); err != nil {
		return err
	}
	cursor, err := log.After(min(max(from, 1)-1, log.Tip().TID))
	if cursor == nil {
		return err // with a cursor it says that from was no transaction, which it need not be
	}
	defer cursor.Close()
	return d.Follow(ctx, out, log, cursor, from, to, func() error {
		err := out.Flush()
		if blobs != nil {
			err = errors.Join(err, blobs.Sync())
		}
		return err
	})
}
