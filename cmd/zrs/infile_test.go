package main

import (
	"context"
	"errors"
	"io"
	"testing"
)

// A command that waits for a pipe ends when it is told to, whatever the input is.
func TestOpenInput_interrupted(t *testing.T) {
	for name, start := range map[string]string{"plain": "txn 03f4", "gzip": "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff", "zstd": "\x28\xb5\x2f\xfd\x04\x00"} {
		t.Run(name, func(t *testing.T) {
			pr, pw := io.Pipe() // to which nobody writes any more
			defer pw.Close()
			go io.WriteString(pw, start)
			ctx, cancel := context.WithCancel(t.Context())
			in, err := openInput(ctx, pr, "-")
			if err != nil {
				t.Fatal(err)
			}
			defer in.close()
			cancel()
			if _, err := io.ReadAll(in); !errors.Is(err, context.Canceled) || exitCode(err) != exitInterrupted {
				t.Errorf("ReadAll() = %v, exit code %d", err, exitCode(err))
			}
		})
	}
}
