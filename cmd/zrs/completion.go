package main

import (
	"context"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// A completionCmd is zrs completion.
type completionCmd struct {
	Shell string `arg:"" name:"SHELL" enum:"bash,zsh,fish" help:"Shell to write it for: bash, zsh or fish."`
}

// Help is the DESCRIPTION of zrs-completion(1).
func (*completionCmd) Help() string {
	return `Writes to standard output what a shell needs to complete the command line of zrs at the
TAB key: commands, flags, the values of flags that take one of several, data files, and
directories of blobs. Nothing is offered for addresses, transactions and times.

Nothing is run at the key: what the script knows is what this zrs has. Write it anew when
zrs is updated.`
}

// Examples are the EXAMPLES of the manual page.
func (*completionCmd) Examples() string {
	return `For bash, in this shell, or in all later ones of this user:

	source <(zrs completion bash)
	zrs completion bash > ~/.local/share/bash-completion/completions/zrs

For zsh, as _zrs in a directory of $fpath, before compinit is called; and for fish:

	zrs completion zsh > ~/.zfunc/_zrs
	zrs completion fish > ~/.config/fish/completions/zrs.fish`
}

// Run is what the command does.
func (c *completionCmd) Run(_ context.Context, k *kong.Kong, e *env) error {
	_, err := io.WriteString(e.stdout, completionScripts[c.Shell](k.Model))
	return err
}

// completionScripts writes a script for each shell.
var completionScripts = map[string]func(*kong.Application) string{
	"bash": bashCompletion,
	"zsh":  zshCompletion,
	"fish": fishCompletion,
}

// A completion is what can complete an argument or the value of a flag. The
// zero value stands for nothing.
type completion struct {
	kind  completionKind
	words []string // of completeWords
}

type completionKind int

const (
	completeNothing completionKind = iota
	completeFiles
	completeDirectories
	completeWords
)

// completionKinds tells what completes arguments by their names, and the values
// of flags by their placeholders, where the type does not.
var completionKinds = map[string]completionKind{
	"A":      completeFiles,
	"B":      completeFiles,
	"DIR":    completeDirectories,
	"FILE":   completeFiles,
	"FS":     completeFiles,
	"IN":     completeFiles,
	"SOCKET": completeFiles,
	"SOURCE": completeFiles,
	"TARGET": completeFiles,

	"A..B":     completeNothing,
	"ADDR":     completeNothing,
	"CIDR":     completeNothing,
	"COMMAND":  completeNothing,
	"HOW-MUCH": completeNothing,
	"LIMITS":   completeNothing,
	"N":        completeNothing,
	"NAME":     completeNothing,
	"OID":      completeNothing,
	"RANGE":    completeNothing,
	"REGEXP":   completeNothing,
	"SECONDS":  completeNothing,
	"SIZE":     completeNothing,
	"TID":      completeNothing,
	"TIME":     completeNothing,
	"WHEN":     completeNothing,
}

// completionOf returns what completes a value that is called name in the help.
func completionOf(app *kong.Application, v *kong.Value, name string) completion {
	if v.Enum != "" {
		return completion{completeWords, v.EnumSlice()}
	}
	if c, ok := reflect.TypeAssert[interface {
		choices(*kong.Application) []string
	}](v.Target); ok {
		return completion{completeWords, c.choices(app)}
	}
	return completion{kind: completionKinds[name]}
}

// choices are the values that --log-level takes.
func (logLevel) choices(*kong.Application) []string { return logLevels }

// choices are the values that KEY takes.
func (infoKey) choices(*kong.Application) []string { return infoKeys() }

// choices are the values that TOPIC takes.
func (helpTopic) choices(app *kong.Application) []string {
	var names []string
	for _, cmd := range app.Leaves(true) {
		names = append(names, cmd.Name)
	}
	for _, t := range topics {
		names = append(names, t.name)
	}
	return names
}

// visibleFlags returns the flags that a node itself has and the help shows.
func visibleFlags(node *kong.Node) []*kong.Flag {
	return slices.DeleteFunc(slices.Clone(node.Flags), func(f *kong.Flag) bool { return f.Hidden })
}

// flagNames returns a flag as it is written: -o and --output.
func flagNames(flag *kong.Flag) []string {
	names := []string{"--" + flag.Name}
	if flag.Short != 0 {
		names = append(names, "-"+string(flag.Short))
	}
	return names
}

// summaryOf returns a help text as a shell shows it beside a word.
func summaryOf(help string) string { return strings.TrimSuffix(help, ".") }
