package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"zrs/internal/fs"
	"zrs/internal/verify"
)

// A verifyCmd is zrs verify.
type verifyCmd struct {
	BlobDir     string `placeholder:"DIR" help:"Directory of the blobs that belong to A; without it no blobs are looked for."`
	Blobs       string `enum:"none,exist,size,content" default:"exist" placeholder:"HOW" help:"What is looked at of blobs: none, exist, size or content; of one storage alone, none or whether they exist."`
	References  bool   `help:"Follow the references from the root: find those that lead nowhere, count what nothing leads to."`
	MaxFindings int    `default:"100" placeholder:"N" help:"Tell at most this many findings; the rest are counted."`
	A           string `arg:"" name:"A" help:"Data file to verify."`
	B           string `arg:"" optional:"" name:"B" help:"Data file, or address of a primary, to compare it with."`
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
believes it.

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
and reference_path.`
}

// Examples are the EXAMPLES of the manual page.
func (*verifyCmd) Examples() string {
	return `Check a backup from cron, silent unless something is wrong:

	zrs verify -q /backup/Data.fs --blob-dir /backup/blobs

Look for references that lead nowhere:

	zrs verify --references Data.fs`
}

// Validate is kong's hook after parsing.
func (c *verifyCmd) Validate() error {
	if c.MaxFindings < 0 {
		return fmt.Errorf("--max-findings: %d is less than 0", c.MaxFindings)
	}
	return nil
}

// Run is what the command does.
func (c *verifyCmd) Run(ctx context.Context, e *env) error {
	if c.B != "" {
		return c.compare(ctx, e)
	}
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
	if err != nil && !answer.judged && !e.json {
		return err
	}
	if e.quiet {
		return err
	}
	if answerErr := e.answer(&answer, answer.writeText); answerErr != nil {
		return errors.Join(err, answerErr)
	}
	if err != nil && answer.judged {
		return &shownError{err}
	}
	return err
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
	p.setTotal(max(1, f.Size()))
	if c.References {
		p.setTotal(max(1, 2*f.Size()))
	}
	defer p.follow(func() (bytes, txns int64) {
		return options.Progress.Bytes.Load(), options.Progress.Transactions.Load()
	})()
	report, err := verify.Sound(ctx, f, options)
	answer.fill(report, options.Blobs != nil)
	if err != nil {
		return err
	}
	answer.judged = true
	if err := report.Err(); err != nil {
		return fmt.Errorf("%s: %w: %s", c.A, err, answer.counts())
	}
	return nil
}

// A soundAnswer is the answer of zrs verify about one storage. The JSON names are
// documented in zrs-verify(1).
type soundAnswer struct {
	Schema   int    `json:"schema"`
	Path     string `json:"path"`
	Sound    bool   `json:"sound"`
	ExitCode int    `json:"exit_code"`
	Error    string `json:"error,omitempty"`
	Size     int64  `json:"size"`

	Transactions int64      `json:"transactions"`
	Records      int64      `json:"records"`
	Objects      int64      `json:"objects"`
	LastTID      fs.TID     `json:"last_tid"`
	LastTime     *time.Time `json:"last_time"`
	End          int64      `json:"end"`
	LostBytes    int64      `json:"lost_bytes"`

	TornTail   *tailAnswer       `json:"torn_tail"`
	Index      indexAnswer       `json:"index"`
	Blobs      *blobsAnswer      `json:"blobs"` // null unless they were looked for
	References *referencesAnswer `json:"references"`

	Findings   []findingAnswer `json:"findings"`
	Damage     int64           `json:"damage"`
	Incomplete int64           `json:"incomplete"`
	Notes      int64           `json:"notes"`
	Untold     int64           `json:"untold"`
	Seconds    float64         `json:"seconds"`

	judged      bool  // there is an answer, be it good or bad
	blobRecords int64 // also if their files were not looked for
	replaced    bool
}

type tailAnswer struct {
	Offset int64  `json:"offset"`
	Bytes  int64  `json:"bytes"`
	TID    fs.TID `json:"tid"`
	Detail string `json:"detail"`
}

type indexAnswer struct {
	State  verify.IndexState `json:"state"`
	Detail string            `json:"detail,omitempty"`
}

type blobsAnswer struct {
	Records int64 `json:"records"`
	Files   int64 `json:"files"`
	Bytes   int64 `json:"bytes"`
	Empty   int64 `json:"empty"`
	Missing int64 `json:"missing"`
	Extra   int64 `json:"extra"`
}

type referencesAnswer struct {
	Reachable       int64 `json:"reachable"`
	Orphans         int64 `json:"orphans"`
	Gone            int64 `json:"gone"`
	Followed        int64 `json:"followed"`
	Dangling        int64 `json:"dangling"`
	DanglingOrphans int64 `json:"dangling_orphans"`
}

type findingAnswer struct {
	Kind     fs.Kind      `json:"kind"`
	Severity string       `json:"severity"`
	Offset   *int64       `json:"offset"` // null if it is about no place of the data file
	TID      *fs.TID      `json:"tid"`
	OID      *fs.OID      `json:"oid"`
	Detail   string       `json:"detail"`
	Meaning  string       `json:"meaning"`
	File     string       `json:"file,omitempty"`
	Class    string       `json:"class,omitempty"`
	Target   *fs.OID      `json:"target,omitempty"`
	Path     []stepAnswer `json:"reference_path,omitempty"`
}

type stepAnswer struct {
	OID     fs.OID `json:"oid"`
	Class   string `json:"class,omitempty"`
	Skipped int    `json:"skipped,omitempty"`
}

func newFindingAnswer(f *verify.Finding) findingAnswer {
	a := findingAnswer{
		Kind: f.Kind, Severity: f.Severity.String(), Detail: f.Detail, Meaning: f.Meaning(), File: f.File, Class: f.Class,
	}
	if f.Offset != verify.NoOffset {
		a.Offset = &f.Offset
	}
	if f.TID != 0 {
		a.TID = &f.TID
	}
	if f.HasOID {
		a.OID = &f.OID
	}
	if f.Kind == verify.KindDangling {
		a.Target = &f.Target
	}
	for _, step := range f.Path {
		a.Path = append(a.Path, stepAnswer{step.OID, step.Class, step.Skipped})
	}
	return a
}

// fill takes over what was found out.
func (a *soundAnswer) fill(r *verify.Report, blobs bool) {
	a.Transactions, a.Records, a.Objects = r.Transactions, r.Records, r.Objects
	a.LastTID, a.End, a.LostBytes = r.LastTID, r.End, r.Lost
	if a.LastTID != 0 {
		t := a.LastTID.Time()
		a.LastTime = &t
	}
	if r.Tail != nil {
		a.TornTail = &tailAnswer{r.Tail.Offset, r.TailBytes, r.Tail.TID, r.Tail.Detail}
	}
	a.Index = indexAnswer{r.Index, r.IndexDetail}
	a.blobRecords, a.replaced = r.BlobRecords, r.Replaced
	if blobs {
		a.Blobs = &blobsAnswer{r.BlobRecords, r.Blobs, r.BlobBytes, r.BlobsEmpty, r.BlobsMissing, r.BlobsExtra}
	}
	if r.References != nil {
		a.References = (*referencesAnswer)(r.References)
	}
	a.Damage, a.Incomplete, a.Notes, a.Untold = r.Damage, r.Incomplete, r.Notes, r.Untold
}

// finish fills in what follows from how the command ended.
func (a *soundAnswer) finish(err error, took time.Duration) {
	a.Sound, a.ExitCode = err == nil, exitCode(err)
	if err != nil {
		a.Error = err.Error()
	}
	a.Seconds = float64(took.Milliseconds()) / 1000
}

// counts says how many findings there are that make a storage unsound.
func (a *soundAnswer) counts() string {
	var parts []string
	if a.Damage > 0 {
		parts = append(parts, count(a.Damage, "finding")+" of damage")
	}
	if a.Incomplete > 0 {
		parts = append(parts, count(a.Incomplete, "blob")+" missing")
	}
	return strings.Join(parts, ", ")
}

// writeText prints the findings, then a summary.
func (a *soundAnswer) writeText(w io.Writer) error {
	var b strings.Builder
	for i := range a.Findings {
		a.Findings[i].write(&b)
	}
	if a.Untold > 0 {
		fmt.Fprintf(&b, "... and %s more: see --max-findings\n\n", count(a.Untold, "finding"))
	}
	verdict := "is sound"
	if !a.Sound {
		verdict = "is NOT sound: " + a.counts()
	}
	fmt.Fprintf(&b, "%s %s\n", a.Path, verdict)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("content", "%s, %s, %s, %s", count(a.Transactions, "transaction"), count(a.Records, "record"), count(a.Objects, "object"), formatBytes(a.Size))
	if a.LastTID != 0 {
		line("end", "%s", describeTID(a.LastTID))
	}
	if a.LostBytes > 0 {
		line("lost", "%s of the file that no transaction could be made of", formatBytes(a.LostBytes))
	}
	if t := a.TornTail; t != nil {
		line("tail", "%s at %d are an incomplete transaction (%s): normal after a crash, or while somebody commits", count(t.Bytes, "byte"), t.Offset, t.Detail)
	}
	line("index", "%s", a.Index.text())
	switch {
	case a.Blobs != nil:
		line("blobs", "%s", a.Blobs.text())
	case a.blobRecords > 0:
		line("blobs", "%s, not looked for: give --blob-dir", count(a.blobRecords, "revision"))
	}
	if r := a.References; r != nil {
		line("references", "%s; %s reachable, %s; %s, %s",
			count(r.Followed, "reference"), count(r.Reachable, "object"), count(r.Orphans, "orphan"), gone(r.Gone), dangling(r))
	}
	if a.replaced {
		line("note", "another file has taken the name meanwhile, as a pack does: blobs and index belong to that one")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func gone(n int64) string { return groupDigits(n) + " deleted" }

func dangling(r *referencesAnswer) string {
	text := groupDigits(r.Dangling) + " dangling"
	if r.DanglingOrphans > 0 {
		text += fmt.Sprintf(", %s of orphans", groupDigits(r.DanglingOrphans))
	}
	return text
}

func (a *indexAnswer) text() string {
	text := map[verify.IndexState]string{
		verify.IndexNone:     "there is none: ZODB reads the whole file when it opens it",
		verify.IndexCurrent:  "right and current",
		verify.IndexBehind:   "right up to where it ends: ZODB reads the rest when it opens the file",
		verify.IndexUnusable: "can't be read: ZODB makes a new one",
		verify.IndexForeign:  "of another file, or of this one before it was packed: remove it, ZODB makes a new one",
		verify.IndexWrong:    "WRONG, see above: ZODB believes it",
		verify.IndexChanged:  "not compared",
	}[a.State]
	if a.Detail != "" {
		text += " (" + a.Detail + ")"
	}
	return text
}

func (a *blobsAnswer) text() string {
	text := fmt.Sprintf("%s, %s", count(a.Files, "file"), formatBytes(a.Bytes))
	for _, more := range []struct {
		n    int64
		what string
	}{{a.Missing, "missing"}, {a.Empty, "empty"}, {a.Extra, "without a record"}} {
		if more.n > 0 {
			text += fmt.Sprintf(", %s %s", groupDigits(more.n), more.what)
		}
	}
	return text
}

// write prints a finding as a block of lines.
func (a *findingAnswer) write(b *strings.Builder) {
	fmt.Fprintf(b, "%s  %s", a.Severity, a.Kind)
	if a.Offset != nil {
		fmt.Fprintf(b, " at %d", *a.Offset)
	}
	if a.OID != nil {
		fmt.Fprintf(b, ", object %s", *a.OID)
	}
	if a.Class != "" {
		fmt.Fprintf(b, " (%s)", printable(a.Class))
	}
	if a.TID != nil {
		fmt.Fprintf(b, ", transaction %s", describeTID(*a.TID))
	}
	fmt.Fprintf(b, "\n    %s\n", printable(a.Detail))
	if len(a.Path) > 0 {
		fmt.Fprint(b, "    reached by root")
		for _, step := range a.Path[1:] {
			if step.Skipped > 0 {
				fmt.Fprintf(b, " -> (%s)", count(int64(step.Skipped), "object"))
			}
			fmt.Fprintf(b, " -> %s %s", step.OID, printable(step.Class))
		}
		fmt.Fprintln(b)
	}
	fmt.Fprintf(b, "    %s\n\n", a.Meaning)
}

// printable quotes a text from a database if a terminal could take it for
// something else.
func printable(s string) string {
	if quoted := fmt.Sprintf("%q", s); quoted != `"`+s+`"` {
		return quoted
	}
	return s
}
