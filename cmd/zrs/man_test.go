package main

import (
	"bytes"
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

// TestManPages_structure checks the roff source by itself: it is plain ASCII,
// has the sections in their order, and uses only the requests and escapes that
// all formatters know.
func TestManPages_structure(t *testing.T) {
	sections := []string{
		"NAME", "SYNOPSIS", "DESCRIPTION", "COMMANDS", "OPTIONS", "ADDRESSES", "TRANSACTIONS AND TIMES", "RANGES",
		"EXIT STATUS", "ENVIRONMENT", "FILES", "EXAMPLES", "SEE ALSO",
	}
	required := []string{"NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "ENVIRONMENT", "SEE ALSO"}
	request := regexp.MustCompile(`^\.(SH [A-Z ]+|SS \S.*|TH \S+ 1 "" zrs "zrs manual"|PP|TP|IP \\\(bu 2|RS 4|RE|EX|EE|B \S.*|\\".*)$`)
	escapes := regexp.MustCompile(`\\(fB|fI|fR|e|-|&|\(bu)`)
	for _, page := range manPages(newParser(new(cli)).Model) {
		lines := strings.Split(strings.TrimSuffix(page.text, "\n"), "\n")
		if !strings.HasPrefix(lines[0], `.\"`) || !strings.HasPrefix(lines[1], ".TH ") {
			t.Errorf("%s begins with %q", page.name, lines[:2])
		}
		var got []string
		inExample := false
		for i, line := range lines {
			where := page.name + ": " + line
			if strings.HasPrefix(line, ".") && !request.MatchString(line) || strings.HasPrefix(line, "'") {
				t.Errorf("%s: unknown request", where)
			}
			if strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r > '~' }) {
				t.Errorf("%s: not printable ASCII", where)
			}
			if !strings.HasPrefix(line, `.\"`) && strings.Contains(escapes.ReplaceAllString(line, ""), `\`) {
				t.Errorf("%s: unknown escape", where)
			}
			if strings.Contains(escapes.ReplaceAllString(line, ""), "-") && !strings.HasPrefix(line, `.\"`) {
				t.Errorf("%s: bare hyphen", where)
			}
			if strings.Count(line, `\fR`) != strings.Count(line, `\fB`)+strings.Count(line, `\fI`) {
				t.Errorf("%s: font not restored", where)
			}
			if line == "" && !inExample {
				t.Errorf("%s: line %d is empty", page.name, i+1)
			}
			if line == ".TP" && (i+2 >= len(lines) || strings.HasPrefix(lines[i+1], ".") || strings.HasPrefix(lines[i+2], ".")) {
				t.Errorf("%s: line %d: .TP without a tag and a text", page.name, i+1)
			}
			if line == ".EX" || line == ".EE" {
				if inExample == (line == ".EX") {
					t.Errorf("%s: line %d: %s out of turn", page.name, i+1, line)
				}
				inExample = !inExample
			}
			if title, ok := strings.CutPrefix(line, ".SH "); ok {
				got = append(got, title)
			}
		}
		order := slices.DeleteFunc(slices.Clone(sections), func(s string) bool { return !slices.Contains(got, s) })
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

// TestManPages_groff formats the pages with groff, which warns about what it
// does not understand.
func TestManPages_groff(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skip("NO GROFF: only the structure of the manual pages is checked")
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
