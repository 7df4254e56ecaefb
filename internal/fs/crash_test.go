package fs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

var errInjected = errors.New("injected failure")

// A faultyFile is a file in memory that fails its k-th write, sync or
// truncation, and remembers what would survive a loss of power.
type faultyFile struct {
	dataFile         // the real one, which keeps only its name
	synced   []byte  // what the last sync made durable
	pending  []write // since then
	now      []byte
	left     int // operations before the failure
	syncs    int
}

type write struct {
	off  int64
	b    []byte
	size int64 // a truncation to this size, if b is nil
}

func (f *faultyFile) step() error {
	if f.left--; f.left < 0 {
		return errInjected
	}
	return nil
}

func (f *faultyFile) Size() (int64, error) { return int64(len(f.now)), nil }

func (f *faultyFile) ReadAt(b []byte, off int64) (int, error) {
	return bytes.NewReader(f.now).ReadAt(b, off)
}

// WriteAt writes half of the sectors when it fails. That a sector is written
// whole or not at all is what the writer assumes of disks and of the kernel.
func (f *faultyFile) WriteAt(b []byte, off int64) (int, error) {
	err := f.step()
	w := write{off: off, b: bytes.Clone(b)}
	if err != nil {
		n := 0
		for parts := w.sectors(); len(parts) > 1; parts = parts[:len(parts)-2] {
			n += len(parts[0].b)
		}
		w.b = w.b[:n]
	}
	f.pending = append(f.pending, w)
	f.now = w.apply(f.now)
	return len(w.b), err
}

func (f *faultyFile) Truncate(size int64) error {
	if err := f.step(); err != nil {
		return err
	}
	w := write{size: size}
	f.pending = append(f.pending, w)
	f.now = w.apply(f.now)
	return nil
}

func (f *faultyFile) Sync() error {
	f.syncs++
	if err := f.step(); err != nil {
		return err
	}
	f.synced, f.pending = bytes.Clone(f.now), nil
	return nil
}

func (w write) apply(to []byte) []byte {
	if w.b == nil {
		return to[:min(int64(len(to)), w.size)]
	}
	if end := w.off + int64(len(w.b)); int64(len(to)) < end {
		to = append(to, make([]byte, end-int64(len(to)))...)
	}
	copy(to[w.off:], w.b)
	return to
}

// sectors splits a write as a disk might.
func (w write) sectors() (parts []write) {
	for off, b := w.off, w.b; len(b) > 0; {
		n := min(sectorSize-off%sectorSize, int64(len(b)))
		parts = append(parts, write{off: off, b: b[:n]})
		off, b = off+n, b[n:]
	}
	return parts
}

// survivors returns what a machine that fails now may find on its disk.
func (f *faultyFile) survivors(rnd *rand.Rand) map[string][]byte {
	return map[string][]byte{
		"synced": f.synced, "written": f.now,
		"some-sectors": f.someSectors(rnd), "other-sectors": f.someSectors(rnd),
	}
}

func (f *faultyFile) someSectors(rnd *rand.Rand) []byte {
	some := bytes.Clone(f.synced)
	for _, w := range f.pending {
		if w.b == nil {
			if rnd.IntN(2) == 0 {
				some = w.apply(some)
			}
			continue
		}
		for _, part := range w.sectors() {
			if rnd.IntN(2) == 0 {
				some = part.apply(some)
			}
		}
	}
	return some
}

// crashSource is a database with transactions of many sizes, some over a
// sector, a page, and the writer's buffer.
func crashSource(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "Data.fs")
	w := openWriter(t, path, WriterOptions{})
	rnd := rand.New(rand.NewPCG(1, 2))
	sizes := []int{10, 100, 455, 456, 470, 3, 5000, flushSize / 2, 30, 60, 8, 450, 1}
	var err error
	for i, size := range sizes {
		tid := TID(1000 + i)
		err = errors.Join(err, w.Begin(TxnHeader{TID: tid, Status: StatusComplete, User: bytes.Repeat([]byte("u"), rnd.IntN(40))}))
		for oid := range OID(1 + i%4) {
			err = errors.Join(err, w.Restore(Restored{OID: oid, TID: tid, Data: bytes.Repeat([]byte{byte(i + 1)}, size)}))
		}
		err = errors.Join(err, w.Commit(), w.Sync())
	}
	if err != nil {
		t.Fatal(err)
	}
	closeWriter(t, w)
	return readFile(t, path)
}

// TestWriter_Crash makes every write, sync and truncation of a writer fail in
// turn, for several ways to batch, and looks at what the disk may hold then:
// opening it finds whole transactions, at least those that were published,
// and replication goes on from there to an identical file.
func TestWriter_Crash(t *testing.T) {
	source := crashSource(t)
	for i, b := range []struct{ finish, sync int }{
		{100, 1}, {100, 2}, {100, 3}, {100, 5}, {100, 100}, {1, 100}, {2, 100}, {3, 100}, {5, 100}, {1, 4}, {2, 5}, {3, 4},
	} {
		t.Run(fmt.Sprintf("finish-every-%d,sync-every-%d", b.finish, b.sync), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(3, uint64(i)))
			for k := 0; ; k++ {
				file, acknowledged, err := crashAt(t, source, b.finish, b.sync, k)
				if err == nil {
					if k < 5 {
						t.Fatalf("only %d operations", k)
					}
					return
				}
				if !errors.Is(err, errInjected) {
					t.Fatalf("operation %d: %v", k, err)
				}
				for what, image := range file.survivors(rnd) {
					checkSurvivor(t, fmt.Sprintf("operation %d, %s", k, what), image, source, acknowledged)
				}
			}
		})
	}
}

// crashAt copies source through a writer whose k-th operation fails. It returns
// the file and the last TID that a Sync has acknowledged.
func crashAt(t *testing.T, source []byte, finish, sync, k int) (*faultyFile, TID, error) {
	t.Helper()
	file := &faultyFile{now: MagicPython3[:], synced: MagicPython3[:], left: 1 << 30}
	path := filepath.Join(t.TempDir(), "Data.fs")
	w := openWriter(t, path, WriterOptions{wrap: func(f dataFile) dataFile {
		file.dataFile = f
		file.now, file.synced = bytes.Clone(MagicPython3[:]), bytes.Clone(MagicPython3[:])
		return file
	}})
	file.left = k
	r := NewReader(bytes.NewReader(source), "", FirstOffset, int64(len(source)))
	_, err := copyTxns(r, w, func(n int) error {
		return errors.Join(every(finish, w.Finish)(n), every(sync, w.Sync)(n))
	})
	acknowledged := w.Log().Tip().TID
	if err != nil {
		w.lock.Unlock()
		file.dataFile.Close()
		return file, acknowledged, err
	}
	w.Close()
	return file, acknowledged, nil
}

// A cuttableFile can be truncated, as a full disk lets one do, when its writes
// and syncs fail.
type cuttableFile struct{ *faultyFile }

func (f cuttableFile) Truncate(size int64) error {
	f.now = f.now[:size]
	return nil
}

// TestWriter_CloseFails makes every write and sync of Close fail in turn, with much that
// was not written before: the file is as it was.
func TestWriter_CloseFails(t *testing.T) {
	source := crashSource(t)
	for k := 0; ; k++ {
		file := &faultyFile{left: 1 << 30}
		w := openWriter(t, filepath.Join(t.TempDir(), "Data.fs"), WriterOptions{wrap: func(f dataFile) dataFile {
			file.dataFile, file.now = f, bytes.Clone(MagicPython3[:])
			return cuttableFile{file}
		}})
		r := NewReader(bytes.NewReader(source), "", FirstOffset, int64(len(source)))
		for txn, err := range r.All() {
			if err = errors.Join(err, copyTxn(r, txn, w)); err != nil {
				t.Fatal(err)
			}
		}
		file.left = k
		err := w.Close()
		file.dataFile.Close()
		if err == nil {
			if k < 3 || !bytes.Equal(file.now, source) {
				t.Errorf("%d operations, %d bytes", k, len(file.now))
			}
			return
		}
		if !errors.Is(err, errInjected) || !bytes.Equal(file.now, MagicPython3[:]) {
			t.Errorf("operation %d: %v, %d bytes are left", k, err, len(file.now))
		}
	}
}

func checkSurvivor(t *testing.T, what string, image, source []byte, acknowledged TID) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "Data.fs")
	if err := os.WriteFile(path, image, 0o644); err != nil {
		t.Fatal(err)
	}
	w, err := OpenWriter(t.Context(), path, WriterOptions{})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if w.LastTID() < acknowledged {
		t.Fatalf("%s: last TID is %v, %v was acknowledged", what, w.LastTID(), acknowledged)
	}
	if got := readFile(t, path); !bytes.Equal(got, source[:len(got)]) {
		t.Fatalf("%s: what was kept differs from the source", what)
	}
	r := NewReader(bytes.NewReader(source), "", w.Log().Tip().Offset, int64(len(source)))
	if _, err := copyTxns(r, w, never); err != nil {
		t.Fatalf("%s: going on: %v", what, err)
	}
	closeWriter(t, w)
	if !bytes.Equal(readFile(t, path), source) {
		t.Fatalf("%s: the file differs in the end", what)
	}
}

// TestWriter_EveryByte cuts a file at every byte of its last transactions, as
// they were written in one batch that was not confirmed, and as they were when
// it was.
func TestWriter_EveryByte(t *testing.T) {
	f, size := openCorpus(t, "multi_undo/Data.fs")
	source := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, size), source); err != nil {
		t.Fatal(err)
	}
	file := &faultyFile{left: 1 << 30}
	path := filepath.Join(t.TempDir(), "Data.fs")
	w := openWriter(t, path, WriterOptions{wrap: func(f dataFile) dataFile {
		file.dataFile = f
		file.now = bytes.Clone(MagicPython3[:])
		return file
	}})
	n, err := copyTxns(NewReader(f, "", FirstOffset, size), w, func(i int) error {
		if i == 3 {
			return w.Sync()
		}
		return nil
	})
	if err != nil || n < 8 {
		t.Fatal(n, err)
	}
	closeWriter(t, w)
	half := len(source) / 2
	for end := half; end <= len(source); end++ {
		checkSurvivor(t, fmt.Sprintf("cut at %d", end), source[:end], source, 0)
	}
}
