package interop

import (
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"zrs/interop/driver"
)

// A zrs is a running zrs command whose log is JSON lines.
type zrs struct {
	t    *testing.T
	name string
	log  *driver.Log
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// startZRS starts zrs with a command and arguments. It is killed at the end of
// the test at the latest, and its log is shown if that failed.
func startZRS(t *testing.T, command string, args ...string) *zrs {
	t.Helper()
	path, err := zrsBinary()
	if err != nil {
		t.Fatal(err)
	}
	z := &zrs{
		t:    t,
		name: "zrs " + command,
		log:  driver.NewLog(),
		cmd:  exec.Command(path, append([]string{command, "--log-format=json"}, args...)...),
		done: make(chan struct{}),
	}
	z.cmd.Stderr = z.log
	if err := z.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		z.cmd.Wait() // how it ended is in z.cmd.ProcessState
		z.log.Close()
		close(z.done)
	}()
	t.Cleanup(func() {
		z.kill()
		if t.Failed() {
			t.Logf("log of %s:\n%s", z.name, z.log)
		}
	})
	return z
}

// servePrimary serves a database to secondaries and returns the address.
func servePrimary(t *testing.T, db database, options ...string) (z *zrs, address string) {
	t.Helper()
	args := append(db.args(), "--replicate-to", "127.0.0.1:0")
	z = startZRS(t, "serve-primary", append(args, options...)...)
	return z, z.listening()
}

// serveSecondary keeps a database a replica of the one at an address.
func serveSecondary(t *testing.T, db database, from string, options ...string) *zrs {
	t.Helper()
	args := append(db.args(), "--replicate-from", from)
	return startZRS(t, "serve-secondary", append(args, options...)...)
}

// listening waits until it listens and returns the address.
func (z *zrs) listening() string {
	z.t.Helper()
	return z.waitLog("listening", 1)["address"].(string)
}

// waitLog waits until the log has the n-th record with that message and returns
// its attributes.
func (z *zrs) waitLog(msg string, n int) (attributes map[string]any) {
	z.t.Helper()
	_, err := z.log.Wait(patiently(z.t), n, func(line string) bool {
		attributes = nil
		return json.Unmarshal([]byte(line), &attributes) == nil && attributes["msg"] == msg
	})
	if err != nil {
		z.t.Fatalf("%s: log record %q: %v", z.name, msg, err)
	}
	return attributes
}

// signal sends a signal, such as SIGSTOP.
func (z *zrs) signal(sig os.Signal) { z.cmd.Process.Signal(sig) }

// kill ends it as kill -9 does.
func (z *zrs) kill() {
	z.signal(syscall.SIGKILL)
	<-z.done
}

// terminate asks it to end and returns its exit code.
func (z *zrs) terminate() int {
	z.t.Helper()
	z.signal(syscall.SIGTERM)
	return z.wait()
}

// wait waits until it ends by itself and returns its exit code.
func (z *zrs) wait() int {
	z.t.Helper()
	select {
	case <-z.done:
		return z.cmd.ProcessState.ExitCode()
	case <-patiently(z.t).Done():
		z.t.Fatalf("%s: still running after %v", z.name, patience)
		return 0
	}
}

// runZRS runs a zrs command to its end.
func runZRS(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	path, err := zrsBinary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(patiently(t), path, args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}
