package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// A Dataset is data to measure on: a FileStorage, with blobs or without.
type Dataset struct {
	Name string // also of its directory
	make func(w *storageWriter, blobs string, scale float64) error
	// blobs tells whether there is a blob directory.
	blobs bool
}

// Numbers at scale 1 and sizes of blobs.
const (
	smallBlobs, smallBlob = 1024, 1 << 20
	largeBlobs, largeBlob = 10, 100 << 20
)

// The datasets, with their sizes at scale 1.
var (
	// Records is 1 GB of records of about 1 kB, 20 a transaction, in a
	// quarter of a million objects that are all reachable from the root.
	Records = Dataset{Name: "records", make: makeRecords}
	// Quarter is a quarter of Records: what needs as much memory for either
	// needs no more for larger ones.
	Quarter = Dataset{Name: "records-quarter", make: func(w *storageWriter, dir string, scale float64) error {
		return makeRecords(w, dir, scale/4)
	}}
	// Tiny is 100 000 transactions of one record of some 100 bytes.
	Tiny = Dataset{Name: "tiny", make: makeTiny}
	// SmallBlobs is 1 GiB of blobs of 1 MiB, one a transaction.
	SmallBlobs = Dataset{Name: "small-blobs", blobs: true, make: func(w *storageWriter, dir string, scale float64) error {
		return makeBlobs(w, dir, scaled(smallBlobs, scale), smallBlob)
	}}
	// LargeBlobs is 1 GiB of blobs of 100 MiB.
	LargeBlobs = Dataset{Name: "large-blobs", blobs: true, make: func(w *storageWriter, dir string, scale float64) error {
		return makeBlobs(w, dir, scaled(largeBlobs, scale), largeBlob)
	}}

	Datasets = []Dataset{Records, Quarter, Tiny, SmallBlobs, LargeBlobs}
)

// Files are those of a generated dataset.
type Files struct {
	Dataset      string  `json:"dataset"`
	Scale        float64 `json:"scale"`
	Data         string  `json:"data"`            // path of the data file; it has no index
	Blobs        string  `json:"blobs,omitempty"` // blob directory, if there is one
	LastTID      string  `json:"last_tid"`        // 16 hex digits
	Transactions int     `json:"transactions"`
	Records      int     `json:"records"`
	Objects      int     `json:"objects"`
	DataBytes    int64   `json:"data_bytes"`
	BlobBytes    int64   `json:"blob_bytes,omitempty"`
}

// Generate makes a dataset in a directory of its name below dir, always with
// the same contents. If it is there already, at that scale, it is left alone.
func Generate(dir string, d Dataset, scale float64) (*Files, error) {
	dir = filepath.Join(dir, d.Name)
	stamp := filepath.Join(dir, "dataset.json")
	f := &Files{}
	if b, err := os.ReadFile(stamp); err == nil {
		if json.Unmarshal(b, f) == nil && f.Scale == scale && f.Objects > 0 && filepath.Dir(f.Data) == dir {
			return f, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}

	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f = &Files{Dataset: d.Name, Scale: scale, Data: filepath.Join(dir, "Data.fs")}
	if d.blobs {
		f.Blobs = filepath.Join(dir, "blobs")
	}
	if err := f.generate(d); err != nil {
		return nil, fmt.Errorf("%s: %w", d.Name, err)
	}
	b, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	return f, os.WriteFile(stamp, b, 0o644)
}

func (f *Files) generate(d Dataset) error {
	data, err := os.Create(f.Data)
	if err != nil {
		return err
	}
	defer data.Close()
	w, err := newStorageWriter(data)
	if err != nil {
		return err
	}
	if err := d.make(w, f.Blobs, f.Scale); err != nil {
		return err
	}
	if err := w.w.Flush(); err != nil {
		return err
	}
	w.txns-- // back to the last
	f.LastTID = fmt.Sprintf("%016x", w.nextTID())
	f.Transactions, f.Records, f.Objects, f.DataBytes = w.txns+1, w.records, len(w.current), w.pos
	if f.BlobBytes, err = blobBytes(f.Blobs); err != nil {
		return err
	}
	return data.Close()
}

// Warm reads all files of a dataset, so that the first who is measured does not
// pay for bringing them into the kernel's cache.
func (f *Files) Warm() error {
	return filepath.WalkDir(filepath.Dir(f.Data), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.Copy(onlyWriter{io.Discard}, file)
		return err
	})
}

// blobBytes returns the size of the blobs below dir, 0 for "".
func blobBytes(dir string) (size int64, err error) {
	if dir == "" {
		return 0, nil
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".blob" {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}

func scaled(n int, scale float64) int { return max(1, int(float64(n)*scale)) }

// fanOut is the number of children of an object: those of object i are the ones
// from i*fanOut+1, so that all are reachable from object 0, the root.
const fanOut = 16

// children returns the OIDs that object oid of n refers to.
func children(oid, n uint64) (oids []uint64) {
	for c := oid*fanOut + 1; c <= oid*fanOut+fanOut && c < n; c++ {
		oids = append(oids, c)
	}
	return oids
}

func makeRecords(w *storageWriter, _ string, scale float64) error {
	const inTxn, payload = 20, 900
	objects := uint64(scaled(250_000, scale))
	rng := newRandom(1)
	// Each object is made once, in order, and after that random ones change
	// until there are four revisions of each, on the average.
	var txn []record
	for i := range 4 * objects {
		oid := i
		if i >= objects {
			oid = rng.Uint64() % objects
		}
		txn = append(txn, record{oid, appendMapping(nil, rng.bytes(payload), children(oid, objects))})
		if len(txn) == inTxn || i == 4*objects-1 {
			if err := w.commit(distinct(txn)...); err != nil {
				return err
			}
			txn = txn[:0]
		}
	}
	return nil
}

// distinct leaves out the records of objects that have one before: a connection
// stores an object once in a transaction.
func distinct(records []record) []record {
	seen := map[uint64]bool{}
	kept := records[:0]
	for _, r := range records {
		if !seen[r.oid] {
			seen[r.oid] = true
			kept = append(kept, r)
		}
	}
	return kept
}

func makeTiny(w *storageWriter, _ string, scale float64) error {
	txns := uint64(scaled(100_000, scale))
	objects := min(1000, txns)
	rng := newRandom(2)
	for i := range txns {
		oid := i % objects
		if err := w.commit(record{oid, appendMapping(nil, rng.bytes(10), children(oid, objects))}); err != nil {
			return err
		}
	}
	return nil
}

func makeBlobs(w *storageWriter, dir string, n, size int) error {
	if err := os.MkdirAll(filepath.Join(dir, "tmp"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, ".layout"), []byte("bushy"), 0o644); err != nil {
		return err
	}
	var oids []uint64
	for i := range n {
		oids = append(oids, uint64(i)+1)
	}
	if err := w.commit(record{0, appendRoot(nil, oids)}); err != nil {
		return err
	}
	rng := newRandom(3)
	for _, oid := range oids {
		path := blobPath(dir, oid, w.nextTID())
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := writeBlob(path, rng, size); err != nil {
			return err
		}
		if err := w.commit(record{oid, []byte(blobData)}); err != nil {
			return err
		}
	}
	return nil
}

// blobPath returns the path of a blob in the bushy layout. (It leaves out
// leading zero bytes of the TID; ours have none.)
func blobPath(dir string, oid, tid uint64) string {
	for shift := 56; shift >= 0; shift -= 8 {
		dir = filepath.Join(dir, fmt.Sprintf("0x%02x", byte(oid>>shift)))
	}
	return filepath.Join(dir, fmt.Sprintf("0x%016x.blob", tid))
}

func writeBlob(path string, rng *random, size int) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.CopyN(f, rng, int64(size)); err != nil {
		return err
	}
	return f.Close()
}

// A random makes bytes that do not compress, always the same ones.
type random struct {
	rand.PCG
}

func newRandom(seed uint64) *random { return &random{*rand.NewPCG(seed, 0)} }

func (r *random) bytes(n int) []byte {
	b := make([]byte, n)
	r.Read(b)
	return b
}

// Read fills p; it never fails.
func (r *random) Read(p []byte) (int, error) {
	for i := 0; i < len(p); {
		v := r.Uint64()
		for range min(8, len(p)-i) {
			p[i] = byte(v)
			v >>= 8
			i++
		}
	}
	return len(p), nil
}
