package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"strings"
	"time"

	"zrs/internal/fs"
	"zrs/internal/verify"
)

const verifyDigestHelp = `With --digest, prints two digests of A: of its whole history, and of its current state.
They depend on the contents only, not on where these lie in the file, so that two hosts
can be compared by eye. That of the state survives packs, but for the garbage that they
remove. --at gives those that A had after a transaction; with --blob-dir the contents of
blobs count too. Anybody can recompute them: docs/format.md tells how.

With --write-manifest, writes digests of all transactions and records to a file. With
--manifest, A is held against such a file: a byte that changed since it was written is
found, and where. What was committed later is counted, and what a pack has removed. A
manifest that exists is replaced only if A still fits it. FILE.zst is compressed, - is
standard output or input.

With --json the answer to --digest has schema, path, tid, time, transactions, objects,
history, state, blobs (files, missing; null without --blob-dir), torn_tail; that to a
manifest schema, path, manifest, exit_code, transactions, covered_tid, later, packed_away
(transactions, records), changes (kind, tid, offset, record, oid, detail), change_count,
torn_tail, and written.`

const verifyDigestExamples = `Compare two hosts by eye:

	zrs verify --digest Data.fs
	ssh db2 zrs verify --digest /srv/zodb/Data.fs

Keep watch over a backup for rot:

	zrs verify --write-manifest Data.fs.manifest Data.fs
	zrs verify -q --manifest Data.fs.manifest Data.fs`

// digestFlags are the flags of zrs verify for digests.
type digestFlags struct {
	Digest        bool   `help:"Print digests of the history and of the current state of A."`
	At            *when  `placeholder:"WHEN" help:"With --digest, the digests after the last transaction that is not later than this transaction id or time."`
	WriteManifest string `placeholder:"FILE" help:"Write digests of all transactions and records of A to FILE, once A fits what is there."`
	Manifest      string `placeholder:"FILE" help:"Hold A against the digests in FILE, and say what has changed since they were written."`
}

// wanted reports whether digests are wanted.
func (f *digestFlags) wanted() bool { return f.Digest || f.WriteManifest != "" || f.Manifest != "" }

// check refuses what makes no sense.
func (f *digestFlags) check(two bool) error {
	n := 0
	for _, given := range []bool{f.Digest, f.WriteManifest != "", f.Manifest != ""} {
		if given {
			n++
		}
	}
	switch {
	case n > 1:
		return errors.New("--digest, --write-manifest and --manifest exclude each other")
	case n > 0 && two:
		return errors.New("--digest, --write-manifest and --manifest are for one storage")
	case f.At != nil && !f.Digest:
		return errors.New("--at is for --digest")
	}
	return nil
}

// digest does what the digestFlags ask for.
func (c *verifyCmd) digest(ctx context.Context, e *env) error {
	src, err := findSource(c.A)
	if err != nil {
		return err
	}
	if src.path == "" {
		return fmt.Errorf("%s is an address: digests are made where the file is", c.A)
	}
	f, err := fs.OpenFile(src.path)
	if err != nil {
		return err
	}
	defer f.Close()
	opts := verify.DigestOptions{Progress: new(verify.Progress)}
	if c.BlobDir != "" && c.Blobs != "none" {
		if opts.Blobs, err = fs.OpenBlobDir(c.BlobDir); err != nil {
			return err
		}
	}
	return e.withProgress("computing digests", func(p *progress) error {
		defer p.followVerify(opts.Progress)()
		switch {
		case c.Manifest != "":
			return c.checkManifest(ctx, e, f, opts, c.Manifest)
		case c.WriteManifest != "":
			return c.writeManifest(ctx, e, f, opts)
		}
		return c.printDigest(ctx, e, f, opts)
	})
}

func (c *verifyCmd) printDigest(ctx context.Context, e *env, f *fs.File, opts verify.DigestOptions) error {
	if c.At != nil {
		end, _, err := f.End(ctx)
		if err == nil {
			opts.To, err = c.At.last(ctx, f, end)
			opts.To = max(1, opts.To) // 0 would be all
		}
		if err != nil {
			return err
		}
	}
	d, err := verify.DigestFile(ctx, f, opts)
	if err != nil {
		return err
	}
	answer := newDigestAnswer(c.A, d, opts.Blobs != nil)
	return e.answer(answer, answer.writeText)
}

// A digestAnswer is the answer of zrs verify --digest. The JSON names are
// documented in zrs-verify(1).
type digestAnswer struct {
	Schema       int                `json:"schema"`
	Path         string             `json:"path"`
	TID          *fs.TID            `json:"tid"`
	Time         *time.Time         `json:"time"`
	Transactions int64              `json:"transactions"`
	Objects      int64              `json:"objects"`
	History      string             `json:"history"`
	State        string             `json:"state"`
	Blobs        *digestBlobsAnswer `json:"blobs"` // null if they do not count
	TornTail     *placeAnswer       `json:"torn_tail"`
}

type digestBlobsAnswer struct {
	Files   int64 `json:"files"`
	Missing int64 `json:"missing"`
}

func newDigestAnswer(path string, d *verify.Digest, blobs bool) *digestAnswer {
	a := &digestAnswer{
		Schema: summarySchema, Path: path, Transactions: d.Transactions, Objects: d.Objects,
		History: hex.EncodeToString(d.History[:]), State: hex.EncodeToString(d.State[:]), TornTail: newPlaceAnswer(d.Tail),
	}
	a.TID, a.Time = tidAnswer(d.TID)
	if blobs {
		a.Blobs = &digestBlobsAnswer{d.Blobs, d.BlobsMissing}
	}
	return a
}

func (a *digestAnswer) writeText(w io.Writer) error {
	var b strings.Builder
	at := "empty"
	if a.TID != nil {
		at = describeTID(*a.TID)
	}
	fmt.Fprintf(&b, "at       %s\nhistory  %s  %s\nstate    %s  %s\n", at,
		a.History, count(a.Transactions, "transaction"), a.State, count(a.Objects, "object"))
	if a.Blobs != nil {
		fmt.Fprintf(&b, "blobs    %s, %s missing\n", count(a.Blobs.Files, "file"), groupDigits(a.Blobs.Missing))
	}
	a.TornTail.write(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// write prints the line about a torn tail, if there is one.
func (a *placeAnswer) write(b *strings.Builder) {
	if a != nil {
		fmt.Fprintf(b, "tail     an incomplete transaction at offset %d is left out\n", a.Offset)
	}
}

// writeManifest writes a manifest in place of one that A fits, if there is one. To
// standard output nothing else is written then.
func (c *verifyCmd) writeManifest(ctx context.Context, e *env, f *fs.File, opts verify.DigestOptions) error {
	toStdout := c.WriteManifest == "-"
	info, err := os.Stat(c.WriteManifest)
	switch {
	case toStdout, err == nil && !info.Mode().IsRegular():
	case err == nil:
		quiet := *e
		quiet.quiet = true
		if err := c.checkManifest(ctx, &quiet, f, opts, c.WriteManifest); err != nil {
			return advise(fmt.Errorf("%s is left as it is: %w", c.WriteManifest, err),
				"zrs verify --manifest "+c.WriteManifest+" "+c.A+"   to see what does not fit")
		}
	case !errors.Is(err, iofs.ErrNotExist):
		return err
	}
	out, err := openOutput(e.stdout, c.WriteManifest, false)
	if err != nil {
		return err
	}
	d, err := verify.WriteManifest(ctx, f, out, opts)
	if err := out.finish(err); err != nil || toStdout {
		return err
	}
	answer := &manifestAnswer{Schema: summarySchema, Path: c.A, Manifest: c.WriteManifest, Written: true, Transactions: d.Transactions, Changes: []changeAnswer{}, TornTail: newPlaceAnswer(d.Tail)}
	answer.Covered, _ = tidAnswer(d.TID)
	return e.answer(answer, answer.writeText)
}

// checkManifest holds A against a manifest.
func (c *verifyCmd) checkManifest(ctx context.Context, e *env, f *fs.File, opts verify.DigestOptions, path string) error {
	m, err := openInput(ctx, e.stdin, path)
	if err != nil {
		return err
	}
	defer m.close()
	result, err := verify.CheckManifest(ctx, f, m, opts, c.MaxFindings)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	var verdict error
	if result.ChangeCount > 0 {
		verdict = &relationError{fmt.Sprintf("%s is not what %s says: %s", c.A, path, count(result.ChangeCount, "change")), verify.ErrUnsound}
	}
	answer := newManifestAnswer(c.A, path, result, exitCode(verdict))
	if e.quiet {
		return verdict
	}
	if err := e.answer(answer, answer.writeText); err != nil || verdict == nil {
		return err
	}
	return &shownError{verdict}
}

// A manifestAnswer is the answer of zrs verify about a manifest. The JSON names are
// documented in zrs-verify(1).
type manifestAnswer struct {
	Schema       int     `json:"schema"`
	Path         string  `json:"path"`
	Manifest     string  `json:"manifest"`
	Written      bool    `json:"written"`
	ExitCode     int     `json:"exit_code"`
	Transactions int64   `json:"transactions"` // that are as the manifest has them
	Covered      *fs.TID `json:"covered_tid"`
	Later        int64   `json:"later"` // transactions that it does not cover
	PackedAway   struct {
		Transactions int64 `json:"transactions"`
		Records      int64 `json:"records"`
	} `json:"packed_away"`
	Changes     []changeAnswer `json:"changes"`
	ChangeCount int64          `json:"change_count"`
	TornTail    *placeAnswer   `json:"torn_tail"`
}

type changeAnswer struct {
	Kind   verify.ChangeKind `json:"kind"`
	TID    fs.TID            `json:"tid"`
	Offset int64             `json:"offset,omitempty"`
	Record int               `json:"record,omitempty"`
	OID    *fs.OID           `json:"oid,omitempty"`
	Detail string            `json:"detail,omitempty"`
}

func newManifestAnswer(path, manifest string, r *verify.ManifestCheck, code int) *manifestAnswer {
	a := &manifestAnswer{
		Schema: summarySchema, Path: path, Manifest: manifest, ExitCode: code,
		Transactions: r.Transactions, Later: r.Later, Changes: []changeAnswer{}, ChangeCount: r.ChangeCount,
		TornTail: newPlaceAnswer(r.Tail),
	}
	a.Covered, _ = tidAnswer(r.Covered)
	a.PackedAway.Transactions, a.PackedAway.Records = r.PackedTransactions, r.PackedRecords
	for i := range r.Changes {
		ch := &r.Changes[i]
		change := changeAnswer{Kind: ch.Kind, TID: ch.TID, Offset: ch.Offset, Record: ch.Record, Detail: ch.Detail}
		if ch.Record > 0 {
			change.OID = &ch.OID
		}
		a.Changes = append(a.Changes, change)
	}
	return a
}

func (a *manifestAnswer) writeText(w io.Writer) error {
	var b strings.Builder
	for i := range a.Changes {
		ch := &a.Changes[i]
		fmt.Fprintf(&b, "changed  %s\n         transaction %s", changeTexts[ch.Kind], describeTID(ch.TID))
		if ch.Record > 0 {
			fmt.Fprintf(&b, ", record %d, object %s", ch.Record, *ch.OID)
		}
		if ch.Offset > 0 {
			fmt.Fprintf(&b, ", at offset %d", ch.Offset)
		}
		if ch.Detail != "" {
			fmt.Fprintf(&b, ": %s", ch.Detail)
		}
		b.WriteString("\n")
	}
	if rest := a.ChangeCount - int64(len(a.Changes)); rest > 0 {
		fmt.Fprintf(&b, "changed  ... and %s more: see --max-findings\n", groupDigits(rest))
	}
	covered := "nothing"
	if a.Covered != nil {
		covered = "up to " + describeTID(*a.Covered)
	}
	verb := "as in"
	if a.Written {
		verb = "now in"
	}
	fmt.Fprintf(&b, "manifest %s %s %s, which covers %s\n", count(a.Transactions, "transaction"), verb, a.Manifest, covered)
	if a.Later > 0 {
		fmt.Fprintf(&b, "later    %s\n", count(a.Later, "transaction"))
	}
	if a.PackedAway.Transactions+a.PackedAway.Records > 0 {
		fmt.Fprintf(&b, "packed   %s, %s since\n", count(a.PackedAway.Transactions, "transaction"), count(a.PackedAway.Records, "record"))
	}
	a.TornTail.write(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

var changeTexts = map[verify.ChangeKind]string{
	verify.ChangeTexts:       "user, description or extension",
	verify.ChangeRecord:      "an object's data, blob or id",
	verify.ChangeRecords:     "records are missing, or more than there were",
	verify.ChangeMissing:     "the transaction is missing, and no pack explains that",
	verify.ChangeUnexpected:  "there was no such transaction",
	verify.ChangeTransaction: "something in the transaction",
}
