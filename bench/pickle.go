package bench

import "encoding/binary"

// The pickles that ZODB writes for a PersistentMapping and for a Blob, in
// protocol 3. The class of a mapping has number 0 in the memo, which the
// pickle of its state goes on to use.

const (
	mappingClass = "\x80\x03cpersistent.mapping\nPersistentMapping\nq\x00."
	blobData     = "\x80\x03cZODB.blob\nBlob\nq\x00.\x80\x03N."
)

// appendMapping appends the data record of a mapping that has a payload and
// refers to children, which are mappings too.
func appendMapping(b []byte, payload []byte, children []uint64) []byte {
	b = append(b, mappingClass...)
	b = append(b, "\x80\x03}q\x01"...)
	b = appendString(b, "data")
	b = append(b, "}("...)
	b = appendString(b, "children")
	b = append(b, "](" /* MARK, items */ ...)
	for _, oid := range children {
		b = appendReference(b, oid, "h\x00")
	}
	b = append(b, 'e')
	b = appendString(b, "payload")
	b = append(b, 'B')
	b = binary.LittleEndian.AppendUint32(b, uint32(len(payload)))
	b = append(b, payload...)
	return append(b, "us."...)
}

// appendRoot appends the data record of a root that refers to blobs.
func appendRoot(b []byte, blobs []uint64) []byte {
	b = append(b, mappingClass...)
	b = append(b, "\x80\x03}q\x01"...)
	b = appendString(b, "data")
	b = append(b, "}"...)
	b = appendString(b, "blobs")
	b = append(b, "]("...)
	for _, oid := range blobs {
		b = appendReference(b, oid, "cZODB.blob\nBlob\n")
	}
	return append(b, "ess."...)
}

func appendString(b []byte, s string) []byte {
	b = append(b, 'X')
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

// appendReference appends a persistent id: the pair of OID and class.
func appendReference(b []byte, oid uint64, class string) []byte {
	b = append(b, "C\x08"...)
	b = binary.BigEndian.AppendUint64(b, oid)
	b = append(b, class...)
	return append(b, "\x86Q"...)
}
