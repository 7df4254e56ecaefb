package repl

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"zrs/internal/fs"
	"zrs/internal/wire"
)

// Secondaries that read the same share the work: each chunk is encoded once, and
// the checksums of connections that began alike are computed once.
func TestFeed_shares(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Data.fs")
	var txns []txn
	for i := range 300 {
		txns = append(txns, txn{tid: fs.TID(i + 1), status: fs.StatusComplete, recs: []rec{{oid: 1, data: strings.Repeat("x", 10_000)}}})
	}
	writeTxns(t, path, txns)
	log, _ := readLog(t, path, "")
	f := newFeed(log)
	read := func() (chunks []*chunk, sums []*checksums) {
		c, err := log.After(0)
		if err != nil {
			t.Error(err)
			return nil, nil
		}
		defer c.Close()
		d := wire.NewDigest(wire.Protocol21, 0)
		e := &encoder{logger: quietLogger}
		for {
			ch, err := f.next(t.Context(), c, e)
			if errors.Is(err, io.EOF) {
				return chunks, sums
			}
			if err != nil {
				t.Error(err)
				return nil, nil
			}
			s := ch.checksums(d)
			d = s.after.Clone()
			chunks, sums = append(chunks, ch), append(sums, s)
		}
	}
	const readers = 5
	var all [readers][]*chunk
	var sums [readers][]*checksums
	var wg sync.WaitGroup
	for i := range readers {
		wg.Go(func() { all[i], sums[i] = read() })
	}
	wg.Wait()
	if len(all[0]) < 5 {
		t.Fatalf("%d chunks", len(all[0]))
	}
	for i := range readers {
		for k := range all[0] {
			if all[i][k] != all[0][k] {
				t.Errorf("reader %d has a chunk %d of its own", i, k)
			}
			if sums[i][k] != sums[0][k] {
				t.Errorf("reader %d has checksums %d of its own", i, k)
			}
		}
	}
	for start := range fs.TID(100) {
		all[0][0].checksums(wire.NewDigest(wire.Protocol21, start))
	}
	if n := len(all[0][0].sums); n > maxSums {
		t.Errorf("a chunk keeps %d checksums, want at most %d", n, maxSums)
	}
}

// What is kept for others is bounded.
func TestFeed_bounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Data.fs")
	var txns []txn
	for i := range 400 {
		txns = append(txns, txn{tid: fs.TID(i + 1), status: fs.StatusComplete, recs: []rec{{oid: 1, data: strings.Repeat("x", 50_000)}}})
	}
	writeTxns(t, path, txns)
	log, _ := readLog(t, path, "")
	f := newFeed(log)
	c, err := log.After(0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for {
		if _, err := f.next(t.Context(), c, &encoder{logger: quietLogger}); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		size := 0
		for _, ch := range f.chunks {
			size += len(ch.frames)
		}
		if size > feedSize+2*chunkSize || size != f.size || len(f.chunks) != len(f.order) {
			t.Fatalf("%d bytes in %d chunks, it says %d in %d", size, len(f.chunks), f.size, len(f.order))
		}
	}
}

// Large transactions, records and blobs are streamed, and come out the same.
func TestPrimary_streams(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 3<<16) // 3 MiB
	path := filepath.Join(t.TempDir(), "Data.fs")
	writeTxns(t, path, []txn{
		{tid: tidOf(1), status: ' ', recs: []rec{{oid: 1, data: big}, {oid: 2, data: "small"}}},
		{tid: tidOf(2), status: ' ', recs: []rec{{oid: 1, data: "other"}}},
		{tid: tidOf(3), status: ' ', recs: []rec{{oid: 1, data: big, dataTxn: tidOf(1)}}}, // a back pointer to much data
		{tid: tidOf(4), status: ' ', recs: []rec{{oid: 3, data: blobData, blob: big + "x", hasBlob: true}, {oid: 4, data: blobData, blob: big[:wire.BlockSize], hasBlob: true}}},
		{tid: tidOf(5), status: ' ', desc: strings.Repeat("d", 65535), user: strings.Repeat("u", 65535)},
	})
	src, _ := serveTCP(t, newPrimary(t, path, path+".blobs"))
	ours := filepath.Join(t.TempDir(), "Data.fs")
	s := newSecondary(t, ours, ours+".blobs", src)
	if err := s.Catchup(t.Context(), 0, false); err != nil {
		t.Error(err)
	}
	closeSecondary(t, s)
	checkSame(t, ours, path)
	checkSameBlobs(t, ours+".blobs", path+".blobs")
}

// A primary that can't go on ends the stream inside of a frame: not even a
// secondary that has asked for the end takes that for one.
func TestPrimary_breaksOff(t *testing.T) {
	for _, txns := range []string{"1 a=1; 2 b*; 3 c=1", "2 b*"} {
		synctest.Test(t, func(t *testing.T) {
			path := makeFile(t, txns)
			p := newPrimary(t, path, path+".blobs")
			p.MissingBlob = FailMissingBlob
			lines, err := parseStream(t, 0, ask(t, p, wire.Protocol21, 0))
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("after %q the stream ends with %v", lines, err)
			}
		})
	}
	// So does one whose blob gets shorter while it is sent.
	t.Run("blob", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "Data.fs")
		writeTxns(t, path, []txn{{tid: tidOf(1), status: ' ', recs: []rec{{oid: 0, data: blobData, blob: strings.Repeat("x", 32<<20), hasBlob: true}}}})
		src, _ := serveTCP(t, newPrimary(t, path, path+".blobs"))
		conn, err := src.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		// Little fits between the two, so that most of the blob is yet to be read.
		if err := conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
			t.Fatal(err)
		}
		var got []byte
		err = playTo(conn, send(wire.AppendHandshake(nil, wire.Protocol21, 0)), func(c net.Conn) error {
			first := make([]byte, 1000)
			if _, err := io.ReadFull(c, first); err != nil {
				return err
			}
			for _, file := range walkFiles(path + ".blobs") {
				if fi, err := os.Stat(file); err == nil && fi.Size() > 1<<20 {
					if err := os.Truncate(file, 1<<20); err != nil {
						return err
					}
				}
			}
			rest, err := io.ReadAll(c)
			got = append(first, rest...)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(got) > 32<<20 {
			t.Fatal("all of it was under way already")
		}
		if _, err := parseStream(t, 0, got); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the stream ends with %v", err)
		}
	})
}

// When it stops, secondaries get what there is by then.
func TestPrimary_stop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := fs.OpenWriter(t.Context(), filepath.Join(memoryDir(t), "Data.fs"), fs.WriterOptions{Create: true})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		src, stop := servePipes(t, &Primary{Log: w.Log(), Logger: testLogger(t)})
		idle := newSecondary(t, filepath.Join(memoryDir(t), "Data.fs"), "", src)
		runSecondary(t, idle)
		slow, err := src.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer slow.Close()
		if _, err := slow.Write(wire.AppendHandshake(nil, wire.Protocol20, 0)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait() // both wait for the first transaction
		const txns = "1 a=1; 2 b=1; 3 c=1"
		appendTxns(t, w, parseTxns(t, txns))
		if err := w.Sync(); err != nil {
			t.Fatal(err)
		}
		stopped := make(chan error)
		go func() { stopped <- stop() }()
		synctest.Wait()
		if got := idle.Log.Tip().TID; got != tidOf(3) {
			t.Errorf("a secondary has %s when the primary stops", got)
		}
		want := newStream(0).txns(parseTxns(t, txns)...).b
		got := make([]byte, 0, len(want))
		for {
			time.Sleep(DefaultStopTimeout / time.Duration(2*len(want)))
			b := make([]byte, 1)
			n, err := slow.Read(b)
			got = append(got, b[:n]...)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		checkBytes(t, "what a slow secondary got", got, want)
		if err := <-stopped; err != nil {
			t.Errorf("Serve() = %v", err)
		}
	})
}

// A secondary that reads nothing holds up the end for a limited time.
func TestPrimary_stopTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPrimary(t, makeFile(t, "1 a=1"), "")
		p.StopTimeout, p.WriteTimeout = time.Minute, time.Hour
		src, stop := servePipes(t, p)
		for _, sent := range [][]byte{nil, wire.AppendHandshake(nil, wire.Protocol20, 0)} {
			conn, err := src.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(sent); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		begin := time.Now()
		if err := stop(); err != nil {
			t.Errorf("Serve() = %v", err)
		}
		if took := time.Since(begin); took != p.StopTimeout {
			t.Errorf("it took %s, want %s", took, p.StopTimeout)
		}
	})
}

// There are at most so many connections at a time.
func TestPrimary_maxConns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPrimary(t, makeFile(t, "1 a=1"), "")
		p.MaxConns = 2
		src, _ := servePipes(t, p)
		connect := func() (net.Conn, bool) {
			conn, err := src.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write(wire.AppendHandshake(nil, wire.Protocol20, 0)); err != nil {
				return conn, false
			}
			n, _ := conn.Read(make([]byte, 1))
			return conn, n > 0
		}
		a, okA := connect()
		b, okB := connect()
		c, okC := connect()
		if !okA || !okB || okC {
			t.Errorf("served are %t, %t and %t, want two", okA, okB, okC)
		}
		a.Close()
		synctest.Wait()
		d, okD := connect()
		if !okD {
			t.Error("there is room, but the next one is refused")
		}
		for _, conn := range []net.Conn{b, c, d} {
			conn.Close()
		}
	})
}

// A listener that fails now and then, as one does without file descriptors.
type troubledListener struct {
	net.Listener
	left int
}

func (l *troubledListener) Accept() (net.Conn, error) {
	if l.left > 0 {
		l.left--
		return nil, syscall.EMFILE
	}
	return l.Listener.Accept()
}

func TestPrimary_acceptFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPrimary(t, makeFile(t, "1 a=1"), "")
		pairs := &pairListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		serveOn(t, p, &troubledListener{pairs, 20})
		begin := time.Now()
		ours, theirs := net.Pipe()
		pairs.conns <- theirs
		ours.Close()
		if took := time.Since(begin); took < 5*time.Second || took > 20*time.Second {
			t.Errorf("20 failures took %s", took)
		}
	})
	l := &pairListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	l.Close()
	p := newPrimary(t, makeFile(t, "1 a=1"), "")
	if err := p.Serve(t.Context(), l); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve() on a closed listener = %v, want %v", err, net.ErrClosed)
	}
}

// When the data file can't be followed any more, Serve says why.
func TestPrimary_logFails(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(path string) error
		want   error
	}{
		{"truncated", func(path string) error { return os.Truncate(path, 10) }, fs.ErrTruncated},
		{"replaced", func(path string) error { return os.Rename(makeFile(t, "7 a=7"), path) }, fs.ErrReplaced},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := copyFile(t, filepath.Join(t.TempDir(), "Data.fs"), makeFile(t, "1 a=1; 2 b=1"))
			if test.name == "replaced" {
				path = makeFile(t, "1 a=1; 2 b=1") // on the same file system
			}
			end := int64(len(readFile(t, path)))
			p := &Primary{Log: follow(t, path), Logger: testLogger(t)}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan error, 1)
			go func() { served <- p.Serve(t.Context(), l) }()
			s := newSecondary(t, filepath.Join(t.TempDir(), "Data.fs"), "", TCPSource("tcp", l.Addr().String(), time.Minute))
			stop := runSecondary(t, s)
			waitForTip(t, s.Log, end)
			if err := test.change(path); err != nil {
				t.Fatal(err)
			}
			if err := <-served; !errors.Is(err, test.want) {
				t.Errorf("Serve() = %v, want %v", err, test.want)
			}
			if err := stop(); err != nil {
				t.Errorf("Run() = %v", err)
			}
			if got := s.Log.Tip().Offset; got != end {
				t.Errorf("the secondary has %d bytes, want %d", got, end)
			}
		})
	}
}

// A secondary serves others what it has made durable.
func TestCascade(t *testing.T) {
	dir := t.TempDir()
	w, err := fs.OpenWriter(t.Context(), filepath.Join(dir, "a.fs"), fs.WriterOptions{Create: true, BlobDir: filepath.Join(dir, "a.blobs")})
	if err != nil {
		t.Fatal(err)
	}
	src, _ := serveTCP(t, &Primary{Log: w.Log(), Blobs: w.Blobs(), Logger: testLogger(t)})
	middle := newSecondary(t, filepath.Join(dir, "b.fs"), filepath.Join(dir, "b.blobs"), src)
	stopMiddle := runSecondary(t, middle)
	src2, stopServing := serveTCP(t, &Primary{Log: middle.Log, Blobs: middle.Blobs, Logger: testLogger(t)})
	last := newSecondary(t, filepath.Join(dir, "c.fs"), filepath.Join(dir, "c.blobs"), src2)
	stopLast := runSecondary(t, last)

	for n := 1; n <= 20; n++ {
		appendTxns(t, w, []txn{{
			tid: tidOf(n), status: ' ', user: "me",
			recs: []rec{{oid: 1, data: strings.Repeat("x", n)}, {oid: 2, data: blobData, blob: strings.Repeat("b", 1000*n), hasBlob: true}},
		}})
		if err := w.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	waitForTip(t, last.Log, w.End())
	if err := errors.Join(stopLast(), stopServing(), stopMiddle()); err != nil {
		t.Error(err)
	}
	closeSecondary(t, last)
	closeSecondary(t, middle)
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"b", "c"} {
		checkSame(t, filepath.Join(dir, name+".fs"), filepath.Join(dir, "a.fs"))
		checkSameBlobs(t, filepath.Join(dir, name+".blobs"), filepath.Join(dir, "a.blobs"))
	}
}

// The socket of a process that was killed is in nobody's way. One that is in use
// is, and so is any other file.
func TestListen_unix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "zrs.sock")
	l, err := Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	if l2, err := Listen(t.Context(), "unix", path); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Listen() = %v, %v, want %v", l2, err, syscall.EADDRINUSE)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	if l, err = Listen(t.Context(), "unix", path); err != nil {
		t.Fatalf("with a stale socket: Listen() = %v", err)
	}
	p := newPrimary(t, makeFile(t, "1 a=1"), "")
	p.Allow = nil
	serveOn(t, p, l)
	ours := filepath.Join(t.TempDir(), "Data.fs")
	s := newSecondary(t, ours, "", TCPSource("unix", path, time.Minute))
	if err := s.Catchup(t.Context(), 0, false); err != nil {
		t.Errorf("Catchup() = %v", err)
	}
	closeSecondary(t, s)
	checkSame(t, ours, p.Log.Path())

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("data"), 0o666); err != nil {
		t.Fatal(err)
	}
	if l, err := Listen(t.Context(), "unix", file); err == nil {
		t.Errorf("Listen() on a file = %v", l)
	}
	if got := string(readFile(t, file)); got != "data" {
		t.Errorf("the file has %q", got)
	}
}

// A pack while secondaries are connected: nobody notices, and they all get what
// comes after it.
func TestPrimary_packedWhileServing(t *testing.T) {
	path := makeFile(t, "1 a=1; 2 b=1; 3 a=2")
	src, _ := serveTCP(t, &Primary{Log: follow(t, path), Logger: testLogger(t)})
	s := newSecondary(t, filepath.Join(t.TempDir(), "Data.fs"), "", src)
	stop := runSecondary(t, s)
	waitForTip(t, s.Log, int64(len(readFile(t, path))))
	if err := os.Rename(makeFile(t, "2p b=1; 3p a=2; 4 c=1"), path); err != nil {
		t.Fatal(err)
	}
	waitForTip(t, s.Log, int64(len(readFile(t, makeFile(t, "1 a=1; 2 b=1; 3 a=2; 4 c=1")))))
	if err := stop(); err != nil {
		t.Errorf("Run() = %v", err)
	}
	closeSecondary(t, s)
	checkSame(t, s.Log.Path(), makeFile(t, "1 a=1; 2 b=1; 3 a=2; 4 c=1"))
	if s.Stats.Compared.Load() != 0 {
		t.Error("it had to connect again")
	}
}
