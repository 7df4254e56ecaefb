package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// errCompression is wrapped by what is wrong with compressed input.
var errCompression = errors.New("the compressed data is damaged")

// An inFile is what a command reads, decompressed if its first bytes say that it
// is compressed.
type inFile struct {
	io.Reader
	size  int64 // of the file, 0 if that is unknown
	read  atomic.Int64
	close func()
}

// openInput opens the file path, or standard input for "-".
func openInput(stdin io.Reader, path string) (*inFile, error) {
	in := &inFile{close: func() {}}
	src := stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		src, in.close = f, func() { f.Close() }
		if fi, err := f.Stat(); err == nil && fi.Mode().IsRegular() {
			in.size = fi.Size()
		}
	}
	if err := in.decompress(&countingReader{src, &in.read}); err != nil {
		in.close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return in, nil
}

// maxZstdWindow bounds the memory that a compressed file can ask for. It is what
// zstd --long makes.
const maxZstdWindow = 128 << 20

func (in *inFile) decompress(src io.Reader) error {
	r := bufio.NewReaderSize(src, 256<<10)
	start, err := r.Peek(4)
	switch {
	case bytes.HasPrefix(start, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		dec, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return err
		}
		closeFile := in.close
		in.close = func() { dec.Close(); closeFile() }
		in.Reader = compressedReader{dec}
	case bytes.HasPrefix(start, []byte{0x1f, 0x8b}):
		dec, err := gzip.NewReader(r)
		if err != nil {
			return fmt.Errorf("%w: %w", errCompression, err)
		}
		in.Reader = compressedReader{dec}
	case err != nil && !errors.Is(err, io.EOF):
		return err
	default:
		in.Reader = r
	}
	return nil
}

// A compressedReader tells damage of compressed data.
type compressedReader struct{ r io.Reader }

func (c compressedReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		if _, ok := errors.AsType[*os.PathError](err); !ok {
			err = fmt.Errorf("%w: %w", errCompression, err)
		}
	}
	return n, err
}

// A countingReader counts what is read through it.
type countingReader struct {
	r io.Reader
	n *atomic.Int64
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n.Add(int64(n))
	return n, err
}
