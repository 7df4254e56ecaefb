package fs

import (
	"errors"
	"fmt"
	"io"
)

// previous returns the offset of the record of oid that was current before this
// transaction, 0 if there was none.
func (w *Writer) previous(oid OID) (int64, error) {
	off, ok := w.idx.Get(oid)
	if !ok || off < w.txn.start {
		return off, nil
	}
	// The object is in this transaction already: that record has the answer.
	rec, err := w.readBack(off)
	return rec.Prev, err
}

// readBack reads a record that may still be in the buffer.
func (w *Writer) readBack(off int64) (Record, error) {
	if err := w.flush(); err != nil {
		return Record{}, err
	}
	return ReadRecord(w.file, w.path, off)
}

// backPointer returns the offset of the record that rec, whose source is a back
// pointer, may point to here: the last record of the object in the transaction
// that rec names, if it has the data that came. It returns 0 if there is none.
func (w *Writer) backPointer(rec Restored) (int64, error) {
	target, ok, err := w.lastRecord(rec.OID, rec.DataTxn)
	if err != nil || !ok {
		return 0, err
	}
	found, err := Resolve(w.file, w.path, &target)
	switch {
	case errors.Is(err, ErrDamaged):
		w.logger.Warn("an older record is damaged, writing data in full", "path", w.path, "oid", rec.OID, "err", err)
		return 0, nil
	case err != nil:
		return 0, err
	case found.Gone:
		if len(rec.Data) != 0 {
			return 0, nil
		}
		return target.Offset, nil
	case found.Length != int64(len(rec.Data)):
		return 0, nil
	}
	same, err := equalAt(w.file, found.Offset, rec.Data)
	if err != nil || !same {
		return 0, err
	}
	return target.Offset, nil
}

// maxChain is how many records of an object are looked at one by one before the
// transaction is searched by its TID.
const maxChain = 64

// lastRecord finds the last record of oid in transaction tid.
func (w *Writer) lastRecord(oid OID, tid TID) (Record, bool, error) {
	off, err := w.previous(oid)
	if err != nil {
		return Record{}, false, err
	}
	for range maxChain {
		if off == 0 {
			break // none before, or packed away
		}
		rec, err := w.readBack(off)
		if errors.Is(err, ErrDamaged) {
			return Record{}, false, nil
		}
		if err != nil {
			return Record{}, false, err
		}
		if rec.OID != oid || rec.TID < tid {
			return Record{}, false, nil
		}
		if rec.TID == tid {
			return rec, true, nil
		}
		off = rec.Prev
	}
	return w.searchRecord(oid, tid)
}

// searchRecord finds the last record of oid in transaction tid, if that is
// durable, by the TID.
func (w *Writer) searchRecord(oid OID, tid TID) (last Record, ok bool, err error) {
	c, err := w.log.After(tid - 1)
	if errors.Is(err, ErrTIDTooHigh) {
		return last, false, nil
	}
	if c == nil {
		return last, false, err
	}
	defer c.Close()
	txn, err := c.r.Next()
	if errors.Is(err, io.EOF) || err == nil && txn.TID != tid {
		return last, false, nil
	}
	for err == nil {
		var rec *Record
		if rec, err = c.r.NextRecord(); err == nil && rec.OID == oid {
			last, ok = *rec, true
		}
	}
	if !errors.Is(err, io.EOF) {
		return last, false, err
	}
	return last, ok, nil
}

// equalAt reports whether the bytes at off are want.
func equalAt(src io.ReaderAt, off int64, want []byte) (bool, error) {
	b := make([]byte, min(len(want), windowSize))
	for len(want) > 0 {
		n := min(len(want), len(b))
		if _, err := src.ReadAt(b[:n], off); err != nil {
			return false, err
		}
		if string(b[:n]) != string(want[:n]) {
			return false, nil
		}
		want, off = want[n:], off+int64(n)
	}
	return true, nil
}

// ErrNoRevision is returned when the revision of an object that another one is to
// be a copy of was never written here.
var ErrNoRevision = errors.New("no such revision")

// Copy writes a record of the transaction that has the data of an earlier
// revision, as an undo does: a back pointer to the object's last record in the
// transaction from. If it has none there, the data that it had as of then is
// written in full, as ZODB does. If it had none, the error wraps
// [ErrNoRevision], and the writer stays usable. The result tells where the data
// is, for [Writer.ReadData].
func (w *Writer) Copy(oid OID, tid, from TID) (Resolved, error) {
	switch {
	case w.err != nil:
		return Resolved{}, w.err
	case !w.txn.active:
		return Resolved{}, w.fail(errors.New("fs: Copy outside a transaction"))
	}
	source, err := w.revision(oid, from)
	if errors.Is(err, ErrNoRevision) || errors.Is(err, ErrDamaged) {
		return Resolved{}, err
	}
	if err != nil {
		return Resolved{}, w.fail(err)
	}
	found, err := Resolve(w.file, w.path, &source)
	if err != nil {
		return found, err
	}
	if source.TID == from {
		return found, w.restoreAt(Restored{OID: oid, TID: tid}, source.Offset)
	}
	data := make([]byte, found.Length)
	if err := w.ReadData(data, found.Offset); err != nil {
		return found, w.fail(err)
	}
	return found, w.restoreAt(Restored{OID: oid, TID: tid, Data: data}, 0)
}

// revision finds the last record of oid in a transaction not later than tid. It
// follows the previous pointers, and where a pack has cut them searches the
// transaction by its TID.
func (w *Writer) revision(oid OID, tid TID) (Record, error) {
	off, err := w.previous(oid)
	if err != nil {
		return Record{}, err
	}
	for off != 0 {
		rec, err := w.readBack(off)
		if err != nil {
			return Record{}, err
		}
		if rec.OID == oid && rec.TID <= tid {
			return rec, nil
		}
		off = rec.Prev
	}
	rec, ok, err := w.searchRecord(oid, tid)
	if err == nil && !ok {
		err = fmt.Errorf("%s: object %s in transaction %s: %w", w.path, oid, tid, ErrNoRevision)
	}
	return rec, err
}

// ReadData reads data that was written, from the offset off of the file.
func (w *Writer) ReadData(b []byte, off int64) error {
	if err := w.flush(); err != nil {
		return err
	}
	_, err := w.file.ReadAt(b, off)
	return err
}
