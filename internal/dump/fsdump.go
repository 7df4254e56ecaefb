package dump

import (
	"fmt"

	"zrs/internal/fs"
	"zrs/internal/pickle"
)

// fsdump is the format of ZODB's fsdump (ZODB/FileStorage/fsdump.py, 6.4).
// Python loads the classes of pickles that begin in unusual ways, and prints
// what it got; here they are named as they are everywhere.
type fsdump struct{}

func (fsdump) head(o *output, x *txn) {
	b := fmt.Appendf(o.b, "Trans #%05d tid=%016x size=%d time=", x.number, uint64(x.TID), x.Length)
	b = appendTimeStamp(b, x.TID)
	b = fmt.Appendf(b, " offset=%d\n    status='%c' user=", x.Offset+x.TxnHeader.Size(), x.Status)
	b = appendBytesRepr(b, x.User)
	b = appendBytesRepr(append(b, " description="...), x.Description)
	o.b = append(b, '\n')
}

func (fsdump) record(o *output, x *txn, r *record, _ bool) error {
	b := fmt.Appendf(o.b, "  data #%05d oid=%016x", r.number, uint64(r.OID))
	if r.gone() {
		b = append(b, " class=undo or abort of object creation"...)
	} else {
		data, err := x.data(r, classLimit)
		if err != nil {
			return err
		}
		module, name, _ := pickle.ClassName(data)
		b = fmt.Appendf(b, " size=%d class=%s.%s", r.size(), module, name)
	}
	if r.found.BackTID != 0 {
		b = fmt.Appendf(b, " bp=%016x", uint64(r.found.BackTID))
	}
	o.b = append(b, '\n')
	return nil
}

func (fsdump) tail(*output, *txn) {}

// appendFstail appends a transaction in the format of ZODB's fstail
// (ZODB/scripts/fstail.py, 6.4), with the SHA-1 of its records.
func appendFstail(b []byte, t *fs.Txn, sum []byte) []byte {
	b = appendTimeStamp(b, t.TID)
	b = fmt.Appendf(b, ": hash=%x\nuser=", sum)
	b = appendTextRepr(b, t.User)
	b = appendTextRepr(append(b, " description="...), t.Description)
	return fmt.Appendf(b, " length=%d offset=%d (+%d)\n\n", t.Length, t.Offset, t.TxnHeader.Size())
}

// appendTextRepr appends what fstail prints for a text, which it reads only if
// there is one.
func appendTextRepr(b, s []byte) []byte {
	if len(s) == 0 {
		return append(b, "''"...)
	}
	return appendBytesRepr(b, s)
}
