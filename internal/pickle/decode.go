package pickle

import (
	"errors"
	"io"
	"iter"
)

// A Decoder turns pickles into values. The zero Decoder is ready to use. Values
// alias the input and the Decoder's own memory: they are valid until the next
// call of Decode or DecodeBody, and as long as the input is left alone.
type Decoder struct {
	// MaxValues is how many values may be made from one call of Decode to the
	// next, and how many may be on the stack; 0 means DefaultMaxValues.
	MaxValues int

	slabs [][]Value // values in order of creation
	used  int       // values made
	stack []entry
	marks []mark
	memo  []*Value // nil where nothing was put
	puts  int      // entries of memo that are not nil
	text  []byte   // converted strings
	work  int      // bytes of text converted
	seen  int      // bytes of input since Decode: bounds memo and work
	in    []byte
	op    Op // being run
}

// An entry is a value on the stack, with the offset where the opcodes begin
// that put it there.
type entry struct {
	v     *Value
	start int
}

// A mark remembers how high the stack was at a MARK, and the MARK's offset.
type mark struct {
	height, start int
}

const (
	slabSize  = 64
	keepSlabs = 64      // with slabSize, about 400 KiB
	keepStack = 1 << 12 // also of the memo
	keepText  = 1 << 18
)

// Decode decodes the pickle at the start of b, and returns its value and its
// length. Errors are of type [*Error].
func (d *Decoder) Decode(b []byte) (v *Value, n int, err error) {
	d.reset()
	return d.DecodeNext(b)
}

// DecodeNext is like Decode, but keeps the values and the memo of the calls
// before: the two pickles of a ZODB record share a memo.
func (d *Decoder) DecodeNext(b []byte) (v *Value, n int, err error) {
	n, err = d.run(b, true)
	if err != nil {
		return nil, 0, err
	}
	if v, err = d.result(n - len(".")); err != nil {
		return nil, 0, err
	}
	return v, n, nil
}

// DecodeBody decodes opcodes that build one value and have no STOP: what
// stands between the fields of a message, or an [Encoder] wrote. They must be
// complete in themselves, and are all of b.
func (d *Decoder) DecodeBody(b []byte) (*Value, error) {
	d.reset()
	if _, err := d.run(b, false); err != nil {
		return nil, err
	}
	return d.result(len(b))
}

// Values ranges over the values made since Decode was called, in the order of
// their creation: each once, whatever refers to it.
func (d *Decoder) Values() iter.Seq[*Value] {
	return func(yield func(*Value) bool) {
		for i := range d.used {
			if !yield(&d.slabs[i/slabSize][i%slabSize]) {
				return
			}
		}
	}
}

// reset forgets all values. Memory is used again, unless it grew beyond what an
// ordinary pickle needs.
func (d *Decoder) reset() {
	if len(d.slabs) > keepSlabs || cap(d.stack) > keepStack || cap(d.memo) > keepStack || cap(d.text) > keepText {
		*d = Decoder{MaxValues: d.MaxValues}
		return
	}
	for i := 0; i*slabSize < d.used; i++ {
		clear(d.slabs[i])
	}
	clear(d.memo)
	d.used, d.puts, d.work, d.seen = 0, 0, 0, 0
	d.memo, d.text = d.memo[:0], d.text[:0]
}

// run runs the opcodes of b: up to its first STOP, or with toStop false up to
// its end. It returns how many bytes they take.
func (d *Decoder) run(b []byte, toStop bool) (int, error) {
	d.in = b[:min(len(b), MaxInput)]
	d.seen += len(d.in)
	d.stack, d.marks = d.stack[:0], d.marks[:0]
	scan := NewScanner(d.in)
	for {
		op, err := scan.Next()
		if errors.Is(err, io.EOF) {
			return d.atEnd(len(b), toStop)
		}
		if err != nil {
			return 0, err
		}
		if op.Code == opStop && toStop {
			return op.End, nil
		}
		d.op = op
		if err := actions[op.Code](d); err != nil {
			return 0, &Error{Offset: op.Offset, Code: op.Code, Err: err}
		}
	}
}

// atEnd returns what run does at the end of the input, of which there was more
// if size is more than it took.
func (d *Decoder) atEnd(size int, toStop bool) (int, error) {
	n := len(d.in)
	switch {
	case n < size:
		return 0, &Error{Offset: n, Err: limit("too long")}
	case toStop:
		return 0, &Error{Offset: n, Err: io.ErrUnexpectedEOF}
	}
	return n, nil
}

// result returns the one value that a good pickle leaves on the stack at its
// end.
func (d *Decoder) result(end int) (*Value, error) {
	if len(d.stack) != 1 || len(d.marks) != 0 {
		return nil, &Error{Offset: end, Code: opStop, Err: syntax("want one value on the stack")}
	}
	return d.stack[0].v, nil
}
