package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// fishCompletion returns the script for fish.
func fishCompletion(app *kong.Application) string {
	var b strings.Builder
	b.WriteString("# fish completion for zrs. Written by zrs completion fish. Do not edit.\n")
	fmt.Fprintf(&b, fishWords, strings.Join(fishTables(app), "\n"))
	b.WriteString("\ncomplete -c zrs -f\n")
	fishFlags(&b, app, app.Node, "")
	for _, cmd := range app.Leaves(true) {
		fmt.Fprintf(&b, "\ncomplete -c zrs -n '__zrs_at \"\" 0' -a %s -d %s\n", cmd.Name, quoteFish(summaryOf(cmd.Help)))
		for i, arg := range cmd.Positional {
			fmt.Fprintf(&b, "complete -c zrs -n '__zrs_at %s %d'%s\n", cmd.Name, i+1, fishCompletes(completionOf(app, arg, arg.Name)))
		}
		fishFlags(&b, app, cmd, fmt.Sprintf(" -n '__zrs_in %s'", cmd.Name))
	}
	return b.String()
}

// fishFlags writes the flags of a node, which are offered where a condition holds.
func fishFlags(b *strings.Builder, app *kong.Application, node *kong.Node, condition string) {
	for _, flag := range visibleFlags(node) {
		fmt.Fprintf(b, "complete -c zrs%s -l %s", condition, flag.Name)
		if flag.Short != 0 {
			fmt.Fprintf(b, " -s %c", flag.Short)
		}
		if !flag.IsBool() {
			b.WriteString(" -r" + fishCompletes(completionOf(app, flag.Value, flag.PlaceHolder)))
		}
		fmt.Fprintf(b, " -d %s\n", quoteFish(summaryOf(flag.Help)))
	}
}

// fishTables returns the cases of all flags that take a value: a command, or * for
// all of them, and the flag.
func fishTables(app *kong.Application) []string {
	var cases []string
	for _, node := range append([]*kong.Node{app.Node}, app.Leaves(true)...) {
		of, line := node.Name, ""
		if node == app.Node {
			of = "*"
		}
		for _, flag := range visibleFlags(node) {
			if flag.IsBool() {
				continue
			}
			for _, name := range flagNames(flag) {
				line += " " + quoteFish(of+" "+name)
			}
		}
		if line != "" {
			cases = append(cases, "                case"+line+"\n                    set skip 1")
		}
	}
	return cases
}

func fishCompletes(c completion) string {
	switch c.kind {
	case completeFiles:
		return " -F"
	case completeDirectories:
		return " -f -a '(__fish_complete_directories)'"
	case completeWords:
		return " -f -a " + quoteFish(strings.Join(c.words, " "))
	default:
		return " -f"
	}
}

// quoteFish returns s as a word that the shell takes for what it is.
func quoteFish(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// fishWords has room for the cases of fishTables.
const fishWords = `
# __zrs_words prints the command and the arguments before the cursor, without flags
# and their values.
function __zrs_words
    set -l tokens (commandline -opc)
    set -l command ''
    set -l skip
    set -l dashes
    for token in $tokens[2..-1]
        if test -n "$skip"
            set skip
        else if test -z "$dashes"; and string match -q -- -- $token
            set dashes 1
        else if test -z "$dashes"; and string match -qr -- '^-[^0-9]' $token
            switch "$command $token"
%s
            end
        else
            test -z "$command"; and set command $token
            printf '%%s\n' $token
        end
    end
end

# __zrs_in tells whether the command is $argv[1].
function __zrs_in
    set -l words (__zrs_words)
    test "$words[1]" = "$argv[1]"
end

# __zrs_at tells whether $argv[2] words stand before the cursor, the first of which
# is $argv[1].
function __zrs_at
    set -l words (__zrs_words)
    test "$words[1]" = "$argv[1]"; and test (count $words) -eq $argv[2]
end
`
