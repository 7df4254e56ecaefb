package wire

import "zrs/internal/pickle"

// An ExtensionForm is one of the ways in which an extension is sent.
type ExtensionForm uint8

// The forms, best first. A Decoder gets the stored bytes from all of them.
const (
	// ExtensionPlain is the dict as zc.zrs sends it.
	ExtensionPlain ExtensionForm = iota

	// ExtensionSpliced has the stored opcodes. A secondary of zc.zrs stores
	// the same bytes too.
	ExtensionSpliced

	// ExtensionHinted is a dict with a hint. A secondary of zc.zrs stores the
	// same dict in other bytes.
	ExtensionHinted

	// ExtensionDropped is an empty dict with a hint. A secondary of zc.zrs
	// loses the extension, so its primary should warn.
	ExtensionDropped
)

// String returns a word for f.
func (f ExtensionForm) String() string {
	return [...]string{"plain", "spliced", "hinted", "dropped"}[f]
}

const (
	emptyDict = "}"
	pop       = "0"
	proto3    = "\x80\x03"
	stop      = "."
)

const (
	// maxValues is how many values a message may make. A stored extension has
	// less than one for each of its bytes, and less than two as it is sent.
	maxValues = 1 << 18

	// maxPlain is the size of the largest extension sent as zc.zrs does, which
	// writes an object again wherever it is used. It leaves room in MaxMessage
	// for the other fields. Beyond, form 2 is better anyway.
	maxPlain = 1 << 20
)

// portable reports whether a Python with a zc.zrs on it can load the class or
// function name, and gets nothing from it but data. (Python 2 has no timezone; it
// can't follow a primary of zc.zrs past one either.)
func portable(name []byte) bool {
	switch string(name) {
	case "_codecs\nencode",
		"__builtin__\nset", "__builtin__\nfrozenset", "__builtin__\nbytes",
		"__builtin__\nbytearray", "__builtin__\ncomplex",
		"builtins\nset", "builtins\nfrozenset", "builtins\nbytes",
		"builtins\nbytearray", "builtins\ncomplex",
		"datetime\ndate", "datetime\ndatetime", "datetime\ntime",
		"datetime\ntimedelta", "datetime\ntimezone",
		"decimal\nDecimal", "collections\nOrderedDict":
		return true
	}
	return false
}

// A converter turns extensions as they are sent into extensions as they are
// stored.
type converter struct {
	pickles pickle.Decoder
	values  pickle.Encoder
}

func newConverter() converter {
	return converter{
		pickles: pickle.Decoder{MaxValues: maxValues},
		values:  pickle.Encoder{Global: portable, Limit: MaxField},
	}
}

// toStored appends what is stored for body, the opcodes of an extension in a
// message. It reports whether that was rebuilt from its value; what can't be is
// stored as it came. The error is [ErrTooLarge] or of package pickle.
func (c *converter) toStored(b, body []byte) (stored []byte, rebuilt bool, err error) {
	v, err := c.pickles.DecodeBody(body)
	if err != nil {
		return b, false, err
	}
	if stored, err = c.rebuild(b, v); err == nil {
		return stored, true, nil
	}
	if len(proto3)+len(body)+len(stop) > MaxField {
		return b, false, ErrTooLarge
	}
	b = append(b, proto3...)
	b = append(b, body...)
	return append(b, stop...), false, nil
}

// rebuild appends what ZODB on Python 3 stores for v. Where zc.zrs passes a
// bytes object in place of a dict, ZODB takes it for the stored bytes.
func (c *converter) rebuild(b []byte, v *pickle.Value) ([]byte, error) {
	switch {
	case v.Kind == pickle.None, v.Kind == pickle.Dict && len(v.Items) == 0:
		return b, nil
	case v.Kind == pickle.Bytes:
		if len(v.Data) > MaxField {
			return b, ErrTooLarge
		}
		return append(b, v.Data...), nil
	}
	out, err := c.values.AppendProtocol3(append(b, proto3...), v)
	if err != nil {
		return b, err
	}
	if len(out)+len(stop)-len(b) > MaxField {
		return b, ErrTooLarge
	}
	return append(out, stop...), nil
}
