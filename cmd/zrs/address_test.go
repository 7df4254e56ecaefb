package main

import (
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	long := "/" + strings.Repeat("x", maxSocketPath)
	tests := []struct {
		name, in              string
		network, listen, dial string
		err                   string
	}{
		{name: "bare-port", in: "5000", network: "tcp", listen: ":5000", dial: "localhost:5000"},
		{name: "colon-port", in: ":5000", network: "tcp", listen: ":5000", dial: "localhost:5000"},
		{name: "any-port", in: ":0", network: "tcp", listen: ":0", dial: "localhost:0"},
		{name: "host", in: "db1.example.org:5000", network: "tcp", listen: "db1.example.org:5000", dial: "db1.example.org:5000"},
		{name: "host-upper-case", in: "DB1:5000", network: "tcp", listen: "db1:5000", dial: "db1:5000"},
		{name: "ipv4", in: "127.0.0.1:5000", network: "tcp", listen: "127.0.0.1:5000", dial: "127.0.0.1:5000"},
		{name: "ipv6", in: "[::1]:5000", network: "tcp", listen: "[::1]:5000", dial: "[::1]:5000"},
		{name: "ipv6-zone", in: "[fe80::1%Eth0]:5000", network: "tcp", listen: "[fe80::1%Eth0]:5000", dial: "[fe80::1%Eth0]:5000"},
		{name: "highest-port", in: "65535", network: "tcp", listen: ":65535", dial: "localhost:65535"},
		{name: "leading-zeros", in: "05000", network: "tcp", listen: ":5000", dial: "localhost:5000"},
		{name: "socket", in: "/run/zrs.sock", network: "unix", listen: "/run/zrs.sock", dial: "/run/zrs.sock"},
		{name: "relative-socket", in: "./x.sock", network: "unix", listen: "./x.sock", dial: "./x.sock"},
		{name: "socket-with-colon", in: "/run/a:b", network: "unix", listen: "/run/a:b", dial: "/run/a:b"},
		{name: "scheme-host", in: "zrs://db1:5000", network: "tcp", listen: "db1:5000", dial: "db1:5000"},
		{name: "scheme-host-slash", in: "zrs://db1:5000/", network: "tcp", listen: "db1:5000", dial: "db1:5000"},
		{name: "scheme-port", in: "zrs://5000", network: "tcp", listen: ":5000", dial: "localhost:5000"},
		{name: "scheme-socket", in: "zrs:///run/zrs.sock", network: "unix", listen: "/run/zrs.sock", dial: "/run/zrs.sock"},

		{name: "empty", in: "", err: `address "": is empty`},
		{name: "scheme-alone", in: "zrs://", err: `address "zrs://": is empty`},
		{name: "scheme-slash", in: "zrs:///", network: "unix", listen: "/", dial: "/"},
		{name: "scheme-without-port", in: "zrs://db1", err: `address "zrs://db1": has no port, write db1:PORT`},
		{name: "port-too-high", in: "70000", err: `address "70000": port "70000" is not a number from 1 to 65535`},
		{name: "port-negative", in: "db1:-1", err: `address "db1:-1": port "-1" is not a number from 1 to 65535`},
		{name: "port-name", in: "db1:http", err: `address "db1:http": port "http" is not a number from 1 to 65535`},
		{name: "port-huge", in: "99999999999999999999", err: `address "99999999999999999999": port "99999999999999999999" is not a number from 1 to 65535`},
		{name: "no-port", in: "127.0.0.1", err: `address "127.0.0.1": has no port, write 127.0.0.1:PORT`},
		{name: "no-port-after-colon", in: "127.0.0.1:", err: `address "127.0.0.1:": has no port after the colon, write 127.0.0.1:PORT`},
		{name: "colon-alone", in: ":", err: `address ":": has no port after the colon, write :PORT`},
		{name: "ipv6-without-brackets", in: "::1", err: `address "::1": an IPv6 address needs brackets and a port, as in [::1]:5000`},
		{name: "ipv6-without-port", in: "[::1]", err: `address "[::1]": has no port, write [::1]:PORT`},
		{name: "ipv6-port-without-brackets", in: "fe80:0:0:0:0:0:0:0:5000", err: `address "fe80:0:0:0:0:0:0:0:5000": an IPv6 address needs brackets, as in [::1]:5000`},
		{name: "ipv4-in-brackets", in: "[127.0.0.1]:5000", err: `address "[127.0.0.1]:5000": "[127.0.0.1]" is not an IPv6 address in brackets`},
		{name: "bracket-unclosed", in: "[db1:5000", err: `address "[db1:5000": "[db1" is not an IPv6 address in brackets`},
		{name: "ipv6-bracket-unclosed", in: "[::1:5000", err: `address "[::1:5000": "[::1" is not an IPv6 address in brackets`},
		{name: "text-after-bracket", in: "[::1]x:5000", err: `address "[::1]x:5000": "[::1]x" is not an IPv6 address in brackets`},
		{name: "scheme-twice", in: "zrs://zrs://db1:5000", err: "begins with zrs:// twice"},
		{name: "star", in: "*:5000", err: `address "*:5000": write :5000 for all interfaces`},
		{name: "space", in: "host name:5000", err: `address "host name:5000": "host name" is not a host name`},
		{name: "path-too-long", in: long, err: "the path of a Unix socket has at most 107 bytes, this one 108"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := parseAddress(tt.in)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("parseAddress(%q) error = %v, want %q", tt.in, err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if a.Network() != tt.network || a.ListenAddress() != tt.listen || a.DialAddress() != tt.dial {
				t.Errorf("parseAddress(%q) = %s, listen %s, dial %s; want %s, %s, %s",
					tt.in, a.Network(), a.ListenAddress(), a.DialAddress(), tt.network, tt.listen, tt.dial)
			}
			again, err := parseAddress(a.String())
			if err != nil || again != a {
				t.Errorf("parseAddress(%q) = %v, %v, want %v", a.String(), again, err, a)
			}
		})
	}
}

func TestPeerAddress(t *testing.T) {
	var a peerAddress
	if err := a.UnmarshalText([]byte("db1:0")); err == nil {
		t.Error("port 0 is accepted as a peer")
	}
	if err := a.UnmarshalText([]byte("db1:5000")); err != nil || a.DialAddress() != "db1:5000" {
		t.Errorf("UnmarshalText() = %v, address %v", err, a)
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"5000", ":5000", "h:1", "[::1]:5000", "/x", "zrs://h:1/", "[", "::", "zrs://zrs:///x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseAddress(s)
		if err != nil {
			return
		}
		again, err := parseAddress(a.String())
		if err != nil || again != a {
			t.Errorf("parseAddress(%q) = %v, again %v, %v", s, a, again, err)
		}
	})
}
