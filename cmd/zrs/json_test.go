package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the examples in docs/json.md")

const jsonPagePath = "../../docs/json.md"

// A jsonPage is docs/json.md: it documents the keys of --json in tables.
type jsonPage struct {
	text     string
	sections map[string]*jsonSection // by what follows "zrs" in the heading
}

// A jsonSection documents the objects that a command prints.
type jsonSection struct {
	rows     map[string]*jsonRow
	as       string // the section whose rows these are
	examples []jsonExample
}

// A jsonRow documents a key.
type jsonRow struct {
	kind           string // see jsonKinds
	as             string // the row whose children it has
	null, optional bool
	words          []string // in backquotes
	seen, seenNull bool
	missed         bool // its object was there without it
}

// A jsonExample is a command line and what it prints.
type jsonExample struct{ args, output string }

var (
	jsonHeading = regexp.MustCompile(`(?m)^## `)
	jsonTable   = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]+) \\| ([^|\n]+) \\|$")
	jsonType    = regexp.MustCompile("^(?:as `([^`]+)`|([A-Za-z0-9]+))( or null)?(, optional)?$")
	jsonAs      = regexp.MustCompile("^\n*The same as `zrs ([a-z-]+)`")
	jsonConsole = regexp.MustCompile("(?s)```console\n\\$ (zrs [^\n]+)\n(.*?)```\n")
	backquoted  = regexp.MustCompile("`([^`]+)`")
)

// findingKinds are the words for what verify finds, which docs/format.md explains.
var findingKinds = sync.OnceValue(func() []string {
	text, _ := os.ReadFile("../../docs/format.md")
	_, section, _ := strings.Cut(string(text), "\n## What is checked\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var words []string
	for _, m := range backquoted.FindAllStringSubmatch(section, -1) {
		words = append(words, m[1])
	}
	return words
})

// jsonKinds are the types in the tables: each tells whether a value that
// encoding/json has read, numbers as json.Number, is of it.
var jsonKinds = map[string]func(v any, row *jsonRow) bool{
	"any":     func(any, *jsonRow) bool { return true },
	"boolean": func(v any, _ *jsonRow) bool { return is[bool](v) },
	"text":    func(v any, _ *jsonRow) bool { return is[string](v) },
	"object":  func(v any, _ *jsonRow) bool { return is[map[string]any](v) },
	"list":    func(v any, _ *jsonRow) bool { return is[[]any](v) },
	"texts": func(v any, _ *jsonRow) bool {
		list, ok := v.([]any)
		return ok && !slices.ContainsFunc(list, func(v any) bool { return !is[string](v) })
	},
	"number":  func(v any, _ *jsonRow) bool { return is[json.Number](v) },
	"word":    func(v any, row *jsonRow) bool { s, ok := v.(string); return ok && slices.Contains(row.words, s) },
	"kind":    func(v any, _ *jsonRow) bool { s, ok := v.(string); return ok && slices.Contains(findingKinds(), s) },
	"integer": matches[json.Number](`^(0|[1-9][0-9]*)$`),
	"TID":     matches[string](`^[0-9a-f]{16}$`),
	"OID":     matches[string](`^[0-9a-f]{16}$`),
	"hex":     matches[string](`^[0-9a-f]+$`),
	"base64":  matches[string](`^[0-9A-Za-z+/]+=*$`),
	"time": func(v any, _ *jsonRow) bool {
		s, _ := v.(string)
		_, err := time.Parse(time.RFC3339, s)
		return err == nil && strings.HasSuffix(s, "Z")
	},
}

func is[T any](v any) bool { _, ok := v.(T); return ok }

func matches[T ~string](pattern string) func(any, *jsonRow) bool {
	re := regexp.MustCompile(pattern)
	return func(v any, _ *jsonRow) bool { s, ok := v.(T); return ok && re.MatchString(string(s)) }
}

func readJSONPage(t *testing.T) *jsonPage {
	t.Helper()
	text, err := os.ReadFile(jsonPagePath)
	if err != nil {
		t.Fatal(err)
	}
	p := &jsonPage{string(text), map[string]*jsonSection{}}
	for _, part := range jsonHeading.Split(p.text, -1)[1:] {
		title, body, _ := strings.Cut(part, "\n")
		name, ok := strings.CutPrefix(title, "zrs ")
		if !ok {
			continue
		}
		s := &jsonSection{rows: map[string]*jsonRow{}}
		p.sections[name] = s
		if m := jsonAs.FindStringSubmatch(body); m != nil && p.sections[m[1]] != nil {
			s.as, s.rows = m[1], p.sections[m[1]].rows
		}
		for line := range strings.Lines(body) {
			m := jsonTable.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
			if m == nil {
				if strings.HasPrefix(line, "| `") {
					t.Errorf("%s: not KEY, TYPE and MEANING: %s", title, line)
				}
				continue
			}
			row := parseJSONRow(m[2], m[3])
			if row == nil || s.rows[m[1]] != nil {
				t.Errorf("%s: %s: unknown type %q, or a key that was there before", title, m[1], m[2])
				continue
			}
			s.rows[m[1]] = row
		}
		for _, m := range jsonConsole.FindAllStringSubmatch(body, -1) {
			s.examples = append(s.examples, jsonExample{m[1], m[2]})
		}
		if len(s.examples) == 0 {
			t.Errorf("%s: no example", title)
		}
	}
	return p
}

// parseJSONRow returns nil for a type that it does not know.
func parseJSONRow(typ, meaning string) *jsonRow {
	m := jsonType.FindStringSubmatch(typ)
	if m == nil {
		return nil
	}
	row := &jsonRow{kind: m[2], as: m[1], null: m[3] != "", optional: m[4] != ""}
	if row.as != "" {
		row.kind = "object"
	}
	for _, word := range backquoted.FindAllStringSubmatch(meaning, -1) {
		row.words = append(row.words, word[1])
	}
	if jsonKinds[row.kind] == nil {
		return nil
	}
	return row
}

// jsonRecorder holds what commands print to the tables.
type jsonRecorder struct {
	page    *jsonPage
	printed map[string]map[string]string // by section and command line
}

// run runs a command, requires an exit code, and holds each object that it prints to
// the tables of a section:
//
//	json SECTION CODE zrs [ARGS...]
func (r *jsonRecorder) run(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: json SECTION CODE zrs [ARGS...]")
	}
	name := args[0]
	section := r.page.sections[name]
	if section == nil {
		ts.Fatalf("%s has no section zrs %s", jsonPagePath, name)
	}
	status(ts, false, args[1:])
	out := ts.ReadFile("stdout")
	if r.printed[name] == nil {
		r.printed[name] = map[string]string{}
	}
	if line := strings.Join(args[2:], " "); r.printed[name][line] == "" {
		r.printed[name][line] = out // the first time, if it runs several times
	}
	docs, err := decodeJSON(out)
	ts.Check(err)
	if len(docs) == 0 {
		ts.Fatalf("it printed nothing")
	}
	for _, doc := range docs {
		for _, fault := range section.check("", doc) {
			ts.Logf("%s", fault)
			err = errors.New("that is not as documented")
		}
	}
	ts.Check(err)
}

// decodeJSON returns the objects in a text.
func decodeJSON(text string) (docs []any, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	for {
		var doc any
		switch err := d.Decode(&doc); {
		case errors.Is(err, io.EOF):
			return docs, nil
		case err != nil:
			return nil, err
		}
		docs = append(docs, doc)
	}
}

// check holds an object, or a list of objects, whose key is path to the tables.
func (s *jsonSection) check(path string, v any) (faults []string) {
	if list, ok := v.([]any); ok {
		for _, item := range list {
			faults = append(faults, s.check(path+"[]", item)...)
		}
		return faults
	}
	object, ok := v.(map[string]any)
	if !ok {
		return []string{fmt.Sprintf("%s: %v is no object", path, v)}
	}
	prefix := ""
	if path != "" {
		prefix = path + "."
	}
	for key, v := range object {
		name := prefix + key
		row := s.rows[name]
		if row == nil {
			name = prefix + "KEY" // any key
			row = s.rows[name]
		}
		if row == nil {
			faults = append(faults, fmt.Sprintf("%s%s is not documented", prefix, key))
			continue
		}
		faults = append(faults, s.checkValue(name, row, v)...)
	}
	for name, row := range s.rows {
		key, of := strings.CutPrefix(name, prefix)
		if _, there := object[key]; !of || there || key == "KEY" || strings.Contains(key, ".") {
			continue
		}
		if row.missed = true; !row.optional {
			faults = append(faults, name+" is missing")
		}
	}
	return faults
}

func (s *jsonSection) checkValue(name string, row *jsonRow, v any) []string {
	switch {
	case v == nil && row.null:
		row.seenNull = true
		return nil
	case v == nil && row.kind != "any" || !jsonKinds[row.kind](v, row):
		return []string{fmt.Sprintf("%s: %v is not of the type %s", name, v, row.kind)}
	}
	row.seen = true
	switch {
	case row.as != "":
		return s.check(row.as, v)
	case row.kind == "object" || row.kind == "list":
		return s.check(name, v)
	}
	return nil
}

// rareJSON are the cases that no short script brings about, and why.
var rareJSON = map[string]string{
	"zrs rewind: begun":                                 "takes a run that was killed, which a test of internal/rewind has",
	"zrs status: source.eta_seconds":                    "takes a transfer of several seconds; a test of internal/node has it",
	"zrs status: peers[].eta_seconds":                   "takes a transfer of several seconds; a test of internal/node has it",
	"zrs control: source.eta_seconds":                   "as of zrs status",
	"zrs control: peers[].eta_seconds":                  "as of zrs status",
	"zrs verify A: findings[].reference_path[].class":   "every object of the corpus that refers to others has a class",
	"zrs verify A: findings[].reference_path[].skipped": "takes a path of many objects, which a test of internal/verify has",
}

// complete reports what is documented in the sections that were touched and did not
// come about: a key, null, or that a key is absent.
func (r *jsonRecorder) complete(t *testing.T) {
	for name, printed := range r.printed {
		s := r.page.sections[name]
		for key, row := range s.rows {
			what := "zrs " + name + ": " + key
			if rareJSON[what] != "" {
				continue
			}
			if !row.seen {
				t.Errorf("%s is documented, and never printed", what)
			}
			if row.null && !row.seenNull {
				t.Errorf("%s is documented to be null, and never is", what)
			}
			if row.optional && !row.missed {
				t.Errorf("%s is documented to be optional, and is always there", what)
			}
		}
		for _, example := range s.examples {
			r.checkExample(t, name, example, printed)
		}
	}
}

// volatileJSON are keys whose values differ from run to run.
var volatileJSON = []string{
	"seconds", "lock_pid", "version", "pid", "database", "epoch", "now", "started", "address", "node",
	"since", "last_contact", "age_seconds", "rate", "trend",
}

// checkExample holds an example in the page to what the command printed. With
// -update it is replaced.
func (r *jsonRecorder) checkExample(t *testing.T, name string, example jsonExample, printed map[string]string) {
	out, ok := printed[example.args]
	if !ok {
		t.Errorf("zrs %s: no script runs the example %q", name, example.args)
		return
	}
	got, err := decodeJSON(example.output)
	want, _ := decodeJSON(out)
	if err == nil && reflect.DeepEqual(still(got), still(want)) {
		return
	}
	if !*update {
		t.Errorf("zrs %s: the example %q is not what it prints (%v): run go test -update", name, example.args, err)
		return
	}
	head := "```console\n$ " + example.args + "\n"
	r.page.text = strings.Replace(r.page.text, head+example.output+"```\n", head+foldJSON(out)+"```\n", 1)
}

// still returns v without what differs from run to run.
func still(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = still(v[i])
		}
	case map[string]any:
		for key := range v {
			if v[key] = still(v[key]); slices.Contains(volatileJSON, key) {
				v[key] = nil
			}
		}
	}
	return v
}

// foldJSON breaks lines between keys so that they can be read.
func foldJSON(text string) string {
	const width = 110
	var b strings.Builder
	for line := range strings.Lines(text) {
		column := 0
		for part := range jsonParts(strings.TrimSuffix(line, "\n")) {
			if column > 0 && column+len(part) > width {
				b.WriteString("\n ")
				column = 1
			}
			b.WriteString(part)
			column += len(part)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// jsonParts cuts a line of JSON behind each comma that is not in a string.
func jsonParts(line string) iter.Seq[string] {
	return func(yield func(string) bool) {
		quoted, start := false, 0
		for i := 0; i < len(line); i++ {
			switch c := line[i]; {
			case quoted && c == '\\':
				i++
			case c == '"':
				quoted = !quoted
			case c == ',' && !quoted:
				if !yield(line[start : i+1]) {
					return
				}
				start = i + 1
			}
		}
		yield(line[start:])
	}
}

// TestJSON runs testdata/json/*.txtar, and holds what the commands print with --json
// to docs/json.md, both ways: every key is documented, and every key that is
// documented is printed, absent where it is optional, and null where it may be. So a
// new command needs a section with a table and an example there, and a script that
// has all its cases; go test -update fills in the example.
func TestJSON(t *testing.T) {
	page := readJSONPage(t)
	before := page.text
	files, err := filepath.Glob("testdata/json/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			r := &jsonRecorder{page: page, printed: map[string]map[string]string{}}
			ok := t.Run("script", func(t *testing.T) {
				p := scriptParams()
				p.Files = []string{file}
				p.Cmds["json"] = r.run
				testscript.Run(t, p)
			})
			if ok {
				r.complete(t)
			}
		})
	}
	if page.text != before {
		if err := os.WriteFile(jsonPagePath, []byte(page.text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// TestJSON_commands holds that each command has a section in docs/json.md, or is among
// those that it says are without, and that each section has a script.
func TestJSON_commands(t *testing.T) {
	page := readJSONPage(t)
	scripts := ""
	files, _ := filepath.Glob("testdata/json/*.txtar")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		scripts += "\n" + string(text)
	}
	places := map[string]int{}
	for name := range page.sections {
		command, _, _ := strings.Cut(name, " ")
		places[command] = 1
		if !strings.Contains(scripts, "\njson '"+name+"' ") && !strings.Contains(scripts, "\njson "+name+" ") {
			t.Errorf("zrs %s: no script in testdata/json runs it", name)
		}
	}
	_, without, _ := strings.Cut(page.text, "\nWithout JSON are ")
	without, _, _ = strings.Cut(without, "\n\n")
	for _, m := range regexp.MustCompile("`([a-z-]+)`").FindAllStringSubmatch(without, -1) {
		places[m[1]]++
	}
	for _, cmd := range newParser(new(cli)).Model.Leaves(true) {
		if n := places[cmd.Name]; n != 1 {
			t.Errorf("%s has %d places for zrs %s, want a section or a word that it is without", jsonPagePath, n, cmd.Name)
		}
		delete(places, cmd.Name)
	}
	for name := range places {
		t.Errorf("%s is about zrs %s, which there is not", jsonPagePath, name)
	}
}
