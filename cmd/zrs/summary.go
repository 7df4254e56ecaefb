package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"zrs/internal/fs"
	"zrs/internal/repl"
)

// summarySchema is the schema number of the JSON documents. Keys are only ever added.
const summarySchema = 1

// A catchupSummary is the answer of zrs catchup. The JSON names are documented
// in zrs-catchup(1).
type catchupSummary struct {
	Schema   int    `json:"schema"`
	Source   string `json:"source"`
	Path     string `json:"path"`
	DryRun   bool   `json:"dry_run"`
	Seeded   bool   `json:"seeded"`    // path had no transaction before
	ExitCode int    `json:"exit_code"` // the summary is printed on failure too
	Error    string `json:"error,omitempty"`

	HistoryTransactions int64 `json:"history_transactions"` // compared with the source's and found equal

	FromTID      fs.TID     `json:"from_tid"` // the last transaction before the catch-up, 0 if seeded
	ToTID        fs.TID     `json:"to_tid"`   // the last one now
	ToTime       *time.Time `json:"to_time"`  // its time, null without one
	Transactions int64      `json:"transactions"`
	Records      int64      `json:"records"`
	Bytes        int64      `json:"bytes"` // appended to the data file
	Blobs        int64      `json:"blobs"`
	BlobBytes    int64      `json:"blob_bytes"`
	BlobsMissing int64      `json:"blobs_missing"`
	Seconds      float64    `json:"seconds"`
}

// count takes over what was counted.
func (s *catchupSummary) count(n *repl.Stats) {
	s.HistoryTransactions = n.Compared.Load()
	s.Transactions, s.Records, s.Bytes = n.Transactions.Load(), n.Records.Load(), n.Bytes.Load()
	s.Blobs, s.BlobBytes, s.BlobsMissing = n.Blobs.Load(), n.BlobBytes.Load(), n.BlobsMissing.Load()
}

// finish fills in what follows from the rest and from how the command ended.
func (s *catchupSummary) finish(err error, took time.Duration) {
	s.Schema, s.ExitCode, s.Error = summarySchema, exitCode(err), errorText(err)
	s.ToTime, s.Seconds = timeOf(s.ToTID), inSeconds(took)
}

// writeText prints the summary for a person.
func (s *catchupSummary) writeText(w io.Writer) error {
	var b strings.Builder
	if s.HistoryTransactions > 0 {
		fmt.Fprintf(&b, "history  %s equal to the source's, up to %s\n", count(s.HistoryTransactions, "transaction"), describeTID(s.FromTID))
	}
	stream := fmt.Sprintf("%s, %s, %s", count(s.Transactions, "transaction"), formatBytes(s.Bytes), count(s.Blobs, "blob"))
	if s.BlobBytes > 0 {
		stream += fmt.Sprintf(" (%s)", formatBytes(s.BlobBytes))
	}
	switch {
	case s.DryRun && s.Seeded:
		fmt.Fprintf(&b, "would seed %s from %s, all that it has: a source can't tell beforehand how much\n", s.Path, s.Source)
	case s.DryRun:
		fmt.Fprintf(&b, "would bring %s up to %s, from %s on: a source can't tell beforehand how much\n", s.Path, s.Source, describeTID(s.FromTID))
	default:
		fmt.Fprintf(&b, "stream   %s in %s\n", stream, formatSeconds(s.Seconds))
	}
	if s.BlobsMissing > 0 {
		fmt.Fprintf(&b, "missing  %s that the source did not send\n", count(s.BlobsMissing, "blob"))
	}
	switch {
	case s.DryRun:
	case s.ToTID == 0:
		fmt.Fprintf(&b, "end      no transaction yet\n")
	default:
		fmt.Fprintf(&b, "end      %s\n", describeTID(s.ToTID))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// errorText is what a JSON document says of how a command ended, "" if well.
func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// inSeconds returns a time span in seconds, to the millisecond.
func inSeconds(took time.Duration) float64 { return float64(took.Milliseconds()) / 1000 }

// describeTID returns a transaction id with its time beside it.
func describeTID(tid fs.TID) string {
	return fmt.Sprintf("%s (%s)", tid, formatTime(tid.Time()))
}

// count returns n and what is counted, as in "1 204 102 transactions".
func count(n int64, what string) string {
	if n != 1 {
		what += "s"
	}
	return groupDigits(n) + " " + what
}

// groupDigits returns n with a space between each three digits.
func groupDigits(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if s[0] == '-' {
		sign, s = s[:1], s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + " " + s[i:]
	}
	return sign + s
}

// formatBytes returns n with two or three digits and a binary unit.
func formatBytes(n int64) string {
	if n < 1<<10 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), 0
	for v >= 999.5 && unit < 6 {
		v /= 1 << 10
		unit++
	}
	decimals := 0
	if v < 9.95 {
		decimals = 1
	}
	return strconv.FormatFloat(v, 'f', decimals, 64) + " " + "BKMGTPE"[unit:unit+1] + "iB"
}

// formatSeconds returns a time span with as many places as a person reads.
func formatSeconds(s float64) string {
	if s < 9.95 {
		return fmt.Sprintf("%.1f s", s)
	}
	return (time.Duration(s+0.5) * time.Second).String()
}
