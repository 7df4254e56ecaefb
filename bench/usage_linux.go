package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// ticks is the unit of CPU times in /proc: USER_HZ, a constant of the kernel's
// interface.
const ticks = 100

// UsageOf reads the usage of a running process.
func UsageOf(pid int) (*Usage, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil, err
	}
	u := &Usage{RSS: sizeField(status, "VmRSS"), PeakRSS: sizeField(status, "VmHWM")}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	// The second field is a name in parentheses that may hold anything; user
	// and system time are the 12th and 13th after it.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return nil, err
		}
		u.CPU += float64(n) / ticks
	}
	return u, nil
}

// peakAtEnd returns the peak of memory that the kernel tells of a process that has
// ended: it is no less than that of the process which started it.
func peakAtEnd(p *os.ProcessState) int64 {
	usage, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	return usage.Maxrss << 10
}

// sizeField finds a line such as "VmRSS:	 1234 kB" and returns the bytes, 0 if
// there is none.
func sizeField(text []byte, name string) int64 {
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			var kb int64
			fmt.Sscan(rest, &kb)
			return kb << 10
		}
	}
	return 0
}

// totalMemory returns the size of the machine's memory, 0 if it is not known.
func totalMemory() int64 {
	b, _ := os.ReadFile("/proc/meminfo")
	return sizeField(b, "MemTotal")
}

// loadAverage returns that of the last minute, 0 if it is not known.
func loadAverage() (load float64) {
	b, _ := os.ReadFile("/proc/loadavg")
	fmt.Sscan(string(b), &load)
	return load
}

// cpuModel returns the processor's name, "" if it is not known.
func cpuModel() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		if name, value, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
