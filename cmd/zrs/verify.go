package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zrs/internal/fs"
	"zrs/internal/verify"
)

// A verifyCmd is zrs verify.
type verifyCmd struct {
	BlobDir     string `placeholder:"DIR" help:"Directory of the blobs that belong to A; without it no blobs are looked for."`
	Blobs       string `enum:"auto,none,exist,size,content" default:"auto" placeholder:"HOW" help:"What is looked at of blobs: none, exist, size, content or auto; of one storage alone whether they exist, of two their content where both sides' blobs are known."`
	References  bool   `help:"Follow the references from the root: find those that lead nowhere, count what nothing leads to."`
	MaxFindings int    `default:"100" placeholder:"N" help:"Tell at most this many findings; the rest are counted."`

	compareFlags `embed:""`
	digestFlags  `embed:""`

	A string `arg:"" name:"A" help:"Data file to verify; to compare, an address of a primary too."`
	B string `arg:"" optional:"" name:"B" help:"Data file, or address of a primary, to compare it with."`
}

// Help is the DESCRIPTION of zrs-verify(1).
func (*verifyCmd) Help() string {
	return `With one argument, says whether the storage A is sound. It takes no lock and changes
nothing, so a process may have A open; what that one appends meanwhile is left out.

Checked are the structure of all transactions and records, the order of transaction ids,
back pointers, each object's chain of previous records, and the index beside the file;
with --blob-dir that every blob has its file; with --references that every object that can
be reached from the root exists. Verification goes on behind what it finds, and says of
each finding what it is, where, and what it means.

FileStorage has no checksums: a byte that changed inside of an object's data or of a
transaction's description can't be seen in one file alone.

An incomplete transaction at the end of the file is normal while somebody commits, and
after a crash: the next writer cuts it off. It is told, and A is sound. So it is with blob
files that no record names, which aborted transactions leave. An index that is missing or
old is made anew by ZODB, and is told; one that leads to wrong places is damage, for ZODB
believes it. A file of no bytes, of which ZODB makes an empty database, is told, and is
damage where an index or blobs show that there was a database.

The exit code is 0 if A is sound, 3 if there is damage, 8 if nothing but blobs is
missing. With --quiet nothing is printed in the first case, and one line on standard
error in the others.

With --json the answer is one document: schema, path, sound, exit_code, error, size,
transactions, records, objects, last_tid, last_time, end, lost_bytes, torn_tail (offset,
bytes, tid, detail), index (state: none, current, behind, unusable, foreign, wrong or
changed; detail), blobs (records, files, bytes, empty, missing, extra), references
(reachable, orphans, gone, followed, dangling, dangling_orphans), findings, damage,
incomplete, notes, untold, seconds. Each finding has kind, severity (damage, incomplete
or note), offset, tid, oid, detail, meaning, and where they apply file, class, target
and reference_path.

` + verifyTwoHelp + "\n\n" + verifyDigestHelp
}

// Examples are the EXAMPLES of the manual page.
func (*verifyCmd) Examples() string {
	return `Check a backup from cron, silent unless something is wrong:

	zrs verify -q /backup/Data.fs --blob-dir /backup/blobs

Look for references that lead nowhere:

	zrs verify --references Data.fs

` + verifyTwoExamples + "\n\n" + verifyDigestExamples
}

// Validate is kong's hook after parsing.
func (c *verifyCmd) Validate() error {
	if c.MaxFindings < 0 {
		return fmt.Errorf("--max-findings: %d is less than 0", c.MaxFindings)
	}
	return errors.Join(c.checkComparing(c.B != ""), c.digestFlags.check(c.B != ""))
}

// Run is what the command does.
func (c *verifyCmd) Run(ctx context.Context, e *env) error {
	switch {
	case c.B != "":
		return unanswered(c.compare(ctx, e))
	case c.digestFlags.wanted():
		return unanswered(c.digest(ctx, e))
	}
	return unanswered(c.one(ctx, e))
}

// one verifies A alone.
func (c *verifyCmd) one(ctx context.Context, e *env) error {
	src, err := findSource(c.A)
	if err != nil {
		return err
	}
	if src.path == "" {
		return fmt.Errorf("%s is an address: a storage is verified alone where its file is", c.A)
	}
	f, err := fs.OpenFile(src.path)
	if err != nil {
		return err
	}
	defer f.Close()
	answer := soundAnswer{Schema: summarySchema, Path: c.A, Size: f.Size(), Findings: []findingAnswer{}}
	start := time.Now()
	err = e.withProgress("verifying", func(p *progress) error { return c.sound(ctx, f, &answer, p) })
	answer.finish(err, time.Since(start))
	if e.quiet || !answer.judged && !e.json && len(answer.Findings) == 0 {
		return err
	}
	if answerErr := e.answer(&answer, answer.writeText); answerErr != nil || !answer.judged || err == nil {
		return errors.Join(err, answerErr)
	}
	return &shownError{err}
}

// sound verifies the file, and puts what comes of it into the answer.
func (c *verifyCmd) sound(ctx context.Context, f *fs.File, answer *soundAnswer, p *progress) error {
	options := verify.Options{References: c.References, Max: c.MaxFindings, Progress: new(verify.Progress)}
	options.Found = func(f *verify.Finding) { answer.Findings = append(answer.Findings, newFindingAnswer(f)) }
	if c.BlobDir != "" && c.Blobs != "none" {
		blobs, err := fs.OpenBlobDir(c.BlobDir)
		if err != nil {
			return err
		}
		options.Blobs = blobs
	}
	defer p.followVerify(options.Progress)()
	report, err := verify.Sound(ctx, f, options)
	answer.fill(report, options.Blobs != nil)
	if err != nil {
		return err
	}
	answer.judged = true
	if err := report.Err(); err != nil {
		return fmt.Errorf("%s: %w: %s; the first is %s", c.A, err, answer.counts(), place(report.First))
	}
	return nil
}

// place names a finding and where it is.
func place(f *verify.Finding) string {
	if f.Offset == verify.NoOffset {
		return string(f.Kind)
	}
	return fmt.Sprintf("%s at %d", f.Kind, f.Offset)
}
