package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"zrs/internal/fs"
	"zrs/internal/monitor"
)

// zeo starts a server that answers ZEO's probe, until the script ends, and puts
// its address into the variable VAR. Its storages have the last transactions that
// are given: ids, or times before now. With sick it says that a thread of it died.
//
//	zeo VAR [sick] NAME=TID...
func zeo(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: zeo VAR [sick] NAME=TID...")
	}
	var storages []string
	thread := `"stub"`
	for _, arg := range args[1:] {
		if arg == "sick" {
			thread = "false"
			continue
		}
		name, tid, _ := strings.Cut(arg, "=")
		last, err := parseWhen(tid, time.Now())
		ts.Check(err)
		storages = append(storages, fmt.Sprintf(`%q: {"connections": 2, "commits": 7, "timeout-thread-is-alive": %s, "last-transaction": "%v"}`,
			name, thread, last.TID()))
	}
	answer := "{" + strings.Join(storages, ", ") + "}"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { l.Close() })
	ts.Setenv(args[0], l.Addr().String())
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, "\x00\x00\x00\x02Z5")
			io.ReadFull(conn, make([]byte, 8))
			conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(answer))), answer...))
			conn.Close()
		}
	}()
}

func TestParseLimits(t *testing.T) {
	show := func(l monitor.Limit) string {
		var words []string
		if l.Age != nil {
			words = append(words, l.Age.String())
		}
		if l.Transactions != nil {
			words = append(words, fmt.Sprintf("%dt", *l.Transactions))
		}
		if l.Bytes != nil {
			words = append(words, fmt.Sprintf("%dB", *l.Bytes))
		}
		return strings.Join(words, " ")
	}
	tests := []struct{ in, want, err string }{
		{"", "", ""},
		{"30", "30s", ""},
		{"5m", "5m0s", ""},
		{"age=1.5s", "1.5s", ""},
		{"0", "0s", ""},
		{"age=30s,transactions=100,bytes=1M", "30s 100t 1048576B", ""},
		{"bytes=1MB,30", "30s 1000000B", ""},
		{"transactions=0", "0t", ""},
		{"soon", "", `duration "soon"`},
		{"-5", "", "is less than 0"},
		{"transactions=-1", "", `transactions "-1": want a count`},
		{"transactions=1k", "", `transactions "1k": want a count`},
		{"bytes=many", "", `size "many"`},
		{"lag=3", "", `"lag=3": want age=TIME, transactions=COUNT or bytes=SIZE`},
		{"30,age=40", "", "age is limited twice"},
		{"bytes=1,", "", `duration ""`},
		{"age", "", `duration "age"`},
	}
	for _, tt := range tests {
		limit, err := parseLimit(tt.in)
		switch {
		case tt.err == "" && (err != nil || show(limit) != tt.want):
			t.Errorf("parseLimit(%q) = %s, %v, want %s", tt.in, show(limit), err, tt.want)
		case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("parseLimit(%q): error %v, want %q", tt.in, err, tt.err)
		}
	}
	for _, pair := range [][2]string{{"5m", "30s"}, {"transactions=2", "transactions=1"}, {"bytes=2,1", "bytes=1,1"}} {
		if _, err := parseLimits(pair[0], pair[1]); err == nil || !strings.Contains(err.Error(), "is more than --critical has") {
			t.Errorf("parseLimits(%q, %q): error %v", pair[0], pair[1], err)
		}
	}
	if _, err := parseLimits("30s", "transactions=5,30s"); err != nil {
		t.Error(err)
	}
}

// TestCheckAnswer_writeText holds the line to the form that plug-ins have,
// whatever names and texts servers come with.
func TestCheckAnswer_writeText(t *testing.T) {
	a := &checkAnswer{
		Status:  monitor.Warning,
		Message: "a|b\nc\x1b[31m \u202e é",
		Metrics: []checkMetric{
			{Label: "age", Unit: "s", Value: new(1.5), Warning: new(30.0), Critical: new(300.0)},
			{Label: "it's=a|b\n:transactions", Value: new(3e9)},
			{Label: "bytes", Unit: "B", Warning: new(1048576.0)},
			{Label: "commits", Unit: "c", Value: new(0.0)},
		},
	}
	want := "ZRS WARNING - a/b c [31m   é|'age'=1.5s;30;300;0 'it''s_a/b :transactions'=3000000000;;;0 'bytes'=U;1048576;;0 'commits'=0c;;;0\n"
	var b strings.Builder
	if err := a.writeText(&b); err != nil || b.String() != want {
		t.Errorf("writeText() = %q, %v, want %q", b.String(), err, want)
	}
}

func TestFindTarget(t *testing.T) {
	t.Chdir(t.TempDir())
	tests := []struct {
		in   string
		want monitor.Target
	}{
		{"db1:8100", monitor.Target{Network: "tcp", Address: "db1:8100"}},
		{"8100", monitor.Target{Network: "tcp", Address: "localhost:8100"}},
		{"zeo://db1:8100", monitor.Target{Kind: monitor.KindZEO, Network: "tcp", Address: "db1:8100"}},
		{"zeo:///run/zeo.sock", monitor.Target{Kind: monitor.KindZEO, Network: "unix", Address: "/run/zeo.sock"}},
		{"zrs://db1:5000", monitor.Target{Kind: monitor.KindZRS, Network: "tcp", Address: "db1:5000"}},
		{"/srv/Data.fs", monitor.Target{Kind: monitor.KindFile, Path: "/srv/Data.fs"}},
	}
	for _, tt := range tests {
		if got, err := findTarget(tt.in); err != nil || *got != tt.want {
			t.Errorf("findTarget(%q) = %+v, %v, want %+v", tt.in, got, err, tt.want)
		}
	}
	if _, err := findTarget("zeo://db1"); err == nil || !strings.Contains(err.Error(), `"db1": has no port`) {
		t.Errorf("findTarget(zeo://db1): error %v", err)
	}
}

// TestPython holds what --compat prints to what Python prints. The strings are
// those of Python 3.11.
func TestPython(t *testing.T) {
	for in, want := range map[string]string{
		"plain":          `'plain'`,
		"it's":           `"it's"`,
		`both ' and "`:   `'both \' and "'`,
		"\\ \n \r \t":    `'\\ \n \r \t'`,
		"\x00\x7f\u0085": `'\x00\x7f\x85'`,
		"ü\u00a0\u200b":  `'ü\xa0\u200b'`,
		"\U000e0001😀":    `'\U000e0001😀'`,
		"\xff":           `'\udcff'`,
	} {
		if got := pythonRepr(in); got != want {
			t.Errorf("pythonRepr(%q) = %s, want %s", in, got, want)
		}
	}
	for in, want := range map[float64]string{
		-60: "-60.0", -0.5: "-0.5", -4.76837158203125e-07: "-4.76837158203125e-07", 1e-4: "0.0001",
		-60.00000047683716: "-60.00000047683716", -4004303400: "-4004303400.0", 1e16: "1e+16", 0: "0.0",
	} {
		if got := pythonFloat(in); got != want {
			t.Errorf("pythonFloat(%v) = %s, want %s", in, got, want)
		}
	}
	// ZODB.TimeStamp.TimeStamp(tid).timeTime()
	for tid, want := range map[fs.TID]float64{
		0:                  -2208988800,
		0x03f4a6f588888888: 1700604812,
	} {
		if got := pythonTime(tid); got != want {
			t.Errorf("pythonTime(%v) = %v, want %v", tid, got, want)
		}
	}
}

// TestPythonError holds the words for errors that a test can't provoke.
func TestPythonError(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&net.DNSError{Err: "no such host", IsNotFound: true}, "[Errno -2] Name or service not known"},
		{&net.DNSError{Err: "server misbehaving", IsTemporary: true}, "[Errno -3] Temporary failure in name resolution"},
	} {
		if got := pythonError(fmt.Errorf("%w: %w", monitor.ErrUnreachable, tt.err), "db1:8100"); got != tt.want {
			t.Errorf("pythonError(%v) = %q, want %q", tt.err, got, tt.want)
		}
	}
}

// TestCheckReasons holds the list in the manual to the codes in the source.
func TestCheckReasons(t *testing.T) {
	files, err := filepath.Glob("../../internal/monitor/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	code := regexp.MustCompile(`(?:find\(\w+, |return (?:Warning|Critical|Unknown), |Reason = Health\w+, )"([a-z-]+)"`)
	var found []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range code.FindAllStringSubmatch(string(b), -1) {
			found = append(found, m[1])
		}
	}
	slices.Sort(found)
	found = slices.Compact(found)
	told := strings.Fields(strings.NewReplacer(",", " ", " and ", " ").Replace(checkReasons))
	if !slices.Equal(found, told) {
		t.Errorf("the manual tells of\n%q, the source has\n%q", told, found)
	}
}
