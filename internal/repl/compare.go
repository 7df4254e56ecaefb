package repl

import (
	"errors"
	"io"
	"os"

	"zrs/internal/fs"
	"zrs/internal/pickle"
)

// blobBudget is how many bytes of blobs are received to be compared before the
// rest of them is left out, see [history.block].
const blobBudget = 16 << 20

// txnCheck is the state inside a transaction of the source.
type txnCheck struct {
	common                   bool // we have it too
	oursPacked, theirsPacked bool // the side may lack records

	rec *fs.Record // our next record, nil after the last

	// doubts are objects whose record there is not the one that is current
	// here. Packed, we have the last of several in a transaction, and it may
	// be yet to come.
	doubts map[fs.OID]struct{}
}

// nextRecord moves to our next record of the transaction.
func (h *history) nextRecord() error {
	rec, err := h.ours.NextRecord()
	if isEnd(err) {
		h.txn.rec = nil
		return nil
	}
	h.txn.rec = rec
	return err
}

// suspectAll takes all records of our next transaction as lacking there.
func (h *history) suspectAll() error {
	for {
		rec, err := h.ours.NextRecord()
		if isEnd(err) {
			return nil
		}
		if err != nil {
			return err
		}
		h.suspect(rec)
	}
}

// suspect takes a record of ours that was packed away there. If it is current
// here, that takes an explanation. An object that is gone is no exception: the
// source may have it still.
func (h *history) suspect(rec *fs.Record) {
	h.packed = true
	if off, ok := h.idx.Get(rec.OID); ok && off == rec.Offset {
		h.suspects.add(rec.OID)
	}
}

// record takes a record of the source.
func (h *history) record(e *event) error {
	h.closeBlob()
	if _, ok := h.idx.Get(e.record.OID); ok && h.full {
		h.seen.add(e.record.OID)
	}
	if h.problem != "" {
		return nil
	}
	var same bool
	var err error
	switch t := &h.txn; {
	case !t.common:
		err = h.notHere(e)
	case t.oursPacked:
		same, err = h.recordInPacked(e)
	default:
		same, err = h.recordInWhole(e)
	}
	switch {
	case err != nil || !same:
	case e.blob:
		err = h.openBlob(e)
	case pickle.IsBlobRecord(e.data):
		err = h.neitherHas(e)
	}
	return err
}

// notHere takes a record of the source that was packed away here, or never came
// because it was packed away where we got our file from. If what we have of the
// object is older, that takes an explanation too.
func (h *history) notHere(e *event) error {
	off, ok := h.idx.Get(e.record.OID)
	if !ok {
		return nil
	}
	current, err := h.log.RecordAt(off)
	if err == nil && current.TID < e.record.TID {
		h.suspects.add(e.record.OID)
	}
	return err
}

// recordInWhole finds the record in our transaction, which has all its records.
// Those that it passes were packed away there.
func (h *history) recordInWhole(e *event) (same bool, err error) {
	oid, t := e.record.OID, &h.txn
	other := false
	for t.rec != nil {
		// Of several records of an object a pack keeps the last.
		if t.rec.OID == oid && !(t.theirsPacked && h.comesAgain(t.rec)) {
			if same, err = h.same(t.rec, e); err != nil {
				return false, err
			}
			if same {
				return true, h.nextRecord()
			}
			other = true
		}
		if !t.theirsPacked {
			break
		}
		h.suspect(t.rec)
		if err := h.nextRecord(); err != nil {
			return false, err
		}
	}
	if other {
		return false, h.differ("transaction %s: the data of object %s differs", h.cur.TID, oid)
	}
	return false, h.differ("transaction %s: the source's record of object %s is not in its place here", h.cur.TID, oid)
}

// comesAgain reports whether a later record of our transaction is of the same
// object. It need not be right about one that is not current: no record of such
// an object is missed.
func (h *history) comesAgain(rec *fs.Record) bool {
	off, ok := h.idx.Get(rec.OID)
	return ok && off > rec.Offset && off < h.cur.End()
}

// recordInPacked finds the record in our transaction, which a pack may have
// taken it from. The index tells whether it is there, if it is current.
func (h *history) recordInPacked(e *event) (same bool, err error) {
	oid, t := e.record.OID, &h.txn
	if t.rec != nil && t.rec.OID == oid {
		if same, err = h.same(t.rec, e); err != nil {
			return false, err
		}
		if same {
			delete(t.doubts, oid)
			return true, h.nextRecord()
		}
	}
	off, ok := h.idx.Get(oid)
	if !ok || off < h.cur.Offset || off >= h.cur.End() {
		return false, h.notHere(e)
	}
	current, err := h.log.RecordAt(off)
	if err == nil {
		same, err = h.same(&current, e)
	}
	switch {
	case err != nil:
		return false, err
	case !same:
		if t.doubts == nil {
			t.doubts = make(map[fs.OID]struct{})
		}
		t.doubts[oid] = struct{}{}
		return false, nil
	}
	delete(t.doubts, oid)
	if t.rec == nil || off < t.rec.Offset {
		h.suspects.remove(oid) // passed already, for another record of the object
		return true, nil
	}
	if !t.theirsPacked {
		return false, nil // it will come once more, in its place
	}
	return true, h.passTo(off)
}

// passTo passes our records before off, which were packed away there, and the
// one at off.
func (h *history) passTo(off int64) error {
	for h.txn.rec != nil && h.txn.rec.Offset < off {
		h.suspect(h.txn.rec)
		if err := h.nextRecord(); err != nil {
			return err
		}
	}
	return h.nextRecord()
}

// endRecords takes the end of the records of a transaction that both have.
func (h *history) endRecords() error {
	for h.txn.rec != nil {
		if !h.txn.theirsPacked {
			return h.differ("transaction %s: our record of object %s is missing there", h.cur.TID, h.txn.rec.OID)
		}
		h.suspect(h.txn.rec)
		if err := h.nextRecord(); err != nil {
			return err
		}
	}
	for oid := range h.txn.doubts {
		return h.differ("transaction %s: the data of object %s differs", h.cur.TID, oid)
	}
	return nil
}

// same reports whether our record rec is the one that came.
func (h *history) same(rec *fs.Record, e *event) (bool, error) {
	found, err := fs.Resolve(h.ours.File(), h.log.Path(), rec)
	if err != nil || rec.TID != e.record.TID || found.Gone != (len(e.data) == 0) {
		return false, err
	}
	if found.Gone {
		return true, nil
	}
	return h.ours.DataIs(found, e.data)
}

// blobCheck is a blob that is being compared.
type blobCheck struct {
	same bool     // its record is the one that we have
	file *os.File // ours, nil if there is nothing to compare with
	oid  fs.OID
	buf  []byte

	missing *fs.BlobWriter // what takes the place of ours, if that is missing
}

// openBlob begins to compare a blob, whose record is the same here.
func (h *history) openBlob(e *event) error {
	h.blob.same, h.blob.oid = true, e.record.OID
	if h.blobs == nil {
		return nil
	}
	f, err := h.blobs.Open(e.record.OID, e.record.TID)
	if errors.Is(err, fs.ErrNoBlob) {
		return h.missingBlob(e)
	}
	h.blob.file = f
	if err == nil && e.last { // of no blocks
		err = h.compareBlock(nil, true)
	}
	return err
}

// missingBlob begins to take a blob from the source that is missing here. That
// the record is the same on both sides is reason enough.
func (h *history) missingBlob(e *event) (err error) {
	h.logger.Warn("blob is missing here", "oid", e.record.OID, "tid", e.record.TID, "fetching", h.mend)
	if !h.mend {
		h.blobsMissing++
		return nil
	}
	if h.blob.missing, err = h.blobs.Create(e.record.OID, e.record.TID, h.cur.Offset); err != nil {
		return err
	}
	if e.last {
		return h.mendBlob(nil, true)
	}
	return nil
}

// mendBlob takes a part of a blob that was missing here.
func (h *history) mendBlob(data []byte, last bool) error {
	w := h.blob.missing
	if _, err := w.Write(data); err != nil {
		return err
	}
	h.stats.BlobBytes.Add(int64(len(data)))
	if !last {
		return nil
	}
	h.blob.missing = nil
	if err := w.Commit(); err != nil {
		return err
	}
	h.fetched++
	return nil
}

// placeBlobs puts the blobs in place that were fetched. Before that the checksum
// behind them must have been right, and the histories must agree; but not in a
// full comparison, which may fetch very many: there it is enough that their
// transaction is in both.
func (h *history) placeBlobs() error {
	if h.fetched == 0 {
		return nil
	}
	h.stats.Blobs.Add(h.fetched)
	h.fetched = 0
	return h.blobs.Sync(h.log.Tip().Offset)
}

// dropBlobs removes the blobs that were fetched and are not in place.
func (h *history) dropBlobs() {
	h.closeBlob()
	if h.fetched > 0 {
		h.fetched = 0
		_ = h.blobs.Discard(0) // temporary files, which the next start would remove
	}
}

// neitherHas takes a blob's record that came without the blob. If there is none
// here either it is missing, however often that was said before.
func (h *history) neitherHas(e *event) error {
	if h.blobs == nil {
		return nil
	}
	f, err := h.blobs.Open(e.record.OID, e.record.TID)
	if errors.Is(err, fs.ErrNoBlob) {
		h.blobsMissing++
		h.logger.Warn("blob is missing, here and at the source", "oid", e.record.OID, "tid", e.record.TID)
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

func (h *history) closeBlob() {
	if h.blob.missing != nil {
		_ = h.blob.missing.Abort() // a temporary file, which the next start would remove
		h.blob.missing = nil
	}
	if h.blob.file != nil {
		h.blob.file.Close()
		h.blob.file = nil
	}
	h.blob.same = false
}

// block takes a block of a blob. Blobs are large, and the last transactions'
// come again with every connection: when enough have come, the comparison is
// left. The transaction has shown by then that it is in both histories, which is
// what it is compared for.
func (h *history) block(e *event) error {
	if err := h.compareBlock(e.data, e.last); err != nil {
		return err
	}
	h.room -= int64(len(e.data))
	if h.room < 0 && h.mayLeave() {
		return &leftError{start{
			tid: h.cur.TID, matched: h.matched + 1, theirs: h.lastTheirs, blobsMissing: h.blobsMissing,
		}}
	}
	return nil
}

func (h *history) mayLeave() bool {
	return !h.full && h.problem == "" && h.blob.same && h.blob.missing == nil && h.fetched == 0 && len(h.txn.doubts) == 0 &&
		!(h.whole && h.cur.TID == h.last)
}

// compareBlock compares the next part of a blob with ours.
func (h *history) compareBlock(data []byte, last bool) error {
	b := &h.blob
	if b.missing != nil {
		return h.mendBlob(data, last)
	}
	if b.file == nil {
		return nil
	}
	if cap(b.buf) < len(data)+1 {
		b.buf = make([]byte, len(data)+1)
	}
	ours := b.buf[:len(data)]
	if last {
		ours = b.buf[:len(data)+1] // nothing must be behind it
	}
	n, err := io.ReadFull(b.file, ours)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	if string(ours[:n]) == string(data) {
		return nil
	}
	b.file.Close()
	b.file = nil
	return h.differ("transaction %s: the blob of object %s differs", h.cur.TID, b.oid)
}
