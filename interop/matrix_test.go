package interop

import (
	"strings"
	"testing"

	"zrs/interop/driver"
)

// A matrixCase is a kind of content. Part of it is there when the secondary
// connects, part is committed while it is connected.
type matrixCase struct {
	name   string
	blobs  bool
	layout string // of the primary's blob directory; automatic if empty

	// before makes what is there at first, with ZODB 6.4.
	before func(s *storage)
	// live commits more while the secondary is connected: with ZODB 5.5.1
	// inside a zc.zrs primary, with ZODB 6.4 beside a zrs primary.
	live func(s *storage)

	// outcomes has the pairs that do not end up identical.
	outcomes map[pair]outcome
}

// An outcome is what is known to happen in place of identity.
type outcome struct {
	// judge compares the ends. Nothing may differ that it does not look at.
	judge func(t *testing.T, primary, secondary database)
	// stuck, if not empty, is logged by a zc.zrs primary at every attempt to
	// go on, and the secondary stays where it was before live.
	stuck string
}

func TestMatrix(t *testing.T) {
	forPairs(t, anyPair, func(t *testing.T, p pair) {
		for _, c := range matrixCases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				c.run(t, p)
			})
		}
	})
}

func (c matrixCase) run(t *testing.T, p pair) {
	primary, replica := newDatabase(t, c.blobs), newDatabase(t, c.blobs)
	want, exceptional := c.outcomes[p]
	if !exceptional {
		want = outcome{judge: identical}
	}

	c.prepare(t, primary)
	writer, address := startPrimary(t, p.primary, primary)
	follower := startSecondary(t, p.secondary, replica, address, false)
	reached := writer.last().TID
	follower.waitFor(reached)

	c.live(writer)
	if want.stuck != "" {
		writer.waitLog(2, want.stuck)
	} else {
		reached = writer.last().TID
		follower.waitFor(reached)
	}
	follower.stop()
	if want.stuck == "" {
		writer.close()
	}

	if got := lastTID(t, replica.data); got != reached {
		t.Fatalf("secondary ends with %s, want %s", got, reached)
	}
	want.judge(t, primary, replica)
}

// prepare makes the database as it is when the secondary connects.
func (c matrixCase) prepare(t *testing.T, db database) {
	t.Helper()
	var options []string
	if c.layout != "" {
		options = []string{"--layout", c.layout}
	}
	s := openStorage(t, driver.Modern, db, options...)
	c.before(s)
	s.close()
}

// identical wants equal data files, equal blobs, and a secondary that ZODB
// opens with its saved index and without a word.
func identical(t *testing.T, primary, secondary database) {
	t.Helper()
	data, blobs := differences(t, primary, secondary)
	if data != "" {
		t.Errorf("data files differ: %s", data)
	}
	if blobs != nil {
		t.Errorf("blobs differ:\n%s", strings.Join(blobs, "\n"))
	}
	sound(t, secondary)
}

// sound wants ZODB to open the database with its saved index, without a word,
// and to find everything in it.
func sound(t *testing.T, db database) {
	t.Helper()
	got := check(t, driver.Modern, db)
	if got.Index != "used" {
		t.Errorf("ZODB: saved index %s, want used", got.Index)
	}
	if got.LastTID != lastTID(t, db.data) {
		t.Errorf("ZODB: last TID %s, want %s", got.LastTID, lastTID(t, db.data))
	}
	if len(got.Warnings) != 0 || len(got.NewFiles) != 0 {
		t.Errorf("ZODB: warnings %q, new files %q, want none", got.Warnings, got.NewFiles)
	}
	if len(got.NoFile) != 0 || len(got.Dangling) != 0 {
		t.Errorf("ZODB: blobs without a file %q, dangling references %q, want none", got.NoFile, got.Dangling)
	}
}
