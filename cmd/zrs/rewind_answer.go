package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"zrs/internal/fs"
	"zrs/internal/rewind"
	"zrs/internal/verify"
)

// A rewindSummary is the answer of zrs rewind. The JSON names are documented in
// zrs-rewind(1).
type rewindSummary struct {
	Schema   int             `json:"schema"`
	Path     string          `json:"path"`
	Against  string          `json:"against,omitempty"`
	Relation verify.Relation `json:"relation,omitempty"`
	Begun    string          `json:"begun,omitempty"` // how far an earlier run came: saved, or cut
	DryRun   bool            `json:"dry_run"`
	Changed  bool            `json:"changed"`
	ExitCode int             `json:"exit_code"` // the summary is printed on failure too
	Error    string          `json:"error,omitempty"`

	KeptTID  fs.TID     `json:"kept_tid"` // the last transaction that stays, 0 if nothing is cut
	KeptTime *time.Time `json:"kept_time"`
	FirstTID fs.TID     `json:"first_tid"` // that is cut
	LastTID  fs.TID     `json:"last_tid"`
	LastTime *time.Time `json:"last_time"`

	Transactions int64        `json:"transactions"`
	Records      int64        `json:"records"`
	Bytes        int64        `json:"bytes"` // of transactions
	TailBytes    int64        `json:"torn_tail_bytes"`
	Blobs        int64        `json:"blobs"`
	BlobBytes    int64        `json:"blob_bytes"`
	BlobsMissing int64        `json:"blobs_missing"`
	SourceOnly   int64        `json:"source_only"`
	Cut          []onlyAnswer `json:"cut"` // the first ones
	Salvage      string       `json:"salvage,omitempty"`
	Seconds      float64      `json:"seconds"`

	BlobDir string `json:"-"`
	hint    bool   // tell about --yes
	locked  bool   // a writer has the file open
	halfway bool   // it failed behind the salvage, and is to be ended
	demoted bool   // the sidecar is that of a secondary
}

// fill takes over what is, or would be, cut.
func (s *rewindSummary) fill(p *rewind.Plan) {
	s.KeptTID, s.FirstTID, s.LastTID = p.Kept.TID, p.First, p.End.TID
	s.Transactions, s.Records, s.Bytes, s.TailBytes = p.Transactions, p.Records, p.Bytes(), p.TailBytes
	s.Blobs, s.BlobBytes, s.BlobsMissing = p.Blobs, p.BlobBytes, p.BlobsMissing
	for _, txn := range p.Txns {
		only := onlyAnswer{
			TID: txn.TID, Time: txn.TID.Time(), User: string(txn.User), Description: string(txn.Description),
			Objects: []objectAnswer{}, ObjectCount: txn.ObjectCount,
		}
		for _, o := range txn.Objects {
			only.Objects = append(only.Objects, objectAnswer(o))
		}
		s.Cut = append(s.Cut, only)
	}
}

// finish fills in what follows from the rest and from how the command ended.
func (s *rewindSummary) finish(err error, took time.Duration) {
	s.Schema = summarySchema
	s.ExitCode = exitCode(err)
	if err != nil {
		s.Error = err.Error()
	}
	_, s.KeptTime = tidAnswer(s.KeptTID)
	_, s.LastTime = tidAnswer(s.LastTID)
	s.Seconds = float64(took.Milliseconds()) / 1000
}

// state says what has become of the file when the command fails.
func (s *rewindSummary) state() string {
	if s.Salvage == "" {
		return "nothing was changed"
	}
	return "what was to be cut is saved in " + s.Salvage
}

// writeText prints the summary for a person.
func (s *rewindSummary) writeText(w io.Writer) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-8s %s\n", name, fmt.Sprintf(format, args...))
	}
	switch {
	case s.Transactions > 0 && !s.Changed:
		fmt.Fprintf(&b, "would cut %s after %s\n", s.Path, describeTID(s.KeptTID))
	case s.Transactions > 0:
		fmt.Fprintf(&b, "cut %s after %s\n", s.Path, describeTID(s.KeptTID))
	case s.Begun == "cut" && s.Against == "":
		fmt.Fprintf(&b, "%s was cut after %s\n", s.Path, describeTID(s.KeptTID))
	default:
		fmt.Fprintf(&b, "nothing to cut from %s\n", s.Path)
	}
	if s.Against != "" {
		line("relation", "%s", s.relation())
	}
	if s.Begun != "" {
		line("begun", "%s", s.begun())
	}
	if s.Transactions > 0 {
		s.writeCut(&b, line)
	}
	switch {
	case s.Changed:
		line("saved", "%s%s", s.Salvage, map[bool]string{true: ", read back and compared"}[s.Transactions > 0])
	case s.locked:
		line("locked", "a process has %s open: it must end first", s.Path)
	}
	switch {
	case s.hint:
		b.WriteString("nothing was changed: add --yes to save these transactions beside the file, and to cut them off\n")
	case s.Changed && s.Against != "":
		fmt.Fprintf(&b, "next: zrs catchup %s %s%s\n", s.Against, s.Path, s.blobFlag())
	case s.demoted:
		fmt.Fprintf(&b, "next: it is a secondary now; zrs promote %s, if it is to be the primary\n", s.Path)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeCut tells what is cut.
func (s *rewindSummary) writeCut(b *strings.Builder, line func(name, format string, args ...any)) {
	what := fmt.Sprintf("%s, %s, %s", count(s.Transactions, "transaction"), count(s.Records, "record"), formatBytes(s.Bytes))
	if s.Blobs > 0 {
		what += ", " + count(s.Blobs, "blob")
	}
	if s.BlobBytes > 0 {
		what += fmt.Sprintf(" (%s)", formatBytes(s.BlobBytes))
	}
	line("cut", "%s", what)
	side := sideAnswer{Only: s.Cut, OnlyCount: s.Transactions}
	side.writeTxns(b)
	switch {
	case s.BlobsMissing > 0 && s.BlobDir == "":
		line("missing", "%s: --blob-dir says where they are", count(s.BlobsMissing, "blob"))
	case s.BlobsMissing > 0:
		line("missing", "%s, which %s not in %s", count(s.BlobsMissing, "blob"), map[bool]string{true: "is", false: "are"}[s.BlobsMissing == 1], s.BlobDir)
	}
	if s.TailBytes > 0 {
		line("tail", "an incomplete transaction of %s behind them", count(s.TailBytes, "byte"))
	}
}

// relation tells how the file and the source relate.
func (s *rewindSummary) relation() string {
	text := fmt.Sprintf("%s: %s has ", s.Relation, s.Against)
	if s.SourceOnly == 0 {
		text += "nothing that is not here"
	} else {
		text += count(s.SourceOnly, "transaction") + " that are not here"
	}
	if s.Transactions > 0 && s.SourceOnly == 0 && s.Relation != verify.Diverged {
		text += "; if it only lags, wait for it instead"
	}
	return text
}

// begun tells what an earlier run has left.
func (s *rewindSummary) begun() string {
	switch {
	case s.Begun == "saved":
		return "an earlier run had not come to cut the file"
	case s.DryRun:
		return "an earlier run has cut the file and saved what it cut in " + s.Salvage + ", and is to be ended with --yes"
	}
	return "an earlier run had cut the file; its index and blobs are in order now"
}

// blobFlag is the flag for a command about the same database.
func (s *rewindSummary) blobFlag() string {
	if s.BlobDir == "" {
		return ""
	}
	return " --blob-dir " + filepath.Clean(s.BlobDir)
}
