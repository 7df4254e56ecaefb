package rewind

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"zrs/internal/epoch"
	"zrs/internal/fs"
)

// TestMain lets the test program stand in for a zrs that is killed: with
// ZRS_TEST_KILL=STEP:TID:DIR it rewinds the data file in DIR, and kills itself at
// that step.
func TestMain(m *testing.M) {
	if job, ok := os.LookupEnv("ZRS_TEST_KILL"); ok {
		part := strings.SplitN(job, ":", 3)
		step, _ := strconv.Atoi(part[0])
		last, err := fs.ParseTID(part[1])
		if err == nil {
			_, err = run(context.Background(), part[2], last, func(string) {
				if step--; step < 0 {
					syscall.Kill(os.Getpid(), syscall.SIGKILL)
					select {}
				}
			})
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// killed rewinds the data file in dir in a process that is killed at a step. It
// reports whether there was one.
func killed(t *testing.T, dir string, last fs.TID, step int) bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("ZRS_TEST_KILL=%d:%s:%s", step, last, dir))
	out, err := cmd.CombinedOutput()
	if err == nil {
		return false
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("%v\n%s", err, out)
	}
	return true
}

// salvages returns the salvage directories in dir, those that are not whole too.
func salvages(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(dir + "/Data.fs.salvage-*")
	check(t, err)
	return found
}

// TestKill kills a rewind at each of its steps. What it leaves is sound, and the
// next run makes of it what one that was not killed would have.
func TestKill(t *testing.T) {
	dir := memoryDir(t)
	db, short, done := dir+"/db", dir+"/short", dir+"/done"
	check(t, os.Mkdir(db, 0o777))
	check(t, os.Mkdir(short, 0o777))
	txns := history(rand.New(rand.NewPCG(3, 3)), 1, 40)
	const kept = 12
	last := txns[kept-1].tid
	write(t, db, txns)
	write(t, short, txns[:kept])
	withSidecar(t, db, tidOf(5), tidOf(40))
	appendBytes(t, db, []byte("a torn tail"))
	before, cut := files(t, db), files(t, short)

	copyDir(t, db, done)
	salvage, err := run(t.Context(), done, last, nil)
	check(t, err)
	want, wantSaved := without(files(t, done), filepath.Base(salvage)), files(t, salvage)

	for _, again := range []fs.TID{last, 0} { // the same arguments, or none
		for step := 0; ; step++ {
			at := fmt.Sprintf("%s/%s-%d", dir, again, step)
			copyDir(t, db, at)
			if !killed(t, at, last, step) {
				if step < 20 {
					t.Errorf("only %d steps", step)
				}
				break
			}
			checkLeft(t, step, files(t, at), before, cut)
			r := open(t, at, false)
			stage, _, _ := r.Begun()
			check(t, r.Close())
			if stage != None || again != 0 { // else it was over
				_, err := run(t.Context(), at, again, nil)
				check(t, err)
			}
			saved := salvages(t, at)
			if len(saved) != 1 {
				t.Fatalf("step %d: salvages %q", step, saved)
			}
			if d := differences(without(files(t, at), filepath.Base(saved[0]), ".zrs", ".lock"), without(want, ".zrs", ".lock")); len(d) > 0 {
				t.Errorf("step %d, stage %d: %q are not as without the kill", step, stage, d)
			}
			if d := differences(without(files(t, saved[0]), factsName, readName), without(wantSaved, factsName, readName)); len(d) > 0 {
				t.Errorf("step %d, stage %d: %q of the salvage are not as without the kill", step, stage, d)
			}
			s, err := epoch.Load(at + "/Data.fs")
			check(t, err)
			if s.Role != epoch.Secondary || s.At != last {
				t.Errorf("step %d: sidecar %+v", step, s)
			}
			check(t, os.RemoveAll(at))
		}
	}
}

// checkLeft holds what is true of the database whatever step comes next.
func checkLeft(t *testing.T, step int, left, before, cut map[string]string) {
	t.Helper()
	db := before
	if left["Data.fs"] != before["Data.fs"] {
		if db = cut; left["Data.fs"] != cut["Data.fs"] {
			t.Errorf("step %d: the data file is neither as it was nor cut", step)
		}
	}
	if index, ok := left["Data.fs.index"]; ok && index != db["Data.fs.index"] {
		t.Errorf("step %d: the index is wrong", step)
	}
	for path, blob := range db {
		if strings.HasPrefix(path, "blobs/") && left[path] != blob {
			t.Errorf("step %d: %s is missing", step, path)
		}
	}
}

// TestKill_others has others write the data file after a rewind was killed: what
// they wrote stays.
func TestKill_others(t *testing.T) {
	dir := memoryDir(t)
	db := dir + "/db"
	check(t, os.Mkdir(db, 0o777))
	rng := rand.New(rand.NewPCG(4, 4))
	txns := history(rng, 1, 20)
	last := txns[9].tid
	write(t, db, txns)
	stages := map[Stage]int{}
	for step := 0; ; step++ {
		at := fmt.Sprintf("%s/%d", dir, step)
		copyDir(t, db, at)
		if !killed(t, at, last, step) {
			break
		}
		r := open(t, at, true)
		stage, _, _ := r.Begun()
		_, end := r.Data()
		check(t, r.Close())
		stages[stage]++
		if stage == None {
			break // it was over
		}
		if end.TID == last {
			// Some that were cut come back, then others.
			first := 10 + step%2 // with or without the first
			write(t, at, append(slices.Clone(txns[first:13]), history(rng, 30, 5)...))
			restored := files(t, at)
			_, err := run(t.Context(), at, 0, nil)
			if first == 10 {
				if !errors.Is(err, errNowhere) {
					t.Errorf("step %d: error %v", step, err)
				}
				continue
			}
			check(t, err)
			now, removed := files(t, at), blobsOf(append(slices.Clone(txns[10:first]), txns[13:]...))
			for path := range restored {
				inSalvage := strings.HasPrefix(path, "Data.fs.salvage")
				gone := removed[strings.TrimPrefix(path, "blobs/")]
				if _, ok := now[path]; !ok && !gone && path != "Data.fs.rewind" || ok && (restored[path] != now[path]) && !inSalvage {
					t.Errorf("step %d: %s was changed", step, path)
				}
			}
			if now["Data.fs.index"] != freshIndex(t, at+"/Data.fs") {
				t.Errorf("step %d: the index is not right", step)
			}
		} else {
			write(t, at, history(rng, 30, 2))
			whole := files(t, at)
			r := open(t, at, true)
			if stage, _, _ := r.Begun(); stage != Void {
				t.Errorf("step %d: stage %d after others have written", step, stage)
			}
			check(t, r.Close())
			salvage, err := run(t.Context(), at, last, nil)
			check(t, err)
			restore(t, salvage, at)
			ignored := []string{"Data.fs.salvage", "Data.fs.rewind", ".lock", ".index"}
			if d := differences(without(files(t, at), ignored...), without(whole, ignored...)); len(d) > 0 {
				t.Errorf("step %d: %q were lost", step, d)
			}
			for _, s := range salvages(t, at) {
				if strings.HasSuffix(s, ".unfinished") {
					t.Errorf("step %d: %s is left", step, s)
				}
			}
		}
		check(t, os.RemoveAll(at))
	}
	if stages[Saved] < 5 || stages[Cut] < 5 {
		t.Errorf("stages %v", stages)
	}
}

// blobsOf returns the paths of blobs in a bushy directory.
func blobsOf(txns []txn) map[string]bool {
	paths := map[string]bool{}
	for _, x := range txns {
		for _, r := range x.recs {
			if r.data == blobData {
				paths[fmt.Sprintf("0x00/0x00/0x00/0x00/0x00/0x00/0x00/0x%02x/0x%016x.blob", uint64(r.oid), uint64(x.tid))] = true
			}
		}
	}
	return paths
}

// TestKill_spoiled has the salvage of a run that was killed change, in each of its
// files: another one is made, and that one stays.
func TestKill_spoiled(t *testing.T) {
	dir := memoryDir(t)
	db := dir + "/db"
	check(t, os.Mkdir(db, 0o777))
	txns := history(rand.New(rand.NewPCG(3, 3)), 1, 40)
	write(t, db, txns)
	last, named := txns[11].tid, 0
	for step := 0; ; step++ { // until the salvage has its name
		at := fmt.Sprintf("%s/look-%d", dir, step)
		copyDir(t, db, at)
		if !killed(t, at, last, step) {
			t.Fatal("there was never a salvage")
		}
		if saved := salvages(t, at); len(saved) == 1 && !strings.HasSuffix(saved[0], ".unfinished") {
			named = step
			break
		}
	}
	at := dir + "/look-" + strconv.Itoa(named)
	for name := range files(t, salvages(t, at)[0]) {
		if name == factsName || name == readName || strings.HasSuffix(name, ".index") || strings.HasPrefix(filepath.Base(name), ".") {
			continue
		}
		for _, how := range []string{"flipped", "removed"} {
			at := dir + "/spoiled"
			copyDir(t, db, at)
			killed(t, at, last, named)
			path := filepath.Join(salvages(t, at)[0], name)
			spoilt := []byte(readFile(t, path))
			check(t, os.Remove(path))
			if how == "flipped" {
				spoilt = append(spoilt, 1)
				spoilt[len(spoilt)/2] ^= 1
				check(t, os.WriteFile(path, spoilt, 0o666))
			}
			salvage, err := run(t.Context(), at, last, nil)
			check(t, err)
			if all := salvages(t, at); len(all) != 2 {
				t.Errorf("%s %s: salvages %q", name, how, all)
			}
			restore(t, salvage, at)
			if d := differences(without(files(t, at), "Data.fs.salvage", ".lock"), without(files(t, db), ".lock")); len(d) > 0 {
				t.Errorf("%s %s: %q were lost", name, how, d)
			}
			check(t, os.RemoveAll(at))
		}
	}
}

// TestJournal_copied: the journal of another file, which came with a copy, is
// nothing to go by.
func TestJournal_copied(t *testing.T) {
	dir := memoryDir(t)
	db := dir + "/db"
	check(t, os.Mkdir(db, 0o777))
	txns := history(rand.New(rand.NewPCG(4, 4)), 1, 20)
	write(t, db, txns)
	if !killed(t, db, txns[9].tid, 3) {
		t.Fatal("not killed")
	}
	copyDir(t, db, dir+"/copy")
	r := open(t, dir+"/copy", true)
	if stage, _, _ := r.Begun(); stage != Void {
		t.Errorf("stage %d", stage)
	}
	check(t, r.Close())
	r = open(t, db, true)
	if stage, _, _ := r.Begun(); stage != Saved {
		t.Errorf("stage %d of the original", stage)
	}
	check(t, r.Close())
}

// TestJournal_anywhere has journals lead to any place of the file: only where a
// transaction ends are they believed.
func TestJournal_anywhere(t *testing.T) {
	dir := memoryDir(t)
	txns := history(rand.New(rand.NewPCG(6, 6)), 1, 6)
	write(t, dir, txns)
	r := open(t, dir, true)
	f, end := r.Data()
	places := map[int64]fs.TID{}
	for txn, err := range f.Backward(end.Offset) {
		check(t, err)
		places[txn.End()] = txn.TID
	}
	for off := fs.FirstOffset; off < f.Size(); off++ {
		j := &journal{Inode: inode(f.Info()), Size: f.Size(), Kept: place{off, places[off]}, End: place(end), First: tidOf(99)}
		stage, err := j.stage(r)
		check(t, err)
		if want := map[bool]Stage{true: Cut, false: Void}[places[off] != 0]; stage != want && off > fs.FirstOffset {
			t.Errorf("offset %d: stage %d, want %d", off, stage, want)
		}
	}
	check(t, r.Close())
}

// TestJournal_hostile: a journal that can't be read is told, and stops everything.
func TestJournal_hostile(t *testing.T) {
	dir := memoryDir(t)
	write(t, dir, history(rand.New(rand.NewPCG(4, 4)), 1, 5))
	for _, text := range []string{"", "{", "[]", `{"schema":2}`, `{"schema":1}`, `{"schema":1,"kept":{"offset":-4},"end":{"offset":9},"size":9,"salvage":"x"}`} {
		check(t, os.WriteFile(JournalPath(dir+"/Data.fs"), []byte(text), 0o666))
		before := files(t, dir)
		if _, err := run(t.Context(), dir, tidOf(2), nil); err == nil || !strings.Contains(err.Error(), "Data.fs.rewind: not the journal of a rewind: ") {
			t.Errorf("%q: error %v", text, err)
		}
		if d := differences(without(files(t, dir), ".lock"), without(before, ".lock")); len(d) > 0 {
			t.Errorf("%q: %q were changed", text, d)
		}
	}
}
