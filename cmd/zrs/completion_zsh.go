package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// zshCompletion returns the script for zsh: specifications for _arguments.
func zshCompletion(app *kong.Application) string {
	var b strings.Builder
	b.WriteString("#compdef zrs\n# zsh completion for zrs. Written by zrs completion zsh. Do not edit.\n\n_zrs() {\n")
	b.WriteString("    local curcontext=$curcontext state line ret=1\n    typeset -A opt_args\n    local -a shared commands\n")
	b.WriteString("    shared=(\n")
	for _, spec := range zshFlags(app, app.Node) {
		fmt.Fprintf(&b, "        %s\n", spec)
	}
	b.WriteString("    )\n    commands=(\n")
	for _, cmd := range app.Leaves(true) {
		fmt.Fprintf(&b, "        %s\n", quoteZsh(escapeZsh(cmd.Name, `\:`)+":"+escapeZsh(summaryOf(cmd.Help), `\:`)))
	}
	b.WriteString("    )\n")
	b.WriteString("    _arguments -C -S $shared '1:COMMAND:->command' '*::ARGS:->args' && ret=0\n")
	b.WriteString("    case $state in\n    command)\n        _describe -t commands COMMAND commands && ret=0\n        ;;\n")
	b.WriteString("    args)\n        curcontext=${curcontext%:*:*}:zrs-$line[1]:\n        case $line[1] in\n")
	for _, cmd := range app.Leaves(true) {
		fmt.Fprintf(&b, "        %s)\n            _arguments -S $shared", cmd.Name)
		for _, spec := range append(zshFlags(app, cmd), zshArguments(app, cmd)...) {
			fmt.Fprintf(&b, " \\\n                %s", spec)
		}
		b.WriteString(" && ret=0\n            ;;\n")
	}
	b.WriteString("        esac\n        ;;\n    esac\n    return ret\n}\n\n")
	// Autoloaded from $fpath the file is the function; sourced, it defines it.
	b.WriteString("if [[ $funcstack[1] == _zrs ]]; then\n    _zrs \"$@\"\nelse\n    compdef _zrs zrs\nfi\n")
	return b.String()
}

// zshFlags returns a node's own flags, each quoted.
func zshFlags(app *kong.Application, node *kong.Node) []string {
	var specs []string
	for _, flag := range visibleFlags(node) {
		summary := "[" + escapeZsh(summaryOf(flag.Help), `\[]`) + "]"
		value, long, short := "", "", ""
		if !flag.IsBool() {
			value = ":" + escapeZsh(flag.PlaceHolder, `\:`) + ":" + zshAction(completionOf(app, flag.Value, flag.PlaceHolder))
			long, short = "=", "+"
		}
		often := "(" + strings.Join(flagNames(flag), " ") + ")" // once, in one of its forms
		if flag.IsSlice() {
			often = "*"
		}
		specs = append(specs, quoteZsh(often+"--"+flag.Name+long+summary+value))
		if flag.Short != 0 {
			specs = append(specs, quoteZsh(often+"-"+string(flag.Short)+short+summary+value))
		}
	}
	return specs
}

// zshArguments returns a command's arguments, each quoted.
func zshArguments(app *kong.Application, cmd *kong.Node) []string {
	var specs []string
	for i, arg := range cmd.Positional {
		specs = append(specs, quoteZsh(fmt.Sprintf("%d:%s:%s", i+1, escapeZsh(arg.Name, `\:`), zshAction(completionOf(app, arg, arg.Name)))))
	}
	return specs
}

func zshAction(c completion) string {
	switch c.kind {
	case completeFiles:
		return "_files"
	case completeDirectories:
		return "_files -/"
	case completeWords:
		return "(" + strings.Join(c.words, " ") + ")"
	default:
		return " " // the name is shown, and nothing offered
	}
}

// escapeZsh puts a backslash before each of the special characters.
func escapeZsh(s, special string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune(special, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// quoteZsh returns s as a word that the shell takes for what it is.
func quoteZsh(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
