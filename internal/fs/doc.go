// Package fs reads and writes ZODB FileStorages: the data file, its index, its
// lock and its blobs. Everything else in zrs stands on it.
//
//	file        = magic transaction*
//	transaction = header user description extension record* length
//	record      = header ( data | back pointer )
//
// The layout of headers is at the top of format.go; docs/format.md has all of
// it, with what may be relied on while another process writes, and what a crash
// leaves behind.
//
// A [Reader] passes over transactions and their records and checks their
// structure. A [Log] is a data file with a published end, which all who follow a
// database read through a [Cursor]: a [Tailer] publishes what another process
// commits, a [Writer] what this one appends. An [Index] maps objects to their
// current records, a [BlobDir] holds the blobs, and [LockFile] takes the lock that
// ZODB's writers hold. Damage is a [RecordError] that says where and what; a torn
// tail, which a crash explains, is told apart from it.
package fs
