// Package verify finds what is wrong with a storage. It never mends anything, and
// changes nothing.
//
// [Sound] reads one data file, once, and everything that belongs to it: its
// index, its blobs, and on request the references between its objects. It goes on
// behind what it finds. What it finds is a [Finding]: a kind, a place, and what it
// means for whoever runs the database.
//
// [Compare] tells how two storages relate, of which either may be what a primary
// sends. The rules, and why they are right, are in docs/format.md.
//
// FileStorage has no checksums. A bit that flipped in an object's pickle, or in a
// user's name, shows in no structure; only another copy, or digests that were kept
// elsewhere, can tell: [DigestFile], [WriteManifest] and [CheckManifest].
package verify
