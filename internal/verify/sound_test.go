package verify

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"zrs/internal/fs"
	"zrs/internal/verify/plant"
)

// TestSound_Corpus has the verdict on every data file of the corpus.
func TestSound_Corpus(t *testing.T) {
	defer unchanged(t, corpusDir)()
	type finding struct {
		kind   fs.Kind
		offset int64
	}
	tests := map[string]struct {
		findings []finding
		tail     int64 // offset of a torn tail, 0 for none
		index    IndexState
		extra    string // what is special about it
	}{
		"blobs_bushy/Data.fs":              {index: IndexCurrent},
		"blobs_lawn/Data.fs":               {index: IndexCurrent},
		"blobs_packed/Data.fs":             {index: IndexCurrent},
		"blobs_packed/Data.fs.old":         {findings: []finding{{KindBlob, 374}, {KindBlob, 441}}, extra: "its blobs are in blobs.old"},
		"copied/Data.fs":                   {index: IndexCurrent},
		"copied_packed/Data.fs":            {index: IndexCurrent},
		"corrupt/byte_lost.fs":             {findings: []finding{{fs.KindTrailer, 554}}},
		"corrupt/data_byte.fs":             {extra: "no structure shows it"},
		"corrupt/magic.fs":                 {findings: []finding{{fs.KindMagic, 0}}},
		"corrupt/oid.fs":                   {extra: "a new object of another id, which nothing but an index would know"},
		"corrupt/plen.fs":                  {findings: []finding{{fs.KindRecord, 587}}},
		"corrupt/prev.fs":                  {findings: []finding{{KindPrevChain, 587}}},
		"corrupt/record_tid.fs":            {findings: []finding{{KindRecordTID, 587}}},
		"corrupt/redundant_len.fs":         {findings: []finding{{fs.KindTrailer, 554}}},
		"corrupt/status_0xff.fs":           {findings: []finding{{fs.KindStatus, 554}}},
		"corrupt/status_c_middle.fs":       {findings: []finding{{fs.KindCheckpoint, 554}}},
		"corrupt/status_x.fs":              {findings: []finding{{fs.KindStatus, 554}}},
		"corrupt/tid_reduction.fs":         {findings: []finding{{fs.KindTID, 554}, {KindTxnTID, 554}}},
		"corrupt/tlen_5.fs":                {findings: []finding{{fs.KindLength, 554}}},
		"corrupt/tlen_bit0.fs":             {findings: []finding{{fs.KindLength, 554}}},
		"corrupt/tlen_bit62.fs":            {findings: []finding{{fs.KindLength, 554}}},
		"corrupt/tloc.fs":                  {findings: []finding{{fs.KindTxnOffset, 587}}},
		"corrupt/ulen.fs":                  {findings: []finding{{fs.KindTexts, 554}}},
		"corrupt/vlen.fs":                  {findings: []finding{{fs.KindVersion, 587}}},
		"damage_base/Data.fs":              {index: IndexCurrent},
		"duplicate_oid/Data.fs":            {index: IndexCurrent, extra: "ZODB refuses this index, which it wrote itself"},
		"empty/Data.fs":                    {index: IndexCurrent},
		"extension/Data.fs":                {index: IndexCurrent},
		"large_oids/Data.fs":               {index: IndexCurrent},
		"midcommit/Data.fs":                {tail: 1379, index: IndexCurrent},
		"multi_undo/Data.fs":               {index: IndexCurrent},
		"one_txn/Data.fs":                  {index: IndexCurrent},
		"pack_gc_bug/Data.fs":              {findings: []finding{{KindDangling, 502}}, index: IndexCurrent, extra: "a pack took what was in use"},
		"pack_gc_bug/Data.fs.old":          {},
		"pack_multi_undo_bug/Data.fs":      {index: IndexCurrent, extra: "an older state than before the pack; sound for what it is"},
		"pack_multi_undo_bug/Data.fs.old":  {},
		"packed/Data.fs":                   {index: IndexCurrent},
		"packed/Data.fs.old":               {},
		"packed_two_revisions/Data.fs":     {index: IndexCurrent},
		"packed_two_revisions/Data.fs.old": {},
		"py2_fs21/Data.fs":                 {},
		"realistic_200/Data.fs":            {index: IndexCurrent},
		"references/Data.fs":               {index: IndexCurrent},
		"status_u/Data.fs":                 {},
		"tid_out_of_order/Data.fs":         {findings: []finding{{fs.KindTID, 300}}, index: IndexCurrent},
		"torn/cut_in_data.fs":              {tail: 1379},
		"torn/cut_in_data_header.fs":       {tail: 1379},
		"torn/cut_in_trailer.fs":           {tail: 1379},
		"torn/cut_in_txn_header_1.fs":      {tail: 1379},
		"torn/cut_in_txn_header_16.fs":     {tail: 1379},
		"torn/last_body_zeroed.fs":         {tail: 1379},
		"torn/last_header_zeroed.fs":       {tail: 1379},
		"torn/status_c_partial.fs":         {tail: 1379},
		"torn/zeros_4096_appended.fs":      {tail: 1654},
		"zero_records/Data.fs":             {index: IndexCurrent},
		"undo/Data.fs":                     {index: IndexCurrent},
		"undo_creation/Data.fs":            {index: IndexCurrent},
	}
	seen := 0
	for _, pattern := range []string{"*/*.fs", "*/*.fs.old"} {
		paths, err := filepath.Glob(filepath.Join(corpusDir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			name, _ := filepath.Rel(corpusDir, path)
			want, ok := tests[filepath.ToSlash(name)]
			if !ok {
				t.Errorf("%s: no verdict in the table", name)
				continue
			}
			seen++
			if want.index == "" {
				want.index = IndexNone
			}
			o := sound(t, path, Options{References: true, Blobs: blobsBeside(t, path)})
			var got []finding
			for _, f := range o.findings {
				got = append(got, finding{f.Kind, f.Offset})
			}
			if len(got) != len(want.findings) {
				t.Errorf("%s: %+v, want %v", name, o.findings, want.findings)
				continue
			}
			for i := range got {
				if got[i] != want.findings[i] {
					t.Errorf("%s: finding %v, want %v", name, got[i], want.findings[i])
				}
			}
			if tail := o.Tail; (tail != nil) != (want.tail != 0) || tail != nil && tail.Offset != want.tail {
				t.Errorf("%s: tail %v, want one at %d", name, tail, want.tail)
			}
			if o.Index != want.index {
				t.Errorf("%s: index %s (%s), want %s", name, o.Index, o.IndexDetail, want.index)
			}
		}
	}
	if seen != len(tests) {
		t.Errorf("%d files, the table has %d", seen, len(tests))
	}
}

// blobsBeside opens the blob directory beside a data file, if there is one.
func blobsBeside(t *testing.T, path string) *fs.BlobDir {
	t.Helper()
	dir := filepath.Join(filepath.Dir(path), "blobs")
	blobs, err := fs.OpenBlobDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return blobs
}

// TestSound_Empty has databases without transactions.
func TestSound_Empty(t *testing.T) {
	for data, notes := range map[string]int64{"": 1, "FS30": 0} {
		o := sound(t, writeFile(t, []byte(data)), Options{References: true})
		if o.Err() != nil || o.Notes != notes || o.Transactions != 0 || o.Tail != nil {
			t.Errorf("%q: %+v", data, o)
		}
	}
}

// TestSound_Max tells few findings and counts all.
func TestSound_Max(t *testing.T) {
	data := corpusFile(t, "damage_base/Data.fs")
	for _, txn := range plant.Parse(data)[1:4] {
		data[txn.Records[0].Offset+15] ^= 1 // its transaction id
	}
	all := sound(t, writeFile(t, data), Options{})
	if all.Damage != 3 || all.Untold != 0 {
		t.Fatalf("%+v", all)
	}
	few := sound(t, writeFile(t, data), Options{Max: 1})
	if few.Damage != all.Damage || few.Untold != all.Damage-1 || len(few.findings) != 1 {
		t.Errorf("%+v", few)
	}
}
