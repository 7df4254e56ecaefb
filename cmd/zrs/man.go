package main

import (
	"context"
	"fmt"
	"go/doc/comment"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// A genManCmd is zrs gen-man, which make man runs.
type genManCmd struct {
	Dir string `arg:"" default:"docs/man" help:"Directory to write to."`
}

// Run is what the command does.
func (c *genManCmd) Run(_ context.Context, _ *env) error {
	for _, page := range manPages(newParser(new(cli)).Model) {
		if err := os.WriteFile(filepath.Join(c.Dir, page.name), []byte(page.text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// A manPage is a file in docs/man.
type manPage struct{ name, text string }

// manPages returns a page for the program and one for each command. They hold
// nothing that differs from one run to the next, such as a date.
func manPages(app *kong.Application) []manPage {
	commands := app.Leaves(true)
	pages := []manPage{{"zrs.1", programPage(app, commands)}}
	for _, cmd := range commands {
		pages = append(pages, manPage{"zrs-" + cmd.Name + ".1", commandPage(cmd, commands)})
	}
	return pages
}

func programPage(app *kong.Application, commands []*kong.Node) string {
	var r roff
	r.header("zrs", app.Help)
	r.section("Synopsis")
	r.line(`.B zrs`)
	r.line(roffSynopsis(app.Node))
	r.section("Description")
	r.doc(app.Detail)
	r.section("Commands")
	for _, cmd := range commands {
		r.item(fmt.Sprintf(`\fB%s\fR(1)`, escape("zrs-"+cmd.Name)), cmd.Help)
	}
	r.section("Options")
	r.text("All commands have these.")
	r.flags(app.Node)
	for _, t := range topics {
		if t.name == "exit-codes" {
			r.exitStatus(app.Node)
			r.text(strings.TrimSpace(ownCodes))
			continue
		}
		r.section(t.title)
		r.doc(t.text())
	}
	r.section("Files")
	r.files()
	r.section("Examples")
	r.doc(examples(app.Node))
	r.seeAlso("zrs", commands)
	return r.String()
}

func commandPage(cmd *kong.Node, commands []*kong.Node) string {
	var r roff
	r.header("zrs-"+cmd.Name, cmd.Help)
	r.section("Synopsis")
	r.line(`.B ` + escape("zrs "+cmd.Name))
	r.line(roffSynopsis(cmd))
	r.section("Description")
	r.doc(cmd.Detail)
	r.section("Options")
	for _, arg := range cmd.Positional {
		r.item(`\fI`+escape(arg.Name)+`\fR`, arg.Help)
	}
	r.flags(cmd)
	r.text("The options that all commands have are in zrs(1).")
	r.exitStatus(cmd)
	r.section("Environment")
	if names := envars(cmd); len(names) > 0 {
		r.text("Flags that are not on the command line are taken from " + list(names) + ".")
	}
	r.text("The variables of the options that all commands have are in zrs(1).")
	if takesFile(cmd) {
		r.section("Files")
		r.files()
	}
	if text := examples(cmd); text != "" {
		r.section("Examples")
		r.doc(text)
	}
	r.seeAlso("zrs-"+cmd.Name, commands)
	return r.String()
}

// takesFile reports whether cmd works on a data file.
func takesFile(cmd *kong.Node) bool {
	return slices.ContainsFunc(cmd.Positional, func(arg *kong.Positional) bool { return arg.Name == "FS" })
}

// envars returns the environment variables of a command's own flags.
func envars(cmd *kong.Node) []string {
	var names []string
	for _, flag := range cmd.Flags {
		names = append(names, flag.Envs...)
	}
	return names
}

// list joins words as in a sentence.
func list(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}

// synopsis returns how cmd is called, for a terminal.
func synopsis(cmd *kong.Node) string {
	return cmd.FullPath() + " " + strings.NewReplacer(`\fB`, "", `\fI`, "", `\fR`, "", `\-`, "-").Replace(roffSynopsis(cmd))
}

// roffSynopsis returns the flags that are required, [flags] and the arguments.
func roffSynopsis(cmd *kong.Node) string {
	if cmd.Type == kong.ApplicationNode {
		return `\fICOMMAND\fR [\fIflags\fR] \fIARGS\fR`
	}
	var words []string
	for _, flag := range cmd.Flags {
		if flag.Required {
			words = append(words, flagItem(flag))
		}
	}
	words = append(words, `[\fIflags\fR]`)
	for _, arg := range cmd.Positional {
		word := `\fI` + escape(arg.Name) + `\fR`
		if !arg.Required {
			word = "[" + word + "]"
		}
		if arg.IsCumulative() {
			word += "..."
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// flagItem returns a flag as it stands above its description.
func flagItem(flag *kong.Flag) string {
	var s string
	if flag.Short != 0 {
		s = `\fB\-` + string(flag.Short) + `\fR, `
	}
	s += `\fB` + escape("--"+flag.Name) + `\fR`
	if !flag.IsBool() {
		s += `=\fI` + escape(flag.FormatPlaceHolder()) + `\fR`
	}
	return s
}

// A roff collects the source of a manual page. All text goes through escape,
// so that none of it is taken for a request.
type roff struct{ strings.Builder }

// escape makes s plain text for roff: backslashes, hyphens that must stay
// hyphens, and a dot or quote at the start of a line.
func escape(s string) string {
	s = strings.NewReplacer(`\`, `\e`, `-`, `\-`).Replace(s)
	return lineStart.ReplaceAllString(s, `\&$0`)
}

var lineStart = regexp.MustCompile(`(?m)^[.']`)

func (r *roff) line(s string) { r.WriteString(s + "\n") }

func (r *roff) header(name, help string) {
	r.line(`.\" Written by zrs gen-man. Do not edit.`)
	r.line(fmt.Sprintf(`.TH %s 1 "" zrs "zrs manual"`, escape(strings.ToUpper(name))))
	r.section("Name")
	what := strings.TrimSuffix(help, ".")
	r.line(escape(name) + ` \- ` + escape(strings.ToLower(what[:1])+what[1:]))
}

func (r *roff) section(title string) { r.line(".SH " + escape(strings.ToUpper(title))) }

func (r *roff) text(s string) {
	r.line(".PP")
	r.line(escape(s))
}

func (r *roff) item(head, body string) {
	r.line(".TP")
	r.line(head)
	r.line(escape(body))
}

// flags writes the flags of a node with their defaults and variables.
func (r *roff) flags(node *kong.Node) {
	for _, flag := range node.Flags {
		body := flag.Help
		if flag.HasDefault {
			body += " The default is " + flag.Default + "."
		}
		if len(flag.Envs) > 0 {
			body += " Environment: " + list(flag.Envs) + "."
		}
		r.item(flagItem(flag), body)
	}
}

func (r *roff) exitStatus(cmd *kong.Node) {
	r.section("Exit status")
	for _, m := range exitTable(cmd) {
		r.item(fmt.Sprintf(`\fB%d\fR`, m.code), m.meaning)
	}
}

// files explains what stands beside a data file.
func (r *roff) files() {
	for _, f := range []struct{ name, what string }{
		{"FS", "The data file of a FileStorage, usually Data.fs."},
		{"FS.index", "Where the objects are in it. It is written so that ZODB need not scan the file."},
		{"FS.lock", "Locked by the one process that may write FS, be it ZODB or zrs."},
		{"FS.old, FS.pack", "What a pack by ZODB leaves, or is about to write. zrs creates no FS where one of them says that there was one."},
	} {
		r.item(`\fI`+escape(f.name)+`\fR`, f.what)
	}
}

// seeAlso refers to all other pages.
func (r *roff) seeAlso(self string, commands []*kong.Node) {
	names := []string{"zrs"}
	for _, cmd := range commands {
		names = append(names, "zrs-"+cmd.Name)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name == self })
	for i, name := range names {
		names[i] = `\fB` + escape(name) + `\fR(1)`
	}
	r.section("See also")
	r.line(strings.Join(names, ", "))
}

// doc writes a text in the syntax of Go doc comments.
func (r *roff) doc(text string) {
	for _, block := range new(comment.Parser).Parse(text).Content {
		switch b := block.(type) {
		case *comment.Heading:
			r.line(".SS " + escape(plainText(b.Text)))
		case *comment.Paragraph:
			r.text(plainText(b.Text))
		case *comment.Code:
			r.line(".PP")
			r.line(".RS 4")
			r.line(".EX")
			r.line(escape(strings.TrimRight(b.Text, "\n")))
			r.line(".EE")
			r.line(".RE")
		case *comment.List:
			for _, item := range b.Items {
				r.line(".IP \\(bu 2")
				for _, p := range item.Content {
					r.line(escape(plainText(p.(*comment.Paragraph).Text)))
				}
			}
		}
	}
}

// plainText returns a paragraph's text. Go's syntax has links and italics that
// our texts do not use.
func plainText(texts []comment.Text) string {
	var b strings.Builder
	for _, t := range texts {
		if p, ok := t.(comment.Plain); ok {
			b.WriteString(string(p))
		}
	}
	return b.String()
}
