package verify

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"

	"zrs/internal/fs"
)

// A manifest is a text with the digest of each transaction of a data file and the
// start of the digest of each of its records, kept beside the file: what changes
// in the file later does not fit it any more. The form is in docs/format.md.

const (
	manifestMagic = "zrs-manifest 1"
	manifestEnd   = "end"

	// manifestFields is how many a transaction has.
	manifestFields = 5

	// maxManifestLine bounds the memory for a line: a transaction of about as
	// many records times 8.
	maxManifestLine = 1 << 30
)

// ErrManifest is returned for a file that is no manifest, or not a whole one.
var ErrManifest = errors.New("not a whole manifest")

// WriteManifest writes the manifest of a data file, and returns what it covers.
// Of the result the state is not computed.
func WriteManifest(ctx context.Context, f *fs.File, w io.Writer, opts DigestOptions) (*Digest, error) {
	h := newHasher(f, opts)
	var d Digest
	out := bufio.NewWriterSize(w, blobBlock)
	fmt.Fprintf(out, "%s\nblobs %t\n", manifestMagic, opts.Blobs != nil)
	var line []byte
	tail, err := h.each(ctx, true, func(t *txnDigest) error {
		chain(&d.History, &t.sum)
		d.TID = t.tid
		d.Transactions++
		d.Blobs += t.blobs
		d.BlobsMissing += t.blobsMissing
		line = t.appendLine(line[:0])
		_, err := out.Write(line)
		return err
	})
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "%s %d %s %x\n", manifestEnd, d.Transactions, d.TID, d.History)
	d.Tail = tail
	return &d, out.Flush()
}

// appendLine appends the line of a transaction.
func (t *txnDigest) appendLine(b []byte) []byte {
	b = append(b, t.tid.String()...)
	b = append(b, ' ')
	b = hex.AppendEncode(b, t.sum[:])
	b = append(b, ' ')
	b = hex.AppendEncode(b, t.texts[:textsKept])
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(t.records)), 10)
	b = append(b, ' ')
	for _, r := range t.records {
		b = hex.AppendEncode(b, binary.BigEndian.AppendUint32(nil, r.start))
	}
	return append(b, '\n')
}

// textsKept is how many bytes of the digest of a header a manifest has.
const textsKept = 4

// A manifestTxn is a line of a manifest.
type manifestTxn struct {
	tid     fs.TID
	sum     [sha256.Size]byte
	texts   [textsKept]byte
	records []uint32
}

// A manifestReader reads a manifest.
type manifestReader struct {
	in    *bufio.Reader
	blobs bool
	line  []byte
	next  manifestTxn
	ended bool

	count   int64
	history [sha256.Size]byte
}

func newManifestReader(r io.Reader) (*manifestReader, error) {
	m := &manifestReader{in: bufio.NewReaderSize(r, blobBlock)}
	for i, want := range []string{manifestMagic, "blobs "} {
		if err := m.read(); err != nil {
			return nil, err
		}
		rest, ok := bytes.CutPrefix(m.line, []byte(want))
		if !ok {
			return nil, fmt.Errorf("%w: line %d begins with %.40q, not with %q", ErrManifest, i+1, m.line, want)
		}
		m.blobs = string(rest) == "true"
	}
	return m, m.advance()
}

// read reads a line.
func (m *manifestReader) read() error {
	m.line = m.line[:0]
	for {
		part, err := m.in.ReadSlice('\n')
		m.line = append(m.line, part...)
		switch {
		case err == nil:
			m.line = m.line[:len(m.line)-1]
			return nil
		case errors.Is(err, bufio.ErrBufferFull) && len(m.line) < maxManifestLine:
		case errors.Is(err, io.EOF), errors.Is(err, bufio.ErrBufferFull):
			return fmt.Errorf("%w: it has no end", ErrManifest)
		default:
			return err
		}
	}
}

// advance reads the next transaction, or the end.
func (m *manifestReader) advance() error {
	if err := m.read(); err != nil {
		return err
	}
	fields := bytes.SplitN(m.line, []byte(" "), manifestFields+1)
	if string(fields[0]) == manifestEnd {
		m.ended = true
		return m.checkEnd(fields)
	}
	before := m.next.tid
	if err := m.next.parse(fields); err != nil || m.next.tid <= before {
		return fmt.Errorf("%w: transaction %d in it can't be read: %.40q", ErrManifest, m.count+1, m.line)
	}
	chain(&m.history, &m.next.sum)
	m.count++
	return nil
}

// checkEnd checks the last line, which tells that nothing changed in the manifest
// itself.
func (m *manifestReader) checkEnd(fields [][]byte) error {
	want := fmt.Sprintf("%s %d %s %x", manifestEnd, m.count, m.next.tid, m.history)
	if got := bytes.Join(fields, []byte(" ")); string(got) != want {
		return fmt.Errorf("%w: its last line does not fit what is before it", ErrManifest)
	}
	return nil
}

var errManifestLine = errors.New("malformed")

func (t *manifestTxn) parse(fields [][]byte) error {
	if len(fields) != manifestFields || len(fields[0]) != 16 || len(fields[1]) != 2*sha256.Size || len(fields[2]) != 2*textsKept {
		return errManifestLine
	}
	tid, err := strconv.ParseUint(string(fields[0]), 16, 64)
	if err != nil {
		return err
	}
	t.tid = fs.TID(tid)
	if _, err := hex.Decode(t.sum[:], fields[1]); err != nil {
		return err
	}
	if _, err := hex.Decode(t.texts[:], fields[2]); err != nil {
		return err
	}
	n, err := strconv.Atoi(string(fields[3]))
	if err != nil || n != len(fields[4])/8 || len(fields[4])%8 != 0 {
		return errManifestLine
	}
	starts := fields[4]
	if _, err := hex.Decode(starts, starts); err != nil {
		return err
	}
	t.records = t.records[:0]
	for i := range n {
		t.records = append(t.records, binary.BigEndian.Uint32(starts[4*i:]))
	}
	return nil
}

// A ManifestCheck is what [CheckManifest] finds.
type ManifestCheck struct {
	Transactions int64  // that are as the manifest has them
	Covered      fs.TID // the last transaction of the manifest
	Later        int64  // transactions behind that, about which it says nothing

	// What a pack has removed since.
	PackedTransactions, PackedRecords int64

	Changes     []Change // the first ones
	ChangeCount int64
	Tail        error
}

// A ChangeKind names what does not fit a manifest. It is a word of the program's
// output, and does not change.
type ChangeKind string

// The kinds of changes.
const (
	ChangeTexts       ChangeKind = "texts"       // user, description or extension
	ChangeRecord      ChangeKind = "record"      // a record's object, transaction, data or blob
	ChangeRecords     ChangeKind = "records"     // there are more or fewer, and no pack explains that
	ChangeMissing     ChangeKind = "missing"     // a transaction is gone, and no pack explains that
	ChangeUnexpected  ChangeKind = "unexpected"  // a transaction was not there
	ChangeTransaction ChangeKind = "transaction" // something of a transaction, that the manifest can't tell in detail
)

// A Change is something that is not as it was when the manifest was written.
type Change struct {
	Kind   ChangeKind
	TID    fs.TID
	Offset int64 // of the record, else of the transaction; 0 if there is none
	Record int   // number of the record in its transaction, from 1; 0 for others
	OID    fs.OID
	Detail string
}

// CheckManifest holds a data file against its manifest. What was committed later
// is counted, what a pack has removed too. List is how many changes are told.
func CheckManifest(ctx context.Context, f *fs.File, manifest io.Reader, opts DigestOptions, list int) (*ManifestCheck, error) {
	m, err := newManifestReader(manifest)
	if err != nil {
		return nil, err
	}
	if m.blobs && opts.Blobs == nil {
		return nil, errors.New("the manifest covers blobs too: their directory is needed")
	}
	if !m.blobs {
		opts.Blobs = nil
	}
	c := &manifestCheck{m: m, list: list, result: new(ManifestCheck)}
	h := newHasher(f, opts)
	tail, err := h.each(ctx, true, c.txn)
	if err != nil {
		return nil, err
	}
	for !m.ended { // behind the last transaction of the file
		if tail != nil && !isLater(tail, m.next.tid) {
			c.status = noTxn // the file was cut there, and not packed
		}
		if err := c.missing(c.status); err != nil {
			return nil, err
		}
	}
	c.result.Covered, c.result.Tail = m.next.tid, tail
	return c.result, nil
}

// isLater reports whether what was left at the end of a file is a transaction later
// than tid.
func isLater(tail error, tid fs.TID) bool {
	e, ok := errors.AsType[*fs.RecordError](tail)
	return ok && e.TID > tid
}

type manifestCheck struct {
	m      *manifestReader
	list   int
	result *ManifestCheck
	status fs.Status // of the last transaction of the file
}

func (c *manifestCheck) change(d Change) {
	c.result.ChangeCount++
	if len(c.result.Changes) < c.list {
		c.result.Changes = append(c.result.Changes, d)
	}
}

// txn takes a transaction of the file.
func (c *manifestCheck) txn(t *txnDigest) error {
	for !c.m.ended && c.m.next.tid < t.tid {
		if err := c.missing(t.status); err != nil {
			return err
		}
	}
	c.status = t.status
	switch {
	case c.m.ended && t.tid > c.m.next.tid:
		c.result.Later++
		return nil
	case c.m.ended || c.m.next.tid != t.tid:
		c.change(Change{Kind: ChangeUnexpected, TID: t.tid, Offset: t.offset})
		return nil
	}
	if t.sum == c.m.next.sum {
		c.result.Transactions++
	} else {
		c.compare(t, &c.m.next)
	}
	return c.m.advance()
}

// missing takes a transaction of the manifest that the file hasn't. Behind the
// place the file has one of the given status.
func (c *manifestCheck) missing(behind fs.Status) error {
	if c.status == fs.StatusPacked || behind == fs.StatusPacked {
		c.result.PackedTransactions++
		c.result.PackedRecords += int64(len(c.m.next.records))
	} else {
		c.change(Change{Kind: ChangeMissing, TID: c.m.next.tid})
	}
	return c.m.advance()
}

// compare finds out what of a transaction has changed.
func (c *manifestCheck) compare(t *txnDigest, was *manifestTxn) {
	before := c.result.ChangeCount
	if !bytes.Equal(t.texts[:textsKept], was.texts[:]) {
		c.change(Change{Kind: ChangeTexts, TID: t.tid, Offset: t.offset})
	}
	packed := t.status == fs.StatusPacked && len(t.records) < len(was.records)
	// What is there must have been there, in this order; what was there may be
	// gone if a pack has been here.
	at := 0
	for i := range t.records {
		r := &t.records[i]
		next := at
		for packed && next < len(was.records) && was.records[next] != r.start {
			next++
		}
		if next < len(was.records) && was.records[next] == r.start {
			at = next + 1
			continue
		}
		if !packed {
			at++
		}
		c.change(Change{Kind: ChangeRecord, TID: t.tid, Offset: r.offset, Record: i + 1, OID: r.oid})
	}
	switch {
	case packed:
		c.result.PackedRecords += int64(len(was.records) - len(t.records))
	case len(t.records) != len(was.records):
		c.change(Change{
			Kind: ChangeRecords, TID: t.tid, Offset: t.offset,
			Detail: fmt.Sprintf("%d records, there were %d", len(t.records), len(was.records)),
		})
	case c.result.ChangeCount == before:
		c.change(Change{Kind: ChangeTransaction, TID: t.tid, Offset: t.offset})
	}
	if packed && c.result.ChangeCount == before {
		c.result.Transactions++
	}
}
