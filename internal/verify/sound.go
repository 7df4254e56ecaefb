package verify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"zrs/internal/fs"
)

// Options say what [Sound] looks at. The zero value is usable.
type Options struct {
	Blobs      *fs.BlobDir // the blobs of the database, nil to leave them out
	References bool        // follow the references from the root

	// Found is called for each finding, in the order of the file for those of
	// its structure, but for no more than Max.
	Found func(*Finding)
	Max   int

	Progress *Progress // counts what is done, unless it is nil
}

// A Progress tells how far a verification is. It may be read at any time.
type Progress struct {
	// Bytes are done of Total, which may grow: other work counts as the bytes of
	// the file that take about as long. Total is 0 if it is unknown.
	Bytes, Total atomic.Int64
	Transactions atomic.Int64
}

// expect says that n more bytes will be done.
func (p *Progress) expect(n int64) {
	if more := p.Bytes.Load() + n - p.Total.Load(); more > 0 {
		p.Total.Add(more)
	}
}

// An IndexState says how the index file beside a data file compares with it.
type IndexState string

// The states of an index.
const (
	IndexNone     IndexState = "none"     // there is no index
	IndexCurrent  IndexState = "current"  // it is what the file says
	IndexBehind   IndexState = "behind"   // it is right up to where it ends
	IndexUnusable IndexState = "unusable" // it can't be read: ZODB scans the file
	IndexForeign  IndexState = "foreign"  // it ends where no transaction of this file does: ZODB scans the file
	IndexWrong    IndexState = "wrong"    // it has findings
	IndexChanged  IndexState = "changed"  // the file or its index was replaced meanwhile
)

// A Report is what [Sound] found out.
type Report struct {
	Transactions, Records int64
	Objects               int64  // that were ever created and not packed away
	LastTID               fs.TID // of the last whole, finished transaction
	End                   int64  // behind that
	Lost                  int64  // bytes that no transaction could be made of, the tail left out
	Tail                  *fs.RecordError
	TailBytes             int64

	Index       IndexState
	IndexDetail string // why it is unusable, foreign or behind

	blobCount
	BlobsExtra int64 // files without a record

	References *References // nil if they were not followed

	First                     *Finding // that is more than a note, nil if there is none
	Damage, Incomplete, Notes int64    // findings by severity, told or not
	Kinds                     map[fs.Kind]int64
	Untold                    int64 // findings beyond the Max that were told
	Memory                    int64 // about what the index took
	Replaced                  bool  // another file took the name meanwhile: blobs and index were left out
}

// Err returns nil if the storage is sound, [ErrIncomplete] if nothing but blobs is
// missing, else [ErrUnsound].
func (r *Report) Err() error {
	switch {
	case r.Damage > 0:
		return ErrUnsound
	case r.Incomplete > 0:
		return ErrIncomplete
	}
	return nil
}

// The verdicts on a storage that is not sound.
var (
	ErrUnsound    = errors.New("not sound")
	ErrIncomplete = errors.New("sound, but blobs are missing")
)

// Sound checks whether f is sound. What is wrong with it is told in the report
// and to Options.Found; the error is about what prevented an answer, and comes
// with what was found until then.
func Sound(ctx context.Context, f *fs.File, o Options) (*Report, error) {
	if o.Progress == nil {
		o.Progress = new(Progress)
	}
	if f.Size() > fs.MaxOffset {
		return new(Report), fmt.Errorf("%s: %w: %d bytes are more than an index can express", f.Path(), fs.ErrFormat, f.Size())
	}
	s := newSounder(f, o)
	o.Progress.expect(s.work())
	err := s.noBytes()
	if err == nil {
		err = s.structure(ctx)
	}
	if err == nil && o.Blobs != nil {
		err = s.extraBlobs(ctx)
	}
	if err == nil && o.References {
		err = s.followReferences(ctx)
	}
	s.report.Memory = s.idx.Bytes()
	return &s.report, err
}

// noBytes tells of a file without any bytes. A database that is being made is one
// for a moment; where an index or blobs are beside it, it was one.
func (s *sounder) noBytes() error {
	if s.f.Size() > 0 {
		return nil
	}
	f := Finding{Kind: KindNoBytes, Severity: Note, Offset: NoOffset, Detail: "the file has no bytes at all"}
	if s.saved.end > fs.FirstOffset {
		f.Severity, f.File = Damage, s.saved.path
		f.Detail += fmt.Sprintf("; its index is of %d bytes", s.saved.end)
	} else if s.o.Blobs != nil {
		for blob, err := range s.o.Blobs.All() {
			if err != nil {
				return err
			}
			f.Severity, f.File = Damage, blob.Path
			f.Detail += "; there are blobs, such as " + blob.Path
			break
		}
	}
	s.found(&f)
	return nil
}

// work is how much there is to do, as Progress counts it.
func (s *sounder) work() int64 {
	total := s.f.Size()
	if s.o.Blobs != nil {
		total += s.blobShare()
	}
	if s.o.References {
		total += s.f.Size()
	}
	return max(1, total)
}

// blobShare is what looking for blobs without records counts as in Progress.
func (s *sounder) blobShare() int64 { return s.f.Size() / 4 }

// A sounder holds what is known of the file up to a place.
type sounder struct {
	f      *fs.File
	o      Options
	report Report

	idx     fs.Index // current records up to there
	gone    fs.Index // those of idx that have no data
	anyGone bool
	lost    regions // what could not be read
	looks   sync.Pool
	saved   savedIndex
	blobs   []blobKey // blob records that have to have a file, if they are looked for
	told    int

	maxBatch int // see there; tests make it small
}

func newSounder(f *fs.File, o Options) *sounder {
	s := &sounder{f: f, o: o, maxBatch: maxBatch}
	s.report = Report{Kinds: map[fs.Kind]int64{}, End: min(fs.FirstOffset, f.Size())}
	s.openIndex()
	return s
}

// found counts a finding, and tells it if that is not one too many.
func (s *sounder) found(f *Finding) {
	if f.Severity > Note && s.report.First == nil {
		first := *f
		s.report.First = &first
	}
	s.count(f.Kind, f.Severity, 1)
	if s.told < s.o.Max && s.o.Found != nil {
		s.told++
		s.report.Untold--
		s.o.Found(f)
	}
}

// count counts findings that are not told.
func (s *sounder) count(kind fs.Kind, severity Severity, n int64) {
	switch severity {
	case Damage:
		s.report.Damage += n
	case Incomplete:
		s.report.Incomplete += n
	case Note:
		s.report.Notes += n
	}
	s.report.Kinds[kind] += n
	s.report.Untold += n
}

// replaced reports whether another file has taken the name of ours.
func (s *sounder) replaced() bool {
	s.report.Replaced = s.report.Replaced || replaced(s.f)
	return s.report.Replaced
}

// replaced reports whether another file has taken the name of f, as a pack makes
// it. What lies beside it then belongs to that one.
func replaced(f *fs.File) bool {
	info, err := os.Stat(f.Path())
	return err != nil || !os.SameFile(info, f.Info())
}

// regions are parts of the file, in its order.
type regions []region

type region struct{ from, to int64 }

// maxRegions bounds them. Beyond it the last one grows.
const maxRegions = 1 << 14

func (r *regions) add(from, to int64) {
	if n := len(*r); n > 0 && (n == maxRegions || (*r)[n-1].to == from) {
		(*r)[n-1].to = to
		return
	}
	*r = append(*r, region{from, to})
}

func (r regions) has(off int64) bool {
	for lo, hi := 0, len(r); lo < hi; {
		mid := (lo + hi) / 2
		switch {
		case off < r[mid].from:
			hi = mid
		case off >= r[mid].to:
			lo = mid + 1
		default:
			return true
		}
	}
	return false
}
