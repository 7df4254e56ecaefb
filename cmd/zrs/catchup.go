package main

import (
	"context"
	"errors"
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
func (c *catchupCmd) Run(_ context.Context, _ *env) error {
	src, err := findSource(c.Source)
	if err != nil {
		return err
	}
	if src.path == "" && c.SourceBlobDir != "" {
		return errors.New("--source-blob-dir is for a SOURCE that is a file, " + c.Source + " is an address")
	}
	return errors.New("catchup is not built yet")
}
