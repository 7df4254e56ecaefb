package main

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"zrs/internal/fs"
)

func TestCatchupSummary_text(t *testing.T) {
	tests := []struct {
		name string
		sum  catchupSummary
		want string
	}{
		{
			"resumed",
			catchupSummary{
				HistoryTransactions: 1204102, FromTID: 0x0411c6f2a0b1cc77, ToTID: 0x0411c712a9d0b377,
				Transactions: 669, Bytes: 71 << 20, Blobs: 12, BlobBytes: 3 << 30, Seconds: 75.2,
			},
			"history  1 204 102 transactions equal to the source's, up to 0411c6f2a0b1cc77 (" + formatTime(fs.TID(0x0411c6f2a0b1cc77).Time()) + ")\n" +
				"stream   669 transactions, 71 MiB, 12 blobs (3.0 GiB) in 1m15s\n" +
				"end      0411c712a9d0b377 (" + formatTime(fs.TID(0x0411c712a9d0b377).Time()) + ")\n",
		},
		{
			"incomplete",
			catchupSummary{ToTID: 1, Transactions: 1, Bytes: 200, BlobsMissing: 1, Seconds: 0.04},
			"stream   1 transaction, 200 B, 0 blobs in 0.0 s\n" +
				"missing  1 blob that the source did not send\n" +
				"end      0000000000000001 (1900-01-01 00:00:00Z)\n",
		},
		{
			"empty",
			catchupSummary{Seeded: true},
			"stream   0 transactions, 0 B, 0 blobs in 0.0 s\nend      no transaction yet\n",
		},
		{
			"would-seed",
			catchupSummary{DryRun: true, Seeded: true, Path: "Data.fs", Source: "db1:5000"},
			"would seed Data.fs from db1:5000, all that it has: a source can't tell beforehand how much\n",
		},
		{
			"would-resume",
			catchupSummary{DryRun: true, Path: "Data.fs", Source: "db1:5000", FromTID: 0x03f49078aeeeeeee},
			"would bring Data.fs up to db1:5000, from 03f49078aeeeeeee (2023-11-17 22:16:41Z) on: a source can't tell beforehand how much\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b strings.Builder
			if err := tt.sum.writeText(&b); err != nil {
				t.Fatal(err)
			}
			if b.String() != tt.want {
				t.Errorf("got\n%s\nwant\n%s", b.String(), tt.want)
			}
		})
	}
}

// TestCatchupSummary_json holds the document to its promised form, and the
// manual page to the document.
func TestCatchupSummary_json(t *testing.T) {
	sum := catchupSummary{Source: "db1:5000", Path: "Data.fs", ToTID: 0x0411c6f2a0b1cc77}
	sum.finish(fmt.Errorf("dial: %w", context.DeadlineExceeded), 1234567*time.Microsecond)
	b, err := json.Marshal(&sum)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"schema": 1.0, "exit_code": 5.0, "error": "dial: context deadline exceeded", "seconds": 1.234,
		"from_tid": "0000000000000000", "to_tid": "0411c6f2a0b1cc77",
	} {
		if doc[key] != want {
			t.Errorf("%s = %v, want %v", key, doc[key], want)
		}
	}
	if s, _ := doc["to_time"].(string); !strings.HasSuffix(s, "Z") {
		t.Errorf("to_time = %v, want a time in UTC", doc["to_time"])
	}
	snake := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	help := new(catchupCmd).Help()
	for key := range doc {
		if !snake.MatchString(key) {
			t.Errorf("key %q is not snake_case", key)
		}
		if !regexp.MustCompile(`\b` + key + `\b`).MatchString(help) {
			t.Errorf("key %q is not documented in the help of catchup", key)
		}
	}
}

func TestFormat(t *testing.T) {
	for in, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 10188: "9.9 KiB", 10200: "10 KiB", 1023 << 10: "1.0 MiB",
		71 << 20: "71 MiB", 999 << 30: "999 GiB", 1 << 62: "4.0 EiB",
	} {
		if got := formatBytes(in); got != want {
			t.Errorf("formatBytes(%d) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[int64]string{
		0: "0", 1: "1", 999: "999", 1000: "1 000", 1204102: "1 204 102", -1000: "-1 000", -999: "-999",
	} {
		if got := groupDigits(in); got != want {
			t.Errorf("groupDigits(%d) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[float64]string{0: "0.0 s", 9.94: "9.9 s", 9.96: "10s", 75.2: "1m15s", 3600: "1h0m0s"} {
		if got := formatSeconds(in); got != want {
			t.Errorf("formatSeconds(%v) = %q, want %q", in, got, want)
		}
	}
}
