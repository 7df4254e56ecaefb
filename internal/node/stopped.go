package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"zrs/internal/control"
	"zrs/internal/epoch"
	"zrs/internal/fs"
	"zrs/internal/repl"
)

// A Stopped is a secondary without a server, to be promoted.
type Stopped struct {
	path     string
	begun    time.Time
	identity *epoch.Keeper
	log      *fs.Log
	writer   *fs.Writer // nil for a dry run
	blobs    *fs.BlobDir
	fork     fs.TID // where a new epoch begins
	close    func() error
}

// StoppedOptions say how a storage is looked at.
type StoppedOptions struct {
	BlobDir string // "" without blobs
	AnyRole bool   // it need not be known to be a secondary
	DryRun  bool   // change nothing
	Logger  *slog.Logger
}

// OpenStopped opens a storage for promotion. It is whole then: its tail is in
// order, and so is its index. The error is a [*control.Refusal] if it is not
// known to be a secondary, [fs.ErrLocked] if it has a server, [fs.ErrDamaged].
func OpenStopped(ctx context.Context, path string, o StoppedOptions) (*Stopped, error) {
	s := &Stopped{path: path, begun: time.Now()}
	f, err := fs.OpenFile(path) // before anything is said of its sidecar
	if err != nil {
		return nil, err
	}
	f.Close()
	if err := s.identify(o.AnyRole); err != nil {
		return nil, err
	}
	if o.BlobDir != "" {
		if s.blobs, err = fs.OpenBlobDir(o.BlobDir); err != nil { // a writer would make one
			return nil, err
		}
	}
	if o.DryRun {
		err = s.look(ctx)
	} else {
		s.writer, err = fs.OpenWriter(ctx, path, fs.WriterOptions{BlobDir: o.BlobDir, Logger: o.Logger})
		if err == nil {
			s.log, s.close = s.writer.Log(), s.writer.Close
		}
	}
	if err != nil {
		return nil, err
	}
	// Once more behind the lock: who had it may have written another sidecar.
	err = s.identify(o.AnyRole)
	if err == nil {
		err = s.checkFile(o.AnyRole)
	}
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// identify reads the sidecar, and refuses what is not known to be a secondary.
func (s *Stopped) identify(anyRole bool) (err error) {
	if s.identity, err = epoch.Open(s.path); err != nil {
		return err
	}
	return s.checkRole(anyRole)
}

// look opens the storage without changing it.
func (s *Stopped) look(ctx context.Context) error {
	if pid, held, err := fs.LockHolder(s.path + ".lock"); err == nil && held {
		return fmt.Errorf("%s: %w, process %d", s.path, fs.ErrLocked, pid)
	}
	log, _, done, err := fs.OpenReadOnly(ctx, s.path)
	if err != nil {
		return err
	}
	s.log, s.close = log, func() error { done(); return nil }
	return nil
}

// checkRole refuses what is not known to be a secondary.
func (s *Stopped) checkRole(anyRole bool) error {
	k := s.identity.Sidecar()
	refuse := func(reason, format string, args ...any) error {
		return &control.Refusal{
			Reason: reason, Text: fmt.Sprintf(format, args...),
			Next: []string{"if it is to be the primary all the same: --any-role"},
		}
	}
	switch {
	case anyRole, k.Role == epoch.Secondary:
		return nil
	case k.Superseded != nil:
		return refuse("superseded", "%s: %v, epoch %s", s.path, epoch.ErrSuperseded, k.Superseded.Epoch)
	case k.Role == epoch.Primary:
		return nil // it is done
	case k.Copied:
		return refuse("copied", "%s was copied from another place, where its primary may still be", epoch.SidecarPath(s.path))
	}
	return refuse("unknown-role", "%s is not known to be a secondary: there is no %s", s.path, epoch.SidecarPath(s.path))
}

// checkFile refuses a data file that is not the one that the sidecar is about, and
// finds where a new epoch begins.
func (s *Stopped) checkFile(anyRole bool) (err error) {
	s.fork, err = forkOf(s.path, s.log, s.identity.Sidecar().At)
	if _, refused := errors.AsType[*control.Refusal](err); refused && anyRole {
		s.fork, err = s.log.Tip().TID, nil
	}
	return err
}

// forkOf returns the last transaction of the epochs so far, for a file that had the
// transaction at when its sidecar was written: that, if a pack has removed it from
// the end since. It refuses a file that has lost it, or never had it.
func forkOf(path string, log *fs.Log, at fs.TID) (fs.TID, error) {
	last := log.Tip().TID
	if at == 0 {
		return last, nil
	}
	c, err := log.After(min(at, last))
	known := err == nil
	if err == nil || errors.Is(err, fs.ErrTIDUnknown) {
		err = nil
		c.Close()
	}
	if err == nil && at > last {
		known, err = endsPacked(log)
	}
	if known || err != nil {
		return max(at, last), err
	}
	return 0, &control.Refusal{
		Reason: "other-file",
		Text:   fmt.Sprintf("%s is not the file that it was: transaction %s, which it had, is unknown to it", path, at),
		Next:   []string{"was an older copy put in its place? If it is to be the primary all the same, and is stopped: zrs promote --any-role " + path},
	}
}

// endsPacked reports whether a pack has gone over all of a log: it may have removed
// what was behind.
func endsPacked(log *fs.Log) (bool, error) {
	if log.Tip().TID == 0 {
		return false, nil
	}
	before, err := log.Back(1, 0)
	if err != nil {
		return false, err
	}
	c, err := log.After(before)
	if err != nil && !errors.Is(err, fs.ErrTIDUnknown) {
		return false, err
	}
	defer c.Close()
	txn, err := c.Next()
	return err == nil && txn.Status == fs.StatusPacked, err
}

// IsPrimary reports whether there is nothing to do.
func (s *Stopped) IsPrimary() bool {
	k := s.identity.Sidecar()
	return k.Role == epoch.Primary && k.Superseded == nil
}

// How much of the end is looked at for missing blobs.
const (
	blobTxns  = 1000
	blobBytes = 64 << 20
)

// Report tells what a promotion is known to lose, and looks for the blobs of the
// last transactions.
func (s *Stopped) Report(ctx context.Context) (control.Promotion, error) {
	k, last := s.identity.Sidecar(), s.log.Tip().TID
	p := control.Promotion{Schema: control.Schema, Path: s.path, DryRun: s.writer == nil}
	describe(&p, k.Lineage, last)
	p.AlreadyPrimary = s.IsPrimary()
	if k.Source != nil && !p.AlreadyPrimary {
		p.Loss = control.Loss{Source: k.Source.Address, Heard: orNil(k.Source.Heard), LastTID: k.Source.Last}
		told := k.Source.Behind
		if told != nil {
			told = repl.Lacking(s.log, k.At, *told)
		}
		settle(&p.Loss, k.Source.Protocol, last, told)
	}
	if s.blobs == nil || last == 0 {
		return p, nil
	}
	var err error
	p.BlobsChecked, p.BlobsMissing, err = repl.CheckBlobs(ctx, s.log, s.blobs, blobTxns, blobBytes)
	return p, err
}

// Promote begins a new epoch. p is what Report returned, and is brought up to date.
func (s *Stopped) Promote(p *control.Promotion) error {
	if err := s.identity.Promote(s.fork); err != nil {
		return err
	}
	describe(p, s.identity.Lineage(), s.log.Tip().TID)
	p.Promoted, p.Seconds = true, time.Since(s.begun).Seconds()
	return nil
}

// Close saves the index, and lets go of the storage.
func (s *Stopped) Close() error { return s.close() }
