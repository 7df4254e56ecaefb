package main

import (
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"

	"zrs/internal/verify"
)

const (
	barDelay    = time.Second            // before a bar appears: the first rates are absurd
	barInterval = 100 * time.Millisecond // between two pictures of a bar
	logInterval = 10 * time.Second       // between two log lines where there is no bar
)

// A progress counts the work of a long job while it is shown to the operator.
// Its methods are safe for concurrent use and cheap enough for each record.
type progress struct {
	bytes, txns, total atomic.Int64
}

// add counts bytes and transactions that are done.
func (p *progress) add(bytes, txns int64) {
	p.bytes.Add(bytes)
	p.txns.Add(txns)
}

// setTotal says how many bytes there will be, 0 if that is unknown.
func (p *progress) setTotal(bytes int64) { p.total.Store(bytes) }

// follow takes over what count tells, until the returned function is called.
func (p *progress) follow(count func() (bytes, txns int64)) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(barInterval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				bytes, txns := count()
				p.bytes.Store(bytes)
				p.txns.Store(txns)
			case <-done:
				return
			}
		}
	})
	return func() {
		close(done)
		wg.Wait()
	}
}

// followVerify is follow for a verification.
func (p *progress) followVerify(v *verify.Progress) (stop func()) {
	return p.follow(func() (bytes, txns int64) {
		p.setTotal(v.Total.Load())
		return v.Bytes.Load(), v.Transactions.Load()
	})
}

// withProgress runs job and meanwhile shows how far it is: as a bar (without a
// total, a spinner with the rate), in the log, or not at all.
func (e *env) withProgress(name string, job func(*progress) error) error {
	p := new(progress)
	if e.progress == never {
		return job(p)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer close(done)
	if e.bar {
		wg.Go(func() { p.draw(e.stderr, name, done) })
	} else {
		wg.Go(func() { p.log(e.log, name, done) })
	}
	return job(p)
}

// draw shows a bar until done is closed, then wipes it.
func (p *progress) draw(c *console, name string, done <-chan struct{}) {
	bar, barTotal, start := newBar(name, 0), int64(0), time.Now()
	tick := time.NewTicker(barInterval)
	defer tick.Stop()
	for {
		select {
		case <-done:
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.bar != nil {
				_ = c.bar.Clear()
				c.bar = nil
			}
			return
		case now := <-tick.C:
			bytes, total := p.bytes.Load(), p.total.Load()
			c.mu.Lock()
			if total > 0 {
				total = max(total, bytes+1) // a full bar counts as finished and stays still
				switch barTotal {
				case total:
				case 0:
					bar, start = newBar(name, total), now
				default:
					bar.ChangeMax64(total)
				}
				barTotal = total
			}
			if now.Sub(start) >= barDelay && c.bar != bar {
				progressbar.OptionSetWriter(c.w)(bar)
				c.bar = bar
			}
			_ = bar.Set64(bytes)
			c.mu.Unlock()
		}
	}
}

// newBar returns a bar, or a spinner if total is 0, that is not visible yet: it
// gets the terminal when it has seen enough to know a rate.
func newBar(name string, total int64) *progressbar.ProgressBar {
	if total <= 0 {
		total = -1
	}
	bar := progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(io.Discard),
		progressbar.OptionSetDescription(name),
		progressbar.OptionShowBytes(true),
		progressbar.OptionShowCount(), // without it only a new percentage is drawn
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionUseANSICodes(true),
		progressbar.OptionSpinnerType(14),
		progressbar.OptionSetSpinnerChangeInterval(0), // or it starts a goroutine
	)
	bar.StartWithoutRender()
	return bar
}

// log writes a line every logInterval until done is closed.
func (p *progress) log(log *slog.Logger, name string, done <-chan struct{}) {
	tick := time.NewTicker(logInterval)
	defer tick.Stop()
	start, last := time.Now(), int64(0)
	for {
		select {
		case <-done:
			return
		case now := <-tick.C:
			bytes, total := p.bytes.Load(), p.total.Load()
			attrs := []any{
				"job", name, "bytes", bytes, "transactions", p.txns.Load(),
				"bytes_per_second", (bytes - last) / int64(logInterval/time.Second),
				"took", now.Sub(start).Round(time.Second),
			}
			if total > 0 {
				attrs = append(attrs, "total_bytes", total, "eta", eta(now.Sub(start), bytes, total))
			}
			log.Info("in progress", attrs...)
			last = bytes
		}
	}
}

// eta estimates how long the rest takes at the average rate so far, -1s if
// nothing has come yet.
func eta(elapsed time.Duration, bytes, total int64) time.Duration {
	if bytes <= 0 {
		return -time.Second
	}
	rest := float64(elapsed) * float64(max(0, total-bytes)) / float64(bytes)
	return time.Duration(rest).Round(time.Second)
}
