// Package interop tests zrs against the real thing: zc.zrs at the other end of
// a connection, ZODB writing the files that zrs follows, ZODB opening what zrs
// wrote. Everything is in its tests, which need no more than Python 3.10; they
// install the rest themselves, pinned (venv.sh).
//
// TestMatrix is the heart: what zrs and zc.zrs make of every kind of content in
// every combination of primary and secondary. Its tables (cases_test.go) are
// also the record of where zc.zrs falls short.
//
//	go test ./interop                             # all
//	go test ./interop -run TestMatrix/zrs-zczrs   # one pair: primary-secondary
//	go test ./interop -run 'TestMatrix/.*/undo$'  # one case in all pairs
//	go test ./interop -run '/^zczrs-zczrs$'       # the baseline, without zrs
//
// The Python environments are in .venv at the root of the repository, or where
// ZRS_INTEROP_VENVS says; PYTHON names the interpreter that makes them. With
// -race, zrs has the race detector too.
//
// The last, unreleased source of zc.zrs is on no package index. To test with it,
// install it in an environment of its own, with ZODB 5.8, and name that one's
// interpreter:
//
//	ZRS_INTEROP_LEGACY=DIR/bin/python go test ./interop -run 'TestMatrix|TestCascade'
package interop
