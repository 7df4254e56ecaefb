package fs

import (
	"errors"
	"strings"
	"testing"
	"time"
)

const zodbTime = "2006-01-02 15:04:05.000000"

func TestTID_Time(t *testing.T) {
	for _, v := range loadVectors(t).TIDTime {
		if got := v.TID.Time().Format(zodbTime); got != v.Text {
			t.Errorf("%v.Time() = %s, want %s", v.TID, got, v.Text)
		}
		utc, err := time.Parse("2006-01-02T15:04:05.000000", v.UTC)
		if err != nil {
			t.Fatal(err)
		}
		if got := TIDFromTime(utc); got != v.TID {
			t.Errorf("TIDFromTime(%s) = %v, want %v", v.UTC, got, v.TID)
		}
		if got := v.TID.Time(); got.Location() != time.UTC {
			t.Errorf("%v.Time() is in %v", v.TID, got.Location())
		}
	}
}

// ZODB prints a second of 60.000000 where rounding gives that; we carry.
func TestTID_TimeCarriesIntoTheMinute(t *testing.T) {
	carried := map[TID]string{
		0x03f47f95ffffffff: "2023-11-14 22:14:00.000000",
		0x7fffffffffffffff: "5908-11-23 02:08:00.000000",
	}
	for _, v := range loadVectors(t).TIDTextOnly {
		want := v.Text
		if strings.Contains(want, ":60.") {
			want = carried[v.TID]
		}
		if got := v.TID.Time().Format(zodbTime); got != want {
			t.Errorf("%v.Time() = %s, want %s", v.TID, got, want)
		}
	}
}

func TestTID_TimeOfImpossibleDay(t *testing.T) {
	// 30 February 2023, 12:00.
	tid := TID((((2023-1900)*12+1)*31+29)*24*60+12*60) << 32
	if got, want := tid.Time().Format(zodbTime), "2023-03-02 12:00:00.000000"; got != want {
		t.Errorf("Time() = %s, want %s", got, want)
	}
}

func TestTIDFromTime_Microseconds(t *testing.T) {
	start := time.Date(2024, 2, 29, 23, 59, 0, 0, time.UTC)
	for us := 0; us < 120_000_000; us += 9973 {
		at := start.Add(time.Duration(us) * time.Microsecond)
		if got := TIDFromTime(at).Time(); !got.Equal(at) {
			t.Fatalf("TIDFromTime(%v).Time() = %v", at, got)
		}
	}
}

func TestTIDFromTime_Bounds(t *testing.T) {
	if got := TIDFromTime(time.Date(1899, 12, 31, 23, 59, 59, 0, time.UTC)); got != 0 {
		t.Errorf("TIDFromTime() of 1899 = %v, want 0", got)
	}
	if got := TIDFromTime(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)); got <= MaxTID {
		t.Errorf("TIDFromTime() of 9999 = %v, want more than %v", got, MaxTID)
	}
	east := time.FixedZone("east", 2*60*60)
	if got, want := TIDFromTime(time.Date(1970, 1, 1, 2, 0, 0, 0, east)), TID(0x023c2b0000000000); got != want {
		t.Errorf("TIDFromTime() of another zone = %v, want %v", got, want)
	}
}

func TestTID_Later(t *testing.T) {
	for _, v := range loadVectors(t).TIDLaterThan {
		// What ZODB does at tpc_begin: the time, if it is later than the last.
		got := v.Candidate
		if got <= v.Last {
			got = v.Last.Later()
		}
		if got != v.Result {
			t.Errorf("after %v, at %v: %v, want %v", v.Last, v.Candidate, got, v.Result)
		}
	}
}

func TestParseTID(t *testing.T) {
	for _, v := range loadVectors(t).UndoID {
		if got, err := ParseTID(v.ID); err != nil || got != v.TID {
			t.Errorf("ParseTID(%q) = %v, %v, want %v", v.ID, got, err, v.TID)
		}
	}
	for _, test := range []struct {
		text string
		want TID
	}{
		{"03f4961566666666", 0x03f4961566666666},
		{"03F4961566666666", 0x03f4961566666666},
		{"0x03f4961566666666", 0x03f4961566666666},
		{"0X03F4961566666666", 0x03f4961566666666},
		{"0x00", 0},
		{"0xabc", 0xabc},
		{"ffffffffffffffff", 0xffffffffffffffff},
		{"AAAAAAAAAAA=", 0},
	} {
		if got, err := ParseTID(test.text); err != nil || got != test.want {
			t.Errorf("ParseTID(%q) = %v, %v, want %v", test.text, got, err, test.want)
		}
	}
	for _, text := range []string{
		"", "0x", "x", "1234", "03f496156666666", "03f49615666666666", "03f496156666666g",
		"0x03f49615666666666", "0x-1", "A/SWFWZmZmY", "A/SWFWZmZmY*", "AAAAAAAAAAAA", " 3f4961566666666",
	} {
		if got, err := ParseTID(text); !errors.Is(err, ErrBadTID) {
			t.Errorf("ParseTID(%q) = %v, %v, want ErrBadTID", text, got, err)
		}
	}
}

func TestTID_Text(t *testing.T) {
	const tid = TID(0x0abc)
	if got, want := tid.String(), "0000000000000abc"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	text, err := tid.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var got TID
	if err := got.UnmarshalText(text); err != nil || got != tid {
		t.Errorf("UnmarshalText(%q) = %v, %v, want %v", text, got, err, tid)
	}
	if err := got.UnmarshalText([]byte("nonsense")); !errors.Is(err, ErrBadTID) || got != tid {
		t.Errorf("UnmarshalText(nonsense) = %v, %v, want %v, ErrBadTID", got, err, tid)
	}
	if got := TIDFromBytes(tid.AppendTo(nil)); got != tid {
		t.Errorf("TIDFromBytes(AppendTo()) = %v, want %v", got, tid)
	}
}

func TestOID_Text(t *testing.T) {
	const oid = OID(0xfedcba9876543210)
	if got, want := oid.String(), "fedcba9876543210"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	if text, err := oid.MarshalText(); err != nil || string(text) != oid.String() {
		t.Errorf("MarshalText() = %q, %v, want %q", text, err, oid)
	}
	if got := OIDFromBytes(oid.AppendTo(nil)); got != oid {
		t.Errorf("OIDFromBytes(AppendTo()) = %v, want %v", got, oid)
	}
}

// FuzzTID compares with the clock: what a TID tells is at most half a
// microsecond off, and turning it back gives a TID no further away.
func FuzzTID(f *testing.F) {
	for _, tid := range []TID{0, 1, 0xffffffff, 0x03f47f955ddddddd, 0x03f47f95ffffffff, 0x7fffffffffffffff, MaxTID} {
		f.Add(uint64(tid))
	}
	f.Fuzz(func(t *testing.T, v uint64) {
		tid := TID(v)
		if got, err := ParseTID(tid.String()); err != nil || got != tid {
			t.Errorf("ParseTID(%v) = %v, %v", tid, got, err)
		}
		later := tid.Later()
		if tid != ^TID(0) && later <= tid && uint32(later) != 0 {
			t.Errorf("%v.Later() = %v", tid, later)
		}
		at := tid.Time()
		if got := TIDFromTime(at).Time(); !got.Equal(at) {
			t.Errorf("TIDFromTime(%v).Time() = %v", at, got)
		}
	})
}
