package fs

import (
	"context"
	"io"
)

// ContextReader returns a reader of what r reads that fails once ctx is done. A
// blob may take minutes to read.
func ContextReader(ctx context.Context, r io.Reader) io.Reader {
	return readerFunc(func(b []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return r.Read(b)
	})
}

type readerFunc func(b []byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
