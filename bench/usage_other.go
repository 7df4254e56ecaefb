//go:build !linux

package bench

import (
	"errors"
	"os"
)

// UsageOf is for Linux only.
func UsageOf(int) (*Usage, error) { return nil, errors.ErrUnsupported }

func cpuModel() string { return "" }

func totalMemory() int64 { return 0 }

func loadAverage() float64 { return 0 }

func peakAtEnd(*os.ProcessState) int64 { return 0 }
