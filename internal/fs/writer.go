package fs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
)

// WriterOptions are what a [Writer] may be told. The zero value is usable.
type WriterOptions struct {
	// Create makes a new database if there is no data file.
	Create bool

	// BlobDir is the directory of the database's blobs, which is made if it is
	// missing; "" for a database without blobs.
	BlobDir string

	// Logger gets what a person may want to know. The default discards.
	Logger *slog.Logger

	// wrap lets tests put something between the writer and its file.
	wrap func(dataFile) dataFile
}

// A Writer appends transactions to a data file, as its only writer. It works as
// the restore method of ZODB's FileStorage does, which is what a replica is
// written with: the transactions have their TIDs already, and a replica of an
// unpacked file comes out byte for byte the same.
//
// A transaction is written by [Writer.Begin], [Writer.Restore] for each record
// and [Writer.Commit]. Others who read the file see it after the following
// [Writer.Finish], which finishes all that were committed before it at once. It
// counts, and is in the [Log], when it is durable: after the following
// [Writer.Sync], or with the next that are finished. A crash at any instant
// leaves the file with what was durable, perhaps more whole transactions, and a
// tail that opening it again cuts off (see [OpenWriter]).
//
// The first transaction of such a batch is written with status 'c' and, while
// more than one is in it, a length that reaches over everything; that is what
// tells a batch that was not yet durable from damage. Once the bytes are
// durable, its true length and status are written, which become durable with
// the next sync of the file. What follows meanwhile is an unfinished transaction
// itself, so a crash that leaves both cuts both.
//
// After any error but those that Begin and Restore say leave it usable, the
// writer stays failed: close it and open the file again. It is not safe for
// concurrent use, but its Log is.
type Writer struct {
	path    string
	lock    *FileLock
	file    dataFile
	opened  os.FileInfo // of file
	created bool        // the file was not there before
	blobs   *BlobDir
	logger  *slog.Logger
	log     *Log
	idx     *Index

	pos int64 // end of the last committed transaction
	tid TID   // of that one

	buf   []byte // what is yet to be written, at bufAt
	bufAt int64

	batch    batch
	finished finished
	txn      open
	held     bool // nothing may become durable, see Hold
	err      error
}

// A batch is what was committed since the last Finish.
type batch struct {
	start  int64
	count  int
	head   fixedHeader  // the true length and status of its first transaction
	passed []checkpoint // starts of its transactions, not all if there are many
}

// finished is what the last Finish finished.
type finished struct {
	end     int64
	tid     TID
	passed  []checkpoint
	pending bool // not known to be durable yet
}

// open is the transaction in progress.
type open struct {
	active bool
	start  int64
	header fixedHeader
}

const (
	// flushSize is how much is collected before it is written.
	flushSize = 1 << 20

	// unknownLength stands in the header of a transaction whose length is not
	// to be believed yet. It is beyond the end of any file, so that whoever
	// reads it finds an unfinished transaction.
	unknownLength = maxLength

	// maxPassed bounds the checkpoints of one batch.
	maxPassed = 1 << 12
)

// Log returns the log in which the writer publishes what is durable.
func (w *Writer) Log() *Log { return w.log }

// Index returns the index of current records. It has the transactions that are
// committed, durable or not.
func (w *Writer) Index() *Index { return w.idx }

// Err returns why the writer has failed, or nil.
func (w *Writer) Err() error { return w.err }

// LastTID returns the TID of the last committed transaction, 0 if there is none.
func (w *Writer) LastTID() TID { return w.tid }

// Unfinished returns how many transactions wait for Finish, and their bytes.
func (w *Writer) Unfinished() (count int, bytes int64) { return w.batch.count, w.pos - w.batch.start }

// Begin starts a transaction with the TID, status and texts of h. A transaction
// that can't be written is refused, and the writer stays usable: a TID that is
// not above the last one ([ErrTIDOrder]), texts over [MaxMetadata], an
// unfinished status.
func (w *Writer) Begin(h TxnHeader) error {
	switch {
	case w.err != nil:
		return w.err
	case w.txn.active:
		return w.fail(errors.New("fs: Begin inside a transaction"))
	case h.TID <= w.tid:
		return fmt.Errorf("%s: transaction %s after %s: %w", w.path, h.TID, w.tid, ErrTIDOrder)
	case h.Status != StatusComplete && h.Status != StatusPacked:
		return fmt.Errorf("%s: transaction %s: status %q can't be written", w.path, h.TID, byte(h.Status))
	case max(len(h.User), len(h.Description), len(h.Extension)) > MaxMetadata:
		return fmt.Errorf("%s: transaction %s: user, description and extension have %d, %d and %d bytes, the limit is %d",
			w.path, h.TID, len(h.User), len(h.Description), len(h.Extension), MaxMetadata)
	}
	if w.batch.count == 1 {
		if err := w.lead(); err != nil {
			return err
		}
	}
	w.txn = open{active: true, start: w.pos, header: fixedHeader{
		tid: h.TID, status: h.Status,
		userLen: len(h.User), descLen: len(h.Description), extensionLen: len(h.Extension),
	}}
	h.Status, h.Length = StatusCheckpoint, unknownLength
	w.buf = h.AppendTo(w.buf)
	return nil
}

// A Restored record is one to be written: a revision of an object.
type Restored struct {
	OID  OID
	TID  TID    // of the revision, normally the transaction's
	Data []byte // empty: the object is gone with this transaction

	// DataTxn names the transaction that has the record which the source's
	// back pointer leads to, 0 if the source has data there. It is a hint: if
	// that record is missing here or differs, the data is written in full.
	DataTxn TID
}

// Restore writes a record of the transaction.
func (w *Writer) Restore(rec Restored) error {
	switch {
	case w.err != nil:
		return w.err
	case !w.txn.active:
		return w.fail(errors.New("fs: Restore outside a transaction"))
	}
	var back int64
	if rec.DataTxn != 0 {
		var err error
		if back, err = w.backPointer(rec); err != nil {
			return w.fail(err)
		}
	}
	return w.restoreAt(rec, back)
}

// restoreAt writes a record with a back pointer, or with its data if that is 0.
func (w *Writer) restoreAt(rec Restored, back int64) error {
	prev, err := w.previous(rec.OID)
	if err != nil {
		return w.fail(err)
	}
	out := Record{Offset: w.end(), OID: rec.OID, TID: rec.TID, Txn: w.txn.start, Prev: prev, Back: back}
	if out.Offset > MaxOffset-int64(len(rec.Data))-recordHeaderSize {
		return w.fail(fmt.Errorf("%s: the file would grow over %d bytes, which index files can't express", w.path, int64(MaxOffset)))
	}
	if back == 0 {
		out.Length = int64(len(rec.Data))
	}
	w.buf = out.appendHeader(w.buf)
	w.idx.Set(rec.OID, out.Offset)
	if out.Length == 0 {
		return w.flushIfLarge()
	}
	return w.append(rec.Data)
}

// Commit ends the transaction. See [Writer.Finish].
func (w *Writer) Commit() error {
	switch {
	case w.err != nil:
		return w.err
	case !w.txn.active:
		return w.fail(errors.New("fs: Commit outside a transaction"))
	}
	h := w.txn.header
	h.length = uint64(w.end() - w.txn.start)
	w.buf = binary.BigEndian.AppendUint64(w.buf, h.length)
	if w.batch.count == 0 {
		w.batch.head = h
	} else if err := w.patch(w.txn.start, h.length, h.status); err != nil {
		return err
	}
	if len(w.batch.passed) < maxPassed {
		w.batch.passed = append(w.batch.passed, checkpoint{h.tid, w.txn.start})
	}
	w.batch.count++
	w.txn.active = false
	w.pos, w.tid = w.end(), h.tid
	return w.flushIfLarge()
}

// lead makes the batch's only transaction fit to be the first of more: its
// header must be durable before anything behind it is, or a loss of power could
// leave whole transactions behind a hole.
func (w *Writer) lead() error {
	if straddles(w.batch.start) && !w.held {
		return w.Finish() // its length and status could not be written at once later
	}
	return w.datasync()
}

// datasync makes all that was written durable. That includes the statuses of
// what was finished before, which is published.
func (w *Writer) datasync() error {
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.file.Sync(); err != nil {
		return w.fail(fmt.Errorf("%s: sync: %w", w.path, err))
	}
	if f := &w.finished; f.pending {
		w.log.publish(f.end, f.tid, f.passed)
		f.pending = false
	}
	return nil
}

// patch writes the length and the status into the header of the transaction at
// start, which may be in the buffer or in the file.
func (w *Writer) patch(start int64, length uint64, status Status) error {
	b := append(binary.BigEndian.AppendUint64(nil, length), byte(status))
	if i := start + lengthOffset - w.bufAt; i >= 0 {
		copy(w.buf[i:], b)
		return nil
	}
	return w.writeAt(b, start+lengthOffset)
}

// Abort gives up the transaction in progress, if there is one.
func (w *Writer) Abort() error {
	if w.err != nil || !w.txn.active {
		return w.err
	}
	return w.cut(w.txn.start)
}

// Rollback gives up all that was committed since the last Finish, and the
// transaction in progress, and ends a Hold. Afterwards the file is as that left
// it.
func (w *Writer) Rollback() error {
	w.held = false
	if w.err != nil || w.batch.count == 0 && !w.txn.active {
		return w.err
	}
	if err := w.cut(w.batch.start); err != nil {
		return err
	}
	w.tid = w.finished.tid
	w.batch = batch{start: w.pos}
	return nil
}

// cut removes everything from start on, the start of a transaction that is not
// durable, from the index and the file.
func (w *Writer) cut(start int64) error {
	if err := w.flush(); err != nil {
		return err
	}
	if w.blobs != nil {
		if err := w.blobs.Discard(start); err != nil {
			return w.fail(err)
		}
	}
	if err := w.unindex(start); err != nil {
		return w.fail(err)
	}
	if err := w.file.Truncate(start); err != nil {
		return w.fail(err)
	}
	w.pos, w.bufAt, w.txn = start, start, open{}
	return nil
}

// unindex takes the records from start on out of the index. Each record names
// the one that was current before; of several records of an object, the first
// names one before start.
func (w *Writer) unindex(start int64) error {
	for pos := start; pos < w.bufAt; {
		var head [txnHeaderSize]byte
		if _, err := w.file.ReadAt(head[:], pos); err != nil {
			return err
		}
		h := decodeFixedHeader(head[:])
		at, end := pos+txnHeaderSize+int64(h.metadata()), w.bufAt
		switch {
		case pos == w.batch.start && w.batch.count > 0: // has no length yet
			end = pos + int64(w.batch.head.length)
		case !w.txn.active || pos != w.txn.start:
			end = pos + int64(h.length)
		}
		for at < end {
			rec, err := ReadRecord(w.file, w.path, at)
			if err != nil {
				return err
			}
			if rec.Prev == 0 {
				w.idx.Delete(rec.OID)
			} else if rec.Prev < start {
				w.idx.Set(rec.OID, rec.Prev)
			}
			at += rec.Size()
		}
		pos = end + trailerSize
	}
	return nil
}

// Hold keeps all that is committed from now on from becoming durable, so that
// [Writer.Rollback] can take it back, until it is called with false. Finish and
// Sync must not be called meanwhile, and nothing may wait for them.
//
// If the batch that is held begins where the length and the status of a header
// lie in two sectors, a loss of power while it is confirmed can leave whole
// transactions behind one of status 'c': damage, for a person to mend, but with
// nothing lost.
func (w *Writer) Hold(held bool) error {
	if held && w.batch.count > 0 {
		return w.fail(errors.New("fs: Hold with transactions that are not finished"))
	}
	w.held = held
	return w.err
}

// Sync makes all committed transactions durable, with their blobs, and then
// publishes them. It may be called inside a transaction, which stays open.
func (w *Writer) Sync() error {
	if err := w.Finish(); err != nil || !w.finished.pending {
		return err
	}
	return w.datasync()
}

// Finish makes the bytes of all committed transactions durable, with their
// blobs, and then gives them their final status. If the machine fails now they
// may be gone, but never in part: they are durable, and published, after the
// next Finish or Sync. With transactions coming faster than the disk can sync,
// one sync for each batch is enough. It may be called inside a transaction,
// which stays open.
func (w *Writer) Finish() error {
	if w.err != nil || w.batch.count == 0 {
		return w.err
	}
	if w.held {
		return w.fail(errors.New("fs: Finish of transactions that are held"))
	}
	if err := w.StillNamed(); err != nil {
		return w.fail(err)
	}
	// Blobs first: a crash after this leaves files that no record names,
	// which are overwritten when the transaction comes again.
	if w.blobs != nil {
		if err := w.blobs.Sync(w.pos); err != nil {
			return w.fail(err)
		}
	}
	single := w.batch.count == 1 && !w.txn.active
	if single { // the length is true, just the status is not: as ZODB has it after a vote
		if err := w.patch(w.batch.start, w.batch.head.length, StatusCheckpoint); err != nil {
			return err
		}
	}
	// A crash before or in this sync leaves, from the batch's start on, a
	// transaction of status 'c' that ends with the file or reaches over it.
	if err := w.datasync(); err != nil {
		return err
	}
	// From here on the whole batch is there or, as before, none of it: the
	// status is one byte, and length and status together are in one sector.
	if err := w.confirm(single); err != nil {
		return err
	}
	w.finished = finished{end: w.pos, tid: w.tid, passed: w.batch.passed, pending: true}
	w.batch = batch{start: w.pos}
	return nil
}

// sectorSize is the least unit that a disk writes whole.
const sectorSize = 512

// straddles reports whether length and status of the transaction at start lie
// in two sectors, of which a loss of power may leave either.
func straddles(start int64) bool {
	return (start+lengthOffset)/sectorSize != (start+statusOffset)/sectorSize
}

// confirm writes the status of the batch's first transaction and, unless it is
// there already, its true length.
func (w *Writer) confirm(single bool) error {
	start, h := w.batch.start, w.batch.head
	if single {
		return w.writeAt([]byte{byte(h.status)}, start+statusOffset)
	}
	return w.writeAt(append(binary.BigEndian.AppendUint64(nil, h.length), byte(h.status)), start+lengthOffset)
}

// StillNamed checks that the path leads to the file that is written. A file
// that was unlinked by a pack of another process takes all writes and loses
// them when it is closed. It may be called concurrently.
func (w *Writer) StillNamed() error {
	named, err := os.Stat(w.path)
	if err != nil {
		return fmt.Errorf("%s: %w while it was written: %w", w.path, ErrMissing, err)
	}
	if !os.SameFile(named, w.opened) {
		return fmt.Errorf("%s: %w: another process put it there while it was written", w.path, ErrReplaced)
	}
	return nil
}

// end returns where the next byte goes.
func (w *Writer) end() int64 { return w.bufAt + int64(len(w.buf)) }

// append adds data. What is large is written without a copy.
func (w *Writer) append(data []byte) error {
	if len(data) < flushSize {
		w.buf = append(w.buf, data...)
		return w.flushIfLarge()
	}
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.writeAt(data, w.bufAt); err != nil {
		return err
	}
	w.bufAt += int64(len(data))
	return nil
}

func (w *Writer) flushIfLarge() error {
	if len(w.buf) < flushSize {
		return nil
	}
	return w.flush()
}

// flush writes what was collected.
func (w *Writer) flush() error {
	if len(w.buf) == 0 {
		return w.err
	}
	if err := w.writeAt(w.buf, w.bufAt); err != nil {
		return err
	}
	w.bufAt += int64(len(w.buf))
	w.buf = w.buf[:0]
	return nil
}

func (w *Writer) writeAt(b []byte, off int64) error {
	if w.err != nil {
		return w.err
	}
	if _, err := w.file.WriteAt(b, off); err != nil {
		return w.fail(err)
	}
	return nil
}

func (w *Writer) fail(err error) error {
	if w.err == nil {
		w.err = err
	}
	return err
}

// Close makes what was committed durable, saves the index, and lets go of the
// file and its lock. A transaction in progress is given up. If the writer has
// failed, or fails now, the file is cut back to what is durable, and Close returns
// what went wrong with that; an earlier failure itself was returned before.
func (w *Writer) Close() error {
	var errs []error
	if w.err == nil && w.held {
		errs = append(errs, w.Rollback())
	}
	if w.err == nil {
		errs = append(errs, w.Abort(), w.Sync(), w.saveIndex())
	}
	if w.err != nil && w.StillNamed() == nil {
		errs = append(errs, w.file.Truncate(w.log.Tip().Offset))
	}
	w.log.close(os.ErrClosed)
	errs = append(errs, w.file.Close(), w.lock.Unlock()) // the lock last: the index must be ours
	return errors.Join(errs...)
}

// CloseUnused is Close for a writer that may have come to nothing: a data file
// that it created, and that still has no transaction, is removed.
func (w *Writer) CloseUnused() error {
	return errors.Join(w.removeUnused(), w.Close())
}

// removeUnused removes a data file that was created and still has no transaction,
// since it could be taken for the database that it was to become.
func (w *Writer) removeUnused() error {
	if w.created && w.err == nil && w.pos == FirstOffset && !w.txn.active && w.StillNamed() == nil {
		return os.Remove(w.path)
	}
	return nil
}

// saveIndex writes the index file, so that whoever opens the database next,
// ZODB or zrs, need not read all of it. ZODB can't open a file of nothing but
// empty transactions with an index, so there is none then.
func (w *Writer) saveIndex() error {
	if w.err != nil {
		return w.err
	}
	if w.idx.Len() == 0 {
		return nil
	}
	return WriteIndexFile(w.path+".index", w.idx, w.pos)
}

// Blobs returns where the blobs of written transactions go, nil if nowhere. The
// writer syncs it before the transactions that name its blobs.
func (w *Writer) Blobs() *BlobDir { return w.blobs }

// CreateBlob starts the blob of a record of the transaction in progress. It is
// to be committed before the transaction, and goes away with it.
func (w *Writer) CreateBlob(oid OID, tid TID) (*BlobWriter, error) {
	if w.err != nil {
		return nil, w.err
	}
	blob, err := w.blobs.Create(oid, tid, w.txn.start)
	if err != nil {
		return nil, w.fail(err)
	}
	return blob, nil
}

// End returns the offset just after the last committed transaction.
func (w *Writer) End() int64 { return w.pos }
