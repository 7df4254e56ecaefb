package node

import (
	"errors"
	"fmt"
	"time"

	"zrs/internal/control"
	"zrs/internal/epoch"
	"zrs/internal/repl"
	"zrs/internal/wire"
)

// facts are what a node's health is judged by.
type facts struct {
	now        time.Time
	primary    bool
	superseded *epoch.Lineage
	ready      bool // the data file was read to its end
	logErr     error
	gone       error // the data file is not where it was
	failed     error // why replication has stopped for a person to act
	link       repl.Link
}

const (
	// settling is how long a secondary may be behind before that is told: a
	// transaction is always under way somewhere.
	settling = 2 * time.Second

	// silentAfter is how long a source of ours, which says something every
	// second, may say nothing.
	silentAfter = 5 * time.Second
)

// judge fills in the health, and why it is that.
func (f facts) judge(s *control.Status) {
	set := func(h control.Health, r control.Reason, next []string, format string, args ...any) {
		s.Health, s.Reason, s.Message, s.Next = h, r, fmt.Sprintf(format, args...), next
	}
	switch {
	case f.primary && f.superseded != nil:
		set(control.Failed, control.ReasonSuperseded, []string{"zrs rewind " + s.Path + " --against NEW-PRIMARY --dry-run"},
			"another primary was promoted since, epoch %s: this one serves nobody", f.superseded.Epoch.Short())
	case f.logErr != nil:
		set(control.Failed, control.ReasonDataFile, []string{"zrs verify " + s.Path}, "%v", f.logErr)
	case f.gone != nil:
		f.judgeGone(s, set)
	case f.failed != nil:
		reason, next := f.whyFailed(s)
		set(control.Failed, reason, next, "replication has stopped: %v", f.failed)
	case f.primary:
		f.judgePrimary(s, set)
	default:
		f.judgeSecondary(s, set)
	}
	if s.Health == control.Optimal && s.BlobsMissing > 0 {
		set(control.Degraded, control.ReasonBlobsMissing, []string{"zrs verify " + s.Path + " --blob-dir DIR"}, "%d blobs are missing", s.BlobsMissing)
	}
}

// whyFailed returns the reason why replication has stopped, and what to do.
func (f facts) whyFailed(s *control.Status) (control.Reason, []string) {
	source := f.link.Source
	switch {
	case errors.Is(f.failed, epoch.ErrSuperseded): // the source was, not we
		return control.ReasonSuperseded, []string{"replicate from the new primary, not from " + source}
	case errors.Is(f.failed, epoch.ErrOtherDatabase):
		return control.ReasonDiverged, []string{"is " + source + " the right source?"}
	case errors.Is(f.failed, repl.ErrPackedPast):
		return control.ReasonDiverged, []string{"move " + s.Path + " and its blobs aside, and seed anew"}
	}
	return control.ReasonDiverged, []string{
		"zrs verify " + s.Path + " " + source,
		"zrs rewind " + s.Path + " --against " + source + " --dry-run",
	}
}

type setter = func(h control.Health, r control.Reason, next []string, format string, args ...any)

// judgeGone is about a data file that somebody has removed, moved away or replaced:
// it is still open here, and in the process that writes it.
func (f facts) judgeGone(s *control.Status, set setter) {
	next := "put it back, or stop this, and seed it anew"
	if s.Address != "" {
		next = "zrs catchup " + s.Address + " COPY.fs, before its writer stops: that is what is still open here"
	}
	set(control.Failed, control.ReasonDataFile, []string{next}, "%v; what is written to the file that is open is lost when that is closed", f.gone)
}

func (f facts) judgePrimary(s *control.Status, set setter) {
	if !f.ready {
		set(control.Recovering, control.ReasonReading, nil, "the data file is being read")
		return
	}
	stuck, behind := 0, 0
	for _, p := range s.Peers {
		switch p.State {
		case "stuck":
			stuck++
		case "streaming":
			behind++
		}
	}
	if stuck > 0 {
		set(control.Degraded, control.ReasonStuck, []string{"look at the secondaries that are stuck"}, "%s, %d stuck", countPeers(len(s.Peers)), stuck)
		return
	}
	if len(s.Peers) == 0 {
		set(control.Optimal, control.ReasonServing, nil, "%s", countPeers(0))
		return
	}
	set(control.Optimal, control.ReasonServing, nil, "%s, %d behind", countPeers(len(s.Peers)), behind)
}

func countPeers(n int) string {
	switch n {
	case 0:
		return "no secondary is connected"
	case 1:
		return "1 secondary is connected"
	}
	return fmt.Sprintf("%d secondaries are connected", n)
}

func (f facts) judgeSecondary(s *control.Status, set setter) {
	l, source := f.link, f.link.Source
	heard := "never"
	if !l.Heard.IsZero() {
		heard = f.now.Sub(l.Heard).Round(time.Second).String() + " ago"
	}
	switch l.State {
	case repl.LinkPaused:
		set(control.Degraded, control.ReasonPaused, []string{"zrs control resume " + s.Path}, "paused by an operator")
	case repl.LinkDisconnected:
		set(control.Degraded, control.ReasonDisconnected, []string{"is " + source + " up? If it is lost: zrs promote --control " + control.SocketPath(s.Path) + " --dry-run"},
			"not connected to %s, last heard %s: %s", source, heard, text(l.Err))
	case repl.LinkRefused, repl.LinkDiverged:
		next := []string{"look at the log of " + source}
		if errors.Is(l.Err, repl.ErrBlobDirNeeded) {
			next = []string{"start it with --blob-dir"}
		}
		set(control.Degraded, control.ReasonRefused, next, "%s, last heard %s", text(l.Err), heard)
	case repl.LinkComparing:
		set(control.Recovering, control.ReasonComparing, nil, "comparing histories with %s", source)
	case repl.LinkReceiving:
		f.judgeReceiving(s, set, heard)
	default:
		set(control.Recovering, control.ReasonConnecting, nil, "connecting to %s", source)
	}
}

func text(err error) string {
	if err == nil {
		return "no reason is known"
	}
	return err.Error()
}

// judgeReceiving is about a secondary that is connected.
func (f facts) judgeReceiving(s *control.Status, set setter, heard string) {
	l, lag := f.link, s.Source.Lag
	silent := f.now.Sub(l.Heard)
	behind := lag.Seconds != nil && *lag.Seconds > 0 || lag.Bytes != nil && *lag.Bytes > 0
	switch {
	case l.Protocol == wire.ProtocolZRS1 && silent > silentAfter, behind && silent > stuckAfter:
		set(control.Degraded, control.ReasonStuck, []string{"look at " + l.Source + " and the network to it"}, "connected to %s, but nothing was heard since %s", l.Source, heard)
	case l.CutOff:
		set(control.Degraded, control.ReasonDisconnected, []string{"zrs status " + l.Source}, "%s, which it follows, has no source itself", l.Source)
	case behind && *lag.Seconds > settling.Seconds():
		set(control.Recovering, control.ReasonCatchingUp, nil, "%s behind %s, the oldest is %s old",
			countTransactions(lag.Transactions), l.Source, time.Duration(*lag.Seconds*1e9).Round(time.Second))
	case l.Protocol != wire.ProtocolZRS1:
		set(control.Optimal, control.ReasonConnected, nil, "connected to %s, which does not tell what it has; last heard %s", l.Source, heard)
	case behind:
		set(control.Optimal, control.ReasonCaughtUp, nil, "%s behind %s, just committed", countTransactions(lag.Transactions), l.Source)
	default:
		set(control.Optimal, control.ReasonCaughtUp, nil, "has all that %s has", l.Source)
	}
}

func countTransactions(n *int64) string {
	switch {
	case n == nil:
		return "some transactions"
	case *n == 1:
		return "1 transaction"
	}
	return fmt.Sprintf("%d transactions", *n)
}
