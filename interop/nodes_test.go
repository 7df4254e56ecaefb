package interop

import (
	"testing"

	"zrs/interop/driver"
)

// The kinds of programs at the ends of a connection.
const (
	zrsKind   = "zrs"
	zczrsKind = "zczrs"
)

// A pair says which program is at which end.
type pair struct{ primary, secondary string }

func (p pair) String() string { return p.primary + "-" + p.secondary }

// The four pairs. zc.zrs alone is the baseline: it shows what a user of ZRS has
// today, and that the harness and its expectations are right.
var (
	zrsToZRS     = pair{zrsKind, zrsKind}
	zrsToZCZRS   = pair{zrsKind, zczrsKind}
	zczrsToZRS   = pair{zczrsKind, zrsKind}
	zczrsToZCZRS = pair{zczrsKind, zczrsKind}

	pairs = []pair{zczrsToZCZRS, zrsToZRS, zrsToZCZRS, zczrsToZRS}
)

// forPairs runs a test for every pair that it is about.
func forPairs(t *testing.T, about func(pair) bool, test func(t *testing.T, p pair)) {
	for _, p := range pairs {
		if !about(p) {
			continue
		}
		t.Run(p.String(), func(t *testing.T) {
			t.Parallel()
			test(t, p)
		})
	}
}

func anyPair(pair) bool        { return true }
func zrsPrimary(p pair) bool   { return p.primary == zrsKind }
func zrsSecondary(p pair) bool { return p.secondary == zrsKind }

// startPrimary serves an existing database that nobody has open. It returns the
// storage to commit to and the address for secondaries. A zc.zrs primary is
// both in one process; zrs follows the file that today's ZODB writes.
func startPrimary(t *testing.T, kind string, db database) (s *storage, address string) {
	t.Helper()
	if kind == zczrsKind {
		s = openPrimary(t, db)
		return s, s.address
	}
	s = openStorage(t, driver.Modern, db)
	_, address = servePrimary(t, db)
	return s, address
}

// A secondary is a running secondary of either kind, with its database.
type secondary struct {
	database
	address string // for further secondaries, if it was told to serve some
	stop    func() // ends it in an orderly way: everything is closed and saved
	kill    func() // ends it as kill -9 does

	t     *testing.T
	ended <-chan struct{}
}

// startSecondary starts to replicate into a database. With cascade it serves
// further secondaries.
func startSecondary(t *testing.T, kind string, db database, from string, cascade bool) *secondary {
	t.Helper()
	if kind == zczrsKind {
		return startZCZRSSecondary(t, db, from, cascade)
	}
	options := []string{"--reconnect-delay=50ms", "--reconnect-max=400ms"}
	if cascade {
		options = append(options, "--replicate-to", "127.0.0.1:0")
	}
	z := serveSecondary(t, db, from, options...)
	s := &secondary{
		database: db,
		stop: func() {
			t.Helper()
			if code := z.terminate(); code != 0 {
				t.Errorf("%s: exit code %d after SIGTERM, want 0", z.name, code)
			}
		},
		kill:  z.kill,
		t:     t,
		ended: z.done,
	}
	if cascade {
		s.address = z.listening()
	}
	return s
}

func startZCZRSSecondary(t *testing.T, db database, from string, cascade bool) *secondary {
	t.Helper()
	args := append(db.args(), "--from", from)
	if cascade {
		args = append(args, "--primary", "127.0.0.1:0")
	}
	var ready struct{ Address string }
	p := start(t, driver.Legacy, &ready, "secondary.py", args...)
	return &secondary{
		database: db,
		address:  ready.Address,
		stop: func() {
			t.Helper()
			p.do("close", nil, nil)
			p.Stop()
		},
		kill:  p.Kill,
		t:     t,
		ended: p.Done(),
	}
}

// waitFor waits until its database ends with a transaction.
func (s *secondary) waitFor(tid string) {
	s.t.Helper()
	eventually(s.t, "secondary at "+tid, func() bool {
		select {
		case <-s.ended:
			s.t.Fatalf("secondary ended before %s", tid)
		default:
		}
		return lastTID(s.t, s.data) == tid
	})
}
