package wire

import (
	"bytes"

	"zrs/internal/pickle"
)

// SameExtension reports whether two extensions, as they are stored, are the same
// but for what replication by zc.zrs makes of them: a zc.zrs secondary stores the
// value it got, pickled anew, and nothing in place of what can't be sent to it
// ([ExtensionDropped]).
func SameExtension(a, b []byte) bool {
	if bytes.Equal(a, b) || bytes.Equal(CanonicalExtension(a), CanonicalExtension(b)) {
		return true
	}
	return len(a) == 0 && isDropped(b) || len(b) == 0 && isDropped(a)
}

// CanonicalExtension returns what a zc.zrs secondary stores for an extension that
// is stored as ext at its primary. Where that can't be told it is ext itself.
func CanonicalExtension(ext []byte) []byte {
	if len(ext) == 0 {
		return ext
	}
	c := newConverter()
	v, _, err := c.pickles.Decode(ext)
	if err != nil || v.Kind != pickle.Dict {
		return ext
	}
	body, err := c.values.AppendProtocol1(nil, v)
	if err != nil {
		return ext
	}
	stored, rebuilt, err := c.toStored(nil, body)
	if err != nil || !rebuilt {
		return ext
	}
	return stored
}

func isDropped(ext []byte) bool {
	var e Encoder
	_, form := e.AppendBegin(nil, &Begin{Extension: ext})
	return form == ExtensionDropped
}
