package node

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"zrs/internal/control"
	"zrs/internal/epoch"
	"zrs/internal/repl"
	"zrs/internal/wire"
)

// TestFacts_judge has a case for each health and reason, and for where one ends and
// the next begins.
func TestFacts_judge(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	lag := func(seconds float64, transactions int64) control.Lag {
		l := control.Lag{Seconds: &seconds}
		if transactions >= 0 {
			l.Transactions = &transactions
		}
		return l
	}
	zrs := func(state repl.LinkState, heard time.Duration, err error) repl.Link {
		return repl.Link{Source: "db1", State: state, Err: err, Protocol: wire.ProtocolZRS1, Heard: ago(heard)}
	}
	plain := zrs(repl.LinkReceiving, time.Hour, nil)
	plain.Protocol = wire.Protocol21
	never := repl.Link{Source: "db1", State: repl.LinkDisconnected}
	cutOff := zrs(repl.LinkReceiving, 0, nil)
	cutOff.CutOff = true
	newer := epoch.Begin()
	primary := func(states ...string) control.Status {
		var s control.Status
		for _, state := range states {
			s.Peers = append(s.Peers, control.Peer{State: state})
		}
		return s
	}
	secondary := func(l control.Lag) control.Status {
		return control.Status{Source: &control.Source{Address: "db1", Lag: l}}
	}
	missing := primary()
	missing.BlobsMissing = 3
	behindAndMissing := secondary(lag(10, 2))
	behindAndMissing.BlobsMissing = 3

	for _, tt := range []struct {
		name    string
		facts   facts
		status  control.Status
		health  control.Health
		reason  control.Reason
		message string
		next    string // of the first advice, "" for none
	}{
		{"primary-reading", facts{primary: true}, primary(), control.Recovering, control.ReasonReading, "the data file is being read", ""},
		{"primary-alone", facts{primary: true, ready: true}, primary(), control.Optimal, control.ReasonServing, "no secondary is connected", ""},
		{"primary-of-one", facts{primary: true, ready: true}, primary("caught-up"), control.Optimal, control.ReasonServing, "1 secondary is connected, 0 behind", ""},
		{"primary-of-three", facts{primary: true, ready: true}, primary("caught-up", "streaming", "streaming"), control.Optimal, control.ReasonServing, "3 secondaries are connected, 2 behind", ""},
		{"primary-stuck-peer", facts{primary: true, ready: true}, primary("stuck", "streaming"), control.Degraded, control.ReasonStuck, "2 secondaries are connected, 1 stuck", "look at the secondaries that are stuck"},
		{"primary-blobs-missing", facts{primary: true, ready: true}, missing, control.Degraded, control.ReasonBlobsMissing, "3 blobs are missing", "zrs verify a.fs --blob-dir DIR"},
		{
			"primary-superseded",
			facts{primary: true, ready: true, superseded: &newer},
			primary(), control.Failed, control.ReasonSuperseded,
			"another primary was promoted since, epoch " + newer.Epoch.Short() + ": this one serves nobody", "zrs rewind a.fs --against NEW-PRIMARY --dry-run",
		},
		{"primary-damaged", facts{primary: true, ready: true, logErr: errors.New("damaged at 5")}, primary(), control.Failed, control.ReasonDataFile, "damaged at 5", "zrs verify a.fs"},
		{"primary-file-gone", facts{primary: true, ready: true, gone: errors.New("it has gone")}, primary(), control.Failed, control.ReasonDataFile, "it has gone; what is written to the file that is open is lost", "put it back"},
		{"superseded-before-damaged", facts{primary: true, superseded: &newer, logErr: errors.New("damaged")}, primary(), control.Failed, control.ReasonSuperseded, "another primary", "zrs rewind a.fs"},

		{"connecting", facts{link: zrs("", 0, nil)}, secondary(control.Lag{}), control.Recovering, control.ReasonConnecting, "connecting to db1", ""},
		{"connecting-again", facts{link: zrs(repl.LinkConnecting, 0, nil)}, secondary(control.Lag{}), control.Recovering, control.ReasonConnecting, "connecting to db1", ""},
		{"comparing", facts{link: zrs(repl.LinkComparing, 0, nil)}, secondary(lag(0, 0)), control.Recovering, control.ReasonComparing, "comparing histories with db1", ""},
		{"caught-up", facts{link: zrs(repl.LinkReceiving, time.Second, nil)}, secondary(lag(0, 0)), control.Optimal, control.ReasonCaughtUp, "has all that db1 has", ""},
		{"just-committed", facts{link: zrs(repl.LinkReceiving, time.Second, nil)}, secondary(lag(2, 1)), control.Optimal, control.ReasonCaughtUp, "1 transaction behind db1, just committed", ""},
		{
			"behind-by-a-clock-that-is-ahead",
			facts{link: zrs(repl.LinkReceiving, time.Second, nil)},
			func() control.Status { s := secondary(lag(0, 7)); s.Source.Lag.Bytes = new(int64(700)); return s }(),
			control.Optimal, control.ReasonCaughtUp, "7 transactions behind db1, just committed", "",
		},
		{"catching-up", facts{link: zrs(repl.LinkReceiving, time.Second, nil)}, secondary(lag(2.1, 7)), control.Recovering, control.ReasonCatchingUp, "7 transactions behind db1, the oldest is 2s old", ""},
		{"catching-up-uncounted", facts{link: zrs(repl.LinkReceiving, time.Second, nil)}, secondary(lag(90, -1)), control.Recovering, control.ReasonCatchingUp, "some transactions behind db1, the oldest is 1m30s old", ""},
		{"silent-in-time", facts{link: zrs(repl.LinkReceiving, silentAfter, nil)}, secondary(lag(0, 0)), control.Optimal, control.ReasonCaughtUp, "has all", ""},
		{"silent", facts{link: zrs(repl.LinkReceiving, silentAfter+time.Millisecond, nil)}, secondary(lag(0, 0)), control.Degraded, control.ReasonStuck, "connected to db1, but nothing was heard since 5s ago", "look at db1 and the network to it"},
		{"silent-while-behind", facts{link: zrs(repl.LinkReceiving, time.Minute, nil)}, secondary(lag(90, 7)), control.Degraded, control.ReasonStuck, "nothing was heard since 1m0s ago", "look at db1"},
		{"zc-silent", facts{link: plain}, secondary(control.Lag{}), control.Optimal, control.ReasonConnected, "connected to db1, which does not tell what it has; last heard 1h0m0s ago", ""},
		{"zc-behind-and-silent", facts{link: plain}, secondary(lag(0.1, -1)), control.Degraded, control.ReasonStuck, "nothing was heard since 1h0m0s ago", "look at db1"},
		{
			"secondary-blobs-missing",
			facts{link: zrs(repl.LinkReceiving, 0, nil)},
			func() control.Status { s := secondary(lag(0, 0)); s.BlobsMissing = 1; return s }(),
			control.Degraded, control.ReasonBlobsMissing, "1 blobs are missing", "zrs verify",
		},
		{"behind-before-blobs-missing", facts{link: zrs(repl.LinkReceiving, 0, nil)}, behindAndMissing, control.Recovering, control.ReasonCatchingUp, "2 transactions behind", ""},

		{"paused", facts{link: zrs(repl.LinkPaused, 0, nil)}, secondary(lag(0, 0)), control.Degraded, control.ReasonPaused, "paused by an operator", "zrs control resume a.fs"},
		{
			"disconnected",
			facts{link: zrs(repl.LinkDisconnected, time.Minute, errors.New("no route"))},
			secondary(lag(0, 0)), control.Degraded, control.ReasonDisconnected,
			"not connected to db1, last heard 1m0s ago: no route", "is db1 up? If it is lost: zrs promote --control a.fs.control --dry-run",
		},
		{"source-cut-off", facts{link: cutOff}, secondary(lag(0, 0)), control.Degraded, control.ReasonDisconnected, "db1, which it follows, has no source itself", "zrs status db1"},
		{"never-connected", facts{link: never}, secondary(control.Lag{}), control.Degraded, control.ReasonDisconnected, "not connected to db1, last heard never: no reason is known", "is db1 up?"},
		{"refused", facts{link: zrs(repl.LinkRefused, time.Second, repl.ErrRefused)}, secondary(lag(0, 0)), control.Degraded, control.ReasonRefused, repl.ErrRefused.Error() + ", last heard 1s ago", "look at the log of db1"},
		{"no-blob-directory", facts{link: zrs(repl.LinkDiverged, time.Second, repl.ErrBlobDirNeeded)}, secondary(lag(0, 0)), control.Degraded, control.ReasonRefused, repl.ErrBlobDirNeeded.Error(), "start it with --blob-dir"},
		{"first-source-diverged", facts{link: zrs(repl.LinkDiverged, time.Second, repl.ErrDiverged)}, secondary(lag(0, 0)), control.Degraded, control.ReasonRefused, repl.ErrDiverged.Error(), "look at the log of db1"},

		{"diverged", facts{failed: repl.ErrDiverged, link: zrs(repl.LinkDiverged, 0, repl.ErrDiverged)}, secondary(lag(0, 0)), control.Failed, control.ReasonDiverged, "replication has stopped: ", "zrs verify a.fs db1"},
		{"packed-past", facts{failed: repl.ErrPackedPast, link: zrs(repl.LinkDiverged, 0, nil)}, secondary(lag(0, 0)), control.Failed, control.ReasonDiverged, "replication has stopped: ", "move a.fs and its blobs aside, and seed anew"},
		{"other-database", facts{failed: fmt.Errorf("db1: %w", epoch.ErrOtherDatabase), link: zrs(repl.LinkDiverged, 0, nil)}, secondary(lag(0, 0)), control.Failed, control.ReasonDiverged, "replication has stopped: db1: it is another database", "is db1 the right source?"},
		{"source-superseded", facts{failed: epoch.ErrSuperseded, link: zrs(repl.LinkDiverged, 0, nil)}, secondary(lag(0, 0)), control.Failed, control.ReasonSuperseded, "replication has stopped: ", "replicate from the new primary, not from db1"},
		{"write-trouble", facts{logErr: errors.New("no space left"), link: zrs(repl.LinkReceiving, 0, nil)}, secondary(lag(0, 0)), control.Failed, control.ReasonDataFile, "no space left", "zrs verify a.fs"},
	} {
		s := tt.status
		s.Path, tt.facts.now = "a.fs", now
		tt.facts.judge(&s)
		next := strings.Join(s.Next, "\n")
		if s.Health != tt.health || s.Reason != tt.reason || !strings.Contains(s.Message, tt.message) ||
			!strings.HasPrefix(next, tt.next) || (next == "") != (tt.next == "") {
			t.Errorf("%s: %s: %s: %q, next %q\nwant %s: %s: %q, next %q", tt.name, s.Health, s.Reason, s.Message, next, tt.health, tt.reason, tt.message, tt.next)
		}
		if s.Health != control.Optimal && s.Health != control.Recovering && next == "" {
			t.Errorf("%s: nobody is told what to do", tt.name)
		}
	}
}

func TestSourceLag(t *testing.T) {
	now := tidOf(10).Time()
	told := wire.Behind{Transactions: 3, Bytes: 300, Oldest: tidOf(7)}
	link := func(protocol string, last int, has bool, b wire.Behind) repl.Link {
		return repl.Link{Protocol: protocol, Last: tidOf(last), HasBehind: has, Behind: b}
	}
	for _, tt := range []struct {
		name string
		link repl.Link
		want string // transactions, bytes and seconds
	}{
		{"told", link(wire.ProtocolZRS1, 9, true, told), "3 300 180"},
		{"told-and-caught-up-since", link(wire.ProtocolZRS1, 6, true, told), "0 0 0"},
		{"told-more-than-counted", link(wire.ProtocolZRS1, 9, true, wire.Behind{Transactions: -1, Bytes: 9, Oldest: tidOf(9)}), "unknown 9 60"},
		{"told-from-the-future", link(wire.ProtocolZRS1, 99, true, wire.Behind{Transactions: 1, Bytes: 1, Oldest: tidOf(99)}), "1 1 0"},
		{"nothing-told-yet", link(wire.ProtocolZRS1, 9, false, wire.Behind{}), "unknown unknown 60"},
		{"caught-up", link(wire.ProtocolZRS1, 6, false, wire.Behind{}), "0 0 0"},
		{"zc-arrived", link(wire.Protocol20, 8, false, wire.Behind{}), "unknown unknown 120"},
		{"zc-applied", link(wire.Protocol20, 6, false, wire.Behind{}), "unknown unknown unknown"},
		{"never-heard", repl.Link{}, "unknown unknown unknown"},
	} {
		l := sourceLag(tt.link, tidOf(6), nil, now)
		if got := show(l.Transactions) + " " + show(l.Bytes) + " " + show(l.Seconds); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
