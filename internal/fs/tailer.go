package fs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"log/slog"
	"os"
	"runtime"
	"time"
)

// TailerOptions are what a [Tailer] may be told. The zero value is usable.
type TailerOptions struct {
	// Poll is the time between two looks at the file. Without it the file is
	// looked at when the system reports a change, and once a second.
	Poll time.Duration

	// StuckAfter is how long something that is no finished transaction may
	// stand unchanged at the end before it is examined as possible damage.
	// The default is 3 seconds.
	StuckAfter time.Duration

	// Logger gets what a person may want to know. The default discards.
	Logger *slog.Logger
}

// A Tailer follows a data file to which another process appends, and publishes
// finished transactions in a [Log]. It takes no lock and changes nothing.
//
// What it publishes is finished (the status byte was seen twice), structurally
// sound, and durable: the Tailer syncs the data itself, because ZODB shows the
// status byte to others before its own sync is done. When a pack replaces the
// file it drains the old one, which a pack may have left with transactions that
// the new one lacks, and goes on in the new one.
type Tailer struct {
	log  *Log
	opts TailerOptions

	file  *os.File // of the log's current generation, owned by it
	empty bool     // the magic is yet to come
	pos   int64    // of the next transaction
	tid   TID      // of the last one

	sync    func(*os.File) error // dataSync, but for tests
	stuck   stuckTail
	missing time.Time // since when the path leads nowhere
}

// stuckTail is what stands at the end and is no finished transaction.
type stuckTail struct {
	since    time.Time
	size     int64
	header   [txnHeaderSize]byte
	examined bool
}

// OpenTailer opens the data file at path for following. Nothing is published
// before [Tailer.Run].
func OpenTailer(path string, opts TailerOptions) (*Tailer, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	file, magic, err := openData(path)
	if errors.Is(err, iofs.ErrNotExist) {
		if was := checkNeverWas(path); was != nil {
			return nil, was
		}
	}
	if err != nil {
		return nil, err
	}
	if magic == MagicPython2 {
		file.Close()
		return nil, errPython2(path)
	}
	t := newTailer(newLog(path, file), file, opts, FirstOffset, 0)
	t.empty = magic == Magic{}
	return t, nil
}

// newTailer returns a tailer that goes on at pos, behind the transaction tid.
func newTailer(log *Log, file *os.File, opts TailerOptions, pos int64, tid TID) *Tailer {
	if opts.StuckAfter == 0 {
		opts.StuckAfter = 3 * time.Second
	}
	return &Tailer{log: log, opts: opts, file: file, pos: pos, tid: tid, sync: dataSync}
}

// Log returns the log that t publishes in.
func (t *Tailer) Log() *Log { return t.log }

// Run follows the file until ctx is done, and returns nil then, or until it
// can't be followed any more: damage ([ErrDamaged]), [ErrTruncated],
// [ErrReplaced], or trouble with the file system. The log fails with the same
// error. Run must be called once.
func (t *Tailer) Run(ctx context.Context) error {
	err := t.run(ctx)
	if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		err = nil
	}
	if err != nil {
		t.log.close(err)
	} else {
		t.log.close(os.ErrClosed)
	}
	return err
}

func (t *Tailer) run(ctx context.Context) error {
	changes := watch(t.log.path, t.opts.Poll, t.opts.Logger)
	defer changes.stop()
	if err := t.first(ctx); err != nil {
		return err
	}
	t.log.setReady()
	for {
		moved, err := t.advance(ctx)
		if err == nil && !moved {
			err = t.look(ctx)
		}
		if err != nil {
			return err
		}
		if moved {
			continue // until there is nothing new
		}
		if err := changes.wait(ctx); err != nil {
			return err
		}
	}
}

// first publishes what the file has now. The saved index tells up to where the
// file needs no reading.
func (t *Tailer) first(ctx context.Context) error {
	size, err := t.size()
	if err != nil || t.empty {
		return err
	}
	if hint, ok := trustIndex(t.log.path, t.file, size); ok && hint.end > t.pos {
		t.pos, t.tid = hint.end, hint.tid
		if err := t.sync(t.file); err != nil { // a pack leaves a file unsynced
			return fmt.Errorf("%s: sync: %w", t.log.path, err)
		}
		t.log.trust(hint)
	}
	_, err = t.bulk(ctx, size)
	if err != nil || t.pos == size {
		return err
	}
	return t.certain(ctx)
}

// certain reports damage behind what was published, if it is beyond doubt from
// the start: what a writer does meanwhile looks different a moment later.
func (t *Tailer) certain(ctx context.Context) error {
	var first error
	for range 2 {
		size, err := t.size()
		if err == nil {
			err = t.verdict(size)
		}
		if !errors.Is(err, ErrDamaged) || first != nil && first.Error() != err.Error() {
			return nil //nolint:nilerr // run will look again, and more than once
		}
		first = err
		select {
		case <-time.After(t.opts.StuckAfter / 30):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return first
}

func (t *Tailer) size() (int64, error) {
	fi, err := t.file.Stat()
	if err != nil {
		return 0, err
	}
	return fi.Size(), nil
}

// bulkSize is how much new data makes a parallel scan worth while.
const bulkSize = 4 * scanChunk

// advance publishes what is finished now, and reports whether there was any.
func (t *Tailer) advance(ctx context.Context) (moved bool, err error) {
	size, err := t.size()
	if err != nil {
		return false, err
	}
	if t.empty {
		return false, t.magic(size)
	}
	if size-t.pos > bulkSize {
		if moved, err := t.bulk(ctx, size); moved || err != nil {
			return moved, err
		}
	}
	var passed []checkpoint
	for t.pos < size {
		h, ok, err := t.finished(size)
		if err != nil {
			return false, err
		}
		if !ok {
			break
		}
		passed = append(passed, checkpoint{h.tid, t.pos})
		t.pos += int64(h.length) + trailerSize
		t.tid = h.tid
	}
	if len(passed) == 0 {
		return false, nil
	}
	return true, t.publish(passed)
}

// publish makes everything up to t.pos durable, and shows it.
func (t *Tailer) publish(passed []checkpoint) error {
	if err := t.sync(t.file); err != nil {
		return fmt.Errorf("%s: sync: %w", t.log.path, err)
	}
	t.log.publish(t.pos, t.tid, passed)
	runtime.Gosched() // to those who wait for it, before the file is looked at again
	t.stuck = stuckTail{}
	return nil
}

// magic waits for the magic of a database that was just created.
func (t *Tailer) magic(size int64) error {
	if size < magicSize {
		return nil
	}
	magic, err := readMagic(t.file, t.log.path)
	if err == nil && magic == MagicPython2 {
		err = errPython2(t.log.path)
	}
	t.empty = false
	return err
}

// bulk passes over many transactions at once. The last one may have been read
// while it was written, so its header must read the same again: only what is
// read after a final status was seen is final.
func (t *Tailer) bulk(ctx context.Context, size int64) (moved bool, err error) {
	var cps checkpoints
	s, err := scan(ctx, t.file, t.log.path, t.pos, size, t.tid, nil, &cps)
	if err != nil && !isShorter(err) {
		return false, err
	}
	if errors.Is(s.err, ErrDamaged) {
		// It may be a transaction in the middle of a commit: that is for the
		// careful way to find out.
		t.opts.Logger.Debug("scan ended early", "path", t.log.path, "err", s.err)
	}
	if s.end == t.pos || !t.stillEnds(s) {
		return false, nil
	}
	t.pos, t.tid = s.end, s.tid
	return true, t.publish(cps.list)
}

func (t *Tailer) stillEnds(s scanned) bool {
	w := window{src: t.file, end: s.end}
	var length [trailerSize]byte
	var head [txnHeaderSize]byte
	if w.small(s.end-trailerSize, length[:]) != nil {
		return false
	}
	start := s.end - trailerSize - int64(binary.BigEndian.Uint64(length[:]))
	if start < t.pos || w.small(start, head[:]) != nil {
		return false
	}
	h := decodeFixedHeader(head[:])
	return h.tid == s.tid && h.status.Final() && start+int64(h.length)+trailerSize == s.end
}

// finished reads the transaction at t.pos, if one is there, whole and finished.
//
// A single read of a header can return the first bytes of a transaction that
// was aborted together with the rest of the one that was committed in its
// place, so a header with a final status is read again.
func (t *Tailer) finished(size int64) (h fixedHeader, ok bool, err error) {
	var b [txnHeaderSize]byte
	for range 2 {
		if n, err := t.file.ReadAt(b[:], t.pos); n < len(b) {
			if err == io.EOF {
				err = nil
			}
			return h, false, err
		}
		if h = decodeFixedHeader(b[:]); !h.status.Final() {
			return h, false, nil
		}
	}
	if kind, _ := h.check(t.pos, size); kind != "" {
		return h, false, nil
	}
	r := NewReader(t.file, t.log.path, t.pos, t.pos+int64(h.length)+trailerSize)
	txn, err := r.Next()
	for err == nil {
		_, err = r.NextRecord()
	}
	if !errors.Is(err, io.EOF) || txn == nil || txn.TID != h.tid {
		return h, false, nil // examine will say what it is, if it stays
	}
	return h, true, nil
}

// look finds out why there is nothing new, if there is a reason.
func (t *Tailer) look(ctx context.Context) error {
	open, err := t.file.Stat()
	if err != nil {
		return err
	}
	if open.Size() < t.pos && !t.empty {
		return fmt.Errorf("%s: %w: it has %d bytes, %d were there", t.log.path, ErrTruncated, open.Size(), t.pos)
	}
	named, err := os.Stat(t.log.path)
	switch {
	case errors.Is(err, iofs.ErrNotExist):
		t.gone()
		return nil
	case err != nil:
		return err
	case os.SameFile(open, named):
		if !t.missing.IsZero() {
			t.opts.Logger.Info("data file is back", "path", t.log.path)
			t.missing = time.Time{}
		}
		return t.examine(open.Size())
	}
	t.missing = time.Time{}
	return t.replaced(ctx)
}

// goneAfter is how long a data file may have no name. A pack takes the name
// away for an instant between two renames.
const goneAfter = 5 * time.Second

// gone says, once a minute, that the path leads nowhere. Whoever has the file
// open may still write to it, so following goes on.
func (t *Tailer) gone() {
	now := time.Now()
	if t.missing.IsZero() {
		t.missing = now.Add(goneAfter)
	}
	if now.Before(t.missing) {
		return
	}
	t.opts.Logger.Error("data file has disappeared; what is written to the open file is still followed, "+
		"but it will be lost when its writer stops", "path", t.log.path, "err", ErrMissing)
	t.missing = now.Add(time.Minute)
}

// examine looks at what has stood at the end for a while without becoming a
// finished transaction. A torn tail is left to its writer, who may go on or cut
// it off; with whole transactions behind, or when nothing explains it, it is
// damage.
func (t *Tailer) examine(size int64) error {
	now := stuckTail{since: time.Now(), size: size}
	if size == t.pos || t.empty {
		t.stuck = stuckTail{}
		return nil
	}
	if n, err := t.file.ReadAt(now.header[:], t.pos); n < len(now.header) && err != io.EOF {
		return err
	}
	if t.stuck.since.IsZero() || t.stuck.size != now.size || t.stuck.header != now.header {
		t.stuck = now
		return nil
	}
	if t.stuck.examined || time.Since(t.stuck.since) < t.opts.StuckAfter {
		return nil
	}
	t.stuck.examined = true
	err := t.verdict(size)
	if errors.Is(err, ErrTornTail) {
		t.opts.Logger.Info("incomplete transaction at the end, waiting for its writer", "path", t.log.path, "offset", t.pos)
		return nil
	}
	return err
}

// verdict reads what stands at the end as a finished file would be read.
func (t *Tailer) verdict(size int64) error {
	r := NewReader(t.file, t.log.path, t.pos, size)
	_, err := r.Next()
	for err == nil {
		_, err = r.NextRecord()
	}
	if errors.Is(err, io.EOF) || isShorter(err) {
		return nil // it has become one, or was aborted
	}
	return err
}

// isShorter reports whether err says that a file ends before the size that it had
// a moment ago: what was not finished is cut off when it is aborted.
func isShorter(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }

// replaced goes on in the file that has taken the name.
func (t *Tailer) replaced(ctx context.Context) error {
	// Transactions may have been committed to the old file since we last
	// looked, and packed away from the new one.
	for {
		moved, err := t.advance(ctx)
		if err != nil {
			return err
		}
		if !moved {
			break
		}
	}
	file, magic, err := openData(t.log.path)
	if errors.Is(err, iofs.ErrNotExist) {
		return nil // in the middle of another replacement
	}
	if errors.Is(err, ErrFormat) {
		return fmt.Errorf("%w: %w", ErrReplaced, err)
	}
	if err != nil { // too many open files, say: that passes
		t.opts.Logger.Warn("can't open the file that has taken the data file's name, trying again", "path", t.log.path, "err", err)
		return nil
	}
	if magic != MagicPython3 {
		file.Close()
		if (magic == Magic{}) {
			return nil // being created; it will not continue ours
		}
		return fmt.Errorf("%w: %w", ErrReplaced, errPython2(t.log.path))
	}
	end, err := t.continuation(ctx, file)
	if err == nil && end != 0 {
		err = t.sync(file) // a pack leaves it unsynced
	}
	if err != nil || end == 0 {
		file.Close()
		return err
	}
	t.opts.Logger.Info("data file was packed or replaced, going on in the new one", "path", t.log.path, "tid", t.tid, "offset", end)
	t.log.replace(file, end, t.tid)
	t.file, t.pos, t.stuck = file, end, stuckTail{}
	return nil
}

// continuation returns where in file, which has taken the name of the one that
// we have read to its end, our history goes on. It returns 0 if that can't be
// told just now.
//
// What a pack leaves has our last transaction, or lacks it because all its
// records were garbage: then the one before the place is one of ours, and the
// status 'p' on one side of the place shows that a pack came by. Anything else
// is another database, or this one restored from a backup.
func (t *Tailer) continuation(ctx context.Context, file *os.File) (int64, error) {
	at, err := t.lastBefore(ctx, file)
	if err != nil || at.end == 0 {
		return 0, err
	}
	unrelated := func(why string) (int64, error) {
		return 0, fmt.Errorf("%s: %w: %s", t.log.path, ErrReplaced, why)
	}
	switch {
	case t.tid == 0:
		return at.end, nil
	case at.tid == 0:
		if at.next != StatusPacked {
			return unrelated(fmt.Sprintf("it has no transaction up to %s, the last one before", t.tid))
		}
		return at.end, nil
	}
	same, err := t.had(at, file)
	switch {
	case err != nil:
		return 0, err
	case !same:
		return unrelated(fmt.Sprintf("its transaction %s is not the one that was there before", at.tid))
	case at.tid == t.tid, at.status == StatusPacked, at.next == StatusPacked:
		return at.end, nil
	}
	return unrelated(fmt.Sprintf("transaction %s is missing and no pack explains it", t.tid))
}

// A place is the last transaction of a file that is not later than a TID.
type place struct {
	start, end int64 // of the transaction; 0, FirstOffset if there is none
	tid        TID
	status     Status
	next       Status // of the transaction behind it, 0 if there is none
}

// lastBefore finds the last transaction of file that is not later than the
// last we have, backward from the end of the file: right after a pack there
// are few. The end may be the middle of a commit; then the place has no end.
func (t *Tailer) lastBefore(ctx context.Context, file *os.File) (place, error) {
	fi, err := file.Stat()
	if err != nil {
		return place{}, err
	}
	w := window{src: file, end: fi.Size()}
	at := place{end: fi.Size()}
	for at.end > FirstOffset {
		if ctx.Err() != nil {
			return place{}, context.Cause(ctx)
		}
		start, h, err := txnBefore(&w, at.end)
		if isShorter(err) {
			err = nil
		}
		if err != nil || h.tid == 0 {
			return place{}, err
		}
		if h.tid <= t.tid {
			at.start, at.tid, at.status = start, h.tid, h.status
			return at, nil
		}
		at.end, at.next = start, h.status
	}
	return at, nil
}

// txnBefore returns the start and the header of the finished transaction that
// ends at end; the header is zero if there is none.
func txnBefore(w *window, end int64) (int64, fixedHeader, error) {
	var length [trailerSize]byte
	var head [txnHeaderSize]byte
	if end < FirstOffset+txnHeaderSize+trailerSize {
		return 0, fixedHeader{}, nil
	}
	if err := w.small(end-trailerSize, length[:]); err != nil {
		return 0, fixedHeader{}, err
	}
	n := binary.BigEndian.Uint64(length[:])
	if n < txnHeaderSize || n > uint64(end-trailerSize-FirstOffset) {
		return 0, fixedHeader{}, nil
	}
	start := end - trailerSize - int64(n)
	if err := w.small(start, head[:]); err != nil {
		return 0, fixedHeader{}, err
	}
	h := decodeFixedHeader(head[:])
	if kind, _ := h.check(start, end); kind != "" || h.length != n {
		return 0, fixedHeader{}, nil
	}
	return start, h, nil
}

// had reports whether the transaction of file at a place is one that the log
// has, by its texts: a pack does not change them.
func (t *Tailer) had(at place, file *os.File) (bool, error) {
	theirs, err := NewReader(file, t.log.path, at.start, at.end).Next()
	if err != nil {
		return false, nil //nolint:nilerr // it ended as a transaction, but does not start as one
	}
	c, err := t.log.After(at.tid - 1)
	if err != nil && !errors.Is(err, ErrTIDUnknown) {
		return false, err
	}
	defer c.Close()
	ours, err := c.r.Next()
	if err != nil {
		return false, nil //nolint:nilerr // not there, whatever the reason
	}
	return ours.TID == at.tid && string(ours.User) == string(theirs.User) &&
		string(ours.Description) == string(theirs.Description) &&
		string(ours.Extension) == string(theirs.Extension), nil
}
