package main

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"zrs/internal/dump"
)

func TestExitCode(t *testing.T) {
	_, usage := newParser(new(cli)).Parse([]string{"--no-such-flag"})
	if usage == nil {
		t.Fatal("an unknown flag is no error")
	}
	signalled, cancel := context.WithCancelCause(t.Context())
	cancel(fmt.Errorf("terminated: %w", context.Canceled))
	tests := []struct {
		name string
		err  error
		want int
	}{
		{"nil", nil, 0},
		{"usage", usage, 2},
		{"unknown", errors.New("anything else"), 2},
		{"not-exist", &iofs.PathError{Op: "open", Path: "Data.fs", Err: iofs.ErrNotExist}, 10},
		{"deadline", fmt.Errorf("dial: %w", context.DeadlineExceeded), 5},
		{"network-deadline", &iofs.PathError{Op: "read", Err: os.ErrDeadlineExceeded}, 2},
		{"interrupted", context.Cause(signalled), 130},
		{"interrupted-with-more", errors.Join(context.Canceled, iofs.ErrNotExist), 10},
		{"interrupted-told", interrupted(context.Canceled, "nothing was done"), 130},
		{"guard", fmt.Errorf("dump: %w", &guardError{errors.New("it exists")}), 6},
		{"damaged-dump", &dump.Error{Line: 1, Err: dump.ErrChecksum}, 3},
		{"advice", advise(fmt.Errorf("open: %w", iofs.ErrNotExist), "look"), 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := exitCode(tt.err); got != tt.want {
				t.Errorf("exitCode(%v) = %d, want %d", tt.err, got, tt.want)
			}
		})
	}
}

// TestExitCode_documented holds the table to the codes that zrs promises: each
// cause has a documented code, and each manual page prints every one.
func TestExitCode_documented(t *testing.T) {
	promised := map[int]string{
		0: "nothing to do", 1: "negative answer", 2: "usage error", 3: "damaged", 4: "diverged", 5: "trying again",
		6: "guard", 7: "new seed", 8: "blobs are missing", 10: "does not exist", 11: "locked", 130: "resumes",
	}
	documented := map[int]bool{}
	for _, m := range exitMeanings {
		documented[m.code] = true
		if !strings.Contains(m.meaning, promised[m.code]) || promised[m.code] == "" {
			t.Errorf("code %d means %q, want something with %q", m.code, m.meaning, promised[m.code])
		}
	}
	if len(documented) != len(promised) {
		t.Errorf("%d codes are documented, want %d", len(documented), len(promised))
	}
	for _, cause := range exitCauses {
		if !documented[cause.code] {
			t.Errorf("%v gives the undocumented code %d", cause.err, cause.code)
		}
	}

	own := map[string]bool{} // pages with codes of their own
	for _, cmd := range newParser(new(cli)).Model.Leaves(false) {
		own["zrs-"+cmd.Name+".1"] = &exitTable(cmd)[0] != &exitMeanings[0]
	}
	item := regexp.MustCompile(`(?m)^\.TP\n\\fB(\d+)\\fR\n`)
	for _, page := range manPages(newParser(new(cli)).Model) {
		if own[page.name] {
			continue
		}
		_, section, _ := strings.Cut(page.text, "\n.SH EXIT STATUS\n")
		section, _, _ = strings.Cut(section, "\n.SH ")
		var codes []int
		for _, m := range item.FindAllStringSubmatch(section, -1) {
			n, _ := strconv.Atoi(m[1])
			codes = append(codes, n)
		}
		for _, code := range codes {
			if !documented[code] {
				t.Errorf("%s: undocumented code %d", page.name, code)
			}
		}
		if len(codes) != len(documented) {
			t.Errorf("%s has %d exit codes, want %d", page.name, len(codes), len(documented))
		}
	}
}

// TestExitCode_check holds the codes of zrs check to those of all monitoring
// plug-ins, and no other command to them.
func TestExitCode_check(t *testing.T) {
	var names []string
	for i, m := range new(checkCmd).ExitMeanings() {
		if name, _, _ := strings.Cut(m.meaning, ":"); m.code != i {
			t.Errorf("%s has code %d, want %d", name, m.code, i)
		} else {
			names = append(names, name)
		}
	}
	if got, want := strings.Join(names, " "), "OK WARNING CRITICAL UNKNOWN"; got != want {
		t.Errorf("the codes are %s, want %s", got, want)
	}
	for _, tt := range []struct {
		args string
		want int
	}{
		{"check", 3},
		{"check --no-such-flag", 3},
		{"check -w", 3},
		{"check -w soon Data.fs", 3},
		{"check a b c", 3},
		{"check --timeout 0 a", 3},
		{"check --compat --no-such-flag", 2},
		{"check --no-such-flag --compat", 2},
		{"check --compat -w soon a b", 2},
		{"info --compat", 2},
		{"--no-such-flag check", 2},
	} {
		_, err := newParser(new(cli)).Parse(strings.Fields(tt.args))
		if got := exitCode(err); got != tt.want {
			t.Errorf("zrs %s: exit code %d, want %d (%v)", tt.args, got, tt.want, err)
		}
	}
}

func TestStopped(t *testing.T) {
	if err := stopped(fmt.Errorf("serve: %w", context.Canceled)); err != nil {
		t.Errorf("stopped(signal) = %v, want nil", err)
	}
	damage := errors.New("sync failed")
	if err := stopped(damage); !errors.Is(err, damage) {
		t.Errorf("stopped(damage) = %v, want %v", err, damage)
	}
}
