package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"time"
)

// Stuck measures the memory of a primary while secondaries are connected that
// ask for everything and then read nothing.
//
// It waits until the primary's memory has not changed for a while: then it
// waits for its secondaries, or has read everything.
func (b *Bench) Stuck(ctx context.Context, primary string, secondaries int, f *Files) (*Result, error) {
	dir, remove, err := b.scratch()
	if err != nil {
		return nil, err
	}
	defer remove()
	server, before, err := b.serve(ctx, primary, f, dir)
	if err != nil {
		return nil, err
	}
	defer server.stop()
	began := time.Now()
	var conns []net.Conn
	for range secondaries {
		conn, err := net.Dial("tcp", server.address)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, handshake); err != nil {
			return nil, err
		}
		conns = append(conns, conn)
	}
	after, err := settled(ctx, server.pid)
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	// All of them got something, and nobody lost patience.
	for _, conn := range conns {
		conn.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := io.ReadFull(conn, make([]byte, 1<<10)); err != nil {
			return nil, fmt.Errorf("%s primary of %s: a stuck secondary: %w", primary, filepath.Base(f.Data), err)
		}
	}
	after.CPU -= before.CPU
	return &Result{
		Schema:    schema,
		Name:      "stuck-secondaries",
		Subject:   primary,
		Dataset:   f.Dataset,
		Seconds:   took.Seconds(),
		Bytes:     f.DataBytes,
		Processes: map[string]*Usage{"primary": after},
		Extra:     map[string]float64{"secondaries": float64(secondaries), "rss_before": float64(before.RSS)},
	}, nil
}

// handshake asks for everything from the first transaction on: two frames, the
// name of the protocol and a TID of zeros.
const handshake = "\x00\x00\x00\x06zrs2.1" + "\x00\x00\x00\x08" + "\x00\x00\x00\x00\x00\x00\x00\x00"

// settled waits until a process's memory stays as it is, for long enough to have
// read a large file, and returns its usage.
func settled(ctx context.Context, pid int) (*Usage, error) {
	const (
		interval = 200 * time.Millisecond
		quiet    = 4 * time.Second
		longest  = 30 * time.Second
		change   = 1 << 20
	)
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	var at int64
	for since := time.Now(); ; {
		used, err := UsageOf(pid)
		if err != nil {
			return nil, err
		}
		if max(used.RSS, at)-min(used.RSS, at) > change {
			at, since = used.RSS, time.Now()
		}
		if time.Since(since) > quiet || ctx.Err() != nil {
			return used, nil
		}
		select {
		case <-time.After(interval):
		case <-ctx.Done():
		}
	}
}
