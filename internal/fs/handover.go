package fs

import (
	"errors"
	"log/slog"
	"os"
)

// HandOver ends the writing of a file that goes on to be served: it does what
// Close does, but the log stays open, and is followed by the tailer that is
// returned. Those who read the log do not notice. From then on another process
// may write the file. Run must be called for the tailer.
//
// An index that can't be saved costs the next writer the time to make one, and
// no more: it is logged. After any other error the file and its lock are let go
// of as far as possible, and the log is closed.
func (w *Writer) HandOver(opts TailerOptions) (*Tailer, error) {
	if w.err != nil {
		return nil, errors.Join(w.err, w.Close())
	}
	if w.held {
		if err := w.Rollback(); err != nil {
			return nil, errors.Join(err, w.Close())
		}
	}
	if err := errors.Join(w.Abort(), w.Sync()); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	if err := w.saveIndex(); err != nil {
		w.logger.Warn("the index could not be saved", "path", w.path, "err", err)
	}
	if err := errors.Join(w.file.Close(), w.lock.Unlock()); err != nil {
		w.log.close(err)
		return nil, err
	}
	w.err = os.ErrClosed
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return newTailer(w.log, w.log.gen.file, opts, w.pos, w.tid), nil
}
