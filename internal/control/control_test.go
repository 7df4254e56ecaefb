package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"zrs/internal/epoch"
	"zrs/internal/fs"
	"zrs/internal/wire"
)

// A fakeNode notes what it is told, and answers with err.
type fakeNode struct {
	mu      sync.Mutex
	told    []string
	request PromoteRequest
	err     error
	stop    func()
}

func (n *fakeNode) note(what string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = append(n.told, what)
	return n.err
}

func (n *fakeNode) Status() Status { return fullStatus }

func (n *fakeNode) Promote(_ context.Context, r PromoteRequest) (Promotion, error) {
	n.mu.Lock()
	n.request = r
	n.mu.Unlock()
	return fullPromotion, n.note("promote")
}

func (n *fakeNode) Pause(context.Context) error  { return n.note("pause") }
func (n *fakeNode) Resume(context.Context) error { return n.note("resume") }
func (n *fakeNode) Reload(context.Context) error { return n.note("reload") }
func (n *fakeNode) Shutdown() {
	_ = n.note("shutdown")
	if n.stop != nil {
		n.stop()
	}
}

var (
	fullTime   = time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)
	fullStatus = Status{
		Schema: Schema, Version: "1", Path: "a.fs", PID: 7, Role: epoch.Secondary,
		Database: epoch.ID{1}, Epoch: epoch.ID{2}, Ancestors: []epoch.Ancestor{{Epoch: epoch.ID{3}, End: 9}},
		Health: Degraded, Reason: ReasonStuck, Message: "m", Next: []string{"n"},
		Now: fullTime, Started: &fullTime, Address: ":5000", LastTID: 8, LastTime: &fullTime, Paused: true, BlobsMissing: 2,
		Source: &Source{
			Address: "db1", State: "receiving", Since: &fullTime, Error: "e", Protocol: "zrs+1", Heard: &fullTime, LastTID: 10,
			Lag: Lag{new(int64(1)), new(int64(2)), new(3.5)}, Rate: 4, ETA: new(5.0), Trend: "steady",
		},
		Peers: []Peer{{
			Address: "db3", Node: "h:f", State: "stuck", Protocol: "zrs2.0", Since: fullTime, Heard: &fullTime,
			SentTID: 11, DurableTID: new(fs.TID(12)), Rate: 6, ETA: new(7.0), BlobsMissing: new(int64(8)), Trend: "growing",
		}},
	}
	fullPromotion = Promotion{
		Schema: Schema, Path: "a.fs", DryRun: true, Promoted: true, AlreadyPrimary: true,
		Database: epoch.ID{1}, Epoch: epoch.ID{2}, Forks: []epoch.Ancestor{{Epoch: epoch.ID{3}, End: 9}},
		LastTID: 8, LastTime: &fullTime,
		Loss:    Loss{Source: "db1", Heard: &fullTime, LastTID: 10, Transactions: new(int64(2)), Seconds: new(1.5)},
		Seconds: 0.25, BlobsChecked: 3, BlobsMissing: 1,
	}
)

var quietLogger = slog.New(slog.DiscardHandler)

// listenSocket listens at a new control socket.
func listenSocket(t testing.TB) (net.Listener, string) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	var c net.ListenConfig
	l, err := Restrict(t.Context(), socket, c.Listen)
	if err != nil {
		t.Fatal(err)
	}
	return l, socket
}

// serve serves a node until the test ends, or the function is called, which returns
// what Serve did.
func serve(t testing.TB, n *fakeNode) (c *Client, stop func() error) {
	t.Helper()
	l, socket := listenSocket(t)
	ctx, cancel := context.WithCancel(context.Background())
	n.stop = cancel
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, n, quietLogger) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { stop() })
	return &Client{Socket: socket}, stop
}

// Every field of the documents goes over the socket.
func TestClient(t *testing.T) {
	n := &fakeNode{}
	c, stop := serve(t, n)
	status, err := c.Status(t.Context())
	if err != nil || !reflect.DeepEqual(*status, fullStatus) {
		t.Errorf("Status() = %+v, %v, want %+v", status, err, fullStatus)
	}
	request := PromoteRequest{DryRun: true, SourceLives: true, Limits: Limits{ExpectTID: 5, Transactions: new(int64(0)), Seconds: new(2.5)}}
	promotion, err := c.Promote(t.Context(), request)
	if err != nil || !reflect.DeepEqual(*promotion, fullPromotion) {
		t.Errorf("Promote() = %+v, %v, want %+v", promotion, err, fullPromotion)
	}
	if !reflect.DeepEqual(n.request, request) {
		t.Errorf("it was asked for %+v, want %+v", n.request, request)
	}
	for _, what := range []string{"pause", "resume", "reload", "shutdown"} {
		status, err := c.Do(t.Context(), what)
		if err != nil || !reflect.DeepEqual(*status, fullStatus) {
			t.Errorf("Do(%s) = %+v, %v", what, status, err)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("Serve() = %v", err)
	}
	if want := []string{"promote", "pause", "resume", "reload", "shutdown"}; !reflect.DeepEqual(n.told, want) {
		t.Errorf("it was told %q, want %q", n.told, want)
	}
	if _, err := os.Stat(c.Socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is there: %v", err)
	}
	if _, err := c.Status(t.Context()); !errors.Is(err, ErrNoServer) {
		t.Errorf("Status() without a server = %v", err)
	}
}

// What can't be done comes with why, and a promotion with its report.
func TestClient_refused(t *testing.T) {
	refusal := &Refusal{Reason: "primary", Text: "it is one", Next: []string{"look", "again"}}
	n := &fakeNode{err: fmt.Errorf("wrapped: %w", refusal)}
	c, _ := serve(t, n)
	_, err := c.Do(t.Context(), "pause")
	if got, ok := errors.AsType[*Refusal](err); !ok || !reflect.DeepEqual(got, refusal) {
		t.Errorf("Do() = %#v, want %#v", err, refusal)
	}
	p, err := c.Promote(t.Context(), PromoteRequest{})
	if got, ok := errors.AsType[*Refusal](err); !ok || got.Reason != "primary" || !reflect.DeepEqual(p, &fullPromotion) {
		t.Errorf("Promote() = %+v, %v", p, err)
	}
	if refusal.Promotion != nil {
		t.Error("the report was put into the node's own refusal")
	}
}

// Trouble of the server is not one of a guard.
func TestClient_trouble(t *testing.T) {
	c, _ := serve(t, &fakeNode{err: errors.New("disk trouble")})
	for _, what := range []string{"reload", "promote"} {
		var err error
		if what == "promote" {
			_, err = c.Promote(t.Context(), PromoteRequest{})
		} else {
			_, err = c.Do(t.Context(), what)
		}
		if _, refused := errors.AsType[*Refusal](err); refused || err == nil || !strings.Contains(err.Error(), "disk trouble") {
			t.Errorf("%s: %#v", what, err)
		}
	}
}

// Requests that are none are answered, and do nothing.
func TestServe_badRequests(t *testing.T) {
	n := &fakeNode{}
	c, _ := serve(t, n)
	do := func(method, path, body string) (int, string) {
		t.Helper()
		transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", c.Socket)
		}}
		defer transport.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://zrs"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		b, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(b)
	}
	for _, tt := range []struct {
		method, path, body string
		code               int
	}{
		{"GET", "/v1/promote", "", http.StatusMethodNotAllowed},
		{"GET", "/v1/shutdown", "", http.StatusMethodNotAllowed},
		{"POST", "/v1/status", "", http.StatusMethodNotAllowed},
		{"POST", "/v2/pause", "", http.StatusNotFound},
		{"POST", "/", "", http.StatusNotFound},
		{"POST", "/v1/promote", "", http.StatusConflict},
		{"POST", "/v1/promote", "promote it", http.StatusConflict},
		{"POST", "/v1/promote", `{"expect_tid": "soon"}`, http.StatusConflict},
		{"POST", "/v1/promote", `{"max_loss": "` + strings.Repeat("9", maxRequest) + `"}`, http.StatusConflict},
	} {
		if code, body := do(tt.method, tt.path, tt.body); code != tt.code {
			t.Errorf("%s %s %.20q: %d %s, want %d", tt.method, tt.path, tt.body, code, body, tt.code)
		}
	}
	if len(n.told) != 0 {
		t.Errorf("it was told %q", n.told)
	}
}

// A client takes no answer for one that is none, and reads no more than it has to.
func TestClient_garbage(t *testing.T) {
	for name, tt := range map[string]struct {
		answer string
		want   string
	}{
		"hangs-up":      {"", "no server answers"},
		"not-http":      {"\x00\x00\x00\x05hello", "no server answers"},
		"no-json":       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "its answer is not understood"},
		"other-json":    {"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"pid\":\"x\"}", "its answer is not understood"},
		"cut":           {"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{", "unexpected EOF"},
		"other-refusal": {"HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\n{}", "it answers 409 Conflict"},
		"not-found":     {"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", "it answers 404 Not Found"},
		"endless":       {"HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat(" ", maxAnswer+1), "its answer is not understood"},
	} {
		t.Run(name, func(t *testing.T) {
			l, socket := listenSocket(t)
			defer l.Close()
			go func() {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				_, _ = http.ReadRequest(bufio.NewReader(conn))
				_, _ = io.WriteString(conn, tt.answer)
			}()
			_, err := (&Client{Socket: socket}).Status(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Status() = %v, want %q", err, tt.want)
			}
		})
	}
}

// A client that is not waited for any more returns why.
func TestClient_cancelled(t *testing.T) {
	l, socket := listenSocket(t) // and nobody accepts
	defer l.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("enough")
	cancel(why)
	if _, err := (&Client{Socket: socket}).Status(ctx); !errors.Is(err, why) {
		t.Errorf("Status() = %v", err)
	}
}

func TestRestrict(t *testing.T) {
	l, socket := listenSocket(t)
	defer l.Close()
	if fi, err := os.Stat(socket); err != nil || fi.Mode() != os.ModeSocket|0o600 {
		t.Errorf("its mode is %v, %v", fi.Mode(), err)
	}
	if !IsSocket(socket) || IsSocket(filepath.Dir(socket)) || IsSocket(socket+"2") {
		t.Error("IsSocket() takes one for the other")
	}
	other := filepath.Join(t.TempDir(), "other")
	public, err := net.Listen("unix", other)
	if err != nil {
		t.Fatal(err)
	}
	defer public.Close()
	if err := os.Chmod(other, 0o755); err != nil || IsSocket(other) {
		t.Errorf("IsSocket() of one for all: %v", err)
	}
	var c net.ListenConfig
	long := filepath.Join(t.TempDir(), strings.Repeat("x", maxSocketPath))
	if _, err := Restrict(t.Context(), long, c.Listen); err == nil || !strings.Contains(err.Error(), "a socket's path may have 103 bytes") {
		t.Errorf("Restrict(a long path) = %v", err)
	}
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(file); err != nil || fi.Mode().Perm()&0o077 == 0 {
		t.Errorf("a later file has mode %v, %v", fi.Mode(), err)
	}
}

func TestAsk(t *testing.T) {
	good, err := json.Marshal(fullStatus)
	if err != nil {
		t.Fatal(err)
	}
	frame := func(b []byte) string { return string(wire.AppendFrame(nil, b)) }
	for name, tt := range map[string]struct {
		answer string
		want   string // "" for the status
	}{
		"status":   {frame(good), ""},
		"hangs-up": {"", "EOF"},
		"cut":      {frame(good)[:50], "unexpected EOF"},
		"cut-head": {"\x00\x00", "unexpected EOF"},
		"too-long": {"\xff\xff\xff\xff", "frame too large"},
		"http":     {"HTTP/1.1 400 Bad Request\r\n\r\n", "frame too large"},
		"no-json":  {frame([]byte("hello")), "its answer is not understood"},
		"empty":    {frame(nil), "its answer is not understood"},
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer ours.Close()
			var asked bytes.Buffer
			var server sync.WaitGroup
			server.Go(func() {
				defer theirs.Close()
				_, _ = io.CopyN(&asked, theirs, int64(len(frame([]byte(wire.ProtocolStatus)))))
				_, _ = io.WriteString(theirs, tt.answer)
			})
			s, err := Ask(ours)
			ours.Close()
			server.Wait()
			if asked.String() != frame([]byte(wire.ProtocolStatus)) {
				t.Errorf("it asked %q", asked.String())
			}
			switch {
			case tt.want == "" && (err != nil || !reflect.DeepEqual(*s, fullStatus)):
				t.Errorf("Ask() = %+v, %v", s, err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("Ask() = %v, want %q", err, tt.want)
			}
		})
	}
	ours, theirs := net.Pipe()
	theirs.Close()
	if _, err := Ask(ours); err == nil {
		t.Error("Ask() of a closed connection is no error")
	}
}

func TestLimits_Check(t *testing.T) {
	n, s := func(n int64) *int64 { return &n }, func(s float64) *float64 { return &s }
	behind := Loss{Source: "db1", LastTID: 9, Transactions: n(3), Seconds: s(5)}
	unknown := Loss{Source: "db1"}
	uncounted := Loss{Source: "db1", LastTID: 9, Seconds: s(5)}
	for _, tt := range []struct {
		name   string
		limits Limits
		loss   Loss
		want   string // "" if it is allowed
	}{
		{"no-limits", Limits{}, unknown, ""},
		{"there", Limits{ExpectTID: 7}, unknown, ""},
		{"not-there", Limits{ExpectTID: 8}, behind, "it ends with transaction 0000000000000007: --expect-tid wants 0000000000000008"},
		{"few-enough", Limits{Transactions: n(3)}, behind, ""},
		{"too-many", Limits{Transactions: n(2)}, behind, "3 transactions of db1 are not here: --max-loss allows 2"},
		{"uncounted", Limits{Transactions: n(1000)}, uncounted, "how many transactions db1 had that are not here is unknown: --max-loss allows 1000"},
		{"near-enough", Limits{Seconds: s(5)}, behind, ""},
		{"near-enough-uncounted", Limits{Seconds: s(5)}, uncounted, ""},
		{"too-far", Limits{Seconds: s(4.9)}, behind, "it is 5.0 seconds behind db1: --max-loss allows 4.9"},
		{"unknown-time", Limits{Seconds: s(1000)}, unknown, "how far it is behind db1 is unknown: --max-loss allows 1000 seconds"},
		{"unknown-count", Limits{Transactions: n(1000)}, unknown, "is unknown: --max-loss allows 1000"},
		{"none-lost", Limits{Transactions: n(0), Seconds: s(0)}, Loss{Transactions: n(0), Seconds: s(0)}, ""},
		{"the-tid-first", Limits{ExpectTID: 8, Transactions: n(0)}, behind, "--expect-tid"},
	} {
		err := tt.limits.Check(&Promotion{LastTID: 7, Loss: tt.loss})
		if tt.want == "" && err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if r, ok := errors.AsType[*Refusal](err); tt.want != "" && (!ok || r.Reason != "behind" || !strings.Contains(r.Text, tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// Who may not ask is not told that nobody answers.
func TestClient_noAnswer(t *testing.T) {
	for errno, none := range map[syscall.Errno]bool{syscall.ECONNREFUSED: true, syscall.ENOENT: true, syscall.EACCES: false, syscall.EPERM: false} {
		err := (&Client{Socket: "a.fs.control"}).noAnswer(&net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", errno)})
		if errors.Is(err, ErrNoServer) != none || !errors.Is(err, errno) {
			t.Errorf("%v: %v", errno, err)
		}
	}
}
