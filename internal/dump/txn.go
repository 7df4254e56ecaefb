package dump

import (
	"cmp"
	"io"
	"slices"

	"zrs/internal/fs"
	"zrs/internal/pickle"
)

// A txn is a transaction that is being formatted.
type txn struct {
	*fs.Txn
	number int64 // counted from the first that was read
	keys   []key // of its records, in the order in which they are written
	file   io.ReaderAt
	path   string   // of the file, for messages
	memory []record // in the order of the file; nil if the file is to be read again
	one    record   // that was read last
	buf    []byte   // its data
}

// A key is where a record is: little enough for transactions of any size.
type key struct {
	oid    fs.OID
	at     int64 // offset in the file, or index in memory
	number int32 // its place in the transaction
}

// compare is by OIDs. Several records of the same object stay in their order.
func (a key) compare(b key) int { return cmp.Or(cmp.Compare(a.oid, b.oid), cmp.Compare(a.at, b.at)) }

// sort brings the keys into the order of the OIDs.
func (x *txn) sort() {
	if !slices.IsSortedFunc(x.keys, key.compare) {
		slices.SortFunc(x.keys, key.compare)
	}
}

// record returns the record of a key. It is valid until the next call.
func (x *txn) record(k key) (*record, error) {
	if x.memory != nil {
		return &x.memory[k.at], nil
	}
	head, err := fs.ReadRecord(x.file, x.path, k.at)
	if err == nil {
		x.one = record{Record: head, number: k.number}
		x.one.found, err = fs.Resolve(x.file, x.path, &head)
	}
	return &x.one, err
}

// A record is a revision of an object in it.
type record struct {
	fs.Record
	number int32       // its place in the transaction
	found  fs.Resolved // where the data is, if it is not in memory
	data   []byte      // what is in memory
}

// gone reports whether the object does not exist as of the record.
func (r *record) gone() bool { return r.Length == 0 && r.found.Gone }

// size returns the bytes of data, here or where the back pointers lead to.
func (r *record) size() int64 {
	if r.Length > 0 {
		return r.Length
	}
	return r.found.Length
}

// data returns the first n bytes of a record's data, or all if there are fewer.
// It is valid until the next call.
func (x *txn) data(r *record, n int64) ([]byte, error) {
	n = min(n, r.size())
	if r.data != nil {
		return r.data[:n], nil
	}
	off := r.DataOffset()
	if r.Length == 0 {
		off = r.found.Offset
	}
	if int64(cap(x.buf)) < n {
		x.buf = make([]byte, n)
	}
	x.buf = x.buf[:n]
	if got, err := x.file.ReadAt(x.buf, off); int64(got) < n {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, &fs.RecordError{Path: x.path, Offset: r.Offset, TID: x.TID, Kind: fs.KindIO, Err: err}
	}
	return x.buf, nil
}

// classLimit is how much of a record is read to find its class.
const classLimit = 64 << 10

// findBlobs collects the blobs of a transaction in t, or hands them on at once
// if it is being written.
func (j *job) findBlobs(t *spanText, o *output, x *txn) error {
	if j.Blob == nil {
		return nil
	}
	for _, k := range x.keys {
		r, err := x.record(k)
		if err != nil {
			return err
		}
		if r.gone() {
			continue
		}
		data, err := x.data(r, classLimit)
		switch {
		case err != nil:
			return err
		case !pickle.IsBlobRecord(data):
		case o == &t.output:
			t.blobs = append(t.blobs, blobRef{r.OID, x.TID})
		default:
			if err := j.Blob(r.OID, x.TID); err != nil {
				return err
			}
		}
	}
	return nil
}
