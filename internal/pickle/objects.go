package pickle

import "bytes"

// stackGlobal makes a name of the two texts on the stack. Names of modules and
// classes have no newline.
func (d *Decoder) stackGlobal() error {
	parts, start, err := d.pop(2)
	if err != nil {
		return err
	}
	module, name := parts[0].v, parts[1].v
	if module.Kind != Text || name.Kind != Text {
		return syntax("name is not text")
	}
	full, err := d.join(module.Data, name.Data)
	if err != nil {
		return err
	}
	return d.pushData(Global, start, full)
}

// join returns "module\nname".
func (d *Decoder) join(module, name []byte) ([]byte, error) {
	if err := d.charge(len(module) + len(name)); err != nil {
		return nil, err
	}
	if bytes.IndexByte(module, '\n') >= 0 || bytes.IndexByte(name, '\n') >= 0 {
		return nil, syntax("name of more than one line")
	}
	start := len(d.text)
	d.text = append(append(append(d.text, module...), '\n'), name...)
	return d.text[start:len(d.text):len(d.text)], nil
}

// reduce records a call. Two are carried out, those with which picklers write
// bytes before protocol 3.
func (d *Decoder) reduce() error {
	parts, start, err := d.pop(2)
	if err != nil {
		return err
	}
	callable, args := parts[0].v, parts[1].v
	if args.Kind != Tuple {
		return syntax("arguments are not a tuple")
	}
	data, ok, err := d.bytesCall(callable, args.Items)
	if err != nil {
		return err
	}
	if !ok {
		return d.pushItems(Reduce, start, callable, args)
	}
	return d.pushData(Bytes, start, data)
}

// bytesCall returns the bytes that _codecs.encode(text, 'latin1') or bytes()
// gives, and reports whether the call is one of these and succeeds.
func (d *Decoder) bytesCall(callable *Value, args []*Value) (data []byte, ok bool, err error) {
	if callable.Kind != Global {
		return nil, false, nil
	}
	switch string(callable.Data) {
	case "__builtin__\nbytes", "builtins\nbytes":
		return nil, len(args) == 0, nil
	case "_codecs\nencode":
	default:
		return nil, false, nil
	}
	if len(args) != 2 || args[0].Kind != Text || args[1].Kind != Text || string(args[1].Data) != "latin1" {
		return nil, false, nil
	}
	text := args[0].Data
	if err := d.charge(len(text)); err != nil {
		return nil, false, err
	}
	if ascii(text) {
		return text, true, nil
	}
	start := len(d.text)
	encoded, ok := AppendLatin1(d.text, text)
	if !ok { // Python would raise an exception
		return nil, false, nil
	}
	d.text = encoded
	return encoded[start:len(encoded):len(encoded)], true, nil
}

// newObject makes an object of the n values on the stack: class, arguments, and
// keyword arguments.
func (d *Decoder) newObject(n int) error {
	parts, start, err := d.pop(n)
	if err != nil {
		return err
	}
	if parts[1].v.Kind != Tuple || n == 3 && parts[2].v.Kind != Dict {
		return syntax("arguments are not a tuple and a dict")
	}
	return d.pushItems(Object, start, values(nil, parts)...)
}

// inst makes an object of a class by name and the arguments above the mark.
func (d *Decoder) inst() error {
	args, start, err := d.popMark()
	if err != nil {
		return err
	}
	class, err := d.newValue(Global, d.op.Offset)
	if err != nil {
		return err
	}
	class.Data = d.op.Arg
	return d.instance(class, args, start)
}

// obj makes an object of the class and the arguments above the mark.
func (d *Decoder) obj() error {
	parts, start, err := d.popMark()
	if err != nil {
		return err
	}
	if len(parts) == 0 {
		return errUnderflow
	}
	return d.instance(parts[0].v, parts[1:], start)
}

func (d *Decoder) instance(class *Value, args []entry, start int) error {
	tuple, err := d.newValue(Tuple, start)
	if err != nil {
		return err
	}
	tuple.Items = values(nil, args)
	return d.pushItems(Object, start, class, tuple)
}

func (d *Decoder) persID() error {
	id, err := d.newValue(Str, d.op.Offset)
	if err != nil {
		return err
	}
	id.Data = d.op.Arg
	return d.pushItems(Persistent, d.op.Offset, id)
}

func (d *Decoder) binPersID() error {
	id, start, err := d.pop(1)
	if err != nil {
		return err
	}
	return d.pushItems(Persistent, start, id[0].v)
}

func (d *Decoder) registered() error {
	return d.pushScalar(Registered, int64(d.uint()), nil)
}

func (d *Decoder) build(target *Value, state []entry) error {
	return d.changeObject(target, Build, state)
}

// changeObject notes what was done to an object. Changes of the same kind that
// follow each other are one, however the pickler cut them into batches.
func (d *Decoder) changeObject(target *Value, k Kind, items []entry) error {
	if !target.takesChanges() {
		return errTarget
	}
	if n := len(target.Items); n > 0 && k != Build && target.Items[n-1].Kind == k {
		target.Items[n-1].Items = values(target.Items[n-1].Items, items)
		return nil
	}
	if len(items) == 0 {
		return nil
	}
	v, err := d.newValue(k, d.op.Offset)
	if err != nil {
		return err
	}
	v.Items = values(nil, items)
	target.Items = append(target.Items, v)
	return nil
}
