package repl

import (
	"errors"
	"fmt"
	"sync/atomic"

	"zrs/internal/fs"
	"zrs/internal/pickle"
	"zrs/internal/wire"
)

// ErrBlobDirNeeded is returned when a source sends blobs and there is no
// directory for them.
var ErrBlobDirNeeded = errors.New("the source sends blobs, and no blob directory was given")

// ErrIncomplete says that all transactions came, but some blobs did not.
var ErrIncomplete = errors.New("finished, but blobs are missing")

// apply appends a step of the stream to the data file.
func (c *session) apply(e *event) error {
	switch e.kind {
	case eventBegin:
		return c.begin(e.begin)
	case eventRecord:
		return c.record(e)
	case eventBlock:
		return c.block(e)
	}
	w, stats := c.s.Writer, &c.s.Stats
	if err := w.Commit(); err != nil {
		return err
	}
	count(&stats.Transactions, &c.unsure.transactions, 1)
	count(&stats.Bytes, &c.unsure.bytes, w.End()-c.size)
	if c.hold {
		return nil
	}
	c.unsure = counts{}
	if c.unsettled > syncBytes { // with blobs
		c.unsettled = 0
		return w.Finish()
	}
	return nil
}

// count adds n to what is shown, and to what may have to be taken back.
func count(shown *atomic.Int64, unsure *int64, n int64) {
	shown.Add(n)
	*unsure += n
}

func (c *session) begin(b *wire.Begin) error {
	c.size = c.s.Writer.End()
	return c.s.Writer.Begin(fs.TxnHeader{
		TID: b.TID, Status: fs.Status(b.Status),
		User: b.User, Description: b.Description, Extension: b.Extension,
	})
}

func (c *session) record(e *event) error {
	count(&c.s.Stats.Records, &c.unsure.records, 1)
	if err := c.startBlob(e); err != nil {
		return err
	}
	return c.s.Writer.Restore(fs.Restored{
		OID: e.record.OID, TID: e.record.TID, Data: e.data, DataTxn: dataTxn(&e.record),
	})
}

func dataTxn(s *wire.Store) fs.TID {
	if s.HasDataTxn {
		return s.DataTxn
	}
	return 0
}

// startBlob begins the blob of a record that has one. A blob of no blocks is an
// empty file: zc.zrs primaries send empty blobs so.
func (c *session) startBlob(e *event) error {
	switch {
	case !e.blob && pickle.IsBlobRecord(e.data):
		count(&c.s.Stats.BlobsMissing, &c.unsure.blobsMissing, 1)
		c.logger.Warn("the source sent a blob's record without the blob", "oid", e.record.OID, "tid", e.record.TID)
		return nil
	case !e.blob:
		return nil
	case c.s.Blobs == nil:
		return ErrBlobDirNeeded
	case e.record.TID != c.tid:
		// Its file would take the place of an older one.
		return fmt.Errorf("%w: transaction %s has a blob of transaction %s", ErrProtocol, c.tid, e.record.TID)
	}
	blob, err := c.s.Writer.CreateBlob(e.record.OID, e.record.TID)
	if err != nil {
		return err
	}
	c.blob = blob
	if e.last {
		return c.endBlob()
	}
	return nil
}

func (c *session) block(e *event) error {
	if _, err := c.blob.Write(e.data); err != nil {
		return err
	}
	count(&c.s.Stats.BlobBytes, &c.unsure.blobBytes, int64(len(e.data)))
	if e.last {
		return c.endBlob()
	}
	return nil
}

func (c *session) endBlob() error {
	count(&c.s.Stats.Blobs, &c.unsure.blobs, 1)
	return c.blob.Commit()
}
