package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"zrs/internal/fs"
	"zrs/internal/pickle"
)

// A logWriter writes transactions, as text or as lines of JSON.
type logWriter struct {
	e    *env
	f    *fs.File
	stat bool
	out  *bufio.Writer
	now  bool     // each transaction is written at once
	oids []fs.OID // of a transaction
	data []byte   // the beginning of a record's
}

// A logEntry is a transaction. The JSON names are documented in zrs-log(1).
type logEntry struct {
	Schema int       `json:"schema"`
	TID    fs.TID    `json:"tid"`
	Time   time.Time `json:"time"`
	Status string    `json:"status"`

	User              string `json:"user"`
	Description       string `json:"description"`
	UserBase64        []byte `json:"user_base64,omitempty"`
	DescriptionBase64 []byte `json:"description_base64,omitempty"`

	Offset  int64 `json:"offset"`
	Bytes   int64 `json:"bytes"`
	Records int64 `json:"records"`
	Objects int64 `json:"objects"`
}

// A logChange is a record of a transaction.
type logChange struct {
	OID     fs.OID  `json:"oid"`
	Class   *string `json:"class"`
	Bytes   *int64  `json:"bytes"`
	DataTID *fs.TID `json:"data_tid,omitempty"`
	Error   string  `json:"error,omitempty"`
}

// write writes the transaction that r stands on.
func (w *logWriter) write(r *fs.Reader, txn *fs.Txn) error {
	entry := logEntry{
		Schema: summarySchema, TID: txn.TID, Time: txn.TID.Time(), Status: txn.Status.Name(),
		User: string(txn.User), Description: string(txn.Description),
		Offset: txn.Offset, Bytes: txn.End() - txn.Offset,
	}
	err := w.countRecords(r, &entry)
	if err != nil {
		return err
	}
	if w.e.json {
		err = w.writeJSON(&entry)
	} else {
		err = w.writeText(&entry)
	}
	if w.now {
		err = errors.Join(err, w.out.Flush())
	}
	return err
}

// maxOIDs is how many records of a transaction are searched for objects that
// have several. In a larger one every record counts as an object.
const maxOIDs = 1 << 16

func (w *logWriter) countRecords(r *fs.Reader, entry *logEntry) error {
	w.oids = w.oids[:0]
	for {
		rec, err := r.NextRecord()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if entry.Records++; len(w.oids) < maxOIDs {
			w.oids = append(w.oids, rec.OID)
		}
	}
	if entry.Objects = entry.Records; entry.Records <= maxOIDs {
		slices.Sort(w.oids)
		entry.Objects = int64(len(slices.Compact(w.oids)))
	}
	return nil
}

func (w *logWriter) writeText(entry *logEntry) error {
	user := "-"
	if entry.User != "" {
		user = quote(entry.User)
	}
	status := ""
	if entry.Status != fs.StatusComplete.Name() {
		status = "  " + entry.Status
	}
	fmt.Fprintf(w.out, "%s  %s%s  %12s  %8s  %s", formatTime(entry.Time), w.e.bold.Sprint(entry.TID), status,
		count(entry.Objects, "object"), formatBytes(entry.Bytes), user)
	if entry.Description != "" {
		fmt.Fprintf(w.out, "  %s", quote(entry.Description))
	}
	err := w.out.WriteByte('\n')
	if err != nil || !w.stat {
		return err
	}
	return w.changes(entry, func(c *logChange) error {
		_, err := fmt.Fprintf(w.out, "    %s  %s\n", c.OID, c.text())
		return err
	})
}

// maxQuoted is how many bytes of a text are shown to a person.
const maxQuoted = 400

// quote returns a text in quotes and harmless for a terminal, and cuts it if it
// is very long.
func quote(s string) string {
	if len(s) <= maxQuoted {
		return strconv.Quote(s)
	}
	cut := maxQuoted
	for cut > maxQuoted-utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return fmt.Sprintf("%s... (%s)", strconv.Quote(s[:cut]), count(int64(len(s)), "byte"))
}

// text describes what was done to the object.
func (c *logChange) text() string {
	switch {
	case c.Error != "":
		return c.Error
	case c.Bytes == nil:
		return "gone"
	}
	class := "unknown class"
	if c.Class != nil {
		class = *c.Class
		if quoted := strconv.Quote(class); len(quoted) > len(class)+2 {
			class = quoted
		}
	}
	text := fmt.Sprintf("%8s  %s", formatBytes(*c.Bytes), class)
	if c.DataTID != nil {
		text += fmt.Sprintf("  as in %s", *c.DataTID)
	}
	return text
}

func (w *logWriter) writeJSON(entry *logEntry) error {
	if !utf8.ValidString(entry.User) {
		entry.UserBase64 = []byte(entry.User)
	}
	if !utf8.ValidString(entry.Description) {
		entry.DescriptionBase64 = []byte(entry.Description)
	}
	doc, err := marshalLine(entry)
	if err != nil {
		return err
	}
	if !w.stat {
		_, err = w.out.Write(append(doc, '\n'))
		return err
	}
	// The list is written as it is read: there may be millions.
	_, _ = w.out.Write(bytes.TrimSuffix(doc, []byte("}")))
	separator := `,"changes":[`
	err = w.changes(entry, func(c *logChange) error {
		doc, err := marshalLine(c)
		if err != nil {
			return err
		}
		_, _ = w.out.WriteString(separator)
		separator = ","
		_, err = w.out.Write(doc)
		return err
	})
	if separator != "," {
		_, _ = w.out.WriteString(separator)
	}
	_, errWrite := w.out.WriteString("]}\n")
	return errors.Join(err, errWrite)
}

// marshalLine returns v as JSON without a newline.
func marshalLine(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// changes calls show for each record of a transaction. Records whose data can't
// be found are shown too, and the first error of these is returned at the end.
func (w *logWriter) changes(entry *logEntry, show func(*logChange) error) error {
	r := w.f.Reader(entry.Offset, entry.Offset+entry.Bytes)
	if _, err := r.Next(); err != nil {
		return err
	}
	var damage error
	for {
		rec, err := r.NextRecord()
		if errors.Is(err, io.EOF) {
			return damage
		}
		if err != nil {
			return err
		}
		change := logChange{OID: rec.OID}
		if err := w.describe(r, &change); err != nil {
			change.Error = err.Error()
			damage = cmp.Or(damage, err)
		}
		if err := show(&change); err != nil {
			return err
		}
	}
}

// describe finds out what the data is of the record that r stands on.
func (w *logWriter) describe(r *fs.Reader, change *logChange) error {
	data, err := r.Resolve()
	if err != nil {
		return err
	}
	if data.BackTID != 0 {
		change.DataTID = &data.BackTID
	}
	if data.Gone {
		return nil
	}
	change.Bytes = &data.Length
	n := int(min(data.Length, pickle.MaxClassInput))
	w.data = slices.Grow(w.data[:0], n)[:n]
	if err := r.ReadData(w.data, data.Offset); err != nil {
		return err
	}
	if module, name, ok := pickle.ClassName(w.data); ok {
		change.Class = new(pickle.FullName(module, name))
	}
	return nil
}
