package main

import (
	"context"
	"errors"
	"io"
	"time"

	"zrs/internal/control"
)

// A controlCmd is zrs control.
type controlCmd struct {
	Timeout duration `default:"10s" placeholder:"TIME" help:"Give up when the server does not answer for this long."`
	Action  string   `arg:"" name:"ACTION" enum:"pause,resume,reload,shutdown" help:"What to do: pause, resume, reload or shutdown."`
	Target  string   `arg:"" name:"TARGET" help:"Control socket of a server, or the data file that it serves."`
}

// Help is the DESCRIPTION of zrs-control(1).
func (*controlCmd) Help() string {
	return `Tells a running server what to do, through its control socket, and shows its state then,
as zrs status does.

	pause      stop applying what the source has; what has arrived is kept
	resume     go on
	reload     try all sources again, now, the first one first, those that did not fit
	           included; if it is the first one that is followed, it goes on
	shutdown   stop, as SIGTERM does

The exit code is 6 for what the server can't do in its role, 5 if no server answers. With
--json it is the document of zrs status.`
}

// Examples are the EXAMPLES of the manual page.
func (*controlCmd) Examples() string {
	return `Hold a secondary still while its file is copied:

	zrs control pause /srv/zodb/Data.fs
	cp /srv/zodb/Data.fs /backup/
	zrs control resume /srv/zodb/Data.fs`
}

// Validate is kong's hook after parsing.
func (c *controlCmd) Validate() error { return positive("timeout", c.Timeout) }

// Run is what the command does.
func (c *controlCmd) Run(ctx context.Context, e *env) error {
	socket := c.Target
	if !isSocket(socket) {
		socket = control.SocketPath(c.Target)
	}
	limit, cancel := context.WithTimeout(ctx, time.Duration(c.Timeout))
	defer cancel()
	s, err := (&control.Client{Socket: socket}).Do(limit, c.Action)
	err = noAnswer(ctx, err, socket, c.Timeout)
	if errors.Is(err, control.ErrNoServer) {
		return advise(err, "is the server running, and is this its control socket?")
	}
	if err != nil {
		return refused(err)
	}
	return e.answer(s, func(w io.Writer) error { return writeStatus(w, s, e) })
}
