package bench

import (
	"crypto/md5"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Limits measures how fast the machine can do what replication can't avoid, each
// alone: the protocol's MD5, reading the file, writing it out to disk, sending
// it over the loopback interface.
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
		results = append(results, &Result{
			Schema:  schema,
			Name:    "limit",
			Subject: step.name,
			Dataset: f.Dataset,
			Seconds: took.Seconds(),
			Bytes:   f.DataBytes,
		})
	}
	return results, nil
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
