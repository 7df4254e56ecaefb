package pickle

// newValue returns a new value, built by the opcodes from start to the current
// one.
func (d *Decoder) newValue(k Kind, start int) (*Value, error) {
	if d.used >= d.maxValues() {
		return nil, limit("too many values")
	}
	if d.used/slabSize == len(d.slabs) {
		d.slabs = append(d.slabs, make([]Value, slabSize))
	}
	v := &d.slabs[d.used/slabSize][d.used%slabSize]
	d.used++
	*v = Value{Kind: k, Off: start, End: d.op.End}
	return v, nil
}

func (d *Decoder) maxValues() int {
	if d.MaxValues > 0 {
		return d.MaxValues
	}
	return DefaultMaxValues
}

// push puts v, built by the opcodes from start on, on the stack.
func (d *Decoder) push(v *Value, start int) error {
	if len(d.stack) >= d.maxValues() {
		return limit("stack too high")
	}
	d.stack = append(d.stack, entry{v, start})
	return nil
}

// pushScalar pushes a new value that the current opcode alone gives.
func (d *Decoder) pushScalar(k Kind, n int64, data []byte) error {
	v, err := d.newValue(k, d.op.Offset)
	if err != nil {
		return err
	}
	v.Int, v.Data = n, data
	return d.push(v, d.op.Offset)
}

// pushData pushes a new value that has data.
func (d *Decoder) pushData(k Kind, start int, data []byte) error {
	v, err := d.newValue(k, start)
	if err != nil {
		return err
	}
	v.Data = data
	return d.push(v, start)
}

// pushItems pushes a new value that has items.
func (d *Decoder) pushItems(k Kind, start int, items ...*Value) error {
	v, err := d.newValue(k, start)
	if err != nil {
		return err
	}
	v.Items = items
	return d.push(v, start)
}

// available returns how many values are on the stack above the last mark.
func (d *Decoder) available() int {
	if n := len(d.marks); n > 0 {
		return len(d.stack) - d.marks[n-1].height
	}
	return len(d.stack)
}

// top returns the topmost entry above the last mark.
func (d *Decoder) top() (entry, error) {
	if d.available() < 1 {
		return entry{}, errUnderflow
	}
	return d.stack[len(d.stack)-1], nil
}

// pop takes n > 0 values off the stack, and returns them with the offset where the
// opcodes of the first begin. The values are valid until the next push.
func (d *Decoder) pop(n int) ([]entry, int, error) {
	if d.available() < n {
		return nil, 0, errUnderflow
	}
	popped := d.stack[len(d.stack)-n:]
	d.stack = d.stack[:len(d.stack)-n]
	return popped, popped[0].start, nil
}

// popMark takes the last mark and the values above it off the stack, and
// returns the values and the offset of the MARK. The values are valid until
// the next push.
func (d *Decoder) popMark() ([]entry, int, error) {
	if len(d.marks) == 0 {
		return nil, 0, errNoMark
	}
	m := d.marks[len(d.marks)-1]
	d.marks = d.marks[:len(d.marks)-1]
	popped := d.stack[m.height:]
	d.stack = d.stack[:m.height]
	return popped, m.start, nil
}

// values appends the values of entries to items.
func values(items []*Value, entries []entry) []*Value {
	if items == nil {
		items = make([]*Value, 0, len(entries))
	}
	for _, e := range entries {
		items = append(items, e.v)
	}
	return items
}
