// Zrsbench measures zrs beside what it replaces and prints one JSON object a
// line: first the machine, then a result for each measurement. See package bench
// for what they mean.
//
//	go build -o zrs ./cmd/zrs
//	go run ./bench/zrsbench -zrs ./zrs -dir DIR >results.jsonl
//
// Without -zrs only zc.zrs and ZODB are measured. -run picks measurements by
// their name, subject and dataset, as in "catch-up zc.zrs-zrs tiny".
package main

import (
	"context"
	"encoding/json"
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
	flags := flag.NewFlagSet("zrsbench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	zrs := flags.String("zrs", "", "path of the zrs `program`")
	dir := flags.String("dir", "", "`directory` for datasets, kept there, and replicas")
	scale := flags.Float64("scale", 1, "`size` of the datasets, 1 being 1 GB")
	repeat := flags.Int("repeat", 1, "repeat each measurement `N` times")
	pattern := flags.String("run", "", "measure only what matches this regular `expression`")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	re, err := regexp.Compile(*pattern)
	if err != nil || *dir == "" || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "zrsbench: -dir is required, -run takes a regular expression:", err)
		return 2
	}
	suite := &suite{scale: *scale, repeat: *repeat, match: re, stderr: stderr, out: json.NewEncoder(stdout)}
	if err := suite.run(ctx, *dir, *zrs); err != nil {
		fmt.Fprintln(stderr, "zrsbench:", err)
		return 1
	}
	return 0
}

// A suite is the measurements to run.
type suite struct {
	scale  float64
	repeat int
	match  *regexp.Regexp
	stderr io.Writer
	out    *json.Encoder

	bench bench.Bench
	files map[string]*bench.Files // by dataset, made when first needed
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
	s.bench = bench.Bench{Python: python, ZRS: zrs, Dir: dir}
	s.files = map[string]*bench.Files{}
	if err := s.out.Encode(bench.ThisMachine()); err != nil {
		return err
	}
	if err := s.limits(ctx); err != nil {
		return err
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	if err := s.catchUp(ctx); err != nil {
		return err
	}
	return s.latency(ctx)
}

// pairs are the programs at both ends: zc.zrs alone as the baseline, zrs alone,
// and each with the other.
func (s *suite) pairs() [][2]string {
	if s.bench.ZRS == "" {
		return [][2]string{{bench.ZCZRS, bench.ZCZRS}}
	}
	return [][2]string{
		{bench.ZCZRS, bench.ZCZRS},
		{bench.ZRS, bench.ZRS},
		{bench.ZRS, bench.ZCZRS},
		{bench.ZCZRS, bench.ZRS},
	}
}

// dataset makes a dataset when it is first needed.
func (s *suite) dataset(d bench.Dataset) (f *bench.Files, err error) {
	if f := s.files[d.Name]; f != nil {
		return f, nil
	}
	fmt.Fprintf(s.stderr, "making %s\n", d.Name)
	f, err = bench.Generate(s.bench.Dir, d, s.scale)
	s.files[d.Name] = f
	return f, err
}

// each measures something, if that is wanted, and prints the results.
func (s *suite) each(ctx context.Context, label []string, measure func() ([]*bench.Result, error)) error {
	name := strings.Join(label, " ")
	if !s.match.MatchString(name) {
		return nil
	}
	for range s.repeat {
		if err := ctx.Err(); err != nil {
			return err
		}
		fmt.Fprintln(s.stderr, name)
		results, err := measure()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, r := range results {
			if err := s.out.Encode(r); err != nil {
				return err
			}
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
	for _, d := range []bench.Dataset{bench.Records, bench.Tiny} {
		err := s.each(ctx, []string{"open-without-index", bench.ZODB, d.Name}, func() ([]*bench.Result, error) {
			f, err := s.dataset(d)
			if err != nil {
				return nil, err
			}
			return one(s.bench.Open(ctx, f))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) catchUp(ctx context.Context) error {
	for _, d := range bench.Datasets {
		for _, p := range s.pairs() {
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

// loads are 1 000 commits: of one client at an easy pace and back to back, and of
// several at once.
var loads = []bench.Load{
	{Name: "paced", Clients: 1, Commits: 1000, Rate: 100, Size: 500},
	{Name: "back-to-back", Clients: 1, Commits: 1000, Size: 500},
	{Name: "four-clients", Clients: 4, Commits: 250, Size: 500},
}

func (s *suite) latency(ctx context.Context) error {
	for _, load := range loads {
		for _, p := range s.pairs() {
			label := []string{"commit-to-visible-" + load.Name, p[0] + "-" + p[1]}
			err := s.each(ctx, label, func() ([]*bench.Result, error) {
				return one(s.bench.CommitToVisible(ctx, p[0], p[1], load))
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
