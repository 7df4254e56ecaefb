package monitor

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"time"

	"zrs/internal/fs"
)

// A Subject is what is judged, under the name that findings call it by.
type Subject struct {
	Name string
	Prober
	Report *Report // what it told, nil if it told nothing
}

// Look judges one target by itself. Storage is the only one of a ZEO server to
// look at, or "" for all. For a zrs server limits are for its own lag; of the
// others, which know of none, age is the time since the last transaction.
func Look(ctx context.Context, s *Subject, storage string, limits Limits) *Verdict {
	v := new(Verdict)
	if !v.ask(ctx, s, storage) {
		return v
	}
	for i := range s.Report.Storages {
		st := &s.Report.Storages[i]
		name := s.Name + called(st.Name)
		v.health(name, st)
		if s.Report.Kind == KindZRS {
			v.limit(st.Lag, limits, label(st.Name), name, func(value string) string { return name + " is behind by " + value })
		} else {
			v.limit(Lag{Age: idle(st.LastTID)}, limits, label(st.Name), name, func(value string) string {
				return name + " had its last transaction " + value + " ago"
			})
		}
		v.figures(st)
		switch {
		case st.LastTID == 0:
			v.find(Warning, "empty", "%s has no transaction yet", name)
		case st.Role != "":
			v.fact("%s, %s, ends with %s", name, st.Role, showTID(st.LastTID))
		default:
			v.fact("%s ends with %s", name, showTID(st.LastTID))
		}
	}
	return v
}

// ask asks s and reports whether it told of a storage to look at.
func (v *Verdict) ask(ctx context.Context, s *Subject, storage string) bool {
	report, err := s.Probe(ctx)
	if err != nil {
		v.noReport(s.Name, err)
		return false
	}
	s.Report = report
	switch {
	case len(report.Storages) == 0:
		v.find(Warning, "no-storages", "%s serves no storages", s.Name)
		return false
	case storage == "" || report.Kind != KindZEO:
		return true
	}
	st := report.storage(storage)
	if st == nil {
		v.find(Critical, "no-storage", "%s serves no storage %q", s.Name, storage)
		return false
	}
	report.Storages = []Storage{*st}
	return true
}

// noReport finds that there is no report of what is called name.
func (v *Verdict) noReport(name string, err error) {
	level, reason := trouble(err)
	v.find(level, reason, "%s: %s", name, explain(err))
}

// storage returns the storage of that name, or nil.
func (r *Report) storage(name string) *Storage {
	for i := range r.Storages {
		if r.Storages[i].Name == name {
			return &r.Storages[i]
		}
	}
	return nil
}

// explain returns the text of an error, without the path that a finding has
// already.
func explain(err error) string {
	if e, ok := errors.AsType[*iofs.PathError](err); ok {
		return e.Err.Error()
	}
	if e, ok := errors.AsType[*fs.RecordError](err); ok {
		bare := *e
		bare.Path = ""
		return bare.Error() + "; zrs verify tells all that is wrong"
	}
	switch {
	case errors.Is(err, ErrUnreachable):
		return err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "the time limit has passed before it was looked at"
	case errors.Is(err, context.Canceled):
		return "interrupted"
	}
	return err.Error()
}

// health finds what a storage says of itself that is not well.
func (v *Verdict) health(name string, st *Storage) {
	level := Unknown
	switch st.Health {
	case HealthFailed:
		level = Critical
	case HealthDegraded, HealthRecovering:
		level = Warning
	case HealthOptimal, "":
		if st.Connected != nil && !*st.Connected {
			v.find(Warning, "disconnected", "%s is not connected to its source%s", name, contact(st.LastContact))
		}
		return
	}
	v.find(level, st.Reason, "%s is %s: %s", name, st.Health, st.Sentence)
}

// contact tells when the last contact was.
func contact(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf(", the last contact was %s ago", showSpan(time.Since(t)))
}

// figures passes on the numbers of a storage.
func (v *Verdict) figures(st *Storage) {
	for _, f := range st.Figures {
		unit := ""
		if f.Counter {
			unit = "c"
		}
		v.Metrics = append(v.Metrics, Metric{Label: label(st.Name) + f.Name, Unit: unit, Value: new(float64(f.Value))})
	}
}

// idle returns the time since a transaction, nil if there is none.
func idle(tid fs.TID) *time.Duration {
	if tid == 0 {
		return nil
	}
	return new(max(0, time.Since(tid.Time())))
}

// usualName is the name of the one storage of most ZEO servers.
const usualName = "1"

// called returns what distinguishes a storage from others in a sentence.
func called(name string) string {
	if name == "" || name == usualName {
		return ""
	}
	return fmt.Sprintf(" storage %q", name)
}

// label returns what distinguishes a storage from others in a label.
func label(name string) string {
	if name == "" || name == usualName {
		return ""
	}
	return name + ":"
}
