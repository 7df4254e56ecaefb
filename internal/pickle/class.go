package pickle

import (
	"encoding/hex"
	"unicode/utf8"
)

const (
	// MaxClassInput is how much of a record is looked at for its class. Names
	// are short; what __new__ is given may be long, but is of no interest.
	MaxClassInput = 64 << 10

	// classValues bounds the memory for a first pickle that has to be decoded.
	classValues = 1 << 12

	// maxClassName is the length of the longest module or class name.
	maxClassName = 1 << 10
)

// ClassName returns the module and the name of the class whose instance the
// object of data, a data record of ZODB, is. The record's first pickle tells
// it, in one of these forms (ZODB.serialize):
//
//	class                          what ZODB writes for most objects
//	class, arguments               with __getnewargs__ or, long ago, __getinitargs__
//	(module, name), arguments      of a class that is an object itself; arguments may be None
//	module, name                   found in old databases
//	a reference, alone or in place of the class
//
// A class that is known by reference only has no module; its name is then
// "class " and the 16 hex digits of its OID. A class that is the argument of
// one of copyreg's functions is taken from there.
//
// Only the first [MaxClassInput] bytes are looked at; data may be cut off there. Names are text but otherwise as they stand in the record, which anybody
// may have written: quote them for a terminal. ok is false if there are none.
func ClassName(data []byte) (module, name string, ok bool) {
	data = data[:min(len(data), MaxClassInput)]
	if full, ok := leadingGlobal(data); ok && !isCopyreg(full) {
		return splitName(full)
	}
	d := Decoder{MaxValues: classValues}
	v, _, err := d.Decode(data)
	if err != nil {
		return "", "", false
	}
	if v.Kind == Tuple && len(v.Items) == 2 {
		if module, name, ok := textPair(v); ok {
			return module, name, true
		}
		v = v.Items[0]
	}
	return classOf(v)
}

// classOf returns the class that v is, or is an instance of.
func classOf(v *Value) (module, name string, ok bool) {
	switch v.Kind {
	case Global:
		return splitName(v.Data)
	case Tuple:
		return textPair(v)
	case Reduce:
		// The first argument of both functions of copyreg is the class.
		callable, args := v.Items[0], v.Items[1]
		if callable.Kind == Global && isCopyreg(callable.Data) &&
			len(args.Items) > 0 && args.Items[0].Kind == Global {
			return splitName(args.Items[0].Data)
		}
	case Object:
		if class := v.Items[0]; class.Kind == Global {
			return splitName(class.Data)
		}
	case Persistent:
		return referredClass(v.Items[0])
	}
	return "", "", false
}

// leadingGlobal returns the class that the pickle in data begins with, alone or
// as the first item of a tuple, as "module\nname". Like ZODB's tools it doesn't
// look at what follows (ZODB.utils.get_pickle_metadata).
func leadingGlobal(data []byte) ([]byte, bool) {
	s := NewScanner(data)
	for {
		op, err := s.Next()
		if err != nil {
			return nil, false
		}
		switch op.Code {
		case opProto, opFrame, opMark:
		case opGlobal:
			return op.Arg, true
		default:
			return nil, false
		}
	}
}

func isCopyreg(full []byte) bool {
	module, _, _ := splitName(full)
	return module == "copyreg" || module == "copy_reg"
}

// splitName splits "module\nname".
func splitName(full []byte) (module, name string, ok bool) {
	for i, c := range full {
		if c == '\n' {
			return checkName(full[:i], full[i+1:])
		}
	}
	return "", "", false
}

// textPair returns the module and the name in a tuple of two texts.
func textPair(v *Value) (module, name string, ok bool) {
	if len(v.Items) != 2 {
		return "", "", false
	}
	for _, item := range v.Items {
		if item.Kind != Text && item.Kind != Str && item.Kind != Bytes {
			return "", "", false
		}
	}
	return checkName(v.Items[0].Data, v.Items[1].Data)
}

func checkName(module, name []byte) (string, string, bool) {
	if len(name) == 0 || len(module) > maxClassName || len(name) > maxClassName || !utf8.Valid(module) || !utf8.Valid(name) {
		return "", "", false
	}
	return string(module), string(name), true
}

// referredClass names the class to which id, a persistent id, refers: an OID, or
// a tuple that begins with one.
func referredClass(id *Value) (module, name string, ok bool) {
	if id.Kind == Tuple && len(id.Items) > 0 {
		id = id.Items[0]
	}
	if len(id.Data) != 8 {
		return "", "", false
	}
	return "", "class " + hex.EncodeToString(id.Data), true
}

// FullName returns a class as people write it, of what [ClassName] returns.
func FullName(module, name string) string {
	if module == "" {
		return name
	}
	return module + "." + name
}
