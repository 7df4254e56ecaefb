package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A byteSize is a number of bytes, written with the units that coreutils,
// rsync and wget know: K, M, G, T and KiB, MiB, GiB, TiB are powers of 1024;
// kB, MB, GB, TB are powers of 1000.
type byteSize int64

// byteUnits holds the units in lower case, in descending order of each kind:
// String uses the first that divides a size.
var byteUnits = []struct {
	name  string
	bytes int64
}{
	{"tib", 1 << 40},
	{"gib", 1 << 30},
	{"mib", 1 << 20},
	{"kib", 1 << 10},
	{"tb", 1e12},
	{"gb", 1e9},
	{"mb", 1e6},
	{"kb", 1e3},
	{"t", 1 << 40},
	{"g", 1 << 30},
	{"m", 1 << 20},
	{"k", 1 << 10},
	{"b", 1},
	{"", 1},
}

// parseByteSize reads a size such as 4096, 20M, 1.5GiB or 100 MB.
func parseByteSize(s string) (byteSize, error) {
	n := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	if n < 0 {
		n = len(s)
	}
	number, unit := s[:n], strings.ToLower(strings.TrimSpace(s[n:]))
	for _, u := range byteUnits {
		if u.name != unit {
			continue
		}
		v, err := parseScaled(number, u.bytes)
		if err != nil {
			return 0, fmt.Errorf("size %q: %w", s, err)
		}
		return byteSize(v), nil
	}
	return 0, fmt.Errorf("size %q: want a number of bytes, as in 4096, 20M, 1.5GiB or 100MB", s)
}

// parseScaled returns number times unit. Whole numbers are exact.
func parseScaled(number string, unit int64) (int64, error) {
	errTooBig := errors.New("is too big")
	if i, err := strconv.ParseInt(number, 10, 64); err == nil {
		if i > math.MaxInt64/unit {
			return 0, errTooBig
		}
		return i * unit, nil
	}
	f, err := strconv.ParseFloat(number, 64)
	switch {
	case errors.Is(err, strconv.ErrRange), err == nil && f*float64(unit) >= math.MaxInt64:
		return 0, errTooBig
	case err != nil:
		return 0, errors.New("want a number of bytes, as in 4096, 20M, 1.5GiB or 100MB")
	}
	return int64(f * float64(unit)), nil
}

// String returns the size in the greatest binary unit that divides it, as in 20MiB.
func (b byteSize) String() string {
	names := []string{"TiB", "GiB", "MiB", "KiB"}
	for i, name := range names {
		if unit := byteUnits[i].bytes; b != 0 && int64(b)%unit == 0 {
			return strconv.FormatInt(int64(b)/unit, 10) + name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

// UnmarshalText reads what [parseByteSize] reads.
func (b *byteSize) UnmarshalText(text []byte) (err error) {
	*b, err = parseByteSize(string(text))
	return err
}
