package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"zrs": main})
}

// Paths are bytes, and need not be UTF-8.
func TestExactText(t *testing.T) {
	const path = "Data-\xff\xc3.fs"
	for _, args := range [][]string{{"dump", path, "-o", path}, {"dump", "--output=" + path, path}} {
		var c cli
		if _, err := newParser(&c).Parse(args); err != nil {
			t.Fatal(err)
		}
		if c.Dump.FS != path || c.Dump.Output != path {
			t.Errorf("%q: %q, %q", args, c.Dump.FS, c.Dump.Output)
		}
	}
}

// TestScript runs testdata/script/COMMAND_topic.txtar: what a user sees.
func TestScript(t *testing.T) {
	t.Cleanup(func() { // after all of them
		for _, pattern := range []string{"*", "*/*"} {
			if found, _ := filepath.Glob("../../testdata/corpus/" + pattern + ".zrs"); found != nil {
				t.Errorf("a script serves files of the corpus, not copies: %v", found)
			}
		}
	})
	p := scriptParams()
	p.Dir = "testdata/script"
	testscript.Run(t, p)
}

// scriptParams returns what all scripts have.
func scriptParams() testscript.Params {
	return testscript.Params{
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Vars = slices.DeleteFunc(e.Vars, func(v string) bool { return strings.HasPrefix(v, "ZRS_") })
			e.Setenv("COLUMNS", "100")
			corpus, err := filepath.Abs("../../testdata/corpus")
			e.Setenv("CORPUS", corpus)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": status, "await": await, "peer": peer, "flip": flip,
			"listing": listing, "lock": lock, "sparse": sparse,
			"zeo": zeo, "until": until, "sidecar": sidecar,
		},
	}
}

// status runs a program and requires an exit code:
//
//	status 2 zrs catchup
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE PROGRAM [ARGS...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// await waits until a file exists, or has the same bytes as another:
//
//	await p.sock
//	await b.fs a.fs
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: await FILE [OTHER]")
	}
	for range 3000 {
		got, err := os.ReadFile(ts.MkAbs(args[0]))
		if len(args) == 1 && !errors.Is(err, os.ErrNotExist) {
			return
		}
		if len(args) == 2 && err == nil {
			want, err := os.ReadFile(ts.MkAbs(args[1]))
			ts.Check(err)
			if bytes.Equal(got, want) {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Fatalf("not within 30 s")
}

// until runs a program again and again until what it prints to standard output
// matches a pattern:
//
//	until 'optimal' zrs status a.fs
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN PROGRAM [ARGS...]")
	}
	pattern := regexp.MustCompile("(?m)" + args[0])
	var out []byte
	for range 3000 {
		cmd := exec.Command(args[1], args[2:]...) // not ts.Exec, which logs each
		cmd.Dir = ts.MkAbs(".")
		out, _ = cmd.Output()
		if pattern.Match(out) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Fatalf("not within 30 s, at last it printed\n%s", out)
}

// peer starts something that is no primary, until the script ends, and puts its
// address into $PEER. It accepts one connection after the other and is
//
//	peer silent    and says nothing
//	peer closing   and hangs up
//	peer http      and answers as a web server
//	peer garbage   and sends what looks like a frame of 4 GiB
func peer(ts *testscript.TestScript, neg bool, args []string) {
	says := map[string]string{"silent": "", "closing": "", "http": "HTTP/1.1 400 Bad Request\r\n\r\n", "garbage": "\xff\xff\xff\xffgarbage"}
	if neg || len(args) != 1 {
		ts.Fatalf("usage: peer KIND")
	}
	text, ok := says[args[0]]
	if !ok {
		ts.Fatalf("no peer is %s", args[0])
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	ts.Setenv("PEER", l.Addr().String())
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if args[0] == "closing" {
				conn.Close()
				continue
			}
			ts.Defer(func() { conn.Close() })
			io.WriteString(conn, text)
		}
	}()
}

// flip copies a file and flips the lowest bit of a byte:
//
//	flip OLD NEW OFFSET
func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: flip OLD NEW OFFSET")
	}
	data := []byte(ts.ReadFile(args[0]))
	at, err := strconv.Atoi(args[2])
	ts.Check(err)
	data[at] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data, 0o666))
}

func TestJoinNegative(t *testing.T) {
	tests := []struct{ in, want string }{
		{"catchup --until -1h a b", "catchup --until=-1h a b"},
		{"catchup --until=-1h a b", "catchup --until=-1h a b"},
		{"catchup --dry-run -q a", "catchup --dry-run -q a"},
		{"-1h", "-- -1h"},
		{"log a -1h..", "log a -- -1h.."},
		{"log a -1h.. --json", "log a --json -- -1h.."},
		{"log a --json -1h..", "log a --json -- -1h.."},
		{"log a -1h.. -- b", "log a -- -1h.. b"},
		{"--until=x -1h", "--until=x -- -1h"},
		{"-- --until -1h", "-- --until -1h"},
		{"--until -- -1h", "--until -- -1h"},
		{"", ""},
	}
	app := newParser(new(cli)).Model
	for _, tt := range tests {
		if got := strings.Join(joinNegative(strings.Fields(tt.in), app), " "); got != tt.want {
			t.Errorf("joinNegative(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

// allFlags returns the flags that users can see, by the command they belong to.
func allFlags(t *testing.T) map[string][]*kong.Flag {
	t.Helper()
	app := newParser(new(cli)).Model
	flags := map[string][]*kong.Flag{"": app.Flags}
	for _, cmd := range app.Leaves(true) {
		flags[cmd.Name] = cmd.Flags
	}
	return flags
}

// TestEnvars holds the promise that each flag has its variable, except for those
// that would make every command do something else.
func TestEnvars(t *testing.T) {
	kept := map[string]bool{"help": true, "version": true}
	for cmd, flags := range allFlags(t) {
		for _, flag := range flags {
			want := []string{"ZRS_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))}
			if kept[flag.Name] {
				want = nil
			}
			if !slices.Equal(flag.Envs, want) {
				t.Errorf("%s --%s has the variables %v, want %v", cmd, flag.Name, flag.Envs, want)
			}
		}
	}
}

// TestHelpTexts holds every help text to one sentence, from capital to full
// stop, and those of commands to begin with a verb.
func TestHelpTexts(t *testing.T) {
	sentence := regexp.MustCompile(`^[A-Z][^.]*(\.[^ .][^.]*)*\.$`)
	check := func(what, help string) {
		if !sentence.MatchString(help) || strings.TrimSpace(help) != help {
			t.Errorf("%s: help %q is not one sentence", what, help)
		}
	}
	app := newParser(new(cli)).Model
	check("zrs", app.Help)
	verbs := []string{"Serve", "Keep", "Bring", "Say", "Tell", "Show", "Explain", "Write", "Take", "Make"}
	for _, cmd := range app.Leaves(false) {
		check(cmd.Name, cmd.Help)
		if verb, _, _ := strings.Cut(cmd.Help, " "); !slices.Contains(verbs, verb) {
			t.Errorf("%s: help begins with %q: is it a verb? then add it here", cmd.Name, verb)
		}
		for _, arg := range cmd.Positional {
			check(cmd.Name+" "+arg.Name, arg.Help)
		}
		if !cmd.Hidden && cmd.Detail == "" {
			t.Errorf("%s has no description", cmd.Name)
		}
		if !cmd.Hidden && examples(cmd) == "" {
			t.Errorf("%s has no examples", cmd.Name)
		}
	}
	for cmd, flags := range allFlags(t) {
		for _, flag := range flags {
			check(cmd+" --"+flag.Name, flag.Help)
			if !flag.IsBool() && flag.PlaceHolder == "" {
				t.Errorf("%s --%s has no placeholder", cmd, flag.Name)
			}
			if flag.Enum != "" {
				for _, value := range flag.EnumSlice() {
					if !strings.Contains(flag.Help, value) {
						t.Errorf("%s --%s: help does not mention %q", cmd, flag.Name, value)
					}
				}
			}
		}
	}
}

// TestHelpTexts_current holds that the long texts name only flags that there are, and
// the keys of --json that docs/json.md has for the command, but for what is inside
// of objects.
func TestHelpTexts_current(t *testing.T) {
	app := newParser(new(cli)).Model
	flags := map[string]bool{}
	for _, list := range allFlags(t) {
		for _, flag := range list {
			flags["--"+flag.Name] = true
		}
	}
	texts := map[string]string{"": app.Detail}
	for _, topic := range topics {
		texts[topic.name] = topic.text()
	}
	for _, cmd := range app.Leaves(true) {
		texts[cmd.Name] = cmd.Detail
	}
	for name, text := range texts {
		for _, flag := range regexp.MustCompile(`--[a-z][a-z-]*`).FindAllString(text, -1) {
			if !flags[flag] {
				t.Errorf("%s: there is no %s", name, flag)
			}
		}
	}
	for name, section := range readJSONPage(t).sections {
		command, _, _ := strings.Cut(name, " ")
		if section.as != "" {
			continue
		}
		words := regexp.MustCompile(`\w+`).FindAllString(strings.ReplaceAll(texts[command], "-", "_"), -1)
		for key := range section.rows {
			if key != "schema" && !strings.Contains(key, ".") && !slices.Contains(words, key) {
				t.Errorf("zrs %s: the help does not mention the key %s", name, key)
			}
		}
	}
}

// TestExamples parses the commands in the examples: they must be valid.
func TestExamples(t *testing.T) {
	words := regexp.MustCompile(`'[^']*'|\S+`)
	app := newParser(new(cli)).Model
	for _, cmd := range append([]*kong.Node{app.Node}, app.Leaves(true)...) {
		text := strings.ReplaceAll(examples(cmd), "\\\n", " ")
		found := 0
		for line := range strings.Lines(text) {
			line, code := strings.CutPrefix(line, "\t")
			line, _, _ = strings.Cut(line, " > ")
			args := words.FindAllString(line, -1)
			for len(args) > 0 && strings.HasPrefix(args[0], "ZRS_") {
				name, value, _ := strings.Cut(args[0], "=")
				t.Setenv(name, value)
				args = args[1:]
			}
			if !code || len(args) == 0 || args[0] != "zrs" {
				continue
			}
			if _, err := newParser(new(cli)).Parse(joinNegative(args[1:], newParser(new(cli)).Model)); err != nil {
				t.Errorf("%s: example %q: %v", cmd.Name, line, err)
			}
			found++
		}
		if found == 0 {
			t.Errorf("%s has no command in its examples", cmd.Name)
		}
	}
}
