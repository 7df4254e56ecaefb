// Package node runs a server of one storage and keeps its role.
//
// A primary follows a data file that another process writes, and serves it. A
// secondary writes its file with what its sources send, and may serve it too.
// [Node.Promote] makes a primary of a running secondary: it applies what has
// arrived, leaves its source, begins a new epoch, and lets go of the file for
// the process that is to write it; the secondaries that it serves stay.
package node
