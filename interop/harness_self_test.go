package interop

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zrs/interop/driver"
)

// The tests of the harness itself: a comparison that sees no difference, or a
// proxy that cuts nothing, would let every other test pass.

func TestCompareFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a := write("a", "FS30 some data")
	for name, tt := range map[string]struct{ content, want string }{
		"equal":   {"FS30 some data", ""},
		"shorter": {"FS30 some dat", "ends at offset 13"},
		"longer":  {"FS30 some data.", "ends at offset 14"},
		"other":   {"FS30 same data", "at offset 6 "},
	} {
		got, err := compareFiles(a, write(name, tt.content))
		if err != nil {
			t.Fatal(err)
		}
		if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: compareFiles() = %q, want %q", name, got, tt.want)
		}
	}
}

func TestCompareBlobs(t *testing.T) {
	dir := t.TempDir()
	write := func(path, content string) {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a/.layout", "bushy")
	write("a/tmp/leftover.blob.tmp", "")
	write("a/0x00/0x00/0x00/0x00/0x00/0x00/0x01/0xff/0x03f47f955ddddddd.blob", "equal")
	write("a/0x00/0x00/0x00/0x00/0x00/0x00/0x00/0x02/0xab.blob", "one")
	write("a/0x00/0x00/0x00/0x00/0x00/0x00/0x00/0x03/0xab.blob", "missing")
	write("b/0x01ff/0x03f47f955ddddddd.blob", "equal")
	write("b/0x02/0xab.blob", "two")
	write("b/0x04/0xab.blob", "extra")

	got, err := compareBlobs(filepath.Join(dir, "a"), filepath.Join(dir, "b"))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"0000000000000002/00000000000000ab: at offset 0 ",
		"extra: 0000000000000004/00000000000000ab",
		"missing: 0000000000000003/00000000000000ab",
	}
	if len(got) != len(want) {
		t.Fatalf("compareBlobs() = %q, want %q", got, want)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("compareBlobs()[%d] = %q, want %q", i, got[i], want[i])
		}
	}
}

// TestTransactions reads a file in which ZODB has just voted, twice.
func TestTransactions(t *testing.T) {
	t.Parallel()
	db := newDatabase(t, false)
	s := openStorage(t, driver.Modern, db)
	s.init()
	want := append([]string{s.last().TID}, s.commit(3, 1, 100)...)
	s.vote(raw{Sizes: []int{10}})

	txns, err := transactions(db.data)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, txn := range txns {
		got = append(got, txn.tid)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("transactions() = %v, want %v", got, want)
	}

	s.do("finish", nil, nil)
	if got, want := lastTID(t, db.data), s.last().TID; got != want {
		t.Errorf("lastTID() = %s after finish, want %s", got, want)
	}
}

// TestCheck has ZODB open files that it finds fault with.
func TestCheck(t *testing.T) {
	t.Parallel()
	db := newDatabase(t, true)
	s := openStorage(t, driver.Modern, db)
	s.init()
	s.putBlobs(1, map[string]int{"a": 10, "b": 10})
	s.put("x", 1)
	good := s.last()
	s.vote(raw{Sizes: []int{10}})
	s.Kill()

	blobs, err := blobFiles(db.blobs)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range blobs {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		break
	}

	for _, env := range []driver.Env{driver.Legacy, driver.Modern} {
		got := check(t, env, db)
		if got.Index == "used" || got.Size != good.Size || len(got.NoFile) != 1 || got.Blobs != 2 {
			t.Errorf("%s: index %q, size %d, without a file %q of %d; want another, %d, 1 of 2",
				env, got.Index, got.Size, got.NoFile, got.Blobs, good.Size)
		}
		if len(got.Warnings) == 0 || len(got.NewFiles) != 1 || got.NewFiles[0] != ".tr0" {
			t.Errorf("%s: warnings %q, new files %q, want some and .tr0", env, got.Warnings, got.NewFiles)
		}
	}
}

func TestProxy(t *testing.T) {
	target := echo(t)
	p := startProxy(t, target)

	// send dials, sends five bytes and returns what comes back.
	send := func() string {
		c, err := net.Dial("tcp", p.address())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, "hello")
		c.(*net.TCPConn).CloseWrite()
		b, _ := io.ReadAll(c)
		return string(b)
	}

	if got := send(); got != "hello" {
		t.Errorf("no faults: %q, want hello", got)
	}
	p.set(faults{cutAfter: 3})
	if got := send(); got != "hel" {
		t.Errorf("cut after 3: %q, want hel", got)
	}
	p.set(faults{refuse: true})
	if got := send(); got != "" {
		t.Errorf("refuse: %q, want nothing", got)
	}
	p.set(faults{latency: 50 * time.Millisecond})
	began := time.Now()
	if got, took := send(), time.Since(began); got != "hello" || took < 50*time.Millisecond {
		t.Errorf("latency: %q after %v, want hello after 50 ms", got, took)
	}

	p.set(faults{stall: true})
	got := make(chan string)
	go func() { got <- send() }()
	eventually(t, "the stalled connection", func() bool { n, _ := p.traffic(); return n == 5 })
	p.set(faults{})
	if s := <-got; s != "hello" {
		t.Errorf("stall: %q afterwards, want hello", s)
	}
}

// echo starts a server that sends back what it gets.
func echo(t *testing.T) (address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.Close() }()
		}
	}()
	return l.Addr().String()
}
