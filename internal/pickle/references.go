package pickle

import (
	"encoding/binary"
	"errors"
	"io"
)

// maxHeld is how many values the stack and the memo of a [ReferenceReader] hold
// at most. Real records have far fewer; each takes 8 bytes.
const maxHeld = 1 << 24

// A ReferenceReader finds the references to other objects in data records. It
// makes no values: it knows of each whether it is an OID, a tuple that begins
// with one, a list or anything else, which is all that a persistent id is judged
// by (ZODB.serialize.referencesf). The zero ReferenceReader is ready to use.
type ReferenceReader struct {
	data  []byte
	stack []shape
	marks []int
	memo  []shape
	puts  int
	oids  []byte // those that are not in data as they are
	refs  []byte
}

// A shape is what a value is as far as a reference goes: its form in the highest
// bits, and where its OID is.
type shape uint64

const (
	shapeOther   shape = iota << 61
	shapeOID           // 8 bytes
	shapeText          // bytes or text that are no OID
	shapeTuple         // a tuple that begins with an OID
	shapeOddPair       // any other tuple
	shapeList

	shapeForm shape = 7 << 61
)

// Read returns the OIDs of the objects that data, a data record, refers to: 8
// bytes each, one behind the other, as often as they occur. They are valid until
// the next call. Weak references, and those to objects of other databases, are
// none. An error says that data does not begin with two pickles, or that ZODB
// would choke on a reference; it is of type [*Error].
func (r *ReferenceReader) Read(data []byte) ([]byte, error) {
	r.data, r.refs, r.oids = data, r.refs[:0], r.oids[:0]
	r.memo, r.puts = r.memo[:0], 0
	if cap(r.memo) > keepStack || cap(r.stack) > keepStack {
		r.memo, r.stack = nil, nil
	}
	at := 0
	for range 2 {
		end, err := r.run(at)
		if err != nil {
			return r.refs, err
		}
		at = end
	}
	return r.refs, nil
}

// run runs the pickle at the offset at, and returns where it ends.
func (r *ReferenceReader) run(at int) (int, error) {
	r.stack, r.marks = r.stack[:0], r.marks[:0]
	scan := Scanner{in: r.data, off: at}
	for {
		scan.off = r.quick(scan.off)
		start := scan.off
		op, err := scan.Next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = &Error{Offset: start, Err: io.ErrUnexpectedEOF}
			}
			return 0, err
		}
		if op.Code == opStop {
			return op.End, nil
		}
		if err := r.step(&op); err != nil {
			return 0, &Error{Offset: op.Offset, Code: op.Code, Err: err}
		}
	}
}

// quick does what opcodes do that are frequent and simple, from the offset at on.
// It returns where the first stands that is not, or that something is wrong with.
func (r *ReferenceReader) quick(at int) int {
	const longest = 5 // bytes of these opcodes, without what they count
	data, stack := r.data, r.stack
	base := 0 // of what is above the last mark
	if n := len(r.marks); n > 0 {
		base = r.marks[n-1]
	}
loop:
	for at+longest <= len(data) && len(stack) < maxHeld {
		size, s := 1, shapeOther
		switch data[at] {
		case opNone, opEmptyDict, opNewTrue, opNewFalse:
		case opBinInt1:
			size = 2
		case opBinInt2:
			size = 3
		case opBinInt:
			size = 5
		case opShortBinBytes, opShortBinString:
			size, s = 2+int(data[at+1]), shapeText
			if size == 2+8 {
				s = shapeOID | shape(at+2)
			}
		case opBinUnicode, opBinString, opBinBytes:
			n := binary.LittleEndian.Uint32(data[at+1:])
			if n == 8 {
				break loop
			}
			size, s = 5+int(n), shapeText
		case opBinGet:
			n := int(data[at+1])
			if n >= len(r.memo) || r.memo[n] == 0 {
				break loop
			}
			size, s = 2, r.memo[n]-1
		case opBinPut:
			n := int(data[at+1])
			if n != len(r.memo) || len(stack) == base {
				break loop
			}
			r.memo = append(r.memo, stack[len(stack)-1]+1)
			r.puts++
			at += 2
			continue
		case opTuple2:
			if len(stack)-base < 2 {
				break loop
			}
			size, s, stack = 1, tupleOf(stack[len(stack)-2]), stack[:len(stack)-2]
		case opBinPersID:
			if len(stack) == base || r.refer(stack[len(stack)-1]) != nil {
				break loop
			}
			stack = stack[:len(stack)-1]
		default:
			break loop
		}
		if size > len(data)-at {
			break
		}
		stack = append(stack, s)
		at += size
	}
	r.stack = stack
	return at
}

// step does what an opcode does.
func (r *ReferenceReader) step(op *Op) error {
	switch op.Code {
	case opShortBinBytes, opShortBinString, opBinBytes, opBinString, opBinBytes8:
		if len(op.Arg) == 8 {
			return r.push(shapeOID | shape(op.End-8))
		}
		return r.push(shapeText)
	case opBinUnicode, opShortBinUnicode, opBinUnicode8:
		if len(op.Arg) == 8 && ascii(op.Arg) {
			return r.push(shapeOID | shape(op.End-8))
		}
		return r.push(shapeText)
	case opString, opUnicode:
		return r.line(op)
	case opBinPut, opLongBinPut, opPut, opMemoize:
		return r.put(op)
	case opBinGet, opLongBinGet, opGet:
		return r.get(op)
	case opTuple1, opTuple2, opTuple3:
		n := int(op.Code-opTuple1) + 1
		if err := r.need(n); err != nil {
			return err
		}
		first := r.stack[len(r.stack)-n]
		r.stack = append(r.stack[:len(r.stack)-n], tupleOf(first))
	case opTuple:
		mark, err := r.popMark()
		if err != nil {
			return err
		}
		first := shapeOther
		if mark < len(r.stack) {
			first = r.stack[mark]
		}
		r.stack = append(r.stack[:mark], tupleOf(first))
	case opBinPersID:
		if err := r.need(1); err != nil {
			return err
		}
		top := &r.stack[len(r.stack)-1]
		id := *top
		*top = shapeOther
		return r.refer(id)
	case opPersID:
		if len(op.Arg) != 8 {
			return errOddReference
		}
		r.refs = append(r.refs, op.Arg...)
		return r.push(shapeOther)
	case opMark:
		if len(r.marks) >= MaxMarks {
			return limit("too many marks")
		}
		r.marks = append(r.marks, len(r.stack))
	case opPop:
		if n := len(r.marks); n > 0 && r.marks[n-1] == len(r.stack) {
			r.marks = r.marks[:n-1]
			return nil
		}
		return r.drop(1)
	case opDup:
		if err := r.need(1); err != nil {
			return err
		}
		return r.push(r.stack[len(r.stack)-1])
	case opEmptyList, opList:
		if op.Code == opEmptyList {
			return r.push(shapeList)
		}
		return r.collect(shapeList)
	case opProto, opFrame, opReadOnlyBuffer:
	case opAppend, opBuild:
		return r.drop(1)
	case opSetItem:
		return r.drop(2)
	case opAppends, opSetItems, opAddItems, opPopMark:
		mark, err := r.popMark()
		r.stack = r.stack[:mark]
		return err
	case opReduce, opNewObj, opStackGlobal:
		return r.replace(2)
	case opNewObjEx:
		return r.replace(3)
	case opObj, opInst, opDict, opFrozenSet:
		return r.collect(shapeOther)
	default: // numbers, names, empty containers
		return r.push(shapeOther)
	}
	return nil
}

var errOddReference = syntax("persistent id of a form that ZODB does not know")

// refer notes a persistent id.
func (r *ReferenceReader) refer(id shape) error {
	switch id & shapeForm {
	case shapeOID, shapeTuple:
		r.refs = append(r.refs, r.oid(id)...)
	case shapeList: // weak, or to another database
	default:
		return errOddReference
	}
	return nil
}

// oid returns the OID of a shape that has one.
func (r *ReferenceReader) oid(s shape) []byte {
	at := int(s &^ shapeForm)
	if at < len(r.data) {
		return r.data[at : at+8]
	}
	at -= len(r.data)
	return r.oids[at : at+8]
}

// tupleOf returns the shape of a tuple that begins with first.
func tupleOf(first shape) shape {
	if first&shapeForm == shapeOID {
		return shapeTuple | first&^shapeForm
	}
	return shapeOddPair
}

// line pushes a string of protocol 0, which may have escapes.
func (r *ReferenceReader) line(op *Op) error {
	var d Decoder
	v, err := d.DecodeBody(r.data[op.Offset:op.End])
	if err != nil {
		return err
	}
	if len(v.Data) != 8 || v.Kind == Text && !ascii(v.Data) {
		return r.push(shapeText)
	}
	s := shapeOID | shape(len(r.data)+len(r.oids))
	r.oids = append(r.oids, v.Data...)
	return r.push(s)
}

func (r *ReferenceReader) push(s shape) error {
	if len(r.stack) >= maxHeld {
		return limit("stack too high")
	}
	r.stack = append(r.stack, s)
	return nil
}

// need returns an error unless there are n values above the last mark.
func (r *ReferenceReader) need(n int) error {
	base := 0
	if m := len(r.marks); m > 0 {
		base = r.marks[m-1]
	}
	if len(r.stack)-base < n {
		return errUnderflow
	}
	return nil
}

func (r *ReferenceReader) drop(n int) error {
	if err := r.need(n); err != nil {
		return err
	}
	r.stack = r.stack[:len(r.stack)-n]
	return nil
}

// replace puts another value in place of the n topmost.
func (r *ReferenceReader) replace(n int) error {
	if err := r.drop(n); err != nil {
		return err
	}
	return r.push(shapeOther)
}

// collect puts a value in place of those above the mark.
func (r *ReferenceReader) collect(s shape) error {
	mark, err := r.popMark()
	if err != nil {
		return err
	}
	r.stack = append(r.stack[:mark], s)
	return nil
}

func (r *ReferenceReader) popMark() (int, error) {
	n := len(r.marks)
	if n == 0 {
		return 0, errNoMark
	}
	mark := r.marks[n-1]
	r.marks = r.marks[:n-1]
	return mark, nil
}

// number returns the argument of an opcode of the memo.
func (r *ReferenceReader) number(op *Op) (uint64, error) {
	switch op.Code {
	case opMemoize:
		return uint64(r.puts), nil
	case opPut, opGet:
		d := Decoder{op: *op}
		return d.memoNumber()
	case opBinPut, opBinGet:
		return uint64(op.Arg[0]), nil
	default:
		return uint64(binary.LittleEndian.Uint32(op.Arg)), nil
	}
}

// A memo holds what was put as its shape plus 1, for 0 says that nothing was.
func (r *ReferenceReader) put(op *Op) error {
	if err := r.need(1); err != nil {
		return err
	}
	n, err := r.number(op)
	switch {
	case err != nil:
		return err
	case n > uint64(len(r.data)) || n >= maxHeld:
		return limit("memo index too high")
	}
	for uint64(len(r.memo)) <= n {
		r.memo = append(r.memo, 0)
	}
	if r.memo[n] == 0 {
		r.puts++
	}
	r.memo[n] = r.stack[len(r.stack)-1] + 1
	return nil
}

func (r *ReferenceReader) get(op *Op) error {
	n, err := r.number(op)
	if err != nil {
		return err
	}
	if n >= uint64(len(r.memo)) || r.memo[n] == 0 {
		return syntax("nothing in the memo there")
	}
	return r.push(r.memo[n] - 1)
}
