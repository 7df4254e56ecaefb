package interop

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"zrs/interop/driver"
)

// copied makes a copy of a database that nobody has open.
func copied(t *testing.T, db database) database {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Dir(db.data))); err != nil {
		t.Fatal(err)
	}
	to := database{data: filepath.Join(dir, filepath.Base(db.data))}
	if db.blobs != "" {
		to.blobs = filepath.Join(dir, filepath.Base(db.blobs))
	}
	return to
}

// A rewound is what zrs rewind says.
type rewound struct {
	Relation, Salvage string
	Changed           bool
	Transactions      int
	Kept              string `json:"kept_tid"`
	Cut               []struct{ TID string }
}

func rewindJSON(t *testing.T, want int, db database, args ...string) (r rewound) {
	t.Helper()
	code, stdout, stderr := runZRS(t, append(append([]string{"rewind", "--json"}, args...), db.args()...)...)
	if code != want {
		t.Fatalf("zrs rewind %q: exit code %d, want %d\n%s%s", args, code, want, stdout, stderr)
	}
	if code == 0 || code == 6 {
		if err := json.Unmarshal([]byte(stdout), &r); err != nil {
			t.Fatalf("%v\n%s", err, stdout)
		}
	}
	return r
}

// forked makes two databases that the real ZODB let part: what they have in
// common, what the old one is, and the new one.
func forked(t *testing.T, env driver.Env) (common, old, fresh database) {
	t.Helper()
	common = seeded(t)
	s := openStorage(t, env, common)
	churn(s)
	last := s.put("undone in the fork", 1)
	s.close()
	old, fresh = copied(t, common), copied(t, common)
	s = openStorage(t, env, old)
	s.undo(last)
	churn(s)
	s.undo(s.undo(s.put("mine", 3)))
	s.delete(s.raw(raw{Sizes: []int{100, 100_000}})[0])
	s.close()
	s = openStorage(t, env, fresh)
	churn(s)
	s.put("theirs", 4)
	s.close()
	return common, old, fresh
}

// TestRewind takes the old primary of two that have parted back to what they have
// in common: the real ZODB finds in it what was there then, and it can follow.
func TestRewind(t *testing.T) {
	for _, env := range []driver.Env{driver.Modern, driver.Legacy} {
		for _, kind := range []string{"file", zrsKind, zczrsKind} {
			t.Run(string(env)+"-"+kind, func(t *testing.T) {
				t.Parallel()
				common, old, fresh := forked(t, env)
				before := copied(t, old)
				writer, source, _ := catchupSource(t, kind, fresh)

				dry := rewindJSON(t, 6, old, "--against", source)
				if dry.Changed || dry.Relation != "diverged" || dry.Kept != lastTID(t, common.data) {
					t.Errorf("without --yes: %+v", dry)
				}
				if left := filesIn(t, filepath.Dir(old.data)); slices.ContainsFunc(left, func(f string) bool { return strings.Contains(f, "salvage") }) {
					t.Errorf("without --yes: %q", left)
				}
				got := rewindJSON(t, 0, old, "--against", source, "--yes")
				if !got.Changed || got.Transactions != dry.Transactions || len(got.Cut) != got.Transactions {
					t.Errorf("%+v", got)
				}
				identical(t, common, old) // and ZODB opens it with its index
				if theirs, ours := check(t, env, common), check(t, env, old); !maps.Equal(theirs.Current, ours.Current) || theirs.Digest != ours.Digest {
					t.Error("ZODB finds other objects than those that were there")
				}

				checkSalvage(t, env, got.Salvage, common, before)
				writeOn(t, env, old)

				code, _, stderr := runZRS(t, append([]string{"catchup", "-q", "--blob-dir", old.blobs}, catchupArgs(kind, fresh, source, old)...)...)
				if code != 0 {
					t.Fatalf("catchup: exit code %d\n%s", code, stderr)
				}
				writer.close()
				identical(t, fresh, old)
			})
		}
	}
}

func catchupArgs(kind string, fresh database, source string, old database) []string {
	if kind == "file" {
		return []string{"--source-blob-dir", fresh.blobs, source, old.data}
	}
	return []string{source, old.data}
}

// writeOn has ZODB write to a copy of the database.
func writeOn(t *testing.T, env driver.Env, db database) {
	t.Helper()
	db = copied(t, db)
	s := openStorage(t, env, db)
	churn(s)
	s.close()
	sound(t, db)
}

// checkSalvage holds what a salvage must be: exactly what was cut, for zrs, ZODB
// and zodbtools.
func checkSalvage(t *testing.T, env driver.Env, salvage string, common, before database) {
	t.Helper()
	text := mustRead(t, filepath.Join(salvage, "orphans.zodbdump"))
	want := mustTool(t, driver.Tools, nil, "zodb", "dump", before.data, next(t, before.data, lastTID(t, common.data))+"..")
	if a, b := bytes.Count(text, []byte("\ntxn ")), bytes.Count(want, []byte("\ntxn ")); a != b {
		t.Errorf("the dump has %d transactions, want %d", a+1, b+1)
	}
	for _, restore := range []func(database){
		func(db database) {
			mustZRS(t, nil, "restore", "-q", filepath.Join(salvage, "orphans.zodbdump"), db.data, "--blobs-from", filepath.Join(salvage, "blobs"), "--blob-dir", db.blobs)
			identical(t, before, db)
		},
		func(db database) {
			mustTool(t, driver.Tools, text, "zodb", "restore", db.data)
			sameDump(t, "what zodbtools restored", mustZRS(t, nil, "dump", db.data), mustZRS(t, nil, "dump", before.data))
		},
	} {
		restore(copied(t, common))
	}
	orphans := database{data: filepath.Join(salvage, "orphans.fs"), blobs: filepath.Join(salvage, "blobs")}
	all := check(t, env, before).Digests
	cut := all[len(all)-len(check(t, env, orphans).Digests):]
	for i, d := range check(t, env, orphans).Digests {
		// The first is an undo of a transaction that is not in the salvage.
		if d.TID != cut[i].TID || d.Records != cut[i].Records && i > 0 {
			t.Errorf("ZODB finds another transaction %s in the salvage than in the file", d.TID)
		}
	}
}

// next returns the transaction after tid.
func next(t *testing.T, path, tid string) string {
	t.Helper()
	txns, err := transactions(path)
	if err != nil {
		t.Fatal(err)
	}
	return txns[slices.IndexFunc(txns, func(x txn) bool { return x.tid == tid })+1].tid
}

// TestRewind_packed takes a file that ZODB has packed back to each of its
// transactions. Where that is not refused, ZODB finds the objects that the
// unpacked file had then, all that can be reached.
func TestRewind_packed(t *testing.T) {
	for _, gc := range []bool{false, true} {
		full := seeded(t)
		s := openStorage(t, driver.Modern, full)
		churn(s)
		middle := s.drop(dropped(s))
		s.undo(s.put("late", 1))
		churn(s)
		s.close()
		packed := copied(t, full)
		s = openStorage(t, driver.Modern, packed)
		s.pack(middle, gc)
		s.close()

		txns, err := transactions(packed.data)
		if err != nil {
			t.Fatal(err)
		}
		refused := 0
		for i, x := range txns[:len(txns)-1] {
			if x.status == 'p' && i%3 > 0 && txns[i+1].status == 'p' {
				continue // they are many
			}
			db := copied(t, packed)
			code, stdout, stderr := runZRS(t, append([]string{"rewind", "--yes", "--to", x.tid, "--allow-missing-blobs"}, db.args()...)...)
			switch {
			case code == 4 && x.status == 'p' && txns[i+1].status == 'p':
				refused++
				continue
			case code != 0 && code != 8:
				t.Fatalf("--to %s: exit code %d\n%s%s", x.tid, code, stdout, stderr)
			}
			sound(t, db)
			as := copied(t, full)
			// The unpacked file, as of just before the next transaction of the packed one.
			rewindJSON(t, 0, as, "--yes", "--to", before(t, full.data, txns[i+1].tid))
			ours, theirs := check(t, driver.Modern, db), check(t, driver.Modern, as)
			for oid, digest := range ours.Current {
				if theirs.Current[oid] != digest {
					t.Errorf("gc %v: object %s as of %s is not what it was", gc, oid, x.tid)
				}
			}
			if !gc && len(ours.Current) != len(theirs.Current) {
				t.Errorf("%d objects as of %s, there were %d", len(ours.Current), x.tid, len(theirs.Current))
			}
		}
		if refused < 3 {
			t.Errorf("gc %v: only %d were refused", gc, refused)
		}
	}
}

// dropped makes an object and returns its name, for it to be dropped.
func dropped(s *storage) string {
	s.put("dropped", 7)
	return "dropped"
}

// before returns the last transaction that is earlier than tid.
func before(t *testing.T, path, tid string) string {
	t.Helper()
	txns, err := transactions(path)
	if err != nil {
		t.Fatal(err)
	}
	last := ""
	for _, x := range txns {
		if x.tid < tid {
			last = x.tid
		}
	}
	return last
}

// TestRewind_killed kills zrs rewind at random moments, again and again, until it
// gets to the end: everything is as if it had not been killed.
func TestRewind_killed(t *testing.T) {
	common, old, fresh := forked(t, driver.Modern)
	was := copied(t, old)
	zrs, err := zrsBinary()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	kills := 0
	for round := range 20 {
		db := copied(t, was)
		for limit := 20 * time.Millisecond; ; limit += 2 * time.Millisecond {
			args := append([]string{"rewind", "--yes"}, db.args()...)
			if round%3 == 0 {
				args = append(args, "--salvage", db.data+".salvage-here")
			}
			if _, err := os.Stat(db.data + ".rewind"); err != nil || round%2 == 0 {
				args = append(args, "--against", fresh.data) // else what was begun is ended
			}
			cmd := exec.CommandContext(patiently(t), zrs, args...)
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			timer := time.AfterFunc(time.Duration(rng.Int64N(int64(limit))), func() { cmd.Process.Signal(syscall.SIGKILL) })
			err := cmd.Wait()
			timer.Stop()
			if err == nil {
				break
			}
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
				t.Fatalf("round %d: %v\n%s", round, err, &out)
			}
			kills++
		}
		if data, blobs := differences(t, common, db); data != "" || blobs != nil {
			t.Fatalf("round %d: %s %q", round, data, blobs)
		}
		found, err := filepath.Glob(db.data + ".salvage-*")
		if err != nil || len(found) != 1 {
			t.Fatalf("round %d: salvages %q, %v", round, found, err)
		}
		if _, err := os.Stat(db.data + ".rewind"); err == nil {
			t.Errorf("round %d: the journal is left", round)
		}
		mustZRS(t, nil, "restore", "-q", filepath.Join(found[0], "orphans.zodbdump"), db.data, "--blobs-from", filepath.Join(found[0], "blobs"), "--blob-dir", db.blobs)
		if data, blobs := differences(t, was, db); data != "" || blobs != nil {
			t.Errorf("round %d: restored: %s %q", round, data, blobs)
		}
	}
	if sound(t, common); kills < 20 {
		t.Errorf("only %d kills", kills)
	}
}
