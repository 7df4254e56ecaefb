package verify

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"io"

	"zrs/internal/fs"
	"zrs/internal/pickle"
)

// An objectGraph has the objects of a storage as of some transaction and what
// each of them refers to. Measured, it takes about 10 bytes for each object and 4
// for each reference.
type objectGraph struct {
	at    fs.Index // of the object's references in slabs
	slabs [][]byte
	live  int64 // bytes in slabs that are of current revisions
	used  int64 // bytes in slabs
	refs  pickle.ReferenceReader
	entry []byte
}

// slabSize is how much of the references is in one piece. Those of an object that
// take more have one of their own.
const slabSize = 1 << 20

// compactFrom is how much memory older revisions' references may take in any case.
const compactFrom = 16 << 20

// add takes a record as its object's current one.
func (g *objectGraph) add(stream Stream, rec *fs.Record) error {
	if off, ok := g.at.Get(rec.OID); ok {
		g.live -= int64(len(entryAt(g.slabs, off)))
	}
	if rec.Length == 0 {
		g.at.Delete(rec.OID)
		return nil
	}
	data, err := stream.Data()
	if err != nil {
		return err
	}
	// A record that can't be read as pickles refers to nothing that could be
	// known.
	refs, _ := g.refs.Read(plainData(data))
	body := g.entry[:0]
	for len(refs) >= 8 {
		body = binary.AppendUvarint(body, binary.BigEndian.Uint64(refs))
		refs = refs[8:]
	}
	g.entry = body
	g.at.Set(rec.OID, g.store(body))
	if g.used > 2*g.live+compactFrom {
		g.compact()
	}
	return nil
}

// plainData returns the data of a record as ZODB's pickles, which a storage
// wrapper may have compressed (zc.zlibstorage).
func plainData(data []byte) []byte {
	packed, ok := bytes.CutPrefix(data, []byte(".z"))
	if !ok {
		return data
	}
	r, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return data
	}
	plain, err := io.ReadAll(io.LimitReader(r, fs.MaxLoad))
	if err != nil {
		return data
	}
	return plain
}

// store puts an entry into the slabs, after its length.
func (g *objectGraph) store(body []byte) int64 {
	var size [binary.MaxVarintLen64]byte
	n := binary.PutUvarint(size[:], uint64(len(body)))
	need := n + len(body)
	last := len(g.slabs) - 1
	if last < 0 || len(g.slabs[last])+need > cap(g.slabs[last]) {
		g.slabs = append(g.slabs, make([]byte, 0, max(slabSize, need)))
		last++
	}
	slab := &g.slabs[last]
	off := int64(last)*slabSize + int64(len(*slab))
	*slab = append(append(*slab, size[:n]...), body...)
	g.live += int64(need)
	g.used += int64(need)
	return off
}

// entryAt returns the entry at a place in slabs, its length included.
func entryAt(slabs [][]byte, off int64) []byte {
	b := slabs[off/slabSize][off%slabSize:]
	size, n := binary.Uvarint(b)
	return b[:n+int(size)]
}

// compact drops what older revisions referred to.
func (g *objectGraph) compact() {
	old := g.slabs
	g.slabs, g.live, g.used = nil, 0, 0
	for oid, off := range g.at.All() {
		entry := entryAt(old, off)
		_, n := binary.Uvarint(entry)
		g.at.Set(oid, g.store(entry[n:]))
	}
}

// has reports whether the object exists.
func (g *objectGraph) has(oid fs.OID) bool {
	_, ok := g.at.Get(oid)
	return ok
}

// A liveSet has the objects that can be reached from the root. Without a root
// there is no garbage.
type liveSet struct {
	rootless bool
	oids     oidMap[struct{}]
}

func (l *liveSet) has(oid fs.OID) bool {
	_, ok := l.oids.get(oid)
	return ok || oid == 0 || l.rootless
}

// reach finds what can be reached from the root, whether it exists or not.
func (g *objectGraph) reach() *liveSet {
	live := &liveSet{rootless: !g.has(0)}
	if live.rootless {
		return live
	}
	live.oids.set(0, struct{}{})
	stack := []fs.OID{0}
	for len(stack) > 0 {
		oid := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		off, ok := g.at.Get(oid)
		if !ok {
			continue
		}
		entry := entryAt(g.slabs, off)
		_, n := binary.Uvarint(entry)
		for entry = entry[n:]; len(entry) > 0; entry = entry[n:] {
			var ref uint64
			ref, n = binary.Uvarint(entry)
			if _, seen := live.oids.get(fs.OID(ref)); !seen {
				live.oids.set(fs.OID(ref), struct{}{})
				stack = append(stack, fs.OID(ref))
			}
		}
	}
	return live
}
