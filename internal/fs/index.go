package fs

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math/bits"
	"slices"
	"sort"
	"sync"
)

// MaxOffset is the greatest offset that an index can hold. In memory as in
// ZODB's index file an offset has 48 bits.
const MaxOffset = 1<<48 - 1

const (
	offsetSize  = 6   // bytes of an offset, big-endian
	pageOIDs    = 256 // OIDs that one page covers
	indexShards = 64
)

// An Index maps the OID of every object to the offset of its current record.
// The zero Index is empty and ready to use; an Index must not be copied. All
// methods may be called concurrently.
//
// It is made for OIDs as ZODB gives them out, in ascending order with gaps
// where a pack removed objects. Measured, in bytes of memory for each object:
//
//	all OIDs in use      6.4
//	50 % of them         7.7
//	10 % of them        10.2
//
// Below that, a page that holds a single object costs about 100 bytes.
type Index struct {
	// Neighbouring pages are in different shards, so that those who rebuild
	// an index together seldom wait for each other.
	shards [indexShards]indexShard

	numbered []uint64 // the numbers of all pages, ascending: see Number
}

type indexShard struct {
	mu       sync.Mutex
	pages    map[uint64]*indexPage // by OID / pageOIDs
	n        int                   // objects
	capacity int                   // bytes of all offsets slices
	_        [32]byte              // to a cache line
}

// An indexPage holds the offsets of those of pageOIDs consecutive OIDs that are
// in use, packed, in the order of the OIDs and in the form of the index file.
type indexPage struct {
	present [pageOIDs / 64]uint64 // one bit for each OID
	offsets []byte
	first   int // number of its first object, see Number
}

// Set makes off the offset of the object oid. It panics unless 0 <= off <=
// [MaxOffset], which is for the caller to see to: a data file must be refused
// before it grows beyond that.
func (x *Index) Set(oid OID, off int64) { x.set(oid, off, false) }

// SetMax is Set unless the object has a greater offset already. The current
// record of an object is its last in the data file, so those who rebuild an
// index may call SetMax for all records in any order, and concurrently.
func (x *Index) SetMax(oid OID, off int64) { x.set(oid, off, true) }

// Replace is Set, and returns the offset that the object had before, 0 if it had
// none.
func (x *Index) Replace(oid OID, off int64) (before int64) { return x.set(oid, off, false) }

func (x *Index) set(oid OID, off int64, greatest bool) (before int64) {
	if off < 0 || off > MaxOffset {
		panic(fmt.Sprintf("fs: index: offset %d of object %v is out of range", off, oid))
	}
	number := uint64(oid) / pageOIDs
	s := x.shard(number)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.page(number)
	i, ok := p.find(uint8(oid))
	if !ok {
		s.n++
		s.capacity += p.insert(uint8(oid), i)
	} else if before = getOffset(p.offsets[i:]); greatest && off <= before {
		return before
	}
	putOffset(p.offsets[i:], off)
	return before
}

// Get returns the offset of the object oid, and whether the index has one.
func (x *Index) Get(oid OID) (off int64, ok bool) {
	number := uint64(oid) / pageOIDs
	s := x.shard(number)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pages[number]
	if p == nil {
		return 0, false
	}
	i, ok := p.find(uint8(oid))
	if !ok {
		return 0, false
	}
	return getOffset(p.offsets[i:]), true
}

// Delete takes the object oid out of the index.
func (x *Index) Delete(oid OID) {
	number := uint64(oid) / pageOIDs
	s := x.shard(number)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pages[number]
	if p == nil {
		return
	}
	i, ok := p.find(uint8(oid))
	if !ok {
		return
	}
	s.n--
	p.present[uint8(oid)/64] &^= 1 << (oid % 64)
	p.offsets = slices.Delete(p.offsets, i, i+offsetSize)
	if len(p.offsets) == 0 {
		s.capacity -= cap(p.offsets)
		delete(s.pages, number)
	}
}

// Len returns the number of objects.
func (x *Index) Len() int {
	n := 0
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.Lock()
		n += s.n
		s.mu.Unlock()
	}
	return n
}

// Bytes returns about how much memory the index takes.
func (x *Index) Bytes() int64 {
	// A map keeps 17 bytes for each slot and fills 7/16 to 7/8 of them.
	const perPage = 64 + 26
	total := int64(0)
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.Lock()
		total += int64(s.capacity) + int64(len(s.pages))*perPage
		s.mu.Unlock()
	}
	return total
}

// All ranges over the objects and their offsets, in ascending order of OIDs.
// While others change the index, an object may come with its old offset or its
// new one, and one that comes or goes may be left out.
func (x *Index) All() iter.Seq2[OID, int64] {
	return func(yield func(OID, int64) bool) {
		for number, p := range x.sortedPages() {
			offsets := p.offsets
			for slot := range p.slots() {
				if !yield(OID(number*pageOIDs+uint64(slot)), getOffset(offsets)) {
					return
				}
				offsets = offsets[offsetSize:]
			}
		}
	}
}

// Number numbers the objects from 0 on, in ascending order of their OIDs, for
// [Index.Find] and [Index.At]. It returns how many there are. The numbers hold,
// and the two may be called, until the index is changed.
func (x *Index) Number() int {
	x.numbered = x.pageNumbers()
	n := 0
	for _, number := range x.numbered {
		p := x.shard(number).pages[number]
		p.first = n
		n += len(p.offsets) / offsetSize
	}
	return n
}

// Find returns the offset of the object oid and its number, and whether the
// index has it.
func (x *Index) Find(oid OID) (off int64, n int, ok bool) {
	number := uint64(oid) / pageOIDs
	p := x.shard(number).pages[number]
	if p == nil {
		return 0, 0, false
	}
	i, ok := p.find(uint8(oid))
	if !ok {
		return 0, 0, false
	}
	return getOffset(p.offsets[i:]), p.first + i/offsetSize, true
}

// At returns the object of that number, which must be one, and its offset.
func (x *Index) At(n int) (OID, int64) {
	i := sort.Search(len(x.numbered), func(i int) bool {
		return x.shard(x.numbered[i]).pages[x.numbered[i]].first > n
	}) - 1
	number := x.numbered[i]
	p := x.shard(number).pages[number]
	rest := n - p.first
	off := getOffset(p.offsets[rest*offsetSize:])
	for slot := range p.slots() {
		if rest == 0 {
			return OID(number*pageOIDs + uint64(slot)), off
		}
		rest--
	}
	panic("fs: index: fewer objects than offsets")
}

// pageNumbers returns the numbers of all pages, ascending.
func (x *Index) pageNumbers() []uint64 {
	var numbers []uint64
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.Lock()
		for number := range s.pages {
			numbers = append(numbers, number)
		}
		s.mu.Unlock()
	}
	slices.Sort(numbers)
	return numbers
}

// sortedPages ranges over the pages in ascending order, with their numbers.
// Each is a copy, valid for its own iteration.
func (x *Index) sortedPages() iter.Seq2[uint64, *indexPage] {
	return func(yield func(uint64, *indexPage) bool) {
		var p indexPage
		for _, number := range x.pageNumbers() {
			s := x.shard(number)
			s.mu.Lock()
			q := s.pages[number]
			if q == nil { // deleted meanwhile
				s.mu.Unlock()
				continue
			}
			p.present = q.present
			p.offsets = append(p.offsets[:0], q.offsets...)
			s.mu.Unlock()
			if !yield(number, &p) {
				return
			}
		}
	}
}

// addPage adds a page that the index does not have yet.
func (x *Index) addPage(number uint64, present [pageOIDs / 64]uint64, offsets []byte) {
	s := x.shard(number)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.page(number)
	p.present = present
	p.offsets = append([]byte(nil), offsets...)
	s.n += len(offsets) / offsetSize
	s.capacity += cap(p.offsets)
}

func (x *Index) shard(number uint64) *indexShard { return &x.shards[number%indexShards] }

// page returns the page of that number, a new one if need be.
func (s *indexShard) page(number uint64) *indexPage {
	p := s.pages[number]
	if p == nil {
		if s.pages == nil {
			s.pages = make(map[uint64]*indexPage)
		}
		p = new(indexPage)
		s.pages[number] = p
	}
	return p
}

// find returns where in p.offsets the offset of a slot is, or has to be
// inserted, and whether it is there.
func (p *indexPage) find(slot uint8) (i int, ok bool) {
	word, bit := slot/64, uint64(1)<<(slot%64)
	for _, w := range p.present[:word] {
		i += bits.OnesCount64(w)
	}
	i += bits.OnesCount64(p.present[word] & (bit - 1))
	return i * offsetSize, p.present[word]&bit != 0
}

// insert makes room at p.offsets[i:] for the offset of a slot, and returns by
// how many bytes the capacity grew.
func (p *indexPage) insert(slot uint8, i int) (grown int) {
	p.present[slot/64] |= 1 << (slot % 64)
	old := p.offsets
	if len(old)+offsetSize > cap(old) {
		n := len(old)/offsetSize + 1
		n = min(n+n/8, pageOIDs)
		// Growing nil takes what the allocator has for that size, no more.
		p.offsets = slices.Grow([]byte(nil), n*offsetSize)
		grown = cap(p.offsets) - cap(old)
	}
	p.offsets = p.offsets[:len(old)+offsetSize]
	copy(p.offsets[i+offsetSize:], old[i:])
	if grown > 0 {
		copy(p.offsets, old[:i])
	}
	return grown
}

// slots ranges over the slots in use, ascending.
func (p *indexPage) slots() iter.Seq[uint8] {
	return func(yield func(uint8) bool) {
		for i, w := range p.present {
			for ; w != 0; w &= w - 1 {
				if !yield(uint8(i*64 + bits.TrailingZeros64(w))) {
					return
				}
			}
		}
	}
}

func getOffset(b []byte) int64 {
	return int64(binary.BigEndian.Uint32(b))<<16 | int64(binary.BigEndian.Uint16(b[4:]))
}

func putOffset(b []byte, off int64) {
	binary.BigEndian.PutUint32(b, uint32(off>>16))
	binary.BigEndian.PutUint16(b[4:], uint16(off))
}
