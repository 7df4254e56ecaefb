package bench

import (
	"runtime"
	"slices"
	"time"
)

// A Result is one measurement. Rates are left to the reader: they follow from
// seconds, bytes and transactions.
type Result struct {
	Schema  int    `json:"schema"`
	Name    string `json:"name"`    // what was measured: "catch-up", "open", ...
	Subject string `json:"subject"` // of what: "zrs", "zc.zrs", "zc.zrs-zrs" (primary-secondary), ...
	Dataset string `json:"dataset,omitempty"`

	Seconds      float64 `json:"seconds"`
	Bytes        int64   `json:"bytes,omitempty"` // data and blobs
	Transactions int     `json:"transactions,omitempty"`
	Records      int     `json:"records,omitempty"`

	Latency   *Latency           `json:"latency,omitempty"`
	Processes map[string]*Usage  `json:"processes,omitempty"` // by role: "primary", "secondary"
	Extra     map[string]float64 `json:"extra,omitempty"`
}

// A Usage is what a process has used so far.
type Usage struct {
	RSS     int64   `json:"rss,omitempty"` // bytes, unless the process has ended
	PeakRSS int64   `json:"peak_rss"`      // bytes
	CPU     float64 `json:"cpu"`           // seconds, user and system
}

// Latency is the distribution of a delay, in seconds.
type Latency struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// newLatency sorts delays and picks from them.
func newLatency(delays []time.Duration) *Latency {
	if len(delays) == 0 {
		return nil
	}
	slices.Sort(delays)
	at := func(share float64) float64 {
		return delays[min(len(delays)-1, int(share*float64(len(delays))))].Seconds()
	}
	return &Latency{P50: at(0.50), P90: at(0.90), P99: at(0.99), Max: at(1)}
}

// A Machine says where results were measured.
type Machine struct {
	Schema int    `json:"schema"`
	Name   string `json:"name"` // "machine"
	OS     string `json:"os"`
	Arch   string `json:"arch"`
	CPUs   int    `json:"cpus"`
	CPU    string `json:"cpu,omitempty"`
	Memory int64  `json:"memory,omitempty"` // bytes
	Go     string `json:"go"`
	// Load is the load average of the minute before: what else ran.
	Load float64 `json:"load"`
}

// ThisMachine describes the machine that it runs on.
func ThisMachine() Machine {
	return Machine{
		Schema: schema,
		Name:   "machine",
		OS:     runtime.GOOS,
		Arch:   runtime.GOARCH,
		CPUs:   runtime.NumCPU(),
		CPU:    cpuModel(),
		Memory: totalMemory(),
		Go:     runtime.Version(),
		Load:   loadAverage(),
	}
}

// schema is the version of the objects printed; keys are only ever added.
const schema = 1
