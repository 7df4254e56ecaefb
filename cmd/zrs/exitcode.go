package main

import (
	"context"
	"errors"
	iofs "io/fs"
	"reflect"

	"github.com/alecthomas/kong"

	"zrs/internal/control"
	"zrs/internal/dump"
	"zrs/internal/epoch"
	"zrs/internal/fs"
	"zrs/internal/node"
	"zrs/internal/repl"
	"zrs/internal/rewind"
	"zrs/internal/verify"
)

// Exit codes. Scripts branch on them: a code's meaning never changes.
const (
	exitOK          = 0
	exitNegative    = 1
	exitTrouble     = 2
	exitDamaged     = 3
	exitDiverged    = 4
	exitTemporary   = 5
	exitGuard       = 6
	exitPackedPast  = 7
	exitIncomplete  = 8
	exitNotExist    = 10
	exitLocked      = 11
	exitInterrupted = 130
)

// An exitMeaning documents an exit code.
type exitMeaning struct {
	code    int
	meaning string
}

// exitMeanings is the table that zrs help exit-codes and the manual page of every
// command print that has none of its own.
var exitMeanings = []exitMeaning{
	{exitOK, "Done; identical; nothing to do; a server stopped by SIGTERM or SIGINT."},
	{exitNegative, "A negative answer: they differ, it is behind, it is not healthy."},
	{exitTrouble, "A usage error, or trouble that prevented an answer."},
	{exitDamaged, "Local data is damaged."},
	{exitDiverged, "The histories have diverged; nothing was changed."},
	{exitTemporary, "Temporary: the peer is unreachable or hung up, a time limit passed; trying again is sensible."},
	{exitGuard, "Refused by a guard: it would lose or overwrite data; the message names the flag that allows it."},
	{exitPackedPast, "The source can't serve us from where we are (packed past our end): a new seed is needed."},
	{exitIncomplete, "Finished, but incomplete: blobs are missing."},
	{exitNotExist, "The storage does not exist."},
	{exitLocked, "The storage is locked by another process."},
	{exitInterrupted, "Interrupted; the state is clean, and running the command again resumes."},
}

// exitCauses maps what an error is to an exit code. An error can be several of
// these, such as damage that was met while stopping: the first line that fits
// decides, so the graver stand above the lesser.
var exitCauses = []struct {
	err  error
	code int
}{
	{fs.ErrDamaged, exitDamaged},
	{fs.ErrTruncated, exitDamaged},
	{verify.ErrUnsound, exitDamaged},
	{dump.ErrSyntax, exitDamaged},
	{dump.ErrChecksum, exitDamaged},
	{dump.ErrCutShort, exitDamaged},
	{errCompression, exitDamaged},
	{dump.ErrBackup, exitDamaged},
	{repl.ErrDiverged, exitDiverged},
	{epoch.ErrOtherDatabase, exitDiverged},
	{epoch.ErrDiverged, exitDiverged},
	{epoch.ErrSuperseded, exitDiverged},
	{fs.ErrReplaced, exitDiverged},
	{rewind.ErrPacked, exitDiverged},
	{errUnrelated, exitDiverged},
	{errForkPacked, exitPackedPast},
	{repl.ErrPackedPast, exitPackedPast},
	{fs.ErrWouldCreate, exitGuard},
	{fs.ErrLocked, exitLocked},
	{repl.ErrAhead, exitNegative},
	{errNoTxn, exitNegative},
	{errNotHealthy, exitNegative},
	{control.ErrNoServer, exitTemporary},
	{repl.ErrIncomplete, exitIncomplete},
	{verify.ErrIncomplete, exitIncomplete},
	{verify.ErrDiffer, exitNegative},
	{dump.ErrBlobsMissing, exitIncomplete},
	{repl.ErrUnreachable, exitTemporary},
	{repl.ErrRefused, exitTemporary},
	{repl.ErrBlobDirNeeded, exitTrouble}, // before what it may be wrapped in
	{repl.ErrRejected, exitTemporary},
	{repl.ErrOwnEpoch, exitGuard},
	{node.ErrDemoted, exitGuard},
	{repl.ErrHungUp, exitTemporary},
	{repl.ErrChecksum, exitTemporary},
	{context.DeadlineExceeded, exitTemporary},
	{iofs.ErrNotExist, exitNotExist},
	{context.Canceled, exitInterrupted},
}

// exitCode decides the exit status of zrs. It is the only place that does.
func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	if e, ok := errors.AsType[*kong.ParseError](err); ok {
		return usageCode(e)
	}
	if e, ok := errors.AsType[*checkError](err); ok {
		return e.code
	}
	if _, ok := errors.AsType[*guardError](err); ok {
		return exitGuard
	}
	for _, cause := range exitCauses {
		if errors.Is(err, cause.err) {
			return cause.code
		}
	}
	return exitTrouble
}

// usageCode decides the exit status for a command line that can't be parsed.
func usageCode(err *kong.ParseError) int {
	if err.Context != nil {
		if cmd := err.Context.Selected(); cmd != nil {
			if c, ok := reflect.TypeAssert[*checkCmd](cmd.Target.Addr()); ok {
				return c.usageCode(err.Context.Args)
			}
		}
	}
	return exitTrouble // kong's own status for it is 80
}

// exitTable returns what the exit codes of a command mean.
func exitTable(cmd *kong.Node) []exitMeaning {
	if cmd != nil {
		if own, ok := reflect.TypeAssert[interface{ ExitMeanings() []exitMeaning }](cmd.Target.Addr()); ok {
			return own.ExitMeanings()
		}
	}
	return exitMeanings
}

// stopped returns the end of a server: one that was told to stop has done its
// work, so an interruption, and nothing graver, is no error.
func stopped(err error) error {
	if exitCode(err) == exitInterrupted {
		return nil
	}
	return err
}

// A shownError is one that the operator was told of already.
type shownError struct{ err error }

func (e *shownError) Error() string { return e.err.Error() }
func (e *shownError) Unwrap() error { return e.err }

// An adviceError tells the operator what to do next.
type adviceError struct {
	err  error
	next []string // commands, or sentences without a full stop
}

// advise adds to err what to do next, for the lines after the message.
func advise(err error, next ...string) error { return &adviceError{err, next} }

// adviseDamage adds what to do when a data file is damaged.
func adviseDamage(err error, path string) error {
	if errors.Is(err, fs.ErrDamaged) {
		return advise(err, "zrs verify "+path+" lists all that is wrong;", "zrs log --reverse "+path+" shows what comes behind, as far as it can be read")
	}
	return err
}

func (e *adviceError) Error() string { return e.err.Error() }
func (e *adviceError) Unwrap() error { return e.err }

// A guardError is a refusal to lose or overwrite data.
type guardError struct{ err error }

func (e *guardError) Error() string { return e.err.Error() }
func (e *guardError) Unwrap() error { return e.err }

// An interruptedError tells what an interruption left, where that is not what
// most commands leave.
type interruptedError struct {
	err  error
	what string
}

// unanswered makes an interruption say that the answer is not whole, for commands that
// change nothing and begin anew each time.
func unanswered(err error) error {
	return interrupted(err, "interrupted: nothing was changed, and the answer is not whole")
}

// interrupted makes an interruption say what it left. Other errors stay.
func interrupted(err error, what string) error {
	if exitCode(err) == exitInterrupted {
		return &interruptedError{err, what}
	}
	return err
}

func (e *interruptedError) Error() string { return e.what }
func (e *interruptedError) Unwrap() error { return e.err }
