package epoch

import (
	"sync"
	"time"

	"zrs/internal/fs"
)

// A Keeper holds the sidecar of a data file that this process serves or writes,
// and is where those who need it meet. A nil Keeper knows nothing, and keeps
// nothing. All methods may be called concurrently.
type Keeper struct {
	data     string
	readOnly bool // changes are not saved
	instance ID

	mu      sync.Mutex
	sidecar Sidecar
	changed chan struct{} // closed and replaced when lineage or role change
}

// Open returns a keeper of the sidecar of a data file. Nothing is written yet.
func Open(data string) (*Keeper, error) {
	s, err := Load(data)
	if err != nil {
		return nil, err
	}
	return &Keeper{data: data, instance: NewID(), sidecar: *s, changed: make(chan struct{})}, nil
}

// OpenReadOnly returns a keeper that writes nothing: what changes is forgotten with
// it.
func OpenReadOnly(data string) (*Keeper, error) {
	k, err := Open(data)
	if err == nil {
		k.readOnly = true
	}
	return k, err
}

// Sidecar returns what is kept now.
func (k *Keeper) Sidecar() Sidecar {
	if k == nil {
		return Sidecar{}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.sidecar
}

// Instance is the same as long as k lives, and no other's.
func (k *Keeper) Instance() ID {
	if k == nil {
		return ID{}
	}
	return k.instance
}

// Lineage returns the lineage now.
func (k *Keeper) Lineage() Lineage { return k.Sidecar().Lineage }

// Changed returns a channel that is closed when the lineage or the role change.
func (k *Keeper) Changed() <-chan struct{} {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.changed
}

// Update changes what is kept, and saves it. If it can't be saved nothing has
// changed.
func (k *Keeper) Update(change func(*Sidecar)) error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	next := k.sidecar
	change(&next)
	if !k.readOnly {
		if err := next.Save(k.data); err != nil {
			return err
		}
	}
	k.set(next)
	return nil
}

// set takes on what is kept from now on.
func (k *Keeper) set(next Sidecar) {
	was := k.sidecar
	moved := !next.Equal(was.Lineage) || (next.Unsure == nil) != (was.Unsure == nil) ||
		next.Role != was.Role || (next.Superseded == nil) != (was.Superseded == nil)
	k.sidecar = next
	if moved {
		close(k.changed)
		k.changed = make(chan struct{})
	}
}

// Refresh reads the sidecar again, for a primary, which has no lock: another process
// may have written one. What can't be read changes nothing, nor does one that was
// removed, or that came from another place.
func (k *Keeper) Refresh() {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	next, err := Load(k.data)
	if err != nil || next.Schema == 0 || next.Copied {
		return
	}
	if next.Superseded == nil && next.Role == k.sidecar.Role && next.Equal(k.sidecar.Lineage) {
		next.Superseded = k.sidecar.Superseded // it may not have been saved
	}
	k.set(*next)
}

// Follow makes the storage a secondary of a primary with a lineage, of which it
// has all up to the transaction last. Behind a source without a lineage it keeps
// its own, which is unsure from there on.
func (k *Keeper) Follow(l Lineage, last fs.TID, source Contact) error {
	return k.Update(func(s *Sidecar) {
		switch {
		case l.Known():
			s.Lineage = l
		case s.Known() && s.Unsure == nil:
			s.Unsure = &last
		}
		s.take(Secondary)
		s.At, s.Source, s.Superseded = last, &source, nil
	})
}

// Promote makes the storage the primary, in a new epoch that begins after the
// transaction last. It keeps what it knew of its source.
func (k *Keeper) Promote(last fs.TID) error {
	return k.Update(func(s *Sidecar) {
		s.Lineage = s.Promote(last)
		s.take(Primary)
		s.At, s.Superseded = last, nil
	})
}

// Supersede notes that a newer epoch was met. That is so even if it can't be
// saved.
func (k *Keeper) Supersede(by Lineage) error {
	k.Refresh()
	err := k.Update(func(s *Sidecar) { s.Superseded = &by })
	if err != nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		next := k.sidecar
		next.Superseded = &by
		k.set(next)
	}
	return err
}

// take gives the storage a role.
func (s *Sidecar) take(r Role) {
	if s.Role != r {
		s.Role, s.Since = r, time.Now().UTC().Truncate(time.Second)
	}
}
