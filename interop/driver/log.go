package driver

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
)

// ErrLogEnded is returned by [Log.Wait] when the line it waits for can't come
// any more.
var ErrLogEnded = errors.New("the log ended")

// A Log collects the lines that a process writes and lets one wait for them.
// It is safe for concurrent use.
type Log struct {
	mu      sync.Mutex
	lines   []string
	partial []byte
	closed  bool
	changed chan struct{} // closed and replaced at every change
}

// NewLog returns an empty log.
func NewLog() *Log { return &Log{changed: make(chan struct{})} }

// Write takes the next bytes of the process's output.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	rest := append(l.partial, p...)
	for {
		line, after, found := bytes.Cut(rest, []byte("\n"))
		if !found {
			break
		}
		l.lines = append(l.lines, string(line))
		rest = after
	}
	l.partial = bytes.Clone(rest)
	l.notify()
	return len(p), nil
}

// Close says that nothing more will be written.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.partial) > 0 {
		l.lines = append(l.lines, string(l.partial))
		l.partial = nil
	}
	l.closed = true
	l.notify()
	return nil
}

func (l *Log) notify() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// Wait returns the n-th line, counted from 1, for which match holds, as soon as
// there is one.
func (l *Log) Wait(ctx context.Context, n int, match func(line string) bool) (string, error) {
	next := 0
	for {
		l.mu.Lock()
		lines, closed, changed := l.lines[next:], l.closed, l.changed
		l.mu.Unlock()
		for _, line := range lines {
			next++
			if !match(line) {
				continue
			}
			if n--; n == 0 {
				return line, nil
			}
		}
		if closed {
			return "", ErrLogEnded
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// Contains returns a matcher for [Log.Wait].
func Contains(text string) func(string) bool {
	return func(line string) bool { return strings.Contains(line, text) }
}

// Lines returns what there is so far.
func (l *Log) Lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}

// String returns the last lines, enough for a failure message.
func (l *Log) String() string {
	const most = 60
	lines := l.Lines()
	if len(lines) > most {
		lines = append([]string{"..."}, lines[len(lines)-most:]...)
	}
	return strings.Join(lines, "\n")
}
