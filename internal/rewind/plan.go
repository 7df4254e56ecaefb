package rewind

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"zrs/internal/fs"
	"zrs/internal/pickle"
)

// A Plan is what a rewind cuts off.
type Plan struct {
	Kept fs.Place // where the file is cut, and the last transaction that it keeps
	End  fs.Place // where its transactions end now, and the last one

	First                 fs.TID // that is cut, 0 if nothing is
	Transactions, Records int64
	TailBytes             int64 // of an unfinished transaction behind them

	Blobs, BlobBytes int64 // BlobBytes are those that are there
	BlobsMissing     int64 // that are not where the blobs are, or all of them if that is not known

	Txns []Txn // the first ones

	scan bool // there is no index that helps
}

// Bytes returns how many bytes of transactions are cut.
func (p *Plan) Bytes() int64 { return p.End.Offset - p.Kept.Offset }

// A Txn is a transaction that is cut.
type Txn struct {
	TID               fs.TID
	User, Description []byte
	Objects           []Object // the first ones
	ObjectCount       int64
}

// An Object is one that a transaction changed.
type Object struct {
	OID   fs.OID
	Class string // "module.name", "" if the record doesn't tell
	Gone  bool   // the object is deleted
}

// Plan finds out what is cut if the last transaction that is not later than last
// is to be the last one of the file. List is how many transactions, and objects of
// each, are told. Blobs are those of the database, nil if they are not known.
func (r *File) Plan(ctx context.Context, last fs.TID, blobs *fs.BlobDir, list int) (*Plan, error) {
	p := &Plan{End: r.end, TailBytes: r.file.Size() - r.end.Offset}
	var err error
	if p.Kept, err = r.file.After(ctx, last, r.end); err != nil || p.Kept.Offset == r.end.Offset {
		return p, err
	}
	index, _, _ := r.file.Index(r.end)
	p.scan = index == fs.IndexMissing || index == fs.IndexWrong
	if err := r.count(ctx, p, blobs, list); err != nil {
		return nil, err
	}
	return p, r.checkPacked(ctx, p)
}

// count reads what is to be cut.
func (r *File) count(ctx context.Context, p *Plan, blobs *fs.BlobDir, list int) error {
	src := r.reader(p.Kept.Offset, p.End.Offset)
	before := p.Kept.TID
	for {
		txn, err := src.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case txn.TID <= before:
			return &fs.RecordError{
				Path: r.path, Offset: txn.Offset, TID: txn.TID, Kind: fs.KindTID,
				Detail: fmt.Sprintf("it is not above %s, the one before", before),
			}
		}
		if before = txn.TID; p.Transactions == 0 {
			p.First = txn.TID
		}
		p.Transactions++
		var told *Txn
		if len(p.Txns) < list {
			p.Txns = append(p.Txns, Txn{TID: txn.TID, User: bytes.Clone(txn.User), Description: bytes.Clone(txn.Description)})
			told = &p.Txns[len(p.Txns)-1]
		}
		for {
			rec, err := src.next()
			if err != nil {
				return err
			}
			if rec == nil {
				break
			}
			start, err := src.Peek(src.found, pickle.MaxClassInput)
			if err != nil {
				return err
			}
			p.Records++
			if told != nil {
				told.add(rec, start, src.found.Gone, list)
			}
			if isBlob(start, rec.OID, txn.TID, blobs) {
				if err := p.addBlob(rec.OID, txn.TID, blobs); err != nil {
					return err
				}
			}
		}
	}
}

func (t *Txn) add(rec *fs.Record, start []byte, gone bool, list int) {
	if t.ObjectCount++; len(t.Objects) >= list {
		return
	}
	module, name, _ := pickle.ClassName(start)
	if module != "" {
		name = module + "." + name
	}
	t.Objects = append(t.Objects, Object{rec.OID, name, gone})
}

// isBlob reports whether a record, of which this is the start, is a blob's. Of one
// that a storage wrapper has transformed, only the file can tell.
func isBlob(start []byte, oid fs.OID, tid fs.TID, blobs *fs.BlobDir) bool {
	if len(start) > 0 && start[0] == '.' && blobs != nil {
		_, err := os.Lstat(blobs.Path(oid, tid))
		return err == nil
	}
	return pickle.IsBlobRecord(start)
}

func (p *Plan) addBlob(oid fs.OID, tid fs.TID, blobs *fs.BlobDir) error {
	p.Blobs++
	if blobs == nil {
		p.BlobsMissing++
		return nil
	}
	f, err := blobs.Open(oid, tid)
	if errors.Is(err, fs.ErrNoBlob) {
		p.BlobsMissing++
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil {
		p.BlobBytes += info.Size()
	}
	return err
}

// checkPacked refuses a cut between two transactions that a pack has marked. A pack
// marks all that it keeps, up to its time. So if the last transaction that stays is
// marked and the next one too, the pack was made for a later time than the cut's,
// and revisions may be gone that were current then. If the next one is not marked,
// what is kept is what was current after the last one that is.
func (r *File) checkPacked(ctx context.Context, p *Plan) error {
	kept, err := marked(r.file.Backward(p.Kept.Offset))
	if err != nil || !kept {
		return err
	}
	next, err := marked(r.file.Reader(p.Kept.Offset, p.End.Offset).All())
	if err != nil || !next {
		return err
	}
	first, err := r.file.Packed(ctx, r.end)
	if err != nil {
		return err
	}
	return fmt.Errorf("%s: transaction %s: %w; the earliest to go back to is %s", r.path, p.Kept.TID, ErrPacked, first.TID)
}

// marked reports whether the first of the transactions that counts was marked by a
// pack.
func marked(txns iter.Seq2[*fs.Txn, error]) (bool, error) {
	for txn, err := range txns {
		if err != nil {
			return false, err
		}
		if txn.Status != fs.StatusUndone {
			return txn.Status == fs.StatusPacked, nil
		}
	}
	return false, nil
}
