package monitor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"zrs/internal/fs"
)

// An answer is what a target says when it is asked.
type answer struct {
	report *Report
	err    error
}

// answers is a target that gives one answer after the other, and the last one
// again and again.
type answers []answer

func (a *answers) Probe(context.Context) (*Report, error) {
	now := (*a)[0]
	if len(*a) > 1 {
		*a = (*a)[1:]
	}
	return now.report, now.err
}

// ago returns the TID of a transaction of that long ago.
func ago(d time.Duration) fs.TID { return fs.TIDFromTime(time.Now().Add(-d)) }

func zeo(storages ...Storage) answer { return answer{&Report{KindZEO, storages}, nil} }

func one(tid fs.TID) answer { return zeo(Storage{Name: "1", LastTID: tid}) }

func zrs(s Storage) answer { return answer{&Report{KindZRS, []Storage{s}}, nil} }

func failed(err error) answer { return answer{nil, err} }

// reasons returns the level of a verdict and the reasons of its findings.
func reasons(v *Verdict) string {
	words := []string{v.Level().String()}
	for _, f := range v.Findings {
		words = append(words, f.Reason)
	}
	return strings.Join(words, " ")
}

// metrics returns the labels and values of those that have no counters.
func metrics(v *Verdict) string {
	var words []string
	for _, m := range v.Metrics {
		value := "U"
		if m.Value != nil {
			value = fmt.Sprint(*m.Value)
		}
		if m.Unit != "c" {
			words = append(words, m.Label+"="+value+m.Unit)
		}
	}
	return strings.Join(words, " ")
}

func age(d time.Duration) Limit { return Limit{Age: &d} }

func TestLook(t *testing.T) {
	limits := Limits{Warning: age(30 * time.Second), Critical: age(time.Minute)}
	lagging := func(d time.Duration, txns int64) Lag { return Lag{Age: &d, Transactions: &txns} }
	tests := []struct {
		name    string
		answer  func() answer
		limits  Limits
		want    string // level and reasons
		metrics string
		text    string // part of the line
	}{
		{"zeo", func() answer { return one(ago(time.Hour)) }, Limits{}, "OK", "age=3600s", "db ends with "},
		{"zeo-fresh", func() answer { return one(ago(30 * time.Second)) }, limits, "OK", "age=30s", "db ends with "},
		{
			"zeo-idle", func() answer { return one(ago(31 * time.Second)) }, limits, "WARNING over-limit", "age=31s",
			"db had its last transaction 31s ago, more than 30s",
		},
		{"zeo-very-idle", func() answer { return one(ago(time.Hour)) }, limits, "CRITICAL over-limit", "age=3600s", "1h0m0s ago, more than 1m0s"},
		{"clock-behind", func() answer { return one(ago(-time.Hour)) }, limits, "OK", "age=0s", ""},
		{"empty", func() answer { return one(0) }, Limits{}, "WARNING empty", "", "db has no transaction yet"},
		{"empty-limited", func() answer { return one(0) }, limits, "WARNING empty not-known", "age=Us", ""},
		{
			"not-known", func() answer { return one(ago(0)) },
			Limits{Critical: Limit{Bytes: new(int64(5))}},
			"UNKNOWN not-known", "age=0s bytes=UB",
			"db: bytes can't be told, but has a limit",
		},
		{"no-storages", func() answer { return zeo() }, Limits{}, "WARNING no-storages", "", "db serves no storages"},
		{"several", func() answer {
			return zeo(Storage{Name: "a", LastTID: ago(0)}, Storage{Name: "b"}, Storage{Name: "c", LastTID: ago(time.Hour)})
		}, limits, "CRITICAL over-limit empty not-known", "a:age=0s b:age=Us c:age=3600s", `db storage "c" had its last transaction`},
		{
			"refused", func() answer { return failed(fmt.Errorf("%w: connection refused", ErrUnreachable)) }, limits, "CRITICAL unreachable", "",
			"db: can't connect: connection refused",
		},
		{
			"damaged", func() answer { return failed(&fs.RecordError{Path: "db", Offset: 5, Kind: fs.KindLength}) }, limits, "CRITICAL damaged", "",
			"db: offset 5: ",
		},
		{"too-slow", func() answer { return failed(context.DeadlineExceeded) }, limits, "UNKNOWN timed-out", "", "time limit"},
		{"anything-else", func() answer { return failed(errors.New("it rains")) }, limits, "UNKNOWN trouble", "", "db: it rains"},

		{"zrs", func() answer {
			return zrs(Storage{Role: "secondary", Health: HealthOptimal, LastTID: ago(time.Hour), Connected: new(true), Lag: lagging(0, 0)})
		}, limits, "OK", "age=0s transactions=0", "db, secondary, ends with "},
		{"zrs-behind", func() answer {
			return zrs(Storage{Health: HealthOptimal, LastTID: ago(time.Hour), Connected: new(true), Lag: lagging(40*time.Second, 3)})
		}, limits, "WARNING over-limit", "age=40s transactions=3", "db is behind by 40s, more than 30s"},
		{"zrs-lag-unknown", func() answer { return zrs(Storage{Health: HealthOptimal, LastTID: ago(0)}) }, limits, "UNKNOWN not-known", "age=Us", ""},
		{"zrs-degraded", func() answer {
			return zrs(Storage{Health: HealthDegraded, Reason: "blobs-missing", Sentence: "3 blobs are missing", LastTID: ago(0)})
		}, Limits{}, "WARNING blobs-missing", "", "db is degraded: 3 blobs are missing"},
		{"zrs-recovering", func() answer { return zrs(Storage{Health: HealthRecovering, Reason: "r", LastTID: ago(0)}) }, Limits{}, "WARNING r", "", ""},
		{"zrs-failed", func() answer { return zrs(Storage{Health: HealthFailed, Reason: "diverged", LastTID: ago(0)}) }, Limits{}, "CRITICAL diverged", "", ""},
		{"zrs-new-health", func() answer { return zrs(Storage{Health: "dreaming", Reason: "d", LastTID: ago(0)}) }, Limits{}, "UNKNOWN d", "", "db is dreaming"},
		{"zrs-disconnected", func() answer {
			return zrs(Storage{Health: HealthOptimal, LastTID: ago(0), Connected: new(false), LastContact: time.Now().Add(-time.Minute), Lag: lagging(0, 0)})
		}, limits, "WARNING disconnected", "age=0s transactions=0", "the last contact was 1m0s ago"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := Look(t.Context(), &Subject{Name: "db", Prober: &answers{tt.answer()}}, "", tt.limits)
				checkVerdict(t, v, tt.want, tt.metrics, tt.text)
			})
		})
	}
}

func checkVerdict(t *testing.T, v *Verdict, want, wantMetrics, text string) {
	t.Helper()
	if got := reasons(v); got != want {
		t.Errorf("%s, want %s: %s", got, want, v.Text())
	}
	if got := metrics(v); got != wantMetrics {
		t.Errorf("metrics %s, want %s", got, wantMetrics)
	}
	if !strings.Contains(v.Text(), text) || v.Text() == "" {
		t.Errorf("the line says %q, want %q", v.Text(), text)
	}
}

func TestLook_storage(t *testing.T) {
	both := zeo(Storage{Name: "a", LastTID: 5}, Storage{Name: "b"})
	checkVerdict(t, Look(t.Context(), &Subject{Name: "db", Prober: &answers{both}}, "b", Limits{}), "WARNING empty", "", `db storage "b"`)
	checkVerdict(t, Look(t.Context(), &Subject{Name: "db", Prober: &answers{both}}, "c", Limits{}), "CRITICAL no-storage", "", `serves no storage "c"`)
}

// compared is a case of TestCompare: what primary and secondary say.
type compared struct {
	name               string
	primary, secondary func() answers
	limits             Limits
	want               string
	metrics            string
	text               string
}

func TestCompare(t *testing.T) {
	limits := Limits{Warning: age(30 * time.Second), Critical: age(time.Minute)}
	last := func(spans ...time.Duration) func() answers {
		return func() (a answers) {
			for _, d := range spans {
				a = append(a, one(ago(d)))
			}
			return a
		}
	}
	says := func(a ...answer) func() answers { return func() answers { return slices.Clone(a) } }
	replica := func(connected bool, txns int64, span time.Duration) func() answers {
		return func() answers {
			return answers{zrs(Storage{
				Role: "secondary", Health: HealthOptimal, Connected: &connected, LastTID: ago(span),
				Lag: Lag{new(7 * time.Second), &txns, new(100 * txns)},
			})}
		}
	}
	const zero = "age=0s transactions=0 bytes=0B"
	tests := []compared{
		{"equal", last(time.Hour), last(time.Hour), limits, "OK", zero, "whether it is connected it doesn't tell"},
		{"connected", last(time.Hour), replica(true, 0, time.Hour), limits, "OK", zero, "secondary s is up to date with primary p"},
		{"disconnected", last(time.Hour), replica(false, 0, time.Hour), limits, "WARNING disconnected", zero, "not connected"},
		{"behind-busy", last(0), last(20 * time.Second), limits, "OK", "age=20s", "secondary s is behind primary p by 20s, it ends with "},
		{"behind-at-limit", last(0), last(30 * time.Second), limits, "OK", "age=30s", ""},
		{"behind-warning", last(0), last(31 * time.Second), limits, "WARNING over-limit", "age=31s", "secondary s is behind primary p by 31s, more than 30s"},
		{"behind-critical", last(0), last(2 * time.Minute), limits, "CRITICAL over-limit", "age=120s", "more than 1m0s"},
		{"behind-no-limits", last(0), last(72 * time.Hour), Limits{}, "OK", "age=259200s", "is behind primary p by 72h0m0s"},
		{"stuck-before-last", last(time.Hour), last(time.Hour + time.Second), limits, "CRITICAL over-limit", "age=3600s", ""},
		{"on-its-way", last(time.Second), last(time.Hour, time.Second), limits, "OK", zero, ""},
		{"on-its-way-and-more", last(time.Second), last(time.Hour, 0), limits, "OK", zero, ""},
		{"moving", last(0), last(time.Hour, 40*time.Second), limits, "WARNING over-limit", "age=40s", ""},
		{
			"not-again", last(0), func() answers { return answers{one(ago(40 * time.Second)), failed(ErrSilent)} }, limits,
			"CRITICAL no-answer over-limit", "age=40s", "secondary s: accepts",
		},
		{"ahead", last(time.Hour), last(0), limits, "CRITICAL ahead", "", "wrong order, or their histories have diverged"},
		{"counts-unknown", last(0), last(0), Limits{Warning: Limit{Transactions: new(int64(3))}}, "OK", zero, ""},
		{
			"counts-unknown-behind", last(0), last(time.Second),
			Limits{Warning: Limit{Transactions: new(int64(3))}},
			"UNKNOWN not-known",
			"age=1s transactions=U", "secondary s against primary p: transactions can't be told",
		},
		{
			"own-counts", last(0), replica(true, 4, time.Hour),
			Limits{Warning: Limit{Transactions: new(int64(3))}},
			"WARNING over-limit",
			"age=7s transactions=4 bytes=400B", "behind primary p by 4 transactions, more than 3 transactions",
		},
		{"own-counts-wrong", last(0), replica(true, 0, time.Hour), limits, "CRITICAL over-limit", "age=3600s", ""},
		{"both-empty", says(one(0)), says(one(0)), limits, "WARNING empty", zero, "have no transaction yet"},
		{"secondary-empty", last(0), says(one(0)), Limits{}, "CRITICAL empty", "", "secondary s is empty"},
		{"secondary-empty-limited", last(0), says(one(0)), limits, "CRITICAL empty not-known", "age=Us", ""},
		{"primary-empty", says(one(0)), last(0), limits, "CRITICAL ahead", "", ""},
		{"secondary-down", last(0), says(failed(ErrUnreachable)), limits, "CRITICAL unreachable", "", "secondary s: can't connect"},
		{"primary-down", says(failed(ErrUnreachable)), last(0), limits, "CRITICAL unreachable", "", "primary p: can't connect"},
		{"both-down", says(failed(ErrSilent)), says(failed(ErrUnreachable)), limits, "CRITICAL unreachable no-answer", "", "; primary p: accepts"},
		{"name-unknown-and-down", says(failed(ErrUnreachable)), says(failed(ErrAnswer)), limits, "CRITICAL unreachable bad-answer", "", ""},
		{"two-primaries", says(one(5)), says(zrs(Storage{Role: "primary", Health: HealthOptimal, LastTID: 5})), Limits{}, "CRITICAL two-primaries", zero, ""},
		{
			"sick-primary", says(zrs(Storage{Role: "primary", Health: HealthFailed, Reason: "disk", LastTID: 5})), says(one(5)),
			Limits{},
			"CRITICAL disk", zero,
			"primary p is failed",
		},
		{
			"several", says(zeo(Storage{Name: "1", LastTID: 5}, Storage{Name: "a", LastTID: 5}, Storage{Name: "b", LastTID: 5})),
			says(zeo(Storage{Name: "1", LastTID: 5}, Storage{Name: "b", LastTID: 5}, Storage{Name: "c", LastTID: 5})),
			Limits{},
			"CRITICAL only-in-primary only-in-secondary", zero + " b:age=0s b:transactions=0 b:bytes=0B", `primary p storage "a" is missing in secondary s`,
		},
		{
			"any-name", says(zeo(Storage{Name: "main", LastTID: 5})), says(zrs(Storage{Health: HealthOptimal, Connected: new(true), LastTID: 5})),
			Limits{},
			"OK",
			"main:age=0s main:transactions=0 main:bytes=0B", "",
		},
		{
			"which-name", says(zeo(Storage{Name: "1", LastTID: 5}, Storage{Name: "a", LastTID: 5})), says(zrs(Storage{LastTID: 5})),
			Limits{},
			"UNKNOWN many-storages", "", "--storage",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, s := tt.primary(), tt.secondary()
				v := Compare(t.Context(), &Subject{Name: "primary p", Prober: &p}, &Subject{Name: "secondary s", Prober: &s}, "", tt.limits)
				checkVerdict(t, v, tt.want, tt.metrics, tt.text)
				if v.Level() == OK && strings.Contains(v.Text(), "up to date") && tt.name != "connected" && tt.name != "any-name" {
					t.Errorf("%q is said of what is not known to be", v.Text())
				}
			})
		})
	}
}

// TestCompare_time holds that a secondary that does not answer leaves time for
// the primary to be asked.
func TestCompare_time(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		hangs := probing(func(ctx context.Context) (*Report, error) { <-ctx.Done(); return nil, ErrSilent })
		v := Compare(ctx, &Subject{Name: "primary p", Prober: hangs}, &Subject{Name: "secondary s", Prober: hangs}, "", Limits{})
		checkVerdict(t, v, "CRITICAL no-answer no-answer", "", "secondary s: accepts")

		ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		v = Compare(ctx, &Subject{Name: "primary p", Prober: &answers{one(5)}}, &Subject{Name: "secondary s", Prober: hangs}, "", Limits{})
		checkVerdict(t, v, "CRITICAL no-answer", "", "secondary s: accepts")
		if took := time.Since(start); took != 5*time.Second {
			t.Errorf("took %v, want half of the limit", took)
		}
	})
}

type probing func(ctx context.Context) (*Report, error)

func (p probing) Probe(ctx context.Context) (*Report, error) { return p(ctx) }

// TestVerdict_Text holds the line to a bounded length, however much there is to
// tell.
func TestVerdict_Text(t *testing.T) {
	v := new(Verdict)
	for i := range 100 {
		v.find(Warning, "w", "finding %d", i)
	}
	v.find(Critical, "c", "the worst")
	v.find(Unknown, "u", "the least")
	v.fact("well")
	text := v.Text()
	if !strings.HasPrefix(text, "the worst; finding 0; ") || !strings.HasSuffix(text, "finding 8; and 92 more") {
		t.Errorf("Text() = %q", text)
	}
}
