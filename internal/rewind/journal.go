package rewind

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"path/filepath"
	"syscall"

	"zrs/internal/fs"
)

// A journal is beside a data file from before the first byte is saved until
// everything is done. It is written once.
type journal struct {
	Schema int    `json:"schema"`
	Inode  uint64 `json:"inode"` // of the data file
	Size   int64  `json:"size"`  // with an unfinished transaction at the end

	Kept  place  `json:"kept"`  // where it is cut
	First fs.TID `json:"first"` // transaction behind the cut
	End   place  `json:"end"`   // of the last one

	Salvage string `json:"salvage"` // directory, relative to that of the data file
	Blobs   string `json:"blob_dir,omitempty"`
}

type place struct {
	Offset int64  `json:"offset"`
	TID    fs.TID `json:"tid"` // of the transaction before it, 0 if there is none
}

const journalSchema = 1

// JournalPath returns where the journal of a data file is.
func JournalPath(data string) string { return data + ".rewind" }

// readJournal returns nil if there is none.
func readJournal(data string) (*journal, error) {
	path := JournalPath(data)
	f, err := os.Open(path)
	if errors.Is(err, iofs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	j := new(journal)
	err = json.NewDecoder(io.LimitReader(f, 64<<10)).Decode(j)
	switch {
	case err != nil:
	case j.Schema != journalSchema:
		err = fmt.Errorf("schema %d, this zrs knows %d", j.Schema, journalSchema)
	case j.Kept.Offset < fs.FirstOffset || j.End.Offset <= j.Kept.Offset || j.Size < j.End.Offset || j.Salvage == "":
		err = errors.New("what it says can't be")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: not the journal of a rewind: %w", path, err)
	}
	return j, nil
}

func (j *journal) write(data string) error {
	j.Schema = journalSchema
	return fs.ReplaceFile(JournalPath(data), func(*os.File) ([]byte, error) {
		b, err := json.MarshalIndent(j, "", "  ")
		return append(b, '\n'), err
	})
}

func removeJournal(data string) error {
	if err := os.Remove(JournalPath(data)); err != nil {
		return err
	}
	return fs.SyncDir(filepath.Dir(data))
}

// salvage returns the path of the directory that has been, or was to be, made.
func (j *journal) salvage(data string) string {
	if filepath.IsAbs(j.Salvage) {
		return j.Salvage
	}
	return filepath.Join(filepath.Dir(data), j.Salvage)
}

// stage tells how far the rewind of the journal has come, by the data file.
func (j *journal) stage(r *File) (Stage, error) {
	switch {
	case j.Inode != inode(r.file.Info()), r.end.Offset < j.Kept.Offset:
		return Void, nil
	case r.end.Offset == j.Kept.Offset:
		if r.end.TID != j.Kept.TID {
			return Void, nil
		}
		return Cut, nil
	}
	for txn, err := range r.file.Backward(j.Kept.Offset) {
		if err != nil || txn.TID != j.Kept.TID {
			return Void, nil // no transaction ends there: it is another file
		}
		break
	}
	next, err := r.file.Reader(j.Kept.Offset, r.end.Offset).Next()
	switch {
	case errors.Is(err, fs.ErrDamaged), errors.Is(err, fs.ErrTornTail):
		return Void, nil
	case err != nil:
		return Void, err
	case next.TID != j.First:
		return Cut, nil // and others were committed since
	case r.file.Size() == j.Size && r.end == fs.Place(j.End):
		return Saved, nil
	}
	return Void, nil
}

// is reports whether the journal is of a rewind by the plan p.
func (j *journal) is(p *Plan, blobDir string) bool {
	return fs.Place(j.Kept) == p.Kept && fs.Place(j.End) == p.End && j.First == p.First && j.Blobs == blobDir
}

func inode(info iofs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ino
	}
	return 0
}

// exists reports whether there is something at path.
func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, iofs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// encode returns v as a document for people and programs.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}
