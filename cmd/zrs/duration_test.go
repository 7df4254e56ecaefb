package main

import (
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	for in, want := range map[string]time.Duration{
		"0":     0,
		"60":    time.Minute,
		"0.5":   500 * time.Millisecond,
		"-1":    -time.Second,
		"200ms": 200 * time.Millisecond,
		"2m30s": 150 * time.Second,
	} {
		if got, err := parseDuration(in); err != nil || time.Duration(got) != want {
			t.Errorf("parseDuration(%q) = %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "s", "-", "1x", "5 minutes", "99999999999", "1.2.3"} {
		if got, err := parseDuration(in); err == nil {
			t.Errorf("parseDuration(%q) = %v, want an error", in, got)
		}
	}
}
