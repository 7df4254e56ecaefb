package monitor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"zrs/internal/fs"
)

// frame returns a frame of the wire.
func frame(payload string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(payload)))) + payload
}

// status is what ZEO 6 says of an empty storage, but for the last transaction.
const status = `{"connections": 2, "loads": 7, "stores": 3, "commits": 2, "aborts": 0, "active_txns": 0, ` +
	`"lock_time": null, "conflicts": 0, "conflicts_resolved": 0, "start": "Tue Nov 21 22:13:32 2023", "waiting": 0, ` +
	`"timeout-thread-is-alive": "stub", "last-transaction": %q}`

// manyStorages returns the answer of a server with n storages.
func manyStorages(n int) string {
	var storages []string
	for i := range n {
		storages = append(storages, fmt.Sprintf(`"%d": {"last-transaction": "%016x"}`, i, i))
	}
	return "{" + strings.Join(storages, ", ") + "}"
}

// A playedConn is a connection over which the peer sends what it was given, in
// pieces, and then hangs up.
type playedConn struct {
	net.Conn // nil: nothing else is called
	in       io.Reader
	piece    int
	out      bytes.Buffer
}

func (c *playedConn) Read(b []byte) (int, error)  { return c.in.Read(b[:min(len(b), c.piece)]) }
func (c *playedConn) Write(b []byte) (int, error) { return c.out.Write(b) }

func TestAskZEO(t *testing.T) {
	one := `{"1": ` + fmt.Sprintf(status, "03f4a6f588888888") + `}`
	tests := []struct {
		name, in string
		want     []string // name and last TID of each storage
		err      error
	}{
		{"zeo-6", frame("Z5") + frame(one), []string{"1 03f4a6f588888888"}, nil},
		{"msgpack", frame("M5") + frame(one), []string{"1 03f4a6f588888888"}, nil},
		{"other-greeting", frame("Z3101") + frame(one), []string{"1 03f4a6f588888888"}, nil},
		{
			"sorted", frame("Z5") + frame(`{"b": {"last-transaction": "0000000000000002"}, "a": {"last-transaction": "0000000000000001"}}`),
			[]string{"a 0000000000000001", "b 0000000000000002"},
			nil,
		},
		{"no-storages", frame("Z5") + frame("{}"), nil, nil},
		{"empty-storage", frame("Z5") + frame(`{"1": {"last-transaction": "0000000000000000"}}`), []string{"1 0000000000000000"}, nil},
		{"nothing", "", nil, io.EOF},
		{"greeting-cut", "\x00\x00\x00\x02Z", nil, io.EOF},
		{"greeting-only", frame("Z5"), nil, io.EOF},
		{"answer-cut", frame("Z5") + frame(one)[:40], nil, io.EOF},
		{"greeting-too-long", frame(strings.Repeat("Z", maxGreeting+1)) + frame(one), nil, ErrAnswer},
		{"answer-too-long", frame("Z5") + frame(strings.Repeat(" ", maxAnswer+1)), nil, ErrAnswer},
		{"four-gigabytes", frame("Z5") + "\xff\xff\xff\xff", nil, ErrAnswer},
		{"web-server", "HTTP/1.1 400 Bad Request\r\n\r\n", nil, ErrAnswer},
		{"empty-answer", frame("Z5") + frame(""), nil, ErrAnswer},
		{"no-object", frame("Z5") + frame("[]"), nil, ErrAnswer},
		{"null-storage", frame("Z5") + frame(`{"1": null}`), nil, ErrAnswer},
		{"no-last-transaction", frame("Z5") + frame(`{"1": {"Last-Transaction": "0000000000000000"}}`), nil, ErrAnswer},
		{"short-tid", frame("Z5") + frame(`{"1": {"last-transaction": "0x5"}}`), nil, ErrAnswer},
		{"number-for-tid", frame("Z5") + frame(`{"1": {"last-transaction": 5}}`), nil, ErrAnswer},
		{"many-storages", frame("Z5") + frame(manyStorages(maxStorages+1)), nil, ErrAnswer},
		{"deep", frame("Z5") + frame(strings.Repeat("[", maxAnswer)), nil, ErrAnswer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, piece := range []int{1, 3, 1 << 20} {
				conn := &playedConn{in: strings.NewReader(tt.in), piece: piece}
				storages, err := askZEO(conn)
				var got []string
				for _, s := range storages {
					got = append(got, s.Name+" "+s.LastTID.String())
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("askZEO() = %q, want %q", got, tt.want)
				}
				if ended := isConnectionError(err); !errors.Is(err, tt.err) && !(ended && errors.Is(tt.err, io.EOF)) {
					t.Errorf("askZEO(): error %v, want %v", err, tt.err)
				}
				if conn.out.String() != "\x00\x00\x00\x04ruok" {
					t.Errorf("sent %q", &conn.out)
				}
			}
		})
	}
}

func TestAskZEO_figures(t *testing.T) {
	answer := strings.Replace(fmt.Sprintf(status, "03f4a6f588888888"), `"waiting": 0`, `"waiting": "none"`, 1)
	answer = strings.Replace(answer, `"stub"`, `false`, 1)
	storages, err := parseStatus([]byte(`{"1": ` + answer + `}`))
	if err != nil {
		t.Fatal(err)
	}
	s := storages[0]
	if got, want := fmt.Sprint(s.Figures), "[{connections 2 false} {active_txns 0 false} {loads 7 true} {stores 3 true} "+
		"{commits 2 true} {aborts 0 true} {conflicts 0 true} {conflicts_resolved 0 true}]"; got != want {
		t.Errorf("figures %s, want %s", got, want)
	}
	if s.Health != HealthDegraded || s.Reason != "timeout-thread-dead" || s.Sentence == "" {
		t.Errorf("health %q, reason %q, sentence %q for a dead thread", s.Health, s.Reason, s.Sentence)
	}
}

// TestAskZEO_memory holds that a length that a server only claims costs nothing.
func TestAskZEO_memory(t *testing.T) {
	in := frame("Z5") + frame(strings.Repeat(" ", maxAnswer))[:100]
	const rounds = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range rounds {
		if _, err := askZEO(&playedConn{in: strings.NewReader(in), piece: 100}); err == nil {
			t.Fatal("half an answer is no error")
		}
	}
	runtime.ReadMemStats(&after)
	if n := (after.TotalAlloc - before.TotalAlloc) / rounds; n > 64<<10 {
		t.Errorf("%d bytes for an answer of which 96 came", n)
	}
}

// FuzzAskZEO holds that whatever a server sends is an answer or an error of the
// kinds that are told apart.
func FuzzAskZEO(f *testing.F) {
	f.Add([]byte(frame("Z5") + frame(`{"1": `+fmt.Sprintf(status, "03f4a6f588888888")+`}`)))
	f.Add([]byte(frame("M5") + frame(`{}`)))
	f.Add([]byte("\xff\xff\xff\xff"))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		storages, err := askZEO(&playedConn{in: bytes.NewReader(in), piece: 7})
		if err != nil {
			if !errors.Is(err, ErrAnswer) && !isConnectionError(err) {
				t.Errorf("error %v", err)
			}
			return
		}
		if !slices.IsSortedFunc(storages, func(a, b Storage) int { return strings.Compare(a.Name, b.Name) }) {
			t.Errorf("storages are not in order: %v", storages)
		}
	})
}

// TestDetect holds how servers are told apart: by what they say unasked.
func TestDetect(t *testing.T) {
	tests := []struct {
		name string
		says string
		want Kind
		err  error
	}{
		{"zeo", frame("Z5"), KindZEO, nil},
		{"zeo-msgpack", frame("M5"), KindZEO, nil},
		{"silent", "", KindZRS, nil},
		{"web-server", "HTTP/1.1 400 Bad Request\r\n\r\n", "", ErrAnswer},
		{"mail-server", "220 example.org ESMTP\r\n", "", ErrAnswer},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conn, peer := net.Pipe()
				defer conn.Close()
				defer peer.Close()
				go io.WriteString(peer, tt.says)
				heard, kind, err := detect(conn)
				if kind != tt.want || !errors.Is(err, tt.err) {
					t.Fatalf("detect() = %q, %v, want %q, %v", kind, err, tt.want, tt.err)
				}
				if err != nil {
					return
				}
				// What came is still there, and time is not limited any more.
				go func() {
					time.Sleep(time.Hour)
					io.WriteString(peer, "later")
				}()
				got := make([]byte, len(tt.says)+5)
				if _, err := io.ReadFull(heard, got); err != nil || string(got) != tt.says+"later" {
					t.Errorf("read %q, %v", got, err)
				}
			})
		})
	}
}

// played starts a server that answers connections one after the other, as long as the test
// runs, with the same words, and never hangs up.
func played(t *testing.T, says ...string) *Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			for _, s := range says {
				io.WriteString(conn, s)
			}
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return &Target{Network: "tcp", Address: l.Addr().String()}
}

func TestTarget_Probe(t *testing.T) {
	server := played(t, frame("Z5"), frame(`{"1": {"last-transaction": "03f4a6f588888888"}}`))
	for range 2 {
		report, err := server.Probe(t.Context())
		if err != nil || report.Kind != KindZEO || len(report.Storages) != 1 || report.Storages[0].LastTID != fs.TID(0x03f4a6f588888888) {
			t.Errorf("Probe() = %+v, %v", report, err)
		}
	}
	if server.Kind != KindZEO {
		t.Errorf("the kind is %q after probing", server.Kind)
	}
}
