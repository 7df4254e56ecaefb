package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"testing"
	"time"

	"zrs/internal/fs"
)

// A modelTxn is what the model of zrs log knows of a transaction.
type modelTxn struct {
	tid               fs.TID
	user, description []byte
	oids              []fs.OID
}

// readModel reads all transactions of a file the plain way.
func readModel(t *testing.T, f *fs.File) (model []modelTxn) {
	t.Helper()
	r := f.Reader(fs.FirstOffset, f.Size())
	for txn, err := range r.All() {
		if err != nil {
			t.Fatal(err)
		}
		m := modelTxn{tid: txn.TID, user: bytes.Clone(txn.User), description: bytes.Clone(txn.Description)}
		for rec, err := r.NextRecord(); err == nil; rec, err = r.NextRecord() {
			m.oids = append(m.oids, rec.OID)
		}
		model = append(model, m)
	}
	return model
}

// TestHistory_Random asks for random parts of a history, in either direction, and
// compares with a filter over all of it; also where few places can be kept.
func TestHistory_Random(t *testing.T) {
	f, err := fs.OpenFile("../../testdata/corpus/realistic_200/Data.fs")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	end, _, err := f.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	model := readModel(t, f)
	rng := rand.New(rand.NewPCG(1, 2))
	shown := 0
	for range 1000 {
		c, what := randomLog(t, rng, model)
		want := expected(c, model)
		h := &history{logCmd: c, f: f, end: end, keep: []int{1, 5, maxKept}[rng.IntN(3)], progress: new(progress)}
		var got []fs.TID
		if err := h.bounds(t.Context()); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		err := h.each(t.Context(), func(_ *fs.Reader, txn *fs.Txn) error {
			got = append(got, txn.TID)
			return nil
		})
		if err != nil || !slices.Equal(got, want) {
			t.Fatalf("%s, keeping %d: got %v, %v, want %v", what, h.keep, got, err, want)
		}
		shown += len(got)
	}
	if shown < 5000 {
		t.Errorf("only %d transactions were shown", shown)
	}
}

// randomLog returns a command, and what it is in words.
func randomLog(t *testing.T, rng *rand.Rand, model []modelTxn) (*logCmd, string) {
	t.Helper()
	c := &logCmd{Reverse: rng.IntN(2) == 0}
	what := fmt.Sprintf("reverse %v", c.Reverse)
	if rng.IntN(2) == 0 {
		c.MaxCount = new(rng.IntN(12))
		what += fmt.Sprintf(", -n %d", *c.MaxCount)
	}
	if rng.IntN(3) == 0 {
		c.User = []string{[]string{"admin", "/ editor", "nobody"}[rng.IntN(3)]}
		what += fmt.Sprintf(", user %s", c.User)
	}
	if rng.IntN(4) == 0 {
		c.Grep = &pattern{regexp.MustCompile(fmt.Sprintf("%d$", rng.IntN(10)))}
		what += ", grep " + c.Grep.String()
	}
	if rng.IntN(3) == 0 {
		m := model[rng.IntN(len(model))]
		c.OID = new(m.oids[rng.IntN(len(m.oids))])
		what += ", oid " + c.OID.String()
	}
	from, to := rng.IntN(len(model)), rng.IntN(len(model))
	text := ""
	switch from, to := min(from, to), max(from, to); rng.IntN(5) {
	case 0:
		text = fmt.Sprintf("%s..%s", model[from].tid, model[to].tid+1)
	case 1:
		text = fmt.Sprintf("%s..", model[from].tid-1)
	case 2:
		text = fmt.Sprintf("..%s", model[to].tid)
	case 3:
		text = fmt.Sprintf("head~%d", from)
	default:
		return c, what
	}
	r, err := parseRange(text, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c.Range = r
	return c, what + ", " + text
}

// expected returns what c has to show.
func expected(c *logCmd, model []modelTxn) (tids []fs.TID) {
	for i, m := range model {
		in := true
		switch r := c.Range; {
		case r.single:
			in = i == len(model)-1-r.from.back
		case r.from != nil && m.tid < r.from.tid, r.to != nil && m.tid > r.to.tid:
			in = false
		}
		if in && c.OID != nil {
			in = slices.Contains(m.oids, *c.OID)
		}
		if in && c.Grep != nil {
			in = c.Grep.Match(m.description)
		}
		if in && len(c.User) > 0 {
			in = bytes.HasSuffix(m.user, []byte(c.User[0]))
		}
		if in {
			tids = append(tids, m.tid)
		}
	}
	if c.MaxCount != nil {
		tids = tids[max(0, len(tids)-*c.MaxCount):]
	}
	if c.Reverse {
		slices.Reverse(tids)
	}
	return tids
}

func TestQuote(t *testing.T) {
	long := string(bytes.Repeat([]byte("ä"), maxQuoted))
	for in, want := range map[string]string{
		"":                    `""`,
		"edit":                `"edit"`,
		"Überschrift":         `"Überschrift"`,
		"a\n\x1b[2J\x00":      `"a\n\x1b[2J\x00"`,
		"\u202eright to left": `"\u202eright to left"`,
		"\xff":                `"\xff"`,
		long:                  `"` + long[:maxQuoted] + `"... (800 bytes)`,
		"x" + long:            `"x` + long[:maxQuoted-2] + `"... (801 bytes)`,
	} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
}

func TestLogChange_Text(t *testing.T) {
	for _, tt := range []struct {
		change logChange
		want   string
	}{
		{logChange{}, "gone"},
		{logChange{Error: "broken"}, "broken"},
		{logChange{Bytes: new(int64(2048))}, " 2.0 KiB  unknown class"},
		{logChange{Bytes: new(int64(5)), Class: new("app.Doc")}, "     5 B  app.Doc"},
		{logChange{Bytes: new(int64(5)), Class: new("app.\x1b[2J")}, `     5 B  "app.\x1b[2J"`},
		{logChange{Bytes: new(int64(5)), Class: new("app.Doc"), DataTID: new(fs.TID(7))}, "     5 B  app.Doc  as in 0000000000000007"},
	} {
		if got := tt.change.text(); got != tt.want {
			t.Errorf("text() = %q, want %q", got, tt.want)
		}
	}
}
