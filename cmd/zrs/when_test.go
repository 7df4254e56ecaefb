package main

import (
	"strings"
	"testing"
	"time"

	"zrs/internal/fs"
)

func TestParseWhen(t *testing.T) {
	now := time.Date(2026, 11, 20, 10, 14, 2, 0, time.UTC)
	at := func(d time.Duration) when { return when{tid: fs.TIDFromTime(now.Add(d)), time: now.Add(d)} }
	tests := []struct {
		name, in string
		want     when
	}{
		{"hex", "040d2d7e00db27bb", when{tid: 0x040d2d7e00db27bb}},
		{"hex-upper-case", "040D2D7E00DB27BB", when{tid: 0x040d2d7e00db27bb}},
		{"hex-prefix", "0x040d2d7e00db27bb", when{tid: 0x040d2d7e00db27bb}},
		{"hex-prefix-short", "0x40d2d7e00db27bb", when{tid: 0x040d2d7e00db27bb}},
		{"undo-id", "A/SWFWZmZmY=", when{tid: 0x03f4961566666666}},
		{"rfc3339", "2026-11-20T10:14:02Z", at(0)},
		{"rfc3339-offset", "2026-11-20T12:14:02+02:00", at(0)},
		{"rfc3339-fraction", "2026-11-20T10:14:02.5Z", at(time.Second / 2)},
		{"as-printed", "2026-11-20 10:14:02Z", at(0)},
		{"hour-ago", "-1h", at(-time.Hour)},
		{"week-ago", "-7d", at(-7 * 24 * time.Hour)},
		{"mixed", "-1w2d3h30m", at(-9*24*time.Hour - 3*time.Hour - 30*time.Minute)},
		{"seconds-ago", "-90s", at(-90 * time.Second)},
		{"now", "-0s", at(0)},
		{"head", "head", when{head: true}},
		{"before-head", "head~12", when{head: true, back: 12}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseWhen(tt.in, now)
			if err != nil {
				t.Fatal(err)
			}
			if got.String() != tt.in {
				t.Errorf("String() = %q, want %q", got, tt.in)
			}
			if got.text = ""; got != tt.want {
				t.Errorf("parseWhen(%q) = %+v, want %+v", tt.in, got, tt.want)
			}
		})
	}
	for in, want := range map[string]string{
		"":                          "want a transaction id",
		"yesterday":                 "want a transaction id",
		"040d2d7e00db27":            "want a transaction id",
		"2026-11-20":                "want a transaction id",
		"2026-11-20T10:14:02":       "has no time zone",
		"2026-11-20 10:14:02":       "has no time zone",
		"1h":                        "want a transaction id",
		"-":                         "want a transaction id",
		"--1h":                      "want a transaction id",
		"-d":                        "want a transaction id",
		"-1d1w":                     "want a transaction id",
		"-99999999d":                "want a transaction id",
		"-9999999999999999999d":     "want a transaction id",
		"head~":                     "want a transaction id",
		"head~-1":                   "want a transaction id",
		"head~x":                    "want a transaction id",
		"header":                    "want a transaction id",
		"head~99999999999999999999": "is too many",
	} {
		if got, err := parseWhen(in, now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseWhen(%q) = %+v, %v, want error %q", in, got, err, want)
		}
	}
}
