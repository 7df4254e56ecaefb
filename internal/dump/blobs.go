package dump

import (
	"context"
	"errors"
	"io"
	"math"

	"zrs/internal/fs"
)

// ErrBlobsMissing is returned, by those who count them, when all is done but for
// blobs that are missing.
var ErrBlobsMissing = errors.New("finished, but blobs are missing")

// A BlobCopier copies blobs from one directory to another.
type BlobCopier struct {
	From, To *fs.BlobDir

	// Missing is called for each blob that is not there.
	Missing func(oid fs.OID, tid fs.TID, err error)

	Copied, Bytes, Lost int64

	unsynced int64 // how many were copied since the last sync
}

// syncBlobs is how many blobs are made durable at a time.
const syncBlobs = 256

// Copy copies a blob. It is in its place, and durable, after a later Copy or Sync.
func (c *BlobCopier) Copy(ctx context.Context, oid fs.OID, tid fs.TID) error {
	src, err := c.From.Open(oid, tid)
	if errors.Is(err, fs.ErrNoBlob) {
		c.Lost++
		c.Missing(oid, tid, err)
		return nil
	}
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := c.To.Create(oid, tid, c.Copied)
	if err != nil {
		return err
	}
	n, err := copyBlob(ctx, dst, src)
	if err != nil {
		return err
	}
	c.Copied++
	c.Bytes += n
	if c.unsynced++; c.unsynced < syncBlobs {
		return nil
	}
	return c.Sync()
}

// Sync makes all that was copied durable, and puts it into place.
func (c *BlobCopier) Sync() error {
	c.unsynced = 0
	return c.To.Sync(math.MaxInt64)
}

// copyBlob writes a blob and commits it.
func copyBlob(ctx context.Context, dst *fs.BlobWriter, src io.Reader) (int64, error) {
	n, err := io.Copy(dst, fs.ContextReader(ctx, src))
	if err == nil {
		err = dst.Commit()
	}
	if err != nil {
		return n, errors.Join(err, dst.Abort())
	}
	return n, nil
}
