package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
)

func testEnv(t *testing.T, f outputFlags) (e *env, stdout, stderr *bytes.Buffer) {
	t.Helper()
	stdout, stderr = new(bytes.Buffer), new(bytes.Buffer)
	return newEnv(f, strings.NewReader(""), stdout, stderr), stdout, stderr
}

func TestEnv_answer(t *testing.T) {
	doc := struct {
		Schema int `json:"schema"`
	}{1}
	text := func(w io.Writer) error {
		_, err := io.WriteString(w, "one\n")
		return err
	}
	tests := []struct {
		name  string
		flags outputFlags
		want  string
	}{
		{"text", outputFlags{}, "one\n"},
		{"json", outputFlags{JSON: true}, `{"schema":1}` + "\n"},
		{"quiet", outputFlags{Quiet: true}, ""},
		{"quiet-json", outputFlags{Quiet: true, JSON: true}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, stdout, stderr := testEnv(t, tt.flags)
			if err := e.answer(doc, text); err != nil {
				t.Fatal(err)
			}
			if stdout.String() != tt.want || stderr.Len() > 0 {
				t.Errorf("stdout %q, stderr %q, want %q and nothing", stdout, stderr, tt.want)
			}
		})
	}
}

// TestEnv_answer_fails holds that an answer that could not be written is an
// error: a full disk must not look like success.
func TestEnv_answer_fails(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	for _, flags := range []outputFlags{{}, {JSON: true}} {
		e := newEnv(flags, nil, full, io.Discard)
		err := e.answer(1, func(w io.Writer) error {
			_, err := io.WriteString(w, "one\n")
			return err
		})
		if err == nil {
			t.Errorf("%+v: an answer to a full disk is no error", flags)
		}
	}
}

func TestEnv_log(t *testing.T) {
	level := func(s string) (l logLevel) {
		if err := l.UnmarshalText([]byte(s)); err != nil {
			t.Fatal(err)
		}
		return l
	}
	tests := []struct {
		name  string
		flags outputFlags
		want  string // levels that appear
	}{
		{"default", outputFlags{}, "INFO WARN ERROR"},
		{"quiet", outputFlags{Quiet: true}, "ERROR"},
		{"debug", outputFlags{LogLevel: level("debug")}, "DEBUG INFO WARN ERROR"},
		{"warn", outputFlags{LogLevel: level("warn")}, "WARN ERROR"},
		{"quiet-info", outputFlags{Quiet: true, LogLevel: level("info")}, "INFO WARN ERROR"},
		{"json", outputFlags{LogFormat: "json", LogLevel: level("error")}, "ERROR"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, stdout, stderr := testEnv(t, tt.flags)
			for _, l := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
				e.log.Log(t.Context(), l, "said")
			}
			var got []string
			for line := range strings.Lines(stderr.String()) {
				for _, l := range []string{"DEBUG", "INFO", "WARN", "ERROR"} {
					if strings.Contains(line, l) {
						got = append(got, l)
					}
				}
				isJSON := strings.HasPrefix(line, "{")
				if isJSON != (tt.flags.LogFormat == "json") {
					t.Errorf("line %q has the wrong format", line)
				}
				if end := strings.IndexAny(line, " ,"); !strings.Contains(line[:end], "Z") {
					t.Errorf("line %q is not in UTC", line)
				}
			}
			if strings.Join(got, " ") != tt.want || stdout.Len() > 0 {
				t.Errorf("levels %v, stdout %q, want %s and nothing", got, stdout, tt.want)
			}
		})
	}
	var l logLevel
	if err := l.UnmarshalText([]byte("INFO+2")); err == nil {
		t.Error("INFO+2 is accepted as a level")
	}
}

func TestEnv_fail(t *testing.T) {
	err := fmt.Errorf("catchup: %w", advise(errors.New("histories diverged"), "zrs verify A B", "zrs rewind A"))
	e, stdout, stderr := testEnv(t, outputFlags{Quiet: true})
	e.fail(err)
	want := "zrs: catchup: histories diverged\nnext: zrs verify A B\n      zrs rewind A\n"
	if stderr.String() != want || stdout.Len() > 0 {
		t.Errorf("stderr %q, stdout %q, want %q and nothing", stderr, stdout, want)
	}

	e, _, stderr = testEnv(t, outputFlags{})
	e.fail(errors.Join(errors.New("disk full"), errors.New("disk full"), errors.New("and more")))
	if s := stderr.String(); s != "zrs: disk full\nand more\n" {
		t.Errorf("stderr %q, want each line once", s)
	}

	e, _, stderr = testEnv(t, outputFlags{LogFormat: "json", Quiet: true})
	e.fail(err)
	if s := stderr.String(); !strings.HasPrefix(s, "{") || !strings.Contains(s, `"exit_code":2`) || strings.Count(s, "\n") != 1 {
		t.Errorf("stderr %q, want one JSON line with the exit code", s)
	}

	e, _, stderr = testEnv(t, outputFlags{Color: always})
	e.fail(err)
	if s := stderr.String(); !strings.HasPrefix(s, "\x1b[31;1mzrs:\x1b[") {
		t.Errorf("stderr %q is not coloured", s)
	}
}

func TestWanted(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	file, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, w := range []io.Writer{file, new(bytes.Buffer)} {
		for mode, want := range map[string]bool{auto: false, never: false, always: true} {
			if got := wanted(mode, w); got != want {
				t.Errorf("wanted(%q, %T) = %v, want %v", mode, w, got, want)
			}
		}
	}
}

// TestWanted_terminal needs a terminal: the master of a new one is as good.
func TestWanted_terminal(t *testing.T) {
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	defer tty.Close()
	if !isTerminal(tty) {
		t.Skip("/dev/ptmx is no terminal here")
	}
	tests := []struct {
		term, noColor string
		want          bool
	}{
		{"xterm", "", true},
		{"xterm", "1", false},
		{"dumb", "", false},
		{"", "", true},
	}
	for _, tt := range tests {
		t.Setenv("TERM", tt.term)
		t.Setenv("NO_COLOR", tt.noColor)
		if got := wanted(auto, tty); got != tt.want {
			t.Errorf("TERM=%s NO_COLOR=%s: wanted() = %v, want %v", tt.term, tt.noColor, got, tt.want)
		}
	}
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	for _, flags := range []outputFlags{{JSON: true, Progress: always}, {Quiet: true, Progress: always}} {
		if newEnv(flags, nil, io.Discard, tty).bar {
			t.Errorf("%+v: a bar is drawn", flags)
		}
	}
	if !newEnv(outputFlags{Progress: auto}, nil, io.Discard, tty).bar {
		t.Error("no bar on a terminal")
	}
}
