package pickle

func (d *Decoder) mark() error {
	if len(d.marks) == MaxMarks {
		return limit("too many marks")
	}
	d.marks = append(d.marks, mark{len(d.stack), d.op.Offset})
	return nil
}

// collect makes a tuple or a list of what is above the mark.
func (d *Decoder) collect(k Kind) error {
	items, start, err := d.popMark()
	if err != nil {
		return err
	}
	return d.pushItems(k, start, values(nil, items)...)
}

func (d *Decoder) tuple(n int) error {
	items, start, err := d.pop(n)
	if err != nil {
		return err
	}
	return d.pushItems(Tuple, start, values(nil, items)...)
}

func (d *Decoder) dict() error {
	items, start, err := d.popMark()
	if err != nil {
		return err
	}
	if len(items)%2 != 0 {
		return syntax("key without value")
	}
	return d.pushItems(Dict, start, values(nil, items)...)
}

// one changes the value on the stack below the n topmost with those.
func (d *Decoder) one(n int, change func(d *Decoder, target *Value, items []entry) error) error {
	items, _, err := d.pop(n)
	if err != nil {
		return err
	}
	return d.change(items, change)
}

// many changes the value on the stack below the mark with those above it.
func (d *Decoder) many(change func(d *Decoder, target *Value, items []entry) error) error {
	items, _, err := d.popMark()
	if err != nil {
		return err
	}
	return d.change(items, change)
}

func (d *Decoder) change(items []entry, change func(d *Decoder, target *Value, items []entry) error) error {
	target, err := d.top()
	if err != nil {
		return err
	}
	target.v.End = d.op.End
	return change(d, target.v, items)
}

func (d *Decoder) extend(target *Value, items []entry) error {
	if target.Kind == List {
		target.Items = values(target.Items, items)
		return nil
	}
	return d.changeObject(target, Extend, items)
}

func (d *Decoder) update(target *Value, items []entry) error {
	if len(items)%2 != 0 {
		return syntax("key without value")
	}
	if target.Kind == Dict {
		target.Items = values(target.Items, items)
		return nil
	}
	return d.changeObject(target, Update, items)
}

// set pushes a set as protocol 3 spells it, the call of a class with a list.
func (d *Decoder) set(class string, items []entry, start int) error {
	var parts [4]*Value
	for i, k := range [...]Kind{Reduce, Global, Tuple, List} {
		v, err := d.newValue(k, start)
		if err != nil {
			return err
		}
		parts[i] = v
	}
	set, callable, args, list := parts[0], parts[1], parts[2], parts[3]
	callable.Data = []byte(class)
	list.Items = values(nil, items)
	args.Items = []*Value{list}
	set.Items = []*Value{callable, args}
	return d.push(set, start)
}

func (d *Decoder) frozenSet() error {
	items, start, err := d.popMark()
	if err != nil {
		return err
	}
	return d.set("builtins\nfrozenset", items, start)
}

func (d *Decoder) addItems(target *Value, items []entry) error {
	list := setItems(target)
	if list == nil {
		return errTarget
	}
	list.Items = values(list.Items, items)
	return nil
}

// setItems returns the list from which the set v is made, or nil if v is none.
func setItems(v *Value) *Value {
	if v.Kind != Reduce || len(v.Items) != 2 || string(v.Items[0].Data) != "builtins\nset" {
		return nil
	}
	if args := v.Items[1].Items; len(args) == 1 && args[0].Kind == List {
		return args[0]
	}
	return nil
}

// byteArray pushes a byte array as protocol 3 spells it, the call of its class
// with bytes or nothing.
func (d *Decoder) byteArray() error {
	if err := d.pushScalar(Global, 0, []byte("builtins\nbytearray")); err != nil {
		return err
	}
	if len(d.op.Arg) == 0 {
		if err := d.pushItems(Tuple, d.op.Offset); err != nil {
			return err
		}
		return d.reduce()
	}
	if err := d.pushScalar(Bytes, 0, d.op.Arg); err != nil {
		return err
	}
	if err := d.tuple(1); err != nil {
		return err
	}
	return d.reduce()
}
