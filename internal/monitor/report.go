package monitor

import (
	"context"
	"time"

	"zrs/internal/fs"
)

// A Prober is asked how it is.
type Prober interface {
	Probe(ctx context.Context) (*Report, error)
}

// A Kind says what a target is, and by that how much it can tell.
type Kind string

// The kinds of targets. They are words of the program's output.
const (
	KindZEO  Kind = "zeo"  // a ZEO server: tells the last transaction, nothing of replication
	KindZRS  Kind = "zrs"  // a zrs server: tells its own health and lag
	KindFile Kind = "file" // a data file
)

// A Report is what a target tells of itself.
type Report struct {
	Kind     Kind
	Storages []Storage // in the order of their names
}

// A Storage is one of the storages of a target. What is not known has its zero
// value.
type Storage struct {
	Name string // in a ZEO server, else ""

	Role     string // primary or secondary
	Health   Health
	Reason   string // a stable code for why Health is what it is
	Sentence string // the same for a person, without a full stop

	LastTID fs.TID // of the last transaction, 0 if there is none

	// Lag tells how far it is behind the source that it follows. Of a primary
	// it is that of the secondary that is farthest behind.
	Lag Lag

	Connected   *bool     // to the source that it follows
	LastContact time.Time // with that source

	Figures []Figure // more numbers for graphs
}

// Health is what a zrs server says of itself.
type Health string

// The states of health. They are words of the program's output.
const (
	HealthOptimal    Health = "optimal"
	HealthDegraded   Health = "degraded"
	HealthRecovering Health = "recovering"
	HealthFailed     Health = "failed"
)

// A Lag is how far one history is behind another. What is nil is not known.
type Lag struct {
	Age          *time.Duration // of the oldest transaction that is missing
	Transactions *int64
	Bytes        *int64
}

// A Figure is a number for graphs.
type Figure struct {
	Name    string
	Value   int64
	Counter bool // it counts since the server's start
}
