package verify

import (
	"errors"
	"time"

	"zrs/internal/fs"
)

// A Relation says how two storages relate. It is a word of the program's output,
// and does not change.
type Relation string

// The relations, of A to B. Those after a pack differ, besides, by what a pack
// removes or marks, on either side.
const (
	Equal           Relation = "equal"
	Behind          Relation = "behind" // A is a beginning of B
	Ahead           Relation = "ahead"  // B is a beginning of A
	EqualAfterPack  Relation = "equal-after-pack"
	BehindAfterPack Relation = "behind-after-pack"
	AheadAfterPack  Relation = "ahead-after-pack"
	Diverged        Relation = "diverged" // each, or one, has what the other should have and hasn't
	Damaged         Relation = "damaged"  // one or both can't be read, or have lost blobs
)

// Same reports whether the two have the same current state.
func (r Relation) Same() bool { return r == Equal || r == EqualAfterPack }

// IsBehind reports whether A only lacks what was committed last.
func (r Relation) IsBehind() bool { return r == Behind || r == BehindAfterPack }

// afterPack returns the relation of two that differ by a pack besides.
func (r Relation) afterPack() Relation {
	switch r {
	case Equal:
		return EqualAfterPack
	case Behind:
		return BehindAfterPack
	case Ahead:
		return AheadAfterPack
	}
	return r
}

// A Comparison is what [Compare] finds.
type Comparison struct {
	Relation Relation
	Sides    [2]SideResult // A and B

	// ButForBlobs is the relation that the two would have if no blob was missing,
	// where that is all that is damaged; "" otherwise.
	ButForBlobs Relation

	// Equal transactions: how many, their records, and the last of those before
	// the first difference. 0: there is none.
	Transactions, Records int64
	LastCommon            fs.TID

	// Apart is by how much the side that is behind is: how many transactions,
	// and the time between the last of each.
	Apart     int64
	ApartTime time.Duration

	// Differences are what makes the two diverge, or lack blobs, besides
	// transactions that only one has: the first ones that were found, in the
	// order of their TIDs, and how many there are.
	Differences     []Difference
	DifferenceCount int64

	// Extensions is how many transactions have the same extension in other
	// bytes: a zc.zrs secondary pickles it anew.
	Extensions int64

	Blobs int64 // of what both have, that were compared or looked for
}

// A SideResult is what Compare finds about one of the two.
type SideResult struct {
	Name         string
	Transactions int64
	Records      int64
	First, Last  fs.TID // 0: it has no transactions
	PackedTo     fs.TID // the last transaction that a pack has marked, 0: none

	// PackedAway is what the other side has and a pack removed here.
	PackedTransactions, PackedRecords int64

	// Only are transactions that this side has and the other hasn't, without
	// what a pack explains: the first ones, and how many there are. Unless the
	// two have diverged they are the last ones of this side.
	Only      []OnlyTxn
	OnlyCount int64

	Tail         error // an unfinished transaction at the end, which does not count
	Damage       error // why it could not be read further
	BlobsMissing int64 // records of blobs without the blob
	Replaced     bool  // another file took the name meanwhile: blobs that it may have cost do not count as missing
}

// An OnlyTxn is a transaction that one side has.
type OnlyTxn struct {
	TID               fs.TID
	User, Description []byte
	Objects           []Object // the first ones
	ObjectCount       int64
}

// An Object is one that a transaction changed.
type Object struct {
	OID   fs.OID
	Class string // "module.name", "" if the record doesn't tell
	Gone  bool   // the object is deleted
}

// A DifferenceKind names what differs. It is a word of the program's output, and
// does not change.
type DifferenceKind string

// The kinds of differences.
const (
	DiffTexts       DifferenceKind = "texts"        // user or description
	DiffExtension   DifferenceKind = "extension"    // and not just its bytes
	DiffData        DifferenceKind = "data"         // of an object's record in a common transaction
	DiffRecord      DifferenceKind = "record"       // one side alone has it, in a common transaction that no pack has touched there
	DiffRevision    DifferenceKind = "revision"     // missing on a packed side, but neither superseded nor garbage there
	DiffLost        DifferenceKind = "lost-object"  // a pack took it, and now it is referred to
	DiffUnrelated   DifferenceKind = "unrelated"    // both have transactions, and none in common
	DiffFormat      DifferenceKind = "format"       // one file is of ZODB on Python 2
	DiffBlob        DifferenceKind = "blob"         // its contents
	DiffBlobMissing DifferenceKind = "blob-missing" // a record of a blob has no file
)

// A Difference is one thing that makes two storages diverge, or is damage.
type Difference struct {
	Kind  DifferenceKind
	Side  int // 0 or 1: where something is missing; -1: both have it, and it differs
	TID   fs.TID
	OID   fs.OID // not for transactions
	Class string

	// Digests are the starts of the SHA-256 digests of what differs, in hex;
	// Sizes their bytes. -1 is the size of an object that is gone.
	Digests [2]string
	Sizes   [2]int64

	Detail string // for people
}

// OfObject reports whether a difference of this kind is about an object.
func (k DifferenceKind) OfObject() bool {
	switch k {
	case DiffTexts, DiffExtension, DiffUnrelated, DiffFormat:
		return false
	}
	return true
}

// ErrDiffer is for those who make an error of a [Relation] that is neither Equal
// nor Damaged; Compare does not return it.
var ErrDiffer = errors.New("the storages differ")
