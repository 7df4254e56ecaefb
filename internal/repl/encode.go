package repl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"

	"zrs/internal/fs"
	"zrs/internal/pickle"
	"zrs/internal/wire"
)

// MissingBlob tells a primary what to do when a blob record has no file.
type MissingBlob int

// The policies for missing blobs.
const (
	// WarnMissingBlob sends the record without its blob, as zc.zrs does, but
	// logs a warning that names it.
	WarnMissingBlob MissingBlob = iota
	// FailMissingBlob ends the connection at that transaction.
	FailMissingBlob
)

// ErrMissingBlob is returned when a blob that has to be sent has no file.
var ErrMissingBlob = errors.New("blob is missing")

// An encoder turns transactions into frames.
type encoder struct {
	path    string      // of the data file, for messages
	blobs   *fs.BlobDir // nil: all blobs are missing
	missing MissingBlob
	logger  *slog.Logger
	onBlob  func() // told of each missing blob
	encoder wire.Encoder
	data    []byte // of a record whose data is elsewhere
	scratch []byte // of the feed, for a chunk that is being made
}

// next moves the cursor to the next transaction. It does not pass one that is not
// later than the one before: no secondary could go on from there.
func (e *encoder) next(c *fs.Cursor) (*fs.Txn, error) {
	last := c.LastTID()
	txn, err := c.Next()
	if err != nil || txn.TID > last {
		return txn, err
	}
	err = &fs.RecordError{
		Path: e.path, Offset: txn.Offset, TID: txn.TID, Kind: fs.KindTID,
		Detail: fmt.Sprintf("it comes after %s", last),
	}
	c.Skip(fs.Position{Generation: c.Position().Generation, Offset: txn.Offset}, last)
	return nil, err
}

// transaction appends all frames of a transaction but the last, that of its C
// message, to b. It returns errStream if it finds a blob, or too much data for a
// chunk.
func (e *encoder) transaction(b []byte, c *fs.Cursor, txn *fs.Txn) ([]byte, error) {
	start := len(b)
	b = e.begin(b, txn)
	for {
		rec, err := c.NextRecord()
		if isEnd(err) {
			return b, nil
		}
		if err != nil {
			return b, err
		}
		found, err := c.Resolve()
		if err != nil {
			return b, err
		}
		// The records behind back pointers are not counted in the
		// transaction's length, and there can be many.
		if found.Length > 2*chunkSize-int64(len(b)-start) {
			return b, errStream
		}
		data, err := e.recordData(c, rec, found)
		if err != nil {
			return b, err
		}
		if mayBeBlob(data) {
			return b, errStream
		}
		if b, err = e.store(b, rec, found); err != nil {
			return b, err
		}
		b = wire.AppendFrame(b, data)
	}
}

// begin appends the frame of a T message.
func (e *encoder) begin(b []byte, txn *fs.Txn) []byte {
	msg := &wire.Begin{
		TID: txn.TID, Status: byte(txn.Status),
		User: txn.User, Description: txn.Description, Extension: txn.Extension,
	}
	return appendMessage(b, func(b []byte) []byte {
		b, form := e.encoder.AppendBegin(b, msg)
		if form == wire.ExtensionDropped {
			e.logger.Warn("a zc.zrs secondary can't read this transaction's extension and gets none", "tid", txn.TID)
		}
		return b
	})
}

// appendMessage appends what encode appends, as a frame.
func appendMessage(b []byte, encode func([]byte) []byte) []byte {
	start := len(b)
	b = encode(append(b, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(b[start:], uint32(len(b)-start-wire.FrameHeaderSize))
	return b
}

// store appends the frame of an S message.
func (e *encoder) store(b []byte, rec *fs.Record, found fs.Resolved) ([]byte, error) {
	if found.Length > math.MaxUint32 {
		return b, fmt.Errorf("record of object %s in transaction %s has %d bytes, the protocol's limit is 4 GiB", rec.OID, rec.TID, found.Length)
	}
	msg := storeOf(rec, found)
	return appendMessage(b, msg.AppendTo), nil
}

func storeOf(rec *fs.Record, found fs.Resolved) wire.Store {
	return wire.Store{OID: rec.OID, TID: rec.TID, DataTxn: found.BackTID, HasDataTxn: rec.Length == 0 && rec.Back != 0}
}

// recordData returns the data of a record, valid until the following call.
func (e *encoder) recordData(c *fs.Cursor, rec *fs.Record, found fs.Resolved) ([]byte, error) {
	switch {
	case found.Gone:
		return nil, nil
	case rec.Length > 0:
		return c.Data()
	}
	if int64(cap(e.data)) < found.Length {
		e.data = make([]byte, found.Length)
	}
	e.data = e.data[:found.Length]
	return e.data, c.ReadData(e.data, found.Offset)
}

// mayBeBlob reports whether data is that of a blob record, or was transformed
// by a storage wrapper (which marks it with a dot) so that only the presence of
// a file can tell.
func mayBeBlob(data []byte) bool {
	return pickle.IsBlobRecord(data) || len(data) > 2 && data[0] == '.'
}

// blob opens the blob file of a record, if it has one. A missing file is nil,
// without an error if the policy is to warn.
func (e *encoder) blob(rec *fs.Record, start []byte) (*os.File, error) {
	if !mayBeBlob(start) {
		return nil, nil
	}
	err := fs.ErrNoBlob
	if e.blobs != nil {
		var f *os.File
		if f, err = e.blobs.Open(rec.OID, rec.TID); err == nil {
			return f, nil
		}
	}
	switch {
	case !pickle.IsBlobRecord(start) && errors.Is(err, fs.ErrNoBlob):
		return nil, nil // an ordinary record of a wrapper
	case !errors.Is(err, fs.ErrNoBlob):
		return nil, err
	case e.missing == FailMissingBlob:
		return nil, fmt.Errorf("object %s, transaction %s: %w", rec.OID, rec.TID, ErrMissingBlob)
	}
	e.logger.Warn("blob is missing, sending its record without it", "oid", rec.OID, "tid", rec.TID)
	e.onBlob()
	return nil, nil
}

// blobStart is how many bytes of a record tell whether it is a blob's.
const blobStart = 128

// recordStart returns the first bytes of a record's data.
func recordStart(c *fs.Cursor, found fs.Resolved) ([]byte, error) {
	if found.Gone {
		return nil, nil
	}
	start := make([]byte, min(found.Length, blobStart))
	_, err := c.File().ReadAt(start, found.Offset)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return start, err
}
