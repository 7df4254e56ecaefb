package wire

import (
	"errors"
	"fmt"
)

var (
	// ErrFrameTooLarge is returned for a frame whose length is over the limit
	// for what is due. No peer that means well sends one: hang up.
	ErrFrameTooLarge = errors.New("frame too large")

	// ErrEmptyMessage is returned for an empty payload where a message is due.
	// Only secondaries send empty frames, as keep-alives.
	ErrEmptyMessage = errors.New("empty message")

	// ErrMalformed is returned for a payload that is not one of the four
	// messages.
	ErrMalformed = errors.New("malformed message")

	// ErrTooLarge is returned for a T message, otherwise good, whose user,
	// description or extension has no room in a data file. The transaction
	// can't be stored; to ask for it again won't help.
	ErrTooLarge = errors.New("too large for a transaction header")
)

// A FrameError is an [ErrFrameTooLarge] with the sizes.
type FrameError struct {
	Size, Limit int64
}

func (e *FrameError) Error() string {
	return fmt.Sprintf("%v: %d bytes, limit is %d", ErrFrameTooLarge, e.Size, e.Limit)
}

func (e *FrameError) Unwrap() error { return ErrFrameTooLarge }

// A MessageError says in which part of a message decoding failed.
type MessageError struct {
	Letter byte   // T, S, B or C; 0 if it is not known
	Field  string // "" if none in particular
	Err    error
}

func (e *MessageError) Error() string {
	s := e.Err.Error()
	if e.Field != "" {
		s = e.Field + ": " + s
	}
	if e.Letter != 0 {
		s = string(e.Letter) + " message: " + s
	}
	return s
}

func (e *MessageError) Unwrap() error { return e.Err }

func malformed(detail string) error { return fmt.Errorf("%w: %s", ErrMalformed, detail) }
