package pickle

import (
	"encoding/binary"
	"math"
	"strconv"
)

func (d *Decoder) intLine() error {
	switch string(d.op.Arg) {
	case "00", "01": // booleans before protocol 2
		return d.pushScalar(Bool, int64(d.op.Arg[1]-'0'), nil)
	}
	return d.decimal(d.op.Arg)
}

func (d *Decoder) longLine() error {
	text := d.op.Arg
	if n := len(text); n > 0 && text[n-1] == 'L' {
		text = text[:n-1]
	}
	return d.decimal(text)
}

func (d *Decoder) decimal(text []byte) error {
	n, long, err := parseDecimal(text)
	if err != nil {
		return err
	}
	if long != nil {
		return d.pushScalar(Long, 0, long)
	}
	return d.pushScalar(Int, n, nil)
}

func (d *Decoder) binInt() error {
	return d.pushScalar(Int, int64(int32(d.uint())), nil)
}

func (d *Decoder) binUint() error {
	return d.pushScalar(Int, int64(d.uint()), nil)
}

func (d *Decoder) binLong() error {
	if n, ok := smallLong(d.op.Arg); ok {
		return d.pushScalar(Int, n, nil)
	}
	return d.pushScalar(Long, 0, trimLong(d.op.Arg))
}

func (d *Decoder) floatLine() error {
	for _, c := range d.op.Arg {
		if c == 'x' || c == 'X' || c == '_' {
			return errArgument // Go's spellings, not Python's
		}
	}
	f, err := strconv.ParseFloat(string(d.op.Arg), 64)
	if err != nil && !math.IsInf(f, 0) { // 1e999 is infinite in Python
		return errArgument
	}
	bits := math.Float64bits(f)
	if math.IsNaN(f) {
		bits = 0x7ff8 << 48 // Python's, of which Go's differs
	}
	return d.pushScalar(Float, int64(bits), nil)
}

func (d *Decoder) binFloat() error {
	return d.pushScalar(Float, int64(binary.BigEndian.Uint64(d.op.Arg)), nil)
}

func (d *Decoder) binUnicode() error {
	if !validText(d.op.Arg) {
		return syntax("text is not UTF-8")
	}
	return d.pushScalar(Text, 0, d.op.Arg)
}

func (d *Decoder) unicodeLine() error {
	text, err := d.convert(appendUnescapedText, d.op.Arg)
	if err != nil {
		return err
	}
	return d.pushScalar(Text, 0, text)
}

func (d *Decoder) stringLine() error {
	text, err := d.convert(appendUnquoted, d.op.Arg)
	if err != nil {
		return err
	}
	return d.pushScalar(Str, 0, text)
}

// convert applies a conversion whose result is at most twice as long as src.
func (d *Decoder) convert(f func(dst, src []byte) ([]byte, bool), src []byte) ([]byte, error) {
	if err := d.charge(len(src)); err != nil {
		return nil, err
	}
	start := len(d.text)
	text, ok := f(d.text, src)
	if !ok {
		return nil, errArgument
	}
	d.text = text
	return text[start:len(text):len(text)], nil
}

// charge counts n bytes of text that are looked at once more.
func (d *Decoder) charge(n int) error {
	d.work += n
	if d.work > maxWork*d.seen {
		return limit("too much text to convert")
	}
	return nil
}
