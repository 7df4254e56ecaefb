package fs

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func openBytes(t *testing.T, data []byte) *File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "Data.fs")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// offsets returns where the records of a span start.
func offsets(span *Span) (all []int64) {
	r := span.Reader(span.Offset)
	for {
		if _, err := r.Next(); err != nil {
			return all
		}
		for {
			rec, err := r.NextRecord()
			if err != nil {
				break
			}
			all = append(all, rec.Offset)
		}
	}
}

// TestPass gives every record once, in order, whatever the sizes of transactions.
func TestPass(t *testing.T) {
	data := mixed(t, 400)
	var want []int64
	_, c, err := slowIndex(data)
	if err != nil {
		t.Fatal(err)
	}
	r := NewReader(bytes.NewReader(data), "", FirstOffset, int64(len(data)))
	for range r.All() {
		for {
			rec, err := r.NextRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			want = append(want, rec.Offset)
		}
	}
	var got []int64
	large := 0
	at := FirstOffset
	end, flaw, err := Pass(t.Context(), openBytes(t, data), Place{Offset: FirstOffset}, offsets, func(span *Span, offs []int64) error {
		if span.Offset != at {
			t.Errorf("a span starts at %d, the one before ended at %d", span.Offset, at)
		}
		if span.Large {
			large++
		}
		at = span.End
		got = append(got, offs...)
		return nil
	})
	if err != nil || flaw != nil || end != (Place{c.end, c.last}) || at != c.end {
		t.Errorf("Pass() = %v, %v, %v, spans end at %d; want %d", end, flaw, err, at, c.end)
	}
	if large == 0 || len(got) != len(want) {
		t.Fatalf("%d records, %d large spans, want %d records", len(got), large, len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("record %d is at %d, want %d", i, got[i], want[i])
		}
	}
}

// TestScan_Large holds that of transactions that are larger than a chunk only the
// headers are read.
func TestScan_Large(t *testing.T) {
	data := []byte("FS30")
	for i := range 20 {
		at := len(data)
		head := TxnHeader{TID: TID(i + 1), Status: StatusComplete, Length: txnHeaderSize + recordHeaderSize + 2<<20}
		data = head.AppendTo(data)
		data = append(data, make([]byte, 24)...) // oid, tid, prev
		data = binary.BigEndian.AppendUint64(data, uint64(at))
		data = append(data, 0, 0)
		data = binary.BigEndian.AppendUint64(data, 2<<20)
		data = append(data, make([]byte, 2<<20)...)
		data = binary.BigEndian.AppendUint64(data, head.Length)
	}
	src := &countedReader{ReaderAt: bytes.NewReader(data)}
	s, err := scan(t.Context(), src, "", FirstOffset, int64(len(data)), 0, nil, nil)
	if err != nil || s.err != nil || s.count != 20 {
		t.Fatalf("scan() = %+v, %v", s, err)
	}
	if n := src.n.Load(); n > 4<<20 {
		t.Errorf("%d bytes were read of %d", n, len(data))
	}
}

// TestPass_Ends has what ends a pass: damage, a torn tail, the function, the
// context.
func TestPass_Ends(t *testing.T) {
	data := mixed(t, 100)
	r := NewReader(bytes.NewReader(data), "", FirstOffset, int64(len(data)))
	for range 20 {
		if _, err := r.Next(); err != nil {
			t.Fatal(err)
		}
	}
	bad := bytes.Clone(data)
	bad[r.Offset()+statusOffset] = 'x'
	pass := func(ctx context.Context, data []byte, then error) (Place, error, error) {
		return Pass(ctx, openBytes(t, data), Place{Offset: FirstOffset}, offsets, func(*Span, []int64) error { return then })
	}
	if _, flaw, err := pass(t.Context(), bad, nil); !errors.Is(flaw, ErrDamaged) || err != nil {
		t.Errorf("damaged: %v, %v", flaw, err)
	}
	if _, flaw, err := pass(t.Context(), data[:len(data)-1], nil); !errors.Is(flaw, ErrTornTail) || err != nil {
		t.Errorf("cut: %v, %v", flaw, err)
	}
	stop := errors.New("stop")
	if _, _, err := pass(t.Context(), data, stop); !errors.Is(err, stop) {
		t.Errorf("stopped: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	if _, _, err := pass(ctx, data, nil); !errors.Is(err, stop) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestLoader(t *testing.T) {
	data := mixed(t, 200)
	f := openBytes(t, data)
	idx, _, err := slowIndex(data)
	if err != nil {
		t.Fatal(err)
	}
	l := f.Loader()
	for oid, off := range idx.All() {
		for _, until := range []int64{0, off + 3000, off + 1<<20} {
			rec, got, err := l.Load(off, until)
			if err != nil || rec.OID != oid || rec.Offset != off {
				t.Fatalf("Load(%d) = %+v, %v", off, rec, err)
			}
			if want := data[rec.DataOffset() : rec.DataOffset()+rec.Length]; !bytes.Equal(got, want) {
				t.Fatalf("Load(%d, %d): %d bytes, want %d", off, until, len(got), len(want))
			}
		}
	}
	for _, off := range []int64{-1, 0, 3, 30, int64(len(data)) - 10, int64(len(data)), 1 << 50} {
		if _, _, err := l.Load(off, off+100); err == nil {
			t.Errorf("Load(%d): no error", off)
		}
	}
}

// TestLoader_Back follows back pointers, also to nothing.
func TestLoader_Back(t *testing.T) {
	f, err := OpenFile(corpusPath(t, "undo_creation/Data.fs"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	gone, same := 0, 0
	r := f.Reader(FirstOffset, f.Size())
	for range r.All() {
		for {
			rec, err := r.NextRecord()
			if err != nil {
				break
			}
			want, err := r.Resolve()
			if err != nil {
				t.Fatal(err)
			}
			_, data, err := f.Loader().Load(rec.Offset, 0)
			if err != nil || (data == nil) != want.Gone || int64(len(data)) != want.Length {
				t.Errorf("Load(%d): %d bytes, %v, want %+v", rec.Offset, len(data), err, want)
			}
			if want.Gone {
				gone++
			} else if rec.Length == 0 {
				same++
			}
		}
	}
	if gone == 0 || same == 0 {
		t.Errorf("%d records without data, %d with another's", gone, same)
	}
}

func TestIndex_Number(t *testing.T) {
	var x Index
	oids := []OID{0, 1, 255, 256, 257, 1 << 20, 1<<63 + 5, 1<<64 - 1}
	for i, oid := range oids {
		if before := x.Replace(oid, int64(100+i)); before != 0 {
			t.Errorf("Replace(%v) = %d", oid, before)
		}
		if before := x.Replace(oid, int64(200+i)); before != int64(100+i) {
			t.Errorf("Replace(%v) = %d, want %d", oid, before, 100+i)
		}
	}
	if n := x.Number(); n != len(oids) {
		t.Fatalf("Number() = %d", n)
	}
	for i, oid := range oids {
		if off, n, ok := x.Find(oid); !ok || n != i || off != int64(200+i) {
			t.Errorf("Find(%v) = %d, %d, %v", oid, off, n, ok)
		}
		if got, off := x.At(i); got != oid || off != int64(200+i) {
			t.Errorf("At(%d) = %v, %d", i, got, off)
		}
	}
	for _, oid := range []OID{2, 258, 1 << 40} {
		if _, _, ok := x.Find(oid); ok {
			t.Errorf("Find(%v): there is none", oid)
		}
	}
}

// A replacedAt is a file in which the bytes from an offset on are others once they
// were read.
type replacedAt struct {
	mu     sync.Mutex
	data   []byte
	at     int64
	behind []byte
}

func (r *replacedAt) ReadAt(b []byte, off int64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, err := bytes.NewReader(r.data).ReadAt(b, off)
	if off+int64(len(b)) > r.at {
		copy(r.data[r.at:], r.behind)
	}
	return n, err
}

// TestPass_HeaderInTwoChunks has a transaction aborted and committed anew while the
// chunk is read that its header begins in: the header is not put together from both.
func TestPass_HeaderInTwoChunks(t *testing.T) {
	const cut = 10 // bytes of the header are in the first of the two chunks
	data := []byte("FS30")
	tid := TID(0)
	add := func(size int) {
		tid++
		data = append(data, simpleTxn(tid, int64(len(data)), StatusComplete, strings.Repeat("x", size))...)
	}
	least := len(simpleTxn(1, 4, StatusComplete, "x")) - 1
	at := FirstOffset
	for chunk := int64(firstChunk); chunk <= scanChunk; chunk *= 2 { // each to its end
		size := int(at+chunk) - len(data) - least
		if chunk == scanChunk {
			size -= cut
		}
		add(size)
		at = int64(len(data))
	}
	src := &replacedAt{at: at, behind: simpleTxn(1<<32, at, StatusComplete, strings.Repeat("y", 1000))}
	src.data = append(data, simpleTxn(tid+1, at, StatusCheckpoint, strings.Repeat("x", 1000))...)
	p := &pass{src: src, path: "Data.fs", end: int64(len(src.data)), at: Place{Offset: FirstOffset}}
	err := runPass(t.Context(), p, func(*Span) int { return 0 }, func(*Span, int) error { return nil })
	if err != nil || p.flaw != nil || p.at != (Place{p.end, 1 << 32}) {
		t.Errorf("the pass came to %+v, %v, %v; want the end and the transaction that is there", p.at, p.flaw, err)
	}
}
