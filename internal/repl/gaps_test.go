package repl

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"zrs/internal/fs"
	"zrs/internal/wire"
)

// The gaps of ZRS have numbers in the specification of the protocol. Each test
// here shows what zrs does where zc.zrs has one.

// makeFile makes a data file of transactions as [parseTxns] reads them.
func makeFile(t testing.TB, txns string) string {
	t.Helper()
	path := filepath.Join(memoryDir(t), "Data.fs")
	writeTxns(t, path, parseTxns(t, txns))
	return path
}

// ask returns what a primary sends to a zc.zrs secondary that asks for what
// comes after start, and then for the end.
func ask(t testing.TB, p *Primary, protocol string, start fs.TID) []byte {
	t.Helper()
	src, stop := servePipes(t, p)
	defer stop()
	conn, err := src.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(wire.AppendHandshake(nil, protocol, start)); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = conn.Write(wire.AppendFrame(nil, []byte("f"))) }() // there may be nobody to read it
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// A was the primary and has a transaction that B never got. B was promoted and
// went on. Now A is to follow B.
func TestG1_DivergedHistories(t *testing.T) {
	const (
		a      = "1 a=base; 2 a=A-only c=A"
		before = "1 a=base"
		after  = "1 a=base; 3 c=B"
	)
	for _, serveUnknown := range []bool{false, true} { // the latter as zc.zrs
		synctest.Test(t, func(t *testing.T) {
			try := func(b string) error {
				path := makeFile(t, a)
				was := takeSnapshot(t, path, "")
				p := newPrimary(t, makeFile(t, b), "")
				p.ServeUnknown = serveUnknown
				src, _ := servePipes(t, p)
				s := newSecondary(t, path, "", src)
				err := s.Catchup(t.Context(), 0, false)
				closeSecondary(t, s)
				was.checkUnchanged(t, path, "")
				return err
			}
			if err := try(before); !errors.Is(err, ErrAhead) {
				t.Errorf("while B has less: Catchup() = %v, want %v", err, ErrAhead)
			}
			err := try(after)
			d, ok := errors.AsType[*DivergedError](err)
			if !ok || d.Common != tidOf(1) || d.OnlyHere != 1 || d.First[0].TID != tidOf(2) {
				t.Errorf("when B has more: Catchup() = %+v, want a fork after 1", err)
			}
			if err == nil || !strings.Contains(err.Error(), "after 0000000100000000 (1900-01-01 00:01:00Z): 1 transaction here is unknown to primary") {
				t.Errorf("the message is %q", err)
			}
		})
	}
	// A secondary of zc.zrs offers just its last TID. Ours is a primary that
	// knows its own history.
	synctest.Test(t, func(t *testing.T) {
		b := newPrimary(t, makeFile(t, after), "")
		if got := ask(t, b, wire.Protocol20, tidOf(2)); len(got) > 0 {
			t.Errorf("a secondary with another history got %d bytes", len(got))
		}
		if got := ask(t, b, wire.Protocol20, tidOf(1)); len(got) == 0 {
			t.Error("a secondary with this history got nothing")
		}
	})
}

// zc.zrs sends an empty blob as no block at all, and its secondary then makes
// no file. Ours makes one, and our primary sends one empty block, for which
// zc.zrs makes one too.
func TestG3_EmptyBlob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, blocks := range [][]string{nil, {""}} {
			path := filepath.Join(memoryDir(t), "Data.fs")
			answer := newStream(0).begin(tidOf(1)).blob(7, tidOf(1), int64(len(blocks)), blocks...).commit().b
			src := newScripted(t, pipes, []step{skipHandshake, send(answer), waitForFinish, hangUp})
			s := newSecondary(t, path, path+".blobs", src.Source)
			if err := s.Catchup(t.Context(), 0, false); err != nil {
				t.Errorf("Catchup() = %v", err)
			}
			if got := blobFiles(t, path+".blobs"); len(got) != 1 || got[fs.OID(7).String()+" "+tidOf(1).String()] != "" {
				t.Errorf("%d blocks: blobs are %v, want an empty one", len(blocks), got)
			}
			if n := s.Stats.Blobs.Load(); n != 1 {
				t.Errorf("%d blobs are counted", n)
			}
		}
		path := makeFile(t, "1 a*x")
		if err := os.Truncate(walkFiles(path + ".blobs")[1], 0); err != nil { // after .layout
			t.Fatal(err)
		}
		got := ask(t, newPrimary(t, path, path+".blobs"), wire.Protocol21, 0)
		want := newStream(0).begin(tidOf(1)).blob(0, tidOf(1), 1, "").commit().b
		checkBytes(t, "an empty blob", got, want)
	})
}

// A blob that is missing is told and counted, by whoever finds out, or is a
// reason not to go on.
func TestG4_MissingBlob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book, logger := newLogBook(t)
		theirs := makeFile(t, "1 b=1; 2 a*")
		p := newPrimary(t, theirs, theirs+".blobs")
		p.Logger = logger
		src, _ := servePipes(t, p)
		ours := filepath.Join(memoryDir(t), "Data.fs")
		s := newSecondary(t, ours, ours+".blobs", src)
		s.Logger = logger
		if err := s.Catchup(t.Context(), 0, false); err != nil {
			t.Errorf("Catchup() = %v", err)
		}
		if n := s.Stats.BlobsMissing.Load(); n != 1 {
			t.Errorf("the secondary counts %d missing blobs, want 1", n)
		}
		if p.MissingBlobs() != 1 {
			t.Errorf("the primary counts %d missing blobs, want 1", p.MissingBlobs())
		}
		for _, what := range []string{"sending its record without it", "without the blob"} {
			if !book.has("level=WARN", what, "oid="+fs.OID(0).String(), "tid="+tidOf(2).String()) {
				t.Errorf("no warning has %q", what)
			}
		}
	})
	// A primary that is to fail stops before that transaction.
	synctest.Test(t, func(t *testing.T) {
		theirs := makeFile(t, "1 b=1; 2 a*; 3 b=2")
		p := newPrimary(t, theirs, theirs+".blobs")
		p.MissingBlob = FailMissingBlob
		src, _ := servePipes(t, p)
		ours := filepath.Join(memoryDir(t), "Data.fs")
		s := newSecondary(t, ours, ours+".blobs", src)
		if err := s.Catchup(t.Context(), 0, false); !errors.Is(err, ErrHungUp) {
			t.Errorf("Catchup() = %v, want %v", err, ErrHungUp)
		}
		if got := s.Log.Tip().TID; got != tidOf(1) {
			t.Errorf("the secondary has got up to %s", got)
		}
	})
	// One that is missing here is found when the histories are compared, and
	// fetched.
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := makeFile(t, "1 a*"), makeFile(t, "1 a*hello")
		src, _ := servePipes(t, newPrimary(t, theirs, theirs+".blobs"))
		s := newSecondary(t, ours, ours+".blobs", src)
		if err := s.Catchup(t.Context(), 0, false); err != nil || s.Stats.BlobsMissing.Load() != 0 || s.Stats.Blobs.Load() != 1 {
			t.Errorf("Catchup() = %v, %d missing, %d fetched, want 0, 1", err, s.Stats.BlobsMissing.Load(), s.Stats.Blobs.Load())
		}
	})
	// That goes for large ones and empty ones, in the tail and in all of it, but
	// not for a dry run.
	synctest.Test(t, func(t *testing.T) {
		theirs := filepath.Join(memoryDir(t), "Data.fs")
		writeTxns(t, theirs, []txn{{
			tid: tidOf(1), status: ' ',
			recs: []rec{{oid: 0, data: blobData, blob: strings.Repeat("x", 200_000), hasBlob: true}, {oid: 1, data: blobData, hasBlob: true}},
		}})
		src, _ := servePipes(t, newPrimary(t, theirs, theirs+".blobs"))
		for _, check := range []CheckHistory{CheckTail, CheckFull, CheckNone} {
			ours := makeFile(t, "1 a* b*")
			s := newSecondary(t, ours, ours+".blobs", src)
			s.CheckHistory = check
			if err := s.Catchup(t.Context(), 0, check == CheckNone); err != nil {
				t.Errorf("Catchup() = %v", err)
			}
			closeSecondary(t, s)
			if check == CheckNone {
				if n := len(blobFiles(t, ours+".blobs")); n > 0 {
					t.Errorf("%d blobs were fetched, want none", n)
				}
				continue
			}
			checkSameBlobs(t, ours+".blobs", theirs+".blobs")
			checkNoTemporary(t, ours+".blobs")
		}
		ours := makeFile(t, "1 a* b*")
		log, index, done, err := fs.OpenReadOnly(t.Context(), ours)
		if err != nil {
			t.Fatal(err)
		}
		defer done()
		s := &Secondary{Sources: []Source{src}, Log: log, Index: index, Blobs: new(fs.BlobDir), Logger: testLogger(t)}
		if err := s.Catchup(t.Context(), 0, true); err != nil || s.Stats.BlobsMissing.Load() != 2 {
			t.Errorf("a dry Catchup() = %v, %d missing, want 2", err, s.Stats.BlobsMissing.Load())
		}
	})
	// One that nobody has is missing, however often that was said before.
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := makeFile(t, "1 a*"), makeFile(t, "1 a*")
		src, _ := servePipes(t, newPrimary(t, theirs, theirs+".blobs"))
		s := newSecondary(t, ours, ours+".blobs", src)
		if err := s.Catchup(t.Context(), 0, false); err != nil || s.Stats.BlobsMissing.Load() != 1 {
			t.Errorf("Catchup() = %v, %d missing, want 1", err, s.Stats.BlobsMissing.Load())
		}
	})
	// But not from a source with another history, nor if it is altered on the way.
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := makeFile(t, "1 a*; 2 b=1"), makeFile(t, "1 a*hello; 3 b=2")
		err := catchUpFiles(t, ours, theirs, CheckTail, ProtocolAuto)
		if !errors.Is(err, ErrDiverged) {
			t.Errorf("Catchup() = %v, want %v", err, ErrDiverged)
		}
		checkNoTemporary(t, ours+".blobs")
	})
	synctest.Test(t, func(t *testing.T) {
		ours := makeFile(t, "1 a*; 2 b=1")
		was := takeSnapshot(t, ours, ours+".blobs")
		answer := newStream(0).begin(tidOf(1)).blob(0, tidOf(1), 1, "hello").commit().begin(tidOf(2)).store(1, tidOf(2), "1").commit().b
		src := newScripted(t, pipes, []step{skipHandshake, send(bytes.Replace(answer, []byte("hello"), []byte("hallo"), 1)), hangUp})
		s := newSecondary(t, ours, ours+".blobs", src.Source)
		if err := s.Catchup(t.Context(), 0, false); !errors.Is(err, ErrChecksum) {
			t.Errorf("Catchup() = %v, want %v", err, ErrChecksum)
		}
		was.checkUnchanged(t, ours, ours+".blobs")
		checkNoTemporary(t, ours+".blobs")
	})
	// A wrapper's records do not say what they are, but the file is there.
	synctest.Test(t, func(t *testing.T) {
		theirs := filepath.Join(memoryDir(t), "Data.fs")
		writeTxns(t, theirs, []txn{{
			tid: 1, status: fs.StatusComplete,
			recs: []rec{{oid: 1, data: ".hdeadbeef", blob: "hello", hasBlob: true}, {oid: 2, data: ".hdeadbeef"}, {oid: 3, data: blobData}},
		}})
		src, _ := servePipes(t, newPrimary(t, theirs, theirs+".blobs"))
		ours := filepath.Join(memoryDir(t), "Data.fs")
		s := newSecondary(t, ours, ours+".blobs", src)
		if err := s.Catchup(t.Context(), 0, false); err != nil {
			t.Errorf("Catchup() = %v", err)
		}
		closeSecondary(t, s)
		checkSame(t, ours, theirs)
		checkSameBlobs(t, ours+".blobs", theirs+".blobs")
	})
}

// The transaction that an undo refers to was packed away here. zc.zrs fails on
// that record for ever; ours writes the data.
func TestG5_UndoOfWhatWasPackedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours := makeFile(t, "2p a=2; 3 b=1")
		theirs := makeFile(t, "1 a=1; 2 a=2; 3 b=1; 4 a=1^1; 5 a=2^2")
		src, _ := servePipes(t, newPrimary(t, theirs, ""))
		s := newSecondary(t, ours, "", src)
		if err := s.Catchup(t.Context(), 0, false); err != nil {
			t.Fatal(err)
		}
		closeSecondary(t, s)
		got := readTxns(t, ours)
		if data := got[2].recs[0].data; data != "1" {
			t.Errorf("after the undo a is %q, want 1", data)
		}
		if data := got[3].recs[0].data; data != "2" {
			t.Errorf("after the other undo a is %q, want 2", data)
		}
	})
}

// Only what is durable is sent: neither what is written but not synced, nor
// what the log was not told of.
func TestG6_OnlyDurableDataIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, err := fs.OpenWriter(t.Context(), filepath.Join(memoryDir(t), "Data.fs"), fs.WriterOptions{Create: true})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		src, stop := servePipes(t, &Primary{Log: w.Log(), Logger: testLogger(t)})
		defer stop()
		s := newSecondary(t, filepath.Join(memoryDir(t), "Data.fs"), "", src)
		stopped := runSecondary(t, s)
		synctest.Wait()
		notes := s.Stats.Received.Load()
		appendTxns(t, w, parseTxns(t, "1 a=1; 2 a=2"))
		synctest.Wait()
		if got := s.Stats.Received.Load() - notes; got != 0 {
			t.Errorf("%d bytes were sent before the sync", got)
		}
		if err := w.Sync(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lingerTime) // it came in two pieces, at the same moment
		synctest.Wait()
		if got := s.Log.Tip().TID; got != tidOf(2) {
			t.Errorf("after the sync the secondary has %s, want %s", got, tidOf(2))
		}
		if err := stopped(); err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
}

// A secondary with the file of another database is not brought up to date.
func TestG7_OtherDatabase(t *testing.T) {
	for _, ours := range []string{"1 a=1 b=1; 2 c=1", "11 a=1 b=1; 12 c=1"} {
		for _, check := range []CheckHistory{CheckTail, CheckFull} {
			here, there := parseTxns(t, ours), parseTxns(t, "5 a=2; 6 b=2")
			synctest.Test(t, func(t *testing.T) {
				if _, _, err := catchUp(t, here, there, check); !errors.Is(err, ErrDiverged) {
					t.Errorf("Catchup() = %v, want %v", err, ErrDiverged)
				}
			})
		}
	}
}

// A peer with a TCP address for the allow list.
type addrConn struct {
	net.Conn
	addr string
}

func (c addrConn) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.addr))
}

// Whoever can connect can read everything, so it can be said who may.
func TestG8_AllowList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPrimary(t, makeFile(t, "1 a=1"), "")
		p.Allow = []netip.Prefix{netip.MustParsePrefix("10.1.2.0/24"), netip.MustParsePrefix("fd00::/8")}
		l := &pairListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		serveOn(t, p, l)
		for addr, want := range map[string]bool{
			"10.1.2.3:4711":          true,
			"[::ffff:10.1.2.3]:4711": true,
			"[fd00::1]:4711":         true,
			"10.1.3.3:4711":          false,
			"[::ffff:10.1.3.3]:4711": false,
			"[2001:db8::1]:4711":     false,
		} {
			ours, theirs := net.Pipe()
			l.conns <- addrConn{theirs, addr}
			_, err := ours.Write(wire.AppendHandshake(nil, wire.Protocol20, 0))
			n := 0
			if err == nil {
				n, _ = ours.Read(make([]byte, 100))
			}
			if got := n > 0; got != want {
				t.Errorf("%s is served: %t, want %t", addr, got, want)
			}
			ours.Close()
		}
	})
}

// callSystem is a pickle that, when loaded, calls os.system.
const callSystem = "cos\nsystem\n(X\x14\x00\x00\x00touch /tmp/zrs-pwnedtR."

// Pickles that call functions are not executed, wherever they are.
func TestG9_PicklesAreNotExecuted(t *testing.T) {
	defer func() {
		if _, err := os.Stat("/tmp/zrs-pwned"); err == nil {
			t.Error("a pickle was executed")
		}
	}()
	fields := strings.TrimSuffix(callSystem, ".")
	for name, message := range map[string]string{
		"message":   callSystem,
		"begin":     "(X\x01\x00\x00\x00T" + fields + "t.",
		"extension": strings.Replace(string((&wire.Begin{TID: 1, Status: ' '}).AppendTo(nil)), "}", fields, 1),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := newScripted(t, pipes, []step{skipHandshake, send(newStream(0).raw([]byte(message)).commit().b), waitForFinish, hangUp})
				s := newSecondary(t, filepath.Join(memoryDir(t), "Data.fs"), "", src.Source)
				err := s.Catchup(t.Context(), 0, false)
				want := ErrProtocol
				if name == "extension" { // is carried, as what it is
					want = nil
				}
				if !errors.Is(err, want) {
					t.Errorf("Catchup() = %v, want %v", err, want)
				}
			})
		})
	}
	// A record like that is data, at the primary too, which looks whether it is
	// a blob's.
	synctest.Test(t, func(t *testing.T) {
		theirs := filepath.Join(memoryDir(t), "Data.fs")
		writeTxns(t, theirs, []txn{{tid: 1, status: fs.StatusComplete, recs: []rec{{oid: 1, data: callSystem}}}})
		src, _ := servePipes(t, newPrimary(t, theirs, t.TempDir()))
		ours := filepath.Join(memoryDir(t), "Data.fs")
		s := newSecondary(t, ours, ours+".blobs", src)
		if err := s.Catchup(t.Context(), 0, false); err != nil {
			t.Errorf("Catchup() = %v", err)
		}
		closeSecondary(t, s)
		checkSame(t, ours, theirs)
	})
}

// TIDs rise, or the source is not followed.
func TestG10_TIDsMustRise(t *testing.T) {
	for _, tids := range [][]int{{5, 5}, {5, 4}, {5, 0}, {1}, {3}, {2, 2, 4}} {
		synctest.Test(t, func(t *testing.T) {
			ours := makeFile(t, "1 a=1; 2 b=1; 3 c=1")
			answer := newStream(tidOf(1)).txns(parseTxns(t, "2 b=1; 3 c=1")...)
			if tids[0] < 5 { // while histories are compared
				answer = newStream(tidOf(1))
			}
			for _, n := range tids {
				answer.txns(txn{tid: tidOf(n), status: fs.StatusComplete, recs: []rec{{oid: 1, data: "1"}}})
			}
			src := newScripted(t, pipes, []step{skipHandshake, send(answer.b), hangUp})
			s := newSecondary(t, ours, "", src.Source)
			from := start{tid: tidOf(1)}
			s.setDefaults()
			if err := s.attempt(t.Context(), s.Sources[0], from, goal{}); !errors.Is(err, ErrProtocol) && tids[0] != 3 {
				t.Errorf("TIDs %v: %v, want %v", tids, err, ErrProtocol)
			}
			want := tidOf(3)
			if tids[0] == 5 {
				want = tidOf(5)
			}
			if got := s.Log.Tip().TID; got != want {
				t.Errorf("TIDs %v: the last is %s, want %s", tids, got, want)
			}
		})
	}
}

// The source's last transaction was packed away, so that its last TID fell.
// That is neither a fork nor a reason to wait.
func TestG12_LastTIDFalls(t *testing.T) {
	const ours = "1 a=1; 2 x=1"
	for _, test := range []struct {
		theirs, tail, full string
	}{
		{"1p a=1", "ahead", "agree"},
		{"1p a=1; 3 a=2", "agree", "agree"},
	} {
		checkVerdict(t, parseTxns(t, ours), parseTxns(t, test.theirs), CheckTail, test.tail, false)
		checkVerdict(t, parseTxns(t, ours), parseTxns(t, test.theirs), CheckFull, test.full, false)
	}
	// A secondary of zc.zrs is told no, until there is more to send.
	synctest.Test(t, func(t *testing.T) {
		if got := ask(t, newPrimary(t, makeFile(t, "1p a=1"), ""), wire.Protocol20, tidOf(2)); len(got) > 0 {
			t.Errorf("it got %d bytes", len(got))
		}
		got := ask(t, newPrimary(t, makeFile(t, "1p a=1; 3 a=2"), ""), wire.Protocol20, tidOf(2))
		checkBytes(t, "what comes after it", got, newStream(tidOf(2)).txns(parseTxns(t, "3 a=2")...).b)
	})
}

// long is a pickled extension with a text of n bytes, which is in it twice.
func long(n int) string {
	text := binary.LittleEndian.AppendUint32([]byte("X"), uint32(n))
	return "\x80\x03}q\x00(X\x01\x00\x00\x00aq\x01" + string(text) + strings.Repeat("x", n) + "q\x02X\x01\x00\x00\x00bq\x03h\x02u."
}

// checkExtensions checks that extensions arrive as they are stored.
func checkExtensions(t *testing.T, extensions ...string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var txns []txn
		for i, e := range extensions {
			txns = append(txns, txn{tid: fs.TID(i + 1), status: fs.StatusComplete, extension: e, recs: []rec{{oid: 1, data: "x"}}})
		}
		theirs := filepath.Join(memoryDir(t), "Data.fs")
		writeTxns(t, theirs, txns)
		src, _ := servePipes(t, newPrimary(t, theirs, ""))
		ours := filepath.Join(memoryDir(t), "Data.fs")
		s := newSecondary(t, ours, "", src)
		if err := s.Catchup(t.Context(), 0, false); err != nil {
			t.Fatal(err)
		}
		closeSecondary(t, s)
		checkSame(t, ours, theirs)
	})
}

// An extension that zc.zrs makes too large for its secondary, which then hangs.
func TestG13_ExtensionsDoNotGrow(t *testing.T) { checkExtensions(t, long(60000), long(65400)) }

// Extensions that zc.zrs can't read, or not send.
func TestG14_OldExtensions(t *testing.T) {
	checkExtensions(t,
		"}q\x01U\x01aU\x02\xc3\xa9s.",                             // Python 2, a byte string that is no ASCII
		"\x80\x02}q\x00U\x01aq\x01U\x01bq\x02s.",                  // Python 2 with ZODB 5
		"\x80\x03}q\x00X\x01\x00\x00\x00acmodule\nclass\nq\x01s.", // of a class
		"not a pickle",
	)
}

// Blob records are known by their bytes, whatever pickled them.
func TestG15_BlobRecordsOfAllProtocols(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var txns []txn
		for i, data := range []string{
			blobData, // ZODB 5, on Python 2 too
			"cZODB.blob\nBlob\nq\x01.N.",
			"\x80\x02cZODB.blob\nBlob\nq\x01.N.",
			"\x80\x04\x95\x16\x00\x00\x00\x00\x00\x00\x00\x8c\x09ZODB.blob\x94\x8c\x04Blob\x94\x93.",
		} {
			txns = append(txns, txn{
				tid: fs.TID(i + 1), status: fs.StatusComplete,
				recs: []rec{{oid: fs.OID(i), data: data, blob: "content", hasBlob: true}, {oid: 100, data: blobData, hasBlob: true}},
			})
		}
		theirs := filepath.Join(memoryDir(t), "Data.fs")
		writeTxns(t, theirs, txns)
		src, _ := servePipes(t, newPrimary(t, theirs, theirs+".blobs"))
		ours := filepath.Join(memoryDir(t), "Data.fs")
		s := newSecondary(t, ours, ours+".blobs", src)
		if err := s.Catchup(t.Context(), 0, false); err != nil {
			t.Fatal(err)
		}
		closeSecondary(t, s)
		checkSame(t, ours, theirs)
		checkSameBlobs(t, ours+".blobs", theirs+".blobs")
	})
}

// A transaction of status u makes a zc.zrs primary spin. Here it is passed over.
func TestG16_StatusUIsSkipped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := ask(t, newPrimary(t, makeFile(t, "1 a=1; 2u a=2; 3 a=3; 4u b=1"), ""), wire.Protocol20, 0)
		checkBytes(t, "what is sent", got, newStream(0).txns(parseTxns(t, "1 a=1; 3 a=3")...).b)
	})
	synctest.Test(t, func(t *testing.T) {
		p := newPrimary(t, filepath.Join(corpusDir, "status_u", "Data.fs"), "")
		if _, err := parseStream(t, 0, ask(t, p, wire.Protocol21, 0)); !errors.Is(err, io.EOF) {
			t.Errorf("the stream ends with %v", err)
		}
	})
}

// Damage in the file stalls a zc.zrs primary without a word. Ours sends what is
// before it, and then Serve returns with the place.
func TestG17_DamageIsReported(t *testing.T) {
	for _, name := range []string{"status_c_middle", "redundant_len", "tlen_bit62", "tlen_5", "status_x"} {
		t.Run(name, func(t *testing.T) {
			const good = 554
			damaged := readFile(t, filepath.Join(corpusDir, "corrupt", name+".fs"))
			path := filepath.Join(t.TempDir(), "Data.fs")
			if err := os.WriteFile(path, damaged[:good], 0o666); err != nil {
				t.Fatal(err)
			}
			p := &Primary{Log: follow(t, path), Logger: testLogger(t)}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan error, 1)
			go func() { served <- p.Serve(t.Context(), l) }()
			s := newSecondary(t, filepath.Join(t.TempDir(), "Data.fs"), "", TCPSource("tcp", l.Addr().String(), 0))
			stop := runSecondary(t, s)
			waitForTip(t, s.Log, good)
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.Write(damaged[good:]); err != nil {
				t.Fatal(err)
			}
			err = <-served
			if e, ok := errors.AsType[*fs.RecordError](err); !ok || !errors.Is(err, fs.ErrDamaged) || e.Offset != good {
				t.Errorf("Serve() = %v, want damage at %d", err, good)
			}
			if err := stop(); err != nil {
				t.Errorf("Run() = %v", err)
			}
		})
	}
}

// A primary that can't listen does not start.
func TestG18_ListeningFails(t *testing.T) {
	l, err := Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if l2, err := Listen(t.Context(), "tcp", l.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Listen() = %v, %v, want %v", l2, err, syscall.EADDRINUSE)
	}
	if l2, err := Listen(t.Context(), "tcp", "no-such-host.invalid:5000"); err == nil {
		t.Errorf("Listen() = %v, want an error", l2)
	}
}

// A secondary was away while its source was packed. What the pack took away
// stays here, and that is told.
func TestG19_PackedWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		book, logger := newLogBook(t)
		ours := makeFile(t, "1 a=1; 2 b=1 x=1; 3 b=2; 4 c=1")
		theirs := makeFile(t, "1p a=1; 4p c=1; 5p b=5; 6 a=2")
		src, _ := servePipes(t, newPrimary(t, theirs, ""))
		s := newSecondary(t, ours, "", src)
		s.Logger = logger
		if err := s.Catchup(t.Context(), 0, false); err != nil {
			t.Fatal(err)
		}
		closeSecondary(t, s)
		if !book.has("histories agree", "packed=true") {
			t.Error("it is not told that the source was packed")
		}
		got, want := state(readTxns(t, ours)), state(readTxns(t, theirs))
		want['x'-'a'] = "1" // is garbage there
		if len(got) != len(want) {
			t.Errorf("objects are %v, want %v", got, want)
		}
		checkAgrees(t, readTxns(t, ours), readTxns(t, theirs))
	})
}

// A blob and its record come together or not at all.
func TestG20_BlobAndRecordAreOne(t *testing.T) {
	whole := newStream(0).begin(tidOf(1)).store(1, tidOf(1), "x").commit().
		begin(tidOf(2)).blob(2, tidOf(2), 2, "hello", "world").blob(3, tidOf(2), 1, "again").commit().b
	first := len(newStream(0).begin(tidOf(1)).store(1, tidOf(1), "x").commit().b)
	for _, cut := range []int{first + 1, len(whole) - 200, len(whole) - 100, len(whole) - 1, len(whole)} {
		synctest.Test(t, func(t *testing.T) {
			script, want := []step{skipHandshake, send(whole[:cut]), hangUp}, ErrHungUp
			txns, blobs := 1, 0
			if cut == len(whole) {
				script, want = slices.Insert(script, 2, waitForFinish), nil
				txns, blobs = 2, 2
			}
			src := newScripted(t, pipes, script)
			ours := filepath.Join(memoryDir(t), "Data.fs")
			s := newSecondary(t, ours, ours+".blobs", src.Source)
			if err := s.Catchup(t.Context(), 0, false); !errors.Is(err, want) {
				t.Errorf("Catchup() = %v, want %v", err, want)
			}
			if n := len(readTxns(t, ours)); n != txns {
				t.Errorf("cut at %d: %d transactions, want %d", cut, n, txns)
			}
			if n := len(blobFiles(t, ours+".blobs")); n != blobs {
				t.Errorf("cut at %d: %d blobs, want %d", cut, n, blobs)
			}
			checkNoTemporary(t, ours+".blobs")
			if n := s.Stats.Blobs.Load(); n != int64(blobs) {
				t.Errorf("cut at %d: %d blobs are counted, want %d", cut, n, blobs)
			}
		})
	}
	// Who follows our log sees a record only when its blob is in place.
	synctest.Test(t, func(t *testing.T) {
		ours := filepath.Join(memoryDir(t), "Data.fs")
		src := newScripted(t, pipes, []step{skipHandshake, send(whole), listen})
		s := newSecondary(t, ours, ours+".blobs", src.Source)
		stop := runSecondary(t, s)
		waitForTip(t, s.Log, int64(len(readFile(t, makeFile(t, "1 b=x; 2 c*hello d*again")))))
		if files := blobFiles(t, ours+".blobs"); len(files) != 2 {
			t.Errorf("%d blobs are in place when their transaction is published", len(files))
		}
		if err := stop(); err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
}
