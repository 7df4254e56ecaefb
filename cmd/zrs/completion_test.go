package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

const completionDir = "../../docs/completion"

// TestCompletion_current fails when docs/completion is not what zrs completion
// writes.
func TestCompletion_current(t *testing.T) {
	files, err := filepath.Glob(completionDir + "/*")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, file := range files {
		found = append(found, filepath.Base(file))
	}
	if want := []string{"zrs.bash", "zrs.fish", "zrs.zsh"}; !slices.Equal(found, want) {
		t.Errorf("%s has %q, want %q", completionDir, found, want)
	}
	for shell, script := range completionScripts {
		path := filepath.Join(completionDir, "zrs."+shell)
		got, err := os.ReadFile(path)
		if err != nil || string(got) != script(newParser(new(cli)).Model) {
			t.Errorf("%s is stale (%v): run make man", path, err)
		}
	}
}

// TestCompletion_known holds that what completes each value has been decided, and
// that all words can stand in a script as they are.
func TestCompletion_known(t *testing.T) {
	plain := regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
	app := newParser(new(cli)).Model
	check := func(what string, v *kong.Value, name string) {
		c := completionOf(app, v, name)
		if _, known := completionKinds[name]; c.kind != completeWords && !known {
			t.Errorf("%s: what completes %s? Add it to completionKinds", what, name)
		}
		for _, word := range c.words {
			if !plain.MatchString(word) {
				t.Errorf("%s: %q would have to be quoted", what, word)
			}
		}
	}
	for name, flags := range allFlags(t) {
		for _, flag := range flags {
			if !flag.IsBool() {
				check(name+" --"+flag.Name, flag.Value, flag.PlaceHolder)
			}
		}
	}
	for _, cmd := range app.Leaves(true) {
		if !plain.MatchString(cmd.Name) {
			t.Errorf("the command %q would have to be quoted", cmd.Name)
		}
		for _, arg := range cmd.Positional {
			check(cmd.Name, arg, arg.Name)
		}
	}
}

// wantFlags returns the flags that a shell should offer for each command, and for
// none under "".
func wantFlags(t *testing.T) map[string][]string {
	t.Helper()
	want := map[string][]string{}
	for name, flags := range allFlags(t) {
		want[name] = nil
		for _, flag := range flags {
			want[name] = append(want[name], flagNames(flag)...)
		}
		slices.Sort(want[name])
	}
	return want
}

// A bashRun is an argument list to complete in bash, and what that gave.
type bashRun struct {
	line string   // up to the cursor
	want []string // in any order
}

// completeBash runs the script for bash on each line. The working directory has
// the files a.fs, "it's b.fs" and x:y.fs, and the directory sub.
func completeBash(t *testing.T, runs []bashRun) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"a.fs", "it's b.fs", "x:y.fs"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o777); err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	script.WriteString(bashCompletion(newParser(new(cli)).Model))
	for _, run := range runs {
		words := bashWords(run.line)
		last := words[len(words)-1]
		replaced := strings.TrimLeft(last, "=:") // what readline passes as $2
		script.WriteString("COMP_WORDS=(")
		for _, word := range words {
			script.WriteString(" " + quoteBash([]string{word}))
		}
		fmt.Fprintf(&script, ") COMP_CWORD=%d COMP_LINE=%s COMP_POINT=%d\n_zrs zrs %s\nprintf '%%s\\n' \"${COMPREPLY[@]}\" =====\n",
			len(words)-1, quoteBash([]string{run.line}), len(run.line), quoteBash([]string{replaced}))
	}
	cmd := exec.CommandContext(t.Context(), "bash", "--norc", "-u")
	cmd.Dir = dir
	cmd.Stdin = strings.NewReader(script.String())
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("bash: %v\n%s", err, &stderr)
	}
	answers := strings.Split(string(out), "=====\n")
	if len(answers) != len(runs)+1 {
		t.Fatalf("bash answered %d times, want %d", len(answers)-1, len(runs))
	}
	for i, run := range runs {
		got := slices.DeleteFunc(strings.Split(answers[i], "\n"), func(s string) bool { return s == "" })
		want := slices.Clone(run.want)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%q is completed by %q, want %q", run.line, got, want)
		}
	}
}

// bashWords splits a line as bash does for COMP_WORDS: at spaces, before and behind
// each run of = and :.
func bashWords(line string) []string {
	var words []string
	for field := range strings.SplitSeq(line, " ") {
		parts := regexp.MustCompile(`[=:]+|[^=:]+`).FindAllString(field, -1)
		if len(parts) == 0 {
			parts = []string{""}
		}
		words = append(words, parts...)
	}
	return words
}

// TestCompletion_bash asks bash for what is offered on all kinds of lines.
func TestCompletion_bash(t *testing.T) {
	files := []string{"a.fs", "it's b.fs", "x:y.fs", "sub"}
	completeBash(t, []bashRun{
		{"zrs cat", []string{"catchup"}},
		{"zrs serve", []string{"serve-primary", "serve-secondary"}},
		{"zrs gen", nil},
		{"zrs --jso", []string{"--json"}},
		{"zrs --color=always --progress never rest", []string{"restore"}},
		{"zrs catchup --ch", []string{"--check-history"}},
		{"zrs catchup --check-history=", []string{"tail", "full", "none"}},
		{"zrs catchup --check-history=f", []string{"full"}},
		{"zrs catchup --check-history f", []string{"full"}},
		{"zrs catchup --check-history full ", files},
		{"zrs catchup --dry-run ", files},
		{"zrs catchup --blob-dir ", []string{"sub"}},
		{"zrs catchup --blob-dir=s", []string{"sub"}},
		{"zrs catchup --until ", nil},
		{"zrs catchup --until=2026-11-20T10:14:02Z a", []string{"a.fs"}},
		{"zrs serve-secondary --replicate-from ", nil},
		{"zrs serve-secondary --replicate-from=db1:", nil},
		{"zrs verify it", []string{"it's b.fs"}},
		{"zrs verify x:", []string{"y.fs"}},
		{"zrs verify db1:5000 a", []string{"a.fs"}},
		{"zrs verify a.fs a.fs ", nil},
		{"zrs dump a.fs ", nil},
		{"zrs dump -o a", []string{"a.fs"}},
		{"zrs log -n 3 a", []string{"a.fs"}},
		{"zrs log -1h.. ", nil},
		{"zrs info x:y.fs last-", []string{"last-tid", "last-time"}},
		{"zrs info -q -- a.fs last-ti", []string{"last-tid", "last-time"}},
		{"zrs info -- --", nil},
		{"zrs help exit", []string{"exit-codes"}},
		{"zrs completion ", []string{"bash", "zsh", "fish"}},
		{"zrs frobnicate ", nil},
	})
}

// TestCompletion_bashModel asks bash for all that the model has, and for nothing
// else.
func TestCompletion_bashModel(t *testing.T) {
	app := newParser(new(cli)).Model
	want := wantFlags(t)
	var runs []bashRun
	var commands []string
	for _, cmd := range app.Leaves(true) {
		commands = append(commands, cmd.Name)
		runs = append(runs, bashRun{"zrs " + cmd.Name + " -", append(slices.Clone(want[""]), want[cmd.Name]...)})
	}
	runs = append(runs, bashRun{"zrs ", commands}, bashRun{"zrs -", want[""]})
	of := map[completionKind][]string{
		completeFiles:       {"a.fs", "it's b.fs", "x:y.fs", "sub"},
		completeDirectories: {"sub"},
	}
	for name, flags := range allFlags(t) {
		for _, flag := range flags {
			if flag.IsBool() {
				continue
			}
			c := completionOf(app, flag.Value, flag.PlaceHolder)
			for _, end := range []string{" ", "="} {
				runs = append(runs, bashRun{strings.TrimSpace("zrs "+name) + " --" + flag.Name + end, append(of[c.kind], c.words...)})
			}
		}
	}
	for _, cmd := range app.Leaves(true) {
		line := "zrs " + cmd.Name
		for _, arg := range cmd.Positional {
			c := completionOf(app, arg, arg.Name)
			runs = append(runs, bashRun{line + " ", append(of[c.kind], c.words...)})
			line += " any"
		}
		runs = append(runs, bashRun{line + " ", nil})
	}
	completeBash(t, runs)
}

// scriptFlags returns the flags in a script, by command, in the form of wantFlags.
var scriptFlags = map[string]func(script string) map[string][]string{
	"zsh": func(script string) map[string][]string {
		found := map[string][]string{}
		name := ""
		for line := range strings.Lines(script) {
			if m := regexp.MustCompile(`^ {8}([a-z-]+)\)\n$`).FindStringSubmatch(line); m != nil {
				name = m[1]
				found[name] = nil
			}
			if m := regexp.MustCompile(`^ +'(?:\*|\([^)]*\))?(--?[A-Za-z-]+)[=+]?\[.*\](?::[^:]+:[^:]+)?'( \\| && ret=0)?\n$`).FindStringSubmatch(line); m != nil {
				found[name] = append(found[name], m[1])
			}
		}
		return found
	},
	"fish": func(script string) map[string][]string {
		found := map[string][]string{}
		for _, m := range regexp.MustCompile(`(?m)^complete -c zrs -n '__zrs_at "" 0' -a ([a-z-]+) -d '`).FindAllStringSubmatch(script, -1) {
			found[m[1]] = nil
		}
		flag := regexp.MustCompile(`(?m)^complete -c zrs(?: -n '__zrs_in ([a-z-]+)')? -l ([a-z-]+)(?: -s ([a-z]))?(?: -r(?: -F| -f| -f -a '[^']+'))? -d '`)
		for _, m := range flag.FindAllStringSubmatch(script, -1) {
			found[m[1]] = append(found[m[1]], "--"+m[2])
			if m[3] != "" {
				found[m[1]] = append(found[m[1]], "-"+m[3])
			}
		}
		return found
	},
}

// TestCompletion_scripts reads the scripts for the shells that may not be here: all
// commands and flags of the model are in them, and nothing else. A shell that is
// here checks their syntax.
func TestCompletion_scripts(t *testing.T) {
	app := newParser(new(cli)).Model
	want := wantFlags(t)
	for shell, read := range scriptFlags {
		script := completionScripts[shell](app)
		got := read(script)
		for name := range got {
			if _, ok := want[name]; !ok {
				t.Errorf("%s: %q is no command", shell, name)
			}
		}
		for name, flags := range want {
			found, ok := got[name]
			slices.Sort(found)
			if !ok || !slices.Equal(found, flags) {
				t.Errorf("%s: %q has the flags %q, want %q", shell, name, found, flags)
			}
		}
	}
	for shell, write := range completionScripts {
		if strings.Contains(write(app), "gen-man") {
			t.Errorf("%s: a hidden command is completed", shell)
		}
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		cmd := exec.CommandContext(t.Context(), path, "-n", filepath.Join(completionDir, "zrs."+shell))
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s -n: %v\n%s", shell, err, out)
		}
	}
}

// TestCompletion_quoting holds that nothing in a help text is taken for syntax.
func TestCompletion_quoting(t *testing.T) {
	type grammar struct {
		Flag string `placeholder:"N" help:"It's a [b] C:\\d $e."`
		Cmd  struct {
			One string `arg:"" name:"N" help:"One."`
		} `cmd:"" help:"It's: f."`
	}
	app := kong.Must(new(grammar), kong.Name("zrs")).Model
	for shell, wants := range map[string][]string{
		"bash": {`_zrs_shared='--help -h --flag=@'`, `_zrs_commands='cmd'`},
		"zsh":  {`'(--flag)--flag=[It'\''s a \[b\] C:\\d $e]:N: '`, `'cmd:It'\''s\: f'`},
		"fish": {`complete -c zrs -l flag -r -f -d 'It\'s a [b] C:\\d $e'`, `-a cmd -d 'It\'s: f'`},
	} {
		script := completionScripts[shell](app)
		for _, want := range wants {
			if !strings.Contains(script, want) {
				t.Errorf("%s: the script lacks %s:\n%s", shell, want, script)
			}
		}
	}
}
