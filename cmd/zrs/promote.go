package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"zrs/internal/control"
	"zrs/internal/fs"
	"zrs/internal/node"
	"zrs/internal/repl"
	"zrs/internal/verify"
)

// A promoteCmd is zrs promote.
type promoteCmd struct {
	Control      string     `placeholder:"SOCKET" help:"Promote the running serve-secondary of this control socket, without stopping it."`
	BlobDir      string     `placeholder:"DIR" help:"Directory of the blobs that belong to FS, to see that those of the last transactions are there."`
	Full         bool       `help:"Verify all of FS before it is promoted, as zrs verify does."`
	ExpectTID    *fs.TID    `name:"expect-tid" placeholder:"TID" help:"Refuse unless FS has come to this transaction."`
	MaxLoss      *lossLimit `placeholder:"HOW-MUCH" help:"Refuse if more is known to be lost than this many transactions, as in 0 or 10, or this much time, as in 5s."`
	FenceCmd     string     `placeholder:"COMMAND" help:"Have the shell run this command before, which makes sure that the old primary is stopped; go no further if it fails."`
	FenceTimeout duration   `default:"60s" placeholder:"TIME" help:"Give the fence command at most this long."`
	Timeout      duration   `default:"10s" placeholder:"TIME" help:"Give up when the server of --control does not answer for this long before it is promoted."`
	SourceLives  bool       `help:"Promote even though the source is connected."`
	AnyRole      bool       `help:"Promote FS even if it is not known to be a secondary, is a copy, was superseded, or has lost transactions."`
	DryRun       bool       `help:"Say what would be lost, and change nothing."`
	FS           string     `arg:"" optional:"" name:"FS" help:"Data file of a stopped secondary."`
}

// Help is the DESCRIPTION of zrs-promote(1).
func (*promoteCmd) Help() string {
	return `Makes a secondary the primary, and says what that is known to lose. The primary's new
epoch is written beside the data file: from then on the old primary is refused by all
that follow the new one, and stops serving as soon as one of them meets it.

FS is a stopped secondary. It is opened as its server would, so its tail and its index
are in order; with --blob-dir the blobs of its last transactions are looked for, and with
--full everything is verified. A running one is promoted through its control socket
(--control): it applies what has arrived, leaves its source, goes on serving its own
secondaries, and lets go of the data file for the process that is to write it.

What is lost is what the old primary had and FS has not. Known is what it told of while
it was connected: its last transaction, and, by a zrs primary, how many were missing.
What it committed after it was last heard is lost too, and nobody knows how much that
is. A zc.zrs primary tells nothing: how much of it is missing is unknown.
--expect-tid and --max-loss refuse (exit code 6) to lose more than is allowed; what is
unknown is more than any limit.

A source that is still connected is a second primary: it is refused (6) without
--fence-cmd or --source-lives. The fence command finds ZRS_SOURCE, ZRS_PATH and
ZRS_LAST_TID in its environment. If it fails, or takes longer than --fence-timeout, FS
stays a secondary (6); what the command has started may go on.

What is the primary already stays it, with exit code 0. A damaged file is refused with 3,
one that is open elsewhere with 11. Blobs that are missing do not stop a promotion; they
are counted, and the exit code is 8.

With --json the answer is one document: schema, path, dry_run, promoted, already_primary,
database, epoch, ancestors (the epochs before, and where each ended), last_tid, last_time,
loss, seconds, blobs_checked, blobs_missing, exit_code, and error if that is not 0. It
comes with a refusal too, unless that is because of what FS is.`
}

// Examples are the EXAMPLES of the manual page.
func (*promoteCmd) Examples() string {
	return `See what would be lost:

	zrs promote --dry-run /srv/zodb/Data.fs --blob-dir /srv/zodb/blobs

Promote a running secondary, after the old primary's server was stopped, unless more
than five seconds are known to be lost:

	zrs promote --control /srv/zodb/Data.fs.control --max-loss 5s \
	    --fence-cmd 'ssh db1 systemctl stop zeo'`
}

// Validate is kong's hook after parsing.
func (c *promoteCmd) Validate() error {
	if (c.FS == "") == (c.Control == "") {
		return errors.New("give the data file FS of a stopped secondary, or --control for a running one")
	}
	if c.Control != "" && (c.Full || c.AnyRole) { // ZRS_BLOB_DIR may be set for all commands
		return errors.New("--full and --any-role are for a stopped secondary")
	}
	return errors.Join(positive("fence-timeout", c.FenceTimeout), positive("timeout", c.Timeout))
}

// A lossLimit is how much a promotion may lose: transactions or time.
type lossLimit struct {
	transactions *int64
	seconds      *float64
}

// UnmarshalText reads a number of transactions, or a time with its unit.
func (l *lossLimit) UnmarshalText(text []byte) error {
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil && n >= 0 {
		l.transactions = &n
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d < 0 {
		return fmt.Errorf("limit %q: want a number of transactions, as in 0 or 10, or a time, as in 5s", text)
	}
	seconds := d.Seconds()
	l.seconds = &seconds
	return nil
}

func (c *promoteCmd) limits() (l control.Limits) {
	if c.ExpectTID != nil {
		l.ExpectTID = *c.ExpectTID
	}
	if c.MaxLoss != nil {
		l.Transactions, l.Seconds = c.MaxLoss.transactions, c.MaxLoss.seconds
	}
	return l
}

// Run is what the command does.
func (c *promoteCmd) Run(ctx context.Context, e *env) error {
	run := c.stopped
	if c.Control != "" {
		run = c.running
	}
	p, err := run(ctx, e)
	err = refused(err)
	if p == nil {
		return err
	}
	if err == nil && p.BlobsMissing > 0 {
		err = repl.ErrIncomplete
	}
	answer := promoteAnswer{Promotion: p, ExitCode: exitCode(err)}
	if err != nil {
		answer.Error = err.Error()
	}
	return errors.Join(err, e.answer(&answer, answer.writeText))
}

// refused makes a refusal of a server, or of a storage, one of a guard.
func refused(err error) error {
	r, ok := errors.AsType[*control.Refusal](err)
	if !ok || r.Reason == control.ReasonTrouble {
		return err
	}
	return advise(&guardError{r}, r.Next...)
}

// stopped promotes a storage without a server.
func (c *promoteCmd) stopped(ctx context.Context, e *env) (p *control.Promotion, err error) {
	s, err := node.OpenStopped(ctx, c.FS, node.StoppedOptions{BlobDir: c.BlobDir, AnyRole: c.AnyRole, DryRun: c.DryRun, Logger: e.log})
	if errors.Is(err, fs.ErrLocked) {
		return nil, advise(err, "if that is its zrs serve-secondary: zrs promote --control "+control.SocketPath(c.FS))
	}
	if err != nil {
		return nil, adviseSidecar(adviseDamage(err, c.FS), c.FS)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	report, err := s.Report(ctx)
	if err != nil {
		return nil, err
	}
	if s.IsPrimary() && !c.AnyRole {
		return &report, nil
	}
	report.AlreadyPrimary = false // a new epoch begins all the same
	if c.Full {
		err := e.withProgress("verifying", func(p *progress) error { return c.verify(ctx, p) })
		if err != nil {
			return &report, advise(err, "zrs verify "+c.FS+" lists all that is wrong")
		}
	}
	if err := c.limits().Check(&report); err != nil || c.DryRun {
		return &report, err
	}
	if err := c.fence(ctx, e, &report); err != nil {
		return &report, err
	}
	return &report, s.Promote(&report)
}

// verify verifies all of the storage.
func (c *promoteCmd) verify(ctx context.Context, p *progress) error {
	f, err := fs.OpenFile(c.FS)
	if err != nil {
		return err
	}
	defer f.Close()
	options := verify.Options{Max: 1, Progress: new(verify.Progress), Found: func(*verify.Finding) {}}
	if c.BlobDir != "" {
		if options.Blobs, err = fs.OpenBlobDir(c.BlobDir); err != nil {
			return err
		}
	}
	p.setTotal(max(1, f.Size()))
	defer p.follow(func() (bytes, txns int64) {
		return options.Progress.Bytes.Load(), options.Progress.Transactions.Load()
	})()
	report, err := verify.Sound(ctx, f, options)
	if err == nil {
		err = report.Err()
	}
	if err == nil || errors.Is(err, verify.ErrIncomplete) { // blobs are missing: that is counted
		return nil
	}
	if errors.Is(err, verify.ErrUnsound) {
		err = fmt.Errorf("%s: %w: the first that was found is %s", c.FS, err, place(report.First))
	}
	return err
}

// running promotes the secondary of a server.
func (c *promoteCmd) running(ctx context.Context, e *env) (*control.Promotion, error) {
	client := &control.Client{Socket: c.Control}
	if !isSocket(c.Control) {
		return nil, advise(fmt.Errorf("%s: %w: it is no socket", c.Control, control.ErrNoServer), "of a stopped secondary, give the data file without --control")
	}
	request := control.PromoteRequest{DryRun: true, Limits: c.limits(), SourceLives: c.SourceLives || c.FenceCmd != ""}
	limit, cancel := context.WithTimeout(ctx, time.Duration(c.Timeout))
	defer cancel()
	report, err := client.Promote(limit, request)
	if err = noAnswer(ctx, err, c.Control, c.Timeout); errors.Is(err, control.ErrNoServer) {
		return nil, advise(err, "is it running? Stop it, and promote its data file without --control")
	}
	if err != nil || c.DryRun || report.AlreadyPrimary {
		return report, err
	}
	if err := c.fence(ctx, e, report); err != nil {
		return report, err
	}
	request.DryRun = false
	return client.Promote(ctx, request)
}

// fence runs the fence command.
func (c *promoteCmd) fence(ctx context.Context, e *env, p *control.Promotion) error {
	if c.FenceCmd == "" {
		return nil
	}
	limit, cancel := context.WithTimeout(ctx, time.Duration(c.FenceTimeout))
	defer cancel()
	cmd := exec.CommandContext(limit, "/bin/sh", "-c", c.FenceCmd)
	cmd.Env = append(os.Environ(), "ZRS_SOURCE="+p.Loss.Source, "ZRS_PATH="+p.Path, "ZRS_LAST_TID="+p.LastTID.String())
	cmd.Stdout, cmd.Stderr = e.stderr, e.stderr
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) && limit.Err() == nil {
		err = nil // it has done its work, and something of it goes on in the background
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case limit.Err() != nil:
		err = fmt.Errorf("it takes longer than %s", c.FenceTimeout)
	}
	if err != nil {
		return advise(&guardError{fmt.Errorf("the fence command failed, %s stays a secondary: %w", p.Path, err)},
			"make sure that the old primary is stopped, then promote without --fence-cmd")
	}
	return nil
}

// A promoteAnswer is what zrs promote prints.
type promoteAnswer struct {
	*control.Promotion
	ExitCode int    `json:"exit_code"`
	Error    string `json:"error,omitempty"`
}

func (a *promoteAnswer) writeText(w io.Writer) error {
	var b strings.Builder
	line := func(what, format string, args ...any) {
		fmt.Fprintf(&b, "%-9s %s\n", what, fmt.Sprintf(format, args...))
	}
	switch {
	case a.AlreadyPrimary:
		line("primary", "%s is it already, epoch %s of database %s", a.Path, a.Epoch.Short(), a.Database.Short())
	case a.Promoted:
		line("promoted", "%s is the primary, epoch %s of database %s", a.Path, a.Epoch.Short(), a.Database.Short())
	case a.Error != "":
		line("refused", "%s stays what it is", a.Path)
	default:
		line("would be", "the primary: %s", a.Path)
	}
	if a.LastTID == 0 {
		line("end", "it has no transactions")
	} else {
		line("end", "%s", describeTID(a.LastTID))
	}
	if !a.AlreadyPrimary {
		writeLoss(&a.Loss, line)
	}
	if a.BlobsChecked > 0 {
		line("blobs", "%d of the last transactions looked for, %d missing", a.BlobsChecked, a.BlobsMissing)
	}
	if a.Promoted {
		line("took", "%s", seconds(a.Seconds))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeLoss tells what is lost, and what may be.
func writeLoss(l *control.Loss, line func(what, format string, args ...any)) {
	if l.Source == "" {
		line("lost", "unknown: no source was ever heard")
		return
	}
	switch {
	case l.Seconds == nil:
		line("lost", "unknown: %s never told what it has", l.Source)
	case l.Transactions == nil:
		line("lost", "transactions of %s up to %s, %s of it; how many is unknown", l.Source, describeTID(l.LastTID), seconds(*l.Seconds))
	case *l.Transactions == 0:
		line("lost", "nothing that %s told of", l.Source)
	default:
		line("lost", "%d transactions of %s up to %s, %s of it", *l.Transactions, l.Source, describeTID(l.LastTID), seconds(*l.Seconds))
	}
	if l.Heard != nil {
		line("and", "what the primary committed after %s, when it was last heard", l.Heard.Format(timeLayout))
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * 1e9).Round(time.Millisecond) }
