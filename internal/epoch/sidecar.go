package epoch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"time"

	"zrs/internal/fs"
)

// A Role is what a storage is for. The zero Role is unknown.
type Role string

// The roles.
const (
	Primary   Role = "primary"
	Secondary Role = "secondary"
)

// String returns the role, "unknown" for none.
func (r Role) String() string {
	if r == "" {
		return "unknown"
	}
	return string(r)
}

// A Sidecar is what is kept beside a data file about it. It says nothing that
// the data file says itself, and what it says can be lost: a secondary gets it
// anew from its source, and a copy of another node's, with a promotion, makes a
// primary known again.
type Sidecar struct {
	Schema int `json:"schema"`
	Lineage
	Role  Role      `json:"role"`
	Since time.Time `json:"since"` // when it took the role

	// At is the last transaction when the sidecar was written. A data file
	// that ends before it, or knows nothing of it, is another one.
	At fs.TID `json:"at"`

	// Source is what a secondary follows, or followed before it was promoted.
	Source *Contact `json:"source,omitempty"`

	// Superseded is the lineage of a newer epoch that a primary has met: it
	// must not be one any more.
	Superseded *Lineage `json:"superseded,omitempty"`

	Self self `json:"self"`

	// Copied is true for a file that was not written where it is. Lineage and
	// Source are good then, Role and Superseded are unknown: they are of
	// the place it comes from.
	Copied bool `json:"-"`
}

// A Contact is what is known of a source.
type Contact struct {
	Address  string    `json:"address"`
	Protocol string    `json:"protocol,omitempty"` // that it speaks, "" if it never answered
	Heard    time.Time `json:"heard"`              // when the primary was last heard, through it if it is a secondary
	Last     fs.TID    `json:"last"`               // the latest of its transactions that it told of
	Behind   *int64    `json:"behind,omitempty"`   // transactions of these that were not here, if that was known
}

// self tells a file from its copies: a copy has another inode number, was born at
// another time, or is on another file system. None of that changes when a file is
// renamed, or its file system is mounted elsewhere; a copy of the whole file system
// is not told apart.
type self struct {
	Inode uint64    `json:"inode"`
	Born  time.Time `json:"born,omitzero"`  // where the file system tells
	Disk  string    `json:"disk,omitempty"` // identity of the file system, where it tells that and not Born
}

const sidecarSchema = 1

// maxSidecar bounds what is read: two lineages of a thousand ancestors take 180 kB.
const maxSidecar = 1 << 20

// ErrSidecar is returned for a sidecar that can't be read. It may be removed:
// then what it said is unknown.
var ErrSidecar = errors.New("unreadable sidecar")

// SidecarPath returns where the sidecar of a data file is.
func SidecarPath(data string) string { return data + ".zrs" }

// Load reads the sidecar of a data file. Where there is none, all is unknown: it
// returns a zero Sidecar.
func Load(data string) (*Sidecar, error) {
	path := SidecarPath(data)
	f, err := os.Open(path)
	if errors.Is(err, iofs.ErrNotExist) {
		return &Sidecar{}, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s := &Sidecar{}
	err = json.NewDecoder(io.LimitReader(f, maxSidecar)).Decode(s)
	if err == nil && s.Schema != sidecarSchema {
		err = fmt.Errorf("schema %d, this zrs knows %d", s.Schema, sidecarSchema)
	}
	if err == nil {
		err = s.Check()
	}
	if err == nil && s.Superseded != nil {
		err = s.Superseded.Check()
	}
	if err == nil && s.Role != "" && s.Role != Primary && s.Role != Secondary {
		err = fmt.Errorf("role %q", s.Role)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", path, ErrSidecar, err)
	}
	here, err := selfOf(f)
	if err != nil {
		return nil, err
	}
	if !here.same(s.Self) {
		s.Copied, s.Role, s.Since, s.Superseded = true, "", time.Time{}, nil
	}
	return s, nil
}

// same reports whether two files are one. What either file system does not tell
// proves nothing.
func (a self) same(b self) bool {
	return a.Inode == b.Inode &&
		(a.Born.IsZero() || b.Born.IsZero() || a.Born.Equal(b.Born)) &&
		(a.Disk == "" || b.Disk == "" || a.Disk == b.Disk)
}

// Save writes the sidecar of a data file, durably: a crash leaves the old one or
// the new one. From then on it is no copy.
func (s *Sidecar) Save(data string) error {
	return fs.ReplaceFile(SidecarPath(data), func(f *os.File) ([]byte, error) {
		var err error
		if s.Self, err = selfOf(f); err != nil {
			return nil, err
		}
		s.Schema, s.Copied = sidecarSchema, false
		b, err := json.MarshalIndent(s, "", "  ")
		return append(b, '\n'), err
	})
}
