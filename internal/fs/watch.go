package fs

import (
	"log/slog"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// lookEvery is how often a file is looked at even if the system reports no
// change: events get lost, and network file systems have none.
const lookEvery = time.Second

// watch returns a channel that tells when the file at path may have changed.
// The directory is watched, since a watch on the file itself goes blind when
// another takes its name. With a positive poll, or where the system can't
// watch, the file is merely looked at that often.
func watch(path string, poll time.Duration, logger *slog.Logger) (wake <-chan struct{}, stop func()) {
	every := lookEvery
	var events chan fsnotify.Event
	var failures chan error
	closeWatcher := func() {}
	if poll > 0 {
		every = poll
	} else if w, err := watchDirectory(filepath.Dir(path)); err != nil {
		every = 10 * time.Millisecond
		logger.Warn("the system can't report changes of the data file, polling", "path", path, "every", every, "err", err)
	} else {
		events, failures = w.Events, w.Errors
		closeWatcher = func() { _ = w.Close() }
	}

	hint := make(chan struct{}, 1)
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		name := filepath.Base(path)
		for {
			select {
			case e := <-events:
				if filepath.Base(e.Name) != name {
					continue
				}
			case err := <-failures: // events were lost: look
				logger.Debug("file events were lost", "path", path, "err", err)
			case <-tick.C:
			case <-done:
				return
			}
			select {
			case hint <- struct{}{}:
			default:
			}
		}
	}()
	return hint, func() {
		close(done)
		<-ended
		closeWatcher()
	}
}

func watchDirectory(dir string) (*fsnotify.Watcher, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	if err := w.Add(dir); err != nil {
		_ = w.Close()
		return nil, err
	}
	return w, nil
}
