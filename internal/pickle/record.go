package pickle

import "bytes"

const (
	blobModule = "ZODB.blob"
	blobClass  = "Blob"
)

// IsBlobRecord reports whether data, a data record of ZODB, is the record of a
// blob: whether its first pickle is the class ZODB.blob.Blob and nothing else.
// It takes every form that a pickler gives this class. (ZODB itself doesn't see
// protocols 4 and 5; zc.zrs does.)
func IsBlobRecord(data []byte) bool {
	if len(data) >= 2 && data[0] == opProto && data[1] <= maxProto {
		data = data[2:]
	}
	if rest, ok := cutPrefix(data, "c"+blobModule+"\n"+blobClass+"\n"); ok {
		return bytes.HasPrefix(cutPut(rest), []byte{opStop})
	}
	if len(data) > 0 && data[0] == opGlobal {
		return false // nearly every record
	}
	if len(data) >= 9 && data[0] == opFrame {
		data = data[9:]
	}
	data, ok := cutText(data, blobModule)
	if !ok {
		return false
	}
	data, ok = cutText(data, blobClass)
	if !ok || len(data) == 0 || data[0] != opStackGlobal {
		return false
	}
	return bytes.HasPrefix(cutPut(data[1:]), []byte{opStop})
}

// cutText cuts the opcode that makes text off b, with the memo put after it.
func cutText(b []byte, text string) ([]byte, bool) {
	s := NewScanner(b)
	op, err := s.Next()
	if err != nil || string(op.Arg) != text {
		return nil, false
	}
	switch op.Code {
	case opShortBinUnicode, opBinUnicode, opBinUnicode8:
		return cutPut(b[op.End:]), true
	}
	return nil, false
}

// cutPut cuts a memo put off b, if there is one.
func cutPut(b []byte) []byte {
	s := NewScanner(b)
	op, err := s.Next()
	if err != nil {
		return b
	}
	switch op.Code {
	case opPut, opBinPut, opLongBinPut, opMemoize:
		return b[op.End:]
	}
	return b
}
