package control

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// A stoppingNode takes its time to say what it is when it was shut down.
type stoppingNode struct {
	Node
	stop context.CancelFunc
	told atomic.Bool
}

func (n *stoppingNode) Pause(context.Context) error  { return nil }
func (n *stoppingNode) Resume(context.Context) error { return nil }
func (n *stoppingNode) Reload(context.Context) error { return nil }
func (n *stoppingNode) Shutdown()                    { n.stop() }

func (n *stoppingNode) Status() Status {
	time.Sleep(50 * time.Millisecond)
	n.told.Store(true)
	return Status{Path: "Data.fs"}
}

// Who asks for a shutdown is answered before the server ends.
func TestServe_answersShutdown(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "control")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	n := &stoppingNode{stop: cancel}
	ended := make(chan bool, 1)
	go func() {
		if err := Serve(ctx, l, n, slog.New(slog.DiscardHandler)); err != nil {
			t.Error(err)
		}
		ended <- n.told.Load()
	}()
	s, err := (&Client{Socket: socket}).Do(t.Context(), "shutdown")
	if err != nil || s.Path != "Data.fs" {
		t.Errorf("Do() = %+v, %v", s, err)
	}
	if !<-ended {
		t.Error("Serve returned before the answer was given")
	}
}
