package main

import (
	"bytes"
	"net"
	"path/filepath"
	"strings"
	"testing"
)

// A server that hangs is not waited for.
func TestPromote_silentServer(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "control")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var stdout, stderr bytes.Buffer
	code := run([]string{"promote", "--timeout", "100ms", "--fence-cmd", "exit 1", "--control", socket}, strings.NewReader(""), &stdout, &stderr)
	if code != exitTemporary || stdout.Len() > 0 || !strings.Contains(stderr.String(), "no server answers within 100ms") {
		t.Errorf("exit code %d, want %d\n%s%s", code, exitTemporary, &stdout, &stderr)
	}
}
