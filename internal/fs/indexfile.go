package fs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
)

// ErrNoIndex is returned for an index file that cannot be used, be it missing
// (then the error is an [io/fs.ErrNotExist] too), unreadable, of the format of
// ZODB before 3.10, or damaged. An index only saves time: scan the data file.
var ErrNoIndex = errors.New("no usable index")

// An index file is a sequence of pickles without anything between them:
//
//	80 03 <int> 2e                       end: offset after the last indexed transaction
//	80 03 <bytes> <bytes> 86 2e          a bucket: first 6 bytes of its OIDs, then the rest
//	...                                  further buckets, ascending
//	80 03 4e 2e                          None
//
// and the rest of a bucket is
//
//	offset  size  field
//	     0   2*n  last 2 bytes of each OID, ascending
//	   2*n   6*n  offset of each object, big-endian
const (
	bucketPrefixSize = 6
	bucketEntrySize  = 2 + offsetSize
	maxBucketSize    = 1 << 16 * bucketEntrySize
)

// The pickle opcodes that an index may have.
const (
	opMark       = '('
	opStop       = '.'
	opInt        = 'I'
	opBinInt     = 'J'
	opBinInt1    = 'K'
	opLong       = 'L'
	opBinInt2    = 'M'
	opNone       = 'N'
	opPut        = 'p'
	opBinPut     = 'q'
	opLongBinPut = 'r'
	opTuple      = 't'
	opBinString  = 'T'
	opShortStr   = 'U'
	opUnicode    = 'X'
	opBinBytes   = 'B'
	opShortBytes = 'C'
	opProto      = 0x80
	opTuple2     = 0x86
	opLong1      = 0x8a
	opLong4      = 0x8b
)

// ReadIndexFile reads the index file path. The index holds all transactions of
// the data file before the offset end, or did so when it was written: nothing
// says that it belongs to the data file that lies beside it now, so the caller
// has to check. Every error wraps [ErrNoIndex].
func ReadIndexFile(path string) (idx *Index, end int64, err error) {
	idx = new(Index)
	end, err = readIndexFile(path, idx.addBucket)
	if err != nil {
		return nil, 0, err
	}
	return idx, end, nil
}

// addBucket adds a bucket that the index does not have yet. It is a row of
// pages, whose offsets have the form of the index already.
func (x *Index) addBucket(prefix uint64, suffixes, offsets []byte) error {
	for len(suffixes) > 0 {
		high := suffixes[0]
		var present [pageOIDs / 64]uint64
		n := 0
		for ; n < len(suffixes)/2 && suffixes[2*n] == high; n++ {
			low := suffixes[2*n+1]
			present[low/64] |= 1 << (low % 64)
		}
		x.addPage(prefix<<8|uint64(high), present, offsets[:n*offsetSize])
		suffixes, offsets = suffixes[2*n:], offsets[n*offsetSize:]
	}
	return nil
}

// ScanIndexFile is [ReadIndexFile] for those who need no [Index]: it calls fn
// for each object, in ascending order of OIDs. If fn fails, it stops and returns
// that error as it is. Otherwise an error may come after any number of calls,
// which were then for nothing.
func ScanIndexFile(path string, fn func(oid OID, off int64) error) (end int64, err error) {
	var stopped error
	end, err = readIndexFile(path, func(prefix uint64, suffixes, offsets []byte) error {
		for len(suffixes) > 0 {
			oid := OID(prefix<<16 | uint64(binary.BigEndian.Uint16(suffixes)))
			if stopped = fn(oid, getOffset(offsets)); stopped != nil {
				return stopped
			}
			suffixes, offsets = suffixes[2:], offsets[offsetSize:]
		}
		return nil
	})
	if stopped != nil {
		return 0, stopped
	}
	return end, err
}

// WriteIndexFile replaces the index file path, NAME.index for the data file
// NAME, durably, with what ZODB writes for the same objects, byte for byte. The
// file grows as NAME.index.index_tmp, as ZODB's does. Nobody may change the
// index meanwhile, and end must be the offset after the last transaction in it.
//
// ZODB cannot open a data file of empty transactions only with an index beside
// it (its FileStorage._check_sanity seeks to before the start): write none.
func WriteIndexFile(path string, idx *Index, end int64) error {
	return replaceFile(path, path+".index_tmp", func(w io.Writer) error {
		return writeIndex(w, idx, end)
	})
}

func writeIndex(w io.Writer, idx *Index, end int64) error {
	if end < 0 {
		return fmt.Errorf("index end %d is negative", end)
	}
	if _, err := w.Write(append(appendPickledInt([]byte{opProto, 3}, end), opStop)); err != nil {
		return err
	}
	var buf, suffixes, offsets []byte
	prefix := uint64(0)
	flush := func() error {
		if len(suffixes) == 0 {
			return nil
		}
		buf = append(buf[:0], opProto, 3)
		buf = appendPickledBytesHeader(buf, bucketPrefixSize)
		buf = append(buf, binary.BigEndian.AppendUint64(nil, prefix<<16)[:bucketPrefixSize]...)
		buf = appendPickledBytesHeader(buf, len(suffixes)+len(offsets))
		buf = append(buf, suffixes...)
		buf = append(buf, offsets...)
		buf = append(buf, opTuple2, opStop)
		suffixes, offsets = suffixes[:0], offsets[:0]
		_, err := w.Write(buf)
		return err
	}
	for number, p := range idx.sortedPages() {
		if number>>8 != prefix {
			if err := flush(); err != nil {
				return err
			}
			prefix = number >> 8
		}
		for slot := range p.slots() {
			suffixes = append(suffixes, byte(number), slot)
		}
		offsets = append(offsets, p.offsets...)
	}
	if err := flush(); err != nil {
		return err
	}
	_, err := w.Write([]byte{opProto, 3, opNone, opStop})
	return err
}

// appendPickledInt appends v >= 0 as Python's pickler writes it.
func appendPickledInt(b []byte, v int64) []byte {
	switch {
	case v <= math.MaxUint8:
		return append(b, opBinInt1, byte(v))
	case v <= math.MaxUint16:
		return binary.LittleEndian.AppendUint16(append(b, opBinInt2), uint16(v))
	case v <= math.MaxInt32:
		return binary.LittleEndian.AppendUint32(append(b, opBinInt), uint32(v))
	}
	// Two's complement with a clear top bit, in as few bytes as that takes.
	digits := binary.LittleEndian.AppendUint64(nil, uint64(v))
	n := len(digits)
	for digits[n-1] == 0 && digits[n-2] < 0x80 {
		n--
	}
	return append(append(b, opLong1, byte(n)), digits[:n]...)
}

// appendPickledBytesHeader appends what comes before n bytes.
func appendPickledBytesHeader(b []byte, n int) []byte {
	if n <= math.MaxUint8 {
		return append(b, opShortBytes, byte(n))
	}
	return binary.LittleEndian.AppendUint32(append(b, opBinBytes), uint32(n))
}

// A bucketFunc gets a bucket: the first 6 bytes of its OIDs as a number, the last
// 2 bytes of each, and the offsets. The slices are valid for the call.
type bucketFunc func(prefix uint64, suffixes, offsets []byte) error

func readIndexFile(path string, bucket bucketFunc) (end int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNoIndex, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrNoIndex, err)
	}
	r := indexReader{file: window{src: f, end: info.Size()}}
	end, err = r.read(bucket)
	if err != nil {
		return 0, fmt.Errorf("%s: offset %d: %w: %w", path, r.pos, ErrNoIndex, err)
	}
	return end, nil
}

// An indexReader reads an index through a machine for the few pickle opcodes
// that can be in one. It takes whatever ZODB's pickle module would read as an
// index, apart from what no ZODB ever wrote: the quoted strings of protocol 0
// and the calls by which Python 3 spells bytes in protocols 0 to 2. A pickler
// may have made memo entries, but nothing gets them: no prefix comes twice, and
// two equal buckets would have two objects in one place.
//
// Its memory is the window and a few values: it does not follow lengths that
// the file announces.
type indexReader struct {
	file  window
	pos   int64 // of the next opcode or argument
	stack []indexValue
}

// An indexValue is one value of a pickle.
type indexValue struct {
	kind indexKind
	n    int   // length of a string
	v    int64 // of a number, or of a prefix as a number; place of a longer string
}

type indexKind uint8

const (
	indexMark indexKind = iota + 1
	indexNone
	indexNumber
	indexString
	indexPair // its two strings follow on the stack
)

// read reads the index and calls bucket for each of its buckets.
func (r *indexReader) read(bucket bucketFunc) (end int64, err error) {
	if err := r.load(); err != nil {
		return 0, err
	}
	if v := r.stack[0]; v.kind != indexNumber || v.v < 0 {
		return 0, errors.New("does not start with an offset")
	}
	end = r.stack[0].v

	next := int64(0) // least prefix that may follow
	for {
		if err := r.load(); err != nil {
			return 0, err
		}
		switch r.stack[0].kind {
		case indexNone:
			return end, nil // ZODB reads no further
		case indexPair:
		default:
			return 0, errors.New("neither a bucket nor the end")
		}
		prefix := r.stack[1]
		if prefix.n != bucketPrefixSize || prefix.v < next {
			return 0, errors.New("bucket out of order")
		}
		next = prefix.v + 1
		suffixes, offsets, err := r.bucket(r.stack[2])
		if err != nil {
			return 0, err
		}
		if err := bucket(uint64(prefix.v), suffixes, offsets); err != nil {
			return 0, err
		}
	}
}

func (r *indexReader) bucket(v indexValue) (suffixes, offsets []byte, err error) {
	if v.n == 0 || v.n%bucketEntrySize != 0 {
		return nil, nil, fmt.Errorf("bucket of %d bytes", v.n)
	}
	b, err := r.file.bytes(v.v, v.n)
	if err != nil {
		return nil, nil, err
	}
	n := v.n / bucketEntrySize * 2
	suffixes, offsets = b[:n:n], b[n:]
	for i := 2; i < n; i += 2 {
		if binary.BigEndian.Uint16(suffixes[i-2:]) >= binary.BigEndian.Uint16(suffixes[i:]) {
			return nil, nil, errors.New("object ids do not ascend")
		}
	}
	return suffixes, offsets, nil
}

// load runs one pickle and leaves its value in the stack: a number, None, or a
// pair and its two strings.
func (r *indexReader) load() error {
	r.stack = r.stack[:0]
	for {
		op, err := r.byte()
		if err != nil {
			return err
		}
		if op == opStop {
			break
		}
		if err := r.run(op); err != nil {
			return err
		}
	}
	if len(r.stack) == 0 || len(r.stack) > 1 && (r.stack[0].kind != indexPair || len(r.stack) != 3) {
		return errors.New("pickle of more or less than one value")
	}
	return nil
}

// run executes one opcode.
func (r *indexReader) run(op byte) error {
	switch op {
	case opProto:
		version, err := r.byte()
		if err == nil && version > 3 {
			err = fmt.Errorf("pickle protocol %d", version)
		}
		return err
	case opNone:
		return r.push(indexValue{kind: indexNone})
	case opMark:
		return r.push(indexValue{kind: indexMark})
	case opTuple:
		return r.tuple(true)
	case opTuple2:
		return r.tuple(false)
	case opInt, opLong:
		return r.textNumber(op)
	case opBinInt1:
		return r.number(1)
	case opBinInt2:
		return r.number(2)
	case opBinInt:
		return r.signed(4)
	case opLong1, opLong4:
		n, err := r.length(op == opLong1)
		if err != nil {
			return err
		}
		return r.signed(n)
	case opShortBytes, opShortStr, opBinBytes, opBinString, opUnicode:
		n, err := r.length(op == opShortBytes || op == opShortStr)
		if err != nil {
			return err
		}
		return r.string(n, op == opShortBytes || op == opBinBytes)
	case opPut:
		_, err := r.line()
		return err
	case opBinPut:
		_, err := r.take(1)
		return err
	case opLongBinPut:
		_, err := r.take(4)
		return err
	}
	return fmt.Errorf("pickle opcode %#02x", op)
}

func (r *indexReader) push(v indexValue) error {
	// A mark and the two strings of a pair are the most that makes sense.
	if len(r.stack) == 3 {
		return errors.New("pickle of more than a pair")
	}
	r.stack = append(r.stack, v)
	return nil
}

// tuple makes a pair of two strings, with a mark before them or without.
func (r *indexReader) tuple(mark bool) error {
	if mark {
		if len(r.stack) == 0 || r.stack[0].kind != indexMark {
			return errors.New("pickled tuple without a mark")
		}
		r.stack = append(r.stack[:0], r.stack[1:]...)
	}
	if len(r.stack) != 2 || r.stack[0].kind != indexString || r.stack[1].kind != indexString {
		return errors.New("pickled tuple of something else than two strings")
	}
	r.stack = slices.Insert(r.stack, 0, indexValue{kind: indexPair})
	return nil
}

// number pushes an unsigned number of n bytes.
func (r *indexReader) number(n int) error {
	b, err := r.take(n)
	if err != nil {
		return err
	}
	v := int64(0)
	for i, c := range b {
		v |= int64(c) << (8 * i)
	}
	return r.push(indexValue{kind: indexNumber, v: v})
}

// signed pushes a signed number of n bytes.
func (r *indexReader) signed(n int) error {
	if n > 8 {
		return fmt.Errorf("number of %d bytes", n)
	}
	if err := r.number(n); err != nil {
		return err
	}
	unused := 64 - 8*n
	top := &r.stack[len(r.stack)-1]
	top.v = top.v << unused >> unused
	return nil
}

// textNumber pushes a number in decimal digits.
func (r *indexReader) textNumber(op byte) error {
	line, err := r.line()
	if err != nil {
		return err
	}
	if op == opLong {
		line = bytes.TrimSuffix(line, []byte("L"))
	}
	v, err := strconv.ParseInt(string(line), 10, 64)
	if err != nil {
		return err
	}
	return r.push(indexValue{kind: indexNumber, v: v})
}

// string pushes the next n bytes. If they are text, ZODB wants them in ASCII.
func (r *indexReader) string(n int, binary bool) error {
	if n > maxBucketSize {
		return fmt.Errorf("string of %d bytes", n)
	}
	// What comes behind is needed before a bucket is: have both in the window.
	const behind = 64
	pos, rest := r.pos, r.file.end-r.pos
	if int64(n) > rest {
		return io.ErrUnexpectedEOF
	}
	b, err := r.file.bytes(pos, int(min(int64(n)+behind, rest)))
	if err != nil {
		return err
	}
	b = b[:n]
	r.pos += int64(n)
	if !binary && slices.ContainsFunc(b, func(c byte) bool { return c >= 0x80 }) {
		return errors.New("8-bit string with bytes beyond ASCII")
	}
	if n == bucketPrefixSize {
		pos = getOffset(b) // a number of the same form
	}
	return r.push(indexValue{kind: indexString, v: pos, n: n})
}

// length reads a length of one byte or four.
func (r *indexReader) length(short bool) (int, error) {
	if short {
		b, err := r.byte()
		return int(b), err
	}
	b, err := r.take(4)
	if err != nil {
		return 0, err
	}
	n := binary.LittleEndian.Uint32(b)
	if n > math.MaxInt32 {
		return 0, fmt.Errorf("length %d", n)
	}
	return int(n), nil
}

func (r *indexReader) byte() (byte, error) {
	b, err := r.take(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// line reads up to the next newline, which is not part of the result.
func (r *indexReader) line() ([]byte, error) {
	const longest = 24 // a decimal int64, an L, some zeros
	b, err := r.file.bytes(r.pos, int(min(longest, r.file.end-r.pos)))
	if err != nil {
		return nil, err
	}
	line, _, ok := bytes.Cut(b, []byte("\n"))
	if !ok {
		return nil, errors.New("text without end")
	}
	r.pos += int64(len(line)) + 1
	return line, nil
}

// take returns the next n bytes, valid until the following call.
func (r *indexReader) take(n int) ([]byte, error) {
	b, err := r.file.bytes(r.pos, n)
	if err == nil {
		r.pos += int64(n)
	}
	return b, err
}
