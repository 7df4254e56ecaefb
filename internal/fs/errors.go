package fs

import (
	"errors"
	"fmt"
	"strings"
)

// Causes that callers branch on.
var (
	// ErrDamaged is matched by every [RecordError] whose kind is damage.
	ErrDamaged = errors.New("the data file is damaged")

	// ErrTornTail is matched by a [RecordError] for bytes after the last
	// complete transaction that a crash of a writer explains, with nothing
	// whole behind them. It is normal after a crash, not damage.
	ErrTornTail = errors.New("incomplete transaction at end of file")

	// ErrFormat is returned for a file that is no data file, or of a format
	// that can't be used in this way.
	ErrFormat = errors.New("not a usable FileStorage data file")

	// ErrTIDTooHigh is returned when a place after a transaction is asked for
	// that is later than the last one of the file.
	ErrTIDTooHigh = errors.New("later than the last transaction")

	// ErrTIDUnknown is returned when a place after a transaction is asked for
	// that the file never had: it lies between two transactions that no pack
	// has touched.
	ErrTIDUnknown = errors.New("transaction is not in the history")

	// ErrTruncated is returned when a file has become shorter than what was
	// read from it and announced.
	ErrTruncated = errors.New("data file was truncated below what was read from it")

	// ErrReplaced is returned when another file, which does not continue it,
	// has taken a data file's name.
	ErrReplaced = errors.New("data file was replaced by one that does not continue it")

	// ErrMissing is returned when a data file's name has gone and no pack
	// explains it.
	ErrMissing = errors.New("data file has disappeared")

	// ErrWouldCreate is returned instead of creating a database where other
	// files say that there was one (a pack that crashed between its renames).
	ErrWouldCreate = errors.New("refusing to create a database where one was")

	// ErrTIDOrder is returned when a transaction to be written is not later
	// than the last one.
	ErrTIDOrder = errors.New("transaction id is not above the last one")
)

// A Kind names what is wrong at a place of a data file. It is a word of the
// program's output, and does not change.
type Kind string

// The kinds of a [RecordError].
const (
	KindTornTail   Kind = "torn-tail"         // not damage, see ErrTornTail
	KindMagic      Kind = "magic"             // the file's first bytes are not those of its format
	KindLength     Kind = "length"            // a transaction's stored length can't be
	KindTrailer    Kind = "redundant-length"  // the length after the transaction is another
	KindStatus     Kind = "status"            // no known status
	KindCheckpoint Kind = "checkpoint"        // status c, with whole transactions behind it
	KindTexts      Kind = "header-texts"      // lengths of texts that don't lead to the first record; only Inspect tells
	KindRecord     Kind = "record-length"     // a record does not fit in its transaction
	KindTxnOffset  Kind = "record-txn-offset" // a record names another transaction's offset
	KindPrevious   Kind = "record-previous"   // a record's previous pointer leads forward
	KindVersion    Kind = "version-record"    // a version record, or a damaged version length
	KindBack       Kind = "back-pointer"      // a back pointer leads nowhere, or to another object
	KindTID        Kind = "tid-order"         // a TID not above the one before
	KindIO         Kind = "io"                // reading failed, see Err
)

// A RecordError says where in a data file something is wrong, and what.
type RecordError struct {
	Path   string // data file, "" if unknown
	Offset int64  // start of the transaction or record
	TID    TID    // transaction concerned, 0 if unknown
	Kind   Kind
	Detail string // found and wanted, for people
	Err    error  // the cause, if there is one beyond the bytes themselves
}

// Error tells path, offset, transaction and what is wrong, outside in.
func (e *RecordError) Error() string {
	var b strings.Builder
	if e.Path != "" {
		b.WriteString(e.Path + ": ")
	}
	fmt.Fprintf(&b, "offset %d: ", e.Offset)
	if e.TID != 0 {
		fmt.Fprintf(&b, "transaction %s: ", e.TID)
	}
	switch {
	case e.Kind == KindTornTail:
		b.WriteString(ErrTornTail.Error())
	case e.Err == nil:
		b.WriteString("damaged " + string(e.Kind))
	}
	if e.Detail != "" {
		if e.Err == nil {
			b.WriteString(": ")
		}
		b.WriteString(e.Detail)
	}
	if e.Err != nil {
		if e.Detail != "" {
			b.WriteString(": ")
		}
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *RecordError) Unwrap() error { return e.Err }

// Is makes every damage match [ErrDamaged] and a torn tail [ErrTornTail].
func (e *RecordError) Is(target error) bool {
	switch target {
	case ErrTornTail:
		return e.Kind == KindTornTail
	case ErrDamaged:
		return e.Kind != KindTornTail && e.Kind != KindIO
	}
	return false
}
