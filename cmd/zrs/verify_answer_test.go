package main

import (
	"strings"
	"testing"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"":                  "",
		`a "quoted" text`:   `a "quoted" text`,
		"Jörg":              "Jörg",
		"\x1b[31mred":       `"\x1b[31mred"`,
		"a\nb":              `"a\nb"`,
		"\u009b31m":         `"\u009b31m"`,
		"\u202eback":        `"\u202eback"`,
		"\xff":              `"\xff"`,
		"\ufffd":            "\ufffd",
		"soft\u00a0blank":   `"soft\u00a0blank"`,
		"data.fs: damaged;": "data.fs: damaged;",
	} {
		if got := printable(in); got != want {
			t.Errorf("printable(%q) = %s, want %s", in, got, want)
		}
	}
	if got := printable(strings.Repeat("x", 65535)); len(got) > 2*maxQuoted {
		t.Errorf("a long text has %d bytes", len(got))
	}
}
