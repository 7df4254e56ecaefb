package main

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"zrs/internal/epoch"
	"zrs/internal/fs"
	"zrs/internal/repl"
)

// A catchupCmd is zrs catchup.
type catchupCmd struct {
	blobFlags     `embed:""`
	SourceBlobDir string `placeholder:"DIR" help:"Directory of the blobs that belong to SOURCE, when SOURCE is a file."`
	connectFlags  `embed:""`
	Until         *when    `placeholder:"WHEN" help:"Stop after the last transaction that is not later than this transaction id or time."`
	DryRun        bool     `help:"Connect and compare, say what would be done, and change nothing."`
	LimitRate     byteSize `placeholder:"SIZE" help:"Take at most this many bytes a second from the source, as in 20M."`
	Timeout       duration `default:"30s" placeholder:"TIME" help:"Give up when the source does not answer for this long."`
	Source        string   `arg:"" name:"SOURCE" help:"Address of a primary, or path of another data file."`
	FS            string   `arg:"" name:"FS" help:"Data file to bring up to date; it is created if there is none."`
}

// Help is the DESCRIPTION of zrs-catchup(1).
func (*catchupCmd) Help() string {
	return `Brings the data file FS, and its blobs, up to the present end of SOURCE, prints a summary
and exits. If FS does not exist it is created (seeded) from the first transaction on.
If it does, only what is missing moves. The end is where SOURCE ended at a moment after
the command connected, or --until.

SOURCE is the address of a primary or the path of another FileStorage. A name that is
both a file here and an address is refused: write ./NAME for the file, zrs://NAME for the
address. The process that writes the source need not stop. FS must not be open elsewhere.

Before anything is appended, the histories are compared (--check-history). If they have
diverged nothing is changed and the exit code is 4. If the source was packed past the
end of FS it is 7, and a new seed is needed.

Interrupted at any point, by a signal, a lost connection or a crash, FS holds whole
transactions, and the same command goes on where the last one stopped. Missing blobs
are counted and make the exit code 8.

With --json the summary is one document on standard output, also when the command
fails: schema, source, path, dry_run, seeded, exit_code, error, history_transactions,
from_tid, to_tid, to_time, transactions, records, bytes, blobs, blob_bytes,
blobs_missing, seconds.`
}

// Examples are the EXAMPLES of the manual page.
func (*catchupCmd) Examples() string {
	return `Keep a copy on a backup host, from cron, silent unless something is wrong:

	zrs catchup -q db1:5000 /backup/Data.fs --blob-dir /backup/blobs --limit-rate 20M

See what would be done:

	zrs catchup --dry-run db1:5000 /srv/zodb/Data.fs --blob-dir /srv/zodb/blobs

Seed a secondary from a copy made with rsync while the primary ran, comparing all of it:

	rsync -a db1:/srv/zodb/ /srv/zodb/
	zrs catchup db1:5000 /srv/zodb/Data.fs --blob-dir /srv/zodb/blobs --check-history=full

A copy as it was an hour ago, from a file:

	zrs catchup --until=-1h ./Data.fs /tmp/before.fs --source-blob-dir ./blobs --blob-dir /tmp/blobs`
}

// Validate is kong's hook after parsing.
func (c *catchupCmd) Validate() error {
	if c.SourceBlobDir != "" && c.BlobDir == "" {
		return errors.New("--source-blob-dir needs --blob-dir, for the blobs to go to")
	}
	return positive("timeout", c.Timeout)
}

// Run is what the command does.
func (c *catchupCmd) Run(ctx context.Context, e *env) error {
	src, err := findSource(c.Source)
	if err != nil {
		return err
	}
	if src.path == "" && c.SourceBlobDir != "" {
		return errors.New("--source-blob-dir is for a SOURCE that is a file, " + c.Source + " is an address")
	}
	sum := catchupSummary{Source: c.Source, Path: c.FS, DryRun: c.DryRun}
	start := time.Now()
	err = e.withProgress("catching up", func(p *progress) error { return c.catchup(ctx, e, src, &sum, p) })
	sum.finish(err, time.Since(start))
	answer := err == nil || e.json || errors.Is(err, repl.ErrIncomplete)
	err = adviseSource(err, c.FS, c.Source)
	if answer {
		err = errors.Join(err, e.answer(&sum, sum.writeText))
	}
	return err
}

// catchup does the work, and tells in sum what it was.
func (c *catchupCmd) catchup(ctx context.Context, e *env, src source, sum *catchupSummary, p *progress) (err error) {
	s := &repl.Secondary{
		CheckHistory: c.checkHistory(),
		LimitRate:    int64(c.LimitRate),
		Timeout:      time.Duration(c.Timeout),
		Logger:       e.log,
	}
	if err := c.checkApart(src); err != nil {
		return err
	}
	until, err := c.until()
	if err != nil {
		return err
	}
	source, size, stop, err := c.open(ctx, e, src)
	if err != nil {
		return err
	}
	defer stop()
	source.Protocol = c.protocol()
	s.Sources = []repl.Source{source}
	w, done, err := c.openFile(ctx, e, s, sum)
	if err != nil {
		return err
	}
	// Behind the lock: who had it may have written a sidecar.
	if s.Identity, err = epoch.Open(c.FS); err != nil {
		if w != nil {
			done = w.CloseUnused
		}
		return errors.Join(adviseSidecar(err, c.FS), done())
	}
	sum.FromTID = s.Log.Tip().TID
	sum.Seeded = sum.FromTID == 0
	if size > 0 {
		p.setTotal(max(1, size-s.Log.Tip().Offset))
	}
	defer p.follow(func() (bytes, txns int64) {
		return s.Stats.Bytes.Load() + s.Stats.BlobBytes.Load(), s.Stats.Transactions.Load()
	})()
	err = s.Catchup(ctx, until, c.DryRun)
	if err != nil && w != nil {
		done = w.CloseUnused
	}
	err = errors.Join(err, done())
	sum.ToTID = s.Log.Tip().TID
	sum.count(&s.Stats)
	if err == nil && sum.BlobsMissing > 0 {
		return repl.ErrIncomplete
	}
	return err
}

// until returns the TID to stop at, 0 for the end.
func (c *catchupCmd) until() (fs.TID, error) {
	switch {
	case c.Until == nil, c.Until.head && c.Until.back == 0:
		return 0, nil
	case c.Until.head:
		return 0, fmt.Errorf("--until: %s: a source can't tell where that is, give a transaction id or a time", c.Until)
	}
	if c.Until.TID() == 0 {
		return 0, fmt.Errorf("--until: %s: no transaction can be that early", c.Until)
	}
	return c.Until.TID(), nil
}

// checkApart refuses to take transactions or blobs from where they would go to.
func (c *catchupCmd) checkApart(src source) error {
	for _, pair := range [][2]string{{src.path, c.FS}, {c.SourceBlobDir, c.BlobDir}} {
		if sameFile(pair[0], pair[1]) {
			return fmt.Errorf("%s is the source and what is to be written", pair[1])
		}
	}
	return nil
}

// openFile opens the file that is to be brought up to date, or just looks at it
// for a dry run: then there is no writer.
func (c *catchupCmd) openFile(ctx context.Context, e *env, s *repl.Secondary, sum *catchupSummary) (w *fs.Writer, done func() error, err error) {
	_, missing := os.Stat(c.FS)
	sum.Seeded = errors.Is(missing, iofs.ErrNotExist)
	if !c.DryRun {
		w, err := fs.OpenWriter(ctx, c.FS, fs.WriterOptions{Create: true, BlobDir: c.BlobDir, Logger: e.log})
		if err != nil {
			return nil, nil, err
		}
		s.Use(w)
		return w, w.Close, nil
	}
	stop := func() {}
	if sum.Seeded {
		s.Log, s.Index, err = fs.EmptyLog(c.FS)
	} else if s.Log, s.Index, stop, err = fs.OpenReadOnly(ctx, c.FS); err == nil {
		err = errors.Join(s.Log.Writable(), fs.MayWrite(c.FS))
	}
	if err != nil {
		return nil, nil, err
	}
	if c.BlobDir != "" {
		s.Blobs, err = fs.OpenBlobDir(c.BlobDir)
		if errors.Is(err, iofs.ErrNotExist) {
			s.Blobs, err = new(fs.BlobDir), nil
		}
	}
	return nil, func() error { stop(); return nil }, err
}

// open returns where the transactions come from: the network, or a primary of
// our own for a file, whose size is known.
func (c *catchupCmd) open(ctx context.Context, e *env, src source) (_ repl.Source, size int64, stop func(), err error) {
	if src.path == "" {
		return repl.TCPSource(src.addr.Network(), src.addr.DialAddress(), time.Duration(c.Timeout)), 0, func() {}, nil
	}
	tailer, err := fs.OpenTailer(src.path, fs.TailerOptions{Logger: e.log})
	if err != nil {
		return repl.Source{}, 0, nil, err
	}
	identity, err := epoch.OpenReadOnly(src.path)
	if err != nil {
		return repl.Source{}, 0, nil, adviseSidecar(err, src.path)
	}
	p := &repl.Primary{Log: tailer.Log(), Identity: identity, Logger: slog.New(slog.DiscardHandler), StopTimeout: time.Second}
	if c.SourceBlobDir != "" {
		if p.Blobs, err = fs.OpenBlobDir(c.SourceBlobDir); err != nil {
			return repl.Source{}, 0, nil, err
		}
	}
	var following sync.WaitGroup
	ctx, cancel := context.WithCancel(ctx)
	following.Go(func() { _ = tailer.Run(ctx) }) // fails the log, and that the source
	source, stopServing := repl.LocalSource(ctx, src.path, p)
	if fi, err := os.Stat(src.path); err == nil {
		size = fi.Size()
	}
	return source, size, func() { stopServing(); cancel(); following.Wait() }, nil
}

// adviseSidecar adds what to do about a sidecar that can't be read.
func adviseSidecar(err error, path string) error {
	if errors.Is(err, epoch.ErrSidecar) {
		sidecar := epoch.SidecarPath(path)
		return advise(err, "move "+sidecar+" aside: a secondary gets a new one from its source;",
			"for a primary, copy one of its secondaries' and run zrs promote")
	}
	return err
}

// adviseSource adds what to do when a source and our file do not fit.
func adviseSource(err error, path, source string) error {
	sidecar := epoch.SidecarPath(path)
	switch {
	case errors.Is(err, epoch.ErrSuperseded):
		return advise(err, "replicate from the primary that was promoted")
	case errors.Is(err, epoch.ErrOtherDatabase):
		return advise(err, "if it is the same one, and a sidecar was lost or made anew: move "+sidecar+" aside,",
			"and the histories are compared instead")
	case errors.Is(err, epoch.ErrDiverged): // of both, it is not known who has what
		return advise(err, "zrs verify "+path+" "+source+"   shows what each has alone;",
			"if "+source+" is right: zrs rewind "+path+" --against "+source+" --dry-run;",
			"if that has nothing to cut: move "+sidecar+" aside, and the histories are compared instead")
	case errors.Is(err, repl.ErrDiverged):
		return advise(err, "zrs verify "+path+" "+source+"   shows what each has alone;",
			"find out which of the two is right before either is written to again;",
			"if "+source+" is: zrs rewind "+path+" --against "+source+" --dry-run")
	case errors.Is(err, repl.ErrPackedPast):
		return advise(err, "move "+path+" and its blobs aside, and seed anew")
	case errors.Is(err, repl.ErrOwnEpoch):
		return advise(err, "zrs serve-primary "+path+"   serves it;", "if "+source+" is to be the primary, promote that first")
	case errors.Is(err, repl.ErrAhead):
		return advise(err, "if the source is being restored or lags behind, try again later;", "if it lost transactions, they are here: keep "+path)
	case errors.Is(err, repl.ErrSpokeZRS1):
		return advise(err, "does it allow this host?", "if zc.zrs serves there now: --protocol=zc.zrs")
	case errors.Is(err, repl.ErrRefused):
		return advise(err, "is it a primary of this database, and does it allow this host?", "if its database has blobs, give --blob-dir")
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return advise(err, "make room where "+path+" and its blobs are, then run the same again: it goes on from what is there")
	case errors.Is(err, repl.ErrBlobDirNeeded):
		return advise(err, "give --blob-dir")
	}
	return err
}
