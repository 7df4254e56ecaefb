// Package dump writes the transactions of a FileStorage as text, and reads them
// back.
//
//	txn 03f4961566666666 " "
//	user "admin"
//	description "undo v=2"
//	extension ""
//	obj 0000000000000001 from 03f496155ddddddd
//	obj 0000000000000002 75 sha1:723fd5021025d5461b88e36ad8140992f8ec2a01
//	…75 bytes…
//	obj 0000000000000003 delete
//
// is a transaction in zodbdump, the format of zodbtools; docs/format.md has all
// of it. A [Dumper] writes it, and JSON and the formats of ZODB's own tools. A
// [Decoder] reads zodbdump, and a [Restorer] writes what it reads into a
// FileStorage. A [Repozo] is a directory of repozo's backups.
package dump
