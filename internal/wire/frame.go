package wire

import (
	"encoding/binary"
	"math"

	"zrs/internal/fs"
)

// The names of the protocol. They differ only in that a zrs2.1 stream may have
// B messages; a primary with blobs refuses zrs2.0.
const (
	Protocol20 = "zrs2.0"
	Protocol21 = "zrs2.1"
)

// Sizes of a stream's parts.
const (
	FrameHeaderSize = 4

	// BlockSize is the size of all blocks of a blob but the last.
	BlockSize = 65536
)

// Limits on payloads, for [FrameSize]. A frame may announce 4 GiB.
const (
	// MaxHandshakeFrame is for all that a secondary sends: a protocol name of
	// 6 bytes, a TID of 8 and empty frames. zc.zrs has the same limit.
	MaxHandshakeFrame = 8

	// MaxMessage is for T, S, B and C. The largest is T. Its three fields, at
	// most 64 KiB each as they are stored, grow to 2, 2 and in the worst of
	// pickles 19 times their size, and a hint takes twice the extension again:
	// 1.6 MiB. A larger one has an extension that can't be stored.
	MaxMessage = 2 << 20

	// MaxData is for data records, one of which has to fit into memory. ZODB
	// warns of records over 16 MiB, and larger ones exist; a limit that stops
	// a good stream would do more harm than this one.
	MaxData = 1 << 30

	// MaxBlock is for the blocks of a blob. Those of zc.zrs have at most
	// BlockSize, but its secondaries take any, and so other primaries may send
	// larger ones.
	MaxBlock = 1 << 20
)

// AppendFrame appends payload as a frame. An empty frame is a keep-alive.
func AppendFrame(b, payload []byte) []byte {
	return append(AppendFrameHeader(b, len(payload)), payload...)
}

// AppendFrameHeader appends the header of a frame of n bytes. It panics if no
// frame can be so large; callers know their own payloads.
func AppendFrameHeader(b []byte, n int) []byte {
	if n < 0 || int64(n) > math.MaxUint32 {
		panic("wire: frame size out of range")
	}
	return binary.BigEndian.AppendUint32(b, uint32(n))
}

// FrameSize returns the size of the payload that follows header, of which the
// first FrameHeaderSize bytes count. It returns a [*FrameError] if that is over
// the limit.
func FrameSize(header []byte, limit int) (int, error) {
	n := binary.BigEndian.Uint32(header)
	if int64(n) > int64(limit) {
		return 0, &FrameError{Size: int64(n), Limit: int64(limit)}
	}
	return int(n), nil
}

// AppendHandshake appends the two frames with which a secondary opens a
// connection: the protocol, and the TID after which it wants transactions.
func AppendHandshake(b []byte, protocol string, start fs.TID) []byte {
	b = AppendFrame(b, []byte(protocol))
	b = AppendFrameHeader(b, 8)
	return start.AppendTo(b)
}
