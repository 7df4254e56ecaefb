package pickle

import (
	"math/big"
	"slices"
	"strconv"
)

// parseDecimal reads a decimal number: as n if it fits, else as the shortest
// little-endian two's complement.
func parseDecimal(text []byte) (n int64, long []byte, err error) {
	digits := text
	if len(digits) > 0 && (digits[0] == '-' || digits[0] == '+') {
		digits = digits[1:]
	}
	if len(digits) == 0 {
		return 0, nil, errArgument
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, nil, errArgument
		}
	}
	if len(digits) > MaxLongDigits {
		return 0, nil, limit("too many digits")
	}
	if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
		return n, nil, nil
	}
	z, _ := new(big.Int).SetString(string(text), 10)
	return 0, longBytes(z), nil
}

// appendDecimal appends the number that le is in little-endian two's complement.
// It reports false, and appends nothing, if that takes too many digits.
func appendDecimal(b, le []byte) ([]byte, bool) {
	if 2*len(le) > MaxLongDigits { // a byte is 2.4 digits
		return b, false
	}
	digits := len(b)
	out := bigInt(le).Append(b, 10)
	if out[digits] == '-' {
		digits++
	}
	if len(out)-digits > MaxLongDigits {
		return b, false
	}
	return out, true
}

// smallLong returns the number that le is in little-endian two's complement, if
// it fits.
func smallLong(le []byte) (int64, bool) {
	le = trimLong(le)
	if len(le) > 8 {
		return 0, false
	}
	var n uint64
	for i, c := range le {
		n |= uint64(c) << (8 * i)
	}
	unused := 64 - 8*len(le)
	return int64(n<<unused) >> unused, true
}

// trimLong cuts the sign bytes off le that its value doesn't need. Zero has no
// bytes.
func trimLong(le []byte) []byte {
	for n := len(le); n > 0; n-- {
		last, sign := le[n-1], n > 1 && le[n-2] >= 0x80
		if !(last == 0 && !sign || last == 0xff && sign) {
			return le[:n]
		}
	}
	return nil
}

// longBytes returns z as the shortest little-endian two's complement.
func longBytes(z *big.Int) []byte {
	if z.Sign() >= 0 {
		le := z.Bytes()
		slices.Reverse(le)
		return trimLong(append(le, 0))
	}
	// -z-1 has the bits of z, inverted.
	le := new(big.Int).Not(z).Bytes()
	slices.Reverse(le)
	for i := range le {
		le[i] = ^le[i]
	}
	return trimLong(append(le, 0xff))
}

// bigInt is the inverse of longBytes.
func bigInt(le []byte) *big.Int {
	be := slices.Clone(le)
	slices.Reverse(be)
	if len(be) == 0 || be[0] < 0x80 {
		return new(big.Int).SetBytes(be)
	}
	for i := range be {
		be[i] = ^be[i]
	}
	z := new(big.Int).SetBytes(be)
	return z.Not(z)
}
