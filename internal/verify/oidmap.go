package verify

import (
	"iter"

	"zrs/internal/fs"
)

// oidsPerPage is how many neighbouring OIDs share a page of an oidMap. Full
// pages cost little more than their values; with few OIDs in use, a page that
// holds a single one should not cost much either.
const oidsPerPage = 32

// An oidMap maps OIDs to values. Where OIDs are dense, as ZODB gives them out,
// it takes little more than the values do. The zero oidMap is empty and ready
// to use.
type oidMap[V any] struct {
	pages map[uint64]*oidPage[V]
	n     int
}

type oidPage[V any] struct {
	used   uint32 // a bit for each OID
	values [oidsPerPage]V
}

// set gives oid a value.
func (m *oidMap[V]) set(oid fs.OID, v V) {
	number, i := uint64(oid)/oidsPerPage, oid%oidsPerPage
	p := m.pages[number]
	if p == nil {
		if m.pages == nil {
			m.pages = make(map[uint64]*oidPage[V])
		}
		p = new(oidPage[V])
		m.pages[number] = p
	}
	if p.used&(1<<i) == 0 {
		p.used |= 1 << i
		m.n++
	}
	p.values[i] = v
}

// get returns the value of oid, and whether it has one.
func (m *oidMap[V]) get(oid fs.OID) (v V, ok bool) {
	if m.n == 0 {
		return v, false
	}
	p, i := m.pages[uint64(oid)/oidsPerPage], oid%oidsPerPage
	if p == nil || p.used&(1<<i) == 0 {
		return v, false
	}
	return p.values[i], true
}

// remove takes oid out of the map.
func (m *oidMap[V]) remove(oid fs.OID) {
	if m.n == 0 {
		return
	}
	number, i := uint64(oid)/oidsPerPage, oid%oidsPerPage
	p := m.pages[number]
	if p == nil || p.used&(1<<i) == 0 {
		return
	}
	p.used &^= 1 << i
	m.n--
	if p.used == 0 {
		delete(m.pages, number)
	}
}

// clear empties the map.
func (m *oidMap[V]) clear() {
	if m.n > 0 {
		*m = oidMap[V]{}
	}
}

// all ranges over the map, in no particular order. What it yields may be removed
// meanwhile.
func (m *oidMap[V]) all() iter.Seq2[fs.OID, V] {
	return func(yield func(fs.OID, V) bool) {
		for number, p := range m.pages {
			for i := range uint64(oidsPerPage) {
				if p.used&(1<<i) != 0 && !yield(fs.OID(number*oidsPerPage+i), p.values[i]) {
					return
				}
			}
		}
	}
}
