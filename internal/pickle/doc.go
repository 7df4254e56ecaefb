// Package pickle reads and writes Python pickles as data. It imports nothing,
// calls nothing and makes no objects: a class is a name, a call is a pair of
// callable and arguments, and only the two calls that Python's own picklers
// use to spell bytes in protocols 0 to 2 are worked out.
//
// A [Scanner] cuts a pickle into opcodes; it knows all of protocols 0 to 5. A
// [Decoder] runs them and gives a graph of [Value], in which an object that the
// pickle refers to twice is one Value, and which may have cycles. An [Encoder]
// writes such a graph in the two forms that replication needs: protocol 1
// without memo, as zc.zrs sends it, and protocol 3 as ZODB stores it.
// [AppendSplice] goes from the second to the first opcode by opcode, and keeps
// what the graph would lose. The forms are described in docs/protocol.md.
//
// Input is hostile until proved otherwise. Nothing here recurses, and time and
// memory are bounded by the length of the input and by the limits of limits.go.
package pickle
