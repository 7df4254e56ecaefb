package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// A Node is a server that can be controlled. Its methods are called concurrently.
type Node interface {
	Status() Status

	// Promote makes it the primary. The error is a [*Refusal] where it must
	// not be.
	Promote(ctx context.Context, r PromoteRequest) (Promotion, error)

	Pause(ctx context.Context) error
	Resume(ctx context.Context) error
	Reload(ctx context.Context) error
	Shutdown()
}

// A Refusal is why something is not done.
type Refusal struct {
	Reason string   `json:"reason"` // a stable name
	Text   string   `json:"error"`
	Next   []string `json:"next,omitempty"`

	// Promotion is the report of a promotion that is refused.
	Promotion *Promotion `json:"promotion,omitempty"`
}

// ReasonTrouble is why something failed that was not refused.
const ReasonTrouble = "trouble"

func (r *Refusal) Error() string { return r.Text }

// maxRequest bounds what a request may have.
const maxRequest = 64 << 10

// Serve answers requests on l for a node until ctx is done. It closes l.
func Serve(ctx context.Context, l net.Listener, n Node, logger *slog.Logger) error {
	server := &http.Server{
		Handler:           handler(n),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		// A shutdown was asked for by a request that is to be answered.
		gently, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(gently) != nil {
			server.Close()
		}
	})
	err := server.Serve(l)
	if !stop() {
		<-ended // the last answers are given
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("control socket: %w", err)
	}
	return nil
}

func handler(n Node) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { reply(w, n.Status(), nil) })
	mux.HandleFunc("POST /v1/promote", func(w http.ResponseWriter, r *http.Request) {
		var request PromoteRequest
		if err := json.NewDecoder(io.LimitReader(r.Body, maxRequest)).Decode(&request); err != nil {
			reply(w, nil, &Refusal{Reason: "bad-request", Text: err.Error()})
			return
		}
		p, err := n.Promote(r.Context(), request)
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			told := *refusal
			told.Promotion, err = &p, &told
		}
		reply(w, p, err)
	})
	for path, do := range map[string]func(context.Context) error{
		"/v1/pause": n.Pause, "/v1/resume": n.Resume, "/v1/reload": n.Reload,
		"/v1/shutdown": func(context.Context) error { n.Shutdown(); return nil },
	} {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			err := do(r.Context())
			reply(w, n.Status(), err)
		})
	}
	return mux
}

// reply answers with a document, or with what went wrong.
func reply(w http.ResponseWriter, document any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		refusal, ok := errors.AsType[*Refusal](err)
		code := http.StatusConflict
		if !ok {
			refusal, code = &Refusal{Reason: ReasonTrouble, Text: err.Error()}, http.StatusInternalServerError
		}
		w.WriteHeader(code)
		document = refusal
	}
	_ = json.NewEncoder(w).Encode(document) // a client that has gone needs none
}
