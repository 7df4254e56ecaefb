package interop

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zrs/interop/driver"
)

// repozo makes a backup, in another second than that of the time before: the
// names of backups tell no more.
func repozo(t *testing.T, before time.Time, args ...string) {
	t.Helper()
	eventually(t, "the next second", func() bool { return time.Now().Unix() > before.Unix() })
	mustTool(t, driver.Modern, nil, append([]string{"ZODB.scripts.repozo", "-B"}, args...)...)
}

// What repozo has saved comes back byte for byte, as of each backup, and what was
// damaged since is noticed, which repozo does not.
func TestRestore_repozo(t *testing.T) {
	for _, compress := range []string{"", "-z"} {
		t.Run("gzip"+compress, func(t *testing.T) {
			dir := t.TempDir()
			path, backups := filepath.Join(dir, "Data.fs"), filepath.Join(dir, "back ups") // .dat files separate by blanks
			if err := os.Mkdir(backups, 0o777); err != nil {
				t.Fatal(err)
			}
			args := []string{"-r", backups, "-f", path}
			if compress != "" {
				args = append(args, compress)
			}
			p := start(t, driver.Modern, nil, "storage.py", path)
			type backup struct {
				data []byte
				made time.Time
				last string // transaction
			}
			var made []backup
			for n := range 4 {
				p.do("commit", driver.Args{"count": 5, "seed": n}, nil)
				options := args
				if n == 2 {
					options = append([]string{"-F"}, args...)
				}
				var before time.Time
				if n > 0 {
					before = made[n-1].made
				}
				repozo(t, before, options...)
				made = append(made, backup{mustRead(t, path), newest(t, backups), lastTID(t, path)})
			}
			p.do("close", nil, nil)

			restored := filepath.Join(dir, "restored.fs")
			mustZRS(t, nil, "restore", "-q", backups, restored)
			if !bytes.Equal(mustRead(t, restored), made[3].data) {
				t.Error("the last backup does not come back")
			}
			checkIndex(t, restored)
			for n, b := range made {
				path := filepath.Join(dir, "until.fs")
				mustZRS(t, nil, "restore", "-q", "--until", b.last, backups, path)
				if !bytes.Equal(mustRead(t, path), b.data) {
					t.Errorf("backup %d does not come back as of %s", n, b.last)
				}
				for _, ending := range []string{"", ".index"} {
					os.Remove(path + ending)
				}
			}
			damageRepozo(t, backups, restored)
		})
	}
}

// newest returns the time of the newest backup, by its name.
func newest(t *testing.T, dir string) time.Time {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*fs*"))
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	name := filepath.Base(names[len(names)-1])
	made, err := time.Parse("2006-01-02-15-04-05", name[:19])
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// checkIndex fails unless real ZODB uses the index beside a data file.
func checkIndex(t *testing.T, path string) {
	t.Helper()
	p := start(t, driver.Modern, nil, "storage.py", path)
	p.do("last", nil, nil)
	p.do("close", nil, nil)
	if text := p.Log.String(); strings.Contains(text, "gnoring index") {
		t.Errorf("ZODB does not use the index:\n%s", text)
	}
}

// damageRepozo damages the newest increment in several ways. Each is noticed, and
// what was there stays.
func damageRepozo(t *testing.T, backups, restored string) {
	t.Helper()
	before := mustRead(t, restored)
	deltas, err := filepath.Glob(filepath.Join(backups, "*.deltafs*"))
	if err != nil || len(deltas) == 0 {
		t.Fatal(deltas, err)
	}
	last := deltas[len(deltas)-1]
	good := mustRead(t, last)
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	for name, bad := range map[string][]byte{
		"cut": good[:len(good)-1], "empty": {}, "flipped": flipped, "longer": append(bytes.Clone(good), good...), "missing": nil,
	} {
		if err := os.WriteFile(last, bad, 0o666); err != nil {
			t.Fatal(err)
		}
		if bad == nil {
			os.Remove(last)
		}
		code, _, stderr := runZRS(t, "restore", "--replace", backups, restored)
		if code != 3 || !strings.Contains(stderr, filepath.Base(last)) {
			t.Errorf("%s: exit code %d, want 3\n%s", name, code, stderr)
		}
		if !bytes.Equal(mustRead(t, restored), before) {
			t.Errorf("%s: what was there was changed", name)
		}
	}
	if err := os.WriteFile(last, good, 0o666); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := runZRS(t, "restore", backups, restored); code != 6 || !strings.Contains(stderr, "--replace") {
		t.Errorf("without --replace: exit code %d, want 6\n%s", code, stderr)
	}
	mustZRS(t, nil, "restore", "-q", "--replace", backups, restored)
	saved, err := filepath.Glob(restored + ".old-*Z")
	if err != nil || len(saved) != 1 || !bytes.Equal(mustRead(t, saved[0]), before) {
		t.Errorf("--replace kept %v, %v", saved, err)
	}
	entries, err := filepath.Glob(restored + ".restoring*")
	if err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// What only a backup has that was packed since can't be had from it: then it is
// the state of the backup before, with a warning.
func TestRestore_repozo_packed(t *testing.T) {
	dir := t.TempDir()
	path, backups := filepath.Join(dir, "Data.fs"), filepath.Join(dir, "backups")
	if err := os.Mkdir(backups, 0o777); err != nil {
		t.Fatal(err)
	}
	p := start(t, driver.Modern, nil, "storage.py", path)
	p.do("put", driver.Args{"name": "a", "seed": 1}, nil)
	repozo(t, time.Time{}, "-r", backups, "-f", path)
	first := mustRead(t, path)
	p.do("put", driver.Args{"name": "a", "seed": 2}, nil)
	between := lastTID(t, path)
	p.do("put", driver.Args{"name": "a", "seed": 3}, nil)
	p.do("pack", nil, nil)
	repozo(t, newest(t, backups), "-r", backups, "-f", path)
	p.do("close", nil, nil)

	restored := filepath.Join(dir, "restored.fs")
	code, _, stderr := runZRS(t, "restore", "--until", between, backups, restored)
	if code != 0 || !strings.Contains(stderr, "transactions before that time may be missing") {
		t.Errorf("exit code %d\n%s", code, stderr)
	}
	if !bytes.Equal(mustRead(t, restored), first) {
		t.Error("the backup before the pack does not come back")
	}
}
