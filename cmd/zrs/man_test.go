package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const manDir = "../../docs/man"

// TestManPages fails when the pages in docs/man are not what zrs gen-man writes.
func TestManPages(t *testing.T) {
	pages := manPages(newParser(new(cli)).Model)
	want := map[string]string{}
	for _, page := range pages {
		want[page.name] = page.text
	}
	files, err := filepath.Glob(manDir + "/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if _, ok := want[filepath.Base(file)]; !ok {
			t.Errorf("%s is the page of no command: remove it", file)
		}
	}
	for name, text := range want {
		got, err := os.ReadFile(filepath.Join(manDir, name))
		if err != nil || string(got) != text {
			t.Errorf("%s is stale (%v): run make man", name, err)
		}
	}
}

// The sections of a page, in their order. COMMANDS and the topics are in zrs(1)
// alone, FILES where a command has one.
var manSections = []string{
	"NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "OPTIONS", "ADDRESSES", "TRANSACTIONS AND TIMES", "RANGES",
	"EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES", "SEE ALSO",
}

// TestManPages_structure checks the roff source by itself, and that each page has
// its sections.
func TestManPages_structure(t *testing.T) {
	required := []string{"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "ENVIRONMENT", "EXAMPLES", "SEE ALSO"}
	for _, page := range manPages(newParser(new(cli)).Model) {
		for _, fault := range roffFaults(page.text) {
			t.Errorf("%s: %s", page.name, fault)
		}
		var got []string
		for line := range strings.Lines(page.text) {
			if title, ok := strings.CutPrefix(line, ".SH "); ok {
				got = append(got, strings.TrimSuffix(title, "\n"))
			}
		}
		order := slices.DeleteFunc(slices.Clone(manSections), func(s string) bool { return !slices.Contains(got, s) })
		if !slices.Equal(got, order) {
			t.Errorf("%s has the sections %q, want %q", page.name, got, order)
		}
		for _, title := range required {
			if !slices.Contains(got, title) {
				t.Errorf("%s has no section %s", page.name, title)
			}
		}
	}
}

// roffFaults returns what is wrong with a page for any formatter, groff or not: it
// is to be plain ASCII, to use only the requests and escapes that all of them know,
// in turn, and to have no word that is longer than a line.
func roffFaults(page string) (faults []string) {
	request := regexp.MustCompile(`^\.(SH [A-Z ]+|SS \S.*|TH \S+ 1 "" zrs "zrs manual"|PP|TP|IP \\\(bu 2|RS 4|RE|EX|EE|B \S.*|\\".*)$`)
	escapes := regexp.MustCompile(`\\(fB|fI|fR|e|-|&|\(bu)`)
	const longestWord = 60 // of a line of 80 columns, indented twice
	text, ended := strings.CutSuffix(page, "\n")
	lines := strings.Split(text, "\n")
	if !ended {
		faults = append(faults, "the last line is not ended")
	}
	if len(lines) < 2 || !strings.HasPrefix(lines[0], `.\"`) || !strings.HasPrefix(lines[1], ".TH ") {
		faults = append(faults, "it does not begin with a comment and .TH")
	}
	inExample, indented := false, 0
	for i, line := range lines {
		fault := func(what string) { faults = append(faults, fmt.Sprintf("line %d: %s: %q", i+1, what, line)) }
		comment := strings.HasPrefix(line, `.\"`)
		bare := escapes.ReplaceAllString(line, "")
		if strings.HasPrefix(line, ".") && !request.MatchString(line) || strings.HasPrefix(line, "'") {
			fault("unknown request")
		}
		if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r > '~' }) {
			fault("not printable ASCII")
		}
		if !comment && strings.Contains(bare, `\`) {
			fault("unknown escape")
		}
		if !comment && strings.Contains(bare, "-") {
			fault("bare hyphen")
		}
		if strings.Count(line, `\fR`) != strings.Count(line, `\fB`)+strings.Count(line, `\fI`) {
			fault("font not restored")
		}
		if line == "" && !inExample {
			fault("empty line")
		}
		if line == ".TP" && (i+2 >= len(lines) || strings.HasPrefix(lines[i+1], ".") || strings.HasPrefix(lines[i+2], ".")) {
			fault("no tag and text")
		}
		if !comment && !inExample && slices.ContainsFunc(strings.Fields(bare), func(w string) bool { return len(w) > longestWord }) {
			fault("a word that no line can hold")
		}
		switch line {
		case ".EX", ".EE":
			if inExample == (line == ".EX") {
				fault("out of turn")
			}
			inExample = line == ".EX"
		case ".RS 4":
			indented++
		case ".RE":
			if indented--; indented < 0 {
				fault("out of turn")
			}
		}
	}
	if inExample || indented > 0 {
		faults = append(faults, "it ends inside an example")
	}
	return faults
}

// TestRoffFaults holds that what groff warns about is found without it too.
func TestRoffFaults(t *testing.T) {
	const head = ".\\\" Comment.\n.TH ZRS 1 \"\" zrs \"zrs manual\"\n.SH NAME\nzrs \\- replicate\n"
	if faults := roffFaults(head); len(faults) > 0 {
		t.Fatalf("a good page has faults: %q", faults)
	}
	for name, text := range map[string]string{
		"request":      ".XX\n",
		"quote":        "'it is so\n",
		"escape":       "C:\\zrs\n",
		"hyphen":       "--json\n",
		"utf-8":        "Jörg\n",
		"font":         "\\fBzrs\n",
		"empty-line":   "one\n\ntwo\n",
		"no-tag":       ".TP\n.PP\n",
		"example":      ".EX\nzrs\n",
		"example-end":  ".EE\n",
		"indented":     ".RS 4\ntext\n",
		"indented-end": ".RE\n",
		"long-word":    ".PP\na " + strings.Repeat("long", 20) + "\n",
		"not-ended":    "text",
	} {
		if faults := roffFaults(head + text); len(faults) == 0 {
			t.Errorf("%s: %q has no fault", name, text)
		}
	}
}

// TestManPages_commands holds that zrs(1) lists every command, and the other pages
// refer to each other.
func TestManPages_commands(t *testing.T) {
	app := newParser(new(cli)).Model
	pages := manPages(app)
	for _, cmd := range app.Leaves(true) {
		name := `\fB` + escape("zrs-"+cmd.Name) + `\fR(1)`
		if item := ".TP\n" + name + "\n" + escape(cmd.Help) + "\n"; !strings.Contains(pages[0].text, item) {
			t.Errorf("zrs.1 does not list %s", cmd.Name)
		}
		for _, page := range pages {
			if _, also, _ := strings.Cut(page.text, ".SH SEE ALSO\n"); page.name != "zrs-"+cmd.Name+".1" && !strings.Contains(also, name) {
				t.Errorf("%s does not refer to zrs-%s", page.name, cmd.Name)
			}
		}
	}
}

// TestManPages_flags holds that each flag is in a page, with its variable.
func TestManPages_flags(t *testing.T) {
	text := map[string]string{}
	for _, page := range manPages(newParser(new(cli)).Model) {
		text[page.name] = strings.ReplaceAll(page.text, `\-`, "-")
	}
	for cmd, flags := range allFlags(t) {
		page := "zrs-" + cmd + ".1"
		if cmd == "" {
			page = "zrs.1"
		}
		for _, flag := range flags {
			for _, want := range append([]string{`\fB--` + flag.Name + `\fR`}, flag.Envs...) {
				if !strings.Contains(text[page], want) {
					t.Errorf("%s lacks %s", page, want)
				}
			}
		}
	}
}

// TestManPages_groff formats the pages with groff, which warns about what it does
// not understand. Where there is none roffFaults has to do.
func TestManPages_groff(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Log("NO GROFF: only the structure of the manual pages is checked")
		return
	}
	for _, page := range manPages(newParser(new(cli)).Model) {
		cmd := exec.CommandContext(t.Context(), groff, "-man", "-ww", "-Tascii", "-z")
		cmd.Stdin = strings.NewReader(page.text)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil || out.Len() > 0 {
			t.Errorf("%s: groff: %v\n%s", page.name, err, &out)
		}
	}
}

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		`a-b`:     `a\-b`,
		`.TH x`:   `\&.TH x`,
		`'x`:      `\&'x`,
		"a\n.b":   "a\n\\&.b",
		`C:\x`:    `C:\ex`,
		`\fBx\fR`: `\efBx\efR`,
		`plain.`:  `plain.`,
	} {
		if got := escape(in); got != want {
			t.Errorf("escape(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestRoff_doc(t *testing.T) {
	var r roff
	r.doc("One\nparagraph.\n\n# A heading\n\n\t.code -x\n\n\tmore\n\nThese:\n  - first\n  - second\n")
	want := ".PP\nOne\nparagraph.\n.SS A heading\n.PP\n.RS 4\n.EX\n\\&.code \\-x\n\nmore\n.EE\n.RE\n.PP\nThese:\n" +
		".IP \\(bu 2\nfirst\n.IP \\(bu 2\nsecond\n"
	if r.String() != want {
		t.Errorf("got\n%s\nwant\n%s", r.String(), want)
	}
}
