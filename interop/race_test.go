//go:build race

package interop

// Under go test -race zrs is built with the race detector too. What that finds
// is in zrs's log, and makes its exit code 66 at the end.
func init() { buildFlags = append(buildFlags, "-race") }
