package monitor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"zrs/internal/fs"
)

// A Level is one of the four answers that a monitoring plug-in can give, with
// the number that the convention gives it.
type Level int

// The levels.
const (
	OK Level = iota
	Warning
	Critical
	Unknown
)

var levelNames = [...]string{OK: "OK", Warning: "WARNING", Critical: "CRITICAL", Unknown: "UNKNOWN"}

// String returns the name of the level in capitals, as plug-ins print it.
func (l Level) String() string { return levelNames[l] }

// MarshalText returns what String does.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// gravity orders the levels: what is known to be bad is worse than what is not
// known, and that is worse than what is well.
func (l Level) gravity() int { return slices.Index([]Level{OK, Unknown, Warning, Critical}, l) }

// A Limit is what a lag may be at most. What is nil is not limited.
type Limit = Lag

// Limits are those beyond which a lag is worth a warning, or is critical.
type Limits struct{ Warning, Critical Limit }

// A Finding is something that is not as it should be.
type Finding struct {
	Level  Level
	Reason string // a stable code
	Text   string // a sentence without a full stop
}

// A Verdict says how what was looked at is.
type Verdict struct {
	Findings []Finding // the gravest first
	Facts    []string  // what is well, in sentences without a full stop
	Metrics  []Metric
}

// Level returns the gravest level of the findings.
func (v *Verdict) Level() Level {
	if len(v.Findings) == 0 {
		return OK
	}
	return v.Findings[0].Level
}

// A Metric is a measured value with its limits, for graphs. All of them are nil
// where there is none.
type Metric struct {
	Label                    string
	Unit                     string   // s, B, c for a counter, or ""
	Value, Warning, Critical *float64 // Value is nil if it is not known
}

// maxTexts is how many findings, or facts, are told in full.
const maxTexts = 10

// Text returns the verdict as one line without line breaks.
func (v *Verdict) Text() string {
	texts := v.Facts
	if len(v.Findings) > 0 {
		texts = nil
		for _, f := range v.Findings {
			texts = append(texts, f.Text)
		}
	}
	if more := len(texts) - maxTexts; more > 0 {
		texts = append(slices.Clip(texts[:maxTexts]), fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, "; ")
}

// find adds a finding.
func (v *Verdict) find(level Level, reason, format string, args ...any) {
	f := Finding{level, reason, fmt.Sprintf(format, args...)}
	i := slices.IndexFunc(v.Findings, func(g Finding) bool { return g.Level.gravity() < level.gravity() })
	if i < 0 {
		i = len(v.Findings)
	}
	v.Findings = slices.Insert(v.Findings, i, f)
}

// fact adds something that is well.
func (v *Verdict) fact(format string, args ...any) {
	v.Facts = append(v.Facts, fmt.Sprintf(format, args...))
}

// measures are the three ways to measure a lag.
var measures = []struct {
	name, unit string
	of         func(Lag) *float64
	show       func(float64) string
}{
	{"age", "s", ageOf, func(v float64) string { return showSpan(time.Duration(v * float64(time.Second))) }},
	{"transactions", "", func(l Lag) *float64 { return number(l.Transactions) }, func(v float64) string { return showNumber(v, "transaction") }},
	{"bytes", "B", func(l Lag) *float64 { return number(l.Bytes) }, func(v float64) string { return showNumber(v, "byte") }},
}

func ageOf(l Lag) *float64 {
	if l.Age == nil {
		return nil
	}
	return new(l.Age.Seconds())
}

func number(n *int64) *float64 {
	if n == nil {
		return nil
	}
	return new(float64(*n))
}

func showNumber(v float64, unit string) string {
	if v != 1 {
		unit += "s"
	}
	return strconv.FormatFloat(v, 'f', -1, 64) + " " + unit
}

// limit compares the lag of a subject with its limits: what is more than its
// limit is a finding, and so is what has one and is not known. What is wrong with
// a measured value is put into words by say. The prefix goes before labels.
func (v *Verdict) limit(lag Lag, limits Limits, prefix, subject string, say func(value string) string) {
	for _, m := range measures {
		value, warning, critical := m.of(lag), m.of(limits.Warning), m.of(limits.Critical)
		switch {
		case value == nil && warning == nil && critical == nil:
			continue
		case value == nil:
			v.find(Unknown, "not-known", "%s: %s can't be told, but has a limit", subject, m.name)
		case critical != nil && *value > *critical:
			v.find(Critical, "over-limit", "%s, more than %s", say(m.show(*value)), m.show(*critical))
		case warning != nil && *value > *warning:
			v.find(Warning, "over-limit", "%s, more than %s", say(m.show(*value)), m.show(*warning))
		}
		v.Metrics = append(v.Metrics, Metric{prefix + m.name, m.unit, value, warning, critical})
	}
}

// showSpan returns a time span as a person reads it.
func showSpan(d time.Duration) string {
	unit := time.Second
	if d < time.Minute {
		unit = 100 * time.Millisecond
	}
	return d.Round(unit).String()
}

// showTID returns a transaction with its time.
func showTID(tid fs.TID) string {
	return fmt.Sprintf("%v (%s)", tid, tid.Time().Format("2006-01-02 15:04:05Z"))
}
