package interop

import (
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"zrs/interop/driver"
)

// chaosTime is how long clients commit in TestChaos. ZRS_CHAOS_TIME sets
// another.
const chaosTime = 2 * time.Minute

// A node is a zrs that is killed and started again, behind a proxy through
// which others reach it.
type node struct {
	t     *testing.T
	name  string
	start func() *zrs
	now   *zrs
	proxy *proxy // nil if nobody connects to it
}

func startNode(t *testing.T, name string, serves bool, start func() *zrs) *node {
	t.Helper()
	n := &node{t: t, name: name, start: start}
	n.now = start()
	if serves {
		n.proxy = startProxy(t, n.now.listening())
	}
	return n
}

// disturb does something bad to the node, or to its connections.
func (n *node) disturb(rnd *rand.Rand) {
	n.t.Helper()
	what := rnd.IntN(4)
	if n.proxy == nil {
		what = rnd.IntN(2)
	}
	switch what {
	case 0:
		n.now.kill()
		n.now = n.start()
		if n.proxy != nil {
			n.proxy.redirect(n.now.listening())
		}
	case 1:
		n.now.signal(syscall.SIGSTOP)
		time.Sleep(time.Duration(rnd.IntN(500)) * time.Millisecond) // how long is of no matter
		n.now.signal(syscall.SIGCONT)
	case 2:
		n.proxy.cut()
	case 3:
		n.proxy.set(faults{cutAfter: rnd.Int64N(300_000)})
		n.proxy.cut()
		time.Sleep(time.Duration(rnd.IntN(500)) * time.Millisecond)
		n.proxy.set(faults{})
		n.proxy.cut()
	}
}

// TestChaos has several clients commit to a ZEO server, which is packed twice
// meanwhile. Beside it a zrs primary feeds a zc.zrs secondary and a zrs
// secondary, and that one a further zrs secondary. Every zrs and every
// connection is killed, stopped or cut at random. When things are calm again
// all four have the same objects, and ZODB opens each of them at once.
func TestChaos(t *testing.T) {
	t.Parallel()
	duration := chaosTime
	if s := os.Getenv("ZRS_CHAOS_TIME"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatal(err)
		}
		duration = d
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))

	z := startZEO(t, driver.Modern, newDatabase(t, true))
	primary := startNode(t, "primary", true, func() *zrs {
		p, _ := servePrimary(t, z.database)
		return p
	})
	relayed, last, old := newDatabase(t, true), newDatabase(t, true), newDatabase(t, true)
	options := []string{"--reconnect-delay=50ms", "--reconnect-max=400ms"}
	relay := startNode(t, "relay", true, func() *zrs {
		return serveSecondary(t, relayed, primary.proxy.address(), append(options, "--replicate-to", "127.0.0.1:0")...)
	})
	end := startNode(t, "end", false, func() *zrs {
		return serveSecondary(t, last, relay.proxy.address(), options...)
	})
	python := startSecondary(t, zczrsKind, old, primary.proxy.address(), false)

	clients := chaosClients(t, z, duration)
	packs := []time.Duration{duration / 3, duration * 2 / 3}
	nodes := []*node{primary, relay, end}
	for began := time.Now(); time.Since(began) < duration; {
		if len(packs) > 0 && time.Since(began) > packs[0] {
			packs = packs[1:]
			// Not up to now: an undo that is committed while ZODB packs
			// away what it refers to makes the pack fail.
			z.do("pack", driver.Args{"keep": 5}, nil)
		}
		nodes[rnd.IntN(len(nodes))].disturb(rnd)
		time.Sleep(time.Duration(rnd.IntN(1000)) * time.Millisecond)
	}
	commits := 0
	for _, client := range clients {
		var report clientReport
		client.do("wait", driver.Args{"timeout": 2 * patience.Seconds()}, &report)
		if report.Error != "" {
			t.Fatalf("client: %s", report.Error)
		}
		commits += len(report.Commits)
	}
	t.Logf("%d commits", commits)
	// The last one without a blob: ZEO stores a new blob's record twice, and
	// ZODB believes no index, its own included, if that is the end of the file.
	clients[0].do("start", driver.Args{"count": 1}, nil)
	clients[0].do("wait", driver.Args{"timeout": patience.Seconds()}, nil)
	for _, client := range clients {
		client.do("close", nil, nil)
	}

	tid := lastTID(t, z.data)
	for _, db := range []database{relayed, last, old} {
		eventually(t, "a secondary at the end", func() bool { return lastTID(t, db.data) == tid })
	}
	python.stop()
	for _, n := range []*node{end, relay, primary} {
		if code := n.now.terminate(); code != 0 {
			t.Errorf("%s: exit code %d after SIGTERM, want 0", n.name, code)
		}
	}
	z.stop()
	agree(t, z.database, relayed, last, old)
}

// chaosClients starts clients that commit for a while.
func chaosClients(t *testing.T, z *zeoServer, duration time.Duration) (clients []program) {
	t.Helper()
	for i := range 3 {
		client := startZEOClient(t, z)
		client.do("start", driver.Args{
			"name": "client", "seed": i, "seconds": duration.Seconds(),
			"rate": 40, "blobs": 0.1, "undo": 0.05,
		}, nil)
		clients = append(clients, client)
	}
	return clients
}

// agree wants every object that a packed primary still has to be the same in
// its secondaries, which were not packed, and all of them to be sound.
func agree(t *testing.T, primary database, secondaries ...database) {
	t.Helper()
	want := check(t, driver.Modern, primary)
	var wg sync.WaitGroup
	for _, db := range secondaries {
		wg.Go(func() {
			sound(t, db)
			got := check(t, driver.Modern, db)
			if got.LastTID != want.LastTID {
				t.Errorf("%s ends with %s, want %s", db.data, got.LastTID, want.LastTID)
			}
			for oid, digest := range want.Current {
				if got.Current[oid] != digest {
					t.Errorf("%s: object %s differs", db.data, oid)
				}
			}
		})
	}
	wg.Wait()
}
