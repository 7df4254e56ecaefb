package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zrs/internal/fs"
	"zrs/internal/repl"
	"zrs/internal/verify"
)

const verifyTwoHelp = `With two arguments, tells how the storages A and B relate, by transaction id and content,
blobs included. Either may be the address of a primary, zrs or zc.zrs: what it sends is
compared as it comes, up to the end that it has when the command has connected, and
nothing is stored. Files are not locked and not changed.

Packs are local to each file, so healthy replicas often differ. The answer is one of

  equal, behind, ahead      A has the same transactions as B, lacks the last ones of B,
                            or has more
  equal-after-pack, behind-after-pack, ahead-after-pack
                            the same, but for what packs have removed on either side:
                            each object's current revision, and every transaction after
                            the later pack, agree
  diverged                  one side has what the other should have and hasn't, or they
                            differ in what both have: a fork, a lost transaction, a bit
                            that flipped. It is told where they part and what is only
                            on one side
  damaged                   one of them can't be read to its end; or blobs are missing,
                            also of what only one side has, and is told what they are
                            but for that

The exit code is 0 for equal and equal-after-pack, 3 if one is damaged, 8 if nothing but
blobs is missing, as for one storage, and 1 for the rest: also if two have diverged and
blobs are missing besides. The rules, with their proof, are in docs/format.md.

With --json the answer is one document: schema, relation, but_for_blobs (the relation, if
nothing but blobs is missing), exit_code, a and b (each name,
transactions, records, first_tid, last_tid, last_time, packed_to, packed_away, only,
only_count, torn_tail, damage, blobs_missing), common (transactions, records, last_tid,
last_time), apart (transactions, seconds), differences (kind, missing_in, tid, time, oid,
class, a, b, detail), difference_count, extensions_repickled, blobs, seconds.`

const verifyTwoExamples = `Is the backup still a copy of the primary, and at most behind? From cron:

	zrs verify -q /backup/Data.fs db1:5000 --allow-behind

After a failover, what has the old primary that the new one hasn't?

	zrs verify /old/Data.fs db2:5000

Compare two files with their blobs:

	zrs verify a/Data.fs --blob-dir a/blobs b/Data.fs --other-blob-dir b/blobs`

// compareFlags are the flags of zrs verify for two storages.
type compareFlags struct {
	OtherBlobDir string    `placeholder:"DIR" help:"Directory of the blobs that belong to B."`
	Mode         string    `enum:"auto,history,current" default:"auto" placeholder:"MODE" help:"Compare the histories, with packs explained (auto) or not (history), or the current state alone (current)."`
	Quick        bool      `help:"Compare transaction ids and lengths, and not the data."`
	Range        *tidRange `placeholder:"A..B" help:"Compare only transactions from A to B, both inclusive and optional."`
	AllowBehind  bool      `help:"Let the exit code be 0 if A, unless it has none at all, only lacks the last transactions of B."`
	Timeout      duration  `default:"30s" placeholder:"TIME" help:"Give up when an address does not answer for this long."`
}

// checkComparing refuses what makes no sense. two tells whether there are two
// storages.
func (c *compareFlags) checkComparing(two bool) error {
	if !two && (c.OtherBlobDir != "" || c.AllowBehind || c.Quick || c.Mode != "auto") {
		return errors.New("--other-blob-dir, --allow-behind, --quick and --mode are for two storages")
	}
	return positive("timeout", c.Timeout)
}

// compare tells how A and B relate.
func (c *verifyCmd) compare(ctx context.Context, e *env) error {
	a, closeA, err := c.openSource(c.A, c.BlobDir, "--blob-dir")
	if err != nil {
		return err
	}
	defer closeA()
	b, closeB, err := c.openSource(c.B, c.OtherBlobDir, "--other-blob-dir")
	if err != nil {
		return err
	}
	defer closeB()
	opts, err := c.compareOptions(ctx, a, b)
	if err != nil {
		return err
	}
	var result *verify.Comparison
	start := time.Now()
	err = e.withProgress("comparing", func(p *progress) error {
		defer p.followVerify(opts.Progress)()
		result, err = verify.Compare(ctx, a.Source, b.Source, opts)
		return err
	})
	if err != nil {
		return err
	}
	verdict := c.verdict(result)
	answer := newRelationAnswer(result, exitCode(verdict), time.Since(start))
	if answer.next = c.next(result, a, b); answer.next != nil {
		verdict = advise(verdict, answer.next...)
	}
	if e.quiet {
		return verdict
	}
	if err := e.answer(answer, answer.writeText); err != nil {
		return err
	}
	if verdict != nil {
		return &shownError{verdict}
	}
	return nil
}

// compareOptions returns the options that the flags ask for.
func (c *verifyCmd) compareOptions(ctx context.Context, a, b *comparedSource) (opts verify.CompareOptions, err error) {
	opts = verify.CompareOptions{
		Mode:  map[string]verify.Mode{"auto": verify.ModeAuto, "history": verify.ModeHistory, "current": verify.ModeCurrent}[c.Mode],
		Quick: c.Quick, List: c.MaxFindings, Progress: new(verify.Progress),
	}
	switch c.Blobs {
	case "auto":
		if a.HasBlobs && b.HasBlobs && (a.file == nil || b.file == nil || !c.Quick) {
			opts.Blobs = verify.BlobsContent
		}
	case "exist":
		opts.Blobs = verify.BlobsExist
	case "size":
		opts.Blobs = verify.BlobsSize
	case "content":
		opts.Blobs = verify.BlobsContent
	}
	if c.Range == nil {
		return opts, nil
	}
	for _, src := range []*comparedSource{a, b} {
		if src.file == nil {
			continue
		}
		end, _, err := src.file.End(ctx)
		if err != nil {
			return opts, err
		}
		opts.From, opts.To, err = c.Range.resolve(ctx, src.file, end)
		opts.To = max(1, opts.To) // 0 would be open
		return opts, err
	}
	return opts, fmt.Errorf("--range: where neither is a file there is nothing to find %s in", c.Range)
}

// A comparedSource is one of two storages.
type comparedSource struct {
	*verify.Source
	file *fs.File // nil for an address
}

// openSource opens what text names.
func (c *verifyCmd) openSource(text, blobDir, flag string) (*comparedSource, func(), error) {
	src, err := findSource(text)
	if err != nil {
		return nil, nil, err
	}
	if src.path == "" {
		if blobDir != "" {
			return nil, nil, fmt.Errorf("%s is for a file, %s is an address", flag, text)
		}
		return &comparedSource{Source: c.remote(src)}, func() {}, nil
	}
	f, err := fs.OpenFile(src.path)
	if err != nil {
		return nil, nil, err
	}
	var blobs *fs.BlobDir
	if blobDir != "" {
		if blobs, err = fs.OpenBlobDir(blobDir); err != nil {
			f.Close()
			return nil, nil, err
		}
	}
	return &comparedSource{verify.FileSource(f, blobs), f}, func() { f.Close() }, nil
}

// remote returns the storage that an address serves.
func (c *verifyCmd) remote(src source) *verify.Source {
	from := repl.TCPSource(src.addr.Network(), src.addr.DialAddress(), time.Duration(c.Timeout))
	return &verify.Source{Name: src.text, HasBlobs: true, Open: func(ctx context.Context, after fs.TID) (verify.Stream, error) {
		stream, err := repl.OpenStream(ctx, from, after, time.Duration(c.Timeout))
		if err != nil {
			return nil, err
		}
		return stream, nil
	}}
}

// verdict returns the error that a relation makes, nil if all is well.
func (c *verifyCmd) verdict(r *verify.Comparison) error {
	a, b := r.Sides[0].Name, r.Sides[1].Name
	var text string
	switch {
	case r.Relation.Same(), r.Relation.IsBehind() && c.AllowBehind && !c.isEmpty(r):
		return nil
	case r.Relation == verify.Behind && c.isEmpty(r):
		text = fmt.Sprintf("%s is empty, %s has %s", a, b, count(r.Apart, "transaction"))
	case r.Relation == verify.Behind, r.Relation == verify.BehindAfterPack:
		text = fmt.Sprintf("%s is behind %s by %s", a, b, count(r.Apart, "transaction"))
	case r.Relation == verify.Ahead, r.Relation == verify.AheadAfterPack:
		text = fmt.Sprintf("%s is ahead of %s by %s", a, b, count(r.Apart, "transaction"))
	case r.Relation == verify.Diverged:
		text = fmt.Sprintf("%s and %s have diverged%s", a, b, afterTID(r.LastCommon))
	default:
		return damagedError(r)
	}
	return &relationError{text, verify.ErrDiffer}
}

// isEmpty reports whether A has no transaction at all. So much is not lacking in a
// copy that was made.
func (c *verifyCmd) isEmpty(r *verify.Comparison) bool {
	return c.Range == nil && r.Sides[0].Transactions == 0
}

// next tells what to do about two storages that have diverged. Where part of them
// was compared, or what packs explain was not left out, nothing follows from that.
func (c *verifyCmd) next(r *verify.Comparison, a, b *comparedSource) []string {
	switch {
	case r.Relation != verify.Diverged, c.Mode != "auto", c.Range != nil:
		return nil
	case r.LastCommon == 0:
		return []string{"make sure that the two are of one database, and that neither was replaced"}
	case r.Sides[0].OnlyCount+r.Sides[1].OnlyCount == 0:
		return []string{
			"they differ in what both have, which no failover leaves: find out which is right before either is written to;",
			"a third copy tells, or zrs verify --manifest",
		}
	}
	next := []string{"find out which is right before either is written to again; then, to take the other back to where they part:"}
	for _, s := range []struct {
		file  *fs.File
		path  string
		other string
	}{{a.file, c.A, c.B}, {b.file, c.B, c.A}} {
		if s.file != nil {
			next = append(next, fmt.Sprintf("zrs rewind %s --against %s --dry-run   if %s is right", shellWord(s.path), shellWord(s.other), s.other))
		}
	}
	return next
}

// damagedError says what of two storages is damaged.
func damagedError(r *verify.Comparison) error {
	for _, s := range r.Sides {
		if s.Damage != nil {
			return s.Damage
		}
	}
	for _, s := range r.Sides {
		if s.BlobsMissing > 0 {
			return &relationError{fmt.Sprintf("%s lacks %s", s.Name, count(s.BlobsMissing, "blob")), verify.ErrIncomplete}
		}
	}
	return verify.ErrDiffer
}

// A relationError says that two storages are not as they should be.
type relationError struct {
	text string
	err  error
}

func (e *relationError) Error() string { return e.text }
func (e *relationError) Unwrap() error { return e.err }

func afterTID(tid fs.TID) string {
	if tid == 0 {
		return ", with no transaction in common before"
	}
	return " after " + describeTID(tid)
}
