package repl

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// muteSource accepts connections and says nothing, or only what it is given.
func muteSource(t *testing.T, says []byte) Source {
	t.Helper()
	var talking sync.WaitGroup
	t.Cleanup(talking.Wait)
	return Source{Name: "mute", Dial: func(context.Context) (net.Conn, error) {
		ours, theirs := net.Pipe()
		talking.Go(func() {
			defer theirs.Close()
			talking.Go(func() { _, _ = theirs.Write(says) })
			_, _ = io.Copy(io.Discard, theirs)
		})
		return ours, nil
	}}
}

// TestSecondary_SilentSource has a source that owes something and falls silent:
// the next one is tried.
func TestSecondary_SilentSource(t *testing.T) {
	for name, says := range map[string][]byte{
		"nothing-at-all":     nil,
		"inside-transaction": newStream(0).begin(tidOf(1)).b,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				theirs := makeFile(t, "1 a=1; 2 b=1")
				src, _ := servePipes(t, newPrimary(t, theirs, ""))
				s := newSecondary(t, filepath.Join(memoryDir(t), "Data.fs"), "", muteSource(t, says))
				s.Sources = append(s.Sources, src)
				s.Timeout = 10 * time.Second
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- s.Run(ctx) }()
				time.Sleep(time.Minute)
				if got := s.Log.Tip().TID; got != tidOf(2) {
					t.Errorf("after a minute the secondary is at %v, want %v", got, tidOf(2))
				}
				cancel()
				if err := <-ended; err != nil {
					t.Errorf("Run() = %v", err)
				}
			})
		})
	}
}
