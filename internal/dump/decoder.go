package dump

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/adler32"
	"hash/crc32"
	"io"
	"strconv"
	"strings"

	"zrs/internal/fs"
)

// Causes that callers branch on.
var (
	// ErrNotDump is returned for what does not begin as a zodbdump does.
	ErrNotDump = errors.New("not a zodbdump")

	// ErrSyntax is returned for a line that can't be where it is.
	ErrSyntax = errors.New("bad zodbdump")

	// ErrChecksum is returned for data that is not what its checksum says.
	ErrChecksum = errors.New("data does not have its checksum")

	// ErrCutShort is returned for a dump that ends inside a transaction.
	ErrCutShort = errors.New("the dump ends inside a transaction")
)

// A Error says where in a dump something is wrong.
type Error struct {
	Line int64  // counted from 1, with the lines in data; 0 if unknown
	TID  fs.TID // transaction concerned, 0 if unknown
	Err  error
}

// Error tells line, transaction and what is wrong, outside in.
func (e *Error) Error() string {
	s := ""
	if e.Line > 0 {
		s = fmt.Sprintf("line %d: ", e.Line)
	}
	if e.TID != 0 {
		s += fmt.Sprintf("transaction %s: ", e.TID)
	}
	return s + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// An ObjectKind tells what a dump says of an object.
type ObjectKind int

// The kinds of objects.
const (
	Full   ObjectKind = iota // has data
	Copy                     // has the data of another transaction
	Delete                   // does not exist from here on
	Hash                     // had data; the dump has its checksum only
)

// An Object is a record of a transaction in a dump.
type Object struct {
	OID  fs.OID
	Kind ObjectKind
	From fs.TID // the transaction that a Copy has the data of
	Size int64  // of the data of a Full and a Hash
	Data []byte // of a Full, valid until the following call
}

// maxLine is the length of the longest line: a text of 65535 bytes, all of them
// escaped.
const maxLine = 4*fs.MaxMetadata + 64

// A Decoder reads transactions in the format of zodbtools. It holds a line, or
// the data of one object. The data is checked. Errors are [Error]s, and stay.
// A Decoder is not safe for concurrent use.
type Decoder struct {
	r    *bufio.Reader
	line int64
	txn  fs.TxnHeader
	obj  Object
	data []byte
	meta []byte // the texts of txn
	open bool   // inside a transaction
	err  error
}

// NewDecoder returns a Decoder of what r reads.
func NewDecoder(r io.Reader) *Decoder {
	return &Decoder{r: bufio.NewReaderSize(r, maxLine)}
}

// Next moves to the next transaction, past any objects that were not read. It
// returns io.EOF if the dump ends here. The transaction, which has no length, is
// valid until the next call.
func (d *Decoder) Next() (*fs.TxnHeader, error) {
	for d.open {
		if _, err := d.NextObject(); err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
	}
	if d.err != nil {
		return nil, d.err
	}
	if _, err := d.r.Peek(1); err == io.EOF {
		d.err = io.EOF
		return nil, d.err
	}
	if err := d.header(); err != nil {
		return nil, d.fail(err)
	}
	d.open = true
	return &d.txn, nil
}

// txnWord begins a transaction.
const txnWord = "txn "

// header reads the four lines that a transaction begins with.
func (d *Decoder) header() error {
	d.txn = fs.TxnHeader{}
	if start, err := d.r.Peek(len(txnWord)); d.line == 0 && string(start) != txnWord {
		if err != nil && strings.HasPrefix(txnWord, string(start)) {
			return d.cutShort(err)
		}
		return fmt.Errorf("%w: it begins with %q", ErrNotDump, start)
	}
	line, err := d.readLine()
	if err != nil {
		return err
	}
	rest, ok := bytes.CutPrefix(line, []byte(txnWord))
	tid, ok2 := cutHex(&rest)
	if !ok || !ok2 || len(rest) != 4 || rest[0] != ' ' || rest[1] != '"' || rest[3] != '"' {
		return syntaxError(`want txn, a transaction id and a status`, line)
	}
	d.txn.TID, d.txn.Status = fs.TID(tid), fs.Status(rest[2])
	d.meta = d.meta[:0]
	var ends [3]int
	for i, name := range []string{"user ", "description ", "extension "} {
		if line, err = d.readLine(); err != nil {
			return err
		}
		quoted, ok := bytes.CutPrefix(line, []byte(name))
		if !ok {
			return syntaxError("want "+name, line)
		}
		if d.meta, err = AppendUnquoted(d.meta, quoted); err != nil {
			return fmt.Errorf("%w: %s%w", ErrSyntax, name, err)
		}
		ends[i] = len(d.meta)
	}
	d.txn.User = d.meta[:ends[0]:ends[0]]
	d.txn.Description = d.meta[ends[0]:ends[1]:ends[1]]
	d.txn.Extension = d.meta[ends[1]:ends[2]:ends[2]]
	return nil
}

// NextObject moves to the next object of the transaction. It returns io.EOF after
// the last one. The object is valid until the following call.
func (d *Decoder) NextObject() (*Object, error) {
	switch {
	case d.err != nil:
		return nil, d.err
	case !d.open:
		return nil, io.EOF
	}
	line, err := d.readLine()
	if err == nil && len(line) == 0 {
		d.open = false
		return nil, io.EOF
	}
	if err == nil {
		err = d.object(line)
	}
	if err != nil {
		return nil, d.fail(err)
	}
	return &d.obj, nil
}

// object reads an object whose first line is line.
func (d *Decoder) object(line []byte) error {
	rest, ok := bytes.CutPrefix(line, []byte("obj "))
	oid, ok2 := cutHex(&rest)
	if !ok || !ok2 || len(rest) == 0 || rest[0] != ' ' {
		return syntaxError("want obj and an object id, or an empty line", line)
	}
	d.obj = Object{OID: fs.OID(oid)}
	rest = rest[1:]
	if string(rest) == "delete" {
		d.obj.Kind = Delete
		return nil
	}
	if from, ok := bytes.CutPrefix(rest, []byte("from ")); ok {
		tid, ok := cutHex(&from)
		if !ok || len(from) > 0 {
			return syntaxError("want a transaction id behind from", line)
		}
		d.obj.Kind, d.obj.From = Copy, fs.TID(tid)
		return nil
	}
	return d.full(line, rest)
}

// checksums are the functions that a dump may name.
var checksums = map[string]func() hash.Hash{
	"null":    func() hash.Hash { return nullHash{} },
	"adler32": func() hash.Hash { return adler32.New() },
	"crc32":   func() hash.Hash { return crc32.NewIEEE() },
	"sha1":    sha1.New,
	"sha256":  sha256.New,
	"sha512":  sha512.New,
}

// nullHash is zodbtools' function that checks nothing: one byte, 0.
type nullHash struct{ io.Writer }

func (nullHash) Write(b []byte) (int, error) { return len(b), nil }
func (nullHash) Sum(b []byte) []byte         { return append(b, 0) }
func (nullHash) Reset()                      {}
func (nullHash) Size() int                   { return 1 }
func (nullHash) BlockSize() int              { return 1 }

// full reads size and checksum in rest, the end of line, and the data.
func (d *Decoder) full(line, rest []byte) error {
	size, sum, ok := bytes.Cut(rest, []byte(" "))
	n, err := strconv.ParseUint(string(size), 10, 62)
	if !ok || err != nil {
		return syntaxError("want delete, from, or the size of data and its checksum", line)
	}
	d.obj.Size = int64(n)
	name, digits, _ := bytes.Cut(sum, []byte(":"))
	if digits, ok = bytes.CutSuffix(digits, []byte(" -")); ok {
		d.obj.Kind = Hash
	}
	function := string(name)
	newHash := checksums[function]
	if newHash == nil {
		return syntaxError("want a checksum: null, adler32, crc32, sha1, sha256 or sha512", line)
	}
	var buf [sha512.Size]byte
	h := newHash()
	if len(digits) != 2*h.Size() {
		return syntaxError(fmt.Sprintf("want %d hex digits behind %s:", 2*h.Size(), function), line)
	}
	if _, err := hex.Decode(buf[:], digits); err != nil {
		return syntaxError("a checksum has hex digits", line)
	}
	if d.obj.Kind == Hash {
		return nil
	}
	if err := d.readData(d.obj.Size); err != nil {
		return err
	}
	h.Write(d.data)
	if want, got := buf[:h.Size()], h.Sum(nil); !bytes.Equal(got, want) {
		return fmt.Errorf("object %s: %w: %s is %x, not %x", d.obj.OID, ErrChecksum, function, got, want)
	}
	d.line += 1 + int64(bytes.Count(d.data, []byte("\n")))
	d.obj.Data = d.data
	return nil
}

// readStep is by how much the buffer of data grows at least: a size that lies
// costs nothing before as many bytes have come.
const readStep = 1 << 20

// readData reads n bytes and the line end behind them.
func (d *Decoder) readData(n int64) error {
	d.data = d.data[:0]
	if int64(cap(d.data)) > 16*readStep && n < readStep {
		d.data = nil
	}
	for int64(len(d.data)) < n {
		have := len(d.data)
		more := int(min(n-int64(have), max(readStep, int64(have))))
		if cap(d.data)-have < more {
			grown := make([]byte, have, have+more)
			copy(grown, d.data)
			d.data = grown
		}
		d.data = d.data[:have+more]
		if _, err := io.ReadFull(d.r, d.data[have:]); err != nil {
			return d.cutShort(err)
		}
	}
	switch c, err := d.r.ReadByte(); {
	case err != nil:
		return d.cutShort(err)
	case c != '\n':
		return fmt.Errorf("object %s: %w: no line end after %d bytes of data", d.obj.OID, ErrSyntax, n)
	}
	return nil
}

// readLine reads a line, without its end.
func (d *Decoder) readLine() ([]byte, error) {
	line, err := d.r.ReadSlice('\n')
	if len(line) > 0 || err == nil {
		d.line++
	}
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, fmt.Errorf("%w: the line is too long", ErrSyntax)
	case err != nil:
		return nil, d.cutShort(err)
	}
	return line[:len(line)-1], nil
}

// cutShort returns what an error of the reader means inside a transaction.
func (d *Decoder) cutShort(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrCutShort
	}
	return err
}

func (d *Decoder) fail(err error) error {
	d.open = false
	d.err = &Error{Line: d.line, TID: d.txn.TID, Err: err}
	return d.err
}

// syntaxError tells what was wanted where line is.
func syntaxError(want string, line []byte) error {
	return fmt.Errorf("%w: %s; found %q", ErrSyntax, want, line[:min(len(line), 80)])
}

// cutHex takes 16 lower-case hex digits off b.
func cutHex(b *[]byte) (v uint64, ok bool) {
	if len(*b) < 16 {
		return 0, false
	}
	for _, c := range (*b)[:16] {
		d, ok := hexValue(c)
		if !ok || c >= 'A' && c <= 'F' {
			return 0, false
		}
		v = v<<4 | uint64(d)
	}
	*b = (*b)[16:]
	return v, true
}
