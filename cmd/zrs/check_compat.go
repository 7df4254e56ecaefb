package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"

	"zrs/internal/fs"
	"zrs/internal/monitor"
)

// zrs check --compat is zrs-nagios (zc.zrs 3.1.0, zc/zrs/nagios.py).

// Exit codes of zrs-nagios.
const (
	compatOK      = 0
	compatWarning = 1
	compatError   = 2
	compatUsage   = 2
)

// validateCompat refuses what zrs-nagios has no notion of.
func (c *checkCmd) validateCompat() error {
	if c.Critical != "" || c.Storage != "" {
		return errors.New("--critical and --storage are unknown to zrs-nagios, and to --compat: write --error for a critical lag")
	}
	_, warningErr := parsePythonInt("warning", c.Warning)
	_, errorErr := parsePythonInt("error", c.Error)
	return errors.Join(warningErr, errorErr, positive("timeout", c.Timeout))
}

// parsePythonInt reads an integer as Python's optparse does: 0x10, 0b10 and 010
// have their bases. An option that was not given is 0.
func parsePythonInt(flag, s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	s = strings.TrimSpace(s)
	base := 10
	if strings.HasPrefix(s, "0") {
		base = 0
	}
	n, err := strconv.ParseInt(s, base, 64)
	if err != nil {
		return 0, fmt.Errorf("--%s: %q is no integer", flag, s)
	}
	return n, nil
}

// runCompat prints what zrs-nagios prints.
func (c *checkCmd) runCompat(ctx context.Context, e *env) error {
	if e.json {
		return &checkError{compatUsage, errors.New("--json and --compat exclude each other")}
	}
	warning, _ := parsePythonInt("warning", c.Warning) // checked by validateCompat
	critical, _ := parsePythonInt("error", c.Error)
	n := nagios{warning: warning, critical: critical, metrics: c.OutputMetrics}
	code := compatUsage
	if len(c.Targets) != 2 || !c.OutputMetrics && warning == 0 && critical == 0 {
		n.print("Usage: zrs-nagios [options] PRIMARY_ADDRESS SECONDARY_ADDRESS\n    ")
	} else {
		ctx, cancel := context.WithTimeout(ctx, time.Duration(c.Timeout))
		defer cancel()
		code = n.check(ctx, c.Targets[0], c.Targets[1])
	}
	if e.quiet && code == compatOK {
		return nil
	}
	if _, err := io.WriteString(e.stdout, n.out.String()); err != nil {
		return &checkError{int(monitor.Unknown), err}
	}
	return checked(code)
}

// A nagios is one run of zrs-nagios.
type nagios struct {
	warning, critical int64 // seconds, 0 for no limit
	metrics           bool
	out               strings.Builder
}

func (n *nagios) print(line string) { n.out.WriteString(line + "\n") }

// check asks both servers, compares them, and returns the exit code.
func (n *nagios) check(ctx context.Context, primary, secondary string) int {
	ss, err := n.ask(ctx, secondary, "secondary")
	if err != nil {
		return compatError
	}
	ps, err := n.ask(ctx, primary, "primary")
	if err != nil {
		return compatError
	}
	if len(ps) == 0 && len(ss) == 0 {
		n.print("No storages")
		return compatWarning
	}
	return n.compare(ps, ss)
}

// ask returns the last transactions of a server's storages, which come in order.
func (n *nagios) ask(ctx context.Context, addr, name string) ([]monitor.Storage, error) {
	network, address := nagiosAddress(addr)
	storages, err := monitor.AskZEO(ctx, network, address)
	if err != nil {
		n.print(fmt.Sprintf("Can't connect to %s at %s: %s", name, pythonRepr(addr), pythonError(err, address)))
	}
	return storages, err
}

var (
	inetAddress6 = regexp.MustCompile(`^\[(\S+)\]:(\d+)$`)
	inetAddress4 = regexp.MustCompile(`^(\S+):(\d+)$`)
)

// nagiosAddress returns what an address of zrs-nagios means to net.Dial.
func nagiosAddress(addr string) (network, address string) {
	if m := inetAddress6.FindStringSubmatch(addr); m != nil {
		return "tcp6", net.JoinHostPort(m[1], m[2])
	}
	if m := inetAddress4.FindStringSubmatch(addr); m != nil {
		return "tcp4", net.JoinHostPort(m[1], m[2])
	}
	return "unix", addr
}

// compare prints a line for each storage and returns the exit code.
func (n *nagios) compare(primary, secondary []monitor.Storage) int {
	var lines, metrics []string
	code := compatOK
	for _, p := range primary {
		shown, label := "", "lag"
		if p.Name != "1" {
			shown, label = " ("+pythonRepr(p.Name)+")", "lag"+p.Name
		}
		i := slices.IndexFunc(secondary, func(s monitor.Storage) bool { return s.Name == p.Name })
		if i < 0 {
			lines = append(lines, fmt.Sprintf("Storage %s in primary, but not secondary", pythonRepr(p.Name)))
			code = compatError
			continue
		}
		delta := pythonTime(p.LastTID) - pythonTime(secondary[i].LastTID)
		if n.metrics {
			metrics = append(metrics, fmt.Sprintf("'%s'=%.4fseconds", label, delta))
		}
		switch {
		case delta < 0:
			lines = append(lines, fmt.Sprintf("Primary%s behind secondary by %s seconds", shown, pythonFloat(delta)))
			code = compatError
		case delta == 0:
			lines = append(lines, fmt.Sprintf("Secondary%s up to date.", shown))
		default:
			line := fmt.Sprintf("Secondary%s behind primary by %.4f seconds", shown, delta)
			switch {
			case n.critical != 0 && delta > float64(n.critical):
				line += fmt.Sprintf(" > %d", n.critical)
				code = compatError
			case n.warning != 0 && delta > float64(n.warning):
				line += fmt.Sprintf(" > %d", n.warning)
				code = max(code, compatWarning)
			}
			lines = append(lines, line)
		}
	}
	for _, s := range secondary {
		if !slices.ContainsFunc(primary, func(p monitor.Storage) bool { return p.Name == s.Name }) {
			lines = append(lines, fmt.Sprintf("Storage %s in secondary, but not primary", pythonRepr(s.Name)))
			code = compatError
		}
	}
	// There are no more metrics than lines.
	if len(metrics) > 0 {
		lines[0] += "|" + metrics[0]
	}
	if len(metrics) > 1 {
		lines[len(lines)-1] += "| " + strings.Join(metrics[1:], "\n ")
	}
	n.print(strings.Join(lines, "\n"))
	return code
}

// pythonTime returns the seconds since 1970 of a transaction, rounded as by
// ZODB.TimeStamp.TimeStamp.timeTime, which adds them up from 1901 on.
func pythonTime(tid fs.TID) float64 {
	const to1901 = 69*365*24*3600 + 17*24*3600
	minute := (tid &^ 0xffffffff).Time().Unix()
	second := float64(uint32(tid)) * (60.0 / (1 << 32))
	return float64(float64(minute+to1901)+second) - to1901
}

// pythonFloat returns a number as Python prints it.
func pythonFloat(f float64) string {
	if a := max(f, -f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// pythonRepr returns a string as Python's repr does.
func pythonRepr(s string) string {
	quote := byte('\'')
	if strings.Contains(s, "'") && !strings.Contains(s, `"`) {
		quote = '"'
	}
	b := []byte{quote}
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			b = fmt.Appendf(b, `\udc%02x`, s[0]) // what Python makes of such an argument
		case r == '\\' || r == rune(quote):
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\r':
			b = append(b, `\r`...)
		case r == '\t':
			b = append(b, `\t`...)
		case unicode.IsPrint(r):
			b = append(b, s[:size]...)
		case r < 0x100:
			b = fmt.Appendf(b, `\x%02x`, r)
		case r < 0x10000:
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = fmt.Appendf(b, `\U%08x`, r)
		}
		s = s[size:]
	}
	return string(append(b, quote))
}

// pythonError returns the text of an error as Python has it.
func pythonError(err error, address string) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return "[Errno -2] Name or service not known"
		}
		return "[Errno -3] Temporary failure in name resolution"
	}
	if _, ok := errors.AsType[*net.AddrError](err); ok {
		host, port, _ := net.SplitHostPort(address)
		switch {
		case !isPort(port):
			return "port must be 0-65535."
		case net.ParseIP(host) != nil:
			return "[Errno -9] Address family for hostname not supported"
		}
		return "[Errno -5] No address associated with hostname"
	}
	errno, ok := errors.AsType[syscall.Errno](err)
	switch {
	case ok && errno == syscall.EINVAL && len(address) > maxSocketPath:
		return "AF_UNIX path too long"
	case ok:
		return fmt.Sprintf("[Errno %d] %s", int(errno), pythonStrerror(errno))
	case errors.Is(err, monitor.ErrSilent) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded):
		return "timed out"
	}
	return err.Error()
}

// pythonStrerror returns the C library's text, which is Go's with a capital.
func pythonStrerror(errno syscall.Errno) string {
	text := errno.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}

func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}
