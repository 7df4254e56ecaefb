package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sync/errgroup"

	"zrs/internal/control"
	"zrs/internal/epoch"
	"zrs/internal/fs"
	"zrs/internal/node"
	"zrs/internal/repl"
)

// primary returns a primary of log as the flags want it.
func (f *serveFlags) primary(log *fs.Log, identity *epoch.Keeper, e *env) *repl.Primary {
	p := &repl.Primary{
		Log:          log,
		Identity:     identity,
		Allow:        prefixes(f.Allow),
		MaxConns:     f.MaxConnections,
		ServeUnknown: f.UnknownStart == "serve",
		WriteTimeout: time.Duration(f.WriteTimeout),
		StopTimeout:  time.Duration(f.StopTimeout),
		Logger:       e.log,
	}
	if f.MissingBlob == "fail" {
		p.MissingBlob = repl.FailMissingBlob
	}
	return p
}

// listen listens for secondaries, and says where: the system may have chosen
// the port.
func listen(ctx context.Context, a address, e *env) (net.Listener, error) {
	l, err := repl.Listen(ctx, a.Network(), a.ListenAddress())
	if err != nil {
		return nil, fmt.Errorf("--replicate-to: %w", err)
	}
	e.log.Info("listening", "address", l.Addr().String())
	return l, nil
}

// protocol returns what the flag says.
func (f *connectFlags) protocol() repl.Protocol {
	switch f.Protocol {
	case "zrs":
		return repl.ProtocolZRS1
	case "zc.zrs":
		return repl.ProtocolPlain
	}
	return repl.ProtocolAuto
}

// run runs a server until it ends, with its control socket.
func (f *serveFlags) run(ctx context.Context, e *env, n *node.Node) error {
	n.Version, n.Logger = versionNumber(), e.log
	if left, err := leftByRewind(ctx, n.Path); err != nil || left != "" {
		e.log.Warn("a rewind has to be ended when this is stopped", "left", left, "err", err, "next", "zrs rewind "+n.Path+" --yes")
	}
	l, err := f.listenControl(ctx, n.Path, e)
	if err != nil {
		return errors.Join(err, n.Close())
	}
	if l == nil {
		return n.Run(ctx)
	}
	var controlling errgroup.Group
	controlled, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	controlling.Go(func() error { return control.Serve(controlled, l, n, e.log) })
	err = n.Run(ctx)
	stop()
	if err := controlling.Wait(); err != nil {
		e.log.Warn("the control socket failed", "err", err)
	}
	return err
}

// listenControl makes the control socket, if one is wanted. Where nobody said
// where it is to be, a server is not worth less without one.
func (f *serveFlags) listenControl(ctx context.Context, path string, e *env) (net.Listener, error) {
	socket := f.Control
	switch socket {
	case "none":
		return nil, nil
	case "":
		socket = control.SocketPath(path)
	}
	l, err := control.Restrict(ctx, socket, repl.Listen)
	if err != nil && f.Control != "" {
		return nil, fmt.Errorf("--control: %w", err)
	}
	if err != nil {
		e.log.Warn("there is no control socket, see --control", "err", err)
		return nil, nil
	}
	return l, nil
}

// checkHistory returns what the flag says.
func (f *connectFlags) checkHistory() repl.CheckHistory {
	switch f.CheckHistory {
	case "full":
		return repl.CheckFull
	case "none":
		return repl.CheckNone
	}
	return repl.CheckTail
}
