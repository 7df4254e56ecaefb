package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"zrs/internal/dump"
	"zrs/internal/fs"
)

// repozo restores from a directory of repozo's backups.
func (c *restoreCmd) repozo(ctx context.Context, e *env, sum *restoreSummary, p *progress) error {
	if c.BlobsFrom != "" {
		return errors.New("--blobs-from is for dumps: repozo's backups have no blobs, copy them with rsync")
	}
	until, err := c.until()
	if err != nil {
		return err
	}
	var at time.Time
	if until < fs.MaxTID {
		at = until.Time()
	}
	found, err := dump.FindRepozo(c.In, at)
	if err != nil {
		return err
	}
	if err := c.judgeTarget(ctx, sum); err != nil {
		return err
	}
	if !sum.Created && !c.Replace {
		return &guardError{errors.New(c.FS + " exists; --replace keeps it under another name")}
	}
	p.setTotal(max(1, found[0].Size()))
	if c.DryRun {
		sum.Bytes = found[0].Size()
		return found[0].Join(ctx, io.Discard, &p.bytes)
	}
	n, err := newDataFile(c.FS, !sum.Created)
	if err != nil {
		return err
	}
	defer n.discard()
	used, err := c.joinFirst(ctx, sum, found, n.path, until, p)
	if err != nil {
		return err
	}
	if !at.IsZero() && used.Time.Before(at) {
		e.log.Warn("there is no later backup that has all: transactions before that time may be missing", "path", c.In, "backup", used.Time)
	}
	w, err := fs.OpenWriter(ctx, n.path, fs.WriterOptions{Logger: e.log}) // makes the index
	if err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	sum.Saved, err = n.publish()
	return err
}

// errPackedLater is returned for a backup that a pack has taken revisions from that
// were current then.
var errPackedLater = errors.New("the backup was packed to a later time: what was there then is gone")

// joinFirst makes the data file path from the first of the backups that serves.
func (c *restoreCmd) joinFirst(
	ctx context.Context, sum *restoreSummary, found []*dump.Repozo, path string, until fs.TID, p *progress,
) (used *dump.Repozo, err error) {
	for _, used = range found {
		p.bytes.Store(0)
		if err = joinTo(ctx, used, path, p); err == nil {
			err = c.cut(ctx, sum, path, until)
		}
		if !errors.Is(err, errPackedLater) {
			break
		}
	}
	return used, err
}

// joinTo writes what the backups hold to the file path, durably.
func joinTo(ctx context.Context, backups *dump.Repozo, path string, p *progress) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	err = backups.Join(ctx, f, &p.bytes)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// cut checks the data file path, cuts off what is later than until, and tells in
// sum what it has then.
func (c *restoreCmd) cut(ctx context.Context, sum *restoreSummary, path string, until fs.TID) error {
	f, err := fs.OpenFile(path)
	if err != nil {
		return err
	}
	defer f.Close()
	facts, err := dump.Check(ctx, f, until)
	if err != nil {
		return err
	}
	if facts.PackedLater {
		return fmt.Errorf("%s: %s: %w", c.In, describeTID(until), errPackedLater)
	}
	if err := c.notNothing(facts.Transactions, false); err != nil {
		return err
	}
	sum.FirstTID, sum.ToTID = facts.First, facts.Last
	sum.Transactions, sum.Records, sum.Bytes = facts.Transactions, facts.Records, facts.End
	if facts.End == f.Size() {
		return nil
	}
	return os.Truncate(path, facts.End)
}
