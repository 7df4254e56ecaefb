package pickle

import (
	"errors"
	"fmt"
)

var (
	// ErrSyntax is returned for bytes that no unpickler accepts: an unknown
	// opcode, a malformed argument, too few values on the stack.
	ErrSyntax = errors.New("not a pickle")

	// ErrLimit is returned where a limit of this package, or of the caller,
	// is exceeded.
	ErrLimit = errors.New("pickle too large")

	// ErrUnsupported is returned by the encoders for a value that the form
	// asked for cannot carry, or that the caller does not allow.
	ErrUnsupported = errors.New("value not supported")
)

// An Error says where in a pickle decoding failed. Err is [ErrSyntax] or
// [ErrLimit] with details, or [io.ErrUnexpectedEOF] for a pickle cut short.
type Error struct {
	Offset int  // of the opcode
	Code   byte // the opcode, 0 at the end of the input
	Err    error
}

func (e *Error) Error() string {
	if name := forms[e.Code].name; name != "" {
		return fmt.Sprintf("offset %d: %s: %v", e.Offset, name, e.Err)
	}
	return fmt.Sprintf("offset %d: %v", e.Offset, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

func syntax(detail string) error { return fmt.Errorf("%w: %s", ErrSyntax, detail) }
func limit(detail string) error  { return fmt.Errorf("%w: %s", ErrLimit, detail) }

var (
	errUnderflow = syntax("too few values on the stack")
	errNoMark    = syntax("no mark on the stack")
	errArgument  = syntax("malformed argument")
	errTarget    = syntax("wrong kind of value to change")
)
