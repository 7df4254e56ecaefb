// Zrsbench measures zrs beside what it replaces and prints one JSON object a
// line: first the machine, then a result for each measurement. See package bench
// for what they mean. In the end it prints a summary, a table in Markdown.
//
//	go build -o zrs ./cmd/zrs
//	go run ./bench/zrsbench -zrs ./zrs -dir DIR -out results.jsonl
//
// Without -zrs only zc.zrs and ZODB are measured. -run picks measurements by
// their name, subject and dataset, as in "catch-up zc.zrs-zrs tiny". With -out
// the objects go to a file and the summary to standard output; without, the
// summary goes to standard error. -show prints the summary of such a file.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"

	"zrs/bench"
	"zrs/interop/driver"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 2 && args[0] == bench.OpenArg {
		return status(bench.OpenMain(ctx, args[1], stdout), stderr)
	}
	if len(args) == 3 && args[0] == bench.RelayArg {
		return status(bench.RelayMain(args[1], args[2]), stderr)
	}
	flags := flag.NewFlagSet("zrsbench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	zrs := flags.String("zrs", "", "path of the zrs `program`")
	dir := flags.String("dir", "", "`directory` for datasets, kept there, and replicas")
	out := flags.String("out", "", "`file` for results; the summary goes to standard output then")
	show := flags.String("show", "", "measure nothing, print the summary of a `file` of results")
	scale := flags.Float64("scale", 1, "`size` of the datasets, 1 being 1 GB")
	repeat := flags.Int("repeat", 1, "repeat everything `N` times")
	pattern := flags.String("run", "", "measure only what matches this regular `expression`")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *show != "" {
		return status(showFile(*show, stdout), stderr)
	}
	re, err := regexp.Compile(*pattern)
	if err != nil || *dir == "" || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "zrsbench: -dir is required, -run takes a regular expression:", err)
		return 2
	}
	suite := &suite{scale: *scale, repeat: *repeat, match: re, stderr: stderr, machine: bench.ThisMachine()}
	return status(suite.runTo(ctx, *out, *dir, *zrs, stdout), stderr)
}

func status(err error, stderr io.Writer) int {
	if err != nil {
		fmt.Fprintln(stderr, "zrsbench:", err)
		return 1
	}
	return 0
}

// showFile prints the summary of results in a file.
func showFile(path string, stdout io.Writer) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var machine bench.Machine
	var results []*bench.Result
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		r := &bench.Result{}
		if err := json.Unmarshal(lines.Bytes(), r); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if r.Name != machineName {
			results = append(results, r)
		} else if err := json.Unmarshal(lines.Bytes(), &machine); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return bench.WriteSummary(stdout, machine, results)
}

// machineName is the name of the object that is not a result.
const machineName = "machine"

// A suite is the measurements to run.
type suite struct {
	scale   float64
	repeat  int
	match   *regexp.Regexp
	stderr  io.Writer
	machine bench.Machine

	out     *json.Encoder
	results []*bench.Result
	bench   bench.Bench
	files   map[string]*bench.Files // by dataset, made when first needed
}

// runTo runs the suite and prints its results to a file, or to standard output
// if it is "", and the summary where the results are not.
func (s *suite) runTo(ctx context.Context, out, dir, zrs string, stdout io.Writer) (err error) {
	results, summary := stdout, s.stderr
	if out != "" {
		f, err := os.Create(out)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		results, summary = f, stdout
	}
	s.out = json.NewEncoder(results)
	if err := s.run(ctx, dir, zrs); err != nil {
		return err
	}
	return bench.WriteSummary(summary, s.machine, s.results)
}

func (s *suite) run(ctx context.Context, dir, zrs string) (err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if zrs != "" {
		if zrs, err = filepath.Abs(zrs); err != nil {
			return err
		}
	}
	python, err := driver.Open(ctx)
	if err != nil {
		return err
	}
	opener, err := os.Executable()
	if err != nil {
		return err
	}
	s.bench = bench.Bench{Python: python, ZRS: zrs, Opener: opener, Dir: dir}
	s.files = map[string]*bench.Files{}
	if err := s.out.Encode(s.machine); err != nil {
		return err
	}
	for range s.repeat {
		for _, step := range []func(context.Context) error{s.limits, s.open, s.verify, s.compare, s.dump, s.catchUp, s.stuck, s.latency, s.promote, s.large} {
			if err := step(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// dataset makes a dataset when it is first needed, or reads what is there.
func (s *suite) dataset(d bench.Dataset) (f *bench.Files, err error) {
	if f := s.files[d.Name]; f != nil {
		return f, nil
	}
	fmt.Fprintf(s.stderr, "making %s\n", d.Name)
	if f, err = bench.Generate(s.bench.Dir, d, s.scale); err != nil {
		return nil, err
	}
	s.files[d.Name] = f
	return f, f.Warm()
}

// each measures something, if that is wanted, and prints the results.
func (s *suite) each(ctx context.Context, label []string, measure func() ([]*bench.Result, error)) error {
	name := strings.Join(label, " ")
	if !s.match.MatchString(name) {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	fmt.Fprintln(s.stderr, name)
	results, err := measure()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s.results = append(s.results, results...)
	for _, r := range results {
		if err := s.out.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// one turns a single result into those that each wants.
func one(r *bench.Result, err error) ([]*bench.Result, error) { return []*bench.Result{r}, err }

func (s *suite) limits(ctx context.Context) error {
	return s.each(ctx, []string{"limit", bench.Records.Name}, func() ([]*bench.Result, error) {
		f, err := s.dataset(bench.Records)
		if err != nil {
			return nil, err
		}
		return s.bench.Limits(f)
	})
}

func (s *suite) open(ctx context.Context) error {
	subjects := []string{bench.ZODB}
	if s.bench.ZRS != "" {
		subjects = append(subjects, bench.ZRS)
	}
	for _, d := range []bench.Dataset{bench.Records, bench.Tiny} {
		for _, subject := range subjects {
			err := s.each(ctx, []string{"open-without-index", subject, d.Name}, func() ([]*bench.Result, error) {
				f, err := s.dataset(d)
				if err != nil {
					return nil, err
				}
				return one(s.bench.Open(ctx, subject, f))
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *suite) verify(ctx context.Context) error {
	for _, check := range bench.Checks {
		for _, d := range []bench.Dataset{bench.Records, bench.Quarter} {
			for _, subject := range []string{bench.ZODB, bench.ZRS} {
				if subject == bench.ZRS && s.bench.ZRS == "" {
					continue
				}
				err := s.each(ctx, []string{check.Name, subject, d.Name}, func() ([]*bench.Result, error) {
					f, err := s.dataset(d)
					if err != nil {
						return nil, err
					}
					return one(s.bench.Verify(ctx, check, subject, f))
				})
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// compare compares two files, and measures zrs on a quarter of the data too.
func (s *suite) compare(ctx context.Context) error {
	if s.bench.ZRS == "" {
		return nil
	}
	for _, run := range []struct {
		name, subject string
		dataset       bench.Dataset
	}{
		{bench.CompareCopy, bench.Zodbtools, bench.Records},
		{bench.CompareCopy, bench.Cmp, bench.Records},
		{bench.CompareCopy, bench.ZRS, bench.Records},
		{bench.CompareCopy, bench.ZRS, bench.Quarter},
		{bench.CompareShifted, bench.ZRS, bench.Records},
	} {
		err := s.each(ctx, []string{run.name, run.subject, run.dataset.Name}, func() ([]*bench.Result, error) {
			f, err := s.dataset(run.dataset)
			if err != nil {
				return nil, err
			}
			return one(s.bench.Compare(ctx, run.name, run.subject, f))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// dump compares dumps and restores with zodbtools, and measures zrs on a quarter
// of the data too.
func (s *suite) dump(ctx context.Context) error {
	if s.bench.ZRS == "" {
		return nil
	}
	measure := map[string]func(string, *bench.Files) (*bench.Result, error){
		"restore": func(subject string, f *bench.Files) (*bench.Result, error) { return s.bench.Restore(ctx, subject, f) },
	}
	names := []string{"restore"}
	for _, d := range bench.Dumps {
		names = append(names, d.Name)
		measure[d.Name] = func(subject string, f *bench.Files) (*bench.Result, error) { return s.bench.Dump(ctx, d, subject, f) }
	}
	for _, name := range names {
		for _, run := range []struct {
			subject string
			dataset bench.Dataset
		}{{bench.Zodbtools, bench.Records}, {bench.ZRS, bench.Records}, {bench.ZRS, bench.Quarter}} {
			err := s.each(ctx, []string{name, run.subject, run.dataset.Name}, func() ([]*bench.Result, error) {
				f, err := s.dataset(run.dataset)
				if err != nil {
					return nil, err
				}
				return one(measure[name](run.subject, f))
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// pairs are the programs at both ends of a dataset's way: zc.zrs alone as the
// baseline, zrs alone, in its ways, and each with the other.
func (s *suite) pairs(d bench.Dataset) [][2]string {
	pairs := s.alike()
	if s.bench.ZRS == "" || d.Name == bench.Quarter.Name {
		return pairs
	}
	return append(pairs,
		[2]string{bench.ZRS, bench.ZRS21},
		[2]string{bench.ZRS, bench.ZRS21Server},
		[2]string{bench.ZRS, bench.ZRSServer},
		[2]string{bench.ZRS, bench.ZCZRS},
		[2]string{bench.ZCZRS, bench.ZRS})
}

// alike are the pairs with the same program at both ends.
func (s *suite) alike() [][2]string {
	if s.bench.ZRS == "" {
		return [][2]string{{bench.ZCZRS, bench.ZCZRS}}
	}
	return [][2]string{{bench.ZCZRS, bench.ZCZRS}, {bench.ZRS, bench.ZRS}}
}

func (s *suite) catchUp(ctx context.Context) error {
	for _, d := range bench.Datasets {
		for _, p := range s.pairs(d) {
			err := s.each(ctx, []string{"catch-up", p[0] + "-" + p[1], d.Name}, func() ([]*bench.Result, error) {
				f, err := s.dataset(d)
				if err != nil {
					return nil, err
				}
				return one(s.bench.CatchUp(ctx, p[0], p[1], f))
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *suite) stuck(ctx context.Context) error {
	const secondaries = 10
	for _, d := range []bench.Dataset{bench.Quarter, bench.Records} {
		for _, p := range s.alike() {
			err := s.each(ctx, []string{"stuck-secondaries", p[0], d.Name}, func() ([]*bench.Result, error) {
				f, err := s.dataset(d)
				if err != nil {
					return nil, err
				}
				return one(s.bench.Stuck(ctx, p[0], secondaries, f))
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// loads are 1 000 commits: of one client at an easy pace and back to back, and of
// several at once.
var loads = []bench.Load{
	{Name: "paced", Clients: 1, Commits: 1000, Rate: 100, Size: 500},
	{Name: "back-to-back", Clients: 1, Commits: 1000, Size: 500},
	{Name: "four-clients", Clients: 4, Commits: 250, Size: 500},
}

// rounds is how often each load is repeated, in turns: a p99 of 1 000 commits is
// that of the ten that met the worst moments of the disk.
const rounds = 3

func (s *suite) latency(ctx context.Context) error {
	for range rounds {
		for _, load := range loads {
			for _, p := range append(s.alike(), [2]string{bench.Bare, bench.Bare}, [2]string{bench.Relay, bench.Relay}) {
				label := []string{"commit-to-visible-" + load.Name, p[0] + "-" + p[1]}
				err := s.each(ctx, label, func() ([]*bench.Result, error) {
					return one(s.bench.CommitToVisible(ctx, p[0], p[1], load))
				})
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (s *suite) promote(ctx context.Context) error {
	for _, kind := range []string{bench.ZCZRS, bench.ZRS} {
		if kind == bench.ZRS && s.bench.ZRS == "" {
			continue
		}
		err := s.each(ctx, []string{"promote", kind, bench.Records.Name}, func() ([]*bench.Result, error) {
			files, err := s.dataset(bench.Records)
			if err != nil {
				return nil, err
			}
			return one(s.bench.Promote(ctx, kind, files))
		})
		if err != nil {
			return err
		}
	}
	if s.bench.ZRS == "" {
		return nil
	}
	return s.each(ctx, []string{"promote", bench.ZRS, bench.Huge}, func() ([]*bench.Result, error) {
		return one(s.bench.PromoteHuge(ctx, s.scale))
	})
}

func (s *suite) large(ctx context.Context) error {
	if s.bench.ZRS == "" {
		return nil
	}
	return s.each(ctx, []string{"large", bench.ZRS}, func() ([]*bench.Result, error) {
		return s.bench.Large(ctx, s.scale)
	})
}
