package fs

import (
	"errors"
	"fmt"
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
	hint, err := examineIndex(path, src, size)
	return hint, err == nil
}

// examineIndex is trustIndex for those who want to know what is wrong. The error
// wraps [ErrNoIndex].
func examineIndex(path string, src io.ReaderAt, size int64) (indexHint, error) {
	fi, err := os.Stat(path + ".index")
	if err != nil {
		return indexHint{}, fmt.Errorf("%w: %w", ErrNoIndex, err)
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
			return fmt.Errorf("%s.index: %w: it says that object %s is at %d, where it is not", path, ErrNoIndex, oid, off)
		}
		hint.starts = append(hint.starts, start)
		return nil
	})
	if err != nil {
		return indexHint{}, err
	}
	if end > size {
		return indexHint{}, fmt.Errorf("%s.index: %w: it ends at %d, the transactions at %d", path, ErrNoIndex, end, size)
	}
	if end < leastIndexEnd {
		return indexHint{}, fmt.Errorf("%s.index: %w: it ends at %d", path, ErrNoIndex, end)
	}
	_, h, err := txnBefore(&window{src: src, end: size}, end)
	if err == nil && h.tid == 0 {
		err = errors.New("no transaction ends there")
	}
	if err != nil {
		return indexHint{}, fmt.Errorf("%s.index: %w: it ends at %d: %w", path, ErrNoIndex, end, err)
	}
	hint.end, hint.tid = end, h.tid
	return hint, nil
}

// leastIndexEnd is the least end that ZODB believes in an index.
const leastIndexEnd = 100

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
