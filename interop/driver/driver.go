// Package driver runs the Python side of the interoperability tests and of the
// benchmarks: real ZODB, ZEO and zc.zrs, under the control of Go.
//
// The programs are in interop/python. Each reads commands as JSON lines from
// its standard input and answers on its standard output; driver.py there has
// the details of the conversation. They run in one of three environments that
// interop/venv.sh makes: [Legacy] has zc.zrs, [Modern] today's ZODB and ZEO,
// [Tools] zodbtools.
package driver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// An Env names a Python environment.
type Env string

// The environments that interop/venv.sh makes.
const (
	Legacy Env = "legacy" // zc.zrs 3.1.0, ZODB 5.5.1, ZEO 5.2
	Modern Env = "modern" // ZODB 6.4, ZEO 6.2
	Tools  Env = "tools"  // zodbtools, ZODB 5.8.1
)

// Environment variables.
const (
	EnvVar = "ZRS_INTEROP_VENVS" // tells where the environments are

	// LegacyVar names the interpreter of an environment with another zc.zrs,
	// and the ZODB that it works with, to be used as [Legacy].
	LegacyVar = "ZRS_INTEROP_LEGACY"
)

// Python finds interpreters and programs.
type Python struct {
	root   string // of the repository
	envs   string // directory of the environments
	legacy string // interpreter in place of that of Legacy, or ""
}

// Open brings the environments up to date, which takes no time if they are, and
// makes them if there are none: where EnvVar says, or in .venv at the root of
// the repository.
func Open(ctx context.Context) (*Python, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	envs := os.Getenv(EnvVar)
	if envs == "" {
		envs = filepath.Join(root, ".venv")
	}
	if envs, err = filepath.Abs(envs); err != nil {
		return nil, err
	}
	script := filepath.Join(root, "interop", "venv.sh")
	if out, err := exec.CommandContext(ctx, script, envs).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", script, err, bytes.TrimSpace(out))
	}
	return &Python{root: root, envs: envs, legacy: os.Getenv(LegacyVar)}, nil
}

// Root returns the root of the repository that holds the working directory.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no go.mod above the working directory")
		}
		dir = parent
	}
}

// Command returns the command that runs a program of interop/python, or one
// named by its path below the root of the repository, such as
// "bench/python/open.py".
func (p *Python) Command(ctx context.Context, env Env, program string, args ...string) *exec.Cmd {
	path := filepath.Join(p.root, "interop", "python", program)
	if filepath.Base(program) != program {
		path = filepath.Join(p.root, program)
	}
	cmd := exec.CommandContext(ctx, p.interpreter(env), append([]string{path}, args...)...)
	cmd.Env = append(os.Environ(),
		"PYTHONPATH="+filepath.Join(p.root, "interop", "python"),
		"PYTHONDONTWRITEBYTECODE=1",
		"PYTHONUNBUFFERED=1",
		// zc.zrs calls what Python deprecated since; not what we test.
		"PYTHONWARNINGS=ignore")
	return cmd
}

func (p *Python) interpreter(env Env) string {
	if env == Legacy && p.legacy != "" {
		return p.legacy
	}
	return filepath.Join(p.envs, string(env), "bin", "python")
}

// Version returns the version of a package that is installed in an environment.
func (p *Python) Version(ctx context.Context, env Env, name string) (string, error) {
	const program = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
	out, err := exec.CommandContext(ctx, p.interpreter(env), "-c", program, name).Output()
	return string(bytes.TrimSpace(out)), err
}
