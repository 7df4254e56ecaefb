package fs

import (
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
)

func TestIndex(t *testing.T) {
	var idx Index
	want := make(map[OID]int64)
	rng := rand.New(rand.NewPCG(1, 2))
	oids := []OID{0, 1, 255, 256, 1 << 16, 1<<64 - 1, 1<<64 - 256, 1<<64 - 257}
	for range 20_000 {
		oids = append(oids, OID(rng.Uint64N(60_000)))
	}
	for i, oid := range oids {
		off := rng.Int64N(MaxOffset + 1)
		switch {
		case i%7 == 3:
			idx.Delete(oid)
			delete(want, oid)
		case i%3 == 0:
			idx.Set(oid, off)
			want[oid] = off
		default:
			idx.SetMax(oid, off)
			old, ok := want[oid]
			if !ok || off > old {
				want[oid] = off
			}
		}
	}
	checkIndex(t, &idx, want)

	for oid := range want {
		idx.Delete(oid)
		idx.Delete(oid)
	}
	checkIndex(t, &idx, map[OID]int64{})
	for i := range idx.shards {
		if s := &idx.shards[i]; s.capacity != 0 || len(s.pages) != 0 {
			t.Errorf("empty shard %d has %d pages, %d bytes", i, len(s.pages), s.capacity)
		}
	}
}

func TestIndex_Offsets(t *testing.T) {
	var idx Index
	for i, off := range []int64{0, 1, 1<<16 - 1, 1 << 16, 1 << 32, MaxOffset} {
		idx.Set(OID(i), off)
		if got, ok := idx.Get(OID(i)); got != off || !ok {
			t.Errorf("Get() = %d, %v, want %d", got, ok, off)
		}
	}
	for _, off := range []int64{-1, MaxOffset + 1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Set(0, %d) did not panic", off)
				}
			}()
			idx.Set(0, off)
		}()
	}
}

func TestIndex_AllStops(*testing.T) {
	var idx Index
	for oid := range OID(1000) {
		idx.Set(oid, 4)
	}
	n := 0
	for range idx.All() {
		if n++; n == 300 { // going on would panic
			break
		}
	}
}

// Those who rebuild an index do it together, in any order.
func TestIndex_Concurrent(t *testing.T) {
	const workers, records, objects = 4, 20_000, 1000
	var idx Index
	want := make(map[OID]int64)
	for i := range workers * records {
		oid, off := concurrentRecord(i, objects)
		want[oid] = max(want[oid], off)
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range records {
				idx.SetMax(concurrentRecord(i*workers+w, objects))
				if i%1000 == 0 {
					idx.Get(OID(i))
					idx.Len()
					for range idx.All() {
					}
				}
			}
		})
	}
	wg.Wait()
	checkIndex(t, &idx, want)
}

// concurrentRecord returns the i-th of the records of a made-up file.
func concurrentRecord(i, objects int) (OID, int64) {
	return OID(i * 7919 % objects), int64(4 + i*7907%1_000_003)
}

// The figures in the doc comment of Index.
func TestIndex_Memory(t *testing.T) {
	for _, test := range []struct {
		name    string
		density float64
		want    float64 // bytes for an object
	}{
		{"dense", 1, 6.4},
		{"half", 0.5, 7.7},
		{"tenth", 0.1, 10.2},
	} {
		t.Run(test.name, func(t *testing.T) {
			const objects = 1_000_000
			rng := rand.New(rand.NewPCG(3, 4))
			idx := new(Index)
			for oid := OID(0); idx.Len() < objects; {
				for range objects / 100 {
					if rng.Float64() < test.density {
						idx.SetMax(oid, int64(oid)*100)
					}
					oid++
				}
			}
			n := float64(idx.Len())
			said := float64(idx.Bytes()) / n
			with := liveHeap()
			runtime.KeepAlive(idx)
			idx = nil
			got := (with - liveHeap()) / n
			t.Logf("%.2f bytes for an object, Bytes says %.2f", got, said)
			if got > test.want*1.08 || got < test.want*0.92 {
				t.Errorf("%.2f bytes for an object, want about %.1f", got, test.want)
			}
			if said > got*1.1 || said < got*0.9 {
				t.Errorf("Bytes() is %.2f for an object, measured %.2f", said, got)
			}
		})
	}
}

// liveHeap returns the bytes of all objects that are in use.
func liveHeap() float64 {
	runtime.GC()
	runtime.GC() // what a pool or a finalizer kept from the first
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}

func checkIndex(t *testing.T, idx *Index, want map[OID]int64) {
	t.Helper()
	if got := idx.Len(); got != len(want) {
		t.Errorf("Len() = %d, want %d", got, len(want))
	}
	for oid, off := range want {
		if got, ok := idx.Get(oid); got != off || !ok {
			t.Fatalf("Get(%v) = %d, %v, want %d", oid, got, ok, off)
		}
		if _, there := want[oid+1]; !there {
			if got, ok := idx.Get(oid + 1); ok {
				t.Fatalf("Get(%v) = %d, want none", oid+1, got)
			}
		}
	}
	var order []OID
	for oid, off := range idx.All() {
		order = append(order, oid)
		if off != want[oid] {
			t.Fatalf("All() has %d for %v, want %d", off, oid, want[oid])
		}
	}
	if !slices.Equal(order, slices.Sorted(maps.Keys(want))) {
		t.Errorf("All() has %d objects, not the %d, in ascending order", len(order), len(want))
	}
}

func BenchmarkIndex_SetMax(b *testing.B) {
	for _, test := range []struct {
		name string
		oid  func(i int) OID
	}{
		{"sequential", func(i int) OID { return OID(i) }},
		{"random", func(i int) OID { return OID(uint64(i) * 0x9e3779b97f4a7c15 >> 44) }}, // 2^20 OIDs
	} {
		b.Run(test.name, func(b *testing.B) {
			const objects = 1_000_000
			for b.Loop() {
				var idx Index
				for i := range objects {
					idx.SetMax(test.oid(i), int64(i)*100)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/objects, "ns/object")
		})
	}
}

func BenchmarkIndex_Get(b *testing.B) {
	const objects = 1 << 20
	var idx Index
	for i := range objects {
		idx.Set(OID(i), int64(i)*100)
	}
	for _, test := range []struct {
		name string
		step OID
	}{
		{"sequential", 1},
		{"random", 0x9e3779b1},
	} {
		b.Run(test.name, func(b *testing.B) {
			oid := OID(0)
			for b.Loop() {
				oid = (oid + test.step) % objects
				if _, ok := idx.Get(oid); !ok {
					b.Fatal("missing")
				}
			}
		})
	}
}

func BenchmarkIndex_All(b *testing.B) {
	const objects = 1 << 20
	var idx Index
	for i := range objects {
		idx.Set(OID(i), int64(i)*100)
	}
	for b.Loop() {
		for range idx.All() {
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/objects, "ns/object")
}
