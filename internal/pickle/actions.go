package pickle

import (
	"encoding/binary"
	"io"
)

// actions has what each opcode does. STOP is here for bodies, which end without.
var actions = [256]func(*Decoder) error{
	opStop:  func(*Decoder) error { return syntax("STOP before the end") },
	opProto: (*Decoder).proto,
	opFrame: (*Decoder).frame,

	// Scalars: scalars.go.
	opNone:            func(d *Decoder) error { return d.pushScalar(None, 0, nil) },
	opNewTrue:         func(d *Decoder) error { return d.pushScalar(Bool, 1, nil) },
	opNewFalse:        func(d *Decoder) error { return d.pushScalar(Bool, 0, nil) },
	opInt:             (*Decoder).intLine,
	opBinInt:          (*Decoder).binInt,
	opBinInt1:         (*Decoder).binUint,
	opBinInt2:         (*Decoder).binUint,
	opLong:            (*Decoder).longLine,
	opLong1:           (*Decoder).binLong,
	opLong4:           (*Decoder).binLong,
	opFloat:           (*Decoder).floatLine,
	opBinFloat:        (*Decoder).binFloat,
	opUnicode:         (*Decoder).unicodeLine,
	opBinUnicode:      (*Decoder).binUnicode,
	opShortBinUnicode: (*Decoder).binUnicode,
	opBinUnicode8:     (*Decoder).binUnicode,
	opBinBytes:        func(d *Decoder) error { return d.pushScalar(Bytes, 0, d.op.Arg) },
	opShortBinBytes:   func(d *Decoder) error { return d.pushScalar(Bytes, 0, d.op.Arg) },
	opBinBytes8:       func(d *Decoder) error { return d.pushScalar(Bytes, 0, d.op.Arg) },
	opString:          (*Decoder).stringLine,
	opBinString:       func(d *Decoder) error { return d.pushScalar(Str, 0, d.op.Arg) },
	opShortBinString:  func(d *Decoder) error { return d.pushScalar(Str, 0, d.op.Arg) },
	opNextBuffer:      func(d *Decoder) error { return d.pushScalar(Buffer, 0, nil) },
	opReadOnlyBuffer:  func(d *Decoder) error { _, err := d.top(); return err },

	// Containers: containers.go.
	opMark:       (*Decoder).mark,
	opEmptyTuple: func(d *Decoder) error { return d.pushItems(Tuple, d.op.Offset) },
	opTuple:      func(d *Decoder) error { return d.collect(Tuple) },
	opTuple1:     func(d *Decoder) error { return d.tuple(1) },
	opTuple2:     func(d *Decoder) error { return d.tuple(2) },
	opTuple3:     func(d *Decoder) error { return d.tuple(3) },
	opEmptyList:  func(d *Decoder) error { return d.pushItems(List, d.op.Offset) },
	opList:       func(d *Decoder) error { return d.collect(List) },
	opAppend:     func(d *Decoder) error { return d.one(1, (*Decoder).extend) },
	opAppends:    func(d *Decoder) error { return d.many((*Decoder).extend) },
	opEmptyDict:  func(d *Decoder) error { return d.pushItems(Dict, d.op.Offset) },
	opDict:       (*Decoder).dict,
	opSetItem:    func(d *Decoder) error { return d.one(2, (*Decoder).update) },
	opSetItems:   func(d *Decoder) error { return d.many((*Decoder).update) },
	opEmptySet:   func(d *Decoder) error { return d.set("builtins\nset", nil, d.op.Offset) },
	opFrozenSet:  (*Decoder).frozenSet,
	opAddItems:   func(d *Decoder) error { return d.many((*Decoder).addItems) },
	opByteArray8: (*Decoder).byteArray,

	// The stack and the memo: memo.go.
	opPop:        (*Decoder).popOne,
	opPopMark:    func(d *Decoder) error { _, _, err := d.popMark(); return err },
	opDup:        (*Decoder).dup,
	opPut:        (*Decoder).putLine,
	opBinPut:     func(d *Decoder) error { return d.put(d.uint()) },
	opLongBinPut: func(d *Decoder) error { return d.put(d.uint()) },
	opMemoize:    func(d *Decoder) error { return d.put(uint64(d.puts)) },
	opGet:        (*Decoder).getLine,
	opBinGet:     func(d *Decoder) error { return d.get(d.uint()) },
	opLongBinGet: func(d *Decoder) error { return d.get(d.uint()) },

	// Names and objects: objects.go.
	opGlobal:      func(d *Decoder) error { return d.pushScalar(Global, 0, d.op.Arg) },
	opStackGlobal: (*Decoder).stackGlobal,
	opReduce:      (*Decoder).reduce,
	opNewObj:      func(d *Decoder) error { return d.newObject(2) },
	opNewObjEx:    func(d *Decoder) error { return d.newObject(3) },
	opInst:        (*Decoder).inst,
	opObj:         (*Decoder).obj,
	opBuild:       func(d *Decoder) error { return d.one(1, (*Decoder).build) },
	opPersID:      (*Decoder).persID,
	opBinPersID:   (*Decoder).binPersID,
	opExt1:        (*Decoder).registered,
	opExt2:        (*Decoder).registered,
	opExt4:        (*Decoder).registered,
}

// maxProto is the last protocol there is; Python 3.14 still has it.
const maxProto = 5

func (d *Decoder) proto() error {
	if d.op.Arg[0] > maxProto {
		return syntax("unknown protocol")
	}
	return nil
}

func (d *Decoder) frame() error {
	if d.uint() > uint64(len(d.in)-d.op.End) {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// uint returns the argument of the current opcode as an unsigned number.
func (d *Decoder) uint() uint64 {
	var b [8]byte
	copy(b[:], d.op.Arg)
	return binary.LittleEndian.Uint64(b[:])
}
