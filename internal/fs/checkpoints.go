package fs

import (
	"cmp"
	"slices"
	"sort"
)

// A checkpoint is a known start of a transaction.
type checkpoint struct {
	tid    TID
	offset int64
}

const (
	firstStride    = 256 << 10
	maxCheckpoints = 1 << 15
)

// checkpoints is a bounded table of known transaction starts, in file order: a
// place is found by looking here and walking headers from there on. FileStorage
// has no index by TID, and guessing at boundaries inside the file could be
// misled by object data that looks like transactions.
//
// When the table is full every other entry goes and the distance doubles, so
// that a walk is at most about a 16,000th of the file.
type checkpoints struct {
	list   []checkpoint
	stride int64
}

// add notes that a transaction starts at offset. Offsets must rise; TIDs that
// don't (a file out of order) are left out.
func (c *checkpoints) add(tid TID, offset int64) {
	if c.stride == 0 {
		c.stride = firstStride
	}
	if n := len(c.list); n > 0 {
		last := c.list[n-1]
		if offset < last.offset+c.stride || tid <= last.tid {
			return
		}
		if n == maxCheckpoints {
			c.thin()
		}
	}
	c.list = append(c.list, checkpoint{tid, offset})
}

func (c *checkpoints) thin() {
	kept := c.list[:0]
	for i := 0; i < len(c.list); i += 2 {
		kept = append(kept, c.list[i])
	}
	c.list = kept
	c.stride *= 2
}

// before returns the offset of the last known transaction whose TID is at most
// tid, or of the first transaction of a file.
func (c *checkpoints) before(tid TID) int64 {
	i := sort.Search(len(c.list), func(i int) bool { return c.list[i].tid > tid })
	if i == 0 {
		return FirstOffset
	}
	return c.list[i-1].offset
}

// after returns the offset of the first known transaction with a greater TID
// than tid, or end.
func (c *checkpoints) after(tid TID, end int64) int64 {
	i := sort.Search(len(c.list), func(i int) bool { return c.list[i].tid > tid })
	if i == len(c.list) {
		return end
	}
	return c.list[i].offset
}

// merge adds known starts, in any order.
func (c *checkpoints) merge(more []checkpoint) {
	all := append(slices.Clone(c.list), more...)
	slices.SortFunc(all, func(a, b checkpoint) int { return cmp.Compare(a.offset, b.offset) })
	*c = checkpoints{stride: c.stride}
	for _, p := range all {
		c.add(p.tid, p.offset)
	}
}
