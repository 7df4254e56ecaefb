package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zrs/internal/epoch"
	"zrs/internal/fs"
	"zrs/internal/node"
	"zrs/internal/repl"
)

// A serveSecondaryCmd is zrs serve-secondary.
type serveSecondaryCmd struct {
	ReplicateFrom  []peerAddress `required:"" placeholder:"ADDR" help:"Replicate from the first of these addresses that can serve."`
	blobFlags      `embed:""`
	connectFlags   `embed:""`
	KeepAliveDelay duration `default:"0s" placeholder:"TIME" help:"Send the source a keep-alive message at this interval; 0 or less sends none."`
	DeadAfter      duration `default:"30s" placeholder:"TIME" help:"Give up a connection when the source's host has not answered TCP's probes for this long."`
	ReconnectDelay duration `default:"200ms" placeholder:"TIME" help:"Wait this long before the first attempt to reconnect, then longer each time."`
	ReconnectMax   duration `default:"30s" placeholder:"TIME" help:"Wait at most this long between attempts to reconnect."`
	ReplicateTo    address  `placeholder:"ADDR" help:"Serve further secondaries at this address (a cascade)."`
	serveFlags     `embed:""`
	FS             string `arg:"" name:"FS" help:"Data file to keep a replica; it is created if there is none."`
}

// Help is the DESCRIPTION of zrs-serve-secondary(1).
func (*serveSecondaryCmd) Help() string {
	return `Keeps the data file FS a replica of the database that --replicate-from serves: a zrs
serve-primary, a cascading zrs serve-secondary, or a primary of zc.zrs. It reconnects
for ever. Until SIGTERM or SIGINT it holds the lock that ZODB honours; afterwards ZODB
opens FS without repair or re-indexing.

With several addresses the first that answers and fits is used; the rest are tried in
order when it fails. One that serves is kept, even if it is not the first and the first
is back; zrs control reload has it tried again. With --replicate-to it serves further
secondaries, which get only what is safely on this disk.

Each time it connects it compares histories before it appends anything (--check-history).
If they have diverged, as after a failover, nothing is changed: it stops replicating,
stays up and logs an error with the last common transaction and what only FS has. See
zrs help exit-codes for how the one-shot commands report the same.

Beside FS it keeps the file FS.zrs: of which database FS is, and which source it follows.
The socket FS.control (--control) is for zrs status, zrs control, and zrs promote, which
makes it the primary without stopping it: it goes on serving its secondaries then, and
follows FS, which is for another process to write.

A source that refuses or hangs up is diagnosed in words, and tried again after
--reconnect-delay, doubled each time up to --reconnect-max. The exit code is 0 when it
was stopped by a signal while it replicated or tried to, and 4 or 7 when it had found
that the histories don't fit. A second signal ends it at once; no whole transaction is
lost.`
}

// Examples are the EXAMPLES of the manual page.
func (*serveSecondaryCmd) Examples() string {
	return `Keep a replica, with a second source to fall back to:

	zrs serve-secondary /srv/zodb/Data.fs --blob-dir /srv/zodb/blobs \
	    --replicate-from db1:5000,db2:5000

The same, serving further secondaries on this host only:

	zrs serve-secondary /srv/zodb/Data.fs --replicate-from db1:5000 \
	    --replicate-to 127.0.0.1:5000`
}

// Validate is kong's hook after parsing.
func (c *serveSecondaryCmd) Validate() error {
	for _, from := range c.ReplicateFrom {
		if from.address == c.ReplicateTo {
			return fmt.Errorf("--replicate-from and --replicate-to are both %s: it would replicate from itself", from)
		}
	}
	if c.ReconnectMax < c.ReconnectDelay {
		return fmt.Errorf("--reconnect-max: %v is less than --reconnect-delay, %v", c.ReconnectMax, c.ReconnectDelay)
	}
	return errors.Join(c.checkServing(), positive("dead-after", c.DeadAfter), positive("reconnect-delay", c.ReconnectDelay))
}

// Run is what the command does.
func (c *serveSecondaryCmd) Run(ctx context.Context, e *env) error {
	w, err := fs.OpenWriter(ctx, c.FS, fs.WriterOptions{Create: true, BlobDir: c.BlobDir, Logger: e.log})
	if err != nil {
		return err
	}
	n, err := c.node(ctx, w, e)
	if err != nil {
		return errors.Join(err, w.CloseUnused())
	}
	shown := false
	n.Trouble = func(err error) {
		// What is here is still good to serve; only more of it is not to be had.
		e.log.Error("replication has stopped, nothing was changed", "path", c.FS, "err", err)
		e.fail(adviseSource(err, c.FS, c.sources()))
		shown = true
	}
	err = stopped(c.run(ctx, e, n))
	if shown && node.NeedsPerson(err) {
		return &shownError{err}
	}
	return adviseSource(err, c.FS, c.sources())
}

// node returns the server that keeps the file of w a replica, and serves it if
// that is wanted.
func (c *serveSecondaryCmd) node(ctx context.Context, w *fs.Writer, e *env) (*node.Node, error) {
	identity, err := epoch.Open(c.FS)
	if err != nil {
		return nil, adviseSidecar(err, c.FS)
	}
	n := &node.Node{Path: c.FS, Identity: identity, TailerOptions: fs.TailerOptions{Logger: e.log}}
	n.Primary = c.primary(w.Log(), identity, e)
	n.Primary.Blobs = w.Blobs()
	if !c.ReplicateTo.isZero() {
		if n.Listener, err = listen(ctx, c.ReplicateTo, e); err != nil {
			return nil, err
		}
	}
	s := &repl.Secondary{
		Identity:       identity,
		CheckHistory:   c.checkHistory(),
		KeepAlive:      time.Duration(c.KeepAliveDelay),
		ReconnectDelay: time.Duration(c.ReconnectDelay),
		ReconnectMax:   time.Duration(c.ReconnectMax),
		Logger:         e.log,
	}
	s.Use(w)
	for _, from := range c.ReplicateFrom {
		src := repl.TCPSource(from.Network(), from.DialAddress(), time.Duration(c.DeadAfter))
		src.Protocol = c.protocol()
		s.Sources = append(s.Sources, src)
	}
	n.Secondary = s
	return n, nil
}

// sources names the source for what an operator may type, if there is but one.
func (c *serveSecondaryCmd) sources() string {
	if len(c.ReplicateFrom) != 1 {
		return "SOURCE"
	}
	return c.ReplicateFrom[0].String()
}
