package pickle

import "strconv"

// put remembers the topmost value under the number n. Picklers count from 0 (or
// 1), so a number above the length of the input is none of theirs.
func (d *Decoder) put(n uint64) error {
	e, err := d.top()
	if err != nil {
		return err
	}
	if n > uint64(d.seen) {
		return limit("memo index too high")
	}
	for uint64(len(d.memo)) <= n {
		d.memo = append(d.memo, nil)
	}
	if d.memo[n] == nil {
		d.puts++
	}
	d.memo[n] = e.v
	e.v.End = d.op.End
	return nil
}

func (d *Decoder) putLine() error {
	n, err := d.memoNumber()
	if err != nil {
		return err
	}
	return d.put(n)
}

func (d *Decoder) get(n uint64) error {
	if n >= uint64(len(d.memo)) || d.memo[n] == nil {
		return syntax("nothing in the memo there")
	}
	return d.push(d.memo[n], d.op.Offset)
}

func (d *Decoder) getLine() error {
	n, err := d.memoNumber()
	if err != nil {
		return err
	}
	return d.get(n)
}

func (d *Decoder) memoNumber() (uint64, error) {
	n, err := strconv.ParseUint(string(d.op.Arg), 10, 32)
	if err != nil {
		return 0, errArgument
	}
	return n, nil
}

// popOne takes the topmost value off the stack, or the mark if that is on top.
func (d *Decoder) popOne() error {
	if d.available() == 0 && len(d.marks) > 0 {
		d.marks = d.marks[:len(d.marks)-1]
		return nil
	}
	_, _, err := d.pop(1)
	return err
}

func (d *Decoder) dup() error {
	e, err := d.top()
	if err != nil {
		return err
	}
	return d.push(e.v, d.op.Offset)
}
