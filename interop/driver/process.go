package driver

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// startLimit bounds the time a program may take until it is ready. Opening a
// large file without an index is part of it.
const startLimit = 5 * time.Minute

// stopLimit bounds the time a program may take to end once its standard input
// has. It does not wait for anything then.
const stopLimit = 10 * time.Second

// Args are the arguments of a command, by name.
type Args map[string]any

// An Error is a program's answer that a command failed: a Python exception.
type Error struct {
	Program, Command string
	Exception        string // "POSKeyError: 0x01"
	Traceback        string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s: %s", e.Program, e.Command, e.Exception)
}

// A Process is a running program that answers commands, one at a time.
type Process struct {
	Program string
	Log     *Log // what it wrote to standard error

	cmd     *exec.Cmd
	stdin   io.WriteCloser
	answers chan json.RawMessage // closed at the end of its output
	ending  chan struct{}        // closed when nobody asks for answers any more
	end     func()               // closes ending
	done    chan struct{}        // closed once it has been waited for
}

// Start runs a program in an environment and waits until it is ready. What it
// said with that, such as the address it listens on, is decoded into ready,
// which may be nil.
func (p *Python) Start(ctx context.Context, env Env, ready any, program string, args ...string) (*Process, error) {
	// The program outlives ctx: it ends by Stop or Kill, or by itself when
	// this process is gone and with it the program's standard input.
	cmd := p.Command(context.WithoutCancel(ctx), env, program, args...)
	proc := &Process{
		Program: program,
		Log:     NewLog(),
		cmd:     cmd,
		answers: make(chan json.RawMessage),
		ending:  make(chan struct{}),
		done:    make(chan struct{}),
	}
	proc.end = sync.OnceFunc(func() { close(proc.ending) })
	cmd.Stderr = proc.Log
	cmd.WaitDelay = stopLimit
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	proc.stdin = stdin
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go proc.read(stdout)

	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := proc.answer(ctx, "start", ready); err != nil {
		proc.Kill()
		return nil, fmt.Errorf("%w\n%s", err, proc.Log)
	}
	return proc, nil
}

// read passes answers on and, when there are no more, waits for the process.
func (p *Process) read(stdout io.Reader) {
	r := bufio.NewReader(stdout)
	for {
		line, err := r.ReadBytes('\n')
		if err != nil {
			break
		}
		select {
		case p.answers <- line:
		case <-p.ending:
		}
	}
	close(p.answers)
	p.cmd.Wait() // its status tells nothing: programs end by _exit and SIGKILL
	p.Log.Close()
	close(p.done)
}

// Do has a command carried out and decodes the answer into result, which may be
// nil. It fails with an *Error if the command raised an exception. After ctx
// has ended while a command was carried out the process is of no more use.
func (p *Process) Do(ctx context.Context, command string, args Args, result any) error {
	line := Args{"do": command}
	maps.Copy(line, args)
	b, err := json.Marshal(line)
	if err != nil {
		return err
	}
	if _, err := p.stdin.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("%s: %s: %w", p.Program, command, err)
	}
	return p.answer(ctx, command, result)
}

func (p *Process) answer(ctx context.Context, command string, result any) error {
	var line json.RawMessage
	var ok bool
	select {
	case line, ok = <-p.answers:
	case <-ctx.Done():
		return fmt.Errorf("%s: %s: %w", p.Program, command, context.Cause(ctx))
	}
	if !ok {
		return fmt.Errorf("%s: %s: it ended without an answer", p.Program, command)
	}
	var status struct {
		OK               bool
		Error, Traceback string
	}
	if err := json.Unmarshal(line, &status); err != nil {
		return fmt.Errorf("%s: %s: answer %q: %w", p.Program, command, line, err)
	}
	if !status.OK {
		return &Error{p.Program, command, status.Error, status.Traceback}
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(line, result)
}

// Done returns a channel that is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// PID returns the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends a signal, for example SIGSTOP.
func (p *Process) Signal(sig os.Signal) error {
	err := p.cmd.Process.Signal(sig)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Stop ends the process by closing its standard input. Nothing is closed or
// saved; for that there are commands.
func (p *Process) Stop() {
	p.end()
	p.stdin.Close()
	select {
	case <-p.done:
	case <-time.After(stopLimit):
		p.Kill()
	}
}

// Kill ends the process as kill -9 does, and waits until it is gone.
func (p *Process) Kill() {
	p.end()
	p.Signal(syscall.SIGKILL)
	p.stdin.Close()
	<-p.done
}
