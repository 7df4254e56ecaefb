package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"zrs/internal/fs"
)

// A when is a point in a history as an operator names it: by a transaction, by
// a time, or by the end of the history.
type when struct {
	text string
	tid  fs.TID    // the transaction, or the last one that time allows; 0 with head
	time time.Time // zero unless a time was given
	head bool      // the end of the history, or back transactions before it
	back int
}

var errNotWhen = errors.New("want a transaction id (16 hex digits), a time (2026-11-20T10:14:02Z, -1h, -7d) or head")

// parseWhen reads a transaction id in any form of [fs.ParseTID], an RFC 3339
// time (with a space for the T too, as zrs prints it), a time before now as -1h
// or -7d, head, and head~N.
func parseWhen(s string, now time.Time) (when, error) {
	w := when{text: s}
	if rest, ok := strings.CutPrefix(s, "head"); ok {
		w.head = true
		if digits, ok := strings.CutPrefix(rest, "~"); ok && isDigits(digits) {
			n, err := strconv.Atoi(digits)
			w.back, rest = n, ""
			if err != nil {
				return when{}, fmt.Errorf("%q: %s is too many", s, digits)
			}
		}
		if rest != "" {
			return when{}, fmt.Errorf("%q: %w", s, errNotWhen)
		}
		return w, nil
	}
	if tid, err := fs.ParseTID(s); err == nil {
		w.tid = tid
		return w, nil
	}
	t, err := parseTime(s, now)
	if err != nil {
		return when{}, fmt.Errorf("%q: %w", s, err)
	}
	w.time, w.tid = t, fs.TIDFromTime(t)
	return w, nil
}

// parseTime reads an RFC 3339 time or a span before now.
func parseTime(s string, now time.Time) (time.Time, error) {
	if span, ok := strings.CutPrefix(s, "-"); ok {
		d, err := parseSpan(span)
		if err != nil {
			return time.Time{}, err
		}
		return now.Add(-d).UTC(), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05"} {
		if _, err := time.Parse(layout, s); err == nil {
			return time.Time{}, errors.New("has no time zone: add Z for UTC, or an offset such as +02:00")
		}
	}
	return time.Time{}, errNotWhen
}

// parseSpan reads a duration that may begin with weeks and days: 1w, 7d, 1d12h.
func parseSpan(s string) (time.Duration, error) {
	var total time.Duration
	for _, unit := range []struct {
		name string
		span time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		digits, rest, ok := strings.Cut(s, unit.name)
		if !ok || !isDigits(digits) {
			continue
		}
		n, err := strconv.Atoi(digits)
		if err != nil || n > int(maxSeconds*time.Second/unit.span) {
			return 0, errNotWhen
		}
		total, s = total+time.Duration(n)*unit.span, rest
		if s == "" {
			return total, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > maxSeconds*time.Second {
		return 0, errNotWhen
	}
	return total + d, nil
}

// TID returns the last transaction id that is not after w, for use as an upper
// bound. It must not be called when w is relative to the head.
func (w when) TID() fs.TID { return w.tid }

// String returns what the operator wrote.
func (w when) String() string { return w.text }

// UnmarshalText reads what [parseWhen] reads, with the present as now.
func (w *when) UnmarshalText(text []byte) (err error) {
	*w, err = parseWhen(string(text), time.Now())
	return err
}
