package repl

import (
	"errors"
	"fmt"
	"strings"

	"zrs/internal/fs"
)

// How the histories of a secondary and its source can fail to fit.
var (
	// ErrDiverged is matched by a [DivergedError].
	ErrDiverged = errors.New("histories have diverged")

	// ErrPackedPast is returned when packs have taken away what would prove
	// that the histories are one: the source was packed past our end, and what
	// it still has does not explain what we have.
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
	First     []OnlyTxn // the first ones of them
	OnlyThere int       // transactions between Common and our last that only the source has
}

// An OnlyTxn is a transaction that one side lacks.
type OnlyTxn struct {
	TID         fs.TID
	User        string
	Description string
}

// maxListed is how many transactions a DivergedError lists.
const maxListed = 10

// Error tells the last common transaction, what only one side has, and what was
// found.
func (e *DivergedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %v", e.Path, ErrDiverged)
	if e.Common == 0 {
		fmt.Fprintf(&b, ": no transaction in common with %s", e.Source)
	} else {
		fmt.Fprintf(&b, " after %s (%s)", e.Common, e.Common.Time().Format("2006-01-02 15:04:05Z"))
	}
	if e.OnlyHere > 0 {
		fmt.Fprintf(&b, ": %s unknown to %s", countTxns(e.OnlyHere, "here is", "here are"), e.Source)
	}
	if e.OnlyThere > 0 {
		fmt.Fprintf(&b, ": %s missing here", countTxns(e.OnlyThere, "of "+e.Source+" is", "of "+e.Source+" are"))
	}
	return b.String() + ": " + e.Detail
}

func countTxns(n int, one, many string) string {
	if n == 1 {
		return "1 transaction " + one
	}
	return fmt.Sprintf("%d transactions %s", n, many)
}

func countOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Is makes every DivergedError match [ErrDiverged].
func (e *DivergedError) Is(target error) bool { return target == ErrDiverged }

// errWiden says that nothing that was compared is in both histories: more has
// to be asked for.
var errWiden = errors.New("no common transaction in what was compared")

// A leftError says that a comparison was left in the middle of a transaction
// that is in both histories, because the rest of it is blobs: it is to go on
// after that transaction, on another connection.
type leftError struct{ at start }

func (e *leftError) Error() string {
	return fmt.Sprintf("left transaction %s, whose blobs are large", e.at.tid)
}

// A start is where the comparison of histories begins.
type start struct {
	tid fs.TID // the source is asked for what comes after it; 0: for everything

	// Of a comparison that was left: the transactions found equal so far, of
	// which tid is the last; its status at the source; the blobs missing here.
	matched      int
	theirs       fs.Status
	blobsMissing int
}
