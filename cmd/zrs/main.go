// Zrs replicates ZODB FileStorages, with their blobs, between hosts. It speaks
// the protocol of ZRS (zc.zrs) in both directions.
//
// This package is the command line: flags, output and exit codes. What the
// commands do is in zrs/internal.
package main

import (
	"context"
	"crypto/fips140"
	"fmt"
	"io"
	"os"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/fatih/color"
)

// A cli is the whole command line: shared flags, then the commands in the order
// of the manual.
type cli struct {
	Version     versionFlag `env:"-" group:"output" help:"Print the version and exit."`
	outputFlags `embed:""`

	ServePrimary   servePrimaryCmd   `cmd:"" help:"Serve a data file that another process writes to secondaries."`
	ServeSecondary serveSecondaryCmd `cmd:"" help:"Keep a data file a replica of a primary's, reconnecting for ever."`
	Catchup        catchupCmd        `cmd:"" help:"Bring a data file up to its source's present end, once."`
	Verify         verifyCmd         `cmd:"" help:"Say whether a storage is sound, or how two of them relate."`
	Dump           dumpCmd           `cmd:"" help:"Write transactions as text."`
	Restore        restoreCmd        `cmd:"" help:"Write the transactions of a dump into a data file."`
	Promote        promoteCmd        `cmd:"" help:"Make a secondary the primary, and say what that loses."`
	Rewind         rewindCmd         `cmd:"" help:"Take a diverged data file back to the common history, after saving what only it has."`
	Info           infoCmd           `cmd:"" help:"Tell the facts of a data file."`
	Log            logCmd            `cmd:"" help:"Show the history of a data file, newest last."`
	Check          checkCmd          `cmd:"" help:"Tell whether servers and data files are well, as a monitoring plug-in."`
	Status         statusCmd         `cmd:"" help:"Show the state of a server."`
	Control        controlCmd        `cmd:"" help:"Tell a running server to pause, resume, reload or shut down."`
	HelpCmd        helpCmd           `cmd:"" name:"help" help:"Explain a command or a topic."`
	Completion     completionCmd     `cmd:"" help:"Write the script that lets a shell complete commands of zrs."`
	GenMan         genManCmd         `cmd:"" hidden:"" help:"Write the manual pages."`
}

// Help is the DESCRIPTION of zrs(1).
func (*cli) Help() string {
	return `Streams the committed transactions of a ZODB FileStorage, and its blobs, from a primary
to read-only secondaries. Either end may be zc.zrs. A secondary's data file equals its
primary's byte for byte, and ZODB opens it without repair.

Nothing is lost in silence: forked histories, missing blobs and damage are reported with
transaction ids, and in exit codes that scripts can act on. No command removes or
overwrites committed data unless a flag says so, and then it saves what it removes first.

The answer of a command goes to standard output; progress, logs and errors go to standard
error. Every flag can be set by an environment variable.`
}

// Examples are the EXAMPLES of zrs(1).
func (*cli) Examples() string {
	return `A primary beside a ZEO server that writes Data.fs, and a secondary on another host:

	zrs serve-primary Data.fs --blob-dir blobs --replicate-to 10.0.0.1:5000
	zrs serve-secondary Data.fs --blob-dir blobs --replicate-from db1:5000

From cron, a copy on a backup host, and each night a comparison with its source:

	zrs catchup -q db1:5000 /backup/Data.fs --blob-dir /backup/blobs
	zrs verify -q /backup/Data.fs db1:5000 --allow-behind

What happened last in this file, and is it sound?

	zrs log -n 10 Data.fs
	zrs verify Data.fs --blob-dir blobs`
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run executes the command line args and returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // so that a second signal ends the process at once

	var c cli
	printed := false // --help or --version did their work
	parser := newParser(&c, kong.Writers(stdout, stderr), kong.Exit(func(int) { printed = true }), ignoreEmptyEnvars())
	kctx, err := parser.Parse(joinNegative(args, parser.Model))
	switch {
	case printed:
		return exitOK
	case err != nil:
		printUsageError(stderr, err)
		return exitCode(err)
	}

	e := newEnv(c.outputFlags, stdin, stdout, stderr)
	kctx.BindTo(ctx, (*context.Context)(nil))
	// MD5 and SHA-1 are the checksums of the formats that are spoken here and
	// secure nothing, so GODEBUG=fips140=only is no reason to do without.
	fips140.WithoutEnforcement(func() { err = kctx.Run(e) })
	if err != nil {
		e.fail(err)
		return exitCode(err)
	}
	return exitOK
}

// newParser returns a parser that fills in c. It panics if c is no valid grammar.
func newParser(c *cli, options ...kong.Option) *kong.Kong {
	return kong.Must(c, append([]kong.Option{
		kong.Name("zrs"),
		kong.Description("Replicate ZODB FileStorages, with their blobs, between hosts."),
		kong.DefaultEnvars("ZRS"),
		kong.ExplicitGroups([]kong.Group{{Key: "output", Title: "Output:"}}),
		kong.ConfigureHelp(kong.HelpOptions{NoAppSummary: true, Compact: true, FlagsLast: true, WrapUpperBound: helpWidth}),
		kong.ValueFormatter(flagHelp),
		kong.KindMapper(reflect.String, kong.MapperFunc(exactText)),
		kong.Help(printHelp),
	}, options...)...)
}

// flagHelp appends the default and the environment variable to a flag's help.
func flagHelp(v *kong.Value) string {
	var notes []string
	if v.HasDefault && v.Default != "" {
		notes = append(notes, "default "+v.Default)
	}
	for _, name := range v.Tag.Envs {
		notes = append(notes, "$"+name)
	}
	if len(notes) == 0 {
		return v.Help
	}
	return strings.TrimSuffix(v.Help, ".") + " (" + strings.Join(notes, ", ") + ")."
}

// ignoreEmptyEnvars makes a variable that is set to nothing count as not set,
// which is how compose files and unit files leave one out.
func ignoreEmptyEnvars() kong.Option {
	isEmpty := func(name string) bool {
		value, set := os.LookupEnv(name)
		return set && value == ""
	}
	return kong.PostBuild(func(k *kong.Kong) error {
		return kong.Visit(k.Model, func(node kong.Visitable, next kong.Next) error {
			if flag, ok := node.(*kong.Flag); ok {
				flag.Envs = slices.DeleteFunc(flag.Envs, isEmpty)
				flag.Tag.Envs = slices.DeleteFunc(flag.Tag.Envs, isEmpty)
			}
			return next(nil)
		})
	})
}

// joinNegative lets times such as -1h stand for themselves: kong would take them
// for flags, but none of ours begins with a digit. After a flag that takes a
// value -1h is that value; else it is an argument, and those go last, after --.
func joinNegative(args []string, app *kong.Application) []string {
	var out, negative []string
	for i, arg := range args {
		if arg == "--" {
			out = append(out, "--")
			return append(append(out, negative...), args[i+1:]...)
		}
		last := len(out) - 1
		switch isTime := len(arg) > 1 && arg[0] == '-' && isDigits(arg[1:2]); {
		case isTime && last >= 0 && takesValue(app, out[last]):
			out[last] += "=" + arg
		case isTime:
			negative = append(negative, arg)
		default:
			out = append(out, arg)
		}
	}
	if negative != nil {
		out = append(append(out, "--"), negative...)
	}
	return out
}

// takesValue reports whether arg is a flag, of any command, whose value is the
// next argument.
func takesValue(app *kong.Application, arg string) bool {
	name, ok := strings.CutPrefix(arg, "--")
	return ok && slices.ContainsFunc(append(app.Leaves(false), app.Node), func(cmd *kong.Node) bool {
		return slices.ContainsFunc(cmd.Flags, func(f *kong.Flag) bool { return f.Name == name && !f.IsBool() })
	})
}

// printUsageError prints what is wrong with the command line and where help is.
func printUsageError(w io.Writer, err error) {
	plain := color.New()
	plain.DisableColor()
	printError(w, plain, err)
	name := "zrs"
	if p, ok := err.(*kong.ParseError); ok && p.Context != nil { //nolint:errorlint // Parse returns it unwrapped
		if cmd := p.Context.Selected(); cmd != nil {
			name = cmd.FullPath()
			fmt.Fprintf(w, "usage: %s\n", synopsis(cmd))
		}
	}
	fmt.Fprintf(w, "Run \"%s --help\" for more.\n", name)
}
