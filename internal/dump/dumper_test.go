package dump

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zrs/internal/fs"
)

// A dump is what a slow and obvious one is.
func TestDumper_Dump(t *testing.T) {
	for _, name := range corpusFiles(t) {
		for _, d := range []*Dumper{{}, {HashOnly: true}, {Disk: true}} {
			t.Run(fmt.Sprintf("%s-%v-%v", name, d.HashOnly, d.Disk), func(t *testing.T) {
				if got, want := mustDump(t, d, corpusPath(name)), slowDump(t, d, corpusPath(name)); !bytes.Equal(got, want) {
					t.Errorf("dump:\n%s\nwant:\n%s", got, want)
				}
			})
		}
	}
}

// slowDump writes zodbdump with nothing but the reader.
func slowDump(t *testing.T, d *Dumper, path string) []byte {
	t.Helper()
	f, err := fs.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b bytes.Buffer
	r := f.Reader(fs.FirstOffset, f.Size())
	for txn, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "txn %s %s\nuser %s\ndescription %s\nextension %s\n", txn.TID, AppendQuoted(nil, []byte{byte(txn.Status)}),
			AppendQuoted(nil, txn.User), AppendQuoted(nil, txn.Description), AppendQuoted(nil, txn.Extension))
		var objects []string
		for {
			rec, err := r.NextRecord()
			if err != nil {
				break
			}
			found, err := r.Resolve()
			if err != nil {
				t.Fatal(err)
			}
			obj := fmt.Sprintf("obj %s delete\n", rec.OID)
			switch {
			case rec.Length > 0:
				data, err := r.Data()
				if err != nil {
					t.Fatal(err)
				}
				obj = fmt.Sprintf("obj %s %d sha1:%x", rec.OID, len(data), sha1.Sum(data))
				if d.HashOnly {
					obj += " -\n"
				} else {
					obj += "\n" + string(data) + "\n"
				}
			case !found.Gone, d.Disk && rec.Back != 0:
				obj = fmt.Sprintf("obj %s from %s\n", rec.OID, found.BackTID)
			}
			objects = append(objects, obj)
		}
		if !d.Disk {
			stableByOID(objects)
		}
		fmt.Fprintf(&b, "%s\n", strings.Join(objects, ""))
	}
	return b.Bytes()
}

// stableByOID sorts objects by insertion.
func stableByOID(objects []string) {
	for i := range objects {
		for j := i; j > 0 && objects[j-1][:20] > objects[j][:20]; j-- {
			objects[j-1], objects[j] = objects[j], objects[j-1]
		}
	}
}

// What can be read is written, then comes the error.
func TestDumper_Dump_damage(t *testing.T) {
	whole := mustDump(t, &Dumper{}, corpusPath("damage_base/Data.fs"))
	txns := strings.SplitAfter(string(whole), "\n\ntxn ")
	first2 := txns[0] + strings.TrimSuffix(txns[1], "txn ")
	for _, tt := range []struct {
		name string
		want string
		kind fs.Kind
		tail bool // the fault ends the file
	}{
		{"corrupt/byte_lost.fs", first2, fs.KindTrailer, true},
		{"corrupt/plen.fs", first2, "", false},
		{"corrupt/tloc.fs", first2, fs.KindTxnOffset, false},
		{"corrupt/vlen.fs", first2, fs.KindVersion, false},
		{"corrupt/status_x.fs", first2, fs.KindStatus, true},
		{"corrupt/status_c_middle.fs", first2, fs.KindCheckpoint, true},
		{"corrupt/tlen_5.fs", first2, fs.KindLength, true},
		{"corrupt/tlen_bit62.fs", first2, fs.KindLength, true},
		{"corrupt/redundant_len.fs", first2, fs.KindTrailer, true},
		{"corrupt/record_tid.fs", string(whole), fs.KindTID, false}, // all can be read
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, tail, err := dumpFile(t, &Dumper{}, corpusPath(tt.name))
			if string(got) != tt.want {
				t.Errorf("dump:\n%s\nwant:\n%s", got, tt.want)
			}
			fault := err
			if tt.tail {
				fault = tail
			}
			e, ok := errors.AsType[*fs.RecordError](fault)
			if !ok || tt.kind != "" && e.Kind != tt.kind {
				t.Errorf("Dump() = %v, %v, want %s", tail, err, tt.kind)
			}
		})
	}
}

// Any prefix of a file gives its whole transactions, and then nothing else.
func TestDumper_Dump_prefixes(t *testing.T) {
	data := readFile(t, corpusPath("undo/Data.fs"))
	whole := mustDump(t, &Dumper{}, corpusPath("undo/Data.fs"))
	path := filepath.Join(t.TempDir(), "Data.fs")
	for n := int(fs.FirstOffset); n < len(data); n++ {
		if err := os.WriteFile(path, data[:n], 0o666); err != nil {
			t.Fatal(err)
		}
		got, tail, err := dumpFile(t, &Dumper{}, path)
		if err != nil || tail != nil && !errors.Is(tail, fs.ErrTornTail) {
			t.Fatalf("%d bytes: Dump() = %v, %v", n, tail, err)
		}
		if !bytes.HasPrefix(whole, got) || len(got) > 0 && !bytes.HasSuffix(got, []byte("\n\n")) {
			t.Fatalf("%d bytes: dump is no prefix of whole transactions:\n%s", n, got)
		}
	}
}

func TestDumper_Dump_selection(t *testing.T) {
	path := corpusPath("undo/Data.fs")
	f, err := fs.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := &Dumper{OIDs: map[fs.OID]bool{1: true}, HashOnly: true, Txn: func(x *fs.Txn) bool { return x.TID != 0x03f4961562222222 }}
	var b bytes.Buffer
	if _, err := d.Dump(t.Context(), &b, f, fs.Place{Offset: fs.FirstOffset}, 0x03f4961566666666); err != nil {
		t.Fatal(err)
	}
	const want = `txn 03f496155ddddddd " "
user ""
description "create"
extension ""
obj 0000000000000001 75 sha1:256b6a83c4f081a8fa0a1a297053d7f25053aa0c -

txn 03f4961566666666 " "
user ""
description "undo v=2"
extension ""
obj 0000000000000001 from 03f496155ddddddd

`
	if b.String() != want {
		t.Errorf("dump:\n%s\nwant:\n%s", b.String(), want)
	}
	if txns, records := d.Stats.Transactions.Load(), d.Stats.Records.Load(); txns != 2 || records != 2 {
		t.Errorf("counted %d transactions and %d records, want 2 and 2", txns, records)
	}
}

// largeFile writes a data file with a transaction that no pass holds in memory,
// one large record, and a copy of it.
func largeFile(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "Data.fs")
	w, err := fs.OpenWriter(t.Context(), path, fs.WriterOptions{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	small := bytes.Repeat([]byte("small "), 200)
	check(w.Begin(fs.TxnHeader{TID: 1 << 40, Status: fs.StatusComplete}))
	for oid := fs.OID(5000); oid > 0; oid-- {
		check(w.Restore(fs.Restored{OID: oid, TID: 1 << 40, Data: small}))
	}
	check(w.Restore(fs.Restored{OID: 7000, TID: 1 << 40, Data: bytes.Repeat([]byte("large\n"), 1<<20)}))
	check(w.Commit())
	check(w.Begin(fs.TxnHeader{TID: 2 << 40, Status: fs.StatusComplete}))
	_, err = w.Copy(7000, 2<<40, 1<<40)
	check(err)
	check(w.Commit())
	check(w.Close())
	return path
}

func TestDumper_Dump_large(t *testing.T) {
	path := largeFile(t)
	for _, d := range []*Dumper{{}, {Disk: true}, {HashOnly: true}} {
		if got, want := mustDump(t, d, path), slowDump(t, d, path); !bytes.Equal(got, want) {
			t.Errorf("%+v: the dump of a large transaction differs: %d bytes, want %d", d.Disk, len(got), len(want))
		}
	}
	copied := filepath.Join(t.TempDir(), "copy.fs")
	err := restoreTo(t.Context(), &Restorer{}, bytes.NewReader(mustDump(t, &Dumper{Disk: true}, path)), copied, fs.WriterOptions{})
	if err != nil || !bytes.Equal(readFile(t, copied), readFile(t, path)) {
		t.Errorf("restored with %v, and differs", err)
	}
}

// A writer that fails ends the dump with its error.
func TestDumper_Dump_writer(t *testing.T) {
	f, err := fs.OpenFile(corpusPath("realistic_200/Data.fs"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	broken := errors.New("broken")
	_, err = new(Dumper).Dump(t.Context(), failingWriter{broken}, f, fs.Place{Offset: fs.FirstOffset}, fs.MaxTID)
	if !errors.Is(err, broken) {
		t.Errorf("Dump() = %v, want %v", err, broken)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err = new(Dumper).Dump(ctx, new(bytes.Buffer), f, fs.Place{Offset: fs.FirstOffset}, fs.MaxTID); !errors.Is(err, context.Canceled) {
		t.Errorf("Dump() = %v, want %v", err, context.Canceled)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }
