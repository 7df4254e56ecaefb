package fs

import (
	"errors"
	"io"
)

// MaxLoad is the length of the longest data that a [Loader] loads.
const MaxLoad = 1 << 30

// ErrTooLarge is returned by a [Loader] for a record over [MaxLoad].
var ErrTooLarge = errors.New("record is too large to be loaded")

// loadWindow is how much a Loader reads at once at most, for several records.
const loadWindow = 256 << 10

// A Loader reads records with their data, best in the order of the file. It is
// not safe for concurrent use.
type Loader struct {
	f    *File
	buf  []byte
	base int64
	more []byte // data that is not in buf
}

// Loader returns a loader of records of the file.
func (f *File) Loader() *Loader { return &Loader{f: f} }

// Load reads the record at the offset off and its data, following back
// pointers. The data is nil if the object is gone, and valid until the following
// call. Until is where the last record ends, or nearly, that will be wanted soon:
// it is read ahead up to there.
func (l *Loader) Load(off, until int64) (Record, []byte, error) {
	var rec Record
	b, err := l.bytes(off, recordHeaderSize+backPointerSize, until)
	if err == nil {
		rec, err = ReadRecord(offsetReader{b, off}, l.f.path, off)
	}
	if err != nil {
		return rec, nil, err
	}
	data, err := Resolve(l.f, l.f.path, &rec)
	if err != nil || data.Gone {
		return rec, nil, err
	}
	if data.Offset+data.Length > l.f.Size() {
		return rec, nil, &RecordError{Path: l.f.path, Offset: rec.Offset, TID: rec.TID, Kind: KindRecord, Detail: "data reaches over the end of the file"}
	}
	if data.Length > MaxLoad {
		return rec, nil, ErrTooLarge
	}
	if b, err = l.bytes(data.Offset, int(data.Length), 0); err == nil && len(b) < int(data.Length) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return rec, nil, &RecordError{Path: l.f.path, Offset: rec.Offset, TID: rec.TID, Kind: KindIO, Err: err}
	}
	return rec, b, nil
}

// bytes returns n bytes at off, or fewer at the end of the file.
func (l *Loader) bytes(off int64, n int, until int64) ([]byte, error) {
	if i := off - l.base; i >= 0 && i+int64(n) <= int64(len(l.buf)) {
		return l.buf[i : i+int64(n) : i+int64(n)], nil
	}
	into := &l.more
	if until > 0 {
		into = &l.buf
		n = max(n, int(min(until-off, loadWindow)))
		l.base = off
	}
	if cap(*into) < n || cap(*into) > keepSize && n <= keepSize {
		*into = make([]byte, max(n, loadWindow))
	}
	got, err := l.f.ReadAt((*into)[:n], off)
	*into = (*into)[:got]
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return *into, err
}

// offsetReader is an io.ReaderAt of bytes from an offset on.
type offsetReader struct {
	b   []byte
	off int64
}

func (r offsetReader) ReadAt(b []byte, off int64) (int, error) {
	if off < r.off || off-r.off > int64(len(r.b)) {
		return 0, io.EOF
	}
	n := copy(b, r.b[off-r.off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}
