package repl

import (
	"errors"
	"fmt"
	"log/slog"

	"zrs/internal/fs"
	"zrs/internal/wire"
)

// A history compares what a source sends of the time up to our last transaction
// with what we have. The rules, and why they suffice, are in docs/protocol.md;
// in brief, both sides' transactions are passed in the order of their TIDs.
//
//   - One that both have must have equal texts and records. Where a pack has
//     been, on either side, records may be missing on that side.
//   - One that only one side has must have been packed away on the other. A
//     pack leaves its mark there, the status 'p' on a neighbour.
//   - An object whose current revision here is missing there is a suspect: a
//     pack takes a revision away only if there is a later one, which must then
//     come after our last transaction, or if the object is garbage.
type history struct {
	log    *fs.Log
	idx    *fs.Index
	blobs  *fs.BlobDir
	logger *slog.Logger
	source string

	full  bool  // everything is compared, and nothing is concluded from parts
	room  int64 // bytes of blobs that may still come before the comparison is left
	whole bool  // our last transaction is not left

	ours *fs.Cursor
	from fs.TID  // where the comparison started
	last fs.TID  // our last transaction
	cur  *fs.Txn // our next transaction, nil after the last

	// The statuses of the last transaction passed of either side: where
	// neighbours of a gap are looked for on the left.
	lastOurs, lastTheirs fs.Status

	theirs  int    // transactions of the source passed
	matched int    // those that are in both
	common  fs.TID // the last of these
	apart   apart
	problem string // what is different and no pack explains, "" if nothing

	packed       bool // something of ours was packed away there
	blobsMissing int
	mend         bool // blobs that are missing here are fetched from the source
	fetched      int64
	stats        *Stats

	suspects oidSet
	seen     oidSet // objects of ours of which the source has a record; of a full comparison

	txn  txnCheck
	blob blobCheck
}

// apart counts what only one side has after the last transaction of both.
type apart struct {
	here  int
	first []OnlyTxn // of ours
	there int
}

const (
	// noTxn stands for the status of a transaction that is not there: before
	// the first one and after the last one.
	noTxn fs.Status = 0

	// unknownTxn stands for the status of the source's transaction before the
	// part that was asked for.
	unknownTxn fs.Status = 0xff
)

// newHistory prepares to compare all that s has after at with a source's. The
// last transaction is to be compared to its end if the source's end is wanted.
func newHistory(s *Secondary, source string, logger *slog.Logger, at start, goal goal) (*history, error) {
	h := &history{
		log: s.Log, idx: s.Index, blobs: s.Blobs, stats: &s.Stats, logger: logger, source: source,
		mend: s.Writer != nil,
		full: goal.check == CheckFull, room: blobBudget, whole: goal.end,
		from: at.tid, last: s.Log.Tip().TID, lastTheirs: unknownTxn,
	}
	switch {
	case at.matched > 0:
		h.matched, h.common, h.lastTheirs, h.blobsMissing = at.matched, at.tid, at.theirs, at.blobsMissing
	case at.tid == 0:
		h.lastTheirs = noTxn
	}
	before := at.tid
	if before > 0 {
		before-- // the status of the transaction itself is wanted too
	}
	c, err := s.Log.After(before)
	if err != nil && !errors.Is(err, fs.ErrTIDUnknown) {
		return nil, err
	}
	h.ours = c
	err = h.advance()
	if err == nil && h.cur != nil && h.cur.TID == at.tid {
		err = h.advance()
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return h, nil
}

// close lets go of the data file.
func (h *history) close() {
	h.ours.Close()
	h.dropBlobs()
}

// advance moves to our next transaction.
func (h *history) advance() error {
	if h.cur != nil {
		h.lastOurs = h.cur.Status
	}
	txn, err := h.ours.Next()
	if isEnd(err) {
		h.cur = nil
		return nil
	}
	h.cur = txn
	return err
}

// explained reports whether a pack explains that a side lacks transactions
// between two of its own, by the statuses of these. What a pack keeps it marks,
// so a gap that it left has a mark before it, or behind it where the pack went
// further.
func explained(before, behind fs.Status) bool {
	return before == fs.StatusPacked || behind == fs.StatusPacked
}

// differ notes the first difference that nothing explains. Before anything is
// known to be in both, that takes more history to judge.
func (h *history) differ(format string, args ...any) error {
	if h.undecided() {
		return errWiden
	}
	if h.problem == "" {
		h.problem = fmt.Sprintf(format, args...)
	}
	return nil
}

// undecided reports whether nothing that both have was found, and there is more
// to look at.
func (h *history) undecided() bool { return h.matched == 0 && h.from != 0 }

// begin takes a transaction of the source that is not later than our last.
func (h *history) begin(b *wire.Begin) error {
	status := fs.Status(b.Status)
	for h.cur != nil && h.cur.TID < b.TID {
		if err := h.onlyHere(status); err != nil {
			return err
		}
	}
	var err error
	if h.cur == nil || h.cur.TID > b.TID {
		h.txn = txnCheck{}
		err = h.onlyThere(b.TID)
	} else {
		err = h.both(b)
	}
	h.theirs++
	h.lastTheirs = status
	return err
}

// both takes a transaction that both have.
func (h *history) both(b *wire.Begin) error {
	h.txn = txnCheck{
		common:       true,
		oursPacked:   h.cur.Status == fs.StatusPacked,
		theirsPacked: fs.Status(b.Status) == fs.StatusPacked,
	}
	if h.problem != "" {
		return nil
	}
	// Extensions are pickled anew by zc.zrs: they prove nothing.
	if string(h.cur.User) != string(b.User) || string(h.cur.Description) != string(b.Description) {
		return h.differ("transaction %s has another user or description there", b.TID)
	}
	return h.nextRecord()
}

// onlyThere takes a transaction of the source that we lack.
func (h *history) onlyThere(tid fs.TID) error {
	h.apart.there++
	behind := noTxn
	if h.cur != nil {
		behind = h.cur.Status
	}
	if explained(h.lastOurs, behind) {
		return nil
	}
	return h.differ("transaction %s of the source is missing here, and no pack explains that", tid)
}

// onlyHere takes our next transaction, which the source lacks. Behind the gap
// it has one with the given status.
func (h *history) onlyHere(behind fs.Status) error {
	h.countHere()
	switch {
	case explained(h.lastTheirs, behind):
		h.packed = true
		if err := h.suspectAll(); err != nil {
			return err
		}
	case h.lastTheirs == unknownTxn:
		return errWiden
	default:
		err := h.differ("transaction %s here is unknown there, and no pack explains that", h.cur.TID)
		if err != nil {
			return err
		}
	}
	return h.advance()
}

// countHere counts our next transaction as one that the source lacks.
func (h *history) countHere() {
	h.apart.here++
	if len(h.apart.first) < maxListed {
		h.apart.first = append(h.apart.first, OnlyTxn{h.cur.TID, string(h.cur.User), string(h.cur.Description)})
	}
}

// commit ends a transaction of the source. It reports whether it was our last:
// then all is compared.
func (h *history) commit() (done bool, err error) {
	h.closeBlob()
	if !h.txn.common {
		return false, nil
	}
	if h.problem == "" {
		if err := h.endRecords(); err != nil {
			return false, err
		}
	}
	if h.problem == "" {
		if err := h.match(); err != nil {
			return false, err
		}
	}
	done = h.cur.TID == h.last
	return done, h.advance()
}

// match notes that our next transaction is in both histories. What was before
// it then is, too, or was before a pack: histories that have parted do not meet
// again. A full comparison does not rely on that.
func (h *history) match() error {
	h.matched++
	h.common = h.cur.TID
	h.apart = apart{}
	if h.full {
		return h.placeBlobs()
	}
	h.suspects = oidSet{}
	return nil
}

// end takes the end of what there is to compare. The source's next transaction
// is later than our last and has the given status; noTxn says that it has no
// more. It returns nil if the histories agree, but for suspects.
func (h *history) end(next fs.Status) error {
	ahead := 0
	for ; h.cur != nil; ahead++ {
		if err := h.left(next); err != nil {
			return err
		}
	}
	if h.full {
		h.dropGarbage()
	}
	switch {
	case h.undecided():
		return errWiden
	case h.problem != "":
		return h.diverged()
	case h.matched == 0 && h.theirs == 0 && next == noTxn:
		return fmt.Errorf("%s: %w: %s has no transactions", h.log.Path(), ErrAhead, h.source)
	case h.matched == 0:
		return fmt.Errorf("%s: %w: %s has no transaction in common with us", h.log.Path(), ErrPackedPast, h.source)
	case next == noTxn && ahead > 0 && (h.lastTheirs != fs.StatusPacked || !h.proven()):
		return fmt.Errorf("%s: %w: %s ends at %s, we have %s", h.log.Path(), ErrAhead, h.source, h.common, countTxns(ahead, "more", "more"))
	}
	return nil
}

// left takes one of our transactions that are left when the source has passed
// our last one. Where the source just ends, before that and unpacked, it has
// not got so far.
func (h *history) left(next fs.Status) error {
	if next == noTxn && h.lastTheirs != fs.StatusPacked {
		h.countHere()
		return h.advance()
	}
	return h.onlyHere(next)
}

// dropGarbage takes the suspects of which the source has no record at all from
// the list: there they are garbage, if they are not changed again later on.
func (h *history) dropGarbage() {
	for oid := range h.suspects.all() {
		if !h.seen.has(oid) {
			h.suspects.remove(oid)
		}
	}
}

// superseded takes a record that comes after our last transaction.
func (h *history) superseded(oid fs.OID) { h.suspects.remove(oid) }

// proven reports whether all that the source lacks is explained.
func (h *history) proven() bool { return h.suspects.n == 0 }

// unproven is the error for suspects that remain after all that was packed.
func (h *history) unproven() error {
	why := "they may be garbage there, or the histories may have diverged"
	if h.full {
		why = "it has older ones, which a pack does not leave in place of ours"
	}
	for oid := range h.suspects.all() {
		return fmt.Errorf("%s: %w: %s unknown to %s after %s, and it lacks the current revision of %s, such as %s; %s",
			h.log.Path(), ErrPackedPast, countTxns(h.apart.here, "here is", "here are"), h.source, h.common, countOf(h.suspects.n, "object"), oid, why)
	}
	return nil
}

func (h *history) diverged() error {
	return &DivergedError{
		Path: h.log.Path(), Source: h.source, Common: h.common, Detail: h.problem,
		OnlyHere: h.apart.here, First: h.apart.first, OnlyThere: h.apart.there,
	}
}
