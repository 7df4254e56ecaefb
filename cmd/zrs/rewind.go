package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"zrs/internal/dump"
	"zrs/internal/epoch"
	"zrs/internal/fs"
	"zrs/internal/rewind"
)

// A rewindCmd is zrs rewind.
type rewindCmd struct {
	Against           string   `placeholder:"SOURCE" xor:"point" help:"Cut what SOURCE does not have: the address of a primary, or path of another data file."`
	To                *when    `placeholder:"WHEN" xor:"point" help:"Cut what is later than this transaction id or time."`
	Yes               bool     `help:"Do it; without this flag it is only told what would be done."`
	DryRun            bool     `help:"Tell what would be done and change nothing, whatever other flags say."`
	BlobDir           string   `placeholder:"DIR" help:"Directory of the blobs that belong to FS."`
	AllowMissingBlobs bool     `help:"Go on where blobs of what is cut are not in --blob-dir, or none is given, and so can't be saved."`
	Salvage           string   `placeholder:"DIR" help:"Save what is cut in this new directory, and not in one beside FS."`
	MaxFindings       int      `default:"100" placeholder:"N" help:"Tell at most this many transactions; the rest are counted."`
	Timeout           duration `default:"30s" placeholder:"TIME" help:"Give up when an address does not answer for this long."`
	FS                string   `arg:"" name:"FS" help:"Data file to take back."`
}

// Help is the DESCRIPTION of zrs-rewind(1).
func (*rewindCmd) Help() string {
	return `Takes the data file FS back to an earlier transaction: with --against the last one that it
has in common with SOURCE, with --to the last one that is not later. It is for the old
primary that comes back with transactions that the new one never got. FS must not be open
elsewhere.

Without --yes it tells what it would do, changes nothing and takes no lock. On a terminal
that is all; elsewhere the exit code is 6 if there is anything to cut, so that a script
can't take a look for the deed. Where FS is equal to SOURCE, or only behind it, there is
nothing to cut, and the exit code is 0.

What is cut off is saved first, in a directory beside FS:

  orphans.zodbdump  the transactions, for zrs restore and zodbtools; with their records in
                    the order of the file, so that restoring gives the same bytes again
  orphans.fs        the same as a FileStorage, for zrs log, zrs info and ZODB
  blobs             their blobs, if there are any
  torn-tail         what an unfinished transaction had left behind them, if one had
  rewind.json       what was cut from where; README has it in words

All of that is made durable, read back and compared with FS. Then FS is cut, and gets an
index that ZODB believes; the blobs of what was cut are removed; and if FS has a sidecar,
it becomes that of a secondary. After that FS can follow SOURCE: zrs catchup, or zrs
serve-secondary. No other command removes committed transactions.

Killed at any moment it has left FS as it was, or cut, and sound in any case; a journal,
FS.rewind, lets the next run end what this one began. That run may have the same
arguments, or neither --against nor --to. Half a salvage is removed, and a whole one is
not made twice.

A pack removes what it takes to go back to before its time. So if FS was packed past the
place, nothing is changed and the exit code is 4; if SOURCE was packed past it and the
last common transaction can't be told, it is 7. If damage is met in FS, also behind the
place, nothing is changed and it is 3, since what is damaged can't be saved whole. Blobs
that can't be saved make it 6, or 8 if that was allowed.

With --json the summary is one document on standard output, also when the command fails:
schema, path, against, relation (as in zrs-verify(1)), begun (saved or cut: how far an
earlier run came that did not end), dry_run, changed, exit_code, error, kept_tid,
kept_time, first_tid, last_tid, last_time, transactions, records, bytes, torn_tail_bytes,
blobs, blob_bytes, blobs_missing, source_only (transactions that only SOURCE has), cut (the
first transactions: tid, time, user, description, objects, object_count), salvage, seconds.`
}

// Examples are the EXAMPLES of the manual page.
func (*rewindCmd) Examples() string {
	return `After a failover, look at what the old primary has alone, then take it back and follow:

	zrs rewind /old/Data.fs --against db2:5000 --blob-dir /old/blobs --dry-run
	zrs rewind /old/Data.fs --against db2:5000 --blob-dir /old/blobs --yes
	zrs serve-secondary /old/Data.fs --replicate-from db2:5000 --blob-dir /old/blobs

What was cut?

	zrs log --stat /old/Data.fs.salvage-0411c7135a1b2c3d-5f0e9a31/orphans.fs

Take a database back to a moment:

	zrs rewind Data.fs --to 2026-11-20T14:32:00Z --blob-dir blobs --yes

End what an earlier run has begun:

	zrs rewind Data.fs --yes`
}

// Validate is kong's hook after parsing.
func (c *rewindCmd) Validate() error {
	if c.MaxFindings < 0 {
		return fmt.Errorf("--max-findings: %d is less than 0", c.MaxFindings)
	}
	return positive("timeout", c.Timeout)
}

// Run is what the command does.
func (c *rewindCmd) Run(ctx context.Context, e *env) error {
	sum := rewindSummary{Path: c.FS, Against: c.Against, DryRun: c.DryRun || !c.Yes, BlobDir: c.BlobDir, Cut: []onlyAnswer{}}
	start := time.Now()
	err := c.rewind(ctx, e, &sum)
	if err == nil && sum.Changed && sum.BlobsMissing > 0 {
		err = dump.ErrBlobsMissing
	}
	if err == nil && sum.DryRun && !c.DryRun && sum.Transactions > 0 {
		sum.hint = true
		if !e.attended() {
			err = &guardError{errors.New("nothing was changed: it takes --yes to cut these transactions off")}
		}
	}
	sum.finish(err, time.Since(start))
	_, refused := errors.AsType[*guardError](err)
	answer := err == nil || e.json || errors.Is(err, dump.ErrBlobsMissing) || refused && sum.Transactions > 0
	err = c.advise(interrupted(err, "interrupted: "+sum.state()), &sum)
	if answer {
		err = errors.Join(err, e.answer(&sum, sum.writeText))
	}
	return err
}

// rewind does the work, and tells in sum what it was.
func (c *rewindCmd) rewind(ctx context.Context, e *env, sum *rewindSummary) (err error) {
	if sameFile(c.FS, c.Against) {
		return fmt.Errorf("%s is the source and what is to be taken back", c.FS)
	}
	r, err := rewind.Open(ctx, c.FS, sum.DryRun, e.log)
	if err != nil {
		return adviseDamage(err, c.FS)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	stage, kept, salvage := r.Begun()
	switch stage {
	case rewind.Saved:
		sum.Begun = "saved"
	case rewind.Cut:
		sum.Begun, sum.Salvage, sum.KeptTID = "cut", salvage, kept
		if !sum.DryRun {
			sum.Changed, sum.halfway = true, true
			if err := r.Finish(ctx); err != nil {
				return err
			}
			sum.halfway = false
		}
	}
	if stage != rewind.Saved {
		kept = 0
	}
	if c.Against == "" && c.To == nil && kept == 0 {
		if stage == rewind.Cut {
			return nil
		}
		return errors.New("back to where? Give --against SOURCE or --to WHEN")
	}
	last, err := c.last(ctx, e, r, kept, sum)
	if err != nil {
		return err
	}
	return c.cut(ctx, e, r, last, sum)
}

// last returns the transaction that is to be the last one: that, or the last one
// before it. Begun is that of an earlier run, 0 if there is none.
func (c *rewindCmd) last(ctx context.Context, e *env, r *rewind.File, begun fs.TID, sum *rewindSummary) (last fs.TID, err error) {
	f, end := r.Data()
	switch {
	case c.Against != "":
		err = e.withProgress("comparing", func(p *progress) error {
			last, err = c.lastCommon(ctx, f, end, sum, p)
			return err
		})
		return last, err
	case c.To != nil:
		return c.To.last(ctx, f, end)
	}
	return begun, nil
}

// cut cuts what is later than last, or tells what would be cut.
func (c *rewindCmd) cut(ctx context.Context, e *env, r *rewind.File, last fs.TID, sum *rewindSummary) error {
	opts := rewind.Options{BlobDir: c.BlobDir, Salvage: c.Salvage, Done: new(atomic.Int64)}
	if c.BlobDir != "" {
		var err error
		if opts.Blobs, err = fs.OpenBlobDir(c.BlobDir); err != nil {
			return err
		}
	}
	plan, err := r.Plan(ctx, last, opts.Blobs, c.MaxFindings)
	if plan != nil && plan.Transactions > 0 {
		sum.fill(plan)
	}
	switch {
	case err != nil:
		return adviseDamage(err, c.FS)
	case plan.Transactions == 0:
		return r.GiveUp()
	case plan.Kept.TID == 0:
		return fmt.Errorf("--to %s: %s has no transaction that early, and is not emptied", c.To, c.FS)
	case plan.BlobsMissing > 0 && !c.AllowMissingBlobs && !c.DryRun:
		return c.blobsMissing(plan)
	}
	if err := c.checkSalvage(r); err != nil {
		return err
	}
	if sum.DryRun {
		_, sum.locked, _ = fs.LockHolder(c.FS + ".lock")
		return nil
	}
	return e.withProgress("rewinding", func(p *progress) error {
		p.setTotal(max(1, plan.Work()))
		defer p.follow(func() (bytes, txns int64) { return opts.Done.Load(), 0 })()
		role := c.role()
		salvage, err := r.Rewind(ctx, plan, opts)
		sum.Salvage, sum.Changed, sum.halfway = salvage, salvage != "", salvage != "" && err != nil
		if sameFile(salvage, c.Salvage) {
			sum.Salvage = c.Salvage
		}
		sum.demoted = role != epoch.Secondary && c.role() == epoch.Secondary
		return err
	})
}

// role returns the role of FS, as far as it is known.
func (c *rewindCmd) role() epoch.Role {
	s, err := epoch.Load(c.FS)
	if err != nil {
		return ""
	}
	return s.Role
}

// checkSalvage refuses a directory that can't be made. What an earlier run has made
// is another matter.
func (c *rewindCmd) checkSalvage(r *rewind.File) error {
	if c.Salvage == "" {
		return nil
	}
	if stage, _, made := r.Begun(); stage == rewind.Saved && sameFile(made, c.Salvage) {
		return nil
	}
	if _, err := os.Lstat(c.Salvage); err == nil {
		return &guardError{fmt.Errorf("%s exists; nothing was changed: name another directory with --salvage", c.Salvage)}
	}
	if _, err := os.Stat(filepath.Dir(c.Salvage)); err != nil {
		return fmt.Errorf("--salvage: %v; nothing was changed", err) //nolint:errorlint // it is not the storage that is missing
	}
	return nil
}

// blobsMissing refuses to go on without blobs.
func (c *rewindCmd) blobsMissing(p *rewind.Plan) error {
	what := count(p.BlobsMissing, "blob") + " of what would be cut"
	if c.BlobDir == "" {
		return &guardError{fmt.Errorf("%s can't be saved: give --blob-dir DIR, or --allow-missing-blobs if they are lost", what)}
	}
	return &guardError{fmt.Errorf("%s can't be saved, as they are not in %s: if they are lost, --allow-missing-blobs goes on without them", what, c.BlobDir)}
}

// advise adds what to do when a file can't be taken back.
func (c *rewindCmd) advise(err error, sum *rewindSummary) error {
	switch {
	case err == nil:
	case errors.Is(err, epoch.ErrSidecar):
		return adviseSidecar(err, c.FS)
	case errors.Is(err, rewind.ErrPacked), errors.Is(err, errUnrelated):
		return advise(err, "nothing was changed; keep a copy of "+c.FS+", then seed anew from the right one")
	case errors.Is(err, errForkPacked):
		return advise(err, "nothing was changed; zrs log "+c.FS+" shows what is here: if you know the place, give it with --to;",
			"else keep a copy of "+c.FS+", then seed anew from "+c.Against)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return advise(err, sum.state()+"; make room, or save elsewhere with --salvage, then run the same again")
	case sum.halfway:
		return advise(err, sum.state()+"; run the same again, and it is ended")
	}
	return err
}
