package verify

import "sync/atomic"

// A Progress tells how far a verification is. It may be read at any time.
type Progress struct {
	Bytes, Transactions atomic.Int64 // bytes out of Total
	Total               atomic.Int64
}
