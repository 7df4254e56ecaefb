package wire

import (
	"crypto/md5"
	"hash"

	"zrs/internal/fs"
)

// A Digest is the running MD5 of one connection. Both ends feed it the payload
// of every frame that the primary sends, C messages too; one that arrives is
// compared with the sum first, and one that is sent carries it.
//
// MD5 is the protocol's choice. It finds accidents, and forgeries by nobody.
type Digest struct {
	hash hash.Hash
	sum  [md5.Size]byte
}

// NewDigest returns a Digest seeded with the start TID of the handshake.
func NewDigest(start fs.TID) *Digest {
	d := &Digest{hash: md5.New()}
	d.Add(start.AppendTo(d.sum[:0]))
	return d
}

// Add adds a payload.
func (d *Digest) Add(payload []byte) { d.hash.Write(payload) }

// Sum returns the digest of what was added so far.
func (d *Digest) Sum() [md5.Size]byte {
	d.hash.Sum(d.sum[:0])
	return d.sum
}

// Clone returns a Digest that goes on from here on its own.
func (d *Digest) Clone() *Digest {
	h, err := d.hash.(hash.Cloner).Clone()
	if err != nil {
		panic(err) // crypto/md5 can't fail at this
	}
	return &Digest{hash: h}
}
