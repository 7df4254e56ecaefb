package repl

import (
	"context"
	"errors"
	"sync"
	"time"
)

// How a running secondary is told to do something else.

// A steer tells [Secondary.Run] what to do. All of it may be used concurrently.
type steer struct {
	once     sync.Once
	draining chan struct{} // closed when what has arrived is all that is wanted
	retry    chan struct{} // one slot: try all sources, now

	mu        sync.Mutex
	drain     bool
	resume    chan struct{}           // closed when it goes on, nil if it is not paused
	interrupt context.CancelCauseFunc // of the session, nil between two
	fallback  bool                    // the session is with a source that is not the first
}

// errInterrupted ends a session because an operator wants something else.
var errInterrupted = errors.New("interrupted by an operator")

func (s *steer) init() {
	s.once.Do(func() {
		s.draining, s.retry = make(chan struct{}), make(chan struct{}, 1)
	})
}

// reset makes Run possible again after it was drained.
func (s *steer) reset() {
	s.init()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drain {
		s.drain, s.draining = false, make(chan struct{})
	}
}

// begin returns the context of a session with a source, the first or a fallback.
func (s *steer) begin(ctx context.Context, fallback bool) (session context.Context, done func()) {
	session, cancel := context.WithCancelCause(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.interrupt, s.fallback = cancel, fallback
	if s.resume != nil {
		cancel(errInterrupted)
	}
	return session, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.interrupt = nil
		cancel(nil)
	}
}

func (s *steer) drained() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drain
}

// Drain makes Run apply what has arrived and return. It does not wait for that.
func (s *Secondary) Drain() {
	s.steer.init()
	s.steer.mu.Lock()
	defer s.steer.mu.Unlock()
	if !s.steer.drain {
		s.steer.drain = true
		close(s.steer.draining)
	}
}

// drainBy has drain called when Run is to come to an end, until the function that
// it returns is called.
func (s *steer) drainBy(ctx context.Context, drain func()) (stop func()) {
	if s.draining == nil {
		return func() {} // it does not run
	}
	ctx, cancel := context.WithCancel(ctx)
	var waiting sync.WaitGroup
	waiting.Go(func() {
		select {
		case <-s.draining:
			drain()
		case <-ctx.Done():
		}
	})
	return func() {
		cancel()
		waiting.Wait()
	}
}

// drainTime is how long what has arrived is read. A source that goes on sending
// is not waited for.
const drainTime = 100 * time.Millisecond

// Pause makes Run disconnect and wait. What has arrived as a whole is kept.
func (s *Secondary) Pause() {
	s.steer.init()
	s.steer.mu.Lock()
	defer s.steer.mu.Unlock()
	if s.steer.resume != nil {
		return
	}
	s.steer.resume = make(chan struct{})
	if s.steer.interrupt != nil {
		s.steer.interrupt(errInterrupted)
	}
}

// Paused reports whether Run is to wait, although it may not have come to that yet.
func (s *Secondary) Paused() bool {
	s.steer.mu.Lock()
	defer s.steer.mu.Unlock()
	return s.steer.resume != nil
}

// Resume makes Run go on.
func (s *Secondary) Resume() {
	s.steer.mu.Lock()
	defer s.steer.mu.Unlock()
	if s.steer.resume != nil {
		close(s.steer.resume)
		s.steer.resume = nil
	}
}

// Retry makes Run try all sources again, those that did not fit included, without
// waiting. If it is connected to the first one it stays there.
func (s *Secondary) Retry() {
	s.steer.init()
	select {
	case s.steer.retry <- struct{}{}:
	default:
	}
	s.steer.mu.Lock()
	defer s.steer.mu.Unlock()
	if s.steer.interrupt != nil && s.steer.fallback {
		s.steer.interrupt(errInterrupted)
	}
}

// pause waits while Run is paused.
func (s *Secondary) pause(ctx context.Context) {
	s.steer.mu.Lock()
	resume := s.steer.resume
	s.steer.mu.Unlock()
	if resume == nil {
		return
	}
	s.link.update(func(l *Link) { l.State, l.Err = LinkPaused, nil })
	s.Logger.Info("paused")
	select {
	case <-resume:
		s.link.update(func(l *Link) { l.State = LinkConnecting })
		s.Logger.Info("resumed")
	case <-s.steer.draining:
	case <-ctx.Done():
	}
}
