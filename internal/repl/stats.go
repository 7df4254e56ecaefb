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
	BlobsMissing atomic.Int64 // blob records that came without their blob, or whose blob is missing here
}

// counts are what was added to Stats, to be taken back from them.
type counts struct {
	transactions, records, bytes, blobs, blobBytes, blobsMissing int64
}

func (c *counts) takeFrom(s *Stats) {
	s.Transactions.Add(-c.transactions)
	s.Records.Add(-c.records)
	s.Bytes.Add(-c.bytes)
	s.Blobs.Add(-c.blobs)
	s.BlobBytes.Add(-c.blobBytes)
	s.BlobsMissing.Add(-c.blobsMissing)
	*c = counts{}
}
