// Package bench measures zrs against what it replaces, on the same data in the
// same run: zc.zrs for replication, ZODB for opening a file, and the limits of
// the machine (disk, loopback, MD5) for how fast it could be at all.
//
// Its parts are independent of each other: [Generate] makes the data once, each
// measurement is a function that returns a [Result], and zrsbench runs them and
// prints one JSON object a line. What works with processes needs Linux.
package bench
