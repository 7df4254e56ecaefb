// Package dump writes the transactions of a FileStorage as text, and reads them
// back.
//
// Its main format is zodbdump, that of zodbtools. A dump is transactions in
// ascending order, each of
//
//	txn TID "STATUS"                  16 hex digits; a blank, p (packed) or u (undone)
//	user "..."
//	description "..."
//	extension "..."                   the bytes of a pickle, or none
//	obj OID SIZE sha1:HEX             and in the following line SIZE bytes of data
//	obj OID SIZE sha1:HEX -           without the data
//	obj OID from TID                  has the data of an earlier transaction
//	obj OID delete                    does not exist from here on
//	(an empty line)
//
// with the objects in the order of their OIDs or, from a [Dumper] that is told so,
// in that of the file, which alone gives the same file again. [AppendQuoted] has
// the rules of quoting. Readers know more checksums: null, adler32, crc32, sha256
// and sha512. Blobs are not in a dump.
//
// A [Dumper] also writes JSON and the formats of ZODB's own tools. A [Decoder]
// reads zodbdump, and a [Restorer] writes what it reads into a FileStorage. A
// [Repozo] is a chain of backups that repozo made.
package dump
