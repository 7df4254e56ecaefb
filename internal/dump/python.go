package dump

import (
	"bytes"
	"fmt"

	"zrs/internal/fs"
)

// appendBytesRepr appends what Python's repr of the bytes s is.
func appendBytesRepr(b, s []byte) []byte {
	quote := byte('\'')
	if bytes.IndexByte(s, '\'') >= 0 && bytes.IndexByte(s, '"') < 0 {
		quote = '"'
	}
	b = append(b, 'b', quote)
	for _, c := range s {
		switch {
		case c == '\\', c == quote:
			b = append(b, '\\', c)
		case c == '\t':
			b = append(b, `\t`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c < ' ', c >= 0x7f:
			b = append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&0xf])
		default:
			b = append(b, c)
		}
	}
	return append(b, quote)
}

// appendTimeStamp appends a TID as Python's TimeStamp prints it: what its digits
// say, be it the 31st of February, and the second rounded, be it to 60.
func appendTimeStamp(b []byte, tid fs.TID) []byte {
	high, second := int(tid>>32), float64(uint32(tid))*(60.0/(1<<16)/(1<<16))
	day := high / (24 * 60)
	return fmt.Appendf(b, "%04d-%02d-%02d %02d:%02d:%09.6f",
		day/(12*31)+1900, day/31%12+1, day%31+1, high/60%24, high%60, second)
}
