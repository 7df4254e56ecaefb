package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWithProgress_log(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, stdout, stderr := testEnv(t, outputFlags{Progress: auto})
		failed := errors.New("failed")
		err := e.withProgress("history", func(p *progress) error {
			p.setTotal(4000)
			time.Sleep(time.Second / 2) // not at the same instants as the reporter
			for range 25 {
				time.Sleep(time.Second)
				p.add(100, 2)
			}
			return failed
		})
		if !errors.Is(err, failed) {
			t.Errorf("withProgress() = %v, want %v", err, failed)
		}
		lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
		if len(lines) != 2 || stdout.Len() > 0 {
			t.Fatalf("%d lines in 25 s, want 2; stdout %q, want nothing:\n%s", len(lines), stdout, stderr)
		}
		for _, want := range []string{"job=history", "total_bytes=4000", "took=20s", "bytes_per_second=100", "bytes=1900", "eta=22s"} {
			if !strings.Contains(lines[1], want) {
				t.Errorf("line %q lacks %q", lines[1], want)
			}
		}
	})
}

func TestWithProgress_never(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, _, stderr := testEnv(t, outputFlags{Progress: never})
		_ = e.withProgress("stream", func(*progress) error {
			time.Sleep(time.Minute)
			return nil
		})
		if stderr.Len() > 0 {
			t.Errorf("stderr %q, want nothing", stderr)
		}
	})
}

func TestWithProgress_bar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, _, stderr := testEnv(t, outputFlags{Progress: always})
		_ = e.withProgress("stream", func(p *progress) error {
			p.setTotal(10 << 20)
			p.add(1<<20, 1)
			time.Sleep(barDelay - time.Millisecond)
			if stderr.Len() > 0 {
				t.Errorf("after less than %v there is %q", barDelay, stderr)
			}
			p.add(4<<20, 1)
			time.Sleep(2 * time.Second)
			synctest.Wait()
			screen := lastLine(stderr)
			for _, want := range []string{"stream", "50%", "(5.0/10 MiB"} {
				if !strings.Contains(screen, want) {
					t.Errorf("the bar %q lacks %q", screen, want)
				}
			}
			e.log.Info("connected")
			synctest.Wait()
			if line := lastLine(stderr); line != "" {
				t.Errorf("after a log line the terminal shows %q", line)
			}
			if log := stderr.String(); !strings.Contains(log, "\x1b[2K\rtime=") {
				t.Errorf("the bar is not wiped before the log line: %q", log)
			}
			p.add(20<<20, 1) // more than was expected
			time.Sleep(time.Second)
			synctest.Wait()
			if screen := lastLine(stderr); !strings.Contains(screen, "99%") && !strings.Contains(screen, "100%") {
				t.Errorf("past its end the bar is %q", screen)
			}
			return nil
		})
		if line := lastLine(stderr); line != "" {
			t.Errorf("at the end the terminal shows %q", line)
		}
	})
}

func TestWithProgress_spinner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, _, stderr := testEnv(t, outputFlags{Progress: always})
		_ = e.withProgress("stream", func(p *progress) error {
			for range 50 {
				p.add(1<<20, 1)
				time.Sleep(100 * time.Millisecond)
			}
			synctest.Wait()
			screen := lastLine(stderr)
			for _, want := range []string{"stream", "(50 MiB, 10 MiB/s)"} {
				if !strings.Contains(screen, want) {
					t.Errorf("the spinner %q lacks %q", screen, want)
				}
			}
			p.setTotal(100 << 20) // the spinner becomes a bar
			time.Sleep(2 * time.Second)
			synctest.Wait()
			if screen := lastLine(stderr); !strings.Contains(screen, " 50%") {
				t.Errorf("with a total, the bar is %q", screen)
			}
			return nil
		})
		if line := lastLine(stderr); line != "" {
			t.Errorf("at the end the terminal shows %q", line)
		}
	})
}

// lastLine returns what a terminal shows on its last line.
func lastLine(b *bytes.Buffer) string {
	s := b.String()
	s = s[strings.LastIndexByte(s, '\n')+1:]
	s = s[strings.LastIndex(s, "\x1b[2K")+1:]
	s = strings.TrimPrefix(s, "[2K")
	s = s[strings.LastIndexByte(s, '\r')+1:]
	return strings.ReplaceAll(s, "\x1b[0K", "")
}

func TestEta(t *testing.T) {
	tests := []struct {
		elapsed      time.Duration
		bytes, total int64
		want         time.Duration
	}{
		{10 * time.Second, 100, 300, 20 * time.Second},
		{10 * time.Second, 0, 300, -time.Second},
		{10 * time.Second, 400, 300, 0},
	}
	for _, tt := range tests {
		if got := eta(tt.elapsed, tt.bytes, tt.total); got != tt.want {
			t.Errorf("eta(%v, %d, %d) = %v, want %v", tt.elapsed, tt.bytes, tt.total, got, tt.want)
		}
	}
}
