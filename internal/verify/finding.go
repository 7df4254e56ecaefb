package verify

import (
	"fmt"

	"zrs/internal/fs"
)

// The kinds of findings beyond those of package fs. They are words of the
// program's output, and do not change.
const (
	KindNoBytes   fs.Kind = "no-bytes"             // the file is empty
	KindTxnTID    fs.Kind = "transaction-tid"      // all records of a transaction have another TID than its header
	KindRecordTID fs.Kind = "record-tid"           // a record has another TID than its transaction
	KindPrevChain fs.Kind = "prev-chain"           // a record's previous pointer leads past or beside the one before
	KindEntry     fs.Kind = "index-entry"          // the index leads to another place than the object's last record
	KindMissing   fs.Kind = "index-missing-object" // the index lacks an object
	KindExtra     fs.Kind = "index-extra-object"   // the index has an object that the file hasn't
	KindBlob      fs.Kind = "blob-missing"         // a blob record without a file
	KindBlobFile  fs.Kind = "blob-not-file"        // what has a blob's name is no regular file
	KindExtraBlob fs.Kind = "blob-without-record"  // a blob file without a record
	KindRoot      fs.Kind = "root-missing"         // there are objects but no root
	KindDangling  fs.Kind = "dangling-reference"   // a reference to an object that does not exist
	KindPickle    fs.Kind = "pickle"               // an object's current data is not two pickles with sane references
	KindUnread    fs.Kind = "not-checked"          // a record that is too large to be looked into
)

// A Severity says how grave a finding is.
type Severity int

// The severities, the gravest last.
const (
	Note       Severity = iota // normal, or harmless
	Incomplete                 // a blob is missing, nothing else
	Damage
)

// String returns note, incomplete or damage.
func (s Severity) String() string { return [...]string{"note", "incomplete", "damage"}[s] }

// NoOffset is the offset of a [Finding] that is about no place of the data file.
const NoOffset = -1

// A Finding is one thing that is wrong, or worth knowing.
type Finding struct {
	Kind     fs.Kind
	Severity Severity
	Offset   int64  // in the data file, of the transaction or record concerned; or NoOffset
	TID      fs.TID // 0 if there is none
	OID      fs.OID // counts if HasOID
	HasOID   bool
	Detail   string // found and wanted

	File   string // path of the index or blob concerned, "" if it is the data file
	Class  string // of the object OID, where that was looked at
	Target fs.OID // the object that a dangling reference leads to

	// Path leads from the root to the object OID of a dangling reference, both
	// included. It is empty if nothing leads there.
	Path []Step
}

// A Step is an object on a path of references.
type Step struct {
	OID     fs.OID
	Class   string
	Skipped int // objects left out of the path before this one
}

// Meaning says what the finding means for the operator, and what to do.
func (f *Finding) Meaning() string { return meanings[f.Kind] }

const otherCopy = "take it from a replica or a backup"

// meanings has a sentence for every kind.
var meanings = map[fs.Kind]string{
	fs.KindTornTail:   "A writer was interrupted, or is at work. The next writer cuts this off; nothing committed is lost.",
	fs.KindLength:     "ZODB does not open this file without its index, or cuts off all that follows and keeps it as .tr0. Do not let it: " + otherCopy + ".",
	fs.KindTrailer:    "ZODB does not open this file without its index, and no tool reads past this place. The transaction itself may be fine.",
	fs.KindStatus:     "ZODB takes the transaction for complete, with a warning, or fails to open the file. Packing it is refused.",
	fs.KindCheckpoint: "ZODB takes this for the end of the file: opened without its index, all that follows is cut off and kept as .tr0. Do not let it.",
	fs.KindTexts:      "ZODB does not open this file without its index; the records of the transaction can be read, its texts cannot be trusted.",
	fs.KindRecord:     "ZODB does not open this file without its index; the object cannot be loaded, and records behind it only by the index.",
	fs.KindTxnOffset:  "ZODB does not open this file without its index; the object cannot be loaded.",
	fs.KindPrevious:   "Loading the object works; its history and undo do not, and the file cannot be packed.",
	fs.KindVersion:    "ZODB cannot load the object. If the file is from before ZODB 3.9, pack it with the ZODB that it is from.",
	fs.KindBack:       "The object cannot be loaded as of this transaction, or loads as something else. The file cannot be packed.",
	fs.KindTID:        "Ids must rise: the file cannot be packed, and replication may skip transactions. A clock or a copying tool did this, or damage.",
	fs.KindMagic:      "ZODB does not open this file. Its first four bytes should be FS30.",
	KindNoBytes:       "ZODB makes a new, empty database of this file. If there was a database here it is lost: do not start ZODB, " + otherCopy + ".",
	KindTxnTID:        "The id of the transaction was damaged. Loading works; undo, replication and time travel meet another id than the objects have.",
	KindRecordTID:     "The id of this revision is not its transaction's: caches and conflict resolution may go wrong. Loading works.",
	KindPrevChain:     "Loading the object works. Its history is cut or mixed up: undo, historical connections and long-running readers may fail.",
	KindEntry:         "ZODB, opened with this index, loads another revision of the object, or fails. Stop ZODB, remove the index file, start: it makes a new one.",
	KindMissing:       "ZODB, opened with this index, does not find the object. Stop ZODB, remove the index file, start: it makes a new one.",
	KindExtra:         "ZODB, opened with this index, looks for an object where there is none. Stop ZODB, remove the index file, start: it makes a new one.",
	KindBlob:          "The object loads but its file does not open: " + otherCopy + ".",
	KindBlobFile:      "ZODB expects a regular file here: " + otherCopy + ".",
	KindExtraBlob:     "Normal after an aborted transaction or a crash. It takes space and does no harm.",
	KindRoot:          "ZODB makes a new, empty root when it opens this file, and the site looks empty. Packing with garbage collection fails, or would remove everything.",
	KindDangling:      "Whoever follows the reference gets a POSKeyError. If a replica or an older backup has the object, it can be brought back from there.",
	KindPickle:        "The object fails to load, and packing with garbage collection fails on it: " + otherCopy + ".",
	KindUnread:        "References from this object are not known.",
}

// damage turns what package fs found into a finding.
func damage(e *fs.RecordError) Finding {
	return Finding{Kind: e.Kind, Severity: Damage, Offset: e.Offset, TID: e.TID, Detail: e.Detail}
}

// about returns a finding of damage to a record.
func about(rec *fs.Record, kind fs.Kind, format string, args ...any) Finding {
	return Finding{
		Kind: kind, Severity: Damage, Offset: rec.Offset, TID: rec.TID, OID: rec.OID, HasOID: true,
		Detail: fmt.Sprintf(format, args...),
	}
}
