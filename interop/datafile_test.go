package interop

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"testing"
)

// The tests read data files with this little code of their own: what they say
// about zrs must not rest on zrs.

// A txn is a transaction as its header has it.
type txn struct {
	offset int64
	size   int64 // on disk, both lengths included
	tid    string
	status byte
}

// transactions walks the data file from its start to the first transaction that
// is not whole or not finished. There is no error for that: it is how the file
// of a running writer ends.
func transactions(path string) (txns []txn, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for pos := int64(4); ; {
		var h [17]byte
		if _, err := f.ReadAt(h[:], pos); err != nil {
			return txns, unlessEOF(err)
		}
		size := int64(binary.BigEndian.Uint64(h[8:16])) + 8
		var second [8]byte
		if _, err := f.ReadAt(second[:], pos+size-8); err != nil {
			return txns, unlessEOF(err)
		}
		if status := h[16]; status != ' ' && status != 'p' || [8]byte(h[8:16]) != second {
			return txns, nil
		}
		txns = append(txns, txn{pos, size, hex.EncodeToString(h[:8]), h[16]})
		pos += size
	}
}

func unlessEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// lastTID returns the TID of the last finished transaction, "" if there is none
// or no file yet.
func lastTID(t *testing.T, path string) string {
	t.Helper()
	txns, err := transactions(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if len(txns) == 0 {
		return ""
	}
	return txns[len(txns)-1].tid
}
