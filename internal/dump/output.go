package dump

import "io"

// An output collects text, for a writer if it has one.
type output struct {
	b []byte
	w io.Writer
}

const (
	// flushSize is how much is collected before it is written.
	flushSize = 256 << 10

	// directSize is how long data is that is written without being copied.
	directSize = 64 << 10
)

// data adds a record's data.
func (o *output) data(p []byte) error {
	if o.w == nil || len(p) < directSize {
		o.b = append(o.b, p...)
		return nil
	}
	if err := o.flush(); err != nil {
		return err
	}
	_, err := o.w.Write(p)
	return err
}

// relieve writes what there is if it is much.
func (o *output) relieve() error {
	if len(o.b) < flushSize {
		return nil
	}
	return o.flush()
}

// flush writes what there is, if there is a writer.
func (o *output) flush() error {
	if o.w == nil || len(o.b) == 0 {
		return nil
	}
	_, err := o.w.Write(o.b)
	o.b = o.b[:0]
	return err
}
