package monitor

import (
	"context"
	"errors"
	iofs "io/fs"
	"net"

	"zrs/internal/fs"
)

// Causes why there is no report.
var (
	// ErrUnreachable is returned when there is no connection to a server.
	ErrUnreachable = errors.New("can't connect")

	// ErrSilent is returned when a server accepts a connection, and then does
	// not say in time what it has to say.
	ErrSilent = errors.New("accepts connections, but does not answer")

	// ErrHungUp is returned when a server closes the connection before it has
	// answered.
	ErrHungUp = errors.New("closed the connection without an answer")

	// ErrAnswer is returned for an answer that makes no sense.
	ErrAnswer = errors.New("the answer makes no sense")

	// ErrDiverged is returned when a history has transactions that the one it
	// should be a part of never had.
	ErrDiverged = errors.New("the histories have diverged")
)

// trouble returns what it means for a verdict that there is no report, and the
// code for it.
func trouble(err error) (Level, string) {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return Unknown, "name-unknown"
	}
	switch {
	case errors.Is(err, iofs.ErrPermission):
		return Unknown, "not-permitted"
	case errors.Is(err, ErrUnreachable):
		return Critical, "unreachable"
	case errors.Is(err, ErrSilent):
		return Critical, "no-answer"
	case errors.Is(err, ErrHungUp):
		return Critical, "hung-up"
	case errors.Is(err, ErrAnswer):
		return Unknown, "bad-answer"
	case errors.Is(err, ErrDiverged):
		return Critical, "diverged"
	case errors.Is(err, fs.ErrDamaged):
		return Critical, "damaged"
	case errors.Is(err, fs.ErrFormat):
		return Critical, "not-a-data-file"
	case errors.Is(err, iofs.ErrNotExist):
		return Critical, "missing"
	case errors.Is(err, context.DeadlineExceeded):
		return Unknown, "timed-out"
	}
	return Unknown, "trouble"
}
