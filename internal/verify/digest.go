package verify

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/bits"

	"zrs/internal/fs"
	"zrs/internal/pickle"
	"zrs/internal/wire"
)

// A Digest tells the contents of a storage, independent of where they lie in the
// file: equal storages have equal digests. How it is computed is in
// docs/format.md.
type Digest struct {
	TID          fs.TID // the last transaction, 0 if there is none
	Transactions int64
	Objects      int64 // that exist as of that transaction
	Blobs        int64 // that are part of it
	BlobsMissing int64

	History [sha256.Size]byte
	State   [sha256.Size]byte // not changed by a pack, but for the garbage that it removes

	Tail error // an unfinished transaction at the end, which does not count
}

// DigestOptions are what [DigestFile] may be told. The zero value is usable.
type DigestOptions struct {
	To       fs.TID      // the last transaction that counts, 0: all
	Blobs    *fs.BlobDir // contents of blobs count too, unless it is nil
	Progress *Progress
}

// DigestFile computes the digest of a data file. It reads the file twice, once to
// see which records are current, and uses all processors. Damage is an error.
func DigestFile(ctx context.Context, f *fs.File, opts DigestOptions) (*Digest, error) {
	if f.Size() > fs.MaxOffset {
		return nil, fmt.Errorf("%s: %w: %d bytes are more than an index can express", f.Path(), fs.ErrFormat, f.Size())
	}
	h, d := newHasher(f, opts), new(Digest)
	h.opts.Progress.expect(2 * f.Size())
	if err := h.index(ctx); err != nil {
		return nil, err
	}
	var state digestSum
	tail, err := h.each(ctx, false, func(t *txnDigest) error {
		chain(&d.History, &t.sum)
		d.TID = t.tid
		d.Transactions++
		d.Objects += t.objects
		d.Blobs += t.blobs
		d.BlobsMissing += t.blobsMissing
		state.addSum(&t.state)
		return nil
	})
	if err != nil {
		return nil, err
	}
	d.State, d.Tail = state.bytes(), tail
	return d, nil
}

// chain adds the digest of a transaction to that of the history before it.
func chain(history, txn *[sha256.Size]byte) {
	*history = sha256.Sum256(append(history[:sha256.Size:sha256.Size], txn[:]...))
}

// A hasher computes the digests of transactions, for [DigestFile] and manifests.
type hasher struct {
	f    *fs.File
	opts DigestOptions
	idx  fs.Index // of current records, if the state is wanted
}

func newHasher(f *fs.File, opts DigestOptions) *hasher {
	if opts.Progress == nil {
		opts.Progress = new(Progress)
	}
	return &hasher{f: f, opts: opts}
}

// A txnDigest is the digest of a transaction.
type txnDigest struct {
	offset int64
	tid    fs.TID
	status fs.Status
	sum    [sha256.Size]byte
	texts  [sha256.Size]byte // of the header

	records      []recordDigest // if they are wanted, in the order of the file
	state        digestSum      // of the records that are current
	objects      int64          // that are current
	blobs        int64
	blobsMissing int64
}

// A recordDigest is the start of the digest of a record.
type recordDigest struct {
	offset int64
	oid    fs.OID
	start  uint32
}

// index finds the current records.
func (h *hasher) index(ctx context.Context) error {
	place := fs.Place{Offset: fs.FirstOffset}
	_, flaw, err := fs.Pass(ctx, h.f, place, func(s *fs.Span) error {
		return h.indexSpan(s)
	}, func(s *fs.Span, err error) error {
		h.opts.Progress.Bytes.Add(s.End - s.Offset)
		return err
	})
	if err == nil && flaw != nil && !errors.Is(flaw, fs.ErrTornTail) {
		err = flaw
	}
	return unlessStop(err)
}

func (h *hasher) indexSpan(s *fs.Span) error {
	r := s.Reader(s.Offset)
	for {
		txn, err := r.Next()
		if isEnd(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if h.opts.To != 0 && txn.TID > h.opts.To {
			return errStop
		}
		if txn.Status == fs.StatusUndone {
			continue
		}
		for {
			rec, err := r.NextRecord()
			if isEnd(err) {
				break
			}
			if err != nil {
				return err
			}
			h.idx.SetMax(rec.OID, rec.Offset)
		}
	}
}

// errStop ends a pass before the end of the file.
var errStop = errors.New("enough")

func unlessStop(err error) error {
	if errors.Is(err, errStop) {
		return nil
	}
	return err
}

// hashed is what a worker makes of a span.
type hashed struct {
	txns []txnDigest
	err  error
}

// each calls fn for the digest of each transaction, in their order; with those of
// records if they are wanted.
func (h *hasher) each(ctx context.Context, records bool, fn func(*txnDigest) error) (tail, err error) {
	var last fs.TID
	h.opts.Progress.expect(h.f.Size())
	_, flaw, err := fs.Pass(ctx, h.f, fs.Place{Offset: fs.FirstOffset}, func(s *fs.Span) *hashed {
		if s.Large {
			return nil
		}
		return h.span(ctx, s, records)
	}, func(s *fs.Span, d *hashed) error {
		if d == nil {
			d = h.span(ctx, s, records)
		}
		for i := range d.txns {
			t := &d.txns[i]
			if t.tid <= last {
				return &fs.RecordError{Path: h.f.Path(), Offset: t.offset, TID: t.tid, Kind: fs.KindTID, Detail: "it comes after " + last.String()}
			}
			last = t.tid
			if err := fn(t); err != nil {
				return err
			}
		}
		h.opts.Progress.Bytes.Add(s.End - s.Offset)
		h.opts.Progress.Transactions.Add(int64(len(d.txns)))
		return d.err
	})
	switch {
	case err != nil:
		return nil, unlessStop(err)
	case errors.Is(flaw, fs.ErrTornTail):
		return flaw, nil
	}
	return nil, flaw
}

// span computes the digests of the transactions of a span.
func (h *hasher) span(ctx context.Context, s *fs.Span, records bool) *hashed {
	w := &hashWorker{hasher: h, r: s.Reader(s.Offset), records: records}
	var d hashed
	for {
		txn, err := w.r.Next()
		if isEnd(err) {
			return &d
		}
		if err == nil && h.opts.To != 0 && txn.TID > h.opts.To {
			err = errStop
		}
		if err != nil {
			d.err = err
			return &d
		}
		if txn.Status == fs.StatusUndone {
			continue
		}
		t := txnDigest{offset: txn.Offset, tid: txn.TID, status: txn.Status}
		if err := w.txn(ctx, txn, &t); err != nil {
			d.err = err
			return &d
		}
		d.txns = append(d.txns, t)
	}
}

// A hashWorker computes digests, one after the other.
type hashWorker struct {
	*hasher
	r       *fs.Reader
	records bool             // are wanted
	last    map[fs.OID]int64 // of a transaction's objects, their last record
	buf     []byte
	block   []byte
}

// txn computes the digest of a transaction.
func (w *hashWorker) txn(ctx context.Context, txn *fs.Txn, t *txnDigest) error {
	w.texts(txn, t)
	if err := w.findLast(); err != nil {
		return err
	}
	w.r.MoveTo(txn.Offset)
	if _, err := w.r.Next(); err != nil {
		return err
	}
	var sum digestSum
	count := uint64(0)
	for {
		rec, err := w.r.NextRecord()
		if isEnd(err) {
			break
		}
		if err != nil {
			return err
		}
		if err := w.record(ctx, rec, t, &sum); err != nil {
			return err
		}
		count++
	}
	records := sum.bytes()
	w.buf = append(w.buf[:0], t.texts[:]...)
	w.buf = binary.BigEndian.AppendUint64(w.buf, count)
	w.buf = append(w.buf, records[:]...)
	t.sum = sha256.Sum256(w.buf)
	return nil
}

// texts computes the digest of a transaction's header.
func (w *hashWorker) texts(txn *fs.Txn, t *txnDigest) {
	w.buf = txn.TID.AppendTo(w.buf[:0])
	for _, text := range [][]byte{txn.User, txn.Description, wire.CanonicalExtension(txn.Extension)} {
		w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(len(text)))
		w.buf = append(w.buf, text...)
	}
	t.texts = sha256.Sum256(w.buf)
}

// findLast finds the last record of each object in the transaction at hand.
func (w *hashWorker) findLast() error {
	if w.last == nil || len(w.last) > maxKept {
		w.last = make(map[fs.OID]int64)
	}
	clear(w.last)
	for {
		rec, err := w.r.NextRecord()
		if isEnd(err) {
			return nil
		}
		if err != nil {
			return err
		}
		w.last[rec.OID] = rec.Offset
	}
}

// maxKept is how many entries a map may have to be used again.
const maxKept = 1 << 12

// What a record is, in its digest.
const (
	recordGone        = 0
	recordData        = 1
	recordBlob        = 2 // with the digest of the blob
	recordBlobMissing = 3
	recordSuperseded  = 0x80 // added if a later record in the transaction is of the same object
)

// record computes the digest of a record, and adds it to what it is part of.
func (w *hashWorker) record(ctx context.Context, rec *fs.Record, t *txnDigest, sum *digestSum) error {
	found, err := w.r.Resolve()
	if err != nil {
		return err
	}
	oid, tid, offset := rec.OID, rec.TID, rec.Offset
	kind := byte(recordGone)
	w.buf = tid.AppendTo(oid.AppendTo(w.buf[:0]))
	w.buf = append(w.buf, 0)
	if !found.Gone {
		kind = recordData
		if err := w.data(ctx, rec, found); err != nil {
			return err
		}
		if w.opts.Blobs != nil {
			if kind, err = w.blob(ctx, oid, tid, found, t); err != nil {
				return err
			}
		}
	}
	w.buf[16] = kind
	d := sha256.Sum256(w.buf)
	if current, ok := w.idx.Get(oid); ok && current == offset && !found.Gone {
		t.state.add(&d)
		t.objects++
	}
	if w.last[oid] != offset {
		w.buf[16] |= recordSuperseded
		d = sha256.Sum256(w.buf)
	}
	sum.add(&d)
	if w.records {
		t.records = append(t.records, recordDigest{offset, oid, binary.BigEndian.Uint32(d[:])})
	}
	return nil
}

// data adds the digest of a record's data.
func (w *hashWorker) data(ctx context.Context, rec *fs.Record, found fs.Resolved) error {
	var sum [sha256.Size]byte
	if found.Offset == rec.DataOffset() && found.Length <= blobBlock {
		data, err := w.r.Data()
		if err != nil {
			return err
		}
		sum = sha256.Sum256(data)
	} else {
		h := sha256.New()
		data := fs.ContextReader(ctx, io.NewSectionReader(w.f, found.Offset, found.Length))
		if _, err := io.CopyBuffer(onlyWriter{h}, data, w.blockBuffer()); err != nil {
			return err
		}
		h.Sum(sum[:0])
	}
	w.buf = append(w.buf, sum[:]...)
	return nil
}

// onlyWriter hides that a hash may have other methods than Write.
type onlyWriter struct{ hash.Hash }

func (w *hashWorker) blockBuffer() []byte {
	if w.block == nil {
		w.block = make([]byte, blobBlock)
	}
	return w.block
}

// blob adds the digest of a record's blob, if it has one.
func (w *hashWorker) blob(ctx context.Context, oid fs.OID, tid fs.TID, found fs.Resolved, t *txnDigest) (kind byte, err error) {
	start, err := w.r.Peek(found, blobStart)
	if err != nil || !mayBeBlob(start) {
		return recordData, err
	}
	f, err := w.opts.Blobs.Open(oid, tid)
	switch {
	case errors.Is(err, fs.ErrNoBlob) && !pickle.IsBlobRecord(start):
		return recordData, nil
	case errors.Is(err, fs.ErrNoBlob):
		t.blobsMissing++
		return recordBlobMissing, nil
	case err != nil:
		return 0, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.CopyBuffer(onlyWriter{h}, fs.ContextReader(ctx, f), w.blockBuffer()); err != nil {
		return 0, err
	}
	t.blobs++
	w.buf = h.Sum(w.buf)
	return recordBlob, nil
}

// A digestSum is a sum of digests, as numbers of 256 bits modulo 2^256. It has the
// most significant 64 bits first. The sum of records does not depend on their
// order.
type digestSum [4]uint64

func (s *digestSum) add(d *[sha256.Size]byte) {
	var o digestSum
	for i := range o {
		o[i] = binary.BigEndian.Uint64(d[8*i:])
	}
	s.addSum(&o)
}

func (s *digestSum) addSum(o *digestSum) {
	var carry uint64
	for i := 3; i >= 0; i-- {
		s[i], carry = bits.Add64(s[i], o[i], carry)
	}
}

func (s *digestSum) bytes() (b [sha256.Size]byte) {
	for i, v := range s {
		binary.BigEndian.PutUint64(b[8*i:], v)
	}
	return b
}
