// Package epoch knows which storage may follow which.
//
// A database has an identity. Its history is divided into epochs: one begins
// when a primary begins, first of all or by promotion. A [Lineage] names the
// database, the present epoch, and for each epoch before it the last
// transaction that belongs to this history. [Lineage.MayFollow] compares two of
// them: it finds, before a byte of data is sent, what a comparison of the
// histories may find too late or not at all.
//
// A [Sidecar] is the file beside a data file that keeps its lineage and role.
// Its format is in docs/format.md. Without one all of this is unknown, and
// unknown is never taken for fine: the histories are compared then.
package epoch
