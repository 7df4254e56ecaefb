package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"zrs/internal/epoch"
	"zrs/internal/fs"
)

// listing writes to a file what the files and directories are that it is given,
// with all that is in them: mode, time of modification, and a digest of the
// bytes. Two listings are equal if nothing has changed between them.
//
//	listing OUT FILE...
func listing(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: listing OUT FILE...")
	}
	var out strings.Builder
	for _, root := range args[1:] {
		ts.Check(filepath.WalkDir(ts.MkAbs(root), func(path string, d iofs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			fmt.Fprintf(&out, "%s %v %d", path, info.Mode(), info.ModTime().UnixNano())
			if info.Mode().IsRegular() {
				b, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				fmt.Fprintf(&out, " %x", sha256.Sum256(b))
			}
			out.WriteByte('\n')
			return nil
		}))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(out.String()), 0o666))
}

// lock locks a data file, as a writer does, until the script ends. $PID is the
// process that does it.
//
//	lock FILE
func lock(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: lock FILE")
	}
	held, err := fs.LockFile(ts.MkAbs(args[0]) + ".lock")
	ts.Check(err)
	ts.Defer(func() { ts.Check(held.Unlock()) })
	ts.Setenv("PID", strconv.Itoa(os.Getpid()))
}

// sparse makes a data file of 100 GB that takes next to no room: a transaction
// at the start, COUNT transactions of one record at the end, and a hole between
// them, which is damage to whoever reads it. The last ones have the ids 1000 and
// so on, in hex, and the descriptions "last 0" and so on.
//
//	sparse OUT COUNT
func sparse(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sparse OUT COUNT")
	}
	count, err := strconv.Atoi(args[1])
	ts.Check(err)
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	defer f.Close()
	head := append([]byte("FS30"), sparseTxn(0x10, fs.FirstOffset, "first")...)
	_, err = f.WriteAt(head, 0)
	ts.Check(err)
	at := int64(100e9)
	for i := range count {
		b := sparseTxn(fs.TID(0x1000+i), at, fmt.Sprintf("last %d", i))
		_, err = f.WriteAt(b, at)
		ts.Check(err)
		at += int64(len(b))
	}
}

// sparseTxn returns a transaction of one record that stands at an offset.
func sparseTxn(tid fs.TID, at int64, description string) []byte {
	data := []byte("\x80\x03cpersistent.mapping\nPersistentMapping\n.\x80\x03}.")
	h := fs.TxnHeader{TID: tid, Status: fs.StatusComplete, Description: []byte(description)}
	h.Length = uint64(h.Size()) + 42 + uint64(len(data))
	b := h.AppendTo(nil)
	b = fs.OID(7).AppendTo(b)
	b = tid.AppendTo(b)
	b = binary.BigEndian.AppendUint64(b, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(at))
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(len(data)))
	b = append(b, data...)
	return binary.BigEndian.AppendUint64(b, h.Length)
}

// sidecar writes what zrs knows of a data file: a new epoch of a new database, a
// role, and where it comes from:
//
//	sidecar FILE [role=ROLE] [at=TID] [source=ADDR] [last=TID] [behind=N] [superseded=yes]
//
// The source was last heard on 2023-11-18 at noon.
func sidecar(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: sidecar FILE [KEY=VALUE]...")
	}
	k, err := epoch.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	ts.Check(k.Update(func(s *epoch.Sidecar) {
		*s = epoch.Sidecar{Lineage: epoch.Begin()}
		source := epoch.Contact{Heard: time.Date(2023, 11, 18, 12, 0, 0, 0, time.UTC), Protocol: "zrs+1"}
		for _, arg := range args[1:] {
			switch key, value, _ := strings.Cut(arg, "="); key {
			case "role":
				s.Role = epoch.Role(value)
			case "at":
				ts.Check(s.At.UnmarshalText([]byte(value)))
			case "source":
				source.Address, s.Source = value, &source
			case "last":
				ts.Check(source.Last.UnmarshalText([]byte(value)))
			case "behind":
				n, err := strconv.ParseInt(value, 10, 64)
				ts.Check(err)
				source.Behind = &n
			case "superseded":
				by := epoch.Begin()
				s.Superseded = &by
			default:
				ts.Fatalf("sidecar: %s", arg)
			}
		}
	}))
}
