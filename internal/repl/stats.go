package repl

import "sync/atomic"

// Stats count what a secondary did. They may be read at any time.
type Stats struct {
	Received     atomic.Int64 // bytes read from sources
	Compared     atomic.Int64 // transactions found equal to the source's
	Transactions atomic.Int64 // appended and durable, or about to be
	Records      atomic.Int64
	Bytes        atomic.Int64 // appended to the data file
	Blobs        atomic.Int64
	BlobBytes    atomic.Int64
	BlobsMissing atomic.Int64 // blob records that came without their blob
}
