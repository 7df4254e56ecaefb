package pickle

// The opcodes of protocols 0 to 5, by the names of Python's pickletools.
const (
	opMark            = '('
	opStop            = '.'
	opPop             = '0'
	opPopMark         = '1'
	opDup             = '2'
	opFloat           = 'F'
	opInt             = 'I'
	opBinInt          = 'J'
	opBinInt1         = 'K'
	opLong            = 'L'
	opBinInt2         = 'M'
	opNone            = 'N'
	opPersID          = 'P'
	opBinPersID       = 'Q'
	opReduce          = 'R'
	opString          = 'S'
	opBinString       = 'T'
	opShortBinString  = 'U'
	opUnicode         = 'V'
	opBinUnicode      = 'X'
	opAppend          = 'a'
	opBuild           = 'b'
	opGlobal          = 'c'
	opDict            = 'd'
	opEmptyDict       = '}'
	opAppends         = 'e'
	opGet             = 'g'
	opBinGet          = 'h'
	opInst            = 'i'
	opLongBinGet      = 'j'
	opList            = 'l'
	opEmptyList       = ']'
	opObj             = 'o'
	opPut             = 'p'
	opBinPut          = 'q'
	opLongBinPut      = 'r'
	opSetItem         = 's'
	opTuple           = 't'
	opEmptyTuple      = ')'
	opSetItems        = 'u'
	opBinFloat        = 'G'
	opProto           = 0x80
	opNewObj          = 0x81
	opExt1            = 0x82
	opExt2            = 0x83
	opExt4            = 0x84
	opTuple1          = 0x85
	opTuple2          = 0x86
	opTuple3          = 0x87
	opNewTrue         = 0x88
	opNewFalse        = 0x89
	opLong1           = 0x8a
	opLong4           = 0x8b
	opBinBytes        = 'B'
	opShortBinBytes   = 'C'
	opShortBinUnicode = 0x8c
	opBinUnicode8     = 0x8d
	opBinBytes8       = 0x8e
	opEmptySet        = 0x8f
	opAddItems        = 0x90
	opFrozenSet       = 0x91
	opNewObjEx        = 0x92
	opStackGlobal     = 0x93
	opMemoize         = 0x94
	opFrame           = 0x95
	opByteArray8      = 0x96
	opNextBuffer      = 0x97
	opReadOnlyBuffer  = 0x98
)

// An argument says what follows an opcode.
type argument uint8

const (
	argUnknown argument = iota // the byte is no opcode
	argNone
	argFixed1 // so many bytes
	argFixed2
	argFixed4
	argFixed8
	argLine     // text up to a newline
	argTwoLines // text up to the second newline
	argCount1   // a count of so many bytes, little-endian, and the bytes it counts
	argCount4
	argCount8
)

// forms has the name and argument of each opcode.
var forms = [256]struct {
	name string
	arg  argument
}{
	opMark:            {"MARK", argNone},
	opStop:            {"STOP", argNone},
	opPop:             {"POP", argNone},
	opPopMark:         {"POP_MARK", argNone},
	opDup:             {"DUP", argNone},
	opFloat:           {"FLOAT", argLine},
	opInt:             {"INT", argLine},
	opBinInt:          {"BININT", argFixed4},
	opBinInt1:         {"BININT1", argFixed1},
	opLong:            {"LONG", argLine},
	opBinInt2:         {"BININT2", argFixed2},
	opNone:            {"NONE", argNone},
	opPersID:          {"PERSID", argLine},
	opBinPersID:       {"BINPERSID", argNone},
	opReduce:          {"REDUCE", argNone},
	opString:          {"STRING", argLine},
	opBinString:       {"BINSTRING", argCount4},
	opShortBinString:  {"SHORT_BINSTRING", argCount1},
	opUnicode:         {"UNICODE", argLine},
	opBinUnicode:      {"BINUNICODE", argCount4},
	opAppend:          {"APPEND", argNone},
	opBuild:           {"BUILD", argNone},
	opGlobal:          {"GLOBAL", argTwoLines},
	opDict:            {"DICT", argNone},
	opEmptyDict:       {"EMPTY_DICT", argNone},
	opAppends:         {"APPENDS", argNone},
	opGet:             {"GET", argLine},
	opBinGet:          {"BINGET", argFixed1},
	opInst:            {"INST", argTwoLines},
	opLongBinGet:      {"LONG_BINGET", argFixed4},
	opList:            {"LIST", argNone},
	opEmptyList:       {"EMPTY_LIST", argNone},
	opObj:             {"OBJ", argNone},
	opPut:             {"PUT", argLine},
	opBinPut:          {"BINPUT", argFixed1},
	opLongBinPut:      {"LONG_BINPUT", argFixed4},
	opSetItem:         {"SETITEM", argNone},
	opTuple:           {"TUPLE", argNone},
	opEmptyTuple:      {"EMPTY_TUPLE", argNone},
	opSetItems:        {"SETITEMS", argNone},
	opBinFloat:        {"BINFLOAT", argFixed8},
	opProto:           {"PROTO", argFixed1},
	opNewObj:          {"NEWOBJ", argNone},
	opExt1:            {"EXT1", argFixed1},
	opExt2:            {"EXT2", argFixed2},
	opExt4:            {"EXT4", argFixed4},
	opTuple1:          {"TUPLE1", argNone},
	opTuple2:          {"TUPLE2", argNone},
	opTuple3:          {"TUPLE3", argNone},
	opNewTrue:         {"NEWTRUE", argNone},
	opNewFalse:        {"NEWFALSE", argNone},
	opLong1:           {"LONG1", argCount1},
	opLong4:           {"LONG4", argCount4},
	opBinBytes:        {"BINBYTES", argCount4},
	opShortBinBytes:   {"SHORT_BINBYTES", argCount1},
	opShortBinUnicode: {"SHORT_BINUNICODE", argCount1},
	opBinUnicode8:     {"BINUNICODE8", argCount8},
	opBinBytes8:       {"BINBYTES8", argCount8},
	opEmptySet:        {"EMPTY_SET", argNone},
	opAddItems:        {"ADDITEMS", argNone},
	opFrozenSet:       {"FROZENSET", argNone},
	opNewObjEx:        {"NEWOBJ_EX", argNone},
	opStackGlobal:     {"STACK_GLOBAL", argNone},
	opMemoize:         {"MEMOIZE", argNone},
	opFrame:           {"FRAME", argFixed8},
	opByteArray8:      {"BYTEARRAY8", argCount8},
	opNextBuffer:      {"NEXT_BUFFER", argNone},
	opReadOnlyBuffer:  {"READONLY_BUFFER", argNone},
}
