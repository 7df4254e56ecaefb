package repl

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"zrs/internal/fs"
)

// readStream returns what a source sends, in words as show writes them.
func readStream(t testing.TB, src Source, after fs.TID, timeout time.Duration) (lines []string, err error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background()) // that of a test may be outside of its bubble
	defer cancel()
	s, err := OpenStream(ctx, src, after, timeout)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for {
		txn, err := s.Next(ctx)
		if errors.Is(err, io.EOF) {
			return lines, nil
		}
		if err != nil {
			return lines, err
		}
		line := txn.TID.String() + string(rune(txn.Status)) + string(txn.User) + "/" + string(txn.Description) + "/" + string(txn.Extension)
		for {
			rec, err := s.NextRecord(ctx)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return lines, err
			}
			data, err := s.Data()
			if err != nil || int64(len(data)) != rec.Length {
				t.Errorf("object %s: %d bytes of data, the record says %d, error %v", rec.OID, len(data), rec.Length, err)
			}
			line += " " + rec.OID.String() + "=" + string(data)
			if rec.OID%2 == 1 { // the others are passed over
				line += readBlob(ctx, t, s)
			}
		}
		lines = append(lines, line)
	}
}

func readBlob(ctx context.Context, t testing.TB, s *Stream) string {
	t.Helper()
	blob, err := s.Blob(ctx)
	if errors.Is(err, fs.ErrNoBlob) {
		return ""
	}
	if err != nil {
		t.Error(err)
		return ""
	}
	content, err := io.ReadAll(blob)
	if err != nil {
		t.Error(err)
	}
	return "*" + string(content)
}

// linesOf returns the same for a data file.
func linesOf(t testing.TB, path, blobs string) (lines []string) {
	t.Helper()
	var dir *fs.BlobDir
	if blobs != "" {
		var err error
		if dir, err = fs.OpenBlobDir(blobs); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range readTxns(t, path) {
		line := x.tid.String() + string(rune(x.status)) + x.user + "/" + x.desc + "/" + x.extension
		for _, r := range x.recs {
			line += " " + r.oid.String() + "=" + r.data
			if r.oid%2 == 0 || dir == nil {
				continue
			}
			if f, err := dir.Open(r.oid, x.tid); err == nil {
				content, _ := io.ReadAll(f)
				f.Close()
				line += "*" + string(content)
			}
		}
		lines = append(lines, line)
	}
	return lines
}

func checkLines(t testing.TB, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}

func TestStream_Corpus(t *testing.T) {
	for _, name := range []string{"realistic_200", "undo", "undo_creation", "multi_undo", "packed", "extension", "zero_records", "blobs_bushy", "one_txn"} {
		t.Run(name, func(t *testing.T) {
			path, blobs := "../../testdata/corpus/"+name+"/Data.fs", ""
			if strings.HasPrefix(name, "blobs") {
				blobs = filepath.Dir(path) + "/blobs"
			}
			src, _ := serveTCP(t, newPrimary(t, path, blobs))
			got, err := readStream(t, src, 0, time.Minute)
			if err != nil {
				t.Error(err)
			}
			want := linesOf(t, path, blobs)
			checkLines(t, got, want)
			if n := len(want); n > 1 {
				tids := readTxns(t, path)
				got, err := readStream(t, src, tids[n/2-1].tid, time.Minute)
				if err != nil {
					t.Error(err)
				}
				checkLines(t, got, want[n/2:])
				// A transaction that it never had: it refuses, and is asked for all.
				if got, err = readStream(t, src, tids[n/2-1].tid+1, time.Minute); err != nil {
					t.Error(err)
				}
				checkLines(t, got, want[n/2:])
			}
		})
	}
}

// A source without a transaction has nothing to say: it is asked for its end.
func TestStream_Empty(t *testing.T) {
	path := makeFile(t, "")
	synctest.Test(t, func(t *testing.T) {
		src, stop := servePipes(t, newPrimary(t, path, ""))
		defer stop()
		got, err := readStream(t, src, 0, time.Minute)
		if err != nil || got != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

// TestStream_Ends has sources that end in all ways.
func TestStream_Ends(t *testing.T) {
	txns := parseTxns(t, "1 a=1; 2 b=2; 3 c=3")
	whole := newStream(0).txns(txns...).b
	wrong := bytes.Replace(whole, []byte("\x00\x00\x00\x013"), []byte("\x00\x00\x00\x01X"), 1) // other data
	first, again := newStream(0).txns(txns[:2]...).b, newStream(tidOf(1)).txns(txns[1:]...).b
	last := newStream(tidOf(2)).txns(txns[2]).b
	dies := []step{skipHandshake, send(first), waitForFinish, hangUp} // between two transactions
	tests := []struct {
		name    string
		scripts [][]step
		want    int // transactions
		err     error
	}{
		{"good", [][]step{{skipHandshake, send(whole), waitForFinish, hangUp}, {skipHandshake, send(last), waitForFinish, hangUp}}, 3, nil},
		{"died-between-two", [][]step{dies, {skipHandshake, send(again), waitForFinish, hangUp}, {skipHandshake, send(last), waitForFinish, hangUp}}, 3, nil},
		{"refused", [][]step{{skipHandshake, hangUp}}, 0, ErrRefused},
		{"not-asked", [][]step{{skipHandshake, send(whole[:len(whole)-70]), hangUp}}, 2, ErrHungUp},
		{"inside", [][]step{{skipHandshake, send(whole[:len(whole)-20]), waitForFinish, hangUp}}, 3, ErrHungUp},
		{"silent-inside", [][]step{{skipHandshake, send(whole[:len(whole)-20]), listen}}, 3, ErrHungUp},
		{"silent", [][]step{{skipHandshake, listen}}, 0, ErrHungUp},
		{"empty-and-ends", [][]step{{skipHandshake, waitForFinish, hangUp}}, 0, nil},
		{"second-time-nothing", [][]step{{skipHandshake, send(whole), waitForFinish, hangUp}, {skipHandshake, waitForFinish, hangUp}}, 3, ErrHungUp},
		{"wrong-checksum", [][]step{{skipHandshake, send(wrong), waitForFinish, hangUp}}, 3, ErrChecksum},
		{"garbage", [][]step{{skipHandshake, send([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")), hangUp}}, 0, ErrProtocol},
		{"backwards", [][]step{{skipHandshake, send(newStream(0).txns(txns[1], txns[0]).b), waitForFinish, hangUp}}, 1, ErrProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := newScripted(t, pipes, tt.scripts...)
				got, err := readStream(t, src.Source, 0, 10*time.Second)
				if !errors.Is(err, tt.err) || tt.err == nil && err != nil {
					t.Errorf("error %v, want %v", err, tt.err)
				}
				whole := len(got)
				if tt.err != nil && whole < tt.want-1 || tt.err == nil && whole != tt.want || whole > tt.want {
					t.Errorf("%d transactions, want %d", whole, tt.want)
				}
				if src.played != len(tt.scripts) && tt.err == nil && tt.name != "good" {
					t.Errorf("%d connections, want %d", src.played, len(tt.scripts))
				}
			})
		})
	}
}

// What is committed while a stream is read may be part of it, and nothing is
// twice.
func TestStream_Growing(t *testing.T) {
	path := makeFile(t, "1 a=1; 2 b=2")
	w, err := fs.OpenWriter(t.Context(), path, fs.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	src, _ := serveTCP(t, &Primary{Log: w.Log(), Logger: testLogger(t)})
	s, err := OpenStream(t.Context(), src, 0, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var tids []fs.TID
	for n := 3; ; n++ {
		next, err := s.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		tids = append(tids, next.TID)
		if n < 20 {
			appendTxns(t, w, []txn{{tid: tidOf(n), status: fs.StatusComplete, recs: []rec{{oid: 1, data: "x"}}}})
			if err := w.Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, tid := range tids {
		if tid != tidOf(i+1) {
			t.Fatalf("transactions %v", tids)
		}
	}
	if len(tids) < 2 {
		t.Errorf("%d transactions, want 2 at least", len(tids))
	}
}

func TestStream_Cancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	src := newScripted(t, sockets, []step{skipHandshake, listen})
	s, err := OpenStream(ctx, src.Source, 0, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := s.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Next() = %v", err)
	}
	s.Close()
	if _, err := OpenStream(t.Context(), Source{Dial: func(context.Context) (net.Conn, error) { return nil, os.ErrNotExist }}, 0, time.Minute); !errors.Is(err, ErrUnreachable) {
		t.Errorf("OpenStream() = %v", err)
	}
}
