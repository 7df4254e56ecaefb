package interop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"zrs/interop/driver"
)

// patience bounds every wait. It is for machines that are slow and busy: a test
// that works never gets near it, and one that fails takes so long.
const patience = 60 * time.Second

var (
	python  *driver.Python
	scratch string // a directory for what all tests share
)

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if python, err = driver.Open(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
		if scratch, err = os.MkdirTemp("", "zrs-interop-"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
		defer os.RemoveAll(scratch)
		return m.Run()
	}())
}

// buildFlags are those of go build for zrs.
var buildFlags []string

// zrsBinary returns the path of zrs, built once for all tests.
var zrsBinary = sync.OnceValues(func() (string, error) {
	root, err := driver.Root()
	if err != nil {
		return "", err
	}
	path := filepath.Join(scratch, "zrs")
	args := append([]string{"build", "-o", path}, buildFlags...)
	cmd := exec.Command("go", append(args, "./cmd/zrs")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/zrs: %w\n%s", err, out)
	}
	return path, nil
})

// eventually waits until condition holds; what says what for.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, patience)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// patiently returns a context that ends when patience does.
func patiently(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeoutCause(t.Context(), patience, errors.New("not within "+patience.String()))
	t.Cleanup(cancel)
	return ctx
}
