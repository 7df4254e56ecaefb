// Package rewind takes the last transactions off a data file, after it has saved
// them.
//
// It is for a file that went on where it should not have: the one of a primary
// that comes back after another was promoted. What only it has is written to a
// salvage directory first, made durable, read back and compared; then the file is
// cut. A journal beside the file makes that whatever moment it ends at, the next
// run ends it as this one would have, and nothing is lost. docs/format.md has the
// steps, and what a crash leaves between any two of them.
package rewind
