package fs

import (
	"errors"
	"io"
	"os"
)

const (
	// maxWalk is how many bytes between two known starts of transactions are
	// walked without looking for better ones first.
	maxWalk = 64 << 20

	// indexSamples is how many entries of an index file are looked at.
	indexSamples = 4096
)

// An indexHint is what the index file of another process told about a data
// file, and was found true.
type indexHint struct {
	end    int64        // a transaction ends here
	tid    TID          // the TID of that transaction
	starts []checkpoint // starts of transactions, in no order
}

// trustIndex reads the index file beside the data file at path, open as src
// with size bytes. The index may be damaged, or be that of an older file that a
// pack replaced, so it is a hint. It is believed if a transaction ends where it
// says that the indexed part does, and if every entry that is looked at leads
// to a record of its object, inside the transaction that the record names.
func trustIndex(path string, src io.ReaderAt, size int64) (indexHint, bool) {
	fi, err := os.Stat(path + ".index")
	if err != nil {
		return indexHint{}, false
	}
	const entrySize = 8
	step := max(1, int(fi.Size()/entrySize/indexSamples))
	var hint indexHint
	n := 0
	end, err := ScanIndexFile(path+".index", func(oid OID, off int64) error {
		if n++; n%step != 0 {
			return nil
		}
		start, ok := startBy(src, oid, off, size)
		if !ok {
			return errWrongEntry
		}
		hint.starts = append(hint.starts, start)
		return nil
	})
	if err != nil || end < leastIndexEnd || end > size {
		return indexHint{}, false
	}
	_, h, err := txnBefore(&window{src: src, end: size}, end)
	if err != nil || h.tid == 0 {
		return indexHint{}, false
	}
	hint.end, hint.tid = end, h.tid
	return hint, true
}

// leastIndexEnd is the least end that ZODB believes in an index.
const leastIndexEnd = 100

var errWrongEntry = errors.New("index entry leads to no record of its object")

// startBy returns the start of the transaction that holds the record of oid at
// off.
func startBy(src io.ReaderAt, oid OID, off, end int64) (checkpoint, bool) {
	var rec Record
	var b [recordHeaderSize]byte
	w := window{src: src, end: end}
	if w.small(off, b[:]) != nil {
		return checkpoint{}, false
	}
	if kind, _ := decodeRecord(&rec, b[:], off); kind != "" || rec.OID != oid || rec.Txn < FirstOffset {
		return checkpoint{}, false
	}
	var head [txnHeaderSize]byte
	if w.small(rec.Txn, head[:]) != nil {
		return checkpoint{}, false
	}
	h := decodeFixedHeader(head[:])
	kind, _ := h.check(rec.Txn, end)
	if kind != "" || h.tid != rec.TID || off+rec.Size() > rec.Txn+int64(h.length) {
		return checkpoint{}, false
	}
	return checkpoint{h.tid, rec.Txn}, true
}
