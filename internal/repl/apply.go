package repl

import (
	"errors"
	"fmt"

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
	w, stats := c.s.Writer, &c.s.Stats
	switch e.kind {
	case eventBegin:
		return c.begin(e.begin)
	case eventRecord:
		if c.hold {
			c.check.superseded(e.record.OID)
		}
		stats.Records.Add(1)
		if err := c.startBlob(e); err != nil {
			return err
		}
		return w.Restore(fs.Restored{
			OID: e.record.OID, TID: e.record.TID, Data: e.data, DataTxn: dataTxn(&e.record),
		})
	case eventBlock:
		return c.block(e)
	}
	if err := w.Commit(); err != nil {
		return err
	}
	stats.Transactions.Add(1)
	stats.Bytes.Add(w.End() - c.size)
	if c.hold && c.check.proven() {
		return c.agreed()
	}
	if _, n := w.Unsynced(); n > syncBytes && !c.hold {
		return w.Sync()
	}
	return nil
}

func (c *session) begin(b *wire.Begin) error {
	c.size = c.s.Writer.End()
	err := c.s.Writer.Begin(fs.TxnHeader{
		TID: b.TID, Status: fs.Status(b.Status),
		User: b.User, Description: b.Description, Extension: b.Extension,
	})
	if errors.Is(err, fs.ErrTIDOrder) {
		return fmt.Errorf("%w: what %s sends is out of order: %w", ErrProtocol, c.source, err)
	}
	return err
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
	if !e.blob {
		if pickle.IsBlobRecord(e.data) {
			c.s.Stats.BlobsMissing.Add(1)
			c.logger.Warn("the source sent a blob's record without the blob", "oid", e.record.OID, "tid", e.record.TID)
		}
		return nil
	}
	if c.s.Blobs == nil {
		return ErrBlobDirNeeded
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
	c.s.Stats.BlobBytes.Add(int64(len(e.data)))
	if e.last {
		return c.endBlob()
	}
	return nil
}

func (c *session) endBlob() error {
	c.s.Stats.Blobs.Add(1)
	return c.blob.Commit()
}
