package pickle

import "math"

// A Kind says what a [Value] is.
type Kind uint8

// The kinds of values.
const (
	None  Kind = iota
	Bool       // Int is 0 or 1
	Int        // an integer that fits Int
	Long       // any other: Data has it, see there
	Float      // Int has the bits
	Text       // Python 3's str, Python 2's unicode: Data is UTF-8
	Bytes      // Python 3's bytes
	Str        // Python 2's str: 8-bit text or data
	Tuple      // Items
	List       // Items
	Dict       // Items: key, value, key, value, as given

	// Global is a class or function by name: Data is "module\nname".
	Global

	// Reduce is the result of a call: Items are the callable and the tuple of
	// its arguments, then changes. Sets, frozen sets and byte arrays are
	// Reduce values in all protocols, as Python spells them up to protocol 3.
	Reduce

	// Object is an instance: Items are its class, the tuple of arguments of
	// its __new__ (or, in protocol 0, its __init__) and for NEWOBJ_EX the
	// dict of keyword arguments, then changes.
	Object

	// Persistent is a reference to an object of another pickle: Items is its
	// persistent id, then changes.
	Persistent

	// Registered is an object that copyreg's registry has under the code Int:
	// Items are changes.
	Registered

	Buffer // the next out-of-band buffer, whose bytes are not in the pickle

	// The changes of an object after it was made.

	Build  // Items is the state given to it
	Extend // Items were appended to it
	Update // Items, keys and values, were set in it
)

// A Value is an object of a pickle. Which fields count depends on Kind. The
// graph of Items may share values and may have cycles, through lists, dicts and
// changes.
type Value struct {
	Kind Kind
	Int  int64

	// Data is UTF-8 with surrogates as 3 bytes each for a Text; for a Long the
	// shortest little-endian two's complement, which has more than 8 bytes.
	Data  []byte
	Items []*Value

	// Off and End bound the opcodes that built the value, from the first of
	// its parts to the last that put it in the memo or changed it. They are
	// offsets in the input of the call that made the value.
	Off, End int
}

// Float returns the value of a Float.
func (v *Value) Float() float64 { return math.Float64frombits(uint64(v.Int)) }

// takesChanges reports whether v is an object about which we only know what was
// done to it.
func (v *Value) takesChanges() bool {
	switch v.Kind {
	case Reduce, Object, Persistent, Registered:
		return true
	}
	return false
}
