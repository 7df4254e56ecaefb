package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"zrs/internal/fs"
	"zrs/internal/verify"
)

// A relationAnswer is the answer of zrs verify about two storages. The JSON names
// are documented in zrs-verify(1).
type relationAnswer struct {
	Schema   int             `json:"schema"`
	Relation verify.Relation `json:"relation"`
	ButFor   verify.Relation `json:"but_for_blobs,omitempty"` // the relation, if nothing but blobs is missing
	ExitCode int             `json:"exit_code"`
	A        sideAnswer      `json:"a"`
	B        sideAnswer      `json:"b"`
	Common   struct {
		Transactions int64      `json:"transactions"`
		Records      int64      `json:"records"`
		LastTID      *fs.TID    `json:"last_tid"` // before the first difference
		LastTime     *time.Time `json:"last_time"`
	} `json:"common"`
	Apart struct {
		Transactions int64   `json:"transactions"`
		Seconds      float64 `json:"seconds"`
	} `json:"apart"`
	Differences     []differenceAnswer `json:"differences"`
	DifferenceCount int64              `json:"difference_count"`
	Extensions      int64              `json:"extensions_repickled"`
	Blobs           int64              `json:"blobs"` // of both, compared or looked for
	Seconds         float64            `json:"seconds"`

	next []string // what to do
}

// A sideAnswer is about one of two storages.
type sideAnswer struct {
	Name         string     `json:"name"`
	Transactions int64      `json:"transactions"`
	Records      int64      `json:"records"`
	FirstTID     *fs.TID    `json:"first_tid"`
	LastTID      *fs.TID    `json:"last_tid"`
	LastTime     *time.Time `json:"last_time"`
	PackedTo     *fs.TID    `json:"packed_to"` // null if no pack has marked anything
	PackedAway   struct {
		Transactions int64 `json:"transactions"`
		Records      int64 `json:"records"` // of all transactions
	} `json:"packed_away"` // what the other side has and a pack removed here
	Only         []onlyAnswer  `json:"only"`
	OnlyCount    int64         `json:"only_count"`
	TornTail     *placeAnswer  `json:"torn_tail"`
	Damage       *damageAnswer `json:"damage"`
	BlobsMissing int64         `json:"blobs_missing"`

	replaced bool // another file took the name meanwhile
}

type placeAnswer struct {
	Offset int64  `json:"offset"`
	TID    fs.TID `json:"tid"`
	Detail string `json:"detail"`
}

// newPlaceAnswer returns where err is, nil if there is none.
func newPlaceAnswer(err error) *placeAnswer {
	e, ok := errors.AsType[*fs.RecordError](err)
	if !ok {
		return nil
	}
	return &placeAnswer{e.Offset, e.TID, e.Detail}
}

type damageAnswer struct {
	placeAnswer
	Kind    fs.Kind `json:"kind"`
	Message string  `json:"message"`
}

// An onlyAnswer is a transaction that one side has.
type onlyAnswer struct {
	TID         fs.TID         `json:"tid"`
	Time        time.Time      `json:"time"`
	User        string         `json:"user"`
	Description string         `json:"description"`
	Objects     []objectAnswer `json:"objects"` // the first ones
	ObjectCount int64          `json:"object_count"`
}

type objectAnswer struct {
	OID   fs.OID `json:"oid"`
	Class string `json:"class,omitempty"`
	Gone  bool   `json:"gone,omitempty"`
}

type differenceAnswer struct {
	Kind      verify.DifferenceKind `json:"kind"`
	MissingIn string                `json:"missing_in,omitempty"` // a or b
	TID       *fs.TID               `json:"tid"`
	Time      *time.Time            `json:"time"`
	OID       *fs.OID               `json:"oid"`
	Class     string                `json:"class,omitempty"`
	A         *contentAnswer        `json:"a,omitempty"`
	B         *contentAnswer        `json:"b,omitempty"`
	Detail    string                `json:"detail,omitempty"`
}

// A contentAnswer tells what a side has.
type contentAnswer struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256_start,omitempty"`
}

// newRelationAnswer puts the result of a comparison into words.
func newRelationAnswer(r *verify.Comparison, code int, took time.Duration) *relationAnswer {
	a := &relationAnswer{
		Schema: summarySchema, Relation: r.Relation, ButFor: r.ButForBlobs, ExitCode: code,
		A: newSideAnswer(&r.Sides[0]), B: newSideAnswer(&r.Sides[1]),
		Differences: []differenceAnswer{}, DifferenceCount: r.DifferenceCount,
		Extensions: r.Extensions, Blobs: r.Blobs, Seconds: inSeconds(took),
	}
	a.Common.Transactions, a.Common.Records = r.Transactions, r.Records
	a.Common.LastTID, a.Common.LastTime = tidAnswer(r.LastCommon)
	a.Apart.Transactions, a.Apart.Seconds = r.Apart, r.ApartTime.Seconds()
	for i := range r.Differences {
		a.Differences = append(a.Differences, newDifferenceAnswer(&r.Differences[i]))
	}
	return a
}

func newSideAnswer(s *verify.SideResult) sideAnswer {
	a := sideAnswer{
		Name: s.Name, Transactions: s.Transactions, Records: s.Records,
		Only: []onlyAnswer{}, OnlyCount: s.OnlyCount, BlobsMissing: s.BlobsMissing, replaced: s.Replaced,
	}
	a.FirstTID, _ = tidAnswer(s.First)
	a.LastTID, a.LastTime = tidAnswer(s.Last)
	a.PackedTo, _ = tidAnswer(s.PackedTo)
	a.PackedAway.Transactions, a.PackedAway.Records = s.PackedTransactions, s.PackedRecords
	for _, txn := range s.Only {
		only := onlyAnswer{
			TID: txn.TID, Time: txn.TID.Time(), User: string(txn.User), Description: string(txn.Description),
			Objects: []objectAnswer{}, ObjectCount: txn.ObjectCount,
		}
		for _, o := range txn.Objects {
			only.Objects = append(only.Objects, objectAnswer(o))
		}
		a.Only = append(a.Only, only)
	}
	a.TornTail = newPlaceAnswer(s.Tail)
	if e, ok := errors.AsType[*fs.RecordError](s.Damage); ok {
		a.Damage = &damageAnswer{placeAnswer{e.Offset, e.TID, e.Detail}, e.Kind, e.Error()}
	}
	return a
}

func newDifferenceAnswer(d *verify.Difference) differenceAnswer {
	a := differenceAnswer{Kind: d.Kind, Class: d.Class, Detail: d.Detail}
	a.TID, a.Time = tidAnswer(d.TID)
	if d.Side >= 0 {
		a.MissingIn = sideNames[d.Side]
	}
	if d.Kind.OfObject() {
		a.OID = &d.OID
	}
	for i, to := range []**contentAnswer{&a.A, &a.B} {
		if d.Digests[i] != "" || d.Sizes[i] != 0 {
			*to = &contentAnswer{d.Sizes[i], d.Digests[i]}
		}
	}
	return a
}

var sideNames = [2]string{"a", "b"}

// tidAnswer returns a transaction id and its time, nil for none.
func tidAnswer(tid fs.TID) (*fs.TID, *time.Time) {
	if tid == 0 {
		return nil, nil
	}
	return &tid, timeOf(tid)
}

// writeText prints the answer for a person.
func (a *relationAnswer) writeText(w io.Writer) error {
	var b strings.Builder
	b.WriteString(a.headline() + "\n")
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-8s %s\n", name, fmt.Sprintf(format, args...))
	}
	common := fmt.Sprintf("%s, %s", count(a.Common.Transactions, "transaction"), count(a.Common.Records, "record"))
	if a.Blobs > 0 {
		common += ", " + count(a.Blobs, "blob")
	}
	line("common", "%s", common)
	if a.Extensions > 0 {
		line("", "%s of other bytes and the same value, as zc.zrs replicates them", count(a.Extensions, "extension"))
	}
	for _, s := range []*sideAnswer{&a.A, &a.B} {
		if s.PackedTo != nil {
			line("packed", "%s up to %s; %s, %s of the other's are gone", s.Name, describeTID(*s.PackedTo),
				count(s.PackedAway.Transactions, "transaction"), count(s.PackedAway.Records, "record"))
		}
		if s.TornTail != nil {
			line("tail", "%s ends with an incomplete transaction at offset %d, which is left out", s.Name, s.TornTail.Offset)
		}
		if s.Damage != nil {
			line("damage", "%s", s.Damage.Message)
		}
		if s.BlobsMissing > 0 {
			line("missing", "%s in %s", count(s.BlobsMissing, "blob"), s.Name)
		}
		if s.replaced {
			line("note", "another file has taken the name of %s meanwhile, as a pack does: blobs that went with it do not count", s.Name)
		}
	}
	a.writeDifferences(&b)
	for _, s := range []*sideAnswer{&a.A, &a.B} {
		s.writeOnly(&b)
	}
	writeNext(&b, a.next)
	_, err := io.WriteString(w, b.String())
	return err
}

// headline is the relation in a line.
func (a *relationAnswer) headline() string {
	if a.ButFor == "" {
		return a.describe(a.Relation)
	}
	return fmt.Sprintf("%s: %s missing; but for that %s", a.Relation, count(a.A.BlobsMissing+a.B.BlobsMissing, "blob"), a.describe(a.ButFor))
}

// describe puts a relation into words.
func (a *relationAnswer) describe(rel verify.Relation) string {
	text := string(rel)
	switch rel {
	case verify.Behind, verify.BehindAfterPack, verify.Ahead, verify.AheadAfterPack:
		text += fmt.Sprintf(" by %s, %s", count(a.Apart.Transactions, "transaction"), formatSeconds(a.Apart.Seconds))
		ends := func(s *sideAnswer) string {
			if s.LastTID == nil {
				return s.Name + " is empty"
			}
			return fmt.Sprintf("%s ends at %s", s.Name, describeTID(*s.LastTID))
		}
		return text + ": " + ends(&a.A) + ", " + ends(&a.B)
	case verify.Diverged:
		if a.Common.LastTID == nil {
			return text + ", with no transaction in common before the first difference"
		}
		return text + " after " + describeTID(*a.Common.LastTID)
	case verify.Equal, verify.EqualAfterPack:
		if a.A.LastTID != nil {
			text += ", up to " + describeTID(*a.A.LastTID)
		}
	}
	return text
}

// writeDifferences prints what differs.
func (a *relationAnswer) writeDifferences(b *strings.Builder) {
	for i := range a.Differences {
		d := &a.Differences[i]
		where := ""
		if d.TID != nil {
			where = describeTID(*d.TID)
		}
		if d.OID != nil {
			where += fmt.Sprintf("  object %s", *d.OID)
		}
		if d.Class != "" {
			where += " (" + printable(d.Class) + ")"
		}
		fmt.Fprintf(b, "  differ   %s\n           %s\n", where, a.explain(d))
	}
	if rest := a.DifferenceCount - int64(len(a.Differences)); rest > 0 {
		fmt.Fprintf(b, "  differ   ... and %s more: see --max-findings\n", groupDigits(rest))
	}
}

// explain says what a difference is.
func (a *relationAnswer) explain(d *differenceAnswer) string {
	name := func(side string) string {
		if side == sideNames[0] {
			return a.A.Name
		}
		return a.B.Name
	}
	text := map[verify.DifferenceKind]string{
		verify.DiffTexts:       "user or description",
		verify.DiffExtension:   "the extension",
		verify.DiffData:        "the data",
		verify.DiffRecord:      "the record is missing in",
		verify.DiffRevision:    "nothing replaces this revision in",
		verify.DiffLost:        "the object is missing in",
		verify.DiffBlob:        "the blob",
		verify.DiffBlobMissing: "the blob is missing in",
		verify.DiffUnrelated:   "they have no transaction in common: are they one database?",
		verify.DiffFormat:      "the formats",
	}[d.Kind]
	parts := []string{text}
	if d.MissingIn != "" {
		parts[0] += " " + name(d.MissingIn)
	}
	for i, c := range []*contentAnswer{d.A, d.B} {
		switch {
		case c == nil:
		case c.Size < 0 && d.MissingIn == "":
			parts = append(parts, name(sideNames[i])+": gone")
		case c.Size >= 0 && c.SHA256 == "":
			parts = append(parts, name(sideNames[i])+": "+count(c.Size, "byte"))
		case c.Size >= 0:
			parts = append(parts, name(sideNames[i])+": "+count(c.Size, "byte")+", SHA-256 "+c.SHA256)
		}
	}
	if d.Detail != "" {
		parts = append(parts, printable(d.Detail))
	}
	return strings.Join(parts, "; ")
}

// writeOnly prints what only one side has.
func (s *sideAnswer) writeOnly(b *strings.Builder) {
	if s.OnlyCount == 0 {
		return
	}
	fmt.Fprintf(b, "  only in %s: %s\n", s.Name, count(s.OnlyCount, "transaction"))
	s.writeTxns(b)
}

// writeTxns prints a line for each of them.
func (s *sideAnswer) writeTxns(b *strings.Builder) {
	for i := range s.Only {
		t := &s.Only[i]
		fmt.Fprintf(b, "    %s  %s  %s  %s  %s\n", t.TID, formatTime(t.Time), cmp.Or(printable(t.User), "-"), quote(t.Description), t.objects())
	}
	if more := s.OnlyCount - int64(len(s.Only)); more > 0 {
		fmt.Fprintf(b, "    ... and %s more: see --max-findings\n", groupDigits(more))
	}
}

// classesShown is how many classes a line tells.
const classesShown = 5

// objects tells how many objects a transaction changed, and of which classes.
func (t *onlyAnswer) objects() string {
	text := count(t.ObjectCount, "object")
	var classes []string
	for _, o := range t.Objects {
		class := o.Class[strings.LastIndexByte(o.Class, '.')+1:]
		if o.Gone {
			class = "deleted"
		}
		if class != "" && !slices.Contains(classes, printable(class)) {
			classes = append(classes, printable(class))
		}
	}
	if len(classes) > classesShown {
		classes = append(classes[:classesShown], "...")
	}
	if len(classes) > 0 {
		text += " (" + strings.Join(classes, ", ") + ")"
	}
	return text
}
