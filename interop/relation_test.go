package interop

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"zrs/interop/driver"
)

// leastPairs is how many pairs of databases pairs.py makes at least.
const leastPairs = 40

// A relatedPair is what pairs.py says of one.
type relatedPair struct {
	Name        string
	Relation    string
	Code        int
	Differences []string
}

// A related is what zrs verify says of two storages.
type related struct {
	Relation    string
	Differences []struct{ Kind string }
	Common      struct{ Transactions int }
	Extensions  int `json:"extensions_repickled"`
}

// verifyTwo runs zrs verify on two storages.
func verifyTwo(t *testing.T, args ...string) (r related, code int) {
	t.Helper()
	zrs, err := zrsBinary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(patiently(t), zrs, append([]string{"verify", "--json"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatalf("zrs verify %q: exit code %d, %v\n%s%s", args, code, err, out, &stderr)
	}
	return r, code
}

// mirrored returns what a relation is with the sides exchanged.
func mirrored(relation string) string {
	switch kind, rest, _ := strings.Cut(relation, "-"); kind {
	case "behind":
		return strings.TrimSuffix("ahead-"+rest, "-")
	case "ahead":
		return strings.TrimSuffix("behind-"+rest, "-")
	}
	return relation
}

// TestRelations compares pairs of databases that the real ZODB made: by commits,
// undos, packs, copies. Nothing of them changes.
func TestRelations(t *testing.T) {
	for _, env := range []driver.Env{driver.Modern, driver.Legacy} {
		t.Run(string(env), func(t *testing.T) {
			dir := t.TempDir()
			cmd := python.Command(patiently(t), env, "pairs.py", dir)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("pairs.py: %v\n%s", err, &stderr)
			}
			before := filesIn(t, dir)
			n := 0
			for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); n++ {
				var p relatedPair
				if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
					t.Fatal(err)
				}
				t.Run(p.Name, func(t *testing.T) {
					checkPair(t, filepath.Join(dir, p.Name), p)
					if env == driver.Modern && p.Relation != "damaged" {
						checkServed(t, filepath.Join(dir, p.Name), p)
					}
				})
			}
			if n < leastPairs {
				t.Errorf("%d pairs, want %d at least", n, leastPairs)
			}
			if after := filesIn(t, dir); !slices.Equal(after, before) {
				t.Errorf("the files were changed:\n%q\n%q", before, after)
			}
		})
	}
}

func checkPair(t *testing.T, dir string, p relatedPair) {
	t.Helper()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for _, order := range []struct{ a, b, want string }{{a, b, p.Relation}, {b, a, mirrored(p.Relation)}} {
		args := []string{order.a + ".fs", order.b + ".fs"}
		if _, err := os.Stat(order.a + ".blobs"); err == nil {
			args = append(args, "--blob-dir", order.a+".blobs", "--other-blob-dir", order.b+".blobs")
		}
		r, code := verifyTwo(t, args...)
		if r.Relation != order.want || code != p.Code {
			t.Errorf("%s: %s, exit code %d, want %s, %d", order.a, r.Relation, code, order.want, p.Code)
		}
		for _, want := range p.Differences {
			if !slices.ContainsFunc(r.Differences, func(d struct{ Kind string }) bool { return d.Kind == want }) {
				t.Errorf("%s: differences %v, want %s among them", order.a, r.Differences, want)
			}
		}
	}
}

// checkServed compares the pair again, with one side served by a primary.
func checkServed(t *testing.T, dir string, p relatedPair) {
	t.Helper()
	a, b := database{data: dir + "/a.fs"}, database{data: dir + "/b.fs"}
	if _, err := os.Stat(dir + "/a.blobs"); err == nil {
		a.blobs, b.blobs = dir+"/a.blobs", dir+"/b.blobs"
	}
	for _, order := range []struct {
		file, served database
		want         string
	}{{a, b, p.Relation}, {b, a, mirrored(p.Relation)}} {
		z, address := servePrimary(t, order.served, "--any-role", "--control=none") // leaves nothing beside the file
		args := append(order.file.args(), address)
		if r, code := verifyTwo(t, args...); r.Relation != order.want || code != p.Code {
			t.Errorf("%s, served: %s, exit code %d, want %s, %d", order.served.data, r.Relation, code, order.want, p.Code)
		}
		z.terminate()
	}
}

// filesIn lists all files with their times and contents.
func filesIn(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		content := ""
		if d.Type().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			content = string(b)
		}
		files = append(files, path+" "+fi.ModTime().String()+" "+fi.Mode().String()+" "+content)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestRelations_zczrs compares a secondary of zc.zrs, which pickles extensions
// anew, with its primary: as files, and over the wire.
func TestRelations_zczrs(t *testing.T) {
	for _, blobs := range []bool{false, true} {
		ours, theirs := newDatabase(t, blobs), newDatabase(t, blobs)
		primary := openPrimary(t, ours)
		primary.init()
		primary.commit(20, 1, 1000)
		for i, kind := range []string{"plain", "datetime", "protocol-0", "protocol-1", "protocol-2", "shared", "empty-dict"} {
			primary.raw(raw{Sizes: []int{100}, Kind: kind, Seed: i})
		}
		if blobs {
			primary.putBlobs(1, blobSizes)
		}
		s := startZCZRSSecondary(t, theirs, primary.address, false)
		s.waitFor(primary.last().TID)
		s.stop()

		args := []string{theirs.data, ours.data}
		if blobs {
			args = append(args, "--blob-dir", theirs.blobs, "--other-blob-dir", ours.blobs)
		}
		r, code := verifyTwo(t, args...)
		if r.Relation != "equal" || code != 0 || r.Extensions < 3 {
			t.Errorf("files: %s, exit code %d, %d extensions pickled anew", r.Relation, code, r.Extensions)
		}
		over := []string{theirs.data, primary.address}
		if blobs {
			over = append(over, "--blob-dir", theirs.blobs)
		}
		overWire, code := verifyTwo(t, over...)
		if overWire.Relation != "equal" || code != 0 || overWire.Common.Transactions != r.Common.Transactions {
			t.Errorf("over the wire: %+v, exit code %d", overWire, code)
		}
		// It goes on, and is packed.
		primary.commit(5, 2, 1000)
		if r, code = verifyTwo(t, over...); r.Relation != "behind" || code != 1 {
			t.Errorf("behind: %s, exit code %d", r.Relation, code)
		}
		if r, code = verifyTwo(t, append(over, "--allow-behind")...); r.Relation != "behind" || code != 0 {
			t.Errorf("--allow-behind: %s, exit code %d", r.Relation, code)
		}
		primary.pack("", true)
		if r, code = verifyTwo(t, over...); r.Relation != "behind-after-pack" || code != 1 {
			t.Errorf("packed: %s, exit code %d", r.Relation, code)
		}
		primary.close()
	}
}

// TestDigests has Python compute digests by what docs/format.md says.
func TestDigests(t *testing.T) {
	db := newDatabase(t, true)
	s := openStorage(t, driver.Modern, db)
	s.init()
	s.commit(20, 1, 3000)
	s.undo(s.put("x", 1))
	s.undo(s.undo(s.put("x", 2)))
	undoSeveral(s)
	for i, kind := range []string{"plain", "datetime", "protocol-0", "shared", "empty-dict", "garbage"} {
		s.raw(raw{Sizes: []int{100, 200}, User: []byte("\xff user"), Kind: kind, Seed: i})
	}
	s.putBlobs(1, map[string]int{"empty": 0, "full": 100_000})
	s.raw(raw{})
	s.close()
	for _, args := range [][]string{{db.data}, {"--blob-dir", db.blobs, db.data}} {
		var want, got struct {
			History, State string
			Objects        int
		}
		out, err := python.Command(patiently(t), driver.Modern, "digests.py", args...).Output()
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out, &want); err != nil {
			t.Fatal(err)
		}
		zrs, err := zrsBinary()
		if err != nil {
			t.Fatal(err)
		}
		out, err = exec.CommandContext(patiently(t), zrs, append([]string{"verify", "--digest", "--json"}, args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%q: digests %+v, Python says %+v", args, got, want)
		}
	}
}
