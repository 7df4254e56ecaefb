package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zrs/internal/epoch"
	"zrs/internal/fs"
	"zrs/internal/node"
)

// A servePrimaryCmd is zrs serve-primary.
type servePrimaryCmd struct {
	ReplicateTo address `required:"" placeholder:"ADDR" help:"Listen for secondaries at this address."`
	blobFlags   `embed:""`
	serveFlags  `embed:""`
	Poll        duration `placeholder:"TIME" help:"Look for new transactions at this interval instead of waiting for file events."`
	AnyRole     bool     `help:"Start on FS even if it is known to be a secondary or a copy; one that was superseded starts and serves nobody."`
	FS          string   `arg:"" name:"FS" help:"Data file to serve."`
}

// Help is the DESCRIPTION of zrs-serve-primary(1).
func (*servePrimaryCmd) Help() string {
	return `Follows the data file FS and sends its transactions, and their blobs, to every
secondary that connects: zrs serve-secondary, zrs catchup, or a secondary of zc.zrs.

It reads beside the process that writes FS (a ZEO server, Zope). It takes no lock and
does not change FS, so it can be started and stopped at any time, and it follows when FS
is packed. Only transactions that are safely on disk are sent. FS must exist.

Beside FS it keeps the file FS.zrs, with the identity that the database gets when it is
served for the first time, and its role. What is known to be a secondary, a copy, or
superseded by another primary is not served (exit code 6; --any-role). When a secondary
tells that another primary was promoted since, it serves nobody any more, and the exit
code is 4 in the end. The socket FS.control (--control) is for zrs status and zrs control.

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
	identity, err := c.identity()
	if err != nil {
		return err
	}
	tailer, err := fs.OpenTailer(c.FS, fs.TailerOptions{Poll: time.Duration(c.Poll), Logger: e.log})
	if err != nil {
		return err
	}
	var blobs *fs.BlobDir
	if c.BlobDir != "" {
		if blobs, err = fs.OpenBlobDir(c.BlobDir); err != nil {
			return err
		}
	}
	l, err := listen(ctx, c.ReplicateTo, e)
	if err != nil {
		return err
	}
	identity = c.mint(identity, e)
	p := c.primary(tailer.Log(), identity, e)
	p.Blobs = blobs
	err = stopped(c.run(ctx, e, &node.Node{Path: c.FS, Identity: identity, Tailer: tailer, Primary: p, Listener: l}))
	if errors.Is(err, epoch.ErrSuperseded) {
		return advise(err, c.rewind())
	}
	if errors.Is(err, node.ErrDemoted) {
		return advise(err, "zrs status "+c.FS+"   shows what it follows;", "zrs promote "+c.FS+"   makes it the primary again")
	}
	return err
}

// rewind is what to do with a primary that was superseded.
func (c *servePrimaryCmd) rewind() string {
	return "zrs rewind " + c.FS + " --against NEW-PRIMARY --dry-run   shows what only this one has"
}

// identity returns the identity of the database. What is known not to be the
// primary is not served.
func (c *servePrimaryCmd) identity() (*epoch.Keeper, error) {
	k, err := epoch.Open(c.FS)
	if err != nil {
		return nil, adviseSidecar(err, c.FS)
	}
	const anyRole = "to serve it all the same, as it is: --any-role"
	s := k.Sidecar()
	switch {
	case c.AnyRole:
		return k, nil
	case s.Superseded != nil:
		return nil, advise(&guardError{fmt.Errorf("%s: %w, epoch %s: it must not be served as the primary", c.FS, epoch.ErrSuperseded, s.Superseded.Epoch)},
			c.rewind()+";", anyRole)
	case s.Role == epoch.Secondary:
		return nil, advise(&guardError{fmt.Errorf("%s is a secondary", c.FS)},
			"zrs promote "+c.FS+"   makes it the primary;", "zrs serve-secondary --replicate-to serves further secondaries from one;", anyRole)
	case s.Copied:
		return nil, advise(&guardError{fmt.Errorf("%s was copied from where its primary may still be", epoch.SidecarPath(c.FS))},
			"zrs promote --any-role "+c.FS+"   makes it the primary;", anyRole)
	}
	return k, nil
}

// mint gives a database that is served for the first time an identity, and returns
// what is known then: nil where it can't be kept.
func (c *servePrimaryCmd) mint(k *epoch.Keeper, e *env) *epoch.Keeper {
	if s := k.Sidecar(); c.AnyRole || s.Role == epoch.Primary && s.Known() {
		return k
	}
	sidecar := epoch.SidecarPath(c.FS)
	err := k.Update(func(s *epoch.Sidecar) {
		if !s.Known() {
			s.Lineage = epoch.Begin()
		}
		s.Role, s.Since = epoch.Primary, time.Now().UTC().Truncate(time.Second)
	})
	if err != nil {
		e.log.Warn("the database gets no identity: secondaries have to rely on comparing histories", "path", sidecar, "err", err)
		return nil
	}
	e.log.Info("the database has an identity now", "path", sidecar, "database", k.Lineage().Database)
	return k
}
