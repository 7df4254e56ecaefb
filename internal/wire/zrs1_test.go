package wire

import (
	"errors"
	"reflect"
	"testing"

	"zrs/internal/epoch"
	"zrs/internal/fs"
)

func TestHello_AppendGreeting(t *testing.T) {
	want := &Hello{Lineage: epoch.Begin().Promote(5), Start: 3, Last: 7, Blobs: true, Node: "db2:/srv/Data.fs"}
	b := want.AppendGreeting(nil)
	name, rest := cutFrame(t, b)
	if string(name) != ProtocolZRS1 || len(name) > MaxHandshakeFrame {
		t.Errorf("the first frame is %q; zc.zrs takes at most %d bytes", name, MaxHandshakeFrame)
	}
	payload, rest := cutFrame(t, rest)
	got, err := DecodeHello(payload)
	if err != nil || !reflect.DeepEqual(got, want) || len(rest) > 0 {
		t.Errorf("DecodeHello() = %+v, %v, want %+v", got, err, want)
	}
}

func TestWelcome_AppendFrame(t *testing.T) {
	for _, want := range []*Welcome{
		{},
		{Lineage: epoch.Begin(), Role: epoch.Primary, Last: 9},
		{Refused: &Refusal{ReasonSuperseded, "another one is the primary"}},
	} {
		payload, _ := cutFrame(t, want.AppendFrame(nil))
		if got, err := DecodeWelcome(payload); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("DecodeWelcome() = %+v, %v, want %+v", got, err, want)
		}
	}
}

func TestNote_AppendFrame(t *testing.T) {
	lineage := epoch.Begin()
	for _, want := range []*Note{
		{},
		{Tip: &Tip{Last: 9, Behind: Behind{-1, 7, 3}, After: 2, Silent: -1, CutOff: true, Via: []epoch.ID{lineage.Epoch}}},
		{End: &End{9}},
		{Lineage: &lineage},
		{Report: &Report{9, 2}},
		{Finish: &Finish{}},
	} {
		payload, _ := cutFrame(t, want.AppendFrame(nil))
		if !IsNote(payload) {
			t.Errorf("IsNote(%s) = false", payload)
		}
		if got, err := DecodeNote(payload); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("DecodeNote() = %+v, %v, want %+v", got, err, want)
		}
	}
	for _, message := range [][]byte{nil, (&Commit{}).AppendTo(nil), []byte("(S'T'"), {0x80, 2}} {
		if IsNote(message) {
			t.Errorf("IsNote(%q) = true", message)
		}
	}
}

// A note that nobody can mean is refused.
func TestDecodeNote_refused(t *testing.T) {
	for _, n := range []*Note{
		{Tip: &Tip{Behind: Behind{Transactions: -2}}},
		{Tip: &Tip{Behind: Behind{Bytes: -1}}},
		{Tip: &Tip{Silent: -2}},
		{Report: &Report{BlobsMissing: -1}},
		{Lineage: &epoch.Lineage{Epoch: epoch.Begin().Epoch}},
	} {
		payload, _ := cutFrame(t, n.AppendFrame(nil))
		if _, err := DecodeNote(payload); !errors.Is(err, ErrGreeting) {
			t.Errorf("DecodeNote(%s) = %v, want ErrGreeting", payload, err)
		}
	}
}

// The longest lineage fits.
func TestHello_longest(t *testing.T) {
	l := epoch.Begin()
	for n := range 2000 {
		l = l.Promote(fs.MaxTID - 2000 + fs.TID(n))
	}
	if n := len((&Note{Lineage: &l}).AppendFrame(nil)); n > MaxNote {
		t.Errorf("it takes %d bytes", n)
	}
}

func TestDecodeHello_malformed(t *testing.T) {
	for _, payload := range []string{
		"", "{", "[]", `{"start": 7}`, `{"lineage": {"epoch": "00"}}`,
		`{"lineage": {"epoch": "0102030405060708090a0b0c0d0e0f10"}}`, // of no database
	} {
		if h, err := DecodeHello([]byte(payload)); !errors.Is(err, ErrGreeting) {
			t.Errorf("DecodeHello(%q) = %+v, %v, want ErrGreeting", payload, h, err)
		}
	}
}

func cutFrame(t testing.TB, b []byte) (payload, rest []byte) {
	t.Helper()
	n, err := FrameSize(b, MaxGreeting)
	if err != nil || len(b) < FrameHeaderSize+n {
		t.Fatalf("no whole frame: %q, %v", b, err)
	}
	b = b[FrameHeaderSize:]
	return b[:n], b[n:]
}

func FuzzDecodeNote(f *testing.F) {
	lineage := epoch.Begin().Promote(7)
	for _, n := range []*Note{{Tip: &Tip{Last: 9}}, {End: &End{9}}, {Lineage: &lineage}, {Report: &Report{9, 2}}, {Finish: &Finish{}}} {
		payload, _ := cutFrame(f, n.AppendFrame(nil))
		f.Add(payload)
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		n, err := DecodeNote(payload)
		if err != nil {
			if !errors.Is(err, ErrGreeting) {
				t.Errorf("DecodeNote() = %v, want ErrGreeting", err)
			}
			return
		}
		again, err := DecodeNote(marshal(n))
		if err != nil || string(marshal(again)) != string(marshal(n)) { // an empty list is as none
			t.Errorf("%s decodes as %+v and then as %+v, %v", payload, n, again, err)
		}
	})
}
