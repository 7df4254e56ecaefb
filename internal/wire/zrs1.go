package wire

import (
	"encoding/json"
	"errors"
	"fmt"

	"zrs/internal/epoch"
	"zrs/internal/fs"
)

// ProtocolZRS1 is what two of ours speak: zrs2.1 with a greeting in front and
// notes in between. A zc.zrs primary refuses it, as it refuses any name that it
// does not know, by closing the connection without a byte.
//
// After the name the secondary sends a [Hello], and the primary answers with a
// [Welcome]: both are frames with a JSON object. What follows is the stream of
// zrs2.1, but the frame due between two transactions may be a [Note], as which
// it is known by its first byte: no pickle begins with a brace. The secondary may
// send notes at any time. Notes are not part of the running checksum, which is
// another one, see [Digest].
const ProtocolZRS1 = "zrs+1"

// ProtocolStatus asks a primary of ours for its state in place of transactions. It
// answers a frame with a JSON document, the one of its control socket, and hangs
// up.
const ProtocolStatus = "status"

const (
	// MaxGreeting is for a Hello and a Welcome: a lineage of a thousand
	// ancestors takes 90 kB.
	MaxGreeting = 256 << 10

	// MaxNote is for a note, which may have a lineage too.
	MaxNote = MaxGreeting
)

// A Hello is what a secondary says of itself.
type Hello struct {
	Lineage epoch.Lineage `json:"lineage"`
	Start   fs.TID        `json:"start"` // after which it wants transactions
	Last    fs.TID        `json:"last"`  // its last transaction
	Blobs   bool          `json:"blobs"` // it has a place for blobs
	Node    string        `json:"node"`  // a name for messages: its host and file

	Instance epoch.ID `json:"instance"` // of its process and file: by this a node knows itself
}

// A Welcome is what a primary answers.
type Welcome struct {
	Lineage epoch.Lineage `json:"lineage"`
	Role    epoch.Role    `json:"role"`
	Last    fs.TID        `json:"last"` // its last transaction
	Refused *Refusal      `json:"refused,omitempty"`
}

// A Refusal is why a primary will not serve a secondary.
type Refusal struct {
	Reason Reason `json:"reason"`
	Text   string `json:"text"`
}

// A Reason is the kind of a refusal. There may be others than these one day.
type Reason string

// The reasons.
const (
	ReasonOtherDatabase Reason = "other-database"
	ReasonDiverged      Reason = "diverged"
	ReasonSuperseded    Reason = "superseded" // the primary must not be one any more
	ReasonUnknownStart  Reason = "unknown-start"
	ReasonAhead         Reason = "ahead" // the secondary has what the primary has not
	ReasonNoBlobs       Reason = "no-blobs"
	ReasonUnavailable   Reason = "unavailable" // for now
)

// A Note is said between two transactions. One of its fields is set; a note with
// none of those known here means nothing.
type Note struct {
	Tip     *Tip           `json:"tip,omitempty"`     // by the primary, twice a second
	End     *End           `json:"end,omitempty"`     // by the primary, last of all
	Lineage *epoch.Lineage `json:"lineage,omitempty"` // by the primary, when a new epoch begins
	Report  *Report        `json:"report,omitempty"`  // by the secondary, now and then
	Finish  *Finish        `json:"finish,omitempty"`  // by the secondary, once
}

// A Tip says how far the primary is, and how far behind the secondary.
type Tip struct {
	Last   fs.TID `json:"last"`
	Behind Behind `json:"behind"`
	After  fs.TID `json:"after"` // the transaction that Behind counts from

	// Silent is for how many milliseconds nothing was heard of the server at the
	// head of the chain: 0 by that itself, -1 if nothing ever was.
	Silent int64 `json:"silent_ms"`

	// CutOff is set by a primary that is a secondary itself and has no source,
	// or by one that has that from its source: there may be more than Last.
	CutOff bool `json:"cut_off,omitempty"`

	// Via names the servers that this one's transactions come through, itself
	// first: a secondary that finds itself there follows its own follower.
	Via []epoch.ID `json:"via,omitempty"`
}

// MaxVia is how many servers a chain may have.
const MaxVia = 64

// Behind is what a secondary has not made durable yet, as far as the primary
// knows.
type Behind struct {
	Transactions int64  `json:"transactions"` // -1: more than were counted
	Bytes        int64  `json:"bytes"`        // of the data file
	Oldest       fs.TID `json:"oldest"`       // the first of the transactions, 0 if there is none
}

// An End says that all was sent up to a transaction: the one that was the last
// when the secondary asked for the end, or a later one.
type End struct {
	Last fs.TID `json:"last"`
}

// A Report is what the secondary has made durable.
type Report struct {
	Durable      fs.TID `json:"durable"`
	BlobsMissing int64  `json:"blobs_missing"`
}

// Finish asks for all that there is now, and an [End].
type Finish struct{}

// AppendGreeting appends the frames with which a secondary opens a connection.
func (h *Hello) AppendGreeting(b []byte) []byte {
	b = AppendFrame(b, []byte(ProtocolZRS1))
	return AppendFrame(b, marshal(h))
}

// AppendFrame appends the frame of a welcome.
func (w *Welcome) AppendFrame(b []byte) []byte { return AppendFrame(b, marshal(w)) }

// AppendFrame appends the frame of a note.
func (n *Note) AppendFrame(b []byte) []byte { return AppendFrame(b, marshal(n)) }

// marshal returns v, one of the types above, as JSON. They have nothing that
// has none.
func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("wire: " + err.Error())
	}
	return b
}

// ErrGreeting is returned for a greeting or a note that is none.
var ErrGreeting = errors.New("malformed greeting")

// DecodeHello decodes the payload of a Hello.
func DecodeHello(payload []byte) (*Hello, error) {
	h := &Hello{}
	return h, decodeGreeting(payload, h, &h.Lineage)
}

// DecodeWelcome decodes the payload of a Welcome.
func DecodeWelcome(payload []byte) (*Welcome, error) {
	w := &Welcome{}
	return w, decodeGreeting(payload, w, &w.Lineage)
}

// IsNote reports whether a payload that is due where a transaction may begin is a
// note.
func IsNote(payload []byte) bool { return len(payload) > 0 && payload[0] == '{' }

// DecodeNote decodes the payload of a note.
func DecodeNote(payload []byte) (*Note, error) {
	n := &Note{}
	if err := decodeGreeting(payload, n, nil); err != nil {
		return n, err
	}
	if err := n.check(); err != nil {
		return n, fmt.Errorf("%w: %w", ErrGreeting, err)
	}
	return n, nil
}

// check refuses what can't be said by anybody.
func (n *Note) check() error {
	if t := n.Tip; t != nil && (t.Behind.Transactions < -1 || t.Behind.Bytes < 0 || t.Silent < -1) {
		return errors.New("a tip with a negative number")
	}
	if r := n.Report; r != nil && r.BlobsMissing < 0 {
		return errors.New("a report with a negative number")
	}
	if n.Lineage != nil {
		return n.Lineage.Check()
	}
	return nil
}

func decodeGreeting(payload []byte, v any, lineage *epoch.Lineage) error {
	err := json.Unmarshal(payload, v)
	if err == nil && lineage != nil {
		err = lineage.Check()
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrGreeting, err)
	}
	return nil
}
