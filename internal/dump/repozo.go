package dump

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"
)

// ErrBackup is wrapped by what is wrong with a directory of repozo's backups.
var ErrBackup = errors.New("the backup is damaged")

// A Repozo is a chain of backups that repozo made (ZODB/scripts/repozo.py, 6.4):
// a full one and the increments after it, which joined are a data file.
//
//	2026-11-20-03-00-00.fs         the full backup, .fsz if it is compressed
//	2026-11-20-03-00-00.dat        for each file of the chain: path, start, end, MD5
//	2026-11-20-03-00-00.index      copy of the index
//	2026-11-20-04-00-00.deltafs    what was appended, .deltafsz if it is compressed
type Repozo struct {
	Files []RepozoFile
	Time  time.Time // of the last one
}

// A RepozoFile is one file of the chain.
type RepozoFile struct {
	Path       string
	Start, End int64 // its place in the data file
	MD5        string
}

var repozoName = regexp.MustCompile(`^(\d{4}(?:-\d\d){5})\.(delta)?fsz?$`)

// repozoTime is how the names of backups tell their times, in UTC.
const repozoTime = "2006-01-02-15-04-05"

// FindRepozo finds what is needed in the directory dir to restore the data file
// as of until: the newest full backup that is not later, and its increments up to
// the first one that is. With a zero time it is the newest with all of its
// increments. The files are checked by [Repozo.Join].
func FindRepozo(dir string, until time.Time) (*Repozo, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string // of the chain
	covered := false
	for _, entry := range entries { // in the order of time
		m := repozoName.FindStringSubmatch(entry.Name())
		if m == nil {
			continue
		}
		at, err := time.Parse(repozoTime, m[1])
		if err != nil {
			return nil, fmt.Errorf("%s: %w: its name is no time", filepath.Join(dir, entry.Name()), ErrBackup)
		}
		late := !until.IsZero() && at.After(until)
		switch full := m[2] == ""; {
		case full && late, covered:
			covered = true
		case full:
			names = []string{entry.Name()}
		case len(names) > 0:
			names = append(names, entry.Name())
			covered = late
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: no full backup of repozo that is early enough: %w", dir, iofs.ErrNotExist)
	}
	return readChain(dir, names)
}

// readChain finds the files of a chain in the list that repozo keeps of them.
func readChain(dir string, names []string) (*Repozo, error) {
	stem := func(name string) string { return name[:len(repozoTime)] }
	dat := filepath.Join(dir, stem(names[0])+".dat")
	text, err := os.ReadFile(dat)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBackup, err)
	}
	last := stem(names[len(names)-1])
	r := &Repozo{}
	if r.Time, err = time.Parse(repozoTime, last); err != nil {
		return nil, err
	}
	end := int64(0)
	for n, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		f, err := parseDat(dir, line)
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w: %w", dat, n+1, ErrBackup, err)
		}
		name := filepath.Base(f.Path)
		if stem(name) > last {
			break
		}
		if f.Start != end {
			return nil, fmt.Errorf("%s: line %d: %w: it begins at %d, the one before ends at %d", dat, n+1, ErrBackup, f.Start, end)
		}
		if i := slices.Index(names, name); i >= 0 {
			names = slices.Delete(names, i, i+1)
		}
		end = f.End
		r.Files = append(r.Files, f)
	}
	if len(names) > 0 {
		return nil, fmt.Errorf("%s: %w: it is not listed in %s, so it can't be checked", filepath.Join(dir, names[0]), ErrBackup, dat)
	}
	return r, nil
}

// parseDat reads a line of a .dat file. Paths are as they were when the backup
// was made, and may have blanks.
func parseDat(dir, line string) (f RepozoFile, err error) {
	fields := strings.Split(line, " ")
	if len(fields) < 4 {
		return f, fmt.Errorf("want path, start, end and MD5; found %.80q", line)
	}
	n := len(fields)
	name := filepath.Base(strings.Join(fields[:n-3], " "))
	if !repozoName.MatchString(name) {
		return f, fmt.Errorf("%.80q is no name of a backup", name)
	}
	f.Path, f.MD5 = filepath.Join(dir, name), fields[n-1]
	var errs [2]error
	f.Start, errs[0] = strconv.ParseInt(fields[n-3], 10, 63)
	f.End, errs[1] = strconv.ParseInt(fields[n-2], 10, 63)
	if err := errors.Join(errs[:]...); err != nil || f.End < f.Start || f.Start < 0 {
		return f, fmt.Errorf("want start and end; found %.80q", line)
	}
	return f, nil
}

// Size returns the size of the data file.
func (r *Repozo) Size() int64 { return r.Files[len(r.Files)-1].End }

// Join writes the data file to w and counts its bytes. Each file must have the
// length and the MD5 that the list says.
func (r *Repozo) Join(ctx context.Context, w io.Writer, count *atomic.Int64) error {
	for _, f := range r.Files {
		if err := f.copy(ctx, w, count); err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	return nil
}

func (f *RepozoFile) copy(ctx context.Context, w io.Writer, count *atomic.Int64) error {
	file, err := os.Open(f.Path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBackup, err)
	}
	defer file.Close()
	var src io.Reader = file
	if strings.HasSuffix(f.Path, "z") {
		if src, err = gzip.NewReader(file); err != nil {
			return fmt.Errorf("%w: %w", ErrBackup, err)
		}
	}
	hash := md5.New()
	var n int64
	want := f.End - f.Start
	for b := make([]byte, 1<<20); ; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		got, err := src.Read(b)
		n += int64(got)
		if n > want {
			return fmt.Errorf("%w: it has more than the %d bytes that it should have", ErrBackup, want)
		}
		hash.Write(b[:got])
		if _, err := w.Write(b[:got]); err != nil {
			return err
		}
		count.Add(int64(got))
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBackup, err)
		}
	}
	sum, err := hex.DecodeString(f.MD5)
	switch got := hash.Sum(nil); {
	case n < want:
		return fmt.Errorf("%w: it has %d bytes, it should have %d", ErrBackup, n, want)
	case err != nil || !bytes.Equal(sum, got):
		return fmt.Errorf("%w: its MD5 is %x, it should be %.40s", ErrBackup, got, f.MD5)
	}
	return nil
}
