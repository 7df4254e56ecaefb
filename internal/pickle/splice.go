package pickle

import (
	"errors"
	"fmt"
	"io"
)

// AppendSplice appends the opcodes of stored, one whole pickle, in a form that
// stands between other opcodes and that Python 2 and 3 both read: without PROTO,
// FRAME and STOP, with bytes and 8-bit strings as [AppendBytes] and
// [AppendText] write them. All others stay as they are, memo included, and so
// sharing does; the surroundings must not use the memo.
//
// It returns b and [ErrUnsupported] for opcodes that Python 2 doesn't know and
// that have no such form, for those that make objects in other ways than a
// call, and for a GLOBAL of which allowed reports false. What follows the
// pickle is ignored.
func AppendSplice(b, stored []byte, allowed func(name []byte) bool) ([]byte, error) {
	s := splicer{Scanner: NewScanner(stored), allowed: allowed, out: b}
	for {
		op, err := s.Next()
		if errors.Is(err, io.EOF) {
			return b, &Error{Offset: len(stored), Err: io.ErrUnexpectedEOF}
		}
		if err != nil {
			return b, err
		}
		if op.Code == opStop {
			return s.out, nil
		}
		if err := s.splice(op); err != nil {
			return b, &Error{Offset: op.Offset, Code: op.Code, Err: err}
		}
	}
}

type splicer struct {
	Scanner
	allowed  func(name []byte) bool
	out      []byte
	puts     bool // the pickle numbers what it puts into the memo
	memoized int  // how many it puts there without
}

func (s *splicer) splice(op Op) error {
	switch op.Code {
	case opProto, opFrame:
	case opShortBinBytes, opBinBytes, opBinBytes8:
		s.out = AppendBytes(s.out, op.Arg)
	case opShortBinString, opBinString:
		s.out = appendStr(s.out, op.Arg)
	case opString:
		data, ok := appendUnquoted(nil, op.Arg)
		if !ok {
			return errArgument
		}
		s.out = appendStr(s.out, data)
	case opShortBinUnicode, opBinUnicode8:
		s.out = AppendText(s.out, op.Arg)
	case opGlobal:
		if !s.allowed(op.Arg) {
			return fmt.Errorf("%w: %q", ErrUnsupported, op.Arg)
		}
		s.out = appendGlobal2(s.out, op.Arg)
	case opMemoize:
		s.out = appendMemo(s.out, opBinPut, opLongBinPut, s.memoized)
		s.memoized++
	case opPut, opBinPut, opLongBinPut:
		s.puts = true
		s.out = append(s.out, s.in[op.Offset:op.End]...)
	default:
		if !verbatim(op.Code) {
			return ErrUnsupported
		}
		s.out = append(s.out, s.in[op.Offset:op.End]...)
	}
	if s.puts && s.memoized > 0 { // MEMOIZE counts what there is: no pickler mixes them
		return ErrUnsupported
	}
	return nil
}

// verbatim reports whether both Pythons read the opcode as it is.
func verbatim(code byte) bool {
	switch code {
	case opMark, opPop, opPopMark, opDup,
		opNone, opNewTrue, opNewFalse,
		opInt, opBinInt, opBinInt1, opBinInt2, opLong, opLong1, opLong4,
		opFloat, opBinFloat, opUnicode, opBinUnicode,
		opEmptyTuple, opTuple, opTuple1, opTuple2, opTuple3,
		opEmptyList, opList, opAppend, opAppends,
		opEmptyDict, opDict, opSetItem, opSetItems,
		opGet, opBinGet, opLongBinGet, opReduce:
		return true
	}
	return false
}
