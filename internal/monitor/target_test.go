package monitor

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"
)

// TestTarget_Probe_trouble holds what there is instead of a report, and what a
// verdict makes of it.
func TestTarget_Probe_trouble(t *testing.T) {
	closed := played(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Address = l.Addr().String()
	l.Close()
	hangingUp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hangingUp.Close() })
	go func() {
		for {
			conn, err := hangingUp.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	greeting := played(t, frame("Z5"))
	greeting.Kind = KindZEO
	silent := played(t)
	silent.Kind = KindZEO
	tests := []struct {
		name   string
		target *Target
		want   error
		level  Level
		reason string
	}{
		{"refused", closed, ErrUnreachable, Critical, "unreachable"},
		{"no-socket", &Target{Network: "unix", Address: t.TempDir() + "/none"}, ErrUnreachable, Critical, "unreachable"},
		{"silent", silent, ErrSilent, Critical, "no-answer"},
		{"silent-after-greeting", greeting, ErrSilent, Critical, "no-answer"},
		{"hangs-up", &Target{Network: "tcp", Address: hangingUp.Addr().String()}, ErrHungUp, Critical, "hung-up"},
		{"garbage", played(t, "\xff\xff\xff\xffgarbage"), ErrAnswer, Unknown, "bad-answer"},
		{"no-file", &Target{Kind: KindFile, Path: t.TempDir() + "/none"}, nil, Critical, "missing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx := t.Context()
			if errors.Is(tt.want, ErrSilent) { // the only ones whose time limit matters
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 50*time.Millisecond)
				defer cancel()
			}
			report, err := tt.target.Probe(ctx)
			if report != nil || err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Fatalf("Probe() = %v, %v, want the error %v", report, err, tt.want)
			}
			if level, reason := trouble(err); level != tt.level || reason != tt.reason {
				t.Errorf("%v is %v, %q, want %v, %q", err, level, reason, tt.level, tt.reason)
			}
		})
	}
}

// TestTarget_Probe_interrupted holds that an interruption is told as what it is.
func TestTarget_Probe_interrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	silent := played(t)
	silent.Kind = KindZEO
	done := make(chan error)
	go func() {
		_, err := silent.Probe(ctx)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || explain(err) != "interrupted" {
		t.Errorf("Probe() = %v", err)
	}
}
