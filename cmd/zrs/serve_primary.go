package main

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"zrs/internal/fs"
)

// A servePrimaryCmd is zrs serve-primary.
type servePrimaryCmd struct {
	ReplicateTo address `required:"" placeholder:"ADDR" help:"Listen for secondaries at this address."`
	blobFlags   `embed:""`
	serveFlags  `embed:""`
	Poll        duration `placeholder:"TIME" help:"Look for new transactions at this interval instead of waiting for file events."`
	FS          string   `arg:"" name:"FS" help:"Data file to serve."`
}

// Help is the DESCRIPTION of zrs-serve-primary(1).
func (*servePrimaryCmd) Help() string {
	return `Follows the data file FS and sends its transactions, and their blobs, to every
secondary that connects: zrs serve-secondary, zrs catchup, or a secondary of zc.zrs.

It reads beside the process that writes FS (a ZEO server, Zope). It takes no lock and
changes nothing, so it can be started and stopped at any time, and it follows when FS
is packed. Only transactions that are safely on disk are sent. FS must exist.

A secondary that is slow or stuck costs the others nothing. One that reads nothing
for --write-timeout is disconnected; it resumes when it connects again.

File events tell when FS grows, with a look once a second in case one is lost. On a
network file system, where a write by another host causes no event, set --poll.

The protocol has no passwords and no encryption: whoever can connect can read the
whole database. Listen on a private address, use --allow, or both. A port alone, as
in ZRS, listens on all interfaces.

SIGTERM and SIGINT stop it: secondaries get what there is, for at most --stop-timeout,
and the exit code is 0. A second signal ends it at once.`
}

// Examples are the EXAMPLES of the manual page.
func (*servePrimaryCmd) Examples() string {
	return `Serve a site's database to the hosts of one network:

	zrs serve-primary /srv/zodb/Data.fs --blob-dir /srv/zodb/blobs \
	    --replicate-to 10.1.2.3:5000 --allow 10.1.2.0/24

The same in a container:

	ZRS_REPLICATE_TO=5000 ZRS_BLOB_DIR=/data/blobs zrs serve-primary /data/Data.fs`
}

// Validate is kong's hook after parsing.
func (c *servePrimaryCmd) Validate() error {
	return errors.Join(c.checkServing(), notNegative("poll", c.Poll))
}

// Run is what the command does.
func (c *servePrimaryCmd) Run(ctx context.Context, e *env) error {
	tailer, err := fs.OpenTailer(c.FS, fs.TailerOptions{Poll: time.Duration(c.Poll), Logger: e.log})
	if err != nil {
		return err
	}
	p := c.primary(tailer.Log(), e)
	if c.BlobDir != "" {
		if p.Blobs, err = fs.OpenBlobDir(c.BlobDir); err != nil {
			return err
		}
	}
	l, err := listen(ctx, c.ReplicateTo, e)
	if err != nil {
		return err
	}
	// The file is followed until the secondaries have got the rest.
	var following errgroup.Group
	follow, stop := context.WithCancel(context.WithoutCancel(ctx))
	following.Go(func() error { return tailer.Run(follow) })
	err = p.Serve(ctx, l)
	stop()
	if followed := following.Wait(); !errors.Is(err, followed) { // else it is why serving ended
		err = errors.Join(err, followed)
	}
	return stopped(err)
}
