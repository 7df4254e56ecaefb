package pickle

// Python 3 calls Python 2's module __builtin__ builtins, and translates it in
// pickles of protocols 0 to 2 (pickle.py: fix_imports). Of the names in use here
// no other differs.
const (
	builtins2 = "__builtin__\n"
	builtins3 = "builtins\n"
)

// appendGlobal2 appends the GLOBAL of name as protocols 0 to 2 have it.
func appendGlobal2(b, name []byte) []byte { return appendGlobal(b, name, builtins3, builtins2) }

// appendGlobal3 appends the GLOBAL of name as protocol 3 has it.
func appendGlobal3(b, name []byte) []byte { return appendGlobal(b, name, builtins2, builtins3) }

func appendGlobal(b, name []byte, from, to string) []byte {
	b = append(b, opGlobal)
	if len(name) > len(from) && string(name[:len(from)]) == from {
		b = append(b, to...)
		name = name[len(from):]
	}
	b = append(b, name...)
	return append(b, '\n')
}
