package dump

import (
	"crypto/sha1"
	"math"
	"strconv"
)

// A formatter writes transactions in one format. It may be used by several
// goroutines at once.
type formatter interface {
	head(o *output, x *txn)
	record(o *output, x *txn, r *record, first bool) error
	tail(o *output, x *txn)
}

func (d *Dumper) formatter() formatter {
	switch d.Format {
	case JSON:
		return &jsonFormat{data: d.Data, hash: d.HashOnly, flat: d.Records}
	case Fsdump:
		return fsdump{}
	}
	return &zodbdump{hashOnly: d.HashOnly, disk: d.Disk}
}

// zodbdump is the format of zodbtools (zodbtools/zodbdump.py, 0.0.0.dev9).
type zodbdump struct{ hashOnly, disk bool }

func (*zodbdump) head(o *output, x *txn) {
	b := append(o.b, "txn "...)
	b = appendHex(b, uint64(x.TID))
	b = append(b, ' ')
	b = AppendQuoted(b, []byte{byte(x.Status)})
	b = AppendQuoted(append(b, "\nuser "...), x.User)
	b = AppendQuoted(append(b, "\ndescription "...), x.Description)
	b = AppendQuoted(append(b, "\nextension "...), x.Extension)
	o.b = append(b, '\n')
}

func (z *zodbdump) record(o *output, x *txn, r *record, _ bool) error {
	b := append(o.b, "obj "...)
	b = appendHex(b, uint64(r.OID))
	switch {
	// What leads back to a deletion is a deletion for zodbtools, which could
	// not restore anything else. Written so it would come back without its
	// pointer, so the order of the file, which is for our own restore, has it.
	case r.gone() && (r.Back == 0 || !z.disk):
		o.b = append(b, " delete\n"...)
		return nil
	case r.Length == 0:
		b = append(b, " from "...)
		b = appendHex(b, uint64(r.found.BackTID))
		o.b = append(b, '\n')
		return nil
	}
	o.b = b
	data, err := x.data(r, math.MaxInt64)
	if err != nil {
		return err
	}
	sum := sha1.Sum(data)
	b = append(b, ' ')
	b = strconv.AppendInt(b, r.Length, 10)
	b = append(b, " sha1:"...)
	for _, c := range sum {
		b = append(b, hexDigits[c>>4], hexDigits[c&0xf])
	}
	if z.hashOnly {
		o.b = append(b, " -\n"...)
		return nil
	}
	o.b = append(b, '\n')
	if err := o.data(data); err != nil {
		return err
	}
	o.b = append(o.b, '\n')
	return nil
}

func (*zodbdump) tail(o *output, _ *txn) { o.b = append(o.b, '\n') }

// appendHex appends v as 16 hex digits.
func appendHex(b []byte, v uint64) []byte {
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, hexDigits[v>>shift&0xf])
	}
	return b
}
