package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Row of the summary compares zrs with what it replaces.
type Row struct {
	What     string
	Old, New string // of zc.zrs or ZODB, and of zrs
	Ratio    string
	Target   string
	Met      bool
	Note     string // which limit stops it, and how near that is
}

// Summary compares what was measured, one row for each line of the targets. The
// rows that nothing was measured for are missing. Of repeated measurements it
// takes the median.
func Summary(results []*Result) []Row {
	s := summary{}
	for _, r := range results {
		key := resultKey{r.Name, r.Subject, r.Dataset}
		s[key] = append(s[key], r)
	}
	var rows []Row
	all := []*Row{
		s.seed("seed, 1 GB of 1 kB records, zrs2.1", ZRS21Server, Records, 10),
		s.seed("the same, zrs catchup", ZRS21, Records, 10),
		s.seed("the same, two zrs", ZRSServer, Records, 10),
		s.seed("the same, two zrs, zrs catchup", ZRS, Records, 10),
		s.seed("seed, 100 000 tiny transactions, zrs2.1", ZRS21Server, Tiny, 20),
		s.seed("the same, zrs catchup", ZRS21, Tiny, 20),
		s.seed("the same, two zrs", ZRSServer, Tiny, 20),
		s.seed("the same, two zrs, zrs catchup", ZRS, Tiny, 20),
		s.mixed(ZRS, ZCZRS, Records),
		s.mixed(ZRS, ZCZRS, Tiny),
		s.mixed(ZCZRS, ZRS, Records),
		s.mixed(ZCZRS, ZRS, Tiny),
		s.blobs("blobs of 1 MiB, 1 GiB", SmallBlobs),
		s.blobs("blobs of 100 MiB, 1 GiB", LargeBlobs),
		s.latency("paced", "p50", 1),
		s.latency("paced", "p99", 5),
		s.latency("back-to-back", "p50", 1),
		s.latency("back-to-back", "p99", 5),
		s.latency("four-clients", "p50", 1),
		s.latency("four-clients", "p99", 5),
		s.open("open without index, 1 GB", Records),
		s.open("open without index, tiny", Tiny),
		s.verify(Checks[0]),
		s.verifyMemory(Checks[0]),
		s.verify(Checks[1]),
		s.verifyMemory(Checks[1]),
		s.compare(),
		s.compareLimit("verify two files (plain cmp)", CompareCopy),
		s.compareLimit("the same, records in other places", CompareShifted),
		s.forensicMemory(CompareCopy),
		s.dump(Dumps[0]),
		s.forensicMemory(Dumps[0].Name),
		s.dump(Dumps[1]),
		s.forensicMemory(Dumps[1].Name),
		s.restore(),
		s.forensicMemory("restore"),
		s.memory("memory, 10 stuck secondaries", "stuck-secondaries", "", "primary"),
		s.flat("the same, flat in size", "stuck-secondaries", ZRS, "primary"),
		s.memory("memory, secondary in seed", "catch-up", "-", "secondary"),
		s.flat("the same, flat in size", "catch-up", ZRS+"-"+ZRS, "secondary"),
	}
	all = append(all, s.promote("promote live, 1 GB", Records.Name), s.promote("promote live, 100 GB sparse", Huge))
	for _, command := range largeCommands {
		all = append(all, s.large(command))
	}
	for _, row := range all {
		if row != nil {
			rows = append(rows, *row)
		}
	}
	return rows
}

type resultKey struct{ name, subject, dataset string }

// A summary holds results that compare.
type summary map[resultKey][]*Result

// median returns the median of a figure of repeated results; ok is false if
// there are none.
func (s summary) median(key resultKey, figure func(*Result) float64) (v float64, ok bool) {
	var all []float64
	for _, r := range s[key] {
		all = append(all, figure(r))
	}
	if len(all) == 0 {
		return 0, false
	}
	slices.Sort(all)
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2, true
}

// both returns the same figure of two subjects; ok is false if one is missing.
func (s summary) both(name, older, newer, dataset string, figure func(*Result) float64) (o, n float64, ok bool) {
	o, okOld := s.median(resultKey{name, older, dataset}, figure)
	n, okNew := s.median(resultKey{name, newer, dataset}, figure)
	return o, n, okOld && okNew
}

func seconds(r *Result) float64 { return r.Seconds }

// rate is in bytes a second.
func rate(r *Result) float64 { return float64(r.Bytes) / r.Seconds }

// seed is about a secondary of a kind that has nothing yet.
func (s summary) seed(what, secondary string, d Dataset, target float64) *Row {
	subject := ZRS + "-" + secondary
	o, n, ok := s.both("catch-up", ZCZRS+"-"+ZCZRS, subject, d.Name, seconds)
	if !ok {
		return nil
	}
	row := faster(what, o, n, target)
	row.Note = s.limits(subject, d, n) + s.cpu(subject, d)
	limit, ok := s.median(resultKey{"limit", checksummed, d.Name}, seconds)
	if ok && (secondary == ZRS21 || secondary == ZRS21Server) {
		row.Target += " or 80 % of limit"
		row.Met = row.Met || limit >= limitShare*n
		row.Note = fmt.Sprintf("%.0f %% of a plain copy with MD5 at both ends (%s); ", 100*limit/n, duration(limit)) + row.Note
	}
	return row
}

// faster is a row of two times, the second of which should be the shorter one.
func faster(what string, o, n, target float64) *Row {
	return &Row{
		What:   what,
		Old:    duration(o),
		New:    duration(n),
		Ratio:  fmt.Sprintf("%.1f", o/n),
		Target: fmt.Sprintf("≥ %g", target),
		Met:    o/n >= target,
	}
}

// mixed is about zrs at one end and zc.zrs at the other, which should be what
// takes the time. At least four fifths of it must be the Python end's CPU time
// or, at a secondary, its syncs, one for each transaction.
func (s summary) mixed(primary, secondary string, d Dataset) *Row {
	o, n, ok := s.both("catch-up", ZCZRS+"-"+ZCZRS, primary+"-"+secondary, d.Name, seconds)
	if !ok {
		return nil
	}
	role := "primary"
	if secondary == ZCZRS {
		role = "secondary"
	}
	key := resultKey{"catch-up", primary + "-" + secondary, d.Name}
	share, _ := s.median(key, func(r *Result) float64 { return r.Processes[role].CPU / r.Seconds })
	row := faster(fmt.Sprintf("%s to %s, %s", primary, secondary, d.Name), o, n, 0)
	row.Note = fmt.Sprintf("CPU of the Python end: %.0f %% of the time", 100*share)
	if sync, ok := s.median(syncKey, p50); ok && role == "secondary" {
		txns, _ := s.median(key, func(r *Result) float64 { return float64(r.Transactions) })
		syncs := txns * sync / n
		row.Note += fmt.Sprintf(", its syncs: about %.0f %%", 100*min(syncs, 1))
		share += syncs
	}
	row.Target, row.Met = "Python ≥ 80 %", share >= limitShare
	return row
}

// limitShare is how near to a limit of the machine one has to get where the
// limit is what keeps one from the target.
const limitShare = 0.8

func (s summary) blobs(what string, d Dataset) *Row {
	o, n, ok := s.both("catch-up", ZCZRS+"-"+ZCZRS, ZRS+"-"+ZRS, d.Name, seconds)
	if !ok {
		return nil
	}
	row := faster(what, o, n, 2)
	row.Target = "≥ 2, 80 % of limit"
	if limit, name, ok := s.slowest(d.Name); ok {
		reached, _ := s.median(resultKey{"catch-up", ZRS + "-" + ZRS, d.Name}, rate)
		row.Met = row.Met && reached >= limitShare*limit
		row.Note = fmt.Sprintf("%.0f %% of the limit, %s (%.0f MB/s)", 100*reached/limit, name, limit/1e6)
	}
	if transfer, ok := s.median(resultKey{"limit", "transfer", d.Name}, rate); ok {
		reached, _ := s.median(resultKey{"catch-up", ZRS + "-" + ZRS, d.Name}, rate)
		row.Note += fmt.Sprintf("; %.0f %% of transfer (%.0f MB/s)", 100*reached/transfer, transfer/1e6)
	}
	row.Note += s.cpu(ZRS+"-"+ZRS, d)
	for _, kind := range []struct{ secondary, what string }{{ZRSServer, "serve-secondary"}, {ZRS21Server, "over zrs2.1"}} {
		if took, ok := s.median(resultKey{"catch-up", ZRS + "-" + kind.secondary, d.Name}, seconds); ok {
			row.Note += fmt.Sprintf("; %s %s", kind.what, duration(took))
		}
	}
	unsynced := func(r *Result) float64 { return r.Seconds + r.Extra["unsynced"] }
	if o, n, ok := s.both("catch-up", ZCZRS+"-"+ZCZRS, ZRS+"-"+ZRS, d.Name, unsynced); ok {
		row.Note += fmt.Sprintf("; until on disk %s and %s, ratio %.1f", duration(o), duration(n), o/n)
	}
	return row
}

// slowest returns the lower of the limits of checksumming and writing.
func (s summary) slowest(written string) (limit float64, name string, ok bool) {
	md5, ok := s.median(resultKey{"limit", "md5", Records.Name}, rate)
	if !ok {
		return 0, "", false
	}
	write, ok := s.median(resultKey{"limit", "write", written}, rate)
	if ok && write < md5 {
		return write, "write", true
	}
	return md5, "MD5", ok
}

// limits tells how near to the lower limit a time comes.
func (s summary) limits(subject string, d Dataset, took float64) string {
	bytes, _ := s.median(resultKey{"catch-up", subject, d.Name}, func(r *Result) float64 { return float64(r.Bytes) })
	limit, name, ok := s.slowest(Records.Name)
	if !ok {
		return ""
	}
	return fmt.Sprintf("%.0f MB/s, %.0f %% of %s (%.0f MB/s)", bytes/took/1e6, 100*bytes/took/limit, name, limit/1e6)
}

// cpu tells how many processors both ends of a catch-up kept busy.
func (s summary) cpu(subject string, d Dataset) string {
	cpus, ok := s.median(resultKey{"catch-up", subject, d.Name}, func(r *Result) float64 {
		return (r.Processes["primary"].CPU + r.Processes["secondary"].CPU) / r.Seconds
	})
	if !ok {
		return ""
	}
	return fmt.Sprintf("; %.1f processors busy", cpus)
}

var syncKey = resultKey{"limit", "sync", ""}

func p50(r *Result) float64 { return r.Latency.P50 }
func p99(r *Result) float64 { return r.Latency.P99 }

func (s summary) latency(load, percentile string, target float64) *Row {
	figure := p50
	if percentile == "p99" {
		figure = p99
	}
	o, n, ok := s.both("commit-to-visible-"+load, ZCZRS+"-"+ZCZRS, ZRS+"-"+ZRS, "", figure)
	if !ok {
		return nil
	}
	row := faster(fmt.Sprintf("commit to visible, %s, %s", load, percentile), o, n, target)
	if target == 1 {
		row.Target, row.Met = "> 1", n < o
	}
	limit := func(kind string) (float64, bool) {
		return s.median(resultKey{"commit-to-visible-" + load, kind + "-" + kind, ""}, figure)
	}
	if bare, ok := limit(Bare); ok {
		row.Note = fmt.Sprintf("nothing but the two syncs: %s", duration(bare))
	}
	if relay, ok := limit(Relay); ok {
		row.Note += fmt.Sprintf("; in two processes: %s", duration(relay))
		if target > 1 {
			row.Target += " or 80 % of limit"
			row.Met = row.Met || relay >= limitShare*n
			row.Note += fmt.Sprintf(", %.0f %% of that limit", 100*relay/n)
		}
	}
	return row
}

func (s summary) open(what string, d Dataset) *Row {
	o, n, ok := s.both("open-without-index", ZODB, ZRS, d.Name, seconds)
	if !ok {
		return nil
	}
	row := faster(what+" (ZODB)", o, n, 10)
	reached, _ := s.median(resultKey{"open-without-index", ZRS, d.Name}, rate)
	row.Note = fmt.Sprintf("%.0f MB/s", reached/1e6)
	if read, ok := s.median(resultKey{"limit", "read", Records.Name}, rate); ok {
		row.Note += fmt.Sprintf(", %.0f %% of reading alone (%.0f MB/s)", 100*reached/read, read/1e6)
	}
	return row
}

// memory compares the memory of one role. The subjects are pairs if there is a
// separator.
func (s summary) memory(what, name, separator, role string) *Row {
	subject := func(kind string) string {
		if separator == "" {
			return kind
		}
		return kind + separator + kind
	}
	o, n, ok := s.both(name, subject(ZCZRS), subject(ZRS), Records.Name, peak(role))
	if !ok {
		return nil
	}
	row := &Row{
		What:   what,
		Old:    megabytes(o),
		New:    megabytes(n),
		Ratio:  fmt.Sprintf("%.1f", o/n),
		Target: "> 1",
		Met:    n < o,
	}
	resident := func(r *Result) float64 { return float64(r.Processes[role].RSS) }
	if o, n, ok := s.both(name, subject(ZCZRS), subject(ZRS), Records.Name, resident); ok && o > 0 && n > 0 {
		row.Note = fmt.Sprintf("in the end %s and %s", megabytes(o), megabytes(n))
	}
	return row
}

// mostPromoting is how long a promotion may take, in seconds.
const mostPromoting = 1

// promote is about a promotion of a running secondary. What zc.zrs needs is
// measured on 1 GB.
func (s summary) promote(what, dataset string) *Row {
	n, ok := s.median(resultKey{"promote", ZRS, dataset}, seconds)
	o, okOld := s.median(resultKey{"promote", ZCZRS, Records.Name}, seconds)
	if !ok || !okOld {
		return nil
	}
	return &Row{
		What:   what,
		Old:    duration(o),
		New:    duration(n),
		Ratio:  fmt.Sprintf("%.1f", o/n),
		Target: fmt.Sprintf("≤ %d s", mostPromoting),
		Met:    n <= mostPromoting,
		Note:   "zc.zrs: stopped, and started on the same 1 GB as a primary",
	}
}

// large is about a command on a database of 20 GB: whatever is in it, the memory
// is that of the command.
func (s summary) large(command string) *Row {
	key := resultKey{"large", ZRS + " " + command, ""}
	n, ok := s.median(key, peak(ZRS))
	if !ok {
		return nil
	}
	took, _ := s.median(key, seconds)
	size, _ := s.median(key, func(r *Result) float64 { return float64(r.Bytes) })
	return &Row{
		What:   fmt.Sprintf("memory, %s, %.0f GB", command, size/1e9),
		New:    megabytes(n),
		Target: fmt.Sprintf("≤ %s", megabytes(mostMemory)),
		Met:    n <= mostMemory,
		Note:   duration(took),
	}
}

// mostMemory is what a command may use, its index aside.
const mostMemory = 64e6

func peak(role string) func(*Result) float64 {
	return func(r *Result) float64 { return float64(r.Processes[role].PeakRSS) }
}

const (
	// mostGrowing is how much more memory all of the data may take than a
	// quarter, the index aside.
	mostGrowing = 1.1
	// indexEntry is what the index may take for an object, in bytes.
	indexEntry = 12
)

// flat compares the memory of zrs for a quarter of the data with that for all.
// A secondary has an index, which grows with the objects and not with the file.
func (s summary) flat(what, name, subject, role string) *Row {
	quarterKey, key := resultKey{name, subject, Quarter.Name}, resultKey{name, subject, Records.Name}
	quarter, okQuarter := s.median(quarterKey, peak(role))
	whole, ok := s.median(key, peak(role))
	if !ok || !okQuarter {
		return nil
	}
	objects := func(r *Result) float64 { return r.Extra["objects"] }
	of, _ := s.median(key, objects)
	ofQuarter, _ := s.median(quarterKey, objects)
	index := indexEntry * (of - ofQuarter)
	row := &Row{
		What:   what,
		Old:    "a quarter: " + megabytes(quarter),
		New:    megabytes(whole),
		Ratio:  fmt.Sprintf("%.2f", whole/quarter),
		Target: fmt.Sprintf("≤ %g", mostGrowing),
		Met:    (whole-index)/quarter <= mostGrowing,
	}
	if index > 0 {
		row.Target += ", index aside"
		row.Note = fmt.Sprintf("%.0f objects more, %d bytes each in the index: %s; without it %.2f",
			of-ofQuarter, indexEntry, megabytes(index), (whole-index)/quarter)
	}
	return row
}

// duration writes seconds with three digits.
func duration(s float64) string {
	if s < 1 {
		return fmt.Sprintf("%.3g ms", s*1e3)
	}
	return fmt.Sprintf("%.3g s", s)
}

func megabytes(bytes float64) string { return fmt.Sprintf("%.1f MB", bytes/1e6) }

// WriteSummary writes the summary as a table in Markdown, and below it the limits
// of the machine that were measured in the same run.
func WriteSummary(w io.Writer, m Machine, results []*Result) error {
	table := [][]string{{"what", "the other", "zrs", "ratio", "target", "met", "by what it is limited"}, nil}
	for _, r := range Summary(results) {
		met := "no"
		if r.Met {
			met = "yes"
		}
		table = append(table, []string{r.What, r.Old, r.New, r.Ratio, r.Target, met, r.Note})
	}
	limits := [][]string{{"limit", "what is written", "rate", "p50", "p99"}, nil}
	for _, r := range results {
		if r.Name != "limit" {
			continue
		}
		row := []string{r.Subject, r.Dataset, fmt.Sprintf("%.0f MB/s", rate(r)/1e6), "", ""}
		if r.Latency != nil {
			row = []string{r.Subject, "500 bytes", "", duration(r.Latency.P50), duration(r.Latency.P99)}
		}
		limits = append(limits, row)
	}
	_, err := fmt.Fprintf(w, "%d processors (%s), %.0f GB of memory, %s/%s, %s; load average before: %.2f\n\n%s\n%s",
		m.CPUs, m.CPU, float64(m.Memory)/1e9, m.OS, m.Arch, m.Go, m.Load, aligned(table), aligned(limits))
	return err
}

// aligned writes a Markdown table, with a line below its first row in place of
// its second.
func aligned(table [][]string) string {
	widths := make([]int, len(table[0]))
	for _, row := range table {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for _, row := range table {
		for i, width := range widths {
			cell := strings.Repeat("-", width)
			if row != nil {
				cell = row[i] + strings.Repeat(" ", width-utf8.RuneCountInString(row[i]))
			}
			fmt.Fprintf(&b, "| %s ", cell)
		}
		b.WriteString("|\n")
	}
	return b.String()
}
