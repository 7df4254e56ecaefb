package verify

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"zrs/internal/fs"
	"zrs/internal/pickle"
)

// References is what came of following the references between objects.
type References struct {
	Reachable int64 // objects, from the root
	Orphans   int64 // objects that are not gone, and not reachable
	Gone      int64 // objects that were deleted, or whose creation was undone
	Followed  int64 // references
	Dangling  int64 // references of reachable objects that lead nowhere
	// DanglingOrphans are references of orphans that lead nowhere. They are no
	// findings: nobody can follow them, and a pack removes them.
	DanglingOrphans int64
}

const (
	// maxBatch is how many objects are in hand at a time. What is reachable but
	// has no place in the next batch is marked, and found again later.
	maxBatch = 1 << 18

	// partsEach is in how many parts a batch is cut for each worker: who is done
	// takes another one.
	partsEach = 8

	// readAhead is the greatest distance of two records that are read at once.
	readAhead = 16 << 10

	// fewest is how many objects a worker gets at least.
	fewest = 256

	// maxSteps is how many objects of a path are told.
	maxSteps = 32
)

// A walk follows references. It holds the index, and 4 bytes and a bit for each
// object: the graph is not kept, each object is read when its turn has come.
type walk struct {
	s       *sounder
	root    uint32
	n       int             // objects
	parents []atomic.Uint32 // number plus 1 of the object that led here, the root's own for it; 0: not reached
	waiting []atomic.Uint64 // bits of objects that were reached but are in no batch
	late    atomic.Bool     // some are
	orphans bool            // those that are left over are being read
	report  References
	before  int64   // bytes of progress that were done before
	perItem float64 // and for each object
	done    float64
}

// A place is an object in a batch.
type place struct {
	off int64
	n   uint32
}

// followReferences reads the current record of every object, from the root on.
func (s *sounder) followReferences(ctx context.Context) error {
	w := &walk{s: s, n: s.idx.Number(), before: s.o.Progress.Bytes.Load()}
	s.report.References = &w.report
	if w.n == 0 {
		return nil
	}
	if int64(w.n) >= math.MaxUint32 {
		return fmt.Errorf("%d objects are too many to follow the references of", w.n)
	}
	w.parents, w.waiting = make([]atomic.Uint32, w.n), make([]atomic.Uint64, w.n/64+1)
	w.report.Gone = int64(s.gone.Len())
	w.perItem = float64(s.f.Size()) / float64(w.n)
	defer s.o.Progress.Bytes.Store(w.before + s.f.Size())

	off, root, ok := s.idx.Find(0)
	if _, gone := s.gone.Get(0); !ok || gone {
		s.found(&Finding{Kind: KindRoot, Severity: Damage, Offset: NoOffset, HasOID: true, Detail: fmt.Sprintf("%d objects, but no root", w.n)})
	} else {
		w.root = uint32(root)
		w.parents[root].Store(w.root + 1)
		if err := w.reach(ctx, place{off, w.root}); err != nil {
			return err
		}
	}
	return w.leftOver(ctx)
}

// reach reads all that can be reached from an object.
func (w *walk) reach(ctx context.Context, from place) error {
	for batch := []place{from}; len(batch) > 0; {
		w.report.Reachable += int64(len(batch))
		next, err := w.batch(ctx, batch)
		if err != nil {
			return err
		}
		if len(next) == 0 {
			next = w.refill()
		}
		batch = next
	}
	return nil
}

// leftOver reads what could not be reached.
func (w *walk) leftOver(ctx context.Context) error {
	w.orphans = true
	var batch []place
	n := 0
	for oid, off := range w.s.idx.All() {
		_, gone := w.s.gone.Get(oid)
		if !gone && w.parents[n].Load() == 0 {
			w.report.Orphans++
			batch = append(batch, place{off, uint32(n)})
		}
		n++
		if len(batch) >= w.s.maxBatch || n == w.n && len(batch) > 0 {
			if _, err := w.batch(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return nil
}

// refill returns a batch of objects that found no place in an earlier one.
func (w *walk) refill() (batch []place) {
	if !w.late.Swap(false) {
		return nil
	}
	for i := range w.waiting {
		for word := w.waiting[i].Load(); word != 0; word &= word - 1 {
			if len(batch) >= w.s.maxBatch {
				w.late.Store(true)
				return batch
			}
			n := uint32(i*64 + bits.TrailingZeros64(word))
			w.waiting[i].And(^(word & -word))
			_, off := w.s.idx.At(int(n))
			batch = append(batch, place{off, n})
		}
	}
	return batch
}

// A part is what a worker found out about its part of a batch.
type part struct {
	next     []place
	findings []Finding
	untold   map[fs.Kind]int64 // findings beyond those
	followed int64
	dangling int64
	err      error
}

// find keeps a finding, if it may be told.
func (p *part) find(f Finding, limit int) {
	if len(p.findings) < limit {
		p.findings = append(p.findings, f)
		return
	}
	if p.untold == nil {
		p.untold = map[fs.Kind]int64{}
	}
	p.untold[f.Kind]++
}

// batch reads the records of some objects, in the order of the file, and returns
// those that they lead to and nobody did before.
func (w *walk) batch(ctx context.Context, batch []place) (next []place, err error) {
	slices.SortFunc(batch, func(a, b place) int { return cmp.Compare(a.off, b.off) })
	parts := make([]part, max(1, min(partsEach*runtime.GOMAXPROCS(0), len(batch)/fewest)))
	size := (len(batch) + len(parts) - 1) / len(parts)
	var taken atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(parts)) {
		wg.Go(func() {
			for i := int(taken.Add(1)) - 1; i < len(parts); i = int(taken.Add(1)) - 1 {
				mine := batch[min(i*size, len(batch)):min((i+1)*size, len(batch))]
				w.part(ctx, mine, &parts[i], w.s.maxBatch/len(parts))
			}
		})
	}
	wg.Wait()
	for i := range parts {
		p := &parts[i]
		if p.err != nil {
			return nil, p.err
		}
		w.report.Followed += p.followed
		if w.orphans {
			w.report.DanglingOrphans += p.dangling
		} else {
			w.report.Dangling += p.dangling
		}
		for j := range p.findings {
			f := &p.findings[j]
			if w.s.told < w.s.o.Max {
				w.describe(f)
			}
			w.s.found(f)
		}
		for kind, n := range p.untold {
			w.s.count(kind, Damage, n)
		}
		next = append(next, p.next...)
	}
	w.done += float64(len(batch)) * w.perItem
	w.s.o.Progress.Bytes.Store(w.before + int64(w.done))
	return next, nil
}

// part does the work of a worker: room is how many objects it may return.
func (w *walk) part(ctx context.Context, batch []place, p *part, room int) {
	load := w.s.f.Loader()
	var reader pickle.ReferenceReader
	ahead := 0 // batch[:ahead] is read at once
	for i, at := range batch {
		if i%fewest == 0 && ctx.Err() != nil {
			p.err = context.Cause(ctx)
			return
		}
		for ahead = max(ahead, i+1); ahead < len(batch) && batch[ahead].off-batch[ahead-1].off < readAhead; {
			ahead++
		}
		rec, data, err := load.Load(at.off, batch[ahead-1].off+readAhead/4)
		if err == nil && data == nil {
			continue // gone
		}
		if err != nil {
			w.unread(p, &rec, err)
			continue
		}
		refs, err := reader.Read(data)
		if err != nil {
			p.find(about(&rec, KindPickle, "%v", err), w.s.o.Max)
		}
		for ; len(refs) >= 8; refs = refs[8:] {
			w.follow(p, at.n, &rec, fs.OID(binary.BigEndian.Uint64(refs)), room)
		}
	}
}

// unread notes that the record of an object could not be read.
func (w *walk) unread(p *part, rec *fs.Record, err error) {
	e, _ := errors.AsType[*fs.RecordError](err)
	switch {
	case errors.Is(err, fs.ErrTooLarge):
		f := about(rec, KindUnread, "%v", err)
		f.Severity = Note
		p.findings = append(p.findings, f) // 1 GiB each: they cannot be many
	case errors.Is(err, fs.ErrDamaged) && e != nil:
		// Structure has told of it already.
	default:
		p.err = err
	}
}

// follow follows a reference of an object.
func (w *walk) follow(p *part, from uint32, rec *fs.Record, to fs.OID, room int) {
	p.followed++
	off, n, ok := w.s.idx.Find(to)
	gone := false
	if ok && w.s.anyGone {
		_, gone = w.s.gone.Get(to)
	}
	if !ok || gone {
		p.dangling++
		if w.orphans {
			return
		}
		f := about(rec, KindDangling, "refers to object %s, of which there is no record", to)
		if ok {
			f.Detail = fmt.Sprintf("refers to object %s, which was deleted or whose creation was undone", to)
		}
		f.Target = to
		p.find(f, w.s.o.Max)
		return
	}
	if w.orphans || w.parents[n].Load() != 0 || !w.parents[n].CompareAndSwap(0, from+1) {
		return
	}
	if len(p.next) < room {
		p.next = append(p.next, place{off, uint32(n)})
		return
	}
	w.waiting[n/64].Or(1 << (n % 64))
	w.late.Store(true)
}

// describe adds the names of classes to a finding about the record of an object,
// and to a dangling reference how to get there.
func (w *walk) describe(f *Finding) {
	load := w.s.f.Loader()
	_, data, _ := load.Load(f.Offset, 0)
	f.Class = className(data)
	if f.Kind != KindDangling {
		return
	}
	if class := referredClass(data, f.Target); class != "" {
		f.Detail += " (" + class + ")"
	}
	_, n, ok := w.s.idx.Find(f.OID)
	if !ok || uint32(n) != w.root && w.parents[n].Load() == 0 {
		return // the file was overwritten meanwhile: it is another object's record now
	}
	length := 1
	for at := uint32(n); at != w.root; at = w.parents[at].Load() - 1 {
		length++
	}
	// From the object up to the root, leaving out the middle of a long way.
	for at, i := uint32(n), length; ; at, i = w.parents[at].Load()-1, i-1 {
		if i <= maxSteps/2 || i > length-maxSteps/2 {
			oid, off := w.s.idx.At(int(at))
			_, data, _ := load.Load(off, 0)
			f.Path = append(f.Path, Step{OID: oid, Class: className(data)})
		} else {
			f.Path[len(f.Path)-1].Skipped++
		}
		if at == w.root {
			break
		}
	}
	slices.Reverse(f.Path)
}

// className returns the class of an object as people write it, "" if its data
// does not tell.
func className(data []byte) string {
	module, name, _ := pickle.ClassName(data)
	return pickle.FullName(module, name)
}

// referredClass returns the class that a record tells of the object oid, to which
// it refers; "" if it does not.
func referredClass(data []byte, oid fs.OID) string {
	var d pickle.Decoder
	if _, n, err := d.Decode(data); err != nil {
		return ""
	} else if _, _, err := d.DecodeNext(data[n:]); err != nil {
		return ""
	}
	want := string(oid.AppendTo(nil))
	for v := range d.Values() {
		if v.Kind != pickle.Persistent || v.Items[0].Kind != pickle.Tuple || len(v.Items[0].Items) != 2 {
			continue
		}
		id, class := v.Items[0].Items[0], v.Items[0].Items[1]
		if string(id.Data) == want && class.Kind == pickle.Global {
			return strings.ReplaceAll(string(class.Data), "\n", ".")
		}
	}
	return ""
}
