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
// as of until. The first backup that is later has all of it: an increment with
// what it builds on, or a full backup, which may have been packed meanwhile, and
// then what was there before is the next best. Both are returned, the better one
// first. If there is no later backup, or with a zero time, it is the newest one.
// The files are checked by [Repozo.Join].
func FindRepozo(dir string, until time.Time) ([]*Repozo, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var fulls, increments []string
	for _, entry := range entries { // in the order of time
		m := repozoName.FindStringSubmatch(entry.Name())
		switch {
		case m == nil:
		case m[2] != "":
			increments = append(increments, entry.Name())
		default:
			fulls = append(fulls, entry.Name())
		}
	}
	if len(fulls) == 0 {
		return nil, fmt.Errorf("%s: no full backup of repozo: %w", dir, iofs.ErrNotExist)
	}
	n := len(fulls) - 1
	for !until.IsZero() && n > 0 && stem(fulls[n]) > until.UTC().Format(repozoTime) {
		n--
	}
	var found []*Repozo
	for _, full := range fulls[n:min(n+2, len(fulls))] {
		r, err := readChain(dir, full, until)
		if err != nil {
			return nil, err
		}
		next := ""
		if r.covers(until) {
			next = filepath.Base(r.Files[len(r.Files)-1].Path)
		} else if n+1 < len(fulls) {
			next = fulls[n+1]
		}
		if err := checkListed(dir, full, next, increments, r.Files); err != nil {
			return nil, err
		}
		found = append([]*Repozo{r}, found...)
		if r.covers(until) {
			break
		}
	}
	return found, nil
}

// covers reports whether r has all that there was at the time until.
func (r *Repozo) covers(until time.Time) bool { return !until.IsZero() && r.Time.After(until) }

// stem returns the time in the name of a backup.
func stem(name string) string { return filepath.Base(name)[:len(repozoTime)] }

// readChain reads the list that repozo keeps of a full backup and its increments,
// up to the first one that is later than until.
func readChain(dir, full string, until time.Time) (*Repozo, error) {
	dat := filepath.Join(dir, stem(full)+".dat")
	text, err := os.ReadFile(dat)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBackup, err)
	}
	r := &Repozo{}
	end := int64(0)
	for n, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		f, err := parseDat(dir, line)
		if err == nil && f.Start != end {
			err = fmt.Errorf("it begins at %d, the one before ends at %d", f.Start, end)
		}
		if err == nil {
			r.Time, err = time.Parse(repozoTime, stem(f.Path))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: line %d: %w: %w", dat, n+1, ErrBackup, err)
		}
		end = f.End
		if r.Files = append(r.Files, f); r.covers(until) {
			break
		}
	}
	return r, nil
}

// checkListed fails if there is an increment between a full backup and next that
// is not in the list: it can't be checked, and what comes after it would not fit.
func checkListed(dir, full, next string, increments []string, listed []RepozoFile) error {
	for _, name := range increments {
		at := stem(name)
		inside := at > stem(full) && (next == "" || at < stem(next))
		if inside && !slices.ContainsFunc(listed, func(f RepozoFile) bool { return filepath.Base(f.Path) == name }) {
			return fmt.Errorf("%s: %w: it is not listed in %s.dat, so it can't be checked",
				filepath.Join(dir, name), ErrBackup, stem(full))
		}
	}
	return nil
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
