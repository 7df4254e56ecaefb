package bench

import (
	"testing"

	"zrs/interop/driver"
)

// TestMeasurements carries out each measurement once on little data, of zc.zrs
// and ZODB, so that they work when they are wanted.
func TestMeasurements(t *testing.T) {
	python, err := driver.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := &Bench{Python: python, Dir: t.TempDir()}
	tiny, err := Generate(b.Dir, Tiny, 0.005)
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := Generate(b.Dir, SmallBlobs, 0.005)
	if err != nil {
		t.Fatal(err)
	}
	for name, measure := range map[string]func() (*Result, error){
		"catch-up":       func() (*Result, error) { return b.CatchUp(t.Context(), ZCZRS, ZCZRS, tiny) },
		"catch-up-blobs": func() (*Result, error) { return b.CatchUp(t.Context(), ZCZRS, ZCZRS, blobs) },
		"open":           func() (*Result, error) { return b.Open(t.Context(), tiny) },
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
	limits, err := b.Limits(blobs)
	if err != nil || len(limits) != 4 {
		t.Errorf("Limits() = %v, %v", limits, err)
	}
}
