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
			next, err := c.next(pos)
			if err != nil {
				return // the observer waits in vain, and says so
			}
			if pos == next {
				rest(pause)
			}
			pos = next
		}
	}()
	return c, nil
}

// next copies the transaction at pos, if it is there and finished, and returns
// where the following one will be.
func (c *bareCopier) next(pos int64) (int64, error) {
	var h [txnHeaderSize]byte
	if n, _ := c.from.ReadAt(h[:], pos); n < len(h) || h[statusAt] != ' ' {
		return pos, nil
	}
	txn := make([]byte, binary.BigEndian.Uint64(h[8:16])+8)
	if _, err := c.from.ReadAt(txn, pos); err != nil {
		return pos, err
	}
	if err := datasync(c.from); err != nil {
		return pos, err
	}
	txn[statusAt] = 'c'
	if _, err := c.to.WriteAt(txn, pos); err != nil {
		return pos, err
	}
	if err := datasync(c.to); err != nil {
		return pos, err
	}
	_, err := c.to.WriteAt([]byte{' '}, pos+statusAt)
	return pos + int64(len(txn)), err
}

func (c *bareCopier) stop() {
	c.stopping.Store(true)
	<-c.done
	c.from.Close()
	c.to.Close()
}
