package bench

import (
	"time"

	"golang.org/x/sys/unix"
)

// rest sleeps for d, as exactly as the system can.
func rest(d time.Duration) {
	ts := unix.NsecToTimespec(d.Nanoseconds())
	_ = unix.Nanosleep(&ts, nil) // cut short by a signal: just another look
}
