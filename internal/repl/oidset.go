package repl

import (
	"iter"
	"math/bits"

	"zrs/internal/fs"
)

// oidsPerPage is how many neighbouring OIDs share a page of an oidSet.
const oidsPerPage = 256

// An oidSet is a set of OIDs. It takes a bit for each of them where they are
// dense, as ZODB gives them out, and about 100 bytes for one that stands alone.
// The zero oidSet is empty and ready to use.
type oidSet struct {
	pages map[uint64]*[oidsPerPage / 64]uint64
	n     int
}

// add puts oid into the set.
func (s *oidSet) add(oid fs.OID) {
	number, word, bit := split(oid)
	p := s.pages[number]
	if p == nil {
		if s.pages == nil {
			s.pages = make(map[uint64]*[oidsPerPage / 64]uint64)
		}
		p = new([oidsPerPage / 64]uint64)
		s.pages[number] = p
	}
	if p[word]&bit == 0 {
		p[word] |= bit
		s.n++
	}
}

// remove takes oid out of the set.
func (s *oidSet) remove(oid fs.OID) {
	number, word, bit := split(oid)
	p := s.pages[number]
	if p == nil || p[word]&bit == 0 {
		return
	}
	p[word] &^= bit
	s.n--
	if *p == [oidsPerPage / 64]uint64{} {
		delete(s.pages, number)
	}
}

// has reports whether oid is in the set.
func (s *oidSet) has(oid fs.OID) bool {
	number, word, bit := split(oid)
	p := s.pages[number]
	return p != nil && p[word]&bit != 0
}

// all ranges over the set, in no particular order. What it yields may be
// removed meanwhile.
func (s *oidSet) all() iter.Seq[fs.OID] {
	return func(yield func(fs.OID) bool) {
		for number, p := range s.pages {
			for word, w := range *p {
				for ; w != 0; w &= w - 1 {
					if !yield(fs.OID(number*oidsPerPage + uint64(word*64+bits.TrailingZeros64(w)))) {
						return
					}
				}
			}
		}
	}
}

func split(oid fs.OID) (number uint64, word int, bit uint64) {
	return uint64(oid) / oidsPerPage, int(oid % oidsPerPage / 64), 1 << (oid % 64)
}
