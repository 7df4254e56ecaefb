package monitor

import (
	"context"
	"fmt"
	"time"

	"zrs/internal/fs"
)

// A pair is a storage at both ends. One of them is nil if an end lacks it.
type pair struct {
	name               string // of the storage, as in a sentence
	primary, secondary *Storage
	arrived            bool // the secondary has since got what the primary had
}

// Compare judges a secondary by its primary. Storage is as for [Look]. Names of
// subjects should say which is which.
//
// The secondary is asked first, so that what is committed meanwhile can't make
// the primary look behind. If the secondary is behind then, it is asked once
// more: what was only on its way has arrived.
func Compare(ctx context.Context, primary, secondary *Subject, storage string, limits Limits) *Verdict {
	v := new(Verdict)
	half, cancel := firstHalf(ctx)
	defer cancel()
	told := v.ask(half, secondary, storage)
	if !v.ask(ctx, primary, storage) || !told {
		return v
	}
	pairs := v.pairUp(primary, secondary)
	v.askAgain(ctx, secondary, pairs)
	for i := range pairs {
		v.judge(ctx, primary, secondary, &pairs[i], limits)
	}
	return v
}

// firstHalf returns a context that ends when half of the time is up, so that a
// secondary that does not answer leaves some for the primary.
func firstHalf(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/2)
}

// pairUp finds the storages that belong together: by name, or, if an end has but
// one without a name, the only ones.
func (v *Verdict) pairUp(primary, secondary *Subject) []pair {
	ps, ss := primary.Report.Storages, secondary.Report.Storages
	if ps[0].Name == "" || ss[0].Name == "" {
		if len(ps) > 1 || len(ss) > 1 {
			v.find(Unknown, "many-storages", "%s has %d storages, %s %d: choose one with --storage",
				primary.Name, len(ps), secondary.Name, len(ss))
			return nil
		}
		return []pair{{primary: &ps[0], secondary: &ss[0]}}
	}
	var pairs []pair
	for i := range ps {
		pairs = append(pairs, pair{called(ps[i].Name), &ps[i], secondary.Report.storage(ps[i].Name), false})
	}
	for i := range ss {
		if primary.Report.storage(ss[i].Name) == nil {
			pairs = append(pairs, pair{called(ss[i].Name), nil, &ss[i], false})
		}
	}
	return pairs
}

// askAgain asks a secondary once more if it is behind. That it does not answer
// any more is a finding, beside those of what it said before.
func (v *Verdict) askAgain(ctx context.Context, secondary *Subject, pairs []pair) {
	var report *Report
	for i := range pairs {
		p := &pairs[i]
		if p.primary == nil || p.secondary == nil || p.secondary.LastTID >= p.primary.LastTID {
			continue
		}
		if report == nil {
			var err error
			if report, err = secondary.Probe(ctx); err != nil {
				v.noReport(secondary.Name, err)
				return
			}
		}
		if now := report.storage(p.secondary.Name); now != nil && now.LastTID > p.secondary.LastTID {
			*p.secondary = *now
			p.arrived = now.LastTID >= p.primary.LastTID
		}
	}
}

// judge finds what is not well with a pair.
func (v *Verdict) judge(ctx context.Context, primary, secondary *Subject, p *pair, limits Limits) {
	pname, sname := primary.Name+p.name, secondary.Name+p.name
	switch {
	case p.secondary == nil:
		v.find(Critical, "only-in-primary", "%s is missing in %s", pname, secondary.Name)
		return
	case p.primary == nil:
		v.find(Critical, "only-in-secondary", "%s is missing in %s", sname, primary.Name)
		return
	}
	v.health(pname, p.primary)
	v.health(sname, p.secondary)
	if p.secondary.Role == "primary" {
		v.find(Critical, "two-primaries", "%s is a primary itself", sname)
	}
	plast, slast := p.primary.LastTID, p.secondary.LastTID
	switch {
	case plast == 0 && slast == 0:
		v.find(Warning, "empty", "%s and %s have no transaction yet", pname, sname)
	case slast == 0:
		v.find(Critical, "empty", "%s is empty, %s ends with %s", sname, pname, showTID(plast))
	case slast > plast && !p.arrived:
		v.find(Critical, "ahead", "%s is ahead of %s, it ends with %s and not with %s: "+
			"the two are given in the wrong order, or their histories have diverged",
			sname, pname, showTID(slast), showTID(plast))
		return
	}
	lag, err := p.lag(ctx, primary)
	if err != nil {
		v.noReport(sname+" against "+pname, err)
		return
	}
	say := func(value string) string { return fmt.Sprintf("%s is behind %s by %s", sname, pname, value) }
	v.limit(lag, limits, label(p.primary.Name), sname+" against "+pname, say)
	switch {
	case lag.Age == nil:
	case slast < plast:
		v.fact("%s, it ends with %s", say(showSpan(*lag.Age)), showTID(slast))
	case p.secondary.Connected == nil:
		v.fact("%s ends with the same transaction as %s, %s; whether it is connected it doesn't tell", sname, pname, showTID(slast))
	default:
		v.fact("%s is up to date with %s, it ends with %s", sname, pname, showTID(slast))
	}
}

// A historian knows the transactions of a primary.
type historian interface {
	Behind(ctx context.Context, tid fs.TID) (Lag, error)
}

// lag returns how far the secondary is behind.
//
// If only the last transactions are known, the age of the oldest missing one can
// be told only within bounds: it is as old as the primary's last transaction at
// least, and not as old as the secondary's. The difference of the two, which is
// what zrs-nagios tells, is taken if it is more than the lower bound. It grows
// when a busy primary's secondary is stuck, the bound when the primary falls
// silent then.
func (p *pair) lag(ctx context.Context, primary *Subject) (lag Lag, err error) {
	plast, slast := p.primary.LastTID, p.secondary.LastTID
	if slast >= plast {
		return Lag{new(time.Duration), new(int64), new(int64)}, nil
	}
	if h, ok := primary.Prober.(historian); ok && primary.Report.Kind == KindFile {
		if lag, err = h.Behind(ctx, slast); err != nil {
			return Lag{}, err
		}
	}
	if own := p.secondary.Lag; lag.Transactions == nil && own.Transactions != nil && *own.Transactions > 0 {
		lag = own
	}
	if difference := plast.Time().Sub(slast.Time()); lag.Age == nil && slast != 0 {
		lag.Age = new(max(difference, *idle(plast)))
	}
	return lag, nil
}
