package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"zrs/interop/driver"
)

// TestMain lets the test program open data files, as zrsbench does.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == OpenArg {
		if err := OpenMain(context.Background(), os.Args[2], os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestMeasurements carries out each measurement once on little data, so that
// they work when they are wanted.
func TestMeasurements(t *testing.T) {
	python, err := driver.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	zrs := filepath.Join(t.TempDir(), "zrs")
	if out, err := exec.Command("go", "build", "-o", zrs, "zrs/cmd/zrs").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	opener, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b := &Bench{Python: python, ZRS: zrs, Opener: opener, Dir: t.TempDir()}
	tiny, err := Generate(b.Dir, Tiny, 0.005)
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := Generate(b.Dir, SmallBlobs, 0.005)
	if err != nil {
		t.Fatal(err)
	}
	for name, measure := range map[string]func() (*Result, error){
		"catch-up":        func() (*Result, error) { return b.CatchUp(t.Context(), ZCZRS, ZCZRS, tiny) },
		"catch-up-blobs":  func() (*Result, error) { return b.CatchUp(t.Context(), ZCZRS, ZCZRS, blobs) },
		"catch-up-zrs":    func() (*Result, error) { return b.CatchUp(t.Context(), ZRS, ZRS, blobs) },
		"catch-up-server": func() (*Result, error) { return b.CatchUp(t.Context(), ZRS, ZRSServer, tiny) },
		"open":            func() (*Result, error) { return b.Open(t.Context(), ZODB, tiny) },
		"open-zrs":        func() (*Result, error) { return b.Open(t.Context(), ZRS, tiny) },
		"verify":          func() (*Result, error) { return b.Verify(t.Context(), Checks[0], ZRS, tiny) },
		"verify-fstest":   func() (*Result, error) { return b.Verify(t.Context(), Checks[0], ZODB, tiny) },
		"references":      func() (*Result, error) { return b.Verify(t.Context(), Checks[1], ZRS, tiny) },
		"verify-fsrefs":   func() (*Result, error) { return b.Verify(t.Context(), Checks[1], ZODB, tiny) },
		"compare":         func() (*Result, error) { return b.Compare(t.Context(), CompareCopy, ZRS, tiny) },
		"compare-shifted": func() (*Result, error) { return b.Compare(t.Context(), CompareShifted, ZRS, tiny) },
		"compare-zodb":    func() (*Result, error) { return b.Compare(t.Context(), CompareCopy, Zodbtools, tiny) },
		"dump":            func() (*Result, error) { return b.Dump(t.Context(), Dumps[0], ZRS, tiny) },
		"dump-zodbtools":  func() (*Result, error) { return b.Dump(t.Context(), Dumps[0], Zodbtools, tiny) },
		"restore":         func() (*Result, error) { return b.Restore(t.Context(), ZRS, tiny) },
		"restore-zodb":    func() (*Result, error) { return b.Restore(t.Context(), Zodbtools, tiny) },
		"commit-to-visible": func() (*Result, error) {
			return b.CommitToVisible(t.Context(), ZCZRS, ZCZRS, Load{Clients: 1, Commits: 20, Size: 100})
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := measure()
			if err != nil {
				t.Fatal(err)
			}
			if r.Seconds <= 0 || r.Transactions == 0 || len(r.Processes) == 0 {
				t.Errorf("%+v, want a duration, transactions and processes", r)
			}
			for role, used := range r.Processes {
				if used.PeakRSS < 1<<20 {
					t.Errorf("%s used %+v, want more memory", role, used)
				}
			}
		})
	}
	t.Run("stuck-secondaries", func(t *testing.T) {
		for _, primary := range []string{ZCZRS, ZRS} {
			r, err := b.Stuck(t.Context(), primary, 2, tiny)
			if err != nil {
				t.Fatal(err)
			}
			if used := r.Processes["primary"]; used.RSS < 1<<20 || used.PeakRSS < used.RSS {
				t.Errorf("%s used %+v, want more memory", primary, used)
			}
		}
	})
	limits, err := b.Limits(blobs)
	if err != nil || len(limits) != 10 {
		t.Errorf("Limits() = %v, %v", limits, err)
	}
}
