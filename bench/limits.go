package bench

import (
	"crypto/md5"
	"errors"
	"hash"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
)

// Limits measures how fast the machine can do what replication can't avoid, each
// alone: zc.zrs's MD5, reading the file, writing it out to disk, sending it over the
// loopback interface; getting it from one end to the other with MD5 at both; how
// fast files of the blobs' sizes get to disk, and from one end to the other with
// nothing but a copy; and how long a small commit takes to get to disk.
func (b *Bench) Limits(f *Files) ([]*Result, error) {
	steps := []struct {
		name string
		run  func(data *os.File) error
	}{
		{"read", func(data *os.File) error { _, err := io.Copy(onlyWriter{io.Discard}, data); return err }},
		{"md5", func(data *os.File) error { _, err := io.Copy(md5.New(), data); return err }},
		{"write", b.write},
		{"loopback", loopback},
	}
	var results []*Result
	for _, step := range steps {
		data, err := os.Open(f.Data)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		err = step.run(data)
		took := time.Since(began)
		data.Close()
		if err != nil {
			return nil, err
		}
		results = append(results, limit(step.name, f.Dataset, took, f.DataBytes))
	}
	took, err := b.transfer(f.Data, 1, f.DataBytes, md5.New)
	if err != nil {
		return nil, err
	}
	results = append(results, limit(checksummed, f.Dataset, took, f.DataBytes))
	for _, s := range []struct {
		dataset Dataset
		n, size int
	}{
		{SmallBlobs, scaled(smallBlobs, f.Scale), smallBlob},
		{LargeBlobs, scaled(largeBlobs, f.Scale), largeBlob},
	} {
		took, err := b.writeFiles(s.n, s.size)
		if err != nil {
			return nil, err
		}
		results = append(results, limit("write", s.dataset.Name, took, int64(s.n*s.size)))
		if took, err = b.transferBlobs(s.n, s.size); err != nil {
			return nil, err
		}
		results = append(results, limit("transfer", s.dataset.Name, took, int64(s.n*s.size)))
	}
	sync, err := b.syncs()
	return append(results, sync), err
}

func limit(subject, dataset string, took time.Duration, bytes int64) *Result {
	return &Result{
		Schema:  schema,
		Name:    "limit",
		Subject: subject,
		Dataset: dataset,
		Seconds: took.Seconds(),
		Bytes:   bytes,
	}
}

// atOnce is how many files writeFiles has in hand, enough to keep a disk busy.
const atOnce = 8

// writeFiles returns how long it takes to write n files of a size and to sync
// each.
func (b *Bench) writeFiles(n, size int) (time.Duration, error) {
	dir, remove, err := b.scratch()
	if err != nil {
		return 0, err
	}
	defer remove()
	block := newRandom(4).bytes(1 << 20)
	began := time.Now()
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i := range n {
		g.Go(func() error {
			f, err := os.Create(filepath.Join(dir, strconv.Itoa(i)))
			if err != nil {
				return err
			}
			defer f.Close()
			for range size / len(block) {
				if _, err := f.Write(block); err != nil {
					return err
				}
			}
			return f.Sync()
		})
	}
	err = g.Wait()
	return time.Since(began), err
}

// transferBlobs is transfer of n files as large as a blob, without a checksum.
func (b *Bench) transferBlobs(n, size int) (time.Duration, error) {
	dir, remove, err := b.scratch()
	if err != nil {
		return 0, err
	}
	defer remove()
	source := filepath.Join(dir, "source")
	if err := writeBlob(source, newRandom(6), size); err != nil {
		return 0, err
	}
	return b.transfer(source, n, int64(size), func() hash.Hash { return nil })
}

// checksummed is the name of the limit that is a transfer with MD5.
const checksummed = "transfer, MD5"

// transfer returns how long it takes to send a file of a size n times over the
// loopback interface, and to write and sync the copies, with a checksum at both
// ends if there is one. It shares the processors between two ends, as replication
// on one machine does.
func (b *Bench) transfer(source string, n int, size int64, checksum func() hash.Hash) (time.Duration, error) {
	dir, remove, err := b.scratch()
	if err != nil {
		return 0, err
	}
	defer remove()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	began := time.Now()
	var g errgroup.Group
	g.Go(func() error { return sendFiles(l, source, n, checksum()) })
	g.Go(func() error { return receiveFiles(l.Addr().String(), dir, n, size, checksum()) })
	err = g.Wait()
	return time.Since(began), err
}

// piece is how much transfer has in hand at a time.
const piece = 256 << 10

// summed returns a writer that feeds a checksum too, unless that is nil.
func summed(w io.Writer, checksum hash.Hash) io.Writer {
	if checksum != nil {
		w = io.MultiWriter(checksum, w)
	}
	return onlyWriter{w}
}

// sendFiles sends a file n times to the first who connects.
func sendFiles(l net.Listener, path string, n int, checksum hash.Hash) error {
	conn, err := l.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	buf := make([]byte, piece)
	for range n {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		_, err = io.CopyBuffer(summed(conn, checksum), onlyReader{f}, buf)
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// receiveFiles writes n files of a size. It syncs them while others arrive.
func receiveFiles(address, dir string, n int, size int64, checksum hash.Hash) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	buf := make([]byte, piece)
	var syncs errgroup.Group
	syncs.SetLimit(atOnce)
	for i := range n {
		f, err := os.Create(filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			return err
		}
		_, err = io.CopyBuffer(summed(f, checksum), io.LimitReader(conn, size), buf)
		if err != nil {
			f.Close()
			return err
		}
		syncs.Go(func() error { return errors.Join(f.Sync(), f.Close()) })
	}
	return syncs.Wait()
}

// syncs measures how long it takes to append a small transaction to a file and
// to sync that, many times: the least that a durable commit can take.
func (b *Bench) syncs() (*Result, error) {
	const times, size = 1000, 500
	dir, remove, err := b.scratch()
	if err != nil {
		return nil, err
	}
	defer remove()
	f, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	txn := newRandom(5).bytes(size)
	var delays []time.Duration
	began := time.Now()
	for range times {
		start := time.Now()
		if _, err := f.Write(txn); err != nil {
			return nil, err
		}
		if err := datasync(f); err != nil {
			return nil, err
		}
		delays = append(delays, time.Since(start))
	}
	r := limit("sync", "", time.Since(began), times*size)
	r.Transactions = times
	r.Latency = newLatency(delays)
	return r, nil
}

// onlyWriter hides what would let io.Copy take a short cut.
type onlyWriter struct{ io.Writer }

// write copies the data to a new file and syncs that.
func (b *Bench) write(data *os.File) error {
	dir, remove, err := b.scratch()
	if err != nil {
		return err
	}
	defer remove()
	out, err := os.Create(filepath.Join(dir, "copy"))
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.CopyBuffer(onlyWriter{out}, onlyReader{data}, make([]byte, 1<<20)); err != nil {
		return err
	}
	return out.Sync()
}

type onlyReader struct{ io.Reader }

// loopback sends the data over a TCP connection to a reader in this process.
func loopback(data *os.File) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	sent := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = io.CopyBuffer(onlyWriter{c}, onlyReader{data}, make([]byte, 64<<10))
			err = errors.Join(err, c.Close())
		}
		sent <- err
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := io.CopyBuffer(onlyWriter{io.Discard}, onlyReader{c}, make([]byte, 64<<10)); err != nil {
		return err
	}
	return <-sent
}
