package pickle

// What Python's C pickler writes between the items of a container, and after
// the last (Modules/_pickle.c, the same in zodbpickle).

// separate writes what stands before item i of v.
func (e *Encoder) separate(v *Value, i int) error {
	n := len(v.Items)
	switch v.Kind {
	case Tuple:
		if i == 0 && !e.shortTuple(n) {
			e.out = append(e.out, opMark)
		}
	case Reduce:
		if i == 2 { // the first change
			return e.called(v)
		}
	case List:
		if n > 1 {
			e.batch(i, batchSize, opAppends)
		}
	case Dict:
		if n > 2 {
			e.batch(i, 2*batchSize, opSetItems)
		}
	case Update:
		if alone := n-i == 2; !alone || i%(2*batchSize) != 0 {
			e.batch(i, 2*batchSize, opSetItems)
		} else if i > 0 {
			e.out = append(e.out, opSetItems)
		}
	}
	return nil
}

// batch starts a batch at each multiple of size, after ending the one before.
func (e *Encoder) batch(i, size int, end byte) {
	if i%size != 0 {
		return
	}
	if i > 0 {
		e.out = append(e.out, end)
	}
	e.out = append(e.out, opMark)
}

// close writes what stands after the last item of v.
func (e *Encoder) close(v *Value) error {
	switch n := len(v.Items); v.Kind {
	case Tuple:
		return e.closeTuple(v)
	case Reduce:
		if n == 2 {
			return e.called(v)
		}
	case List:
		e.closeBatch(n, 1, opAppend, opAppends)
	case Dict:
		e.closeBatch(n, 2, opSetItem, opSetItems)
		if n > 0 && n%(2*batchSize) == 0 {
			// batch_dict_exact starts a batch before it sees that
			// nothing is left.
			e.out = append(e.out, opMark, opSetItems)
		}
	case Update:
		// Unlike the items of a dict, those of an object come from an
		// iterator, and a last one may be alone in its batch.
		if n%(2*batchSize) == 2 {
			n = 2
		}
		e.closeBatch(n, 2, opSetItem, opSetItems)
	}
	return nil
}

func (e *Encoder) closeBatch(n, single int, one, many byte) {
	switch n {
	case 0:
	case single:
		e.out = append(e.out, one)
	default:
		e.out = append(e.out, many)
	}
}

// shortTuple reports whether a tuple of n items has an opcode of its own.
func (e *Encoder) shortTuple(n int) bool { return e.protocol == 3 && n <= 3 }

func (e *Encoder) closeTuple(v *Value) error {
	n := len(v.Items)
	switch {
	case n == 0:
		e.out = append(e.out, opEmptyTuple)
		return nil // never in the memo
	case e.shortTuple(n):
		e.out = append(e.out, opTuple1+byte(n-1))
	default:
		e.out = append(e.out, opTuple)
	}
	return e.putMade(v)
}

// called writes the call after its callable and arguments.
func (e *Encoder) called(v *Value) error {
	e.out = append(e.out, opReduce)
	return e.putMade(v)
}
