package main

import (
	"errors"
	iofs "io/fs"
	"net"
	"os"
	"strings"
	"testing"
)

func TestFindSource(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"Data.fs", "5000", "db1:5000"} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("dir", 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", "zrs.sock")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	tests := []struct {
		name, in   string
		path, dial string
		err        string
	}{
		{name: "file", in: "Data.fs", path: "Data.fs"},
		{name: "file-with-slash", in: "./Data.fs", path: "./Data.fs"},
		{name: "missing-file-with-slash", in: "/nowhere/Data.fs", path: "/nowhere/Data.fs"},
		{name: "missing-file", in: "Other.fs", err: "Other.fs: file does not exist (as an address it would need a port, Other.fs:PORT)"},
		{name: "directory", in: "dir", path: "dir"},
		{name: "socket", in: "./zrs.sock", dial: "./zrs.sock"},
		{name: "socket-without-slash", in: "zrs.sock", dial: "./zrs.sock"},
		{name: "socket-with-scheme", in: "zrs:///run/absent.sock", dial: "/run/absent.sock"},
		{name: "host", in: "db2:5000", dial: "db2:5000"},
		{name: "port", in: "5001", dial: "localhost:5001"},
		{name: "ipv6", in: "[::1]:5000", dial: "[::1]:5000"},
		{name: "scheme-for-port", in: "zrs://5000", dial: "localhost:5000"},
		{name: "scheme-for-host", in: "zrs://db1:5000", dial: "db1:5000"},
		{name: "file-and-port", in: "5000", err: `"5000" is an address and also a file here`},
		{name: "file-and-host", in: "db1:5000", err: `"db1:5000" is an address and also a file here`},
		{name: "file-not-port", in: "./5000", path: "./5000"},
		{name: "host-without-port", in: "db2", err: "as an address it would need a port, db2:PORT"},
		{name: "port-too-high", in: "70000", err: "is not a number from 1 to 65535"},
		{name: "port-0", in: "db2:0", err: "nobody can be reached at port 0"},
		{name: "empty", in: "", err: `address "": is empty`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src, err := findSource(tt.in)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("findSource(%q) error = %v, want %q", tt.in, err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if src.path != tt.path || tt.dial != "" && src.addr.DialAddress() != tt.dial {
				t.Errorf("findSource(%q) = path %q, address %v, want path %q, dial %q", tt.in, src.path, src.addr, tt.path, tt.dial)
			}
			if (src.path == "") == src.addr.isZero() {
				t.Errorf("findSource(%q) = %+v, want either a path or an address", tt.in, src)
			}
			if src.String() != tt.in {
				t.Errorf("String() = %q, want %q", src, tt.in)
			}
		})
	}
	if _, err := findSource("Other.fs"); !errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("findSource(missing file) = %v, want %v", err, iofs.ErrNotExist)
	}
}
