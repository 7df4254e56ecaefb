package bench

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"
	"time"

	"zrs/interop/driver"
)

func TestTIDOf(t *testing.T) {
	for want, at := range map[uint64]time.Time{
		0x023c2b0000000000: time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC),
		0x033161ffffffffb8: time.Date(1999, 12, 31, 23, 59, 59, 999_999_000, time.UTC),
		0x03441422948b4395: time.Date(2002, 4, 14, 20, 50, 34, 815_000_000, time.UTC),
		0x046863021ddddddd: time.Date(2038, 1, 19, 3, 14, 7, 0, time.UTC),
	} {
		if got := tidOf(at); got != want {
			t.Errorf("tidOf(%v) = %016x, want %016x", at, got, want)
		}
	}
}

// TestGenerate has the real ZODB open what the generators make.
func TestGenerate(t *testing.T) {
	python, err := driver.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range Datasets {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			f, err := Generate(t.TempDir(), d, 0.002)
			if err != nil {
				t.Fatal(err)
			}
			args := []string{f.Data}
			if f.Blobs != "" {
				args = []string{"--blob-dir", f.Blobs, f.Data}
			}
			out, err := python.Command(t.Context(), driver.Modern, "check.py", args...).Output()
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				LastTID      string `json:"last_tid"`
				Size         int64
				Transactions int
				Blobs        int
				NoFile       []any `json:"no_file"`
				Dangling     []any
				Warnings     []string
			}
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatal(err)
			}
			if got.LastTID != f.LastTID || got.Size != f.DataBytes || got.Transactions != f.Transactions {
				t.Errorf("ZODB: %+v, want %+v", got, f)
			}
			if len(got.NoFile)+len(got.Dangling)+len(got.Warnings) > 0 {
				t.Errorf("ZODB: %d blobs without a file, %d dangling references, warnings %q",
					len(got.NoFile), len(got.Dangling), got.Warnings)
			}
			if f.Blobs != "" && got.Blobs != f.Transactions-1 {
				t.Errorf("ZODB: %d blobs, want %d", got.Blobs, f.Transactions-1)
			}
		})
	}
}

// TestGenerate_again makes the same dataset twice, and then not again.
func TestGenerate_again(t *testing.T) {
	dir := t.TempDir()
	a, err := Generate(t.TempDir(), Records, 0.001)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Generate(dir, Records, 0.001)
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(b.Data)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := Generate(dir, Records, 0.001); err != nil || *c != *b {
		t.Errorf("Generate() = %+v, %v the second time, want %+v", c, err, b)
	}
	after, err := os.Stat(b.Data)
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(before, after) || before.ModTime() != after.ModTime() {
		t.Error("made the data file again")
	}
	dataA, errA := os.ReadFile(a.Data)
	dataB, errB := os.ReadFile(b.Data)
	if errA != nil || errB != nil || !bytes.Equal(dataA, dataB) {
		t.Errorf("two runs differ (%v, %v)", errA, errB)
	}
}
