package main

import (
	"fmt"
	"strings"
	"time"
)

// A duration is a time span. A number without a unit counts seconds, as in the
// configuration of ZRS.
type duration time.Duration

// maxSeconds keeps a number of seconds within what a time.Duration can hold.
const maxSeconds = 1 << 33

// parseDuration reads 60, 1.5s, 200ms, 2m30s and the like.
func parseDuration(s string) (duration, error) {
	number := s
	if strings.Trim(s, "+-.0123456789") == "" && s != "" {
		number += "s"
	}
	d, err := time.ParseDuration(number)
	if err != nil || d.Abs() > maxSeconds*time.Second {
		return 0, fmt.Errorf("duration %q: want seconds or a number with a unit, as in 60, 200ms or 2m30s", s)
	}
	return duration(d), nil
}

// String returns the duration with units.
func (d duration) String() string { return time.Duration(d).String() }

// UnmarshalText reads what [parseDuration] reads.
func (d *duration) UnmarshalText(text []byte) (err error) {
	*d, err = parseDuration(string(text))
	return err
}
