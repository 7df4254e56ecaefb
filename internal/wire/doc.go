// Package wire is the codec of the ZRS replication protocol, versions zrs2.0
// and zrs2.1: frames, messages, the pickles inside them and the running
// checksum. It does no I/O. docs/protocol.md has the bytes.
//
// Everything on a connection is in frames, a 4-byte big-endian length and so
// many bytes of payload. The secondary sends the name of the protocol, the TID
// of its last transaction ([AppendHandshake]) and then only empty frames, as
// keep-alives. The primary answers with transactions, for as long as there are:
//
//	stream      = *transaction
//	transaction = T *record C
//	record      = S data            data is empty if there is none
//	            / B data *block     as many blocks as B says
//
// T, S, B and C are [Begin], [Store], [Blob] and [Commit], each pickled as a
// pair of its letter and a tuple of fields; data and blocks are raw. Which is
// due is known by position alone. C carries a digest of everything that
// the primary sent before it, see [Digest].
//
// Messages are written in the one form that all versions of zc.zrs on Python 2
// and 3 read: protocol 1, no memo, bytes as calls of _codecs.encode. A [Decoder]
// reads that form fast, and any other that a pickler may give the same values.
// It calls nothing that a pickle names.
//
// # Extensions
//
// The extension of a transaction is a pickle in the data file, but zc.zrs sends
// the dict it loads from it, and the secondary pickles that once more. Bytes do
// not always survive. Here they do, between two of ours: a [Begin] has the
// stored bytes, and an [Encoder] sends the first of these forms from which a
// Decoder gets exactly them back. A Decoder rebuilds what ZODB would store for
// the dict, unless there is a hint.
//
//  1. The dict as zc.zrs sends it; good for nearly all of them.
//  2. The stored opcodes, spliced into the message with their memo: for values
//     that refer to the same object twice.
//  3. A hint, then the dict as well as it can be given to a zc.zrs secondary,
//     or an empty one. The hint is the stored bytes as text, each byte as the
//     Latin-1 character, pushed (BINUNICODE) and popped again (POP) in front of
//     the dict. To Python that is nothing.
//
// Form 3 with an empty dict is also for what a secondary can't load or should
// not be asked to: classes of an application, for one. It would fail on that
// transaction again and again.
package wire
