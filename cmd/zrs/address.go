package main

import (
	"encoding"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// addressScheme marks a text as an address where it could be taken for a file.
const addressScheme = "zrs://"

// maxSocketPath is the longest path that fits into a sockaddr_un on Linux.
const maxSocketPath = 107

// An address says where a primary listens, or where a secondary finds it: a TCP
// port with or without a host, or the path of a Unix socket. The zero address
// is none at all.
type address struct {
	host string // a name in lower case or an IP address without brackets; "" if only a port was given
	port uint16 // 0 lets the system choose one, which makes sense for listening only
	path string // of a Unix socket, else ""
}

// parseAddress reads the forms 5000, :5000, host:5000, [::1]:5000, anything
// with a slash for a Unix socket, and each of them after zrs://.
func parseAddress(s string) (address, error) {
	a, err := parseBareAddress(s)
	if err != nil {
		return address{}, fmt.Errorf("address %q: %w", s, err)
	}
	return a, nil
}

func parseBareAddress(s string) (address, error) {
	if rest, ok := strings.CutPrefix(s, addressScheme); ok {
		s = rest
		if i := strings.IndexByte(s, '/'); i > 0 && i == len(s)-1 {
			s = s[:i] // zrs://host:5000/
		}
	}
	if s == "" {
		return address{}, errors.New("is empty")
	}
	if strings.ContainsRune(s, '/') {
		if strings.HasPrefix(s, addressScheme) {
			return address{}, fmt.Errorf("begins with %s twice", addressScheme)
		}
		if len(s) > maxSocketPath {
			return address{}, fmt.Errorf("the path of a Unix socket has at most %d bytes, this one %d", maxSocketPath, len(s))
		}
		return address{path: s}, nil
	}
	host, port, err := splitHostPort(s)
	if err != nil {
		return address{}, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return address{}, fmt.Errorf("port %q is not a number from 1 to 65535", port)
	}
	return address{host: host, port: uint16(n)}, nil
}

// splitHostPort is net.SplitHostPort, but takes a number alone for a port,
// checks the host and tells an operator what to write instead.
func splitHostPort(s string) (host, port string, err error) {
	if isDigits(s) {
		return "", s, nil
	}
	if _, err := netip.ParseAddr(s); err == nil && strings.Count(s, ":") > 1 {
		return "", "", fmt.Errorf("an IPv6 address needs brackets and a port, as in [%s]:5000", s)
	}
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.HasSuffix(s, "]") {
		return "", "", fmt.Errorf("has no port, write %s:PORT", s)
	}
	host, port = s[:i], s[i+1:]
	switch {
	case port == "":
		return "", "", fmt.Errorf("has no port after the colon, write %s:PORT", host)
	case host == "*":
		return "", "", fmt.Errorf("write :%s for all interfaces", port)
	case strings.HasPrefix(host, "["):
		inner, closed := strings.CutSuffix(host[1:], "]")
		if ip, err := netip.ParseAddr(inner); err != nil || !ip.Is6() || !closed {
			return "", "", fmt.Errorf("%q is not an IPv6 address in brackets", host)
		}
		return inner, port, nil // a zone's name keeps its case
	case strings.ContainsRune(host, ':'):
		return "", "", fmt.Errorf("an IPv6 address needs brackets, as in [::1]:%s", port)
	case strings.ContainsFunc(host, notInHostName):
		return "", "", fmt.Errorf("%q is not a host name", host)
	}
	return strings.ToLower(host), port, nil
}

func isDigits(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

func notInHostName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._", r)
}

// isZero reports whether no address was given.
func (a address) isZero() bool { return a == address{} }

// Network returns the network that [net.Dial] and [net.Listen] want: tcp or unix.
func (a address) Network() string {
	if a.path != "" {
		return "unix"
	}
	return "tcp"
}

// ListenAddress returns what [net.Listen] wants: a port alone is on all interfaces.
func (a address) ListenAddress() string {
	if a.path != "" {
		return a.path
	}
	return net.JoinHostPort(a.host, strconv.Itoa(int(a.port)))
}

// DialAddress returns what [net.Dial] wants: a port alone is on this host.
func (a address) DialAddress() string {
	if a.path == "" && a.host == "" {
		a.host = "localhost"
	}
	return a.ListenAddress()
}

// String returns the address as an operator writes it.
func (a address) String() string { return a.ListenAddress() }

var _ encoding.TextMarshaler = address{} // for slog

// MarshalText returns the address as an operator writes it.
func (a address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what [parseAddress] reads.
func (a *address) UnmarshalText(text []byte) (err error) {
	*a, err = parseAddress(string(text))
	return err
}

// A peerAddress is an address to connect to, which must have a port.
type peerAddress struct{ address }

// UnmarshalText reads what [parseAddress] reads and refuses port 0.
func (a *peerAddress) UnmarshalText(text []byte) error {
	addr, err := parseAddress(string(text))
	if err != nil {
		return err
	}
	if addr.path == "" && addr.port == 0 {
		return fmt.Errorf("address %q: nobody can be reached at port 0", text)
	}
	a.address = addr
	return nil
}
