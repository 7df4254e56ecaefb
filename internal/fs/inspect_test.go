package fs

import "testing"

// A visited transaction is what a Visitor was told.
type visited struct {
	txns, records int
	kinds         []Kind
}

func (v *visited) Txn(TID, Status)      { v.txns++ }
func (v *visited) Record(*Record, Kind) { v.records++ }
func (v *visited) Flaw(e *RecordError)  { v.kinds = append(v.kinds, e.Kind) }

// TestInspect has the damaged files of the corpus whose readers stop in the third
// transaction, which has two records. (What verify makes of every field is tested
// there.)
func TestInspect(t *testing.T) {
	tests := []struct {
		name string
		kind Kind
		end  int64 // 829 is the next transaction, whole
		lost bool
	}{
		{"byte_lost", KindTrailer, 1653, true},
		{"plen", KindRecord, 829, false},
		{"redundant_len", KindTrailer, 829, false},
		{"status_0xff", KindStatus, 829, false},
		{"status_c_middle", KindCheckpoint, 829, false},
		{"status_x", KindStatus, 829, false},
		{"tlen_5", KindLength, 829, false},
		{"tlen_bit0", KindLength, 829, false},
		{"tlen_bit62", KindLength, 829, false},
		{"tloc", KindTxnOffset, 829, false},
		{"ulen", KindTexts, 829, false},
		{"vlen", KindVersion, 829, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := OpenFile(corpusPath(t, "corrupt/"+tt.name+".fs"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			const third = 554
			r := f.Reader(third, f.Size())
			_, why := r.Next()
			for why == nil {
				_, why = r.NextRecord()
			}
			var v visited
			got, err := Inspect(f, third, why, &v)
			if err != nil || got.End != tt.end || got.Lost != tt.lost {
				t.Errorf("Inspect() = %+v, %v, want %+v", got, err, tt)
			}
			if len(v.kinds) != 1 || v.kinds[0] != tt.kind {
				t.Errorf("flaws %v, want %s", v.kinds, tt.kind)
			}
			if tt.lost != (v.txns == 0) || !tt.lost && v.records != 2 {
				t.Errorf("%+v", v)
			}
		})
	}
}
