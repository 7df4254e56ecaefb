package wire

import "bytes"

func equal(a, b Message) bool {
	switch a := a.(type) {
	case *Begin:
		b, ok := b.(*Begin)
		return ok && a.TID == b.TID && a.Status == b.Status && bytes.Equal(a.User, b.User) &&
			bytes.Equal(a.Description, b.Description) && bytes.Equal(a.Extension, b.Extension)
	case *Store:
		b, ok := b.(*Store)
		return ok && *a == *b
	case *Blob:
		b, ok := b.(*Blob)
		return ok && *a == *b
	case *Commit:
		b, ok := b.(*Commit)
		return ok && *a == *b
	}
	return false
}
