package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"zrs/internal/fs"
	"zrs/internal/verify"
)

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
	a.LastTime = timeOf(a.LastTID)
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
	a.Sound, a.ExitCode, a.Error, a.Seconds = err == nil, exitCode(err), errorText(err), inSeconds(took)
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
	switch {
	case a.Sound:
		fmt.Fprintf(&b, "%s is sound\n", a.Path)
	case !a.judged:
		fmt.Fprintf(&b, "%s could not be verified to its end; up to there:\n", a.Path)
	case a.Damage > 0:
		fmt.Fprintf(&b, "%s is NOT sound: %s\n", a.Path, a.counts())
	default:
		fmt.Fprintf(&b, "%s is sound, but %s\n", a.Path, a.counts())
	}
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
	parts := []string{count(a.Files, "file"), formatBytes(a.Bytes)}
	for _, more := range []struct {
		n    int64
		what string
	}{{a.Missing, "missing"}, {a.Empty, "empty"}, {a.Extra, "without a record"}} {
		if more.n > 0 {
			parts = append(parts, groupDigits(more.n)+" "+more.what)
		}
	}
	return strings.Join(parts, ", ")
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
// something else, and cuts it if it is very long.
func printable(s string) string {
	unprintable := func(r rune) bool { return !strconv.IsPrint(r) }
	if len(s) > maxQuoted || !utf8.ValidString(s) || strings.IndexFunc(s, unprintable) >= 0 {
		return quote(s)
	}
	return s
}
