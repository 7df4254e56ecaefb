package main

import (
	"fmt"
	"go/doc/comment"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// A helpCmd is zrs help.
type helpCmd struct {
	Topic helpTopic `arg:"" optional:"" name:"TOPIC" help:"A command, or addresses, times, ranges, exit-codes or environment."`
}

// A helpTopic is the name of a command or of one of the topics.
type helpTopic string

// Help is the DESCRIPTION of zrs-help(1).
func (*helpCmd) Help() string {
	return `Prints the help of a command, as zrs COMMAND --help does, or explains what several
commands have in common: the forms of addresses, the ways to name a transaction, a time or
a part of the history, the exit codes, and the environment variables. Without a topic it
lists the commands.`
}

// Examples are the EXAMPLES of the manual page.
func (*helpCmd) Examples() string {
	return `What did exit code 7 mean again?

	zrs help exit-codes`
}

// helpWidth is the greatest width of help texts on a wide terminal.
const helpWidth = 100

// printHelp is kong's help of a command or of the program, with the synopsis of
// the manual page and the examples around it.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	node := ctx.Selected()
	if node == nil {
		node = ctx.Model.Node
	}
	fmt.Fprintf(ctx.Stdout, "Usage: %s\n", synopsis(node))
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
		return err
	}
	text := examples(node)
	if text == "" {
		return nil
	}
	fmt.Fprint(ctx.Stdout, "\nExamples:\n")
	return printDoc(ctx.Stdout, text, "  ")
}

// examples returns the examples of a command in the syntax of Go doc comments.
func examples(node *kong.Node) string {
	if e, ok := reflect.TypeAssert[interface{ Examples() string }](node.Target.Addr()); ok {
		return e.Examples()
	}
	return ""
}

// A topic is a text about several commands. All of them are sections of zrs(1).
type topic struct {
	name, title string
	text        func() string // in the syntax of Go doc comments
}

var topics = []topic{
	{"addresses", "Addresses", func() string { return addressesTopic }},
	{"times", "Transactions and times", func() string { return timesTopic }},
	{"ranges", "Ranges", func() string { return rangesTopic }},
	{"exit-codes", "Exit status", exitCodesTopic},
	{"environment", "Environment", func() string { return environmentTopic }},
}

const addressesTopic = `An address is one of

	5000, :5000         a port: all interfaces to listen, this host to connect
	host:5000           a host name or an IPv4 address, and a port
	[::1]:5000          an IPv6 address in brackets, and a port
	/run/zrs.sock       anything with a slash: a Unix socket
	zrs://host:5000     the same, where it could be taken for a file

A port is always needed: there is no usual one. To listen, port 0 lets the system choose;
the log tells which it was.

A SOURCE may be a file too. After zrs:// it is always an address. The path of a socket is
an address, every other path with a slash is a file. A name without a slash is a file if
there is one, else an address; a name that is both is refused.`

const timesTopic = `Transaction ids are printed as 16 lower-case hex digits, with their time in UTC beside
them where a person reads. A transaction, or the last one up to a time, is named by one of

	040d2d7e00db27bb            its id
	0x40d2d7e00db27bb           its id, as in logs of ZODB and names of blobs
	A/SWFWZmZmY=                its id in base64, as on Zope's Undo page
	2026-11-20T10:14:02Z        a time, in UTC or with an offset such as +02:00
	"2026-11-20 10:14:02Z"      the same, as zrs prints it
	-1h, -90m, -7d, -1w2d       a time before now
	head, head~3                the last transaction, the third before it

Lengths of time are numbers of seconds or have a unit: 60, 200ms, 2m30s. Sizes have the
units of coreutils: 20M and 20MiB are 20 times 1024 times 1024 bytes, 20MB are 20 million.`

const rangesTopic = `A RANGE is a part of a history. Both ends belong to it, and either may be left out:

	040d2d7e00db27bb..          this transaction and all later ones
	..-1h                       all up to an hour ago
	-7d..-1d                    those that are at least a day old, and at most a week
	2026-11-20T10:14:02Z..head~1
	                            from that moment on, but for the last transaction
	head~2                      the third last transaction alone

The ends are named as zrs help times says. An id as an end need not be that of a transaction.
A time takes in the transactions that --json prints with it, to the microsecond; alone it
is the last transaction up to it.`

const environmentTopic = `Every flag can be set by a variable: ZRS_, then its name in capitals with _ for -.
--blob-dir is ZRS_BLOB_DIR. A flag on the command line wins. A variable that is set to
nothing counts as not set. Flags that take a list take it separated by commas; flags
without a value take true or false.

NO_COLOR, if it is not empty, switches colours and progress bars off unless --color or
--progress asks for them, and so does TERM=dumb.`

// ownCodes tells of the command that has exit codes of its own.
const ownCodes = "zrs check has the codes of monitoring plug-ins instead: 0 is OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.\n"

func exitCodesTopic() string {
	var b strings.Builder
	b.WriteString("The exit code of every command tells a script what happened:\n\n")
	for _, m := range exitMeanings {
		fmt.Fprintf(&b, "\t%3d  %s\n", m.code, m.meaning)
	}
	b.WriteString("\n" + ownCodes)
	return b.String()
}

// Run is what the command does.
func (c *helpCmd) Run(k *kong.Kong, e *env) error {
	for _, t := range topics {
		if t.name == string(c.Topic) {
			return printDoc(e.stdout, t.text(), "")
		}
	}
	args := []string{"--help"}
	if c.Topic != "" {
		args = []string{string(c.Topic), "--help"}
		if !isCommand(k.Model, string(c.Topic)) {
			return fmt.Errorf("%q is neither a command nor a topic: run zrs help", c.Topic)
		}
	}
	_, _ = k.Parse(args) // prints the help; what is missing beside --help is no matter
	return nil
}

func isCommand(app *kong.Application, name string) bool {
	return slices.ContainsFunc(app.Leaves(true), func(cmd *kong.Node) bool { return cmd.Name == name })
}

// printDoc prints a text in the syntax of Go doc comments for a terminal.
func printDoc(w io.Writer, text, indent string) error {
	p := comment.Printer{TextWidth: helpWidth, TextPrefix: indent, TextCodePrefix: indent + "    "}
	_, err := w.Write(p.Text(new(comment.Parser).Parse(text)))
	return err
}
