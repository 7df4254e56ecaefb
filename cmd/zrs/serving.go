package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"zrs/internal/fs"
	"zrs/internal/repl"
)

// primary returns a primary of log as the flags want it.
func (f *serveFlags) primary(log *fs.Log, e *env) *repl.Primary {
	p := &repl.Primary{
		Log:          log,
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
