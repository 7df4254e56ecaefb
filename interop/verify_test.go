package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"zrs/internal/verify/plant"
	"zrs/interop/driver"
)

// A zodbVerdict is what planted.py reports of a file.
type zodbVerdict struct {
	Error    *string
	Warnings []string
	Size     int64
	Objects  int
	Failed   []string
	Fstest   *string
}

// opens reports whether ZODB opens the file without a word, keeps all of it and
// loads every object.
func (v *zodbVerdict) opens(size int) bool {
	return v.Error == nil && len(v.Warnings) == 0 && len(v.Failed) == 0 && v.Size == int64(size)
}

func zodbVerdicts(t *testing.T, dir string) map[string]*zodbVerdict {
	t.Helper()
	cmd := python.Command(patiently(t), driver.Modern, "planted.py", dir)
	log := driver.NewLog()
	cmd.Stderr = log
	out, err := cmd.Output()
	verdicts := map[string]*zodbVerdict{}
	if err == nil {
		err = json.Unmarshal(out, &verdicts)
	}
	if err != nil {
		t.Fatalf("planted.py: %v\n%s", err, log)
	}
	return verdicts
}

// A zrsVerdict is the answer of zrs verify --json, as far as it matters here.
type zrsVerdict struct {
	Sound        bool
	ExitCode     int `json:"exit_code"`
	Transactions int
	Objects      int
	TornTail     *struct{ Offset, Bytes int64 } `json:"torn_tail"`
	References   *struct {
		Reachable, Orphans, Dangling int
		DanglingOrphans              int `json:"dangling_orphans"`
	}
	Findings []struct {
		Kind, Detail  string
		Offset        *int64
		OID, Target   string
		ReferencePath []struct{ OID string } `json:"reference_path"`
	}
}

// zrsVerify runs zrs verify.
func zrsVerify(t *testing.T, args ...string) *zrsVerdict {
	t.Helper()
	zrs, err := zrsBinary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(patiently(t), zrs, append([]string{"verify", "--json"}, args...)...)
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatalf("zrs verify %v: %v", args, err)
	} else if ok && exit.ExitCode() != 3 && exit.ExitCode() != 8 {
		t.Fatalf("zrs verify %v: %v\n%s", args, err, exit.Stderr)
	}
	var v zrsVerdict
	if err := json.Unmarshal(out, &v); err != nil {
		t.Fatalf("zrs verify %v: %v\n%s", args, err, out)
	}
	return &v
}

// missed tells of each field how ZODB does when a bit of it flips: whether there
// are files that fstest has nothing to say of, and files that ZODB opens, without
// its index and without a warning, and loads all objects of. zrs verify finds
// every one of them, but for those that are hidden (see package plant) and, as it
// has no index here to compare with, some objects that change their id.
var missed = map[plant.Field]struct{ fstest, open bool }{
	plant.TID:        {true, true},
	plant.Length:     {false, false},
	plant.Status:     {false, false},
	plant.UserLen:    {true, true}, // a record of the right length becomes text
	plant.DescLen:    {true, true},
	plant.ExtLen:     {true, true},
	plant.Trailer:    {false, false},
	plant.OID:        {true, true},
	plant.RecordTID:  {true, true},
	plant.Prev:       {true, false},
	plant.Txn:        {false, false},
	plant.VersionLen: {false, false},
	plant.DataLen:    {true, true}, // data of the right length swallows the next record
	plant.Back:       {true, true}, // of a revision that is not the current one
	plant.Texts:      {true, true},
	plant.Data:       {true, true},
}

// TestVerify_Planted runs ZODB, its fstest and zrs on files with damage at every
// field: what zrs says is sound, ZODB opens and loads, and fstest accepts.
func TestVerify_Planted(t *testing.T) {
	root, err := driver.Root()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[plant.Field]struct{ fstest, open bool }{}
	for _, name := range []string{"undo", "duplicate_oid", "multi_undo", "packed"} {
		base, err := os.ReadFile(filepath.Join(root, "testdata", "corpus", name, "Data.fs"))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		files := map[string]plant.File{}
		for f := range plant.Flips(base, 7) {
			file := f.Name + ".fs"
			if err := os.WriteFile(filepath.Join(dir, file), f.Data, 0o666); err != nil {
				t.Fatal(err)
			}
			files[file] = f
		}
		for file, zodb := range zodbVerdicts(t, dir) {
			f := files[file]
			zrs := zrsVerify(t, filepath.Join(dir, file))
			opens := zodb.opens(len(f.Data))
			if zrs.Sound && zrs.TornTail == nil && (!opens || zodb.Fstest != nil) {
				t.Errorf("%s %s: sound for zrs, ZODB says %+v", name, file, zodb)
			}
			if zrs.Sound && !f.Hidden && !f.Index {
				t.Errorf("%s %s: sound for zrs", name, file)
			}
			if opens && zrs.Sound && zrs.Objects != zodb.Objects {
				t.Errorf("%s %s: %d objects for zrs, %d for ZODB", name, file, zrs.Objects, zodb.Objects)
			}
			m := seen[f.Field]
			m.fstest = m.fstest || zodb.Fstest == nil
			m.open = m.open || opens
			seen[f.Field] = m
		}
	}
	for field, want := range missed {
		if seen[field] != want {
			t.Errorf("%s: missed by fstest and open: %v, want %v", field, seen[field], want)
		}
	}
}

// TestVerify_Sound has files that ZODB made in every way it can, live ones and
// closed ones, packed and undone: all are sound, with the index and the blobs that
// ZODB left.
func TestVerify_Sound(t *testing.T) {
	db := newDatabase(t, true)
	s := openStorage(t, driver.Modern, db)
	check := func(step string) {
		t.Helper()
		v := zrsVerify(t, append([]string{"--references"}, db.args()...)...)
		if !v.Sound || v.TornTail != nil || len(v.Findings) > 0 {
			t.Errorf("%s: %+v", step, v)
		}
	}
	s.init()
	s.commit(20, 1, 3000)
	check("commits")
	s.putBlobs(1, map[string]int{"one": 100000, "two": 10, "none": 0})
	changed := s.putBlobs(2, map[string]int{"one": 5000, "two": 20})
	s.undo(changed)
	check("blobs, changed and undone")
	tid := s.put("a", 1)
	s.put("b", 2)
	s.drop("b")
	s.delete(s.raw(raw{Sizes: []int{10}, Description: []byte("to be deleted")})[0])
	s.undo(tid)
	s.commit(10, 2, 2000)
	check("undo and delete")
	at := s.last()
	s.commit(10, 3, 2000)
	s.pack(at.TID, true)
	check("pack in the middle")
	s.undo(s.put("c", 3))
	s.vote(raw{Sizes: []int{100}, Description: []byte("never finished")})
	if v := zrsVerify(t, db.args()...); !v.Sound || v.TornTail == nil {
		t.Errorf("voted: %+v", v)
	}
}

// TestVerify_Closed is about what ZODB leaves when it closes, after packs with and
// without garbage collection.
func TestVerify_Closed(t *testing.T) {
	for _, gc := range []bool{true, false} {
		t.Run(fmt.Sprintf("gc=%v", gc), func(t *testing.T) {
			db := newDatabase(t, true)
			s := openStorage(t, driver.Modern, db)
			s.init()
			s.commit(30, 1, 1000)
			s.putBlobs(1, map[string]int{"x": 1000, "y": 2000})
			s.putBlobs(2, map[string]int{"x": 3000}, "y")
			s.pack("", gc)
			s.commit(5, 2, 1000)
			s.close()
			v := zrsVerify(t, append([]string{"--references"}, db.args()...)...)
			f := check(t, driver.Modern, db)
			if !v.Sound || len(v.Findings) > 0 || f.Index != "used" {
				t.Errorf("%+v; ZODB: index %s", v, f.Index)
			}
			if v.Objects != f.Objects || v.Transactions != f.Transactions {
				t.Errorf("%d objects, %d transactions; ZODB has %d and %d", v.Objects, v.Transactions, f.Objects, f.Transactions)
			}
		})
	}
}

// TestVerify_Fsrefs compares dangling references with those that ZODB's fsrefs
// finds. That one also looks at objects that nothing leads to, of which zrs only
// counts the references.
func TestVerify_Fsrefs(t *testing.T) {
	db := newDatabase(t, false)
	s := openStorage(t, driver.Modern, db)
	s.init()
	s.commit(40, 1, 500)
	s.put("a", 1)
	s.close()
	var all []string
	for oid := range check(t, driver.Modern, db).Current {
		all = append(all, oid)
	}
	slices.Sort(all)
	s = openStorage(t, driver.Modern, db)
	for i, oid := range all {
		if i%7 == 3 {
			s.delete(oid)
		}
	}
	s.close()

	v := zrsVerify(t, "--references", "--max-findings=100000", db.data)
	got := map[string]bool{}
	for _, f := range v.Findings {
		got[f.OID+" "+f.Target] = true
		if path := f.ReferencePath; f.Kind != "dangling-reference" || len(path) == 0 || path[len(path)-1].OID != f.OID {
			t.Errorf("%+v", f)
		}
	}
	want := fsrefs(t, db.data)
	for pair := range got {
		if !want[pair] {
			t.Errorf("%s: dangling for zrs alone", pair)
		}
	}
	if len(got) == 0 || v.References.Dangling < len(got) || len(want) > len(got) && v.References.DanglingOrphans == 0 {
		t.Errorf("%+v and %d findings, fsrefs has %d", v.References, len(got), len(want))
	}
	if distinct := v.References.DanglingOrphans + len(got); distinct < len(want) {
		t.Errorf("%d dangling references and %d of orphans, fsrefs has %d", len(got), v.References.DanglingOrphans, len(want))
	}
}

// fsrefs returns the dangling references that fsrefs finds: referring object and
// missing one.
func fsrefs(t *testing.T, path string) map[string]bool {
	t.Helper()
	log := driver.NewLog()
	cmd := python.Command(patiently(t), driver.Modern, "fsrefs.py", path)
	cmd.Stderr = log
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("fsrefs: %v\n%s", err, log)
	}
	pairs := map[string]bool{}
	from := ""
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "oid" {
			continue
		}
		oid := pad(strings.TrimPrefix(words[1], "0x"))
		if line[0] == '\t' {
			pairs[from+" "+oid] = true
		} else {
			from = oid
		}
	}
	return pairs
}
