package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
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
	pipe  bool  // it is no regular file
	read  atomic.Int64
	close func()
}

// openInput opens the file path, or standard input for "-". Reads of what is no
// regular file end when ctx is done.
func openInput(ctx context.Context, stdin io.Reader, path string) (*inFile, error) {
	in := &inFile{close: func() {}}
	var src io.Reader
	if path == "-" {
		src, in.close = interruptible(ctx, stdin)
		in.pipe = true
	} else {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		src, in.close = f, func() { f.Close() }
		if fi, err := f.Stat(); err == nil && fi.Mode().IsRegular() {
			in.size = fi.Size()
			if in.size == 0 && (strings.HasSuffix(path, ".zst") || strings.HasSuffix(path, ".gz")) {
				f.Close()
				return nil, fmt.Errorf("%s: %w: the file is empty", path, errCompression)
			}
		} else {
			src, in.close = interruptible(ctx, f)
			in.pipe = true
		}
	}
	if err := in.decompress(&countingReader{src, &in.read}); err != nil {
		in.close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return in, nil
}

// interruptible returns a reader of what r reads that fails when ctx is done. A
// read of a pipe can't be ended: the goroutine that waits for it ends with the
// program, or with the pipe.
func interruptible(ctx context.Context, r io.Reader) (_ io.Reader, stop func()) {
	pr, pw := io.Pipe()
	go func() {
		_, err := io.CopyBuffer(struct{ io.Writer }{pw}, struct{ io.Reader }{r}, make([]byte, 256<<10))
		pw.CloseWithError(err)
	}()
	release := context.AfterFunc(ctx, func() { pw.CloseWithError(context.Cause(ctx)) })
	return pr, func() { release(); pr.Close() }
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
	_, failed := errors.AsType[*os.PathError](err)
	switch {
	case err == nil, failed, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.Canceled):
		return n, err
	}
	return n, fmt.Errorf("%w: %w", errCompression, err)
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
