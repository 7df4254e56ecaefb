package repl

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"zrs/internal/fs"
)

// verdict says in a word how a comparison ended.
func verdict(err error) string {
	d, diverged := errors.AsType[*DivergedError](err)
	switch {
	case err == nil:
		return "agree"
	case diverged:
		return fmt.Sprintf("diverged after %d, %d here, %d there", d.Common>>32, d.OnlyHere, d.OnlyThere)
	case errors.Is(err, ErrAhead):
		return "ahead"
	case errors.Is(err, ErrPackedPast):
		return "packed past"
	case errors.Is(err, ErrDiverged):
		return "diverged"
	}
	return err.Error()
}

// catchUp makes two data files and brings the first up to the second. It checks
// what must be so whatever comes of it.
func catchUp(t *testing.T, here, there []txn, check CheckHistory) (ours, theirs string, err error) {
	dir := memoryDir(t)
	ours, theirs = filepath.Join(dir, "ours.fs"), filepath.Join(dir, "theirs.fs")
	writeTxns(t, ours, here)
	writeTxns(t, theirs, there)
	plain := copyFile(t, filepath.Join(dir, "plain.fs"), ours)
	if len(blobFiles(t, ours+".blobs")) > 0 {
		copyBlobs(t, plain+".blobs", ours+".blobs")
	}
	plainErr := catchUpFiles(t, plain, theirs, check, ProtocolPlain)
	err = catchUpFiles(t, ours, theirs, check, ProtocolZRS1)
	if got, want := verdict(plainErr), verdict(err); got != want && check != CheckNone {
		t.Errorf("spoken to as zc.zrs: %s, as zrs: %s", got, want)
	}
	checkSame(t, plain, ours)
	checkSameBlobs(t, plain+".blobs", ours+".blobs")
	return ours, theirs, err
}

func catchUpFiles(t *testing.T, ours, theirs string, check CheckHistory, protocol Protocol) error {
	ourBlobs, theirBlobs := ours+".blobs", theirs+".blobs"
	if len(blobFiles(t, theirBlobs)) == 0 && len(blobFiles(t, ourBlobs)) == 0 {
		ourBlobs, theirBlobs = "", ""
	}
	before := takeSnapshot(t, ours, ourBlobs)
	src, stop := servePipes(t, newPrimary(t, theirs, theirBlobs))
	src.Protocol = protocol
	s := newSecondary(t, ours, ourBlobs, src)
	s.CheckHistory = check
	err := s.Catchup(t.Context(), 0, false)
	closeSecondary(t, s)
	stop()
	if err != nil {
		before.checkUnchanged(t, ours, ourBlobs)
	}
	return err
}

func isPacked(txns []txn) bool {
	return slices.ContainsFunc(txns, func(x txn) bool { return x.status == fs.StatusPacked })
}

// checkAgrees checks what an agreement is worth: we have every transaction that
// came after our last, and what exists in the source is the same here. We may
// have objects that it does not know, and if we were packed we may lack garbage.
func checkAgrees(t *testing.T, ours, theirs []txn) {
	t.Helper()
	if len(ours) == 0 || len(theirs) == 0 || ours[len(ours)-1].tid < theirs[len(theirs)-1].tid {
		t.Errorf("we have %d transactions after catching up with %d", len(ours), len(theirs))
	}
	here, known := state(ours), make(map[fs.OID]bool)
	for _, x := range theirs {
		for _, r := range x.recs {
			known[r.oid] = true
		}
	}
	there := state(theirs)
	for oid, data := range there {
		if got, ok := here[oid]; got != data && (ok || !isPacked(ours)) {
			t.Errorf("object %s is %q here, %q there", oid, got, data)
		}
	}
	for oid := range here {
		if _, exists := there[oid]; known[oid] && !exists {
			t.Errorf("object %s exists here, and is gone there", oid)
		}
	}
}

func checkVerdict(t *testing.T, here, there []txn, check CheckHistory, want string, trust bool) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs, err := catchUp(t, here, there, check)
		if got := verdict(err); got != want {
			t.Errorf("Catchup() with check %d = %s, want %s", check, got, want)
		}
		if err == nil && !trust {
			checkAgrees(t, readTxns(t, ours), readTxns(t, theirs))
		}
	})
}

// In most of these a few transactions say it all. Each is tried as it is and
// behind a common history that is longer than what is compared at first.
func TestHistory(t *testing.T) {
	for _, test := range []struct {
		name        string
		here, there string
		want        string // of tail and full
		full        string // of full, if that is another
		alone       bool   // not with a history before it
		trust       bool   // the tail is accepted though the two differ
	}{
		{name: "equal", here: "1 a=1; 2 b=1", there: "1 a=1; 2 b=1", want: "agree"},
		{name: "behind", here: "1 a=1", there: "1 a=1; 2 b=1; 3 a=2", want: "agree"},
		{name: "ahead", here: "1 a=1; 2 b=1; 3 a=2", there: "1 a=1", want: "ahead"},
		{name: "source-empty", here: "1 a=1", there: "", want: "ahead", alone: true},
		{name: "texts-kept", here: "1/me a=1", there: "1/me a=1; 2/you b=1", want: "agree"},

		// Forks.
		{name: "fork-of-one", here: "1 a=1; 2 a=2", there: "1 a=1; 3 a=3", want: "diverged after 1, 1 here, 0 there"},
		{name: "fork-earlier-there", here: "1 a=1; 3 a=2", there: "1 a=1; 2 a=3", want: "diverged after 1, 1 here, 1 there"},
		{name: "fork-interleaved", here: "1 a=1; 2 a=2; 4 a=4", there: "1 a=1; 3 a=3; 5 a=5", want: "diverged after 1, 2 here, 1 there"},
		{name: "fork-new-objects", here: "1 a=1; 2 b=1", there: "1 a=1; 3 b=2", want: "diverged after 1, 1 here, 0 there"},
		{name: "fork-same-tid-data", here: "1 a=1; 2 a=2", there: "1 a=1; 2 a=3", want: "diverged after 1, 0 here, 0 there"},
		{name: "fork-same-tid-user", here: "1 a=1; 2/me a=2", there: "1 a=1; 2/you a=2", want: "diverged after 1, 0 here, 0 there"},
		{name: "fork-same-tid-missing-here", here: "1 a=1; 2 a=2", there: "1 a=1; 2 a=2 b=2", want: "diverged after 1, 0 here, 0 there"},
		{name: "fork-same-tid-missing-there", here: "1 a=1; 2 a=2 b=2", there: "1 a=1; 2 a=2", want: "diverged after 1, 0 here, 0 there"},
		{name: "fork-same-tid-gone", here: "1 a=1; 2 a=-", there: "1 a=1; 2 a=2", want: "diverged after 1, 0 here, 0 there"},
		{name: "fork-same-tid-order", here: "1 a=1; 2 a=2 b=2", there: "1 a=1; 2 b=2 a=2", want: "diverged after 1, 0 here, 0 there"},
		{name: "fork-only-texts", here: "1 a=1; 2 ", there: "1 a=1; 3 ", want: "diverged after 1, 1 here, 0 there"},

		// G7. The other database never had any of ours.
		{name: "unrelated-older", here: "5 a=1; 6 b=1", there: "1 a=9; 2 b=9", want: "diverged after 0, 2 here, 2 there", alone: true},
		{name: "unrelated-newer", here: "1 a=1; 2 b=1", there: "5 a=9; 6 b=9", want: "diverged after 0, 2 here, 0 there", alone: true},
		{name: "unrelated-mixed", here: "1 a=1; 4 b=1", there: "2 a=9; 6 b=9", want: "diverged after 0, 2 here, 1 there", alone: true},
		{name: "unrelated-packed", here: "1 a=1; 2 b=1", there: "5p a=9 b=9; 6p b=9", want: "packed past", alone: true},
		{name: "unrelated-we-packed", here: "5p a=1; 6p b=1", there: "1 a=9; 2 b=9", want: "packed past", alone: true},

		// A hole of ours, as a killed zc.zrs secondary leaves it (G2).
		{name: "hole", here: "1 a=1; 3 a=3", there: "1 a=1; 2 b=2; 3 a=3", want: "diverged after 1, 0 here, 1 there"},
		{name: "hole-in-source", here: "1 a=1; 2 b=2; 3 a=3", there: "1 a=1; 3 a=3; 4 a=4", want: "diverged after 1, 1 here, 0 there"},

		// The source was packed, not past our end.
		{name: "packed-nothing-dropped", here: "1 a=1; 2 b=1; 3 c=1", there: "1p a=1; 2p b=1; 3 c=1; 4 a=2", want: "agree"},
		{name: "packed-records-dropped", here: "1 a=1 b=1; 2 a=2; 3 c=1", there: "1p b=1; 2p a=2; 3 c=1; 4 a=3", want: "agree"},
		{name: "packed-txns-dropped", here: "1 a=1; 2 b=1; 3 a=2; 4 c=1", there: "2p b=1; 3p a=2; 4 c=1; 5 c=2", want: "agree", alone: true},
		{name: "packed-garbage-record", here: "1 a=1 x=1; 2 b=1; 3 c=1", there: "1p a=1; 2p b=1; 3 c=1; 4 c=2", want: "agree"},
		{name: "packed-garbage-txn", here: "1 a=1; 2 x=1; 3 c=1", there: "1p a=1; 3 c=1; 4 c=2", want: "agree"},
		{name: "packed-undone-creation", here: "1 a=1 x=1; 2 x=-; 3 c=1", there: "1p a=1; 3 c=1; 4 c=2", want: "agree"},
		{name: "packed-gap-before-mark", here: "1 a=1; 2 b=1; 3 b=2", there: "1 a=1; 3p b=2; 4 c=1", want: "agree"},
		{name: "packed-gap-after-mark", here: "1 a=1; 2 b=1; 3 b=2", there: "1p a=1; 3 b=2; 4 c=1", want: "agree"},
		{name: "packed-data-differs", here: "1 a=1; 2 b=1", there: "1p a=9; 2 b=1; 3 c=1", want: "diverged after 0, 0 here, 0 there"},
		{name: "packed-last-data-differs", here: "1 a=1; 2 b=1", there: "1p a=1; 2p b=9; 3 c=1", want: "diverged after 1, 0 here, 0 there"},
		{name: "packed-has-more", here: "1 a=1; 2 b=1", there: "1p a=1; 2p b=1 c=1; 3 c=2", want: "diverged after 1, 0 here, 0 there"},
		{name: "packed-has-a-txn-more", here: "1 a=1; 3 b=1", there: "1p a=1; 2p c=1; 3p b=1; 4 c=2", want: "diverged after 1, 0 here, 1 there"},
		{name: "packed-twice-the-object", here: "1 a=1; 2 b=1 b=2 c=1; 3 d=1", there: "1p a=1; 2p b=2 c=1; 3 d=1; 4 d=2", want: "agree"},
		{name: "packed-twice-the-same", here: "1 a=1; 2 b=2 c=1 b=2", there: "1p a=1; 2p c=1 b=2; 3 d=2", want: "agree"},
		{name: "packed-twice-the-same-last", here: "1 a=1; 2 b=2 c=1 b=2", there: "1p a=1; 2p b=2; 3p c=2", want: "agree"},

		// The source was packed past our end.
		{name: "past-superseded", here: "1 a=1; 2 b=1", there: "1p a=1; 3p b=2; 4 a=2", want: "agree"},
		{name: "past-superseded-many", here: "1 a=1; 2 b=1 c=1; 3 b=2 d=1", there: "1p a=1; 5p c=2 d=2; 6p b=3; 7 a=2", want: "agree"},
		{name: "past-superseded-by-removal", here: "1 a=1; 2 b=1", there: "1p a=1; 3p b=-; 4 a=2", want: "agree"},
		{name: "past-garbage", here: "1 a=1; 2 b=1", there: "1p a=1; 3p a=2; 4 a=3", want: "agree"},
		{name: "past-garbage-record", here: "1 a=1; 2 a=2 b=1", there: "2p a=2; 3p a=3; 4 a=4", want: "agree", alone: true},
		{name: "past-undone-creation", here: "1 a=1 b=1; 2 b=-", there: "1p a=1; 3p a=2; 4 a=3", want: "agree"},
		{name: "past-undone-creation-alive", here: "1 a=1 b=1; 2 b=-", there: "1p a=1 b=1; 3p a=2; 4 a=3", want: "packed past"},
		{name: "past-all-gone", here: "1 a=1; 2 b=1", there: "5p a=2 b=2; 6 a=3", want: "packed past", alone: true},

		// A pack that hides a hole, or just garbage that was changed again. That
		// it is garbage is concluded from what comes after it.
		{name: "hidden-hole-in-source", here: "1 a=1; 2 a=2; 3 b=1", there: "1p a=1; 3p b=1; 4 b=2", want: "agree", full: "packed past", trust: true},

		// A fork that a pack hides: what only we have is current here.
		{name: "hidden-fork", here: "1 a=1 b=1; 2 b=2", there: "1p a=1 b=1; 3p a=3; 4 a=4", want: "packed past"},
		{name: "hidden-fork-new-object", here: "1 a=1 b=1; 2 b=2 c=1", there: "1p a=1 b=1; 3p a=3; 4 a=4", want: "packed past"},
		{name: "hidden-fork-theirs-is-earlier", here: "1 a=1 b=1; 3 b=2", there: "1p b=1; 2p a=3; 4 a=4", want: "diverged after 1, 1 here, 1 there"},
		{name: "hidden-fork-later", here: "1 a=1; 2 b=1; 3 b=2", there: "1p a=1; 2p b=1; 4p a=4; 5 a=5", want: "packed past"},

		// G12. The source's last transaction was packed away.
		{name: "last-packed-away", here: "1 a=1; 2 x=1", there: "1p a=1", want: "ahead", full: "agree"},
		{name: "last-packed-away-continued", here: "1 a=1; 2 x=1", there: "1p a=1; 3 b=1", want: "agree"},
		{name: "last-empty-packed-away", here: "1 a=1; 2 ", there: "1p a=1", want: "agree"},
		{name: "source-packed-and-behind", here: "1 a=1; 2 a=2", there: "1p a=1", want: "ahead"},

		// Our file was packed.
		{name: "we-packed", here: "2p b=1; 3p a=2; 4 c=1", there: "1 a=1; 2 b=1; 3 a=2; 4 c=1; 5 c=2", want: "agree", alone: true},
		{name: "we-packed-records", here: "1p b=1; 2p a=2; 3 c=1", there: "1 a=1 b=1; 2 a=2 c=0; 3 c=1; 4 c=2", want: "agree", alone: true},
		{name: "we-packed-garbage", here: "1p a=1; 3 c=1", there: "1 a=1 x=1; 2 x=2; 3 c=1; 4 c=2", want: "agree"},
		{name: "we-packed-to-the-end", here: "2p a=2 b=1", there: "1 a=1; 2 a=2 b=1; 3 a=3", want: "agree", alone: true},
		{name: "we-packed-last-away", here: "1p a=1", there: "1 a=1; 2 x=1; 3 a=2", want: "agree"},
		{name: "we-packed-lost-a-change", here: "1p a=1; 3 b=1", there: "1 a=1; 2 a=2; 3 b=1; 4 a=4", want: "agree", full: "packed past"},
		{name: "we-packed-lack-a-change", here: "1p a=1; 3 b=1", there: "1 a=1; 2 a=2; 3 b=1; 4 b=2", want: "agree", full: "packed past", trust: true},
		{name: "we-packed-lost-a-record", here: "1p a=1 b=1; 2p b=2; 3 b=3", there: "1 a=1 b=1; 2 a=2 b=2; 3 b=3; 4 a=4", want: "agree", full: "packed past"},
		{name: "we-packed-lack-a-record", here: "1p a=1 b=1; 2p b=2; 3 b=3", there: "1 a=1 b=1; 2 a=2 b=2; 3 b=3; 4 b=4", want: "agree", full: "packed past", trust: true},
		{name: "we-packed-data-differs", here: "1p a=1; 2p b=9", there: "1 a=1; 2 b=1; 3 b=2", want: "diverged after 1, 0 here, 0 there"},
		{name: "we-packed-have-more", here: "1p a=1; 2p b=1 c=1", there: "1 a=1; 2 b=1; 3 b=2", want: "diverged after 1, 0 here, 0 there"},
		{name: "we-packed-twice-the-object", here: "1p a=1; 2p c=1 b=2", there: "1 a=1; 2 b=1 c=1 b=2; 3 d=1", want: "agree"},
		{name: "we-packed-twice-the-same", here: "1p a=1; 2p c=1 b=2", there: "1 a=1; 2 b=2 c=1 b=2; 3 d=1", want: "agree"},
		{name: "we-packed-fork", here: "1p a=1; 2p a=2; 3 a=3", there: "1 a=1; 2 a=2; 4 a=4", want: "diverged after 2, 1 here, 0 there"},

		// Both were.
		{name: "both-packed", here: "1p a=1 b=1; 2p c=1; 3 d=1", there: "2p c=1; 3p d=1; 4p a=2 b=2; 5 c=2", want: "agree", alone: true},
		{name: "both-packed-differently", here: "1p a=1 b=1 c=1; 3 d=1", there: "1p b=1; 2p a=2; 3p d=1; 4 a=4", want: "agree", full: "packed past"},
		{name: "both-packed-records", here: "1p a=1; 2p b=2 d=2", there: "1p a=1; 2p b=2 c=2 d=2; 3 e=1", want: "agree"},
		{name: "both-packed-records-there", here: "1p a=1; 2p b=2 c=2 d=2", there: "1p a=1; 2p b=2 d=2; 3p c=3; 4 e=1", want: "agree"},
		{name: "both-packed-data-differs", here: "1p a=1; 2p b=1", there: "1p a=1; 2p b=9; 3 c=1", want: "diverged after 1, 0 here, 0 there"},
		{name: "both-packed-fork", here: "1p a=1; 2p b=1; 3 b=2", there: "1p a=1; 2p b=1; 4 b=3", want: "packed past"},
		{name: "both-packed-fork-later", here: "1p a=1; 2p b=1; 3 c=1; 4 b=2", there: "1p a=1; 2p b=1; 3 c=1; 5 b=3", want: "diverged after 3, 1 here, 0 there"},

		// Back pointers count as the data that they lead to.
		{name: "undo", here: "1 a=1; 2 a=2; 3 a=1^1", there: "1 a=1; 2 a=2; 3 a=1^1; 4 a=2^2", want: "agree"},
		{name: "undo-packed", here: "1 a=1; 2 a=2; 3 a=1^1", there: "1p a=1; 3 a=1^1; 4 a=5", want: "agree", alone: true},
		{name: "undo-of-what-was-packed-here", here: "1p a=1; 3p a=3", there: "1 a=1; 2 a=2; 3 a=3; 4 a=2^2", want: "agree"},

		// Obsolete transactions are as good as not there.
		{name: "status-u-there", here: "1 a=1; 3 b=1", there: "1 a=1; 2u a=2; 3 b=1; 4 b=2", want: "agree"},
		{name: "status-u-here", here: "1 a=1; 2u a=2; 3 b=1", there: "1 a=1; 3 b=1; 4 b=2", want: "agree"},
		{name: "status-u-here-last", here: "1 a=1; 2u a=2", there: "1 a=1; 3 b=1", want: "agree"},
		{name: "status-u-here-hides-a-hole", here: "1 a=1; 3u a=2", there: "1 a=1; 2 b=1; 4 c=1", want: "diverged after 1, 0 here, 1 there"},
		{name: "status-u-there-last", here: "1 a=1", there: "1 a=1; 2u a=2", want: "agree"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.full == "" {
				test.full = test.want
			}
			here, there := parseTxns(t, test.here), parseTxns(t, test.there)
			checkVerdict(t, here, there, CheckTail, test.want, test.trust)
			checkVerdict(t, here, there, CheckFull, test.full, false)
			if test.alone {
				return
			}
			const before = 20
			here, there = behind(before, here), behind(before, there)
			checkVerdict(t, here, there, CheckTail, moved(test.want, before), test.trust)
			checkVerdict(t, here, there, CheckFull, moved(test.full, before), false)
		})
	}
}

// behind returns txns behind n others, of other objects.
func behind(n int, txns []txn) []txn {
	all := run(1, n)
	for _, x := range txns {
		x.tid += tidOf(n)
		x.recs = slices.Clone(x.recs)
		for i := range x.recs {
			if x.recs[i].dataTxn != 0 {
				x.recs[i].dataTxn += tidOf(n)
			}
		}
		all = append(all, x)
	}
	return all
}

// run returns the transactions of numbers from to to, each of an object of its
// own.
func run(from, to int) []txn {
	var txns []txn
	for n := from; n <= to; n++ {
		txns = append(txns, txn{
			tid: tidOf(n), status: fs.StatusComplete,
			recs: []rec{{oid: fs.OID(1000 + n), data: fmt.Sprint("data of ", n)}},
		})
	}
	return txns
}

// moved returns a verdict about what is behind n others.
func moved(verdict string, n int) string {
	var common int
	if k, _ := fmt.Sscanf(verdict, "diverged after %d", &common); k == 0 {
		return verdict
	}
	return strings.Replace(verdict, fmt.Sprint("after ", common), fmt.Sprint("after ", common+n), 1)
}

// A fork is found wherever it is, and what is only here is counted exactly.
func TestHistory_forkLength(t *testing.T) {
	for _, n := range []int{1, 3, 40, 500} {
		for _, there := range []int{0, 1, n} {
			t.Run(fmt.Sprintf("%d-here-%d-there", n, there), func(t *testing.T) {
				const common = 600
				here, source := run(1, common), run(1, common)
				for i := range n {
					here = append(here, txn{
						tid: tidOf(common+1+i) + 1, status: fs.StatusComplete, user: "me", desc: fmt.Sprint("change ", i),
						recs: []rec{{oid: 1, data: fmt.Sprint("ours ", i)}},
					})
				}
				for i := range there {
					source = append(source, txn{
						tid: tidOf(common+1+i) + 2, status: fs.StatusComplete,
						recs: []rec{{oid: 1, data: fmt.Sprint("theirs ", i)}},
					})
				}
				want := fmt.Sprintf("diverged after %d, %d here, %d there", common, n, max(0, there-1))
				if there == 0 {
					want = "ahead"
				} else if there < n {
					want = fmt.Sprintf("diverged after %d, %d here, %d there", common, n, there)
				}
				synctest.Test(t, func(t *testing.T) {
					_, _, err := catchUp(t, here, source, CheckTail)
					if got := verdict(err); got != want {
						t.Errorf("Catchup() = %s, want %s", got, want)
					}
					d, ok := errors.AsType[*DivergedError](err)
					if !ok {
						return
					}
					if len(d.First) != min(n, maxListed) {
						t.Fatalf("%d transactions are listed, want %d", len(d.First), min(n, maxListed))
					}
					for i, x := range d.First {
						if want := (OnlyTxn{tidOf(common+1+i) + 1, "me", fmt.Sprint("change ", i)}); x != want {
							t.Errorf("transaction %d of the list is %v, want %v", i, x, want)
						}
					}
				})
			})
		}
	}
}

// What is outside of the part that is compared is not looked at, unless all is.
func TestHistory_window(t *testing.T) {
	here := run(1, 60)
	there := run(1, 61)
	hole := slices.Delete(slices.Clone(here), 30, 31)
	other := slices.Clone(here)
	other[30].recs = []rec{{oid: 1, data: "other"}}
	for _, test := range []struct {
		name       string
		here       []txn
		tail, full string
	}{
		{"hole", hole, "agree", "diverged after 30, 0 here, 1 there"},
		{"other-data", other, "agree", "diverged after 30, 0 here, 0 there"},
	} {
		t.Run(test.name, func(t *testing.T) {
			checkVerdict(t, test.here, there, CheckTail, test.tail, true)
			checkVerdict(t, test.here, there, CheckFull, test.full, false)
		})
	}
}

// With CheckNone the source is believed, as zc.zrs does; only what it refuses
// or sends out of order is not.
func TestHistory_none(t *testing.T) {
	for _, test := range []struct{ name, here, there, want string }{
		{"equal", "1 a=1; 2 a=2", "1 a=1; 2 a=2", "agree"},
		{"behind", "1 a=1", "1 a=1; 2 a=2", "agree"},
		{"other-data", "1 a=1; 2 a=9", "1 a=1; 2 a=2; 3 b=1", "agree"},
		{"fork", "1 a=1; 2 a=9", "1 a=1; 3 a=2", "diverged"},
	} {
		t.Run(test.name, func(t *testing.T) {
			checkVerdict(t, parseTxns(t, test.here), parseTxns(t, test.there), CheckNone, test.want, true)
		})
	}
}

// Blobs are part of what is compared.
func TestHistory_blobs(t *testing.T) {
	for _, test := range []struct{ name, here, there, want string }{
		{"equal", "1 a*hello; 2 b=1", "1 a*hello; 2 b=1; 3 b=2", "agree"},
		{"differs", "1 a*hello; 2 b=1", "1 a*hullo; 2 b=1; 3 b=2", "diverged after 0, 0 here, 0 there"},
		{"shorter-here", "1 a*hell; 2 b=1", "1 a*hello; 2 b=1; 3 b=2", "diverged after 0, 0 here, 0 there"},
		{"longer-here", "1 a*hello!; 2 b=1", "1 a*hello; 2 b=1; 3 b=2", "diverged after 0, 0 here, 0 there"},
		{"missing-there", "1 a*hello; 2 b=1", "1 a*; 2 b=1; 3 b=2", "agree"},
		{"missing-here", "1 a*; 2 b=1", "1 a*hello; 2 b=1; 3 b=2", "agree"},
		{"packed-there", "1 a*hello; 2 b=1", "2p b=1; 3p a*hallo; 4 b=2", "agree"},
		{"packed-here", "2p b=1; 3 b=2", "1 a*hello; 2 a*hallo b=1; 3 b=2; 4 b=3", "agree"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, check := range []CheckHistory{CheckTail, CheckFull} {
				checkVerdict(t, parseTxns(t, test.here), parseTxns(t, test.there), check, test.want, false)
			}
		})
	}
}
