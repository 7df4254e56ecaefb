package interop

import (
	"fmt"
	"testing"

	"zrs/interop/driver"
)

// A zeoServer is a running ZEO server.
type zeoServer struct {
	program
	database
	address string // for clients
	primary string // for secondaries, if it is a zc.zrs primary
}

func startZEO(t *testing.T, env driver.Env, db database, options ...string) *zeoServer {
	t.Helper()
	var ready struct{ Address, Primary string }
	p := start(t, env, &ready, "zeoserver.py", append(options, db.args()...)...)
	return &zeoServer{p, db, ready.Address, ready.Primary}
}

// stop stops it, which closes the storage.
func (z *zeoServer) stop() {
	z.t.Helper()
	z.do("stop", nil, nil)
	z.Stop()
}

// startZEOClient connects a client to it that does nothing yet.
func startZEOClient(t *testing.T, z *zeoServer) program {
	t.Helper()
	return start(t, driver.Modern, nil, "zeoclient.py", "--blob-dir", t.TempDir()+"/cache", z.address)
}

// A clientReport is what a client says after it has worked.
type clientReport struct {
	Commits                        [][3]any // TID, time of the commit's return, seconds it took
	Undone, Conflicts, Disconnects int
	Error                          string
}

// tids returns the TIDs of its commits.
func (r clientReport) tids() (tids []string) {
	for _, c := range r.Commits {
		tids = append(tids, c[0].(string))
	}
	return tids
}

// startPrimaryZEO serves a new database by ZEO to clients and by kind to
// secondaries: zc.zrs inside the ZEO server, or zrs beside it.
func startPrimaryZEO(t *testing.T, kind string) (z *zeoServer, address string) {
	t.Helper()
	db := newDatabase(t, true)
	if kind == zczrsKind {
		z = startZEO(t, driver.Legacy, db, "--primary", "127.0.0.1:0")
		return z, z.primary
	}
	z = startZEO(t, driver.Modern, db)
	_, address = servePrimary(t, db)
	return z, address
}

// TestZEO has clients commit to a ZEO server, with conflicts, blobs and undos,
// while secondaries follow.
func TestZEO(t *testing.T) {
	forPairs(t, anyPair, func(t *testing.T, p pair) {
		z, address := startPrimaryZEO(t, p.primary)
		replica := newDatabase(t, true)
		follower := startSecondary(t, p.secondary, replica, address, false)
		work(t, z, 0.1, nil)
		follower.waitFor(lastTID(t, z.data))
		follower.stop()
		z.stop()
		identical(t, z.database, replica)
	})
}

// TestZEOPacked has the server packed again and again meanwhile. No transaction
// that a client was told of may be missing, whether a pack has removed it since
// or not. (zc.zrs loses those that are packed away before it has sent them.)
func TestZEOPacked(t *testing.T) {
	forPairs(t, zrsPrimary, func(t *testing.T, p pair) {
		z, address := startPrimaryZEO(t, p.primary)
		replica := newDatabase(t, true)
		follower := startSecondary(t, p.secondary, replica, address, false)
		// Without undos: ZODB's pack fails when one refers to what it is
		// just removing (PackError).
		tids := work(t, z, 0, func() { z.do("pack", nil, nil) })
		follower.waitFor(lastTID(t, z.data))
		follower.stop()
		z.stop()

		has := map[string]bool{}
		txns, err := transactions(replica.data)
		if err != nil {
			t.Fatal(err)
		}
		for _, txn := range txns {
			has[txn.tid] = true
		}
		for _, tid := range tids {
			if !has[tid] {
				t.Errorf("transaction %s is missing", tid)
			}
		}
		historyKept(t, z.database, replica)
	})
}

// work has two clients commit at the same time, with a share of undos, and
// returns the TIDs of their commits. Meanwhile it calls disturb, if that is not
// nil, some times.
func work(t *testing.T, z *zeoServer, undos float64, disturb func()) (tids []string) {
	t.Helper()
	const commits = 150
	var clients []program
	for i := range 2 {
		client := startZEOClient(t, z)
		client.do("start", driver.Args{
			"name": fmt.Sprint("client", i), "seed": i,
			"count": commits, "rate": 150, "blobs": 0.1, "undo": undos,
		}, nil)
		clients = append(clients, client)
	}
	for i := range 5 {
		if disturb == nil {
			break
		}
		eventually(t, "some commits", func() bool {
			var progress struct{ Count int }
			clients[0].do("progress", nil, &progress)
			return progress.Count >= (i+1)*commits/6
		})
		disturb()
	}
	for _, client := range clients {
		var report clientReport
		client.do("wait", driver.Args{"timeout": patience.Seconds()}, &report)
		if report.Error != "" || len(report.Commits) != commits {
			t.Fatalf("%s: %d commits, error %q", client.Program, len(report.Commits), report.Error)
		}
		tids = append(tids, report.tids()...)
	}
	// The last one without a blob: ZEO stores a new blob's record twice, and
	// ZODB believes no index, its own included, if that is the end of the file.
	var last clientReport
	clients[0].do("start", driver.Args{"count": 1}, nil)
	clients[0].do("wait", driver.Args{"timeout": patience.Seconds()}, &last)
	tids = append(tids, last.tids()...)
	for _, client := range clients {
		client.do("close", nil, nil)
	}
	return tids
}
