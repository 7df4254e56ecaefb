package verify

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"time"

	"zrs/internal/fs"
)

// A savedIndex is the index file beside a data file.
type savedIndex struct {
	path     string
	end      int64 // where it says that the transactions it has end; NoOffset if it can't be used
	modified time.Time
	ends     bool // a transaction ends there
	compared bool // or need not be
}

// openIndex finds out up to where the saved index goes.
func (s *sounder) openIndex() {
	s.saved = savedIndex{path: s.f.Path() + ".index", end: NoOffset, compared: true}
	info, err := os.Stat(s.saved.path)
	if errors.Is(err, iofs.ErrNotExist) {
		s.report.Index = IndexNone
		return
	}
	if err == nil {
		s.saved.modified = info.ModTime()
		s.saved.end, err = fs.ScanIndexFile(s.saved.path, func(fs.OID, int64) error { return nil })
	}
	if err != nil {
		s.saved.end = NoOffset
		s.report.Index, s.report.IndexDetail = IndexUnusable, err.Error()
		return
	}
	s.saved.compared = false
	s.saved.ends = s.saved.end == fs.FirstOffset
}

// judgeIndex says how the saved index compares with the whole file.
func (s *sounder) judgeIndex() {
	s.compareIndex()
	if s.report.Index == IndexCurrent && s.saved.end < s.report.End {
		s.report.Index = IndexBehind
		s.report.IndexDetail = fmt.Sprintf("it ends at %d", s.saved.end)
	}
}

// compareIndex compares the saved index with the one made so far. It is called
// when all transactions up to the saved index's end were applied, no more; or at
// the end of the file.
func (s *sounder) compareIndex() {
	if s.saved.compared {
		return
	}
	s.saved.compared = true
	if !s.saved.ends {
		s.report.Index = IndexForeign
		s.report.IndexDetail = fmt.Sprintf("it ends at %d, where no transaction of this file does", s.saved.end)
		return
	}
	s.report.Index = IndexCurrent
	wrong, known := 0, 0
	s.eachEntry(func(_ fs.OID, off, is int64) {
		if is != 0 {
			known++
		}
		if off != is {
			wrong++
		}
	})
	if wrong == 0 && known == s.idx.Len() {
		return
	}
	if info, err := os.Stat(s.saved.path); s.replaced() || err != nil || !info.ModTime().Equal(s.saved.modified) {
		s.report.Index, s.report.IndexDetail = IndexChanged, "it was replaced while it was verified"
		return
	}
	s.report.Index, s.report.IndexDetail = IndexWrong, ""
	s.eachEntry(s.tellEntry)
	saved, _, err := fs.ReadIndexFile(s.saved.path)
	if err != nil {
		return // as in eachEntry
	}
	for oid, off := range s.idx.All() {
		if _, ok := saved.Get(oid); !ok {
			s.found(&Finding{
				Kind: KindMissing, Severity: Damage, Offset: off, OID: oid, HasOID: true, File: s.saved.path,
				Detail: "the index has no entry for the object",
			})
		}
	}
}

// eachEntry calls fn with each entry of the saved index, and with the offset that
// it should have, 0 if there should be none. What leads into a damaged part of
// the file may well be right, and is taken for that.
func (s *sounder) eachEntry(fn func(oid fs.OID, off, is int64)) {
	_, err := fs.ScanIndexFile(s.saved.path, func(oid fs.OID, off int64) error {
		is, _ := s.idx.Get(oid)
		if !s.lost.has(off) {
			fn(oid, off, is)
		} else if is != 0 {
			fn(oid, is, is)
		}
		return nil
	})
	if err != nil { // it could be read a moment ago
		s.report.Index, s.report.IndexDetail = IndexChanged, err.Error()
	}
}

// tellEntry tells of a wrong entry.
func (s *sounder) tellEntry(oid fs.OID, off, is int64) {
	f := Finding{Kind: KindEntry, Severity: Damage, Offset: is, OID: oid, HasOID: true, File: s.saved.path}
	switch {
	case off == is:
		return
	case is == 0:
		f.Kind, f.Offset = KindExtra, NoOffset
		f.Detail = fmt.Sprintf("the index says that the object is at %d, the file has no record of it", off)
	default:
		f.Detail = fmt.Sprintf("the index says that the object is at %d, its last record is at %d", off, is)
	}
	s.found(&f)
}
