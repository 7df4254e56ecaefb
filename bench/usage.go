package bench

import (
	"bytes"
	"fmt"
	"os/exec"
	"time"
)

// runMeasured runs a command to its end and returns its output, unless that goes
// elsewhere, and usage.
//
// Its peak of memory is what could be seen while it ran. The kernel's own answer
// at the end, ru_maxrss, is no less than the peak of the process that started it:
// on Linux that goes with a process through exec.
func runMeasured(cmd *exec.Cmd) (stdout []byte, used *Usage, err error) {
	const interval = 10 * time.Millisecond // a look takes some 30 µs of a processor
	var out, errors bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	cmd.Stderr = &errors
	if err := cmd.Start(); err != nil {
		return nil, nil, err
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	used = &Usage{}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if u, err := UsageOf(cmd.Process.Pid); err == nil {
				used.PeakRSS = max(used.PeakRSS, u.PeakRSS)
			}
		case err := <-done:
			p := cmd.ProcessState
			used.CPU = (p.UserTime() + p.SystemTime()).Seconds()
			if used.PeakRSS == 0 { // it was too quick to be seen
				used.PeakRSS = peakAtEnd(p)
			}
			if err != nil {
				err = fmt.Errorf("%w\n%s", err, &errors)
			}
			return out.Bytes(), used, err
		}
	}
}
