package node

import (
	"context"

	"zrs/internal/control"
)

// errPrimary says that a primary has no source.
var errPrimary = &control.Refusal{Reason: "primary", Text: "this is a primary: it has no source"}

// Pause stops applying what the source has.
func (n *Node) Pause(context.Context) error {
	if n.isPrimary() {
		return errPrimary
	}
	n.Secondary.Pause()
	return nil
}

// Resume goes on after Pause.
func (n *Node) Resume(context.Context) error {
	if n.isPrimary() {
		return errPrimary
	}
	n.Secondary.Resume()
	return nil
}

// Reload tries all sources again, those that did not fit included.
func (n *Node) Reload(context.Context) error {
	if n.isPrimary() {
		return errPrimary
	}
	n.init()
	n.Secondary.Retry()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.failed != nil {
		select {
		case n.again <- struct{}{}:
		default:
		}
	}
	return nil
}
