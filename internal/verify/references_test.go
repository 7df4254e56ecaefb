package verify

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"zrs/internal/fs"
)

// refersTo is the data of an object of class m.C that refers to others.
func refersTo(oids ...uint64) []byte {
	b := []byte("\x80\x03cm\nC\nq\x00.\x80\x03](")
	for _, oid := range oids {
		b = append(b, "C\x08"...)
		b = binary.BigEndian.AppendUint64(b, oid)
		b = append(b, "h\x00\x86Q"...)
	}
	return append(b, "e."...)
}

// A object is a current record of a graph: gone without data.
type object struct {
	oid  uint64
	data []byte
}

// graph makes a data file with an object in each transaction.
func graph(t *testing.T, objects []object) []byte {
	t.Helper()
	be := binary.BigEndian
	b := []byte("FS30")
	prev := map[uint64]uint64{}
	for i, o := range objects {
		at, tid := uint64(len(b)), uint64(1000+i)
		length := uint64(23 + 42 + len(o.data))
		if len(o.data) == 0 {
			length += 8 // the back pointer
		}
		b = append(be.AppendUint64(be.AppendUint64(b, tid), length), ' ', 0, 0, 0, 0, 0, 0)
		rec := uint64(len(b))
		for _, v := range []uint64{o.oid, tid, prev[o.oid], at} {
			b = be.AppendUint64(b, v)
		}
		b = be.AppendUint64(append(b, 0, 0), uint64(len(o.data)))
		if len(o.data) == 0 {
			b = be.AppendUint64(b, 0)
		}
		b = be.AppendUint64(append(b, o.data...), length)
		prev[o.oid] = rec
	}
	return b
}

func TestSound_References(t *testing.T) {
	root := func(oids ...uint64) object { return object{0, refersTo(oids...)} }
	tests := []struct {
		name     string
		objects  []object
		want     References
		kinds    []fs.Kind
		lastPath string // of the last finding
	}{
		{"tree", []object{root(1, 2), {1, refersTo(3)}, {2, refersTo()}, {3, refersTo()}}, References{Reachable: 4, Followed: 3}, nil, ""},
		{"cycle", []object{root(1), {1, refersTo(2)}, {2, refersTo(0, 1)}}, References{Reachable: 3, Followed: 4}, nil, ""},
		{"itself", []object{root(0)}, References{Reachable: 1, Followed: 1}, nil, ""},
		{"orphan", []object{root(1), {1, refersTo()}, {2, refersTo(3)}, {3, refersTo(2)}}, References{Reachable: 2, Orphans: 2, Followed: 3}, nil, ""},
		{"dangling", []object{root(1), {1, refersTo(2)}, {2, refersTo(3)}}, References{Reachable: 3, Followed: 3, Dangling: 1}, []fs.Kind{KindDangling}, "0 1 2"},
		{"dangling-of-root", []object{root(7)}, References{Reachable: 1, Followed: 1, Dangling: 1}, []fs.Kind{KindDangling}, "0"},
		{"dangling-twice", []object{root(7, 1), {1, refersTo(7)}}, References{Reachable: 2, Followed: 3, Dangling: 2}, []fs.Kind{KindDangling, KindDangling}, "0 1"},
		{"dangling-of-orphan", []object{root(), {1, refersTo(7)}}, References{Reachable: 1, Orphans: 1, Followed: 1, DanglingOrphans: 1}, nil, ""},
		{"older-revision", []object{root(7), root()}, References{Reachable: 1}, nil, ""},
		{"deleted", []object{root(1), {1, refersTo()}, {1, nil}}, References{Reachable: 1, Gone: 1, Followed: 1, Dangling: 1}, []fs.Kind{KindDangling}, "0"},
		{"deleted-and-back", []object{root(1), {1, nil}, {1, refersTo()}}, References{Reachable: 2, Followed: 1}, nil, ""},
		{"no-root", []object{{1, refersTo(2)}, {2, refersTo()}}, References{Orphans: 2, Followed: 1}, []fs.Kind{KindRoot}, ""},
		{"root-deleted", []object{root(1), {1, refersTo()}, {0, nil}}, References{Orphans: 1, Gone: 1}, []fs.Kind{KindRoot}, ""},
		{"broken-pickle", []object{root(1), {1, []byte("\x80\x03cm\nC\nq\x00.\x80\x03](")}}, References{Reachable: 2, Followed: 1}, []fs.Kind{KindPickle}, ""},
		{"broken-orphan", []object{root(), {1, []byte("no pickle")}}, References{Reachable: 1, Orphans: 1}, []fs.Kind{KindPickle}, ""},
		{"sparse", []object{root(1 << 60), {1 << 60, refersTo(1<<64 - 1)}, {1<<64 - 1, refersTo()}}, References{Reachable: 3, Followed: 2}, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := sound(t, writeFile(t, graph(t, tt.objects)), Options{References: true})
			if *o.References != tt.want {
				t.Errorf("%+v, want %+v", *o.References, tt.want)
			}
			if len(o.findings) != len(tt.kinds) {
				t.Fatalf("%+v, want %v", o.findings, tt.kinds)
			}
			for i, f := range o.findings {
				if f.Kind != tt.kinds[i] {
					t.Errorf("%+v, want %s", f, tt.kinds[i])
				}
				if f.Kind == KindDangling && f.Class != "m.C" {
					t.Errorf("class %q", f.Class)
				}
			}
			if tt.lastPath != "" {
				if got := pathOf(&o.findings[len(o.findings)-1]); got != tt.lastPath {
					t.Errorf("path %s, want %s", got, tt.lastPath)
				}
			}
		})
	}
}

func pathOf(f *Finding) (s string) {
	for i, step := range f.Path {
		if i > 0 {
			s += " "
		}
		if step.Skipped > 0 {
			s += fmt.Sprintf("(%d) ", step.Skipped)
		}
		s += fmt.Sprint(uint64(step.OID))
	}
	return s
}

// TestSound_LongPath has a chain of objects: the path to its end is told without
// its middle.
func TestSound_LongPath(t *testing.T) {
	const length = 100
	var objects []object
	for i := range uint64(length) {
		objects = append(objects, object{i, refersTo(i + 1)})
	}
	o := sound(t, writeFile(t, graph(t, objects)), Options{References: true})
	if len(o.findings) != 1 || o.References.Reachable != length {
		t.Fatalf("%+v %+v", o.References, o.findings)
	}
	f := &o.findings[0]
	if len(f.Path) != maxSteps || f.Path[0].OID != 0 || f.Path[maxSteps-1].OID != length-1 || f.Path[maxSteps/2].Skipped != length-maxSteps {
		t.Errorf("path %s", pathOf(f))
	}
}

// TestSound_RandomGraphs compares with a slow walk, on graphs of every density,
// with objects in any order in the file.
func TestSound_RandomGraphs(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 3))
	for range 200 {
		n := 1 + rnd.IntN(60)
		refs := make([][]uint64, n)
		objects := make([]object, 0, n)
		exists := map[uint64]bool{}
		for _, i := range rnd.Perm(n) {
			if i > 0 && rnd.IntN(10) == 0 {
				continue
			}
			exists[uint64(i)] = true
			for range rnd.IntN(3) {
				refs[i] = append(refs[i], uint64(rnd.IntN(n)))
			}
			objects = append(objects, object{uint64(i), refersTo(refs[i]...)})
		}
		reached := map[uint64]bool{0: true}
		dangling := int64(0)
		for todo := []uint64{0}; len(todo) > 0; {
			at := todo[0]
			todo = todo[1:]
			for _, to := range refs[at] {
				if !exists[to] {
					dangling++
				} else if !reached[to] {
					reached[to] = true
					todo = append(todo, to)
				}
			}
		}
		o := sound(t, writeFile(t, graph(t, objects)), Options{References: true})
		r := o.References
		if r.Reachable != int64(len(reached)) || r.Orphans != int64(len(exists)-len(reached)) || r.Dangling != dangling {
			t.Fatalf("%+v, want %d reachable of %d, %d dangling", r, len(reached), len(exists), dangling)
		}
		for _, f := range o.findings {
			if last := f.Path[len(f.Path)-1]; last.OID != f.OID || f.Path[0].OID != 0 {
				t.Fatalf("path %s to %v", pathOf(&f), f.OID)
			}
			for i, step := range f.Path[1:] {
				found := false
				for _, to := range refs[f.Path[i].OID] {
					found = found || to == uint64(step.OID)
				}
				if !found {
					t.Fatalf("path %s: no reference from %v to %v", pathOf(&f), f.Path[i].OID, step.OID)
				}
			}
		}
	}
}

// TestWalk_Late has more objects than fit in a batch.
func TestWalk_Late(t *testing.T) {
	var objects []object
	var all []uint64
	const n = 3000
	for i := range uint64(n) {
		all = append(all, i+1)
		objects = append(objects, object{i + 1, refersTo()})
	}
	path := writeFile(t, graph(t, append([]object{{0, refersTo(all...)}}, objects...)))
	f, err := fs.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := newSounder(f, Options{References: true, Progress: new(Progress)})
	if err := s.structure(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.maxBatch = 100
	if err := s.followReferences(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := s.report.References; r.Reachable != n+1 || r.Orphans != 0 {
		t.Errorf("%+v", r)
	}
}
