package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"regexp"

	"zrs/internal/fs"
)

// A logCmd is zrs log.
type logCmd struct {
	MaxCount *int     `short:"n" placeholder:"N" help:"Show the last N transactions of those that are asked for."`
	Reverse  bool     `help:"Show the newest first."`
	User     []string `placeholder:"NAME" help:"Show transactions of this user only; the name alone is enough where Zope has put a path before it."`
	Grep     *pattern `placeholder:"REGEXP" help:"Show transactions only whose description matches this regular expression."`
	OID      *fs.OID  `name:"oid" placeholder:"OID" help:"Show transactions only that wrote this object."`
	Stat     bool     `help:"List the objects of each transaction, with class and size."`
	FS       string   `arg:"" name:"FS" help:"Data file to look at."`
	Range    tidRange `arg:"" optional:"" name:"RANGE" help:"Part of the history, see zrs help ranges, or one transaction."`
}

// Help is the DESCRIPTION of zrs-log(1).
func (*logCmd) Help() string {
	return `Shows the transactions of the data file FS, the newest last: time, id, number of objects,
size in the file, user and description. Those that a pack has rewritten are marked packed.
FS may be in use; nothing is changed, and no lock is taken. What is being written at this
moment is not shown.

RANGE is FROM..TO; both ends belong to it, and either may be left out. One id alone is that
transaction, and a time alone the last transaction up to it. The forms that the ends may
have are explained by zrs help times.

The end of a file of any size is found at once, and so are ranges and the history of an
object (--oid) as far as there is an index file beside it. That history is found from the
object's current revision back, by the pointers that each revision has to the one before
and to the one whose data it has. Where a pack has cut these, older revisions that it kept
are not found; zrs dump --oid reads the whole file, and has them all.

User and description are printed in quotes, with escapes for whatever could upset a terminal.
With --json each transaction is a line: schema, tid, time, status (complete, packed or
undone), user, description, offset, bytes, records, objects, and with --stat changes, a list
of oid, class, bytes, and for an undo data_tid, where its data is from; class and bytes are
null for an object that is gone, and error says why if they could not be found. Texts that
are not UTF-8 have their exact bytes in user_base64 and description_base64 too.

If a place in FS is damaged, what comes before it is shown, or with --reverse, -n or --oid
what comes behind it, and the exit code is 3. If RANGE is one id, and FS has no such
transaction, it is 1.`
}

// Examples are the EXAMPLES of the manual page.
func (*logCmd) Examples() string {
	return `What happened last?

	zrs log -n 10 Data.fs

Who has changed this object, and what else with it?

	zrs log --oid 0x2a7f --stat Data.fs

What has admin deleted since yesterday?

	zrs log --user admin --grep manage_delObjects Data.fs -1d..

What was committed after a failover, that the other side may not have?

	zrs log Data.fs 0411c712a9d0b377..`
}

// A pattern is a regular expression.
type pattern struct{ *regexp.Regexp }

// UnmarshalText reads the syntax of package regexp.
func (p *pattern) UnmarshalText(text []byte) (err error) {
	p.Regexp, err = regexp.Compile(string(text))
	return err
}

// Validate is kong's hook after parsing.
func (c *logCmd) Validate() error {
	if c.MaxCount != nil && *c.MaxCount < 0 {
		return fmt.Errorf("--max-count: %d is less than 0", *c.MaxCount)
	}
	return nil
}

// errNoTxn is returned when the one transaction that was asked for is not there.
var errNoTxn = errors.New("no such transaction")

// Run is what the command does.
func (c *logCmd) Run(ctx context.Context, e *env) error {
	f, err := fs.OpenFile(c.FS)
	if err != nil {
		return err
	}
	defer f.Close()
	w := &logWriter{e: e, f: f, stat: c.Stat, out: bufio.NewWriter(e.lines())}
	w.now = isTerminal(e.stdout) || len(c.User) > 0 || c.Grep != nil // matches may be rare
	err = e.withProgress("reading", func(p *progress) error {
		return errors.Join(c.run(ctx, f, w, p), w.out.Flush())
	})
	return unanswered(adviseDamage(err, c.FS))
}

func (c *logCmd) run(ctx context.Context, f *fs.File, w *logWriter, p *progress) error {
	end, tail, err := f.End(ctx)
	if err != nil {
		return err
	}
	h := &history{logCmd: c, f: f, end: end, keep: maxKept, progress: p}
	if err := h.bounds(ctx); err != nil {
		return err
	}
	if h.stop < end.Offset || errors.Is(tail, fs.ErrTornTail) {
		tail = nil // not asked for, or no transaction
	}
	return errors.Join(h.each(ctx, w.write), tail)
}
