package wire

import (
	"crypto/md5"
	"hash"

	"github.com/zeebo/xxh3"

	"zrs/internal/fs"
)

// DigestSize is the size of a digest in bytes, of either kind.
const DigestSize = md5.Size

// A Digest is the running checksum of one connection. Both ends feed it the payload
// of every frame that the primary sends, C messages too; one that arrives is
// compared with the sum first, and one that is sent carries it.
//
// It is MD5, the choice of zc.zrs's protocols, or in [ProtocolZRS1] the 128 bits of
// XXH3 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md), which take a twentieth of the
// time. Either finds accidents, and forgeries by nobody.
type Digest struct {
	md5 hash.Hash // nil: it is XXH3
	xxh xxh3.Hasher
	sum [DigestSize]byte
}

// NewDigest returns the Digest that belongs to a protocol, seeded with the start TID
// of the handshake.
func NewDigest(protocol string, start fs.TID) *Digest {
	d := new(Digest)
	if protocol != ProtocolZRS1 {
		d.md5 = md5.New()
	}
	d.Add(start.AppendTo(d.sum[:0]))
	return d
}

// Add adds a payload.
func (d *Digest) Add(payload []byte) {
	if d.md5 != nil {
		d.md5.Write(payload)
		return
	}
	_, _ = d.xxh.Write(payload) // it never fails
}

// Sum returns the digest of what was added so far.
func (d *Digest) Sum() [DigestSize]byte {
	if d.md5 == nil {
		return d.xxh.Sum128().Bytes()
	}
	d.md5.Sum(d.sum[:0])
	return d.sum
}

// Clone returns a Digest that goes on from here on its own.
func (d *Digest) Clone() *Digest {
	if d.md5 == nil {
		return &Digest{xxh: d.xxh}
	}
	h, err := d.md5.(hash.Cloner).Clone()
	if err != nil {
		panic(err) // crypto/md5 can't fail at this
	}
	return &Digest{md5: h}
}
