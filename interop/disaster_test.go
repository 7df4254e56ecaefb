package interop

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"zrs/interop/driver"
)

// A serverStatus is what zrs status --json prints, as far as these tests need it.
type serverStatus struct {
	Role, Epoch, Health, Reason, Message string
	LastTID                              string `json:"last_tid"`
	Source                               *struct {
		Address, State string
		LastTID        string `json:"last_tid"`
	}
	Peers []struct {
		State      string
		DurableTID string `json:"durable_tid"`
	}
}

// statusOf asks a server for its state.
func statusOf(t *testing.T, target string) (s serverStatus) {
	t.Helper()
	code, stdout, stderr := runZRS(t, "status", "--json", target)
	if err := json.Unmarshal([]byte(stdout), &s); err != nil {
		t.Fatalf("zrs status %s: exit code %d, %s%s", target, code, stdout, stderr)
	}
	if (code == 0) != (s.Health == "optimal") {
		t.Errorf("zrs status %s: exit code %d, health %s", target, code, s.Health)
	}
	return s
}

// becomes waits until a server's state has a health and a reason, and tells how
// long that took.
func becomes(t *testing.T, target, health, reason string) (s serverStatus) {
	t.Helper()
	began := time.Now()
	defer func() { t.Logf("%s: %s after %v", health, reason, time.Since(began).Round(time.Millisecond)) }()
	eventually(t, target+" is "+health+": "+reason, func() bool {
		s = statusOf(t, target)
		return s.Health == health && s.Reason == reason
	})
	return s
}

// mustRun runs a zrs command that has to end with a code.
func mustRun(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	code, stdout, stderr := runZRS(t, args...)
	if code != want {
		t.Fatalf("zrs %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), code, want, stdout, stderr)
	}
	return stdout, stderr
}

// commits has a client of a ZEO server commit so many transactions, some of them
// with blobs, and one more without: ZEO stores a new blob's record twice, and ZODB
// believes no index, its own included, if that is the end of the file.
func commits(t *testing.T, z *zeoServer, seed, count int) {
	t.Helper()
	client := startZEOClient(t, z)
	defer client.do("close", nil, nil)
	for _, work := range []driver.Args{
		{"name": "client", "seed": seed, "count": count, "blobs": 0.2},
		{"name": "client", "seed": seed, "count": 1},
	} {
		var report clientReport
		client.do("start", work, nil)
		client.do("wait", driver.Args{"timeout": patience.Seconds()}, &report)
		if report.Error != "" {
			t.Fatalf("client: %s", report.Error)
		}
	}
}

// tids returns the transactions of a data file, oldest first.
func tids(t *testing.T, path string) (all []string) {
	t.Helper()
	txns, err := transactions(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range txns {
		all = append(all, x.tid)
	}
	return all
}

// A disaster is a primary with two secondaries, of which one takes over.
type disaster struct {
	t                  *testing.T
	rnd                *rand.Rand
	kills              bool // of promotions and rewinds
	old, next, third   database
	oldProxy, newProxy *proxy
	thirdProxy         *proxy // to the old primary, for the third
	fast               []string
}

// TestDisaster loses a primary with transactions that were not replicated,
// promotes a secondary while it runs, and brings the old primary home.
func TestDisaster(t *testing.T) {
	for round := range 4 {
		kills, name := round > 0, "undisturbed"
		if kills {
			name = fmt.Sprint("killed-at-random-", round)
		}
		t.Run(name, func(t *testing.T) {
			seed := uint64(time.Now().UnixNano())
			t.Logf("seed %d", seed)
			d := &disaster{
				t: t, rnd: rand.New(rand.NewPCG(seed, 0)), kills: kills,
				old: newDatabase(t, true), next: newDatabase(t, true), third: newDatabase(t, true),
				fast: []string{"--reconnect-delay=50ms", "--reconnect-max=400ms"},
			}
			d.run()
		})
	}
}

func (d *disaster) run() {
	t := d.t
	z := startZEO(t, driver.Modern, d.old)
	primary, address := servePrimary(t, d.old)
	d.oldProxy = startProxy(t, address)
	second := serveSecondary(t, d.next, d.oldProxy.address(), append(d.fast, "--replicate-to=127.0.0.1:0")...)
	d.newProxy = startProxy(t, second.listening())
	d.thirdProxy = startProxy(t, address)
	third := serveSecondary(t, d.third, d.thirdProxy.address()+","+d.newProxy.address(), d.fast...)

	commits(t, z, 1, 40)
	becomes(t, d.old.data, "optimal", "serving")
	for _, db := range []database{d.next, d.third} {
		eventually(t, "a secondary at the end", func() bool { return lastTID(t, db.data) == lastTID(t, d.old.data) })
		becomes(t, db.data, "optimal", "caught-up")
	}
	common := lastTID(t, d.old.data)

	// The network fails first, then the host, while clients commit.
	load := startZEOClient(t, z)
	load.do("start", driver.Args{"name": "load", "seed": 2, "rate": 100, "blobs": 0.2}, nil)
	eventually(t, "commits under way", func() bool { return lastTID(t, d.old.data) != common })
	for _, p := range []*proxy{d.thirdProxy, d.oldProxy} { // so the second has at least as much
		p.set(faults{refuse: true})
		p.cut()
	}
	becomes(t, d.next.data, "degraded", "refused")
	becomes(t, d.third.data, "degraded", "disconnected") // by way of the second
	common = lastTID(t, d.next.data)
	eventually(t, "orphans", func() bool { return len(after(t, d.old.data, common)) > 3 })
	primary.kill()
	z.Kill()
	load.Kill()
	orphans := after(t, d.old.data, common)

	d.promote(second)
	if d.kills { // it was promoted where it stood, and is served anew
		_, address := servePrimary(t, d.next)
		d.newProxy.redirect(address)
	}
	if s := becomes(t, d.next.data, "optimal", "serving"); s.Role != "primary" {
		t.Errorf("after the promotion: %+v", s)
	}
	z = startZEO(t, driver.Modern, d.next)
	commits(t, z, 3, 20)
	eventually(t, "the third follows by itself", func() bool { return lastTID(t, d.third.data) == lastTID(t, d.next.data) })
	if a, b := statusOf(t, d.third.data), statusOf(t, d.next.data); a.Epoch != b.Epoch {
		t.Errorf("the third is in epoch %s, its primary in %s", a.Epoch, b.Epoch)
	}

	third = d.oldPrimaryReturns(third)
	d.comesHome(common, orphans)
	home := serveSecondary(t, d.old, d.newProxy.address(), d.fast...)
	commits(t, z, 4, 10)
	z.stop()
	last := lastTID(t, d.next.data)
	for _, db := range []database{d.old, d.third} {
		eventually(t, "a secondary at the end", func() bool { return lastTID(t, db.data) == last })
	}
	home.terminate()
	third.terminate()
	d.verify()
}

// after returns the transactions of a data file that are later than one of them.
func after(t *testing.T, path, tid string) []string {
	t.Helper()
	all := tids(t, path)
	i := slices.Index(all, tid)
	if i < 0 {
		t.Fatalf("%s is not in %v", tid, all)
	}
	return all[i+1:]
}

// promote makes the second storage the primary, while its server runs.
func (d *disaster) promote(second *zrs) {
	t := d.t
	socket := d.next.data + ".control"
	mustRun(t, 6, "promote", "--control", socket, "--expect-tid", "7fffffffffffffff")
	mustRun(t, 6, "promote", "--control", socket, "--fence-cmd", "exit 1")
	mustRun(t, 11, "promote", d.next.data)
	stdout, _ := mustRun(t, 0, "promote", "--control", socket, "--dry-run", "--json")
	var report struct{ Promoted bool }
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || report.Promoted {
		t.Errorf("the dry run says %s", stdout)
	}
	if !d.kills {
		mustRun(t, 0, "promote", "--control", socket)
		return
	}
	// It is killed at any moment of that, and promoted where it stands.
	done := make(chan struct{})
	go func() {
		defer close(done)
		runZRS(t, "promote", "--control", socket)
	}()
	time.Sleep(time.Duration(d.rnd.IntN(30)) * time.Millisecond)
	second.kill()
	<-done
	mustRun(t, 0, append([]string{"promote"}, d.next.args()...)...)
	d.checkPromoted()
}

// checkPromoted wants there to be one new epoch, whatever was killed.
func (d *disaster) checkPromoted() {
	b, err := os.ReadFile(d.next.data + ".zrs")
	if err != nil {
		d.t.Fatal(err)
	}
	var sidecar struct {
		Role      string
		Ancestors []any
	}
	if err := json.Unmarshal(b, &sidecar); err != nil || sidecar.Role != "primary" || len(sidecar.Ancestors) != 1 {
		d.t.Errorf("the sidecar says %s", b)
	}
}

// oldPrimaryReturns starts the old primary as if nothing had been, until a
// secondary that has met the new one comes to it. It returns that one.
func (d *disaster) oldPrimaryReturns(third *zrs) *zrs {
	t := d.t
	returned, address := servePrimary(t, d.old)
	d.thirdProxy.redirect(address)
	d.thirdProxy.set(faults{})
	third.kill()
	third = serveSecondary(t, d.third, d.thirdProxy.address()+","+d.newProxy.address(), d.fast...)
	third.waitLog("the source does not fit and is not tried again", 1)
	becomes(t, d.old.data, "failed", "superseded")
	becomes(t, d.third.data, "optimal", "caught-up")
	if code := returned.terminate(); code != 4 {
		t.Errorf("the old primary: exit code %d, want 4", code)
	}
	code, _, stderr := runZRS(t, append(append([]string{"serve-primary"}, d.old.args()...), "--replicate-to=127.0.0.1:0")...)
	if code != 6 || !strings.Contains(stderr, "another primary was promoted since") {
		t.Errorf("the old primary starts again: exit code %d, %s", code, stderr)
	}
	return third
}

// comesHome rewinds the old primary, which keeps the orphans in a salvage.
func (d *disaster) comesHome(common string, orphans []string) {
	t := d.t
	refused := serveSecondary(t, d.old, d.newProxy.address(), d.fast...)
	refused.waitLog("replication has stopped, nothing was changed", 1)
	becomes(t, d.old.data, "failed", "diverged")
	if code := refused.terminate(); code != 4 {
		t.Errorf("the old primary as a secondary: exit code %d, want 4", code)
	}
	stdout, _ := mustRun(t, 1, "verify", "--json", d.old.data, d.newProxy.address())
	var found struct {
		Relation string
		A        struct {
			OnlyCount int `json:"only_count"`
		}
	}
	if err := json.Unmarshal([]byte(stdout), &found); err != nil || found.Relation != "diverged" || found.A.OnlyCount != len(orphans) {
		t.Errorf("zrs verify: %s, want %d orphans", stdout, len(orphans))
	}
	before, err := os.ReadFile(d.old.data)
	if err != nil {
		t.Fatal(err)
	}

	salvage := filepath.Join(t.TempDir(), "salvage")
	rewind := append([]string{"rewind", "--yes", "--against", d.newProxy.address(), "--salvage", salvage}, d.old.args()...)
	for d.kills {
		z := startZRS(t, rewind[0], rewind[1:]...)
		select {
		case <-z.done:
		case <-time.After(time.Duration(d.rnd.IntN(60)) * time.Millisecond):
			z.kill()
		}
		d.kills = z.cmd.ProcessState.ExitCode() != 0 && d.rnd.IntN(8) != 0
	}
	mustRun(t, 0, rewind...)
	if got := lastTID(t, d.old.data); got != common {
		t.Errorf("rewound, it ends with %s, want %s", got, common)
	}

	// The salvage is exactly the orphans, and makes the file again what it was.
	again := newDatabase(t, true)
	after, err := os.ReadFile(d.old.data)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(again.data, after, 0o600); err != nil {
		t.Fatal(err)
	}
	mustRun(t, 0, "restore", filepath.Join(salvage, "orphans.zodbdump"), again.data,
		"--blobs-from", filepath.Join(salvage, "blobs"), "--blob-dir", again.blobs)
	if got, err := os.ReadFile(again.data); err != nil || string(got) != string(before) {
		t.Errorf("restored from the salvage it has %d bytes, %v, it had %d", len(got), err, len(before))
	}
	if got := tids(t, again.data); strings.Join(got[len(got)-len(orphans):], " ") != strings.Join(orphans, " ") {
		t.Errorf("the salvage has %v, want %v", got[len(got)-len(orphans):], orphans)
	}
}

// verify wants all three to be equal, and sound to ZODB.
func (d *disaster) verify() {
	t := d.t
	for _, db := range []database{d.old, d.third} {
		mustRun(t, 0, "verify", "--blob-dir", d.next.blobs, "--other-blob-dir", db.blobs, d.next.data, db.data)
		sound(t, db)
	}
	check(t, driver.Modern, d.next) // its index is that of ZEO, which may have saved none
}
