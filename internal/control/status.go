package control

import (
	"fmt"
	"time"

	"zrs/internal/epoch"
	"zrs/internal/fs"
)

// Schema is the version of the documents. Keys are only ever added.
const Schema = 1

// A Health says whether a person has to do something.
type Health string

// The healths, best first.
const (
	Optimal    Health = "optimal"    // all is as it should be
	Recovering Health = "recovering" // it is not, and mends itself
	Degraded   Health = "degraded"   // it works, but look after it
	Failed     Health = "failed"     // it does not work until a person acts
)

// A Reason is why a health is what it is. The names are stable.
type Reason string

// The reasons.
const (
	ReasonServing      Reason = "serving"       // a primary, with the data file at hand
	ReasonCaughtUp     Reason = "caught-up"     // a secondary has all that its source has told of
	ReasonConnected    Reason = "connected"     // the same of a source that tells nothing: zc.zrs
	ReasonReading      Reason = "reading"       // the data file, at the start
	ReasonConnecting   Reason = "connecting"    // for the first time
	ReasonComparing    Reason = "comparing"     // histories
	ReasonCatchingUp   Reason = "catching-up"   // applying what it lacks
	ReasonDisconnected Reason = "disconnected"  // from the source
	ReasonRefused      Reason = "refused"       // by the source
	ReasonStuck        Reason = "stuck"         // connected, behind, and nothing comes
	ReasonPaused       Reason = "paused"        // by an operator
	ReasonBlobsMissing Reason = "blobs-missing" // in what is served or was received
	ReasonDiverged     Reason = "diverged"      // from the source, or packed past
	ReasonSuperseded   Reason = "superseded"    // another primary was promoted since
	ReasonDataFile     Reason = "data-file"     // it can't be read or written, or is not where it was
	ReasonRewinding    Reason = "rewinding"     // a rewind was begun and not finished
	ReasonNotRunning   Reason = "not-running"   // there is no server
)

// A Status is the state of a server, or of a storage without one.
type Status struct {
	Schema  int    `json:"schema"`
	Version string `json:"version,omitempty"`
	Path    string `json:"path"`
	PID     int    `json:"pid,omitempty"`

	Role      epoch.Role       `json:"role"` // "" if unknown
	Database  epoch.ID         `json:"database"`
	Epoch     epoch.ID         `json:"epoch"`
	Ancestors []epoch.Ancestor `json:"ancestors,omitempty"`

	Health  Health   `json:"health"`
	Reason  Reason   `json:"reason"`
	Message string   `json:"message"`
	Next    []string `json:"next,omitempty"` // commands, or what else to do

	Now      time.Time  `json:"now"`
	Started  *time.Time `json:"started,omitempty"`
	Address  string     `json:"address,omitempty"` // where it serves secondaries
	LastTID  fs.TID     `json:"last_tid"`
	LastTime *time.Time `json:"last_time,omitempty"`
	Paused   bool       `json:"paused"`

	BlobsMissing int64 `json:"blobs_missing"`

	Source *Source `json:"source,omitempty"` // of a secondary
	Peers  []Peer  `json:"peers"`            // secondaries that are connected
}

// A Lag is what one end lacks of what the other is known to have. What is not
// known is absent.
type Lag struct {
	Transactions *int64   `json:"transactions,omitempty"`
	Bytes        *int64   `json:"bytes,omitempty"`       // of the data file
	Seconds      *float64 `json:"age_seconds,omitempty"` // age of the oldest transaction that is lacking, 0 if none is
}

// A Source is what a secondary follows.
type Source struct {
	Address  string     `json:"address"`
	State    string     `json:"state"` // connecting, comparing, receiving, disconnected, refused, diverged, paused
	Since    *time.Time `json:"since,omitempty"`
	Error    string     `json:"error,omitempty"`
	Protocol string     `json:"protocol,omitempty"`
	Heard    *time.Time `json:"last_contact,omitempty"`
	LastTID  fs.TID     `json:"last_tid"` // the latest that it told of
	Lag      Lag        `json:"lag"`
	Rate     float64    `json:"rate"`                  // bytes a second that are received
	ETA      *float64   `json:"eta_seconds,omitempty"` // until caught up, where that can be told
	Trend    string     `json:"trend,omitempty"`       // steady, shrinking, growing
}

// A Peer is a secondary that is served.
type Peer struct {
	Address      string     `json:"address"`
	Node         string     `json:"node,omitempty"`
	State        string     `json:"state"` // streaming, caught-up, stuck
	Protocol     string     `json:"protocol"`
	Since        time.Time  `json:"since"`
	Heard        *time.Time `json:"last_contact,omitempty"`
	SentTID      fs.TID     `json:"sent_tid"`
	DurableTID   *fs.TID    `json:"durable_tid,omitempty"` // of those that tell
	Lag          Lag        `json:"lag"`
	Rate         float64    `json:"rate"`
	ETA          *float64   `json:"eta_seconds,omitempty"`
	BlobsMissing *int64     `json:"blobs_missing,omitempty"` // of those that tell
	Trend        string     `json:"trend,omitempty"`
}

// A PromoteRequest says what a promotion is worth, and whether it is only looked
// at.
type PromoteRequest struct {
	DryRun bool `json:"dry_run"`
	Limits
	SourceLives bool `json:"source_lives"` // go on although the source is connected
}

// Limits are what a promotion may lose.
type Limits struct {
	ExpectTID    fs.TID   `json:"expect_tid"`           // it has to have this transaction, 0: no matter
	Transactions *int64   `json:"max_loss,omitempty"`   // of those that are known to be lost
	Seconds      *float64 `json:"max_behind,omitempty"` // between its last transaction and the last known one
}

// A Promotion is what became of a promotion, or would.
type Promotion struct {
	Schema   int    `json:"schema"`
	Path     string `json:"path"`
	DryRun   bool   `json:"dry_run"`
	Promoted bool   `json:"promoted"`

	// AlreadyPrimary says that there was nothing to do.
	AlreadyPrimary bool `json:"already_primary"`

	Database epoch.ID         `json:"database"`
	Epoch    epoch.ID         `json:"epoch"` // that it has now
	Forks    []epoch.Ancestor `json:"ancestors,omitempty"`
	LastTID  fs.TID           `json:"last_tid"`
	LastTime *time.Time       `json:"last_time,omitempty"`
	Loss     Loss             `json:"loss"`
	Seconds  float64          `json:"seconds"` // that it took

	BlobsChecked int64 `json:"blobs_checked"`
	BlobsMissing int64 `json:"blobs_missing"`
}

// A Loss is what the source had and the promoted storage has not.
type Loss struct {
	Source       string     `json:"source,omitempty"`
	Heard        *time.Time `json:"last_contact,omitempty"` // with the primary, through it if it is a secondary; what was committed since is lost too
	LastTID      fs.TID     `json:"source_last_tid"`        // the latest that it told of
	Transactions *int64     `json:"transactions,omitempty"` // known to be lost; absent: unknown
	Seconds      *float64   `json:"behind_seconds,omitempty"`
}

// Check returns why a promotion would lose more than the limits allow, a
// [*Refusal], or nil. What is not known is not allowed.
func (l Limits) Check(p *Promotion) error {
	refuse := func(format string, args ...any) error {
		return &Refusal{Reason: "behind", Text: fmt.Sprintf(format, args...)}
	}
	loss := p.Loss
	switch {
	case l.ExpectTID > p.LastTID:
		return refuse("it ends with transaction %s: --expect-tid wants %s", p.LastTID, l.ExpectTID)
	case l.Transactions != nil && loss.Transactions == nil:
		return refuse("how many transactions %s had that are not here is unknown: --max-loss allows %d", loss.Source, *l.Transactions)
	case l.Transactions != nil && *loss.Transactions > *l.Transactions:
		return refuse("%d transactions of %s are not here: --max-loss allows %d", *loss.Transactions, loss.Source, *l.Transactions)
	case l.Seconds != nil && loss.Seconds == nil:
		return refuse("how far it is behind %s is unknown: --max-loss allows %g seconds", loss.Source, *l.Seconds)
	case l.Seconds != nil && *loss.Seconds > *l.Seconds:
		return refuse("it is %.1f seconds behind %s: --max-loss allows %g", *loss.Seconds, loss.Source, *l.Seconds)
	}
	return nil
}
