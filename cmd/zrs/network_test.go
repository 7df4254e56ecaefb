package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestParseNetwork(t *testing.T) {
	for in, want := range map[string]string{
		"10.1.2.3":        "10.1.2.3/32",
		"10.0.0.0/8":      "10.0.0.0/8",
		"0.0.0.0/0":       "0.0.0.0/0",
		"::1":             "::1/128",
		"fd00::/8":        "fd00::/8",
		"::ffff:10.1.2.3": "10.1.2.3/32",
	} {
		got, err := parseNetwork(in)
		if err != nil || got.String() != want {
			t.Errorf("parseNetwork(%q) = %v, %v, want %v", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		"":            "want an IP address",
		"db1":         "want an IP address",
		"10.0.0.0/":   "want an IP address",
		"10.0.0/8":    "want an IP address",
		"10.0.0.0/33": "want an IP address",
		"fe80::1%lo":  "want an IP address",
		"10.0.0.5/8":  "write 10.0.0.0/8 for the network or 10.0.0.5 for the one address",
	} {
		if got, err := parseNetwork(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseNetwork(%q) = %v, %v, want error %q", in, got, err, want)
		}
	}
}

func TestPrefixes(t *testing.T) {
	n, err := parseNetwork("10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	if got := prefixes([]network{n}); !slices.Equal(got, want) {
		t.Errorf("prefixes() = %v, want %v", got, want)
	}
}
