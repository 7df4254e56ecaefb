package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"zrs/internal/fs"
	"zrs/internal/monitor"
)

// A checkAnswer is the answer of zrs check. The JSON names are documented in
// zrs-check(1).
type checkAnswer struct {
	Schema   int             `json:"schema"`
	Status   monitor.Level   `json:"status"`
	ExitCode int             `json:"exit_code"`
	Message  string          `json:"message"`
	Findings []checkFinding  `json:"findings"`
	Targets  []checkedTarget `json:"targets"`
	Metrics  []checkMetric   `json:"metrics"`
}

type checkFinding struct {
	Status  monitor.Level `json:"status"`
	Reason  string        `json:"reason"`
	Message string        `json:"message"`
}

type checkedTarget struct {
	Target   string           `json:"target"`
	Kind     *monitor.Kind    `json:"kind"`
	Storages []checkedStorage `json:"storages"`
}

type checkedStorage struct {
	Name        *string         `json:"name"`
	Role        *string         `json:"role"`
	Health      *monitor.Health `json:"health"`
	Reason      *string         `json:"reason"`
	Message     *string         `json:"message"`
	LastTID     *fs.TID         `json:"last_tid"`
	LastTime    *time.Time      `json:"last_time"`
	Connected   *bool           `json:"connected"`
	LastContact *time.Time      `json:"last_contact"`
}

type checkMetric struct {
	Label    string   `json:"label"`
	Unit     string   `json:"unit"`
	Value    *float64 `json:"value"`
	Warning  *float64 `json:"warning"`
	Critical *float64 `json:"critical"`
}

func newCheckAnswer(v *monitor.Verdict, subjects []*monitor.Subject) *checkAnswer {
	a := &checkAnswer{
		Schema: summarySchema, Status: v.Level(), ExitCode: int(v.Level()), Message: v.Text(),
		Findings: []checkFinding{}, Targets: []checkedTarget{}, Metrics: []checkMetric{},
	}
	for _, f := range v.Findings {
		a.Findings = append(a.Findings, checkFinding{f.Level, f.Reason, f.Text})
	}
	for _, s := range subjects {
		a.Targets = append(a.Targets, newCheckedTarget(s))
	}
	for _, m := range v.Metrics {
		a.Metrics = append(a.Metrics, checkMetric(m))
	}
	return a
}

// checkFailed is the answer that there is none.
func checkFailed(err error) *checkAnswer {
	text := err.Error()
	if a, ok := errors.AsType[*adviceError](err); ok {
		text += ": " + strings.Join(a.next, "; ")
	}
	v := &monitor.Verdict{Findings: []monitor.Finding{{Level: monitor.Unknown, Reason: "trouble", Text: text}}}
	return newCheckAnswer(v, nil)
}

func newCheckedTarget(s *monitor.Subject) checkedTarget {
	t := checkedTarget{Target: s.Name, Storages: []checkedStorage{}}
	if s.Report == nil {
		return t
	}
	t.Kind = &s.Report.Kind
	for _, st := range s.Report.Storages {
		t.Storages = append(t.Storages, checkedStorage{
			Name: known(st.Name), Role: known(st.Role), Health: known(st.Health), Reason: known(st.Reason), Message: known(st.Sentence),
			LastTID: known(st.LastTID), LastTime: timeOf(st.LastTID),
			Connected: st.Connected, LastContact: known(st.LastContact.UTC()),
		})
	}
	return t
}

// known returns nil for the zero value, which stands for what is not known.
func known[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

// writeText prints the line of a monitoring plug-in. The bar that separates the
// performance data is in no other place.
func (a *checkAnswer) writeText(w io.Writer) error {
	line := fmt.Sprintf("ZRS %v - %s", a.Status, strings.Map(inLine, a.Message))
	var metrics []string
	for _, m := range a.Metrics {
		metrics = append(metrics, m.String())
	}
	if len(metrics) > 0 {
		line += "|" + strings.Join(metrics, " ")
	}
	_, err := io.WriteString(w, line+"\n")
	return err
}

// inLine keeps what a server said from looking like more than text.
func inLine(r rune) rune {
	switch {
	case r == '|':
		return '/'
	case !unicode.IsPrint(r):
		return ' '
	}
	return r
}

// String returns the metric as plug-ins print it: 'label'=value[unit];warn;crit;min.
func (m checkMetric) String() string {
	label := strings.Map(func(r rune) rune {
		if r == '=' {
			return '_'
		}
		return inLine(r)
	}, m.Label)
	value := "U" // what plug-ins print for a value that is not known
	if m.Value != nil {
		value = showFloat(m.Value) + m.Unit
	}
	return fmt.Sprintf("'%s'=%s;%s;%s;0", strings.ReplaceAll(label, "'", "''"), value, showFloat(m.Warning), showFloat(m.Critical))
}

// showFloat prints numbers to the microsecond, and nothing for nil.
func showFloat(f *float64) string {
	if f == nil {
		return ""
	}
	s := strconv.FormatFloat(*f, 'f', 6, 64)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}
