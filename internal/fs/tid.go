package fs

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strings"
	"time"
)

// A TID is a transaction id: 8 big-endian bytes on disk and on the wire, which
// also tell the time of the commit. The high 32 bits count minutes in a
// calendar whose months all have 31 days, the low 32 bits are the second in
// units of 60/2^32 s (ZODB.TimeStamp). TIDs order as numbers. The zero TID
// stands for "before the first transaction".
type TID uint64

// MaxTID is the greatest TID that ZODB can use as the bound of a load.
const MaxTID TID = 0x7fffffffffffffff

// ErrBadTID is returned for a text that is no transaction id.
var ErrBadTID = errors.New("not a transaction id")

// TIDFromBytes returns the TID in the first 8 bytes of b, which must have them.
func TIDFromBytes(b []byte) TID { return TID(binary.BigEndian.Uint64(b)) }

// AppendTo appends the 8 bytes of t to b.
func (t TID) AppendTo(b []byte) []byte { return binary.BigEndian.AppendUint64(b, uint64(t)) }

// String returns t as 16 lower-case hex digits.
func (t TID) String() string { return hex16(uint64(t)) }

// MarshalText returns t as 16 lower-case hex digits.
func (t TID) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText accepts what [ParseTID] accepts.
func (t *TID) UnmarshalText(text []byte) error {
	v, err := ParseTID(string(text))
	if err != nil {
		return err
	}
	*t = v
	return nil
}

// ParseTID reads a TID written as 16 hex digits, as 0x and up to 16 hex digits
// (ZODB's log messages and blob file names), or as the 12 base64 characters of
// Zope's Undo page. Any other text gives an error that wraps [ErrBadTID].
func ParseTID(s string) (TID, error) {
	if id, err := parseHex(s); err == nil {
		return TID(id), nil
	}
	if b, err := base64.StdEncoding.DecodeString(s); err == nil && len(b) == 8 && len(s) == 12 {
		return TIDFromBytes(b), nil
	}
	return 0, fmt.Errorf("%q: %w: want 16 hex digits", s, ErrBadTID)
}

// parseHex reads 16 hex digits, or 0x and up to 16.
func parseHex(s string) (uint64, error) {
	if digits, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok && len(digits) > 0 && len(digits) <= 16 {
		s = strings.Repeat("0", 16-len(digits)) + digits
	}
	b, err := hex.DecodeString(s)
	if err == nil && len(b) != 8 {
		err = hex.ErrLength
	}
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(b), nil
}

const (
	nsPerMinute     = 60_000_000_000
	minutesPerDay   = 24 * 60
	minutesPerMonth = 31 * minutesPerDay // every month has 31 slots
	minutesPerYear  = 12 * minutesPerMonth
	firstYear       = 1900
)

// TIDFromTime returns the TID of the instant t: the greatest that is not later,
// or zero if t is before them all.
func TIDFromTime(t time.Time) TID {
	t = t.UTC()
	high := int64(((t.Year()-firstYear)*12+int(t.Month())-1)*31+t.Day()-1)*minutesPerDay + int64(t.Hour()*60+t.Minute())
	switch {
	case high < 0:
		return 0
	case high > math.MaxUint32:
		return math.MaxUint64
	}
	ns := uint64(t.Second())*1_000_000_000 + uint64(t.Nanosecond())
	hi, lo := bits.Mul64(ns, 1<<32)
	low, _ := bits.Div64(hi, lo, nsPerMinute)
	return TID(uint64(high)<<32 | low)
}

// Time returns the commit time that t tells, in UTC, rounded to microseconds
// as ZODB prints it. Days that a month does not have (a TID made by hand) count
// on into the next one.
func (t TID) Time() time.Time {
	us := (uint64(uint32(t))*60_000_000*2 + 1<<32) >> 33
	return t.minute().Add(time.Duration(us) * time.Microsecond)
}

// minute returns when the minute began in which t was made.
func (t TID) minute() time.Time {
	m := int64(t >> 32)
	return time.Date(
		int(m/minutesPerYear)+firstYear, time.Month(m/minutesPerMonth%12+1), int(m/minutesPerDay%31)+1,
		int(m/60%24), int(m%60), 0, 0, time.UTC)
}

// Later returns the first TID that ZODB would use after t: one tick more, or
// the start of the next calendar minute when the ticks of this one are used up
// (persistent.TimeStamp.laterThan).
func (t TID) Later() TID {
	if uint32(t) != 0xffffffff {
		return t + 1
	}
	return TIDFromTime(t.minute().Add(time.Minute))
}

// An OID is an object id: 8 big-endian bytes. The root object is 0.
type OID uint64

// OIDFromBytes returns the OID in the first 8 bytes of b, which must have them.
func OIDFromBytes(b []byte) OID { return OID(binary.BigEndian.Uint64(b)) }

// ParseOID reads an OID written as 16 hex digits, or as 0x and up to 16 hex
// digits, as ZODB's messages and blob directories have it.
func ParseOID(s string) (OID, error) {
	id, err := parseHex(s)
	if err != nil {
		return 0, fmt.Errorf("%q: not an object id: want 16 hex digits, or 0x and fewer", s)
	}
	return OID(id), nil
}

// UnmarshalText accepts what [ParseOID] accepts.
func (o *OID) UnmarshalText(text []byte) (err error) {
	*o, err = ParseOID(string(text))
	return err
}

// AppendTo appends the 8 bytes of o to b.
func (o OID) AppendTo(b []byte) []byte { return binary.BigEndian.AppendUint64(b, uint64(o)) }

// String returns o as 16 lower-case hex digits.
func (o OID) String() string { return hex16(uint64(o)) }

// MarshalText returns o as 16 lower-case hex digits.
func (o OID) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

func hex16(v uint64) string {
	const digits = "0123456789abcdef"
	var b [16]byte
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = digits[v&0xf]
		v >>= 4
	}
	return string(b[:])
}
