package repl

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"zrs/internal/fs"
)

// How the histories of a secondary and its source can fail to fit.
var (
	// ErrDiverged is matched by a [DivergedError].
	ErrDiverged = errors.New("histories have diverged")

	// ErrPackedPast is returned when the source was packed past our end, and
	// what it still has does not prove that nothing differs but what the pack
	// removed.
	ErrPackedPast = errors.New("the source was packed past our last transaction")

	// ErrAhead is returned when we have all that the source has, and more.
	ErrAhead = errors.New("we are ahead of the source")
)

// A DivergedError says where two histories part. It matches [ErrDiverged].
type DivergedError struct {
	Path   string
	Source string
	Common fs.TID // last transaction of both, 0: none
	Detail string // what was found first

	OnlyHere  int       // transactions after Common that only we have
	First     []OnlyTxn // some of them, the first ones
	OnlyThere int       // transactions up to our last that only the source has
}

// An OnlyTxn is a transaction that one side lacks.
type OnlyTxn struct {
	TID         fs.TID
	User        string
	Description string
}

// Error tells the last common transaction, what only this side has, and what
// was found.
func (e *DivergedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %v", e.Path, ErrDiverged)
	if e.Common == 0 {
		fmt.Fprintf(&b, ": no transaction in common with %s", e.Source)
	} else {
		fmt.Fprintf(&b, " after %s (%s)", e.Common, e.Common.Time().Format("2006-01-02 15:04:05Z"))
	}
	if e.OnlyHere > 0 {
		fmt.Fprintf(&b, ": %d transactions here are unknown to %s", e.OnlyHere, e.Source)
	}
	if e.OnlyThere > 0 {
		fmt.Fprintf(&b, ": %d transactions of %s are missing here", e.OnlyThere, e.Source)
	}
	return b.String() + ": " + e.Detail
}

// Is makes every DivergedError match [ErrDiverged].
func (e *DivergedError) Is(target error) bool { return target == ErrDiverged }

// errWiden says that the part of the history that was asked for does not start
// with a transaction that both sides have: more is needed.
var errWiden = errors.New("no common transaction in what was compared")

// A history compares what a source sends of the time up to our last transaction
// with what we have. The rules, and why they suffice, are in docs/protocol.md.
type history struct {
	log    *fs.Log
	idx    *fs.Index
	blobs  *fs.BlobDir
	logger *slog.Logger
	source string

	ours *fs.Cursor // after the start
	cur  *fs.Txn    // our next transaction, nil after the last
	last fs.TID     // our last
	from fs.TID     // the start

	lastOurs, lastTheirs fs.Status // of the transactions passed, 0: none
	common               fs.TID    // last transaction of both
	matched              int
	onlyThere            int
	problem              string // what is different and no pack explains
	differs              bool   // the problem is inside a common transaction
	packed               bool   // a transaction or record of ours was packed away there

	// suspects are the objects whose current revision we have from a
	// transaction that the source lacks. If a pack took it away, each either
	// was changed again, by a transaction that is yet to come, or is garbage.
	suspects map[fs.OID]struct{}

	txn  txnCheck
	blob blobCheck
}

// txnCheck is the state inside a transaction of the source.
type txnCheck struct {
	common bool
	exact  bool // neither side was packed here: the records must be the same
}

// blobCheck is a blob that is being compared.
type blobCheck struct {
	file *os.File // ours, nil if it is missing
	oid  fs.OID
	tid  fs.TID
}

// newHistory prepares to compare all after from.
func newHistory(log *fs.Log, idx *fs.Index, blobs *fs.BlobDir, from fs.TID, source string, logger *slog.Logger) (*history, error) {
	c, err := log.After(from)
	if err != nil && !errors.Is(err, fs.ErrTIDUnknown) {
		return nil, err
	}
	h := &history{
		log: log, idx: idx, blobs: blobs, logger: logger, source: source,
		ours: c, from: from, last: log.Tip().TID, suspects: make(map[fs.OID]struct{}),
	}
	if err := h.advance(); err != nil {
		c.Close()
		return nil, err
	}
	return h, nil
}

// close lets go of the data file.
func (h *history) close() {
	h.ours.Close()
	h.closeBlob()
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

// begin takes a transaction of the source that is not later than our last.
func (h *history) begin(e *event) error {
	b := e.begin
	if first := h.matched == 0 && h.lastTheirs == 0; first && h.from != 0 && (h.cur == nil || h.cur.TID != b.TID) {
		return errWiden
	}
	for h.cur != nil && h.cur.TID < b.TID {
		if err := h.onlyHere(fs.Status(b.Status)); err != nil {
			return err
		}
	}
	h.txn = txnCheck{}
	if h.cur == nil || h.cur.TID > b.TID {
		h.onlyThere++
		if h.lastOurs != fs.StatusPacked && (h.cur == nil || h.cur.Status != fs.StatusPacked) {
			h.differ(fmt.Sprintf("transaction %s of the source is missing here, and no pack explains that", b.TID))
		}
	} else {
		h.txn.common = true
		h.txn.exact = h.cur.Status != fs.StatusPacked && fs.Status(b.Status) != fs.StatusPacked
		// Extensions are pickled anew by zc.zrs: they prove nothing.
		if string(h.cur.User) != string(b.User) || string(h.cur.Description) != string(b.Description) {
			h.differ(fmt.Sprintf("transaction %s has another user or description there", b.TID))
		}
	}
	h.lastTheirs = fs.Status(b.Status)
	return nil
}

// differ notes the first difference that can't be explained.
func (h *history) differ(detail string) {
	if h.problem == "" {
		h.problem = detail
		h.differs = h.txn.common
	}
}

// onlyHere takes a transaction of ours that the source lacks. The status of its
// next one is that of the transaction around the gap, 0 if there is none.
func (h *history) onlyHere(next fs.Status) error {
	h.txn = txnCheck{}
	if h.lastTheirs != fs.StatusPacked && next != fs.StatusPacked {
		h.differ(fmt.Sprintf("transaction %s here is unknown there, and no pack explains that", h.cur.TID))
	} else {
		h.packed = true
	}
	for {
		rec, err := h.ours.NextRecord()
		if isEnd(err) {
			return h.advance()
		}
		if err == nil {
			err = h.suspect(rec)
		}
		if err != nil {
			return err
		}
	}
}

// suspect notes a record of ours that the source lacks, if it is current.
func (h *history) suspect(rec *fs.Record) error {
	h.packed = true
	if off, ok := h.idx.Get(rec.OID); !ok || off != rec.Offset {
		return nil
	}
	found, err := h.ours.Resolve()
	if err == nil && !found.Gone {
		h.suspects[rec.OID] = struct{}{}
	}
	return err
}

// record takes a record of the source.
func (h *history) record(e *event) error {
	if e.blob {
		if err := h.openBlob(e); err != nil {
			return err
		}
	}
	if !h.txn.common {
		// The source has it and we don't. If a pack of ours took it away, what
		// we have of the object is later.
		if off, ok := h.idx.Get(e.record.OID); ok {
			return h.checkNewer(e, off)
		}
		return nil
	}
	for {
		rec, err := h.ours.NextRecord()
		if isEnd(err) {
			if h.txn.exact {
				h.differ(fmt.Sprintf("transaction %s: the record of object %s is missing here", h.cur.TID, e.record.OID))
			}
			return nil // packed away here: what else is in it can't be told any more
		}
		if err != nil {
			return err
		}
		if rec.OID == e.record.OID {
			return h.compare(rec, e)
		}
		if h.txn.exact {
			h.differ(fmt.Sprintf("transaction %s: a record is of object %s here, of %s there", h.cur.TID, rec.OID, e.record.OID))
			return nil
		}
		if err := h.suspect(rec); err != nil {
			return err
		}
	}
}

func (h *history) checkNewer(e *event, off int64) error {
	current, err := h.log.RecordAt(off)
	if err == nil && current.TID < e.record.TID {
		h.differ(fmt.Sprintf("object %s was changed by transaction %s there, which is missing here", e.record.OID, e.record.TID))
	}
	return err
}

// compare compares the data of a record that both have.
func (h *history) compare(rec *fs.Record, e *event) error {
	found, err := h.ours.Resolve()
	if err != nil {
		return err
	}
	same := found.Gone == (len(e.data) == 0) && found.Length == int64(len(e.data)) && rec.TID == e.record.TID
	if same && !found.Gone {
		same, err = h.ours.DataIs(found, e.data)
	}
	if err == nil && !same {
		h.differ(fmt.Sprintf("transaction %s: the data of object %s differs", h.cur.TID, rec.OID))
	}
	return err
}

func (h *history) openBlob(e *event) error {
	h.closeBlob()
	h.blob = blobCheck{oid: e.record.OID, tid: e.record.TID}
	if h.blobs == nil || !h.txn.common {
		return nil
	}
	f, err := h.blobs.Open(e.record.OID, e.record.TID)
	if errors.Is(err, fs.ErrNoBlob) {
		h.logger.Warn("blob is missing here", "oid", e.record.OID, "tid", e.record.TID)
		return nil
	}
	h.blob.file = f
	return err
}

func (h *history) closeBlob() {
	if h.blob.file != nil {
		h.blob.file.Close()
		h.blob.file = nil
	}
}

// block takes a block of a blob.
func (h *history) block(e *event) error {
	if h.blob.file == nil {
		return nil
	}
	ours := make([]byte, len(e.data))
	_, err := io.ReadFull(h.blob.file, ours)
	same := err == nil && string(ours) == string(e.data)
	if same && e.last {
		n, _ := h.blob.file.Read(make([]byte, 1))
		same = n == 0
	}
	if !same {
		h.differ(fmt.Sprintf("transaction %s: the blob of object %s differs", h.blob.tid, h.blob.oid))
	}
	if e.last || !same {
		h.closeBlob()
	}
	return nil
}

// commit ends a transaction of the source. It reports whether it was our last:
// then all is compared.
func (h *history) commit() (done bool, err error) {
	if !h.txn.common {
		return false, nil
	}
	tid := h.cur.TID
	for {
		rec, err := h.ours.NextRecord()
		if isEnd(err) {
			break
		}
		if err == nil {
			if h.txn.exact {
				h.differ(fmt.Sprintf("transaction %s: the record of object %s is missing there", tid, rec.OID))
			}
			err = h.suspect(rec)
		}
		if err != nil {
			return false, err
		}
	}
	if h.problem == "" {
		h.common = tid
		h.matched++
	}
	return tid == h.last, h.advance()
}

// end takes the end of what there is to compare: the source's next transaction
// is later than our last, and has the given status; or the source has no more,
// with status 0. It returns nil if the histories agree, but for suspects.
func (h *history) end(next fs.Status) error {
	ahead := 0
	for h.cur != nil {
		if next == 0 && h.lastTheirs != fs.StatusPacked && h.problem == "" && h.matched > 0 {
			ahead++
			if err := h.advance(); err != nil {
				return err
			}
			continue
		}
		if err := h.onlyHere(next); err != nil {
			return err
		}
	}
	switch {
	case h.problem != "" && h.matched == 0 && h.from != 0:
		return errWiden
	case h.problem != "":
		return h.diverged()
	case ahead > 0:
		return fmt.Errorf("%s: %w: %s ends at %s, we have %d transactions more", h.log.Path(), ErrAhead, h.source, h.common, ahead)
	case h.matched == 0 && len(h.suspects) > 0:
		return fmt.Errorf("%s: %w: %s has no transaction in common with us", h.log.Path(), ErrPackedPast, h.source)
	}
	return nil
}

// superseded takes a record that comes after our last transaction.
func (h *history) superseded(oid fs.OID) { delete(h.suspects, oid) }

// proven reports whether all that the source lacks is explained.
func (h *history) proven() bool { return len(h.suspects) == 0 }

// unproven is the error for suspects that remain after all that was packed.
func (h *history) unproven() error {
	for oid := range h.suspects {
		return fmt.Errorf("%s: %w: it has no record of what we have of %d objects, such as %s, and nothing it has explains why; "+
			"they may be garbage, or the histories may have diverged", h.log.Path(), ErrPackedPast, len(h.suspects), oid)
	}
	return nil
}

// maxListed is how many transactions a DivergedError lists.
const maxListed = 10

func (h *history) diverged() error {
	e := &DivergedError{
		Path: h.log.Path(), Source: h.source, Common: h.common,
		Detail: h.problem, OnlyThere: h.onlyThere,
	}
	if h.differs {
		return e // the transaction is in both, so none is only here
	}
	c, err := h.log.After(h.common)
	if err != nil {
		return errors.Join(e, err)
	}
	defer c.Close()
	for {
		txn, err := c.Next()
		if isEnd(err) {
			return e
		}
		if err != nil {
			return errors.Join(e, err)
		}
		if e.OnlyHere++; len(e.First) < maxListed {
			e.First = append(e.First, OnlyTxn{txn.TID, string(txn.User), string(txn.Description)})
		}
	}
}
