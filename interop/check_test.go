package interop

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"zrs/internal/fs"
	"zrs/interop/driver"
)

// A startedZEO is a running ZEO server with several storages.
type startedZEO struct {
	program
	address string
}

// startStorages starts a ZEO server with storages of these names, each with one
// transaction or, if its TID is "", with none.
func startStorages(t *testing.T, env driver.Env, address string, last map[string]string) startedZEO {
	t.Helper()
	args := []string{"--address", address}
	for i, name := range sortedKeys(last) {
		args = append(args, fmt.Sprintf("%s=%s/%d.fs", name, t.TempDir(), i))
	}
	var ready struct{ Address string }
	p := start(t, env, &ready, "zeostorages.py", args...)
	for name, tid := range last {
		if tid != "" {
			p.do("commit", driver.Args{"storage": name, "tid": tid}, nil)
		}
	}
	return startedZEO{p, ready.Address}
}

func sortedKeys(m map[string]string) (keys []string) {
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// output runs a program and returns its standard output and its exit code.
func output(t *testing.T, cmd *exec.Cmd) (string, int) {
	t.Helper()
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(out), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(out), 0
}

// nagios runs zrs-nagios.
func nagios(t *testing.T, args ...string) (string, int) {
	t.Helper()
	return output(t, python.Command(patiently(t), driver.Legacy, "nagios.py", args...))
}

// checkCompat runs zrs check --compat.
func checkCompat(t *testing.T, args ...string) (string, int) {
	t.Helper()
	zrs, err := zrsBinary()
	if err != nil {
		t.Fatal(err)
	}
	return output(t, exec.CommandContext(patiently(t), zrs, append([]string{"check", "--compat", "--timeout", patience.String()}, args...)...))
}

// sameAnswer requires the two programs to say the same, and returns it.
func sameAnswer(t *testing.T, args ...string) string {
	t.Helper()
	want, wantCode := nagios(t, args...)
	got, code := checkCompat(t, args...)
	if got != want || code != wantCode {
		t.Errorf("%q: zrs check --compat says, with exit code %d,\n%s\nzrs-nagios says, with %d,\n%s", args, code, got, wantCode, want)
	}
	return fmt.Sprintf("%d %s", wantCode, want)
}

// contains requires an answer to be about what the test means it to be.
func contains(t *testing.T, answer, want string) {
	t.Helper()
	if !strings.Contains(answer, want) {
		t.Errorf("zrs-nagios says %q, the test is for %q", answer, want)
	}
}

// closedPort returns an address where nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestCheckCompat has zrs-nagios and zrs check --compat look at the same real
// ZEO servers.
func TestCheckCompat(t *testing.T) {
	const (
		early = "03f4a6f56eeeeeee"
		late  = "03f4a6f66eeeeeee" // a minute later
	)
	server := func(env driver.Env, last map[string]string) string {
		return startStorages(t, env, "127.0.0.1:0", last).address
	}
	primary := server(driver.Modern, map[string]string{"1": late})
	same := server(driver.Legacy, map[string]string{"1": late})
	behind := server(driver.Legacy, map[string]string{"1": early})
	empty := server(driver.Modern, map[string]string{"1": ""})
	none := server(driver.Modern, nil)
	many := server(driver.Modern, map[string]string{"1": late, "first": late, "second": early, "friday": late})
	others := server(driver.Legacy, map[string]string{"1": early, "first": early, "second": early, "thursday": late, "saturday": early})
	local := t.TempDir() + "/zeo.sock"
	startStorages(t, driver.Modern, local, map[string]string{"1": late})
	down := closedPort(t)

	for _, options := range [][]string{{"-m"}, {"-w30"}, {"-w", "60"}, {"-e44", "-w30"}, {"-e60"}, {"-mw30", "-e44"}, {"--warning=59", "--error", "61", "--output-metrics"}} {
		t.Run(strings.Join(options, ""), func(t *testing.T) {
			for _, pair := range [][2]string{
				{primary, same},
				{primary, behind},
				{behind, primary},
				{primary, empty},
				{empty, primary},
				{empty, empty},
				{none, none},
				{none, primary},
				{primary, none},
				{many, others},
				{others, many},
				{local, behind},
				{primary, local},
			} {
				sameAnswer(t, append(slices.Clone(options), pair[0], pair[1])...)
			}
		})
	}
	contains(t, sameAnswer(t, "-m", primary, same), "0 Secondary up to date.|'lag'=0.0000seconds\n")
	contains(t, sameAnswer(t, "-w30", "-e44", primary, behind), "2 Secondary behind primary by 60.0000 seconds > 44\n")
	contains(t, sameAnswer(t, "-w60", primary, behind), "0 Secondary behind primary by 60.0000 seconds\n")
	contains(t, sameAnswer(t, "-m", none, none), "1 No storages\n")
	contains(t, sameAnswer(t, "-m", many, others), "'thursday' in secondary, but not primary| 'lagfirst'=60.0000seconds\n 'lagsecond'=0.0000seconds\n")

	t.Run("unreachable", func(t *testing.T) {
		contains(t, sameAnswer(t, "-m", primary, down), "2 Can't connect to secondary at '"+down+"': [Errno 111] Connection refused\n")
		contains(t, sameAnswer(t, "-m", down, same), "2 Can't connect to primary")
		for _, address := range []string{
			t.TempDir() + "/nothing",
			t.TempDir(),                        // no socket
			t.TempDir() + "/it's",              // quoted in another way
			t.TempDir() + "/\"it's\"\tü\u200b", // and another
			"/" + strings.Repeat("long", 50),   //
			":8100",                            // a path
			"::1:8100", "[127.0.0.1]:8100",     // of the other family
			"localhost:" + down[len("127.0.0.1:"):], // a name
		} {
			sameAnswer(t, "-m", primary, address)
			sameAnswer(t, "-w1", address, same)
		}
	})

	t.Run("usage", func(t *testing.T) {
		for _, args := range [][]string{
			{},
			{"-m"},
			{primary, same},
			{"-w0", primary, same},
			{"-m", primary},
			{"-m", primary, same, behind},
			{"-w", "soon", primary, same},
			{"-w1.5", primary, same},
			{"-e08", primary, same},
			{"--no-such-option", primary, same},
			{"-x", "-m", primary, same},
			{"-m", "-w"},
			{"-w0x1e", primary, behind},
			{"-w060", primary, behind},
			{"-w0b111", primary, behind},
		} {
			sameAnswer(t, args...)
		}
	})
}

// A ruokServer answers ZEO's probe with what a test tells it.
type ruokServer struct {
	address string
	answer  func() string
}

func startRuok(t *testing.T) *ruokServer {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &ruokServer{address: l.Addr().String()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.serve(conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return s
}

func (s *ruokServer) serve(conn net.Conn) {
	io.WriteString(conn, "\x00\x00\x00\x02Z5")
	if _, err := io.ReadFull(conn, make([]byte, 8)); err != nil {
		return
	}
	answer := s.answer()
	conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(answer))), answer...))
}

// TestCheckCompat_made does the same with servers that say what real ones can't
// be brought to say in reasonable time: any last transactions, any names.
func TestCheckCompat_made(t *testing.T) {
	primary, secondary := startRuok(t), startRuok(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	names := []string{"1", "first", "it's", `say "it's"`, "a b", "ü", "\u00a0\u200b\U0001f600", "tab\tline\n", `back\slash`, "", "|"}
	tid := func() fs.TID {
		if rnd.IntN(8) == 0 {
			return 0
		}
		// From 2023 on for some years.
		return fs.TID(0x03f4a6f500000000 + rnd.Uint64N(1<<[]int{1, 12, 32, 34, 38, 54}[rnd.IntN(6)]))
	}
	made := func() (string, string) {
		ps, ss := map[string]any{}, map[string]any{}
		for _, name := range names {
			if rnd.IntN(3) > 0 && len(ps) > 0 {
				continue
			}
			both := tid()
			for _, side := range []map[string]any{ps, ss} {
				at := both
				if rnd.IntN(2) > 0 {
					at = tid()
				}
				if rnd.IntN(5) > 0 {
					side[name] = map[string]any{"connections": 1, "last-transaction": at}
				}
			}
		}
		return jsonText(t, ps), jsonText(t, ss)
	}
	for i := range 60 {
		p, s := made()
		primary.answer, secondary.answer = func() string { return p }, func() string { return s }
		args := []string{"-m", "-w", fmt.Sprint(rnd.IntN(5)), "-e", fmt.Sprint(rnd.IntN(100))}
		sameAnswer(t, append(args, primary.address, secondary.address)...)
		if t.Failed() {
			t.Fatalf("round %d: the primary says %s, the secondary %s", i, p, s)
		}
	}
}

func jsonText(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	ascii := ""
	for _, r := range string(b) {
		switch {
		case r >= 0x10000:
			ascii += fmt.Sprintf(`\u%04x\u%04x`, 0xd800+(r-0x10000)>>10, 0xdc00+(r-0x10000)&0x3ff)
		case r >= 0x80:
			ascii += fmt.Sprintf(`\u%04x`, r)
		default:
			ascii += string(r)
		}
	}
	return ascii
}

// TestCheckCompat_nonsense holds what zrs check --compat says where zrs-nagios
// ends with a traceback, or never.
func TestCheckCompat_nonsense(t *testing.T) {
	server := startRuok(t)
	for _, answer := range []string{"", "ü", "{", "[]", `{"1": {}}`, `{"1": null}`, `{"1": {"last-transaction": "soon"}}`} {
		server.answer = func() string { return answer }
		if _, code := nagios(t, "-m", server.address, server.address); code != 1 {
			t.Errorf("zrs-nagios understands %q: exit code %d", answer, code)
		}
		got, code := checkCompat(t, "-m", server.address, server.address)
		if want := "Can't connect to secondary at '" + server.address + "': the answer makes no sense: "; code != 2 || !strings.HasPrefix(got, want) {
			t.Errorf("answer %q: exit code %d, %q, want 2 and %q", answer, code, got, want)
		}
	}

	silent, err := net.Listen("tcp4", "127.0.0.1:0") // connections are made without being accepted
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	address := silent.Addr().String()
	got, code := checkCompat(t, "--timeout", "0.2", "-m", address, address)
	if want := "Can't connect to secondary at '" + address + "': timed out\n"; code != 2 || got != want {
		t.Errorf("silent server: exit code %d, %q, want 2 and %q", code, got, want)
	}
}

// TestCheckPlugin has zrs check look at real ZEO servers.
func TestCheckPlugin(t *testing.T) {
	zrs, err := zrsBinary()
	if err != nil {
		t.Fatal(err)
	}
	check := func(args ...string) (string, int) {
		t.Helper()
		return output(t, exec.CommandContext(patiently(t), zrs, append([]string{"check", "--timeout", patience.String()}, args...)...))
	}
	wants := func(code int, text string, args ...string) {
		t.Helper()
		if got, gotCode := check(args...); gotCode != code || !strings.HasPrefix(got, text) || strings.Count(got, "\n") != 1 {
			t.Errorf("zrs check %q: exit code %d, %q, want %d and %q", args, gotCode, got, code, text)
		}
	}
	now := fs.TIDFromTime(time.Now()).String()
	local := t.TempDir() + "/zeo.sock"
	primary := startStorages(t, driver.Modern, "127.0.0.1:0", map[string]string{"1": now})
	secondary := startStorages(t, driver.Legacy, local, map[string]string{"1": now})
	old := startStorages(t, driver.Legacy, "127.0.0.1:0", map[string]string{"1": "03f4a6f56eeeeeee"})

	for _, kind := range []string{"", "zeo://"} {
		wants(0, "ZRS OK - ", "-w1h", kind+primary.address)
		wants(0, "ZRS OK - ", "-w1h", kind+secondary.address)
		wants(0, "ZRS OK - secondary ", kind+primary.address, kind+secondary.address)
		wants(2, "ZRS CRITICAL - secondary ", "-c1h", kind+primary.address, kind+old.address)
		wants(2, "ZRS CRITICAL - ", "-c1h", kind+old.address)
		wants(2, "ZRS CRITICAL - secondary ", kind+old.address, kind+primary.address)
	}

	// A server that is stuck still accepts connections, and has the same last
	// transaction.
	secondary.Signal(syscall.SIGSTOP)
	defer secondary.Signal(syscall.SIGCONT)
	for _, kind := range []string{"", "zeo://"} {
		wants(2, "ZRS CRITICAL - secondary "+kind+local+": accepts connections, but does not answer",
			"--timeout", "5s", primary.address, kind+local)
	}
	got, code := checkCompat(t, "--timeout", "0.5", "-m", primary.address, local)
	if want := "Can't connect to secondary at '" + local + "': timed out\n"; code != 2 || got != want {
		t.Errorf("stuck server: exit code %d, %q, want 2 and %q", code, got, want)
	}
}
