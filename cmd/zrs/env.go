package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fatih/color"
	"github.com/mattn/go-isatty"
	"github.com/schollz/progressbar/v3"
)

// Terminal output, all rules in one place:
//
//   - The answer goes to stdout; progress, logs and errors go to stderr.
//   - auto colours a stream, or draws progress bars on stderr, if it is a
//     terminal, NO_COLOR is not set and TERM is not dumb.
//   - --json and --quiet switch progress bars off, --json switches colour off,
//     even where always was asked for.
//   - Bar and log lines share the terminal through console.

// autoAlwaysNever are the values of --color and --progress.
const (
	auto   = "auto"
	always = "always"
	never  = "never"
)

// outputFlags are shared by all commands.
type outputFlags struct {
	Quiet     bool     `short:"q" group:"output" help:"Print nothing on success, and log errors only."`
	JSON      bool     `name:"json" group:"output" help:"Print the answer as one JSON document."`
	Color     string   `enum:"auto,always,never" default:"auto" placeholder:"WHEN" group:"output" help:"Colour the output: auto, always or never."`
	Progress  string   `enum:"auto,always,never" default:"auto" placeholder:"WHEN" group:"output" help:"Show progress: auto (a bar on a terminal, elsewhere a log line every 10 s), always (a bar) or never."`
	LogLevel  logLevel `placeholder:"LEVEL" group:"output" help:"Log from this level on: debug, info, warn or error; info if not given, with --quiet error."`
	LogFormat string   `enum:"text,json" default:"text" placeholder:"FORMAT" group:"output" help:"Log to standard error as text or json."`
}

// An env is what a command has of its surroundings.
type env struct {
	stdin  io.Reader
	stdout io.Writer
	stderr *console
	log    *slog.Logger // never nil, writes to stderr

	json, quiet bool
	logJSON     bool
	bar         bool   // progress is drawn, else logged
	progress    string // auto, always or never

	bold, red *color.Color // for stdout; plain if it is not coloured
	alert     *color.Color // for stderr
}

func newEnv(f outputFlags, stdin io.Reader, stdout, stderr io.Writer) *env {
	e := &env{
		stdin: stdin, stdout: stdout, stderr: &console{w: stderr},
		json: f.JSON, quiet: f.Quiet, logJSON: f.LogFormat == "json", progress: f.Progress,
	}
	e.bar = wanted(f.Progress, stderr) && !f.JSON && !f.Quiet
	colorOut := wanted(f.Color, stdout) && !f.JSON
	e.bold, e.red = newColor(colorOut, color.Bold), newColor(colorOut, color.FgRed)
	e.alert = newColor(wanted(f.Color, stderr) && !e.logJSON, color.FgRed, color.Bold)
	e.log = slog.New(newLogHandler(f, e.stderr))
	return e
}

// newColor returns a colour that is on or off by our decision: the package's
// own is made for stdout alone.
func newColor(on bool, attrs ...color.Attribute) *color.Color {
	c := color.New(attrs...)
	if on {
		c.EnableColor()
	} else {
		c.DisableColor()
	}
	return c
}

// wanted reports whether w gets what is for terminals.
func wanted(mode string, w io.Writer) bool {
	switch mode {
	case always:
		return true
	case never:
		return false
	default:
		return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	}
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// attended reports whether a person is at the terminal.
func (e *env) attended() bool {
	in, ok := e.stdin.(*os.File)
	return ok && isTerminal(in) && isTerminal(e.stderr.w)
}

// newLogHandler logs in UTC, as all other times are printed.
func newLogHandler(f outputFlags, w io.Writer) slog.Handler {
	level := f.LogLevel.level
	if !f.LogLevel.set && f.Quiet {
		level = slog.LevelError
	}
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && len(groups) == 0 {
			return slog.Time(a.Key, a.Value.Time().UTC())
		}
		return a
	}}
	if f.LogFormat == "json" {
		return slog.NewJSONHandler(w, opts)
	}
	return slog.NewTextHandler(w, opts)
}

// A logLevel is a level of slog, or none: then --quiet decides.
type logLevel struct {
	level slog.Level
	set   bool
}

// UnmarshalText reads debug, info, warn or error.
func (l *logLevel) UnmarshalText(text []byte) error {
	if !slices.Contains(logLevels, string(text)) {
		return fmt.Errorf("log level %q: want debug, info, warn or error", text)
	}
	l.set = true
	return l.level.UnmarshalText(text)
}

var logLevels = []string{"debug", "info", "warn", "error"}

// answer prints the answer of a command to stdout: v as a JSON document with
// --json, what text writes without, nothing with --quiet.
func (e *env) answer(v any, text func(io.Writer) error) error {
	switch {
	case e.quiet:
		return nil
	case e.json:
		return json.NewEncoder(e.stdout).Encode(v)
	default:
		return text(e.stdout)
	}
}

// fail tells the operator on stderr why the command ends.
func (e *env) fail(err error) {
	if _, ok := errors.AsType[*shownError](err); ok {
		return
	}
	if e.logJSON {
		e.log.Error("failed", "err", err, "exit_code", exitCode(err))
		return
	}
	printError(e.stderr, e.alert, err)
}

// printError prints the message of err and, if there is any, the advice.
func printError(w io.Writer, prefix *color.Color, err error) {
	msg := err.Error()
	if _, told := errors.AsType[*interruptedError](err); exitCode(err) == exitInterrupted && !told {
		msg = "interrupted; the same command goes on where this one stopped"
	}
	// What failed, and could not be undone for the same reason, is told once.
	lines := slices.Compact(strings.Split(msg, "\n"))
	fmt.Fprintf(w, "%s %s\n", prefix.Sprint("zrs:"), strings.Join(lines, "\n"))
	if a, ok := errors.AsType[*adviceError](err); ok {
		writeNext(w, a.next)
	}
}

// writeNext tells what to do next.
func writeNext(w io.Writer, lines []string) {
	lead := "next:"
	for _, line := range lines {
		fmt.Fprintf(w, "%-5s %s\n", lead, line)
		lead = ""
	}
}

// shellWord returns a word as a shell takes it, for a command to be pasted.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("/._-:@%+=,[]", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// A console is a stderr that a progress bar may be drawn on. It is safe for
// concurrent use.
type console struct {
	mu  sync.Mutex
	w   io.Writer
	bar *progressbar.ProgressBar // on the last line, or nil
}

// Write writes whole lines. A bar that stands in their place is wiped, and
// appears again below them at its next turn.
func (c *console) Write(p []byte) (int, error) { return c.writeTo(c.w, p) }

func (c *console) writeTo(w io.Writer, p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bar != nil {
		_ = c.bar.Clear()
	}
	return w.Write(p)
}

// lines returns where an answer goes that comes line by line while progress is
// shown: to stdout, or nowhere with --quiet.
func (e *env) lines() io.Writer {
	switch {
	case e.quiet:
		return io.Discard
	case isTerminal(e.stdout):
		return besideBar{e}
	default:
		return e.stdout
	}
}

// besideBar is a stdout that is on the same terminal as the bar.
type besideBar struct{ e *env }

func (b besideBar) Write(p []byte) (int, error) { return b.e.stderr.writeTo(b.e.stdout, p) }

// timeLayout is how times are printed for people, always in UTC.
const timeLayout = "2006-01-02 15:04:05Z"

func formatTime(t time.Time) string { return t.UTC().Format(timeLayout) }
