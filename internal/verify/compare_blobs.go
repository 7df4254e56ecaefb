package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"

	"zrs/internal/fs"
	"zrs/internal/pickle"
)

// blobsAtOnce is how many blob files are compared at a time. Many are small, and
// then opening them takes the time.
const blobsAtOnce = 4

// blobBlock is how much of a blob is read at a time.
const blobBlock = 256 << 10

// mayBeBlob reports whether data is that of a blob record, or was transformed by
// a storage wrapper (which marks it with a dot) so that only the presence of a
// file can tell.
func mayBeBlob(data []byte) bool {
	return pickle.IsBlobRecord(data) || len(data) > 2 && data[0] == '.'
}

// A blobSum is what is known of a blob on one side.
type blobSum struct {
	known   bool // the side knows about blobs
	certain bool // that it is a blob
	there   bool // and it has the file
	size    int64
	sum     [sha256.Size]byte // only if contents are compared
}

// sameBlob compares the blobs of a record that both sides stand on and that is
// the same on both.
func (c *comparer) sameBlob(ctx context.Context, rec *fs.Record, certain bool) error {
	a, b := c.sides[0], c.sides[1]
	if a.file != nil && b.file != nil {
		c.startBlobFiles(ctx, rec.OID, rec.TID, certain)
		return nil
	}
	var sums [2]blobSum
	for i, s := range c.sides {
		var err error
		if sums[i], err = c.lonelyBlob(ctx, s, rec, certain); err != nil {
			return err
		}
	}
	c.judgeBlobs(rec.TID, rec.OID, sums)
	return nil
}

// ownBlob looks for the blob of the record that s stands on, in a transaction that
// the other side lacks.
func (c *comparer) ownBlob(ctx context.Context, s *side, rec *fs.Record) error {
	if c.opts.Blobs == BlobsNone || !s.HasBlobs {
		return nil
	}
	data, err := s.data()
	if err != nil || !pickle.IsBlobRecord(data) {
		return err
	}
	f, err := s.openBlob(ctx, rec)
	if errors.Is(err, fs.ErrNoBlob) {
		c.blobMissing(s, rec.TID, rec.OID)
		return nil
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// startBlobFiles begins to compare the files of a blob.
func (c *comparer) startBlobFiles(ctx context.Context, oid fs.OID, tid fs.TID, certain bool) {
	c.blobs.Go(func() error { return c.blobFiles(ctx, oid, tid, certain) })
}

// lonelyBlob sums up the blob of the record that s stands on.
func (c *comparer) lonelyBlob(ctx context.Context, s *side, rec *fs.Record, certain bool) (sum blobSum, err error) {
	sum = blobSum{known: s.HasBlobs, certain: certain}
	if !s.HasBlobs {
		return sum, nil
	}
	f, err := s.openBlob(ctx, rec)
	if errors.Is(err, fs.ErrNoBlob) {
		return sum, nil
	}
	if err != nil {
		return sum, err
	}
	defer f.Close()
	sum.there = true
	switch file, isFile := f.(*os.File); {
	case c.opts.Blobs == BlobsExist:
	case c.opts.Blobs == BlobsSize && isFile:
		var fi os.FileInfo
		if fi, err = file.Stat(); err == nil {
			sum.size = fi.Size()
		}
	default:
		sum.size, sum.sum, err = c.digestBlob(ctx, f)
	}
	return sum, err
}

// openBlob opens the blob of the record that s stands on.
func (s *side) openBlob(ctx context.Context, rec *fs.Record) (io.ReadCloser, error) {
	if s.file == nil {
		return s.stream.Blob(ctx)
	}
	return s.blobs.Open(rec.OID, rec.TID)
}

func (c *comparer) digestBlob(ctx context.Context, r io.Reader) (size int64, sum [sha256.Size]byte, err error) {
	h := sha256.New()
	size, err = io.CopyBuffer(onlyWriter{h}, fs.ContextReader(ctx, r), make([]byte, blobBlock))
	h.Sum(sum[:0])
	c.opts.Progress.Bytes.Add(size)
	return size, sum, err
}

// compareBlobSums judges the blobs of an object's records that did not stand side
// by side.
func (c *comparer) compareBlobSums(tid fs.TID, oid fs.OID, s *side, ours, theirs *lonely) {
	var sums [2]blobSum
	sums[s.number], sums[1-s.number] = ours.blob, theirs.blob
	c.judgeBlobs(tid, oid, sums)
}

// lonelyBlobThere takes note of it if a record that s alone has lacks its blob.
func (c *comparer) lonelyBlobThere(s *side, tid fs.TID, oid fs.OID, l *lonely) {
	if l.blob.known && l.blob.certain && !l.blob.there {
		c.blobMissing(s, tid, oid)
	}
}

func (c *comparer) judgeBlobs(tid fs.TID, oid fs.OID, sums [2]blobSum) {
	if !c.blobsThere(tid, oid, sums) || c.opts.Blobs == BlobsExist {
		return
	}
	if sums[0].size == sums[1].size && sums[0].sum == sums[1].sum {
		return
	}
	d := Difference{Kind: DiffBlob, Side: -1, TID: tid, OID: oid, Class: blobClass}
	for i, sum := range sums {
		d.Sizes[i] = sum.size
		if c.opts.Blobs == BlobsContent {
			d.Digests[i] = hex.EncodeToString(sum.sum[:digestShown])
		}
	}
	c.note(d)
}

const blobClass = "ZODB.blob.Blob"

// blobsThere takes note of blobs that are missing, and reports whether there is
// one on both sides.
func (c *comparer) blobsThere(tid fs.TID, oid fs.OID, sums [2]blobSum) bool {
	isBlob := sums[0].certain || sums[0].there || sums[1].there
	if !isBlob {
		return false
	}
	c.mu.Lock()
	c.result.Blobs++
	c.mu.Unlock()
	for i, sum := range sums {
		if !sum.known || sum.there {
			continue
		}
		c.blobMissing(c.sides[i], tid, oid)
	}
	return sums[0].there && sums[1].there
}

// blobMissing takes note of a blob that s lacks, unless a pack has replaced the file
// meanwhile, which may have taken it.
func (c *comparer) blobMissing(s *side, tid fs.TID, oid fs.OID) {
	d := Difference{Kind: DiffBlobMissing, Side: s.number, TID: tid, OID: oid, Class: blobClass}
	gone := false
	if s.file != nil {
		d.Detail = s.blobs.Path(oid, tid)
		gone = replaced(s.Source.file)
	}
	c.mu.Lock()
	if gone {
		s.res.Replaced = true
	} else {
		s.res.BlobsMissing++
	}
	c.mu.Unlock()
	if !gone {
		c.note(d)
	}
}

// blobFiles compares the files of a blob. It runs beside the rest.
func (c *comparer) blobFiles(ctx context.Context, oid fs.OID, tid fs.TID, certain bool) error {
	var files [2]*os.File
	var infos [2]os.FileInfo
	var sums [2]blobSum
	for i, s := range c.sides {
		sums[i] = blobSum{known: s.HasBlobs, certain: certain}
		if !s.HasBlobs {
			continue
		}
		f, err := s.blobs.Open(oid, tid)
		if errors.Is(err, fs.ErrNoBlob) {
			continue
		}
		if err != nil {
			return err
		}
		defer f.Close()
		if infos[i], err = f.Stat(); err != nil {
			return err
		}
		files[i], sums[i].there, sums[i].size = f, true, infos[i].Size()
	}
	if files[0] == nil || files[1] == nil || c.opts.Blobs != BlobsContent ||
		sums[0].size == sums[1].size && os.SameFile(infos[0], infos[1]) {
		c.judgeBlobs(tid, oid, sums)
		return nil
	}
	if c.opts.Progress.Total.Load() > 0 {
		c.opts.Progress.Total.Add(sums[0].size + sums[1].size)
	}
	same, err := c.sameContents(ctx, files)
	if err != nil || same {
		if err == nil {
			c.judgeBlobs(tid, oid, sums)
		}
		return err
	}
	for i, f := range files {
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if sums[i].size, sums[i].sum, err = c.digestBlob(ctx, f); err != nil {
			return err
		}
	}
	c.judgeBlobs(tid, oid, sums)
	return nil
}

// sameContents reports whether two files have the same bytes.
func (c *comparer) sameContents(ctx context.Context, files [2]*os.File) (bool, error) {
	bufs := [2][]byte{make([]byte, blobBlock), make([]byte, blobBlock)}
	for {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		var n [2]int
		ended := false
		for i, f := range files {
			var err error
			n[i], err = io.ReadFull(f, bufs[i])
			if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
				return false, err
			}
			ended = ended || err != nil
		}
		c.opts.Progress.Bytes.Add(int64(n[0] + n[1]))
		if !bytes.Equal(bufs[0][:n[0]], bufs[1][:n[1]]) {
			return false, nil
		}
		if ended {
			return true, nil
		}
	}
}
