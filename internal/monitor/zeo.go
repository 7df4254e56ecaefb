package monitor

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	"zrs/internal/fs"
)

// The probe of ZEO servers, a conversation in frames (four bytes of length, big
// endian, then as many bytes) on the port for clients:
//
//	server  Z5, M5 or another short string, unasked
//	client  ruok
//	server  a JSON object, with an object for each storage; then it closes
const (
	ruok = "\x00\x00\x00\x04ruok"

	// maxGreeting is for the two letters of today's servers, and more of others.
	maxGreeting = 64

	// maxAnswer is ample for maxStorages, which is more than anybody serves.
	maxAnswer   = 1 << 20
	maxStorages = 1000
)

// AskZEO asks the ZEO server at an address for its storages, as zrs-nagios does,
// until ctx ends. The storages come in the order of their names.
func AskZEO(ctx context.Context, network, address string) (storages []Storage, err error) {
	err = converse(ctx, network, address, func(conn net.Conn) error {
		storages, err = askZEO(conn)
		return err
	})
	return storages, err
}

// askZEO asks the ZEO server at the other end of conn, from which nothing has
// been read.
func askZEO(conn net.Conn) ([]Storage, error) {
	if _, err := io.WriteString(conn, ruok); err != nil {
		return nil, err
	}
	if _, err := readFrame(conn, maxGreeting); err != nil {
		return nil, err
	}
	answer, err := readFrame(conn, maxAnswer)
	if err != nil {
		return nil, err
	}
	return parseStatus(answer)
}

// readFrame reads a frame whose payload has at most limit bytes. It holds no more
// of it than has really come.
func readFrame(r io.Reader, limit uint32) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > limit {
		return nil, fmt.Errorf("%w: frame of %d bytes, at most %d make sense", ErrAnswer, n, limit)
	}
	var payload bytes.Buffer
	if _, err := io.CopyN(&payload, r, int64(n)); err != nil {
		return nil, err
	}
	return payload.Bytes(), nil
}

// isGreeting reports whether b, the start of what a server said unasked, begins
// a frame as ZEO servers send it: length and letter.
func isGreeting(b []byte) bool {
	n := binary.BigEndian.Uint32(b)
	return 0 < n && n <= maxGreeting && (b[4] == 'Z' || b[4] == 'M')
}

// greetingStart is how many bytes isGreeting needs.
const greetingStart = 5

// parseStatus reads the JSON of the answer: storage name to figures.
func parseStatus(answer []byte) ([]Storage, error) {
	var status map[string]map[string]json.RawMessage
	if err := json.Unmarshal(answer, &status); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	if len(status) > maxStorages {
		return nil, fmt.Errorf("%w: it tells of %d storages", ErrAnswer, len(status))
	}
	storages := make([]Storage, 0, len(status))
	for name, fields := range status {
		s, err := parseStorage(name, fields)
		if err != nil {
			return nil, fmt.Errorf("%w: storage %q: %w", ErrAnswer, name, err)
		}
		storages = append(storages, s)
	}
	slices.SortFunc(storages, func(a, b Storage) int { return cmp.Compare(a.Name, b.Name) })
	return storages, nil
}

// zeoFigures are the numbers that are passed on, if a server has them.
var zeoFigures = []struct {
	name    string
	counter bool
}{
	{"connections", false},
	{"waiting", false},
	{"active_txns", false},
	{"loads", true},
	{"stores", true},
	{"commits", true},
	{"aborts", true},
	{"conflicts", true},
	{"conflicts_resolved", true},
}

func parseStorage(name string, fields map[string]json.RawMessage) (Storage, error) {
	s := Storage{Name: name}
	var last string
	if err := json.Unmarshal(fields["last-transaction"], &last); err != nil {
		return s, errors.New("no last-transaction")
	}
	tid, err := fs.ParseTID(last)
	if err != nil || len(last) != 16 {
		return s, fmt.Errorf("last-transaction %q: want 16 hex digits", last)
	}
	s.LastTID = tid
	for _, f := range zeoFigures {
		var n int64
		if raw, ok := fields[f.name]; ok && json.Unmarshal(raw, &n) == nil {
			s.Figures = append(s.Figures, Figure{f.name, n, f.counter})
		}
	}
	if string(fields["timeout-thread-is-alive"]) == "false" {
		s.Health, s.Reason = HealthDegraded, "timeout-thread-dead"
		s.Sentence = "the server's thread that ends stuck transactions has died: restart the server"
	}
	return s, nil
}
