// Package repl is both ends of a replication connection.
//
// A [Primary] serves the transactions of a log (package fs) to any number of
// secondaries, its own or zc.zrs'. A [Secondary] brings a data file up to what a
// source has: for ever ([Secondary.Run]) or once ([Secondary.Catchup]).
//
//	log ─► feed ─► outgoing ─► network ─► receiver ─► verify ─► session ─► fs.Writer
//	       encodes  checksums              cuts into   checks    compares,
//	       once     and sends              events      checksum  then appends
//
// Before a secondary appends anything it makes the source show a piece of
// history that both must have, and compares. docs/protocol.md has the order of
// messages and the rules of that comparison.
package repl
