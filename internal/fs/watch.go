package fs

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// lookEvery is how often a file is looked at even if the system reports no
// change: events get lost, and network file systems have none.
const lookEvery = time.Second

// A watcher tells when a data file may have changed. It is the caller's
// goroutine that waits for the system's events: each one in between would add
// to the time until a transaction is seen.
type watcher struct {
	path   string
	target string // where path leads to, if it is a symbolic link
	logger *slog.Logger
	tick   *time.Ticker
	system *fsnotify.Watcher // nil where the file is merely looked at
	events chan fsnotify.Event
	errors chan error
}

// watch watches the file at path. It is the directory that is watched, since a
// watch on the file itself goes blind when another takes its name; of a symbolic
// link, that of the file too. With a positive poll, or where the system can't watch,
// the file is merely looked at that often.
func watch(path string, poll time.Duration, logger *slog.Logger) *watcher {
	w := &watcher{path: path, target: path, logger: logger}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		w.target = target
	}
	every := lookEvery
	if poll > 0 {
		every = poll
	} else if system, err := watchDirectories(filepath.Dir(path), filepath.Dir(w.target)); err != nil {
		every = 10 * time.Millisecond
		logger.Warn("the system can't report changes of the data file, polling", "path", path, "every", every, "err", err)
	} else {
		w.system, w.events, w.errors = system, system.Events, system.Errors
	}
	w.tick = time.NewTicker(every)
	return w
}

// wait waits until the file may have changed since wait was last called, or ctx
// is done.
func (w *watcher) wait(ctx context.Context) error {
	for {
		select {
		case e := <-w.events:
			if name := filepath.Base(e.Name); name != filepath.Base(w.path) && name != filepath.Base(w.target) {
				continue
			}
		case err := <-w.errors: // events were lost: look
			w.logger.Debug("file events were lost", "path", w.path, "err", err)
		case <-w.tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		return nil
	}
}

func (w *watcher) stop() {
	w.tick.Stop()
	if w.system != nil {
		_ = w.system.Close()
	}
}

func watchDirectories(dirs ...string) (*fsnotify.Watcher, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	for _, dir := range dirs {
		if err := w.Add(dir); err != nil {
			_ = w.Close()
			return nil, err
		}
	}
	return w, nil
}
