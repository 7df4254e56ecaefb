package repl

import (
	"context"
	"errors"

	"zrs/internal/fs"
	"zrs/internal/pickle"
)

// CheckBlobs looks whether the blobs of the last n transactions of a log are
// there, or of fewer if those take more than limit bytes of the data file.
func CheckBlobs(ctx context.Context, log *fs.Log, blobs *fs.BlobDir, n int, limit int64) (checked, missing int64, err error) {
	from, err := log.Back(n, limit)
	if err != nil {
		return 0, 0, err
	}
	c, err := log.After(from)
	if err != nil && !errors.Is(err, fs.ErrTIDUnknown) {
		return 0, 0, err
	}
	defer c.Close()
	for ctx.Err() == nil {
		if _, err := c.Next(); isEnd(err) {
			return checked, missing, nil
		} else if err != nil {
			return checked, missing, err
		}
		for {
			rec, err := c.NextRecord()
			if isEnd(err) {
				break
			}
			if err != nil {
				return checked, missing, err
			}
			has, isMissing, err := blobState(c, rec, blobs)
			if err != nil {
				return checked, missing, err
			}
			if has {
				checked++
			}
			if isMissing {
				missing++
			}
		}
	}
	return checked, missing, context.Cause(ctx)
}

// blobState reports whether the record that c stands on has a blob, and whether
// that is missing.
func blobState(c *fs.Cursor, rec *fs.Record, blobs *fs.BlobDir) (has, missing bool, err error) {
	found, err := c.Resolve()
	if err != nil {
		return false, false, err
	}
	start, err := recordStart(c, found)
	if err != nil || !pickle.IsBlobRecord(start) {
		return false, false, err
	}
	f, err := blobs.Open(rec.OID, rec.TID)
	if errors.Is(err, fs.ErrNoBlob) {
		return true, true, nil
	}
	if err != nil {
		return true, false, err
	}
	return true, false, f.Close()
}
