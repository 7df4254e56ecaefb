package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"net"
	"net/http"
)

// maxAnswer bounds what a server may answer: a status of a thousand peers has
// half of that.
const maxAnswer = 4 << 20

// A Client talks to the server of a control socket.
type Client struct {
	Socket string // path
}

// ErrNoServer is returned when nobody answers at a control socket.
var ErrNoServer = errors.New("no server answers")

// Status asks for the server's state.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	s := &Status{}
	return s, c.do(ctx, http.MethodGet, "status", nil, s)
}

// Promote asks the server to become the primary. A refusal comes with a report,
// any other error without.
func (c *Client) Promote(ctx context.Context, r PromoteRequest) (*Promotion, error) {
	p := &Promotion{}
	err := c.do(ctx, http.MethodPost, "promote", r, p)
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return refusal.Promotion, err
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Do tells the server to pause, resume, reload or shut down, and returns its state
// then.
func (c *Client) Do(ctx context.Context, what string) (*Status, error) {
	s := &Status{}
	return s, c.do(ctx, http.MethodPost, what, nil, s)
}

// noAnswer returns what it means that no answer came because of err. Who may not
// ask does not know whether somebody would answer.
func (c *Client) noAnswer(err error) error {
	if errors.Is(err, iofs.ErrPermission) {
		return fmt.Errorf("%w: only the user that runs the server, and root, may use it", err)
	}
	return fmt.Errorf("%s: %w: %w", c.Socket, ErrNoServer, err)
}

func (c *Client) do(ctx context.Context, method, what string, request, answer any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://zrs/v1/"+what, bytes.NewReader(body))
	if err != nil {
		return err
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", c.Socket)
	}}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(r)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return c.noAnswer(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s: %w", c.Socket, err)
	}
	if response.StatusCode != http.StatusOK {
		refusal := &Refusal{}
		if err := json.Unmarshal(b, refusal); err != nil || refusal.Text == "" {
			return fmt.Errorf("%s: it answers %s", c.Socket, response.Status)
		}
		if response.StatusCode != http.StatusConflict {
			return fmt.Errorf("%s: the server has trouble: %s", c.Socket, refusal.Text)
		}
		return refusal
	}
	if err := json.Unmarshal(b, answer); err != nil {
		return fmt.Errorf("%s: its answer is not understood: %w", c.Socket, err)
	}
	return nil
}
