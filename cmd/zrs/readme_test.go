package main

import (
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestReadme_commands holds the table of commands in the README to the command
// model: it has a row for each command, in the order of the manual, with what has to
// be given, and what it does begins with the command's help.
func TestReadme_commands(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## The commands\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var rows [][]string
	for line := range strings.Lines(section) {
		if cells := strings.Split(strings.Trim(line, "|\n "), " | "); strings.HasPrefix(line, "| `zrs ") {
			rows = append(rows, cells)
		}
	}
	commands := newParser(new(cli)).Model.Leaves(true)
	if len(rows) != len(commands) {
		t.Errorf("the table has %d commands, want %d", len(rows), len(commands))
	}
	for i := range min(len(rows), len(commands)) {
		cmd, row := commands[i], rows[i]
		if want := "`" + readmeSynopsis(cmd) + "`"; row[0] != want {
			t.Errorf("row %d is of %s, want %s", i+1, row[0], want)
		}
		if len(row) != 3 || !strings.HasPrefix(row[1], cmd.Help) {
			t.Errorf("row %d, %s, says %q, want something that begins with %q", i+1, cmd.Name, row[1:], cmd.Help)
		}
	}
}

// readmeSynopsis returns a command with what it needs.
func readmeSynopsis(cmd *kong.Node) string {
	words := []string{"zrs", cmd.Name}
	for _, arg := range cmd.Positional {
		word := arg.Name
		if !arg.Required {
			word = "[" + word + "]"
		}
		words = append(words, word)
	}
	for _, flag := range cmd.Flags {
		if flag.Required {
			words = append(words, "--"+flag.Name, flag.FormatPlaceHolder())
		}
	}
	return strings.Join(words, " ")
}
