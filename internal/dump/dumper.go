package dump

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"zrs/internal/fs"
)

// A Format is what a [Dumper] writes.
type Format string

// The formats.
const (
	Zodbdump Format = "zodbdump" // as zodbtools' zodb dump
	JSON     Format = "json"     // an object a line for each transaction, or each record
	Fsdump   Format = "fsdump"   // as ZODB's fsdump
	Fstail   Format = "fstail"   // as ZODB's fstail: backward, and of transactions only
)

// A Dumper writes transactions of a data file as text. A transaction is written
// whole or not at all, unless reading or writing fails in the middle of it.
type Dumper struct {
	Format   Format
	HashOnly bool // SHA-1 of data instead of data
	Disk     bool // records in the order of the file, not of their OIDs

	// For JSON.
	Data    bool // with the data of records
	Records bool // an object for each record

	// Txn tells which transactions are wanted, nil for all.
	Txn func(*fs.Txn) bool

	// OIDs are the objects whose records are wanted, nil for all. Transactions
	// that have none of them are left out.
	OIDs map[fs.OID]bool

	// Blob is called, if it is set, for each record of a blob, before its
	// transaction is written.
	Blob func(oid fs.OID, tid fs.TID) error

	Stats Stats
}

// Stats count what was done. Bytes are of the data file.
type Stats struct {
	Bytes, Transactions, Records atomic.Int64
}

// errPast ends a pass at the last transaction that is wanted.
var errPast = errors.New("past the last transaction that is wanted")

// Dump writes the transactions of f from the place at up to the TID to. Tail is
// what is wrong behind the last transaction that could be read, see
// [fs.File.End]; what is before it was written. A fault that keeps nothing from
// being written, such as a TID that is not above the one before, is returned in
// the end.
func (d *Dumper) Dump(ctx context.Context, w io.Writer, f *fs.File, at fs.Place, to fs.TID) (tail, err error) {
	j := &job{Dumper: d, file: f, path: f.Path(), to: to, out: &output{w: w}}
	j.format = d.formatter()
	start := at.Offset
	_, tail, err = fs.Pass(ctx, f, at, j.work, func(s *fs.Span, t *spanText) error {
		defer j.pool.Put(t)
		err := j.write(s, t)
		d.Stats.Bytes.Store(s.End - start)
		return err
	})
	if errors.Is(err, errPast) {
		tail, err = nil, nil
	}
	if err == nil {
		err = j.fault
	}
	return tail, err
}

// A job is one run of a Dumper.
type job struct {
	*Dumper
	format formatter
	file   io.ReaderAt
	path   string
	to     fs.TID
	out    *output
	pool   sync.Pool // of *spanText

	number int64 // of the next transaction
	fault  error // the first that was passed over
}

// A spanText is what became of a span.
type spanText struct {
	output
	blobs         []blobRef
	txns, records int64
	fault, err    error

	// For the next transaction.
	keys   []key
	memory []record
	buf    []byte
}

type blobRef struct {
	oid fs.OID
	tid fs.TID
}

// serial reports whether transactions can't be formatted beside each other.
func (j *job) serial(s *fs.Span) bool { return s.Large || j.Format == Fsdump }

// work formats the transactions of a span.
func (j *job) work(s *fs.Span) *spanText {
	t, _ := j.pool.Get().(*spanText)
	if t == nil {
		t = new(spanText)
	}
	*t = spanText{output: output{b: t.b[:0]}, blobs: t.blobs[:0], keys: t.keys, memory: t.memory, buf: t.buf}
	if !j.serial(s) {
		t.err = j.span(t, &t.output, s)
	}
	return t
}

// write writes what became of a span, and what work left to it.
func (j *job) write(s *fs.Span, t *spanText) error {
	if j.serial(s) {
		t.err = j.span(t, j.out, s)
		t.err = errors.Join(t.err, j.out.flush())
	} else {
		for _, ref := range t.blobs {
			if err := j.Blob(ref.oid, ref.tid); err != nil {
				return err
			}
		}
		if _, err := j.out.w.Write(t.b); err != nil {
			return err
		}
	}
	j.Stats.Transactions.Add(t.txns)
	j.Stats.Records.Add(t.records)
	if j.fault == nil {
		j.fault = t.fault
	}
	return t.err
}

// span formats the transactions of a span into o.
func (j *job) span(t *spanText, o *output, s *fs.Span) error {
	r := s.Reader(s.Offset)
	last := s.Before
	for {
		head, err := r.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case head.TID > j.to:
			return errPast
		case head.TID <= last && t.fault == nil:
			t.fault = &fs.RecordError{
				Path: j.path, Offset: head.Offset, TID: head.TID, Kind: fs.KindTID,
				Detail: fmt.Sprintf("it is not above %s, the one before", last),
			}
		}
		last = head.TID
		if err := j.txn(t, o, head, r, !s.Large); err != nil {
			return err
		}
	}
}

// A recordReader reads the records of a transaction: a Reader or a Cursor.
type recordReader interface {
	NextRecord() (*fs.Record, error)
	Data() ([]byte, error)
	Resolve() (fs.Resolved, error)
}

// txn formats one transaction, if it is wanted. If it is in memory, all its data
// stays there until it is done.
func (j *job) txn(t *spanText, o *output, head *fs.Txn, r recordReader, inMemory bool) error {
	x := &txn{Txn: head, file: j.file, path: j.path, keys: t.keys[:0], buf: t.buf}
	defer func() { t.keys, t.buf = x.keys, x.buf }()
	if inMemory {
		x.memory = t.memory[:0]
		defer func() { t.memory = x.memory }()
	}
	if j.Format == Fsdump { // which is written by one goroutine
		x.number = j.number
		j.number++
	}
	if j.Txn != nil && !j.Txn(head) {
		return nil
	}
	if err := j.gather(t, x, r, inMemory); err != nil {
		return err
	}
	if j.OIDs != nil && len(x.keys) == 0 {
		return nil
	}
	if err := j.findBlobs(t, o, x); err != nil {
		return err
	}
	j.format.head(o, x)
	done := j.Stats.Bytes.Load()
	for i, k := range x.keys {
		r, err := x.record(k)
		if err == nil {
			err = j.format.record(o, x, r, i == 0)
		}
		if err != nil {
			return err
		}
		if !inMemory {
			done += r.Size()
			j.Stats.Bytes.Store(done)
		}
		if err := o.relieve(); err != nil {
			return err
		}
	}
	j.format.tail(o, x)
	t.txns++
	t.records += int64(len(x.keys))
	return o.relieve()
}

// gather reads the headers of a transaction's records, all of which are checked
// then, and puts them into order.
func (j *job) gather(t *spanText, x *txn, r recordReader, inMemory bool) error {
	for number := int32(0); ; number++ {
		head, err := r.NextRecord()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if head.TID != x.TID && t.fault == nil {
			t.fault = &fs.RecordError{
				Path: j.path, Offset: head.Offset, TID: x.TID, Kind: fs.KindTID,
				Detail: fmt.Sprintf("the record says that it is of transaction %s", head.TID),
			}
		}
		if j.OIDs != nil && !j.OIDs[head.OID] {
			continue
		}
		rec := record{Record: *head, number: number}
		if head.Length == 0 {
			rec.found, err = r.Resolve()
		} else if inMemory {
			rec.data, err = r.Data()
		}
		if err != nil {
			return err
		}
		at := head.Offset
		if inMemory {
			at = int64(len(x.memory))
			x.memory = append(x.memory, rec)
		}
		x.keys = append(x.keys, key{head.OID, at, number})
	}
	if !j.Disk {
		x.sort()
	}
	return nil
}
