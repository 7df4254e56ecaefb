package monitor

import (
	"context"
	"net"
)

// askZRS asks the zrs server at the other end of conn, over which nothing has
// gone yet, and which has a deadline. It is called for what said nothing by
// itself, so a ZEO server that is slow, or hangs, may be there too: what does not
// answer as a zrs server is an [ErrSilent], [ErrHungUp] or [ErrAnswer].
func askZRS(_ context.Context, _ net.Conn) (*Report, error) {
	return nil, ErrSilent
}

// controlSocket returns the path of the Unix socket where the zrs server that
// has the data file path in its care can be asked, or "" if there is none.
func controlSocket(_ string) string { return "" }
