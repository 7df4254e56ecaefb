package rewind

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"zrs/internal/epoch"
	"zrs/internal/fs"
)

// Options are what [File.Rewind] may be told. The zero value is usable.
type Options struct {
	// Blobs are those of the database, nil if they are not known: then none is
	// saved or removed.
	Blobs *fs.BlobDir

	// BlobDir is where they are.
	BlobDir string

	// Salvage is the directory to be made, "" for one beside the data file.
	Salvage string

	// Done counts bytes that were worked on, up to [Plan.Work]. It may be nil.
	Done *atomic.Int64
}

// Work returns how many bytes a rewind works on, about.
func (p *Plan) Work() int64 {
	work := 4 * p.Bytes() // the dump and the data file are written and read back
	if p.Blobs > p.BlobsMissing {
		work += 2 * (p.Bytes() + p.BlobBytes) // and so are the blobs
	}
	if p.scan {
		work += p.Kept.Offset // for the index
	}
	return work
}

// Rewind does what p says, which was made of r, and returns where the salvage is.
//
// Until the salvage is there under its name and was read back nothing of the
// database is changed, and an error leaves everything as it was. After that an
// error, or the end of the process, leaves a sound database, and a journal by
// which the next run ends it.
func (r *File) Rewind(ctx context.Context, p *Plan, o Options) (salvage string, err error) {
	if r.lock == nil {
		return "", fmt.Errorf("%s: opened for looking only", r.path)
	}
	if r.stage == Cut {
		return "", fmt.Errorf("%s: a rewind was not finished", r.path)
	}
	side, err := epoch.Load(r.path)
	if err != nil {
		return "", err
	}
	done := func(int64) {}
	if o.Done != nil {
		done = func(n int64) { o.Done.Add(n) }
	}
	idx, err := r.file.IndexBefore(ctx, p.Kept, r.end, done)
	if err != nil {
		return "", err
	}
	if err := r.salvage(ctx, p, o, side, done); err != nil {
		return "", err
	}
	salvage = r.journal.salvage(r.path)
	if err := r.cut(p, side, idx); err != nil {
		return salvage, err
	}
	return salvage, r.clear(ctx)
}

// salvage makes the salvage, or finds that of an earlier run whole, and the
// journal.
func (r *File) salvage(ctx context.Context, p *Plan, o Options, side *epoch.Sidecar, done func(bytes int64)) error {
	s := &saver{File: r, plan: p, blobs: o.Blobs, done: done}
	s.missing = func(oid fs.OID, tid fs.TID, err error) {
		r.log.Warn("a blob is missing, and can't be saved", "oid", oid, "tid", tid, "err", err)
	}
	j := &journal{
		Inode: inode(r.file.Info()), Size: r.file.Size(),
		Kept: place(p.Kept), First: p.First, End: place(p.End), Salvage: salvageName(r.path, p.First),
	}
	var err error
	if o.Blobs != nil {
		if j.Blobs, err = filepath.Abs(o.BlobDir); err != nil {
			return err
		}
	}
	if o.Salvage != "" {
		if j.Salvage, err = filepath.Abs(o.Salvage); err != nil {
			return err
		}
	}
	if ready, err := r.ready(ctx, s, j.Blobs); ready || err != nil {
		return err
	}
	if err := j.write(r.path); err != nil {
		return err
	}
	r.step("journal")
	if err := s.save(ctx, j.salvage(r.path), side); err != nil {
		return errors.Join(err, removeJournal(r.path))
	}
	r.journal, r.stage = j, Saved
	r.step("salvage")
	return nil
}

// ready reports whether the salvage of an earlier run is what is wanted. If not,
// what that run left unfinished is removed.
func (r *File) ready(ctx context.Context, s *saver, blobDir string) (bool, error) {
	if r.stage == None {
		return false, nil
	}
	dir := r.journal.salvage(r.path)
	there, err := exists(dir)
	if err != nil {
		return false, err
	}
	if there && r.stage == Saved && r.journal.is(s.plan, blobDir) {
		s.dir = dir
		err := s.check(ctx)
		switch {
		case err == nil: // it may have been named by a process that was killed then
			return true, errors.Join(fs.SyncDir(dir), fs.SyncDir(filepath.Dir(dir)))
		case ctx.Err() != nil:
			return false, context.Cause(ctx)
		}
		r.log.Warn("the salvage of an earlier run can't be used; another one is made", "path", dir, "err", err)
	}
	return false, r.giveUp()
}

// GiveUp forgets a rewind that an earlier run began, and that there is no reason
// for any more.
func (r *File) GiveUp() error {
	if r.lock == nil || r.stage != Saved && r.stage != Void {
		return nil
	}
	if err := r.giveUp(); err != nil {
		return err
	}
	r.stage = None
	return removeJournal(r.path)
}

func (r *File) giveUp() error {
	dir := r.journal.salvage(r.path)
	if there, err := exists(dir); err != nil {
		return err
	} else if there {
		r.log.Warn("an earlier rewind was given up; its salvage is left where it is", "path", dir)
	}
	if r.journal.Inode != inode(r.file.Info()) {
		return nil // a copied journal: what it names is of the original
	}
	return os.RemoveAll(unfinished(dir))
}

// cut makes the data file end at p.Kept, and its index and sidecar fit. Between
// any two steps the database is sound.
func (r *File) cut(p *Plan, side *epoch.Sidecar, idx *fs.Index) error {
	if side.Schema != 0 {
		// First, so that whatever comes it is no primary any more.
		if err := demote(side, p.Kept.TID).Save(r.path); err != nil {
			return err
		}
		r.step("sidecar")
	}
	if err := fs.RemoveIndex(r.path); err != nil {
		return err
	}
	r.step("index removed")
	if err := r.file.Truncate(p.Kept.Offset); err != nil {
		return err
	}
	r.stage = Cut
	r.step("cut")
	if idx.Len() > 0 {
		if err := fs.WriteIndexFile(r.path+".index", idx, p.Kept.Offset); err != nil {
			return err
		}
	}
	r.step("index")
	return nil
}

// demote makes the sidecar that of a secondary whose last transaction is last.
func demote(side *epoch.Sidecar, last fs.TID) *epoch.Sidecar {
	s := *side
	s.Lineage = side.Lineage.At(last)
	if s.Role != epoch.Secondary {
		s.Role, s.Since = epoch.Secondary, time.Now().UTC().Truncate(time.Second)
	}
	s.At, s.Superseded = last, nil
	return &s
}

// Finish ends a rewind of which the data file is cut already: what others have
// done to it since stays.
func (r *File) Finish(ctx context.Context) error {
	if r.lock == nil || r.stage != Cut {
		return fmt.Errorf("%s: there is no rewind to be finished", r.path)
	}
	state, _, _ := r.file.Index(r.end)
	if state == fs.IndexMissing || state == fs.IndexWrong {
		idx, err := r.file.IndexBefore(ctx, r.end, r.end, func(int64) {})
		if err != nil {
			return err
		}
		if idx.Len() > 0 {
			if err := fs.WriteIndexFile(r.path+".index", idx, r.end.Offset); err != nil {
				return err
			}
		}
		r.step("index")
	}
	return r.clear(ctx)
}

// clear removes the blobs of what was cut off, and the journal.
func (r *File) clear(ctx context.Context) error {
	if err := r.removeBlobs(ctx); err != nil {
		return err
	}
	r.step("blobs removed")
	if err := removeJournal(r.path); err != nil {
		return err
	}
	r.step("journal removed")
	r.journal, r.stage = nil, None
	return nil
}

// removeBlobs removes the blobs that are in the salvage from those of the
// database. After a run that did not get here, transactions may have come back.
func (r *File) removeBlobs(ctx context.Context) error {
	saved := filepath.Join(r.journal.salvage(r.path), blobsName)
	if r.journal.Blobs == "" {
		return nil
	}
	for _, dir := range []string{saved, r.journal.Blobs} {
		if there, err := exists(dir); err != nil || !there {
			return err
		}
	}
	from, err := fs.OpenBlobDir(saved)
	if err != nil {
		return err
	}
	blobs, err := fs.CreateBlobDir(r.journal.Blobs)
	if err != nil {
		return err
	}
	f, err := fs.OpenFile(r.path)
	if err != nil {
		return err
	}
	defer f.Close()
	end, _, err := f.End(ctx)
	if err != nil {
		return err
	}
	n := 0
	for blob, err := range from.All() {
		if err != nil {
			return err
		}
		if end.Offset > r.journal.Kept.Offset {
			at, err := f.After(ctx, blob.TID, end)
			if err != nil {
				return err
			}
			if at.TID == blob.TID {
				continue
			}
		}
		if err := blobs.Remove(blob.OID, blob.TID); err != nil && !errors.Is(err, fs.ErrNoBlob) {
			return err
		}
		r.step("blob removed")
		if n++; n%blobsPerSync == 0 {
			if err := blobs.Sync(math.MaxInt64); err != nil {
				return err
			}
		}
	}
	return blobs.Sync(math.MaxInt64)
}

// blobsPerSync is how many directories are remembered before they are synced.
const blobsPerSync = 1024
