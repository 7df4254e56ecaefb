package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"zrs/internal/fs"
)

// An infoAnswer is the answer of zrs info. What does not apply, or was not asked
// for, is null. The JSON names are documented in zrs-info(1).
type infoAnswer struct {
	Schema int     `json:"schema"`
	Path   string  `json:"path"`
	Magic  *string `json:"magic"`
	Size   int64   `json:"size"`

	End        int64      `json:"end"`
	FirstTID   fs.TID     `json:"first_tid"`
	FirstTime  *time.Time `json:"first_time"`
	LastTID    fs.TID     `json:"last_tid"`
	LastTime   *time.Time `json:"last_time"`
	PackedTID  *fs.TID    `json:"packed_tid"`
	PackedTime *time.Time `json:"packed_time"`

	Tail       *fs.Kind `json:"tail"`
	TailOffset *int64   `json:"tail_offset"`
	TailBytes  *int64   `json:"tail_bytes"`

	Index       fs.IndexState `json:"index"`
	IndexEnd    *int64        `json:"index_end"`
	IndexBehind *int64        `json:"index_behind"`
	IndexError  *string       `json:"index_error"`

	Locked    *bool   `json:"locked"`
	LockPID   *int    `json:"lock_pid"`
	LockError *string `json:"lock_error"`

	Blobs     *int64 `json:"blobs"`
	BlobBytes *int64 `json:"blob_bytes"`

	Transactions *int64 `json:"transactions"`
	Records      *int64 `json:"records"`
	Objects      *int64 `json:"objects"`

	Damage *string `json:"damage"`
}

// timeOf returns the time of a transaction, nil for none.
func timeOf(tid fs.TID) *time.Time {
	if tid == 0 {
		return nil
	}
	return new(tid.Time())
}

// writeText prints the facts for a person.
func (a *infoAnswer) writeText(w io.Writer) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-8s "+format+"\n", append([]any{name}, args...)...)
	}
	if a.Magic == nil {
		line("file", "%s, no bytes: a database that was just created, or one that was lost", a.Path)
	} else {
		line("file", "%s, %s, %s", a.Path, *a.Magic, exactBytes(a.Size))
	}
	if a.LastTID == 0 {
		line("last", "no transaction yet")
	} else {
		line("first", "%s", describeTID(a.FirstTID))
		line("last", "%s", describeTID(a.LastTID))
		a.packedLine(line)
	}
	if a.Transactions != nil {
		before := ""
		if a.Damage != nil {
			before = ", before the damage"
		}
		line("holds", "%s, %s, %s%s", count(*a.Transactions, "transaction"), count(*a.Records, "record"), count(*a.Objects, "object"), before)
	}
	if a.Blobs != nil {
		line("blobs", "%s, %s", count(*a.Blobs, "file"), exactBytes(*a.BlobBytes))
	}
	a.indexLine(line)
	a.tailLine(line)
	switch {
	case a.LockError != nil:
		line("lock", "unknown: %s", *a.LockError)
	case a.LockPID != nil:
		line("lock", "held by process %d", *a.LockPID)
	case *a.Locked:
		line("lock", "held, by a process that has not told its id")
	default:
		line("lock", "not held: no writer has the file open")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

type lineFunc func(name, format string, args ...any)

func (a *infoAnswer) packedLine(line lineFunc) {
	if a.PackedTID == nil {
		line("packed", "never")
		return
	}
	line("packed", "up to %s", describeTID(*a.PackedTID))
}

func (a *infoAnswer) indexLine(line lineFunc) {
	switch a.Index {
	case fs.IndexCurrent:
		line("index", "current")
	case fs.IndexStale:
		line("index", "stale: %s came after it was saved, which is normal while the file is in use", formatBytes(*a.IndexBehind))
	case fs.IndexMissing:
		line("index", "missing: whoever opens the file for writing reads all of it to make one")
	case fs.IndexWrong:
		line("index", "wrong: %s; remove it, or ZODB may believe it", *a.IndexError)
	}
}

func (a *infoAnswer) tailLine(line lineFunc) {
	switch {
	case a.Tail == nil:
	case *a.Tail == fs.KindTornTail:
		line("tail", "%s from offset %d on: an incomplete transaction, being written or left by a crash", exactBytes(*a.TailBytes), *a.TailOffset)
	default:
		line("tail", "%s from offset %d on: damaged, %s", exactBytes(*a.TailBytes), *a.TailOffset, *a.Tail)
	}
}

// exactBytes returns n as people read it and, if that is less exact, as it is.
func exactBytes(n int64) string {
	if n < 1<<10 {
		return formatBytes(n)
	}
	return fmt.Sprintf("%s (%s)", formatBytes(n), count(n, "byte"))
}

// An infoValue is one value of an answer.
type infoValue struct {
	name  string
	value json.RawMessage
}

// value returns the value that has the key, which is a JSON name with hyphens.
func (a *infoAnswer) value(key string) (infoValue, error) {
	doc, err := json.Marshal(a)
	if err != nil {
		return infoValue{}, err
	}
	var values map[string]json.RawMessage
	err = json.Unmarshal(doc, &values)
	name := strings.ReplaceAll(key, "-", "_")
	return infoValue{name, values[name]}, err
}

// MarshalJSON returns a document of the value alone.
func (v infoValue) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]any{"schema": summarySchema, v.name: v.value})
}

// writeText prints the value for a script, an empty line for null.
func (v infoValue) writeText(w io.Writer) error {
	var text string
	if err := json.Unmarshal(v.value, &text); err != nil { // a number, true or false
		text = string(v.value)
	}
	_, err := fmt.Fprintln(w, text)
	return err
}
