package epoch

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"zrs/internal/fs"
)

// An ID names a database or an epoch. It is random: those who make one without
// knowing of each other never make the same. The zero ID is none.
type ID [16]byte

// NewID returns a new ID.
func NewID() (id ID) {
	rand.Read(id[:]) // never fails
	return id
}

// IsZero reports whether id is none.
func (id ID) IsZero() bool { return id == ID{} }

// String returns 32 lower-case hex digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Short returns the first 8 digits, for a person's eye.
func (id ID) Short() string { return id.String()[:8] }

// MarshalText is [ID.String]; none is "".
func (id ID) MarshalText() ([]byte, error) {
	if id.IsZero() {
		return nil, nil
	}
	return []byte(id.String()), nil
}

// UnmarshalText reads 32 hex digits, or nothing for none.
func (id *ID) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*id = ID{}
		return nil
	}
	if len(text) != 2*len(id) {
		return fmt.Errorf("id %q: want %d hex digits", text, 2*len(id))
	}
	_, err := hex.Decode(id[:], text)
	return err
}

// An Ancestor is an epoch that ended where the next one began.
type Ancestor struct {
	Epoch ID     `json:"epoch"`
	End   fs.TID `json:"end"` // its last transaction that belongs to the epochs after it, 0 if none does
}

// A Lineage is what a history is: the epochs that it went through. The zero
// Lineage is unknown. Lineages are values: no method changes one.
type Lineage struct {
	Database  ID         `json:"database"`
	Epoch     ID         `json:"epoch"`
	Ancestors []Ancestor `json:"ancestors,omitempty"` // oldest first

	// Unsure is set where what came after a transaction is from a source that
	// has not told its lineage, as zc.zrs has none: it may be of another epoch.
	Unsure *fs.TID `json:"unsure_after,omitempty"`
}

// maxAncestors bounds what is kept and accepted. One is added by each promotion.
const maxAncestors = 1024

// Begin returns the lineage of a database that had none.
func Begin() Lineage { return Lineage{Database: NewID(), Epoch: NewID()} }

// Known reports whether there is a lineage.
func (l Lineage) Known() bool { return !l.Epoch.IsZero() }

// Equal reports whether two lineages name the same epoch of the same database.
func (l Lineage) Equal(m Lineage) bool { return l.Database == m.Database && l.Epoch == m.Epoch }

// sure returns the last transaction of a history that ends with last that is known
// to be of the epochs of l.
func (l Lineage) sure(last fs.TID) fs.TID {
	if l.Unsure != nil {
		return min(last, *l.Unsure)
	}
	return last
}

// Promote returns the lineage of a new epoch, which begins after the transaction
// last, or before what it is unsure of. A secondary may not have come to where
// the epochs before it ended: for its own history they end with last.
func (l Lineage) Promote(last fs.TID) Lineage {
	if !l.Known() {
		return Begin()
	}
	last = l.sure(last)
	ancestors := append(slices.Clone(l.Ancestors), Ancestor{l.Epoch, last})
	for i := range ancestors {
		ancestors[i].End = min(ancestors[i].End, last)
	}
	if n := len(ancestors) - maxAncestors; n > 0 {
		ancestors = ancestors[n:]
	}
	return Lineage{Database: l.Database, Epoch: NewID(), Ancestors: ancestors}
}

// At returns the lineage of the history that ends with the transaction last: that
// of the oldest epoch that has all of it.
func (l Lineage) At(last fs.TID) Lineage {
	if l.Unsure != nil && last <= *l.Unsure {
		l.Unsure = nil
	}
	for i, a := range l.Ancestors {
		if last <= a.End {
			return Lineage{Database: l.Database, Epoch: a.Epoch, Ancestors: slices.Clone(l.Ancestors[:i]), Unsure: l.Unsure}
		}
	}
	return l
}

// End returns where an epoch ends in l, and whether it is one of l's ancestors.
func (l Lineage) End(epoch ID) (fs.TID, bool) {
	for _, a := range l.Ancestors {
		if a.Epoch == epoch {
			return a.End, true
		}
	}
	return 0, false
}

// Check returns what is wrong with a lineage that came from a file or a peer.
func (l Lineage) Check() error {
	if l.Known() == l.Database.IsZero() {
		return errors.New("lineage: a database and an epoch go together")
	}
	if len(l.Ancestors) > maxAncestors {
		return fmt.Errorf("lineage: %d ancestors, at most %d are possible", len(l.Ancestors), maxAncestors)
	}
	seen := map[ID]bool{l.Epoch: true}
	for i, a := range l.Ancestors {
		switch {
		case a.Epoch.IsZero() || seen[a.Epoch]:
			return fmt.Errorf("lineage: epoch %s comes twice, or is none", a.Epoch)
		case i > 0 && a.End < l.Ancestors[i-1].End:
			return fmt.Errorf("lineage: epoch %s ends at %s, before it began", a.Epoch, a.End)
		}
		seen[a.Epoch] = true
	}
	return nil
}

// Why one storage may not follow another.
var (
	// ErrOtherDatabase: they were never the same database.
	ErrOtherDatabase = errors.New("it is another database")

	// ErrDiverged: they are the same database, but either has transactions that
	// the other must never get.
	ErrDiverged = errors.New("histories have diverged")

	// ErrSuperseded: the one that is to be followed was the primary once. The
	// follower has gone on with one that was promoted since.
	ErrSuperseded = errors.New("another primary was promoted since")
)

// MayFollow returns nil if a storage of lineage l whose last transaction is last
// may follow a primary of lineage p, and else one of the errors above, wrapped
// in words. Of an unknown lineage there is nothing to say: nil.
//
// It may, if p's epoch is its own, or if p's epochs come from its own and it
// has nothing of its own epoch that they have not.
func (l Lineage) MayFollow(p Lineage, last fs.TID) error {
	if !l.Known() || !p.Known() {
		return nil
	}
	if l.Database != p.Database {
		return fmt.Errorf("%w: %s, not %s", ErrOtherDatabase, p.Database.Short(), l.Database.Short())
	}
	if l.Epoch == p.Epoch {
		return nil
	}
	if end, ok := p.End(l.Epoch); ok {
		last = l.sure(last) // of the rest there is nothing to say
		if last <= end {
			return nil
		}
		return fmt.Errorf("%w: epoch %s begins after transaction %s of epoch %s, which has gone on to %s here",
			ErrDiverged, p.Epoch.Short(), end, l.Epoch.Short(), last)
	}
	if end, ok := l.End(p.Epoch); ok {
		return fmt.Errorf("%w: epoch %s has ended with transaction %s, epoch %s came after it",
			ErrSuperseded, p.Epoch.Short(), end, l.Epoch.Short())
	}
	return fmt.Errorf("%w: epochs %s and %s were begun independently of each other", ErrDiverged, l.Epoch.Short(), p.Epoch.Short())
}
