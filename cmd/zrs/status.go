package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"net"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"zrs/internal/control"
	"zrs/internal/epoch"
	"zrs/internal/fs"
	"zrs/internal/repl"
	"zrs/internal/rewind"
)

// A statusCmd is zrs status.
type statusCmd struct {
	Watch    bool     `short:"w" help:"Show it again and again, until interrupted."`
	Interval duration `default:"1s" placeholder:"TIME" help:"With --watch, look this often."`
	Timeout  duration `default:"10s" placeholder:"TIME" help:"Give up when the server does not answer for this long."`
	Target   string   `arg:"" name:"TARGET" help:"Control socket or replication address of a server, or the data file that it serves."`
}

// Help is the DESCRIPTION of zrs-status(1).
func (*statusCmd) Help() string {
	return `Shows the state of a server: its role and epoch, its health and why, its last
transaction, the source of a secondary, and the secondaries that are connected, with how
far behind each is. TARGET is its control socket, its replication address, or the data
file; of a data file without a server it shows what its sidecar says.

Health is one of

	optimal      all is as it should be
	recovering   it is not, and mends itself: reading, connecting, comparing, catching-up
	degraded     it works, but look after it: disconnected, refused, stuck, paused,
	             blobs-missing, rewinding (one was begun and not ended), not-running
	failed       it does not work until a person acts: diverged, superseded, data-file

with the word after the colon as the reason. What is disconnected, refused, stuck or
unknown is never optimal. The exit code is 0 for optimal and 1 for the rest.

How far behind is told as the age of the oldest transaction that is missing, and as
transactions and bytes where that is known. A primary knows it of secondaries of zrs by
what they report as safely on disk, of those of zc.zrs by what it has sent. A zrs primary
tells its secondaries; one of zc.zrs tells nothing, and there it is unknown.

With --json it is one document, one a line with --watch: schema, version (of the server),
path, pid, role, database, epoch, ancestors (the epochs before), health, reason, message,
next (what to do), now, started, address (where it serves), last_tid, last_time, paused,
blobs_missing, source and peers, the secondaries that are connected.`
}

// Examples are the EXAMPLES of the manual page.
func (*statusCmd) Examples() string {
	return `The state of the server of a data file on this host:

	zrs status /srv/zodb/Data.fs

Of another host, again and again:

	zrs status --watch db2:5000`
}

// Validate is kong's hook after parsing.
func (c *statusCmd) Validate() error {
	return errors.Join(positive("interval", c.Interval), positive("timeout", c.Timeout))
}

// errNotHealthy is returned for a server whose health is not optimal.
var errNotHealthy = errors.New("it is not healthy")

// Run is what the command does.
func (c *statusCmd) Run(ctx context.Context, e *env) error {
	src, err := findSource(c.Target)
	if err != nil {
		return err
	}
	for {
		s, err := c.ask(ctx, src)
		if err != nil && (!c.Watch || ctx.Err() != nil) {
			return err
		}
		if err != nil {
			e.fail(err)
		} else if err := e.answer(s, func(w io.Writer) error { return writeStatus(w, s, e) }); err != nil {
			return err
		}
		if !c.Watch {
			if s.Health != control.Optimal {
				return &shownError{fmt.Errorf("%s: %w: %s", c.Target, errNotHealthy, s.Reason)}
			}
			return nil
		}
		select {
		case <-time.After(time.Duration(c.Interval)):
		case <-ctx.Done():
			return nil
		}
	}
}

// ask asks whoever can tell.
func (c *statusCmd) ask(ctx context.Context, src source) (*control.Status, error) {
	limit, cancel := context.WithTimeout(ctx, time.Duration(c.Timeout))
	defer cancel()
	if src.path == "" {
		s, err := askAddress(limit, src.addr)
		return s, noAnswer(ctx, err, c.Target, c.Timeout)
	}
	s, err := (&control.Client{Socket: control.SocketPath(src.path)}).Status(limit)
	if errors.Is(err, control.ErrNoServer) {
		s, err = storedStatus(limit, src.path)
	}
	return s, noAnswer(ctx, err, c.Target, c.Timeout)
}

// noAnswer makes of a time limit that has passed, and was not that of ctx, that no
// server answers.
func noAnswer(ctx context.Context, err error, target string, timeout duration) error {
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w within %s", target, control.ErrNoServer, timeout)
	}
	return err
}

// askAddress asks at an address: a control socket, or a replication port.
func askAddress(ctx context.Context, a peerAddress) (*control.Status, error) {
	if a.Network() == "unix" && control.IsSocket(a.DialAddress()) {
		if s, err := (&control.Client{Socket: a.DialAddress()}).Status(ctx); err == nil || ctx.Err() != nil || errors.Is(err, iofs.ErrPermission) {
			return s, err
		}
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, a.Network(), a.DialAddress())
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", repl.ErrUnreachable, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	s, err := control.Ask(conn)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err == nil {
		return s, nil
	}
	if _, broken := errors.AsType[net.Error](err); broken || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%s: %w, it closed the connection", a, control.ErrNoServer)
	} else {
		err = fmt.Errorf("%s: its answer is none of zrs: %w", a, err)
	}
	return nil, advise(err, "is it a server of zrs? One of zc.zrs does not tell its state; of a ZEO server, zrs check tells")
}

// storedStatus is the state of a data file that has no server.
func storedStatus(ctx context.Context, path string) (*control.Status, error) {
	k, err := epoch.Load(path)
	if err != nil {
		return nil, adviseSidecar(err, path)
	}
	f, err := fs.OpenFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s := &control.Status{
		Schema: control.Schema, Path: path, Now: time.Now().UTC().Truncate(time.Millisecond), Peers: []control.Peer{},
		Role: k.Role, Database: k.Database, Epoch: k.Epoch, Ancestors: k.Ancestors,
		Health: control.Degraded, Reason: control.ReasonNotRunning, Message: "no zrs server has it in its care, or none with a control socket",
	}
	if k.Copied {
		s.Message += "; its sidecar is a copy, which does not tell its role"
	}
	end, tail, err := f.End(ctx)
	if err != nil {
		return nil, adviseDamage(err, path)
	}
	if s.LastTID = end.TID; end.TID != 0 {
		at := end.TID.Time()
		s.LastTime = &at
	}
	if k.Source != nil && k.Role != epoch.Primary {
		heard := k.Source.Heard.Truncate(time.Millisecond)
		s.Source = &control.Source{Address: k.Source.Address, State: "disconnected", Protocol: k.Source.Protocol, LastTID: k.Source.Last}
		if !heard.IsZero() {
			s.Source.Heard = &heard
		}
	}
	if errors.Is(tail, fs.ErrDamaged) {
		s.Health, s.Reason, s.Message, s.Next = control.Failed, control.ReasonDataFile, tail.Error(), []string{"zrs verify " + path}
	} else if left, err := leftByRewind(ctx, path); err != nil {
		return nil, err
	} else if left != "" {
		s.Reason, s.Message, s.Next = control.ReasonRewinding, left, []string{"zrs rewind " + path + " --yes"}
		if pid, held, _ := fs.LockHolder(path + ".lock"); held {
			s.Next = []string{fmt.Sprintf("wait for process %d, which has the file open: it may be that rewind", pid)}
		}
	}
	if k.Superseded != nil {
		s.Health, s.Reason = control.Failed, control.ReasonSuperseded
		s.Message = "another primary was promoted since, epoch " + k.Superseded.Epoch.Short()
		s.Next = []string{"zrs rewind " + path + " --against NEW-PRIMARY --dry-run"}
	}
	return s, nil
}

// leftByRewind tells what a rewind has left that is to be ended, "" for nothing.
func leftByRewind(ctx context.Context, path string) (string, error) {
	left, err := rewind.Left(ctx, path)
	switch left {
	case rewind.Saved:
		return "a rewind was begun and not ended: nothing is cut yet", err
	case rewind.Cut:
		return "a rewind was not ended: the data file is cut, but its index and blobs may not fit it yet", err
	}
	return "", err
}

// writeStatus writes a state for a person.
func writeStatus(w io.Writer, s *control.Status, e *env) error {
	var b strings.Builder
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s %s\n", what, fmt.Sprintf(format, args...))
	}
	health := string(s.Health)
	if s.Health != control.Optimal {
		health = e.red.Sprint(health)
	}
	line("health", "%s: %s: %s", health, s.Reason, s.Message)
	for i, next := range s.Next {
		line([]string{"next:", ""}[min(i, 1)], "%s", next)
	}
	line("role", "%s of %s", s.Role, s.Path)
	if !s.Epoch.IsZero() {
		line("epoch", "%s of database %s, %d before it", s.Epoch.Short(), s.Database.Short(), len(s.Ancestors))
	}
	if s.LastTID != 0 {
		line("last", "%s", describeTID(s.LastTID))
	}
	if s.Address != "" {
		line("serves at", "%s", s.Address)
	}
	if s.BlobsMissing > 0 {
		line("blobs", "%d missing", s.BlobsMissing)
	}
	if src := s.Source; src != nil {
		known := behind(src.Lag, src.ETA, src.Trend)
		if src.Lag.Seconds != nil && src.State != "comparing" && src.State != "receiving" {
			known += " when it was last heard"
		}
		line("source", "%s: %s, %s", src.Address, src.State, known)
		if src.Heard != nil {
			line("", "last heard %s ago, it speaks %s", s.Now.Sub(*src.Heard).Round(time.Second), src.Protocol)
		}
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return err
	}
	if len(s.Peers) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nSECONDARY\tSTATE\tSENT\tON DISK\tBEHIND\tRATE\tHEARD")
	for _, p := range s.Peers {
		durable, heard := "?", "never"
		if p.DurableTID != nil {
			durable = p.DurableTID.String()
		}
		if p.Heard != nil {
			heard = s.Now.Sub(*p.Heard).Round(time.Second).String() + " ago"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s/s\t%s\n", p.Address, p.State, p.SentTID, durable, behind(p.Lag, p.ETA, p.Trend), formatBytes(int64(p.Rate)), heard)
	}
	return t.Flush()
}

// behind tells how far behind somebody is.
func behind(l control.Lag, eta *float64, trend string) string {
	if l.Seconds == nil {
		return "how far behind is unknown"
	}
	if *l.Seconds == 0 && (l.Bytes == nil || *l.Bytes == 0) {
		return "nothing behind"
	}
	parts := []string{seconds(*l.Seconds).String()}
	if l.Transactions != nil {
		parts = append(parts, count(*l.Transactions, "transaction"))
	}
	if l.Bytes != nil {
		parts = append(parts, formatBytes(*l.Bytes))
	}
	text := strings.Join(parts, ", ") + " behind"
	if eta != nil {
		text += ", " + seconds(*eta).String() + " to go"
	}
	if trend != "" {
		text += ", " + trend
	}
	return text
}

// isSocket reports whether path is one.
func isSocket(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.Mode().Type() == iofs.ModeSocket
}
