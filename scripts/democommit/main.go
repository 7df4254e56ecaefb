// Democommit commits transactions to a FileStorage, with its blobs, as an
// application behind ZODB would: each is voted (status 'c'), made durable and
// then finished by its status byte. It stands in for a ZEO server in
// scripts/demo, which so needs no Python. It holds the lock that ZODB's writers
// hold.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"time"

	"zrs/internal/fs"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("democommit: ")
	var d demo
	flag.IntVar(&d.count, "n", 100, "commit this many transactions")
	flag.DurationVar(&d.pause, "pause", 0, "wait this long after each")
	flag.IntVar(&d.records, "records", 10, "store this many objects in each")
	flag.IntVar(&d.blobEvery, "blob-every", 10, "give each so-manieth transaction a blob")
	flag.Int64Var(&d.blobSize, "blob-size", 100_000, "make blobs of up to this many bytes")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: democommit [flags] Data.fs BLOBDIR")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 2 || d.blobEvery < 1 || d.blobSize < 0 {
		flag.Usage()
		log.Fatal("want a data file and its blob directory")
	}
	if err := d.run(context.Background(), flag.Arg(0), flag.Arg(1)); err != nil {
		log.Fatal(err)
	}
}

// A demo is what is to be committed.
type demo struct {
	count, records, blobEvery int
	blobSize                  int64
	pause                     time.Duration

	random *rand.ChaCha8
	next   fs.OID // of the next new object
}

func (d *demo) run(ctx context.Context, path, blobDir string) (err error) {
	w, err := fs.OpenWriter(ctx, path, fs.WriterOptions{BlobDir: blobDir})
	if err != nil {
		return err
	}
	defer func() {
		if closed := w.Close(); err == nil {
			err = closed
		}
	}()
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], uint64(w.LastTID()))
	d.random = rand.NewChaCha8(seed)
	for oid := range w.Index().All() {
		d.next = oid + 1
	}
	for n := range d.count {
		if err := d.commit(w, n); err != nil {
			return err
		}
		time.Sleep(d.pause)
	}
	return nil
}

// commit commits the n-th transaction: new objects, and now and then a blob.
func (d *demo) commit(w *fs.Writer, n int) error {
	tid := max(fs.TIDFromTime(time.Now()), w.LastTID().Later())
	err := w.Begin(fs.TxnHeader{
		TID: tid, Status: fs.StatusComplete,
		User: []byte("/ demo"), Description: fmt.Appendf(nil, "/demo/notes/%d/edit", n),
	})
	if err != nil {
		return err
	}
	for range d.records {
		if err := d.store(w, tid, d.note(n)); err != nil {
			return err
		}
	}
	if n%d.blobEvery == 0 {
		if err := d.blob(w, tid); err != nil {
			return err
		}
	}
	if err := w.Commit(); err != nil {
		return err
	}
	return w.Sync()
}

// store stores a new object.
func (d *demo) store(w *fs.Writer, tid fs.TID, data []byte) error {
	err := w.Restore(fs.Restored{OID: d.next, TID: tid, Data: data})
	d.next++
	return err
}

// blob stores a new blob. Every fourth is empty or nearly so.
func (d *demo) blob(w *fs.Writer, tid fs.TID) error {
	size := int64(d.random.Uint64() % uint64(d.blobSize+1))
	if size%4 == 0 {
		size %= 5
	}
	file, err := w.CreateBlob(d.next, tid)
	if err != nil {
		return err
	}
	b := make([]byte, 64<<10)
	for size > 0 {
		b = b[:min(size, int64(len(b)))]
		if _, err := d.random.Read(b); err != nil {
			return err
		}
		if _, err := file.Write(b); err != nil {
			return err
		}
		size -= int64(len(b))
	}
	if err := file.Commit(); err != nil {
		return err
	}
	return d.store(w, tid, []byte(blobRecord))
}

// The pickles that ZODB writes, in protocol 3: a record is the object's class
// and its state.
const (
	blobRecord   = "\x80\x03cZODB.blob\nBlob\nq\x00." + "\x80\x03N."
	mappingClass = "\x80\x03cpersistent.mapping\nPersistentMapping\nq\x00."
	// {'data': {'text': ...}}, up to the length of the text and after it
	mappingStart = "\x80\x03}q\x01X\x04\x00\x00\x00dataq\x02}q\x03X\x04\x00\x00\x00textq\x04X"
	mappingEnd   = "q\x05ss."
)

// note returns the record of a PersistentMapping with some text in it. Nothing
// refers to these objects: for a demonstration they need not outlive a pack.
func (d *demo) note(n int) []byte {
	line := fmt.Appendf(nil, "transaction %d says %016x. ", n, d.random.Uint64())
	text := bytes.Repeat(line, 1+int(d.random.Uint64()%64))
	b := append([]byte(mappingClass), mappingStart...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
	return append(append(b, text...), mappingEnd...)
}
