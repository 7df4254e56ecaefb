package rewind

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"zrs/internal/dump"
	"zrs/internal/epoch"
	"zrs/internal/fs"
)

// What is in a salvage directory.
const (
	dumpName  = "orphans.zodbdump" // the transactions, with their records in the order of the file
	dataName  = "orphans.fs"       // the same as a data file of its own
	blobsName = "blobs"            // their blobs, if there are any
	tailName  = "torn-tail"        // what was behind them, if there was anything
	factsName = "rewind.json"
	readName  = "README"
)

// facts are what rewind.json says.
type facts struct {
	Schema       int        `json:"schema"`
	Path         string     `json:"path"` // of the data file
	Made         time.Time  `json:"made"`
	Database     *epoch.ID  `json:"database"` // null if that was not known, as epoch
	Epoch        *epoch.ID  `json:"epoch"`
	Kept         place      `json:"kept"`
	KeptTime     *time.Time `json:"kept_time"`
	First        fs.TID     `json:"first_tid"`
	Last         fs.TID     `json:"last_tid"`
	Transactions int64      `json:"transactions"`
	Records      int64      `json:"records"`
	Bytes        int64      `json:"bytes"` // of the data file
	TailBytes    int64      `json:"torn_tail_bytes"`
	Blobs        int64      `json:"blobs"`
	BlobsMissing int64      `json:"blobs_missing"`
}

// unfinished is where a salvage grows.
func unfinished(salvage string) string { return salvage + ".unfinished" }

// salvageName returns the name of a new salvage directory of a data file.
func salvageName(data string, first fs.TID) string {
	var unique [4]byte
	rand.Read(unique[:]) // never fails
	return fmt.Sprintf("%s.salvage-%s-%s", filepath.Base(data), first, hex.EncodeToString(unique[:]))
}

// A saver writes a salvage and reads it back.
type saver struct {
	*File
	plan  *Plan
	blobs *fs.BlobDir // nil if they are not known
	dir   string      // where it grows
	done  func(bytes int64)

	missing func(oid fs.OID, tid fs.TID, err error) // is told of blobs that are not there
}

// save makes the salvage directory final. It grows beside it, and gets its name
// when it is whole, durable and was read back. On failure nothing of it is left.
func (s *saver) save(ctx context.Context, final string, side *epoch.Sidecar) (err error) {
	if there, err := exists(final); err != nil || there {
		return errors.Join(err, fmt.Errorf("%s: %w", final, iofs.ErrExist))
	}
	s.dir = unfinished(final)
	if err := os.Mkdir(s.dir, 0o777); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(s.dir))
		}
	}()
	s.step("salvage directory")
	for _, part := range []struct {
		name string
		save func(context.Context) error
	}{
		{"blobs", s.saveBlobs},
		{dumpName, s.saveDump},
		{dataName, s.saveData},
		{tailName, s.saveTail},
		{factsName, func(context.Context) error { return s.saveFacts(final, side) }},
		{"check", s.check},
	} {
		if err := part.save(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.dir, err)
		}
		s.step("salvage " + part.name)
	}
	if err := fs.SyncDir(s.dir); err != nil {
		return err
	}
	s.step("salvage durable")
	if err := os.Rename(s.dir, final); err != nil {
		return err
	}
	s.step("salvage named")
	s.dir = final
	return fs.SyncDir(filepath.Dir(final))
}

func (s *saver) path(name string) string { return filepath.Join(s.dir, name) }

// write makes a file of the salvage, durably.
func (s *saver) write(name string, content func(io.Writer) error) error {
	f, err := os.OpenFile(s.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	err = content(f)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// saveDump writes the transactions as text.
func (s *saver) saveDump(ctx context.Context) error {
	return s.write(dumpName, func(w io.Writer) error {
		d := &dump.Dumper{Format: dump.Zodbdump, Disk: true}
		tail, err := d.Dump(ctx, w, s.file, s.plan.Kept, s.plan.End.TID)
		s.done(s.plan.Bytes())
		if err == nil && tail != nil && !errors.Is(tail, fs.ErrTornTail) {
			err = tail
		}
		return err
	})
}

// saveData writes the transactions as a data file. What refers to transactions
// that stay has its data there.
func (s *saver) saveData(ctx context.Context) error {
	w, err := fs.OpenWriter(ctx, s.path(dataName), fs.WriterOptions{Create: true})
	if err != nil {
		return err
	}
	err = s.eachTxn(ctx, func(txn *fs.Txn, src *reader) error {
		if txn.Status == fs.StatusUndone {
			return nil // can't be written, and does not count
		}
		if err := w.Begin(txn.TxnHeader); err != nil {
			return err
		}
		for {
			rec, err := src.next()
			if err != nil {
				return err
			}
			if rec == nil {
				return w.Commit()
			}
			data, err := src.data()
			if err != nil {
				return err
			}
			err = w.Restore(fs.Restored{OID: rec.OID, TID: rec.TID, Data: data, DataTxn: src.found.BackTID})
			if err != nil {
				return err
			}
		}
	})
	err = errors.Join(err, w.Close())
	return errors.Join(err, os.Remove(s.path(dataName)+".lock"))
}

// saveBlobs copies the blobs of the transactions.
func (s *saver) saveBlobs(ctx context.Context) error {
	if s.blobs == nil || s.plan.Blobs == s.plan.BlobsMissing {
		return nil
	}
	to, err := fs.CreateBlobDir(s.path(blobsName))
	if err != nil {
		return err
	}
	c := &dump.BlobCopier{From: s.blobs, To: to, Missing: s.missing}
	err = s.eachBlob(ctx, func(oid fs.OID, tid fs.TID) error {
		before := c.Bytes
		err := c.Copy(ctx, oid, tid)
		s.done(c.Bytes - before)
		return err
	})
	return errors.Join(err, c.Sync())
}

// saveTail copies what is behind the last transaction.
func (s *saver) saveTail(context.Context) error {
	if s.plan.TailBytes == 0 {
		return nil
	}
	return s.write(tailName, func(w io.Writer) error {
		_, err := io.Copy(w, s.tailReader())
		return err
	})
}

func (s *saver) tailReader() io.Reader {
	return io.NewSectionReader(s.file, s.plan.End.Offset, s.plan.TailBytes)
}

// saveFacts says what the directory is, for people and for programs.
func (s *saver) saveFacts(final string, side *epoch.Sidecar) error {
	path, err := filepath.Abs(s.File.path)
	if err != nil {
		return err
	}
	p := s.plan
	f := facts{
		Schema: 1, Path: path, Made: time.Now().UTC().Truncate(time.Second),
		Kept: place(p.Kept), First: p.First, Last: p.End.TID, Transactions: p.Transactions, Records: p.Records,
		Bytes: p.Bytes(), TailBytes: p.TailBytes, Blobs: p.Blobs, BlobsMissing: p.BlobsMissing,
	}
	if p.Kept.TID != 0 {
		t := p.Kept.TID.Time()
		f.KeptTime = &t
	}
	if side.Known() {
		f.Database, f.Epoch = &side.Database, &side.Epoch
	}
	err = s.write(factsName, func(w io.Writer) error {
		b, err := encode(f)
		if err == nil {
			_, err = w.Write(b)
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.write(readName, func(w io.Writer) error {
		_, err := io.WriteString(w, readme(&f, final))
		return err
	})
}

// readme is the text that tells a person what the directory is.
func readme(f *facts, final string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `zrs rewind has cut these transactions off the end of a ZODB FileStorage:

  data file       %s
  cut after       %s (%s)
  transactions    %d, from %s to %s
  blobs           %d, %d of them missing

`, f.Path, f.Kept.TID, f.Kept.TID.Time().Format(time.RFC3339), f.Transactions, f.First, f.Last, f.Blobs, f.BlobsMissing)
	file := func(name, what string) { fmt.Fprintf(&b, "  %-18s%s\n", name, what) }
	file(dumpName, "the transactions as text, in the format of zodbtools")
	file(dataName, "the same as a FileStorage, to be looked at: zrs log --stat "+dataName)
	if f.Blobs > f.BlobsMissing {
		file(blobsName, "their blobs")
	}
	if f.TailBytes > 0 {
		file(tailName, "an unfinished transaction that was behind them, byte for byte")
	}
	file(factsName, "all this for programs")
	fmt.Fprintf(&b, `
To have the data file as it was, make a copy of it that ends with %s, and

  zrs restore %s COPY.fs`, f.Kept.TID, filepath.Join(filepath.Base(final), dumpName))
	if f.Blobs > f.BlobsMissing {
		fmt.Fprintf(&b, " --blobs-from %s --blob-dir COPY.blobs", filepath.Join(filepath.Base(final), blobsName))
	}
	b.WriteString("\n")
	return b.String()
}

// eachTxn calls fn for the transactions that are cut; src reads their records.
func (s *saver) eachTxn(ctx context.Context, fn func(txn *fs.Txn, src *reader) error) error {
	src := s.reader(s.plan.Kept.Offset, s.plan.End.Offset)
	for {
		txn, err := src.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = context.Cause(ctx)
		}
		if err == nil {
			err = fn(txn, src)
		}
		if err != nil {
			return err
		}
		s.done(txn.End() - txn.Offset)
	}
}

// eachBlob calls fn for the blobs of the transactions that are cut.
func (s *saver) eachBlob(ctx context.Context, fn func(oid fs.OID, tid fs.TID) error) error {
	return s.eachTxn(ctx, func(txn *fs.Txn, src *reader) error {
		for {
			rec, err := src.next()
			if rec == nil || err != nil {
				return err
			}
			start, err := src.Peek(src.found, maxBlobRecord)
			if err != nil {
				return err
			}
			if isBlob(start, rec.OID, txn.TID, s.blobs) {
				if err := fn(rec.OID, txn.TID); err != nil {
					return err
				}
			}
		}
	})
}

// maxBlobRecord is more than the record of a blob has: the name of its class.
const maxBlobRecord = 4 << 10
