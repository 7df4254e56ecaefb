package main

import (
	"testing"

	"zrs/internal/control"
)

func TestBehind(t *testing.T) {
	for _, tt := range []struct {
		lag   control.Lag
		eta   *float64
		trend string
		want  string
	}{
		{control.Lag{}, nil, "growing", "how far behind is unknown"},
		{control.Lag{Seconds: new(0.0), Bytes: new(int64(0))}, nil, "", "nothing behind"},
		{control.Lag{Seconds: new(2.5)}, nil, "", "2.5s behind"},
		{control.Lag{Seconds: new(2.5), Transactions: new(int64(1)), Bytes: new(int64(5123))}, nil, "", "2.5s, 1 transaction, 5.0 KiB behind"},
		{control.Lag{Seconds: new(61.0), Transactions: new(int64(1200)), Bytes: new(int64(300))}, new(3.0), "shrinking", "1m1s, 1 200 transactions, 300 B behind, 3s to go, shrinking"},
		{control.Lag{Seconds: new(0.0), Transactions: new(int64(2)), Bytes: new(int64(300))}, nil, "", "0s, 2 transactions, 300 B behind"},
	} {
		if got := behind(tt.lag, tt.eta, tt.trend); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
