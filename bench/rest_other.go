//go:build !linux

package bench

import "time"

// rest sleeps for d, or longer.
func rest(d time.Duration) { time.Sleep(d) }
