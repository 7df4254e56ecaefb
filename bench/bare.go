package bench

import (
	"encoding/binary"
	"os"
	"sync/atomic"
)

// A bareCopier appends the transactions of a data file to another one with
// nothing but what is needed for a transaction to be durable at one end before
// it is sent, and at the other before it is finished.
type bareCopier struct {
	from, to *os.File
	stopping atomic.Bool
	done     chan struct{}
}

func copyBare(from, to string) (*bareCopier, error) {
	src, err := os.Open(from)
	if err != nil {
		return nil, err
	}
	dst, err := os.Create(to)
	if err != nil {
		src.Close()
		return nil, err
	}
	c := &bareCopier{from: src, to: dst, done: make(chan struct{})}
	go func() {
		defer close(c.done)
		pos := int64(len(magic))
		for !c.stopping.Load() {
			txn, err := syncedTxn(c.from, pos)
			if err == nil && txn != nil {
				err = finishTxn(c.to, pos, txn)
			}
			if err != nil {
				return // the observer waits in vain, and says so
			}
			if txn == nil {
				rest(pause)
			}
			pos += int64(len(txn))
		}
	}()
	return c, nil
}

func (c *bareCopier) stop() {
	c.stopping.Store(true)
	<-c.done
	c.from.Close()
	c.to.Close()
}

// syncedTxn returns the transaction at pos once it is finished, and durable by
// then, or nil.
func syncedTxn(f *os.File, pos int64) ([]byte, error) {
	var h [txnHeaderSize]byte
	if n, _ := f.ReadAt(h[:], pos); n < len(h) || h[statusAt] != ' ' {
		return nil, nil
	}
	txn := make([]byte, sizeOf(h[:]))
	if _, err := f.ReadAt(txn, pos); err != nil {
		return nil, err
	}
	return txn, datasync(f)
}

// sizeOf returns how many bytes the transaction with header h takes.
func sizeOf(h []byte) int64 { return int64(binary.BigEndian.Uint64(h[8:16])) + 8 }

// finishTxn appends a transaction at pos, and finishes it when it is durable.
func finishTxn(f *os.File, pos int64, txn []byte) error {
	txn[statusAt] = 'c'
	if _, err := f.WriteAt(txn, pos); err != nil {
		return err
	}
	if err := datasync(f); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte{' '}, pos+statusAt)
	return err
}
