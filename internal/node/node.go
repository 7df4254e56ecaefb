package node

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"zrs/internal/epoch"
	"zrs/internal/fs"
	"zrs/internal/repl"
)

// A Node is a server. Set its fields, and call Run once; all other methods may be
// called concurrently meanwhile.
type Node struct {
	Path     string
	Version  string
	Identity *epoch.Keeper // nil: unknown

	// Secondary is set for a secondary, whose writer the node closes. Tailer
	// is set for a primary.
	Secondary *repl.Secondary
	Tailer    *fs.Tailer

	// Primary serves Listener's connections. A secondary need not have them.
	Primary  *repl.Primary
	Listener net.Listener

	// TailerOptions are for following the file after a promotion.
	TailerOptions fs.TailerOptions

	// Trouble is told when replication has stopped until a person acts.
	Trouble func(error)

	Logger *slog.Logger // never nil

	once       sync.Once
	started    time.Time
	promotions chan *promotion
	replicated chan struct{} // closed when nobody takes promotions any more
	again      chan struct{} // one slot: replicate again after trouble
	stop       context.CancelFunc

	mu      sync.Mutex
	tailing bool  // it is a primary now
	failed  error // why replication has stopped
	demoted error // why it serves no more
	unnamed bool  // the data file had no name when it was last looked for
	gone    error // that is so for longer
	samples samples
}

// init makes ready what the methods use.
func (n *Node) init() {
	n.once.Do(func() {
		n.promotions, n.replicated, n.again = make(chan *promotion), make(chan struct{}), make(chan struct{}, 1)
		n.started = time.Now()
		n.tailing = n.Tailer != nil
	})
}

// log returns the log that is served.
func (n *Node) log() *fs.Log {
	if n.Secondary != nil {
		return n.Secondary.Log
	}
	return n.Tailer.Log()
}

// Run serves until ctx is done, or it is told to shut down, or can't go on. The
// secondaries get the rest then, as [repl.Primary.Serve] does it. A secondary
// whose replication has stopped for a person to act goes on serving, and returns
// why in the end; so does a primary that was superseded.
func (n *Node) Run(ctx context.Context) error {
	n.init()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	n.mu.Lock()
	n.stop = stop
	n.mu.Unlock()

	var serving errgroup.Group
	serve, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	if n.Listener != nil {
		n.Primary.Status, n.Primary.Upstream = n.statusJSON, n.upstream
		serving.Go(func() error {
			defer stop() // without it there is nothing to do
			return n.Primary.Serve(serve, n.Listener)
		})
	}
	var sampling sync.WaitGroup
	sampling.Go(func() { n.sample(ctx) })
	defer sampling.Wait()
	defer stop()

	if n.Secondary != nil {
		promoted, err := n.replicate(ctx)
		if !promoted {
			stopServing() // now the secondaries get the rest
			return errors.Join(err, serving.Wait(), n.Secondary.Writer.CloseUnused())
		}
	}
	// The file is followed until the secondaries have got the rest.
	var following errgroup.Group
	follow, stopFollowing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopFollowing()
	following.Go(func() error {
		defer stop()
		return n.Tailer.Run(follow)
	})
	<-ctx.Done()
	stopServing()
	err := serving.Wait()
	stopFollowing()
	if followed := following.Wait(); !errors.Is(err, followed) { // else it is why serving ended
		err = errors.Join(err, followed)
	}
	n.mu.Lock()
	if err == nil {
		err = n.demoted
	}
	n.mu.Unlock()
	if by := n.Identity.Sidecar().Superseded; by != nil && err == nil {
		err = fmt.Errorf("%s: %w, epoch %s", n.Path, epoch.ErrSuperseded, by.Epoch)
	}
	return err
}

// Close is for a node that can't be run: it lets go of the listener and of the
// writer, as Run does in the end.
func (n *Node) Close() error {
	var errs []error
	if n.Listener != nil {
		errs = append(errs, n.Listener.Close())
	}
	if n.Secondary != nil {
		errs = append(errs, n.Secondary.Writer.CloseUnused())
	}
	return errors.Join(errs...)
}

// replicate keeps the file a replica until ctx is done, or it was promoted.
func (n *Node) replicate(ctx context.Context) (promoted bool, err error) {
	defer close(n.replicated)
	for {
		ended := make(chan error, 1)
		go func() { ended <- n.Secondary.Run(ctx) }()
		var asked *promotion
		select {
		case err = <-ended:
		case asked = <-n.promotions:
			n.Secondary.Drain()
			err = <-ended
		}
		if err != nil && !NeedsPerson(err) || ctx.Err() != nil {
			asked.answer(err)
			return false, err
		}
		if asked == nil && err != nil {
			asked = n.trouble(ctx, err)
		}
		if ctx.Err() != nil {
			return false, err
		}
		if asked != nil {
			if promoted, err = n.become(asked); promoted || err != nil {
				return promoted, err
			}
		}
	}
}

// NeedsPerson reports whether replication can't go on until somebody decides,
// although nothing is wrong with the local files.
func NeedsPerson(err error) bool {
	for _, why := range []error{repl.ErrDiverged, repl.ErrPackedPast, epoch.ErrOtherDatabase, epoch.ErrDiverged, epoch.ErrSuperseded} {
		if errors.Is(err, why) {
			return true
		}
	}
	return false
}

// trouble waits for a person to act: to promote, to have it tried again, or to
// stop.
func (n *Node) trouble(ctx context.Context, err error) *promotion {
	n.setFailed(err)
	defer n.setFailed(nil)
	if n.Trouble != nil {
		n.Trouble(err)
	}
	select {
	case p := <-n.promotions:
		return p
	case <-n.again:
	case <-ctx.Done():
	}
	return nil
}

func (n *Node) setFailed(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.failed = err
}

// isPrimary reports whether the node follows a file that others write.
func (n *Node) isPrimary() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.tailing
}

// upstream returns what a secondary's own secondaries should know of its source.
func (n *Node) upstream() *repl.Upstream {
	if n.isPrimary() {
		return nil
	}
	return n.Secondary.Link().Upstream()
}

// ErrDemoted ends a primary whose data file another process has made a secondary.
var ErrDemoted = errors.New("another process has made it a secondary")

// lookAround looks whether the data file is where it was, and whether a primary,
// which has no lock on it, still is one by what other processes have noted.
func (n *Node) lookAround() {
	n.lookForFile()
	if !n.isPrimary() || n.Identity.Sidecar().Role != epoch.Primary {
		return
	}
	if n.Identity.Refresh(); n.Identity.Sidecar().Role != epoch.Secondary {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.demoted = fmt.Errorf("%s: %w", n.Path, ErrDemoted)
	n.stop()
}

// lookForFile looks whether the data file still has its name. A pack takes that of
// a primary's away for an instant, and gives it to another file.
func (n *Node) lookForFile() {
	var err error
	if !n.isPrimary() {
		err = n.Secondary.Writer.StillNamed()
	} else if _, statErr := os.Stat(n.Path); errors.Is(statErr, iofs.ErrNotExist) {
		err = fmt.Errorf("%s: %w", n.Path, fs.ErrMissing)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.gone = nil; n.unnamed { // else it may be such an instant
		n.gone = err
	}
	n.unnamed = err != nil
}

// Shutdown makes Run return, as if its context were done.
func (n *Node) Shutdown() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stop != nil {
		n.stop()
	}
}
