package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"slices"

	"zrs/internal/fs"
	"zrs/internal/pickle"
)

// A blobCount counts revisions of objects that are blobs.
type blobCount struct {
	BlobRecords  int64 // all, whether or not their files were looked for
	Blobs        int64 // with a file
	BlobBytes    int64
	BlobsEmpty   int64 // with a file of no bytes, which is fine
	BlobsMissing int64
}

func (c *blobCount) add(o *blobCount) {
	c.BlobRecords += o.BlobRecords
	c.Blobs += o.Blobs
	c.BlobBytes += o.BlobBytes
	c.BlobsEmpty += o.BlobsEmpty
	c.BlobsMissing += o.BlobsMissing
}

// A blobKey is what a blob's file is named for.
type blobKey struct {
	oid fs.OID
	tid fs.TID
}

func compareBlobs(a, b blobKey) int {
	return cmp.Or(cmp.Compare(a.oid, b.oid), cmp.Compare(a.tid, b.tid))
}

// blobStart is how much of a record tells whether it is that of a blob.
const blobStart = 128

// blob looks for the file of a record, if it is that of a blob; and at what Python
// wrote it. The reader stands on it, or is nil.
func (l *look) start(r *fs.Reader, rec *fs.Record, data fs.Resolved) {
	var start []byte
	var err error
	if r != nil {
		start, err = r.Peek(data, blobStart)
	} else {
		start = make([]byte, min(blobStart, data.Length))
		_, err = l.s.f.ReadAt(start, data.Offset)
	}
	if err != nil {
		l.err = err
		return
	}
	if len(start) > 1 && start[0] == 0x80 && start[1] == 3 && l.s.f.Magic() == fs.MagicPython2 && l.python3 == 0 {
		l.python3 = rec.Offset
	}
	// A storage wrapper that transforms records marks them with a dot.
	transformed := len(start) > 0 && start[0] == '.'
	if !transformed && !pickle.IsBlobRecord(start) {
		return
	}
	if l.s.o.Blobs == nil {
		if !transformed {
			l.BlobRecords++
		}
		return
	}
	path := l.s.o.Blobs.Path(rec.OID, rec.TID)
	info, err := os.Stat(path)
	missing := errors.Is(err, iofs.ErrNotExist)
	switch {
	case transformed && missing:
		return // not a blob's, or one that is missing: that can't be told
	case missing:
		l.BlobsMissing++
		f := about(rec, KindBlob, "no file %s%s", path, l.s.inOld(rec))
		f.Severity, f.File = Incomplete, path
		l.findings = append(l.findings, f)
	case err != nil:
		l.err = err
		return
	case !info.Mode().IsRegular():
		f := about(rec, KindBlobFile, "%s is no regular file", path)
		f.File = path
		l.findings = append(l.findings, f)
	default:
		l.Blobs++
		l.BlobBytes += info.Size()
		if info.Size() == 0 {
			l.BlobsEmpty++
		}
	}
	l.BlobRecords++
	l.blobs = append(l.blobs, blobKey{rec.OID, rec.TID})
}

// inOld tells where a missing blob is, if a pack moved it out of the way.
func (s *sounder) inOld(rec *fs.Record) string {
	f, err := s.o.Blobs.Open(rec.OID, rec.TID)
	if err != nil {
		return ""
	}
	defer f.Close()
	return fmt.Sprintf(", but %s, which a pack kept", f.Name())
}

// extraBlobs looks for blob files that no record names. Those of transactions
// behind the last one are left out: they may be about to be committed.
func (s *sounder) extraBlobs(ctx context.Context) error {
	slices.SortFunc(s.blobs, compareBlobs)
	files, before := 0, s.o.Progress.Bytes.Load()
	done := func(part float64) { s.o.Progress.Bytes.Store(before + int64(part*float64(s.blobShare()))) }
	defer done(1)
	for file, err := range s.o.Blobs.All() {
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		files++
		done(min(1, float64(files)/float64(len(s.blobs)+1)))
		if file.TID > s.report.LastTID {
			continue
		}
		if _, ok := slices.BinarySearchFunc(s.blobs, blobKey{file.OID, file.TID}, compareBlobs); ok {
			continue
		}
		if s.replaced() {
			return nil // its records are in another file
		}
		s.report.BlobsExtra++
		s.found(&Finding{
			Kind: KindExtraBlob, Severity: Note, Offset: NoOffset, TID: file.TID, OID: file.OID, HasOID: true,
			Detail: "no record of " + file.Path, File: file.Path,
		})
	}
	return nil
}
