package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// bashCompletion returns the script for bash. It needs no bash-completion. All
// that it knows is in tables: a flag that takes a value has = and what completes
// that, as an argument has.
func bashCompletion(app *kong.Application) string {
	var b strings.Builder
	b.WriteString("# bash completion for zrs. Written by zrs completion bash. Do not edit.\n\n")
	var names []string
	var cases strings.Builder
	for _, cmd := range app.Leaves(true) {
		names = append(names, cmd.Name)
		fmt.Fprintf(&cases, "    %s)\n", cmd.Name)
		fmt.Fprintf(&cases, "        flags=%s\n", quoteBash(bashFlags(app, cmd)))
		var args []string
		for _, arg := range cmd.Positional {
			args = append(args, bashCompletes(completionOf(app, arg, arg.Name)))
		}
		fmt.Fprintf(&cases, "        args=(%s) ;;\n", strings.Join(args, " "))
	}
	fmt.Fprintf(&b, "_zrs_commands=%s\n", quoteBash(names))
	fmt.Fprintf(&b, "_zrs_shared=%s\n\n", quoteBash(bashFlags(app, app.Node)))
	b.WriteString("# _zrs_command sets what the command $1 takes.\n_zrs_command() {\n    flags='' args=()\n    case $1 in\n")
	b.WriteString(cases.String())
	b.WriteString("    esac\n}\n")
	b.WriteString(bashEngine)
	return b.String()
}

// bashFlags returns a node's flags, as the tables have them.
func bashFlags(app *kong.Application, node *kong.Node) []string {
	var words []string
	for _, flag := range visibleFlags(node) {
		for _, name := range flagNames(flag) {
			if !flag.IsBool() {
				name += "=" + bashCompletes(completionOf(app, flag.Value, flag.PlaceHolder))
			}
			words = append(words, name)
		}
	}
	return words
}

func bashCompletes(c completion) string {
	switch c.kind {
	case completeFiles:
		return "@file"
	case completeDirectories:
		return "@directory"
	case completeWords:
		return strings.Join(c.words, ",")
	default:
		return "@"
	}
}

// quoteBash returns words as one that the shell takes for what they are.
func quoteBash(words []string) string {
	return "'" + strings.ReplaceAll(strings.Join(words, " "), "'", `'\''`) + "'"
}

const bashEngine = `
# _zrs_want sets want to what completes the value of the flag $1, '' for none.
_zrs_want() {
    local flag
    want=''
    for flag in $_zrs_shared $flags; do
        [[ $flag == "$1="* ]] && want=${flag#*=}
    done
}

_zrs() {
    # The words up to the cursor. Bash splits them at = and : too, but only where
    # there is a space does one end.
    local IFS=$' \t\n' line=${COMP_LINE:0:COMP_POINT} words=() word i
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        ((i == COMP_CWORD)) && word=${line#"${line%%[![:space:]]*}"}
        if ((i > 0)) && [[ $line == [![:space:]]* ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
        line=${line#"${line%%[![:space:]]*}"}
        line=${line#"$word"}
    done

    # What stands before the current one.
    local command='' flags='' args=() count=0 want='' dashes=''
    for word in "${words[@]:1:${#words[@]}-2}"; do
        if [[ $want ]]; then
            want=''
        elif [[ $word == -- && ! $dashes ]]; then
            dashes=1
        elif [[ $word == -[!0-9]* && ! $dashes ]]; then
            _zrs_want "$word"
        elif [[ ! $command ]]; then
            command=$word
            _zrs_command "$command"
        else
            count=$((count + 1))
        fi
    done

    # What completes it.
    local current=${words[${#words[@]} - 1]} whole prefix=''
    whole=$current
    if [[ $want ]]; then
        :
    elif [[ $current == --*=* && ! $dashes ]]; then
        prefix=${current%%=*}=
        current=${current#*=}
        _zrs_want "${prefix%=}"
    elif [[ $current == -* && ! $dashes ]]; then
        for word in $_zrs_shared $flags; do
            want+=,${word%%=*}
        done
    elif [[ ! $command ]]; then
        want=${_zrs_commands// /,}
    else
        want=${args[count]-}
    fi

    # Readline replaces what follows the last = or :, or a quote; that is $2.
    local skip=${whole%"$2"} found
    skip=${skip//[\"\']/}
    COMPREPLY=()
    while IFS= read -r found; do
        found=$prefix$found
        COMPREPLY+=("${found#"$skip"}")
    done < <(
        case $want in
        '' | @) ;;
        @file) compgen -f -- "$current" ;;
        @directory) compgen -d -- "$current" ;;
        *) compgen -W "${want//,/ }" -- "$current" ;;
        esac
    )
    if [[ $want == @?* ]]; then
        compopt -o filenames 2>/dev/null # which bash 3 has not
    fi
}

complete -F _zrs zrs
`
