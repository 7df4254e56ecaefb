package main

import (
	"math"
	"strings"
	"testing"
)

func TestParseByteSize(t *testing.T) {
	tests := []struct {
		in   string
		want byteSize
		text string
	}{
		{"0", 0, "0"},
		{"4096", 4096, "4KiB"},
		{"4095", 4095, "4095"},
		{"12b", 12, "12"},
		{"20M", 20 << 20, "20MiB"},
		{"20m", 20 << 20, "20MiB"},
		{"20MiB", 20 << 20, "20MiB"},
		{"20 MiB", 20 << 20, "20MiB"},
		{"20MB", 20e6, "20000000"},
		{"64K", 64 << 10, "64KiB"},
		{"64kB", 64000, "64000"},
		{"1G", 1 << 30, "1GiB"},
		{"1.5GiB", 3 << 29, "1536MiB"},
		{".5K", 512, "512"},
		{"2T", 2 << 40, "2TiB"},
		{"9223372036854775807", math.MaxInt64, "9223372036854775807"},
	}
	for _, tt := range tests {
		got, err := parseByteSize(tt.in)
		if err != nil || got != tt.want {
			t.Errorf("parseByteSize(%q) = %d, %v, want %d", tt.in, got, err, tt.want)
		}
		if got.String() != tt.text {
			t.Errorf("parseByteSize(%q).String() = %q, want %q", tt.in, got, tt.text)
		}
		if again, err := parseByteSize(got.String()); err != nil || again != got {
			t.Errorf("parseByteSize(%q) = %d, %v, want %d", got, again, err, got)
		}
	}
	for in, want := range map[string]string{
		"":                     "want a number of bytes",
		"M":                    "want a number of bytes",
		"20X":                  "want a number of bytes",
		"-1":                   "want a number of bytes",
		"1.2.3M":               "want a number of bytes",
		"1e3":                  "want a number of bytes",
		"20M/s":                "want a number of bytes",
		"9223372036854775808":  "is too big",
		"8388608T":             "is too big",
		"8388608.5T":           "is too big",
		"99999999999999999.9T": "is too big",
	} {
		if got, err := parseByteSize(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseByteSize(%q) = %d, %v, want error %q", in, got, err, want)
		}
	}
}
