package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"zrs/internal/monitor"
)

// A checkCmd is zrs check.
type checkCmd struct {
	Warning  string   `short:"w" placeholder:"LIMITS" help:"Warn beyond these limits, as in 30s or age=30s,transactions=100,bytes=1M; with --compat, seconds."`
	Critical string   `short:"c" placeholder:"LIMITS" help:"Be critical beyond these limits, in the same notation."`
	Storage  string   `placeholder:"NAME" help:"Look only at this one of a ZEO server's storages."`
	Timeout  duration `default:"10s" placeholder:"TIME" help:"Give up when this time has passed."`

	Compat        bool   `help:"Be zrs-nagios: print its lines, and end with its exit codes."`
	OutputMetrics bool   `short:"m" help:"With --compat, add the lag as performance data."`
	Error         string `short:"e" placeholder:"SECONDS" help:"With --compat, the lag that is an error."`

	Targets []string `arg:"" optional:"" name:"TARGET" help:"Server or data file; of two, the primary and then its secondary."`

	limits monitor.Limits
}

// Help is the DESCRIPTION of zrs-check(1).
func (*checkCmd) Help() string {
	return `Says in one line, as a plug-in for Nagios, Icinga and their like, whether a server or a data
file is well, or with two TARGETs whether the second is a good secondary of the first. The
line begins with ZRS and OK, WARNING, CRITICAL or UNKNOWN, and ends with performance data.

A TARGET is one of

	db1:8100, /run/zeo.sock     a ZEO server, at its address for clients
	zeo://db1:8100              the same, without a test of what is there
	db1:5000, /run/zrs.sock     a zrs server, where it serves secondaries, or its control socket
	zrs://db1:5000              the same, without a test of what is there
	/srv/zodb/Data.fs           a data file, be it in use or not; if a zrs server has it in
	                            its care, it is that server which is asked, as its user
	                            or root may; others ask at its address

Addresses have the forms that zrs help addresses tells.

With one TARGET it is OK that a server answers, or that the end of a data file is whole. Where
transactions are expected all the time, a limit on age is one on the time since the last
of them. Performance data are that age and the numbers that a ZEO server tells. A zrs server
tells its health, as zrs status shows it: failed is critical, degraded and recovering are
warnings. Its limits are on how far it is behind its source; of a primary, on how far the
last of its secondaries is behind. While it is not connected that can't be told.

With two, the secondary is asked first, then the primary, then the secondary once more if it
was behind: what was only on its way has arrived by then. Performance data are age,
transactions and bytes, as far as they are known. Age is that of the oldest transaction
that the secondary lacks. If the primary is a data file all three are exact, and it is
critical if the file never had the secondary's last transaction. Of ZEO servers only the
last transactions are known. Age is then the time between them, as zrs-nagios tells it, or
the age of the primary's last one if that is more: so a secondary is found too that got
stuck just before the last commit of the day. The clocks of the hosts should agree for that.

A secondary that is ahead of its primary is critical: its history is another one, or the two
are given in the wrong order. With equal last transactions a secondary is OK; a ZEO server
does not tell whether it is connected to its primary, and then the line says so.

LIMITS are a list of age=TIME, transactions=COUNT and bytes=SIZE, separated by commas; a time
alone is a limit on age. Times and sizes have the forms that zrs help times tells. A limit
itself is not beyond it. Without limits no lag is too long. What has a limit and is not
known is UNKNOWN, never OK.

Critical are, besides, a server that refuses connections or does not answer in time, a data
file that is missing or damaged, a storage that only one side has, and an empty one whose
primary is not empty. Any other storage without a transaction is a warning. Unknown are a
host name that can't be resolved, a port where something else answers, and what permissions
forbid. All that is wrong is told, the worst first. Each of two TARGETs has half of the time.

With --compat the command takes the place of the script zrs-nagios of zc.zrs. It has the same
arguments, of which -w and -e are whole seconds, prints the same lines, and ends with the
same codes. Addresses are those of ZEO servers in the forms host:port and [v6]:port, else
the path of a Unix socket. Where the script waits for ever, this command prints "Can't
connect to secondary at 'db2:8100': timed out" when the time is up; where it ends with a
traceback and code 1, because the answer makes no sense or none comes, this command prints
"Can't connect", and why, and ends with 2.

With --json the answer is one document: schema, status (OK, WARNING, CRITICAL or UNKNOWN),
exit_code, message (the text of the line), findings (each with status, reason and message),
targets and metrics. Each of targets has target, kind (zeo, zrs, file; null if it did not
answer) and storages: name, role, health, reason, message, last_tid, last_time, connected,
last_contact, of which a zrs server alone tells role, connected and last_contact. Each of
metrics has label, unit (s, B, c for a counter, or empty), value, warning and critical. What
is not known, or not told, is null. The reasons of findings are
` + checkReasons + `,
and those of zrs status for what a zrs server says of itself.`
}

// checkReasons are the codes that package monitor has for findings.
const checkReasons = `ahead, bad-answer, damaged, disconnected, diverged, empty, hung-up, many-storages, missing,
name-unknown, no-answer, no-storage, no-storages, not-a-data-file, not-known, not-permitted,
only-in-primary, only-in-secondary, over-limit, timed-out, timeout-thread-dead, trouble,
two-primaries and unreachable`

// Examples are the EXAMPLES of the manual page.
func (*checkCmd) Examples() string {
	return `Is the secondary db2 less than 30 s behind, and surely less than 5 minutes?

	zrs check -w 30s -c 5m db1:8100 db2:8100

Is a copy that zrs catchup makes every hour in order, and not too far behind?

	zrs check -c age=2h,bytes=1G /srv/zodb/Data.fs /backup/Data.fs

Does the ZEO server answer, and was there a commit in the last hour?

	zrs check -w 1h db1:8100

What zrs-nagios was configured to do:

	zrs check --compat -m -w 30 -e 300 db1:8100 db2:8100`
}

// ExitMeanings are the codes of zrs check, which are those of all plug-ins.
func (*checkCmd) ExitMeanings() []exitMeaning {
	return []exitMeaning{
		{int(monitor.OK), "OK: all is well, as far as it can be told and is within the limits."},
		{int(monitor.Warning), "WARNING: beyond a limit of --warning, or not well; with --compat, also no storages."},
		{int(monitor.Critical), "CRITICAL: beyond a limit of --critical, unreachable, damaged or failed; with --compat, also a usage error."},
		{int(monitor.Unknown), "UNKNOWN: it can't be told, or a usage error."},
	}
}

// A checkError ends zrs check with a code of its own.
type checkError struct {
	code int
	err  error // nil for an answer that was given
}

func (e *checkError) Error() string {
	if e.err == nil {
		return monitor.Level(e.code).String()
	}
	return e.err.Error()
}

func (e *checkError) Unwrap() error { return e.err }

// checked makes the end of the command: a code that was answered.
func checked(code int) error {
	if code == exitOK {
		return nil
	}
	return &shownError{&checkError{code: code}}
}

// usageCode returns the code for a command line that can't be parsed: a monitor
// must not take that of other commands for CRITICAL.
func (c *checkCmd) usageCode(args []string) int {
	if c.Compat || slices.Contains(args, "--compat") {
		return compatUsage
	}
	return int(monitor.Unknown)
}

// Validate is kong's hook after parsing.
func (c *checkCmd) Validate() (err error) {
	if c.Compat {
		return c.validateCompat()
	}
	switch {
	case c.OutputMetrics || c.Error != "":
		return errors.New("--output-metrics and --error are those of zrs-nagios: they need --compat")
	case len(c.Targets) < 1 || len(c.Targets) > 2:
		return fmt.Errorf("want one TARGET, or a primary and its secondary, not %d", len(c.Targets))
	}
	if c.limits, err = parseLimits(c.Warning, c.Critical); err != nil {
		return err
	}
	return positive("timeout", c.Timeout)
}

// Run is what the command does.
func (c *checkCmd) Run(ctx context.Context, e *env) error {
	if c.Compat {
		return c.runCompat(ctx, e)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.Timeout))
	defer cancel()
	answer, err := c.check(ctx)
	if err != nil {
		answer = checkFailed(err)
	}
	code := answer.ExitCode
	if e.quiet && code == exitOK {
		return nil
	}
	quiet := *e
	quiet.quiet = false // what is not well is told
	if err := quiet.answer(answer, answer.writeText); err != nil {
		return &checkError{int(monitor.Unknown), err}
	}
	return checked(code)
}

// check asks the targets and judges them.
func (c *checkCmd) check(ctx context.Context) (*checkAnswer, error) {
	var subjects []*monitor.Subject
	for _, text := range c.Targets {
		target, err := findTarget(text)
		if err != nil {
			return nil, err
		}
		subjects = append(subjects, &monitor.Subject{Name: text, Prober: target})
	}
	if len(subjects) == 1 {
		return newCheckAnswer(monitor.Look(ctx, subjects[0], c.Storage, c.limits), subjects), nil
	}
	primary, secondary := subjects[0], subjects[1]
	primary.Name, secondary.Name = "primary "+primary.Name, "secondary "+secondary.Name
	verdict := monitor.Compare(ctx, primary, secondary, c.Storage, c.limits)
	primary.Name, secondary.Name = c.Targets[0], c.Targets[1]
	return newCheckAnswer(verdict, subjects), nil
}

// zeoScheme marks a text as the address of a ZEO server. With addressScheme it is
// that of a zrs server here.
const zeoScheme = "zeo://"

// findTarget decides what text names, as [findSource] does.
func findTarget(text string) (*monitor.Target, error) {
	if rest, ok := strings.CutPrefix(text, zeoScheme); ok {
		var addr peerAddress
		err := addr.UnmarshalText([]byte(rest))
		return server(monitor.KindZEO, addr), err
	}
	src, err := findSource(text)
	switch {
	case err != nil:
		return nil, err
	case src.path != "":
		return &monitor.Target{Kind: monitor.KindFile, Path: src.path}, nil
	case strings.HasPrefix(text, addressScheme):
		return server(monitor.KindZRS, src.addr), nil
	}
	return server("", src.addr), nil
}

func server(kind monitor.Kind, addr peerAddress) *monitor.Target {
	return &monitor.Target{Kind: kind, Network: addr.Network(), Address: addr.DialAddress()}
}
