package main

import (
	"fmt"
	"testing"

	"zrs/internal/control"
	"zrs/internal/repl"
)

// What a server refuses is a guard's; what it fails at is trouble.
func TestRefused(t *testing.T) {
	for reason, want := range map[string]int{"source-lives": exitGuard, control.ReasonTrouble: exitTrouble} {
		if got := exitCode(refused(&control.Refusal{Reason: reason, Text: "no"})); got != want {
			t.Errorf("%s: exit code %d, want %d", reason, got, want)
		}
	}
	spoke := adviseSource(fmt.Errorf("%w: %w", repl.ErrRefused, repl.ErrSpokeZRS1), "a.fs", "db1")
	if got := exitCode(spoke); got != exitTemporary {
		t.Errorf("%v: exit code %d, want %d", spoke, got, exitTemporary)
	}
}
