// Package verify finds what is wrong with a storage, and how two relate. It never
// mends anything.
package verify
