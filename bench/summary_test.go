package bench

import (
	"strings"
	"testing"
)

func TestSummary(t *testing.T) {
	catchUp := func(subject, dataset string, seconds float64) *Result {
		return &Result{
			Name: "catch-up", Subject: subject, Dataset: dataset, Seconds: seconds, Bytes: 1e9,
			Processes: map[string]*Usage{"primary": {CPU: 1, PeakRSS: 1e6}, "secondary": {CPU: 1, PeakRSS: 1e6}},
		}
	}
	results := []*Result{
		{Name: "limit", Subject: "md5", Dataset: "records", Seconds: 2, Bytes: 1e9},
		{Name: "limit", Subject: "write", Dataset: "records", Seconds: 4, Bytes: 1e9},
		catchUp("zc.zrs-zc.zrs", "records", 30),
		catchUp("zrs-zrs2.1-server", "records", 9),
		catchUp("zrs-zrs2.1-server", "records", 3),
		catchUp("zrs-zrs2.1-server", "records", 2),
		catchUp("zc.zrs-zc.zrs", "tiny", 20),
		catchUp("zrs-zrs2.1-server", "tiny", 2),
	}
	rows := map[string]Row{}
	for _, row := range Summary(results) {
		rows[row.What] = row
	}
	row := rows["seed, 1 GB of 1 kB records, zrs2.1"]
	if row.Ratio != "10.0" || !row.Met || !strings.Contains(row.Note, "133 % of write (250 MB/s)") {
		t.Errorf("of the median of repeated results: %+v", row)
	}
	if row := rows["seed, 100 000 tiny transactions, zrs2.1"]; row.Ratio != "10.0" || row.Met {
		t.Errorf("of a target that is missed: %+v", row)
	}
	if row, ok := rows["blobs of 1 MiB, 1 GiB"]; ok {
		t.Errorf("of nothing measured: %+v", row)
	}
	var b strings.Builder
	if err := WriteSummary(&b, Machine{CPUs: 2}, results); err != nil {
		t.Fatal(err)
	}
	width := 0
	for line := range strings.Lines(b.String()) {
		if !strings.HasPrefix(line, "|") {
			width = 0
			continue
		}
		if strings.HasPrefix(line, "| limit") {
			width = 0
		}
		if n := len([]rune(line)); width == 0 {
			width = n
		} else if n != width {
			t.Errorf("a row of %d characters in a table of %d: %s", n, width, line)
		}
	}
}
