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
	number  int64     // counted from the first that was read
	records []record  // in the order of the file
	order   []sortKey // of the records, as they are written
	file    io.ReaderAt
	path    string // of the file, for messages
	buf     []byte // data of a record that is not in memory
}

// A record is a revision of an object in it.
type record struct {
	fs.Record
	number int         // its place in the transaction
	found  fs.Resolved // where the data is, if it is not here
	data   []byte      // what is here, if it is in memory
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

// A sortKey is a record's place in the order of OIDs. Several records of the same
// object stay in their order.
type sortKey struct {
	oid fs.OID
	i   int
}

func (a sortKey) compare(b sortKey) int {
	return cmp.Or(cmp.Compare(a.oid, b.oid), cmp.Compare(a.i, b.i))
}

// sort brings the order of the records into that of their OIDs.
func (x *txn) sort() {
	if !slices.IsSortedFunc(x.order, sortKey.compare) {
		slices.SortFunc(x.order, sortKey.compare)
	}
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
	for i := range x.records {
		r := &x.records[i]
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
