package monitor

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"zrs/internal/fs"
)

const corpus = "../../testdata/corpus/"

// txns returns the places of a data file's transactions, from its start to its
// end.
func txns(t *testing.T, path string) (places []fs.Place) {
	t.Helper()
	f, err := fs.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	places = []fs.Place{{Offset: fs.FirstOffset}}
	for txn, err := range f.Reader(fs.FirstOffset, f.Size()).All() {
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, fs.Place{Offset: txn.End(), TID: txn.TID})
	}
	return places
}

// TestTarget_Behind asks a file how far each of its own prefixes is behind.
func TestTarget_Behind(t *testing.T) {
	for _, name := range []string{"realistic_200", "packed", "one_txn", "undo"} {
		t.Run(name, func(t *testing.T) {
			target := &Target{Kind: KindFile, Path: corpus + name + "/Data.fs"}
			places := txns(t, target.Path)
			end := places[len(places)-1]
			for i, at := range places {
				lag, err := target.Behind(t.Context(), at.TID)
				if err != nil {
					t.Fatalf("Behind(%v): %v", at.TID, err)
				}
				if n := int64(len(places) - 1 - i); *lag.Transactions != n || *lag.Bytes != end.Offset-at.Offset {
					t.Errorf("Behind(%v) = %d transactions, %d bytes, want %d, %d", at.TID, *lag.Transactions, *lag.Bytes, n, end.Offset-at.Offset)
				}
				if i == len(places)-1 {
					if *lag.Age != 0 {
						t.Errorf("Behind(%v): age %v at the end", at.TID, *lag.Age)
					}
				} else if want := time.Since(places[i+1].TID.Time()); *lag.Age > want || *lag.Age < want-time.Minute {
					t.Errorf("Behind(%v): age %v, want that of the next transaction, %v", at.TID, *lag.Age, want)
				}
			}
		})
	}
}

// A writer whose clock is ahead of ours does not make what is missing young.
func TestAgeAt(t *testing.T) {
	now, hour := time.Now(), time.Hour
	for _, tt := range []struct{ at, last, want time.Duration }{
		{-2 * hour, -hour, 2 * hour},
		{-hour, hour, 2 * hour},
		{hour, 4 * hour, 3 * hour},
		{hour, hour, 0},
	} {
		got := ageAt(fs.TIDFromTime(now.Add(tt.at)), fs.TIDFromTime(now.Add(tt.last)))
		if got < tt.want || got > tt.want+time.Minute {
			t.Errorf("ageAt(%v, %v from now) = %v, want %v", tt.at, tt.last, got, tt.want)
		}
	}
}

// TestCompare_file compares with a primary whose data file can be read.
func TestCompare_file(t *testing.T) {
	path := corpus + "realistic_200/Data.fs"
	places := txns(t, path)
	last, old := places[len(places)-1].TID, places[len(places)-4].TID
	three := Limits{Warning: Limit{Transactions: new(int64(2))}, Critical: Limit{Transactions: new(int64(3))}}
	for _, tt := range []struct {
		name      string
		secondary fs.TID
		want      string
	}{
		{"equal", last, "OK"},
		{"behind", old, "WARNING over-limit"},
		{"far-behind", places[1].TID, "CRITICAL over-limit"},
		{"empty", 0, "CRITICAL empty over-limit"},
		{"forked", last - 1, "CRITICAL diverged"},
		{"ahead", last + 1, "CRITICAL ahead"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			primary := &Subject{Name: "primary p", Prober: &Target{Kind: KindFile, Path: path}}
			v := Compare(t.Context(), primary, &Subject{Name: "secondary s", Prober: &answers{one(tt.secondary)}}, "", three)
			if got := reasons(v); got != tt.want {
				t.Errorf("%s, want %s: %s", got, tt.want, v.Text())
			}
		})
	}
}

// TestTarget_Behind_unknown holds what is said of transactions that the file
// does not have: those that a pack may have removed are no divergence.
func TestTarget_Behind_unknown(t *testing.T) {
	target := &Target{Kind: KindFile, Path: corpus + "packed/Data.fs"}
	places := txns(t, target.Path)
	first, last := places[1].TID, places[len(places)-1].TID
	lag, err := target.Behind(t.Context(), first+1)
	if err != nil || lag != (Lag{}) {
		t.Errorf("Behind(%v) = %v, %v, want that nothing is known", first+1, lag, err)
	}
	for _, tid := range []fs.TID{last - 1, last + 1} {
		if _, err := target.Behind(t.Context(), tid); !errors.Is(err, ErrDiverged) {
			t.Errorf("Behind(%v): error %v, want %v", tid, err, ErrDiverged)
		}
	}
}

func TestProbeFile(t *testing.T) {
	whole, err := os.ReadFile(corpus + "realistic_200/Data.fs")
	if err != nil {
		t.Fatal(err)
	}
	places := txns(t, corpus+"realistic_200/Data.fs")
	last := places[len(places)-1]
	before := places[len(places)-2]
	damaged := append([]byte(nil), whole...)
	damaged[len(damaged)-1] ^= 1 // of the length that is behind the last transaction
	tests := []struct {
		name    string
		content []byte
		want    fs.TID
		err     error
	}{
		{"whole", whole, last.TID, nil},
		{"torn", whole[:last.Offset-10], before.TID, nil},
		{"empty", whole[:fs.FirstOffset], 0, nil},
		{"no-bytes", nil, 0, nil},
		{"damaged", damaged, 0, fs.ErrDamaged},
		{"no-data-file", []byte("a text"), 0, fs.ErrFormat},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "Data.fs")
			if err := os.WriteFile(path, tt.content, 0o666); err != nil {
				t.Fatal(err)
			}
			old := time.Now().Add(-time.Hour).Truncate(time.Second)
			if err := os.Chtimes(path, old, old); err != nil {
				t.Fatal(err)
			}
			report, err := (&Target{Kind: KindFile, Path: path}).Probe(t.Context())
			if !errors.Is(err, tt.err) || err == nil && report.Storages[0].LastTID != tt.want {
				t.Errorf("Probe() = %+v, %v, want %v, %v", report, err, tt.want, tt.err)
			}
			if level, _ := trouble(err); err != nil && level != Critical {
				t.Errorf("%v is %v", err, level)
			}
			if info, err := os.Stat(path); err != nil || !info.ModTime().Equal(old) {
				t.Errorf("modified: %v", err)
			}
			if beside, _ := filepath.Glob(path + "*"); len(beside) != 1 {
				t.Errorf("left behind: %q", beside)
			}
		})
	}
}
