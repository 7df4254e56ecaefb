package pickle

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// An Op is one opcode of a pickle with its argument.
type Op struct {
	Code        byte
	Offset, End int // in the scanner's input

	// Arg is the argument as it stands in the input, without the bytes that
	// count it and the newline that ends it. GLOBAL and INST have two lines,
	// "module\nname".
	Arg []byte
}

// A Scanner cuts a pickle into opcodes. It looks at their arguments just enough
// to find the next.
type Scanner struct {
	in  []byte
	off int
}

// NewScanner returns a Scanner that reads opcodes from the start of b.
func NewScanner(b []byte) Scanner { return Scanner{in: b} }

// Next returns the next opcode, which aliases the input. It returns io.EOF at
// the end of the input, and does not stop at a STOP. Any other failure is an
// [*Error].
func (s *Scanner) Next() (Op, error) {
	if s.off == len(s.in) {
		return Op{}, io.EOF
	}
	op := Op{Code: s.in[s.off], Offset: s.off}
	rest := s.in[s.off+1:]
	if forms[op.Code].arg == argUnknown {
		return Op{}, &Error{Offset: op.Offset, Code: op.Code, Err: syntax(fmt.Sprintf("unknown opcode %#02x", op.Code))}
	}
	skip, size, err := measure(forms[op.Code].arg, rest)
	if err != nil {
		return Op{}, &Error{Offset: op.Offset, Code: op.Code, Err: err}
	}
	op.Arg = rest[skip : skip+size : skip+size]
	op.End = op.Offset + 1 + skip + size
	switch forms[op.Code].arg {
	case argLine, argTwoLines:
		op.End++ // the newline
	}
	s.off = op.End
	return op, nil
}

// measure finds the argument of form arg at the start of b: size bytes after
// skip bytes. Both are within b, and so is the newline of a line.
func measure(arg argument, b []byte) (skip, size int, err error) {
	switch arg {
	case argNone:
	case argFixed1:
		size = 1
	case argFixed2:
		size = 2
	case argFixed4:
		size = 4
	case argFixed8:
		size = 8
	case argLine, argTwoLines:
		size, err = measureLines(b, arg == argTwoLines)
		return 0, size, err
	case argCount1, argCount4, argCount8:
		return measureCounted(arg, b)
	}
	if size > len(b) {
		return 0, 0, io.ErrUnexpectedEOF
	}
	return 0, size, nil
}

func measureLines(b []byte, two bool) (int, error) {
	end := bytes.IndexByte(b, '\n')
	if end >= 0 && two {
		second := bytes.IndexByte(b[end+1:], '\n')
		if second < 0 {
			return 0, io.ErrUnexpectedEOF
		}
		return end + 1 + second, nil
	}
	if end < 0 {
		return 0, io.ErrUnexpectedEOF
	}
	return end, nil
}

func measureCounted(arg argument, b []byte) (skip, size int, err error) {
	var count uint64
	switch {
	case arg == argCount1 && len(b) >= 1:
		skip, count = 1, uint64(b[0])
	case arg == argCount4 && len(b) >= 4:
		skip, count = 4, uint64(binary.LittleEndian.Uint32(b))
	case arg == argCount8 && len(b) >= 8:
		skip, count = 8, binary.LittleEndian.Uint64(b)
	default:
		return 0, 0, io.ErrUnexpectedEOF
	}
	if count > uint64(len(b)-skip) {
		return 0, 0, io.ErrUnexpectedEOF
	}
	return skip, int(count), nil
}
