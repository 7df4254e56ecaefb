package interop

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"zrs/interop/driver"
)

// What fails here: connections, secondaries, primaries, the process that writes
// the primary's file. Afterwards both ends must be identical all the same.

// seeded makes a database with a history of all sorts, and closes it.
func seeded(t *testing.T) database {
	t.Helper()
	db := newDatabase(t, true)
	s := openStorage(t, driver.Modern, db)
	s.init()
	s.commit(20, 1, 3000)
	s.putBlobs(1, blobSizes)
	s.undo(s.commit(1, 2, 3000)...)
	s.putBlobs(2, map[string]int{"more": 300_000})
	s.close()
	return db
}

// converge waits until the secondary has all of the primary's database, ends
// both in order and compares.
func converge(t *testing.T, writer *storage, follower *secondary) {
	t.Helper()
	follower.waitFor(writer.last().TID)
	follower.stop()
	writer.close()
	identical(t, writer.database, follower.database)
}

// noLeftovers wants no temporary files in a blob directory.
func noLeftovers(t *testing.T, db database) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(db.blobs, "tmp", "*"))
	if err != nil {
		t.Fatal(err)
	}
	if len(left) > 0 {
		t.Errorf("left in the blob directory: %q", left)
	}
}

// TestCut cuts connections after more and more bytes, in the middle of
// transactions and of blobs.
func TestCut(t *testing.T) {
	forPairs(t, anyPair, func(t *testing.T, p pair) {
		writer, address := startPrimary(t, p.primary, seeded(t))
		proxy := startProxy(t, address)
		cuts := []int64{1, 200, 5000, 60_000, 90_000, 150_000, 300_000}
		proxy.set(faults{cutAfter: cuts[0]})
		replica := newDatabase(t, true)
		follower := startSecondary(t, p.secondary, replica, proxy.address(), false)
		for _, n := range cuts {
			before, _ := proxy.traffic()
			proxy.set(faults{cutAfter: n})
			proxy.cut()
			eventually(t, "two more connections", func() bool {
				now, _ := proxy.traffic()
				return now >= before+2 || lastTID(t, replica.data) == writer.last().TID
			})
		}
		proxy.set(faults{})
		proxy.cut()
		writer.commit(3, 3, 1000)
		converge(t, writer, follower)
		if p.secondary == zrsKind {
			noLeftovers(t, replica)
		}
	})
}

// TestStall lets a connection hang in the middle of a blob, cuts it there, and
// lets the next attempts be refused.
func TestStall(t *testing.T) {
	forPairs(t, anyPair, func(t *testing.T, p pair) {
		writer, address := startPrimary(t, p.primary, seeded(t))
		proxy := startProxy(t, address)
		follower := startSecondary(t, p.secondary, newDatabase(t, true), proxy.address(), false)
		follower.waitFor(writer.last().TID)

		_, before := proxy.traffic()
		writer.putBlobs(3, map[string]int{"large": 30 << 20})
		eventually(t, "a part of the blob", func() bool { _, n := proxy.traffic(); return n > before+1<<20 })
		proxy.set(faults{stall: true})
		writer.commit(3, 3, 1000)
		proxy.set(faults{refuse: true})
		proxy.cut()
		before2, _ := proxy.traffic()
		eventually(t, "a refused connection", func() bool { n, _ := proxy.traffic(); return n > before2 })
		proxy.set(faults{})
		converge(t, writer, follower)
	})
}

// TestKillSecondary kills zrs again and again while it receives. A zc.zrs
// secondary would now and then lose a transaction for ever.
func TestKillSecondary(t *testing.T) {
	forPairs(t, zrsSecondary, func(t *testing.T, p pair) {
		writer, address := startPrimary(t, p.primary, seeded(t))
		replica := newDatabase(t, true)
		var follower *secondary
		for seed := range 5 {
			follower = startSecondary(t, p.secondary, replica, address, false)
			size := fileSize(replica.data)
			writer.commit(20, seed, 5000)
			writer.putBlobs(seed, blobSizes)
			eventually(t, "something received", func() bool { return fileSize(replica.data) > size })
			follower.kill()
		}
		follower = startSecondary(t, p.secondary, replica, address, false)
		writer.commit(3, 5, 1000) // the one before may have got all that there was
		converge(t, writer, follower)
		noLeftovers(t, replica)
	})
}

// TestKillPrimary kills the zrs that serves, and stops another for a while. The
// process that writes the file notices nothing, and the secondary reconnects.
func TestKillPrimary(t *testing.T) {
	forPairs(t, zrsPrimary, func(t *testing.T, p pair) {
		db := seeded(t)
		writer := openStorage(t, driver.Modern, db)
		server, address := servePrimary(t, db)
		proxy := startProxy(t, address)
		follower := startSecondary(t, p.secondary, newDatabase(t, true), proxy.address(), false)
		for seed := range 3 {
			writer.commit(20, seed, 5000)
			server.kill()
			writer.commit(5, seed+10, 5000)
			server, address = servePrimary(t, db)
			proxy.redirect(address)
		}
		follower.waitFor(writer.last().TID)

		server.signal(syscall.SIGSTOP)
		writer.commit(20, 20, 5000)
		server.signal(syscall.SIGCONT)
		converge(t, writer, follower)
		if code := server.terminate(); code != 0 {
			t.Errorf("exit code %d after SIGTERM, want 0", code)
		}
	})
}

// TestKillWriter kills the process that writes the file zrs follows, between
// vote and finish. The next one cuts off what the vote wrote.
func TestKillWriter(t *testing.T) {
	forPairs(t, zrsPrimary, func(t *testing.T, p pair) {
		db := seeded(t)
		_, address := servePrimary(t, db)
		follower := startSecondary(t, p.secondary, newDatabase(t, true), address, false)
		var writer *storage
		for seed, env := range []driver.Env{driver.Modern, driver.Legacy, driver.Modern} {
			writer = openStorage(t, env, db)
			writer.commit(2, seed, 1000)
			follower.waitFor(writer.last().TID)
			writer.vote(raw{Sizes: []int{100 << (8 * seed)}, Seed: seed})
			writer.Kill()
		}
		writer = openStorage(t, driver.Modern, db)
		writer.commit(2, 9, 1000)
		converge(t, writer, follower)
	})
}

// fileSize returns the size of a file, 0 if there is none.
func fileSize(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}
