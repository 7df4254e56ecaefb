package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"zrs/interop/driver"
)

// Load is what the clients of a latency measurement do.
type Load struct {
	Name    string
	Clients int
	Commits int // of each client
	Rate    int // of each, a second; 0 is back to back
	Size    int // bytes, about, that each changes
}

// CommitToVisible measures the time from the return of a commit, in a client of
// a ZEO server, to the moment when the transaction is in the secondary's data
// file with its final status. It can be negative: the transaction may be at the
// secondary before the client has been told. The same observer watches the file
// of either kind of secondary.
//
// With zc.zrs the primary is inside the ZEO server, with zrs beside it. [Bare]
// is neither: the transaction is synced, copied, synced, and finished. Nor is
// [Relay], which does that in two processes.
func (b *Bench) CommitToVisible(ctx context.Context, primary, secondary string, load Load) (*Result, error) {
	dir, remove, err := b.scratch()
	if err != nil {
		return nil, err
	}
	defer remove()
	target, err := replicaDir(dir)
	if err != nil {
		return nil, err
	}
	replica := filepath.Join(target, "Data.fs")
	pair, err := b.zeoPair(ctx, primary, secondary, filepath.Join(dir, "primary.fs"), replica)
	if err != nil {
		return nil, err
	}
	defer pair.stop()
	observer := observe(replica)
	defer observer.stop()
	commits, err := b.work(ctx, pair.zeo, load)
	if err != nil {
		return nil, err
	}
	var visible, commit []time.Duration
	for _, c := range commits {
		tid, returned, took := c[0].(string), c[1].(float64), c[2].(float64)
		seen, err := observer.wait(ctx, tid)
		if err != nil {
			return nil, fmt.Errorf("transaction %s at the secondary: %w", tid, err)
		}
		visible = append(visible, seen.Sub(time.Unix(0, int64(returned*1e9))))
		commit = append(commit, time.Duration(took*1e9))
	}
	first, last := commits[0][1].(float64), commits[0][1].(float64)
	for _, c := range commits {
		first, last = min(first, c[1].(float64)), max(last, c[1].(float64))
	}
	took := newLatency(commit)
	result := &Result{
		Schema:       schema,
		Name:         "commit-to-visible-" + load.Name,
		Subject:      primary + "-" + secondary,
		Seconds:      last - first,
		Transactions: len(commits),
		Latency:      newLatency(visible),
		Extra:        map[string]float64{"commit_p50": took.P50, "commit_p99": took.P99},
		Processes:    map[string]*Usage{},
	}
	for role, pid := range pair.pids {
		if result.Processes[role], err = UsageOf(pid); err != nil {
			return nil, err
		}
	}
	return result, nil
}

// A clientCommit is a TID, the time when its commit returned, and how long that
// took, in seconds.
type clientCommit = [3]any

// work has clients of a ZEO server commit, and returns their commits.
func (b *Bench) work(ctx context.Context, zeo string, load Load) (commits []clientCommit, err error) {
	var clients []*driver.Process
	for i := range load.Clients {
		client, err := b.Python.Start(ctx, driver.Modern, nil, "zeoclient.py", zeo)
		if err != nil {
			return nil, err
		}
		defer client.Stop()
		clients = append(clients, client)
		args := driver.Args{"name": fmt.Sprint("client", i), "seed": i, "count": 1, "size": load.Size}
		if err := client.Do(ctx, "start", args, nil); err != nil {
			return nil, err
		}
		if err := client.Do(ctx, "wait", driver.Args{"timeout": catchUpLimit.Seconds()}, nil); err != nil {
			return nil, err
		}
	}
	for i, client := range clients {
		args := driver.Args{"name": fmt.Sprint("client", i), "seed": i, "count": load.Commits, "rate": load.Rate, "size": load.Size}
		if err := client.Do(ctx, "start", args, nil); err != nil {
			return nil, err
		}
	}
	for _, client := range clients {
		var report struct {
			Commits []clientCommit
			Error   string
		}
		if err := client.Do(ctx, "wait", driver.Args{"timeout": catchUpLimit.Seconds()}, &report); err != nil {
			return nil, err
		}
		if report.Error != "" || len(report.Commits) == 0 {
			return nil, fmt.Errorf("zeoclient.py: %d commits, error %q", len(report.Commits), report.Error)
		}
		commits = append(commits, report.Commits...)
	}
	return commits, nil
}

// A zeoPair is a ZEO server and a replica of its database.
type zeoPair struct {
	zeo  string         // address for clients
	pids map[string]int // of the two ends of replication
	stop func()
}

func (b *Bench) zeoPair(ctx context.Context, primary, secondary, data, replica string) (pair *zeoPair, err error) {
	var stops []func()
	stop := func() {
		for _, stop := range slices.Backward(stops) {
			stop()
		}
	}
	defer func() {
		if err != nil {
			stop()
		}
	}()
	var ready struct{ Address, Primary string }
	env, args := driver.Modern, []string{data}
	if primary == ZCZRS {
		env, args = driver.Legacy, []string{"--primary", "127.0.0.1:0", data}
	}
	zeo, err := b.Python.Start(ctx, env, &ready, "zeoserver.py", args...)
	if err != nil {
		return nil, err
	}
	stops = append(stops, zeo.Stop)
	if primary == Bare {
		copier, err := copyBare(data, replica)
		if err != nil {
			return nil, err
		}
		stops = append(stops, copier.stop)
		return &zeoPair{zeo: ready.Address, stop: stop}, nil
	}
	if primary == Relay {
		stopRelay, err := b.startRelay(ctx, data, replica)
		if err != nil {
			return nil, err
		}
		stops = append(stops, stopRelay)
		return &zeoPair{zeo: ready.Address, stop: stop}, nil
	}
	source := &server{address: ready.Primary, pid: zeo.PID()}
	if primary == ZRS {
		if source, err = b.primary(ctx, ZRS, data, ""); err != nil {
			return nil, err
		}
		stops = append(stops, source.stop)
	}
	target, err := b.secondary(ctx, secondary, source.address, replica, "")
	if err != nil {
		return nil, err
	}
	stops = append(stops, target.stop)
	return &zeoPair{ready.Address, map[string]int{"primary": source.pid, "secondary": target.pid}, stop}, nil
}

// An observer watches a data file grow and notes when it sees transactions.
type observer struct {
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	seen    map[string]time.Time
	changed chan struct{} // closed and replaced when seen grows
}

// pause is how long an observer waits between looks: the resolution of what it
// measures, and small against that. A sleep of Go's own is rounded up to a
// millisecond in an idle process, which is not.
const pause = 100 * time.Microsecond

func observe(path string) *observer {
	ctx, cancel := context.WithCancel(context.Background())
	o := &observer{cancel: cancel, seen: map[string]time.Time{}, changed: make(chan struct{})}
	o.done.Go(func() {
		var f *os.File
		pos := int64(len(magic))
		for ctx.Err() == nil {
			if f == nil {
				f, _ = os.Open(path) // it appears when the secondary makes it
			}
			if f == nil || !o.next(f, &pos) {
				rest(pause)
			}
		}
		f.Close()
	})
	return o
}

// next notes the transaction at pos, if it is there and finished.
func (o *observer) next(f *os.File, pos *int64) bool {
	var h [txnHeaderSize]byte
	if _, err := f.ReadAt(h[:], *pos); err != nil || h[statusAt] != ' ' {
		return false
	}
	now := time.Now()
	length := binary.BigEndian.Uint64(h[8:16])
	if length > math.MaxInt64/2 {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen[fmt.Sprintf("%x", h[:8])] = now
	close(o.changed)
	o.changed = make(chan struct{})
	*pos += int64(length) + 8
	return true
}

// wait returns when a transaction was seen, waiting until it is.
func (o *observer) wait(ctx context.Context, tid string) (time.Time, error) {
	deadline := time.After(time.Minute)
	for {
		o.mu.Lock()
		at, ok := o.seen[tid]
		changed := o.changed
		o.mu.Unlock()
		if ok {
			return at, nil
		}
		select {
		case <-changed:
		case <-deadline:
			return time.Time{}, errors.New("not seen within a minute")
		case <-ctx.Done():
			return time.Time{}, context.Cause(ctx)
		}
	}
}

func (o *observer) stop() {
	o.cancel()
	o.done.Wait()
}
