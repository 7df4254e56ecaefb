package dump

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"zrs/internal/fs"
)

// head is the start of a transaction in a dump.
const head = "txn 03f4961566666666 \" \"\nuser \"\"\ndescription \"\"\nextension \"\"\n"

// decodeAll returns what a dump has, as text.
func decodeAll(d *Decoder) (text string, err error) {
	var b strings.Builder
	for {
		txn, err := d.Next()
		if errors.Is(err, io.EOF) {
			return b.String(), nil
		}
		if err != nil {
			return b.String(), err
		}
		fmt.Fprintf(&b, "%s %q %q %q %q\n", txn.TID, byte(txn.Status), txn.User, txn.Description, txn.Extension)
		for {
			obj, err := d.NextObject()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return b.String(), err
			}
			fmt.Fprintf(&b, "%s %d %s %d %q\n", obj.OID, obj.Kind, obj.From, obj.Size, obj.Data)
		}
	}
}

// Every function that zodbtools knows is known and checked. The checksums are
// those of Python.
func TestDecoder_checksums(t *testing.T) {
	for _, sum := range []string{
		"null:00",
		"adler32:042e0136",
		"crc32:0972d361",
		"sha1:7c4a8d09ca3762af61e59520943dc26494f8941b",
		"sha256:8d969eef6ecad3c29a3a629280e686cf0c3f5d5a86aff3ca12020c923adc6c92",
		"sha512:ba3253876aed6bc22d4a6ff53d8406c6ad864195ed144ab5c87621b6c233b548baeae6956df346ec8c17f5ea10f35ee3cbc514797ed7ddd3145464e2a0bab413",
	} {
		name, _, _ := strings.Cut(sum, ":")
		t.Run(name, func(t *testing.T) {
			text := head + "obj 0000000000000001 6 " + sum + "\n123456\n\n"
			got, err := decodeAll(NewDecoder(strings.NewReader(text)))
			if err != nil || !strings.Contains(got, `0000000000000001 0 0000000000000000 6 "123456"`) {
				t.Errorf("decoded %s, %v", got, err)
			}
			text = head + "obj 0000000000000001 6 " + sum + "\nother!\n\n"
			if _, err := decodeAll(NewDecoder(strings.NewReader(text))); name != "null" && !errors.Is(err, ErrChecksum) {
				t.Errorf("other data: %v, want %v", err, ErrChecksum)
			}
			text = head + "obj 0000000000000001 6 " + sum + " -\n\n"
			if got, err := decodeAll(NewDecoder(strings.NewReader(text))); err != nil || !strings.Contains(got, "0000000000000001 3 ") {
				t.Errorf("without data: %s, %v", got, err)
			}
		})
	}
}

func TestDecoder_errors(t *testing.T) {
	const obj = "obj 0000000000000001 "
	for _, tt := range []struct {
		name, in string
		want     error
		line     int64
	}{
		{"binary", "FS30\x00\x01", ErrNotDump, 0},
		{"other-text", "user \"\"\n", ErrNotDump, 0},
		{"txn-alone", "txn", ErrCutShort, 0},
		{"short-tid", "txn 03f4 \" \"\n", ErrSyntax, 1},
		{"upper-case-tid", strings.ToUpper(head[:20]) + head[20:], ErrNotDump, 0},
		{"no-status", "txn 03f4961566666666\n", ErrSyntax, 1},
		{"two-statuses", "txn 03f4961566666666 \"  \"\n", ErrSyntax, 1},
		{"cut-header", head[:40], ErrCutShort, 3},
		{"wrong-order", "txn 03f4961566666666 \" \"\ndescription \"\"\n", ErrSyntax, 2},
		{"bad-quotes", "txn 03f4961566666666 \" \"\nuser \"\\q\"\n", ErrSyntax, 2},
		{"no-end", head, ErrCutShort, 4},
		{"no-object", head + "txn 03f4961566666667 \" \"\n", ErrSyntax, 5},
		{"bad-oid", head + "obj 1 delete\n\n", ErrSyntax, 5},
		{"bad-from", head + obj + "from 1\n\n", ErrSyntax, 5},
		{"after-from", head + obj + "from 03f4961566666666 x\n\n", ErrSyntax, 5},
		{"after-delete", head + obj + "delete x\n\n", ErrSyntax, 5},
		{"no-size", head + obj + "sha1:00\n\n", ErrSyntax, 5},
		{"negative-size", head + obj + "-1 null:00\n\n", ErrSyntax, 5},
		{"huge-size", head + obj + "99999999999999999999 null:00\n\n", ErrSyntax, 5},
		{"large-size", head + obj + "4611686018427387903 null:00\nabc\n\n", ErrCutShort, 5},
		{"unknown-function", head + obj + "3 md5:00\nabc\n\n", ErrSyntax, 5},
		{"short-checksum", head + obj + "3 sha1:00\nabc\n\n", ErrSyntax, 5},
		{"no-hex-checksum", head + obj + "3 null:zz\nabc\n\n", ErrSyntax, 5},
		{"cut-data", head + obj + "3 null:00\nab", ErrCutShort, 5},
		{"longer-data", head + obj + "3 null:00\nabcd\n\n", ErrSyntax, 5},
		{"line-count", head + obj + "5 null:00\na\nb\n\n\nobj x\n", ErrSyntax, 10},
		{"long-line", "txn 03f4961566666666 \" \"\nuser \"" + strings.Repeat("x", maxLine) + "\"\n", ErrSyntax, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := NewDecoder(strings.NewReader(tt.in))
			_, err := decodeAll(d)
			e, ok := errors.AsType[*Error](err)
			if !ok || !errors.Is(err, tt.want) || e.Line != tt.line {
				t.Fatalf("%v, want line %d: %v", err, tt.line, tt.want)
			}
			if _, again := d.Next(); again != err { //nolint:errorlint // the very same
				t.Errorf("Next() after the error = %v", again)
			}
		})
	}
}

// A dump that is cut anywhere is either whole transactions or an error.
func TestDecoder_prefixes(t *testing.T) {
	text := mustDump(t, &Dumper{}, corpusPath("undo/Data.fs"))
	ends := map[int]bool{0: true}
	for i := range text {
		if i >= 2 && string(text[i-2:i]) == "\n\n" && bytes.HasPrefix(text[i:], []byte("txn ")) {
			ends[i] = true
		}
	}
	for n := range text {
		_, err := decodeAll(NewDecoder(bytes.NewReader(text[:n])))
		if (err == nil) != ends[n] {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
}

// Objects need not be read.
func TestDecoder_Next(t *testing.T) {
	d := NewDecoder(bytes.NewReader(mustDump(t, &Dumper{}, corpusPath("realistic_200/Data.fs"))))
	n := 0
	for {
		if _, err := d.Next(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 200 {
		t.Errorf("%d transactions, want 200", n)
	}
	if _, err := d.NextObject(); !errors.Is(err, io.EOF) {
		t.Errorf("NextObject() at the end = %v", err)
	}
}

func FuzzDecoder(f *testing.F) {
	for _, name := range []string{"one_txn/Data.fs", "undo/Data.fs", "undo_creation/Data.fs"} {
		f.Add(mustDump(f, &Dumper{}, corpusPath(name)))
		f.Add(mustDump(f, &Dumper{HashOnly: true}, corpusPath(name)))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d := NewDecoder(bytes.NewReader(text))
		var again bytes.Buffer
		for {
			txn, err := d.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err == nil {
				err = writeAgain(&again, d, txn)
			}
			if err != nil {
				if _, ok := errors.AsType[*Error](err); !ok {
					t.Fatalf("%v is no *Error", err)
				}
				return
			}
		}
		one, err := decodeAll(NewDecoder(bytes.NewReader(text)))
		two, errAgain := decodeAll(NewDecoder(&again))
		if err != nil || errAgain != nil || one != two {
			t.Errorf("decoded, written and decoded again:\n%s %v\n%s %v", one, err, two, errAgain)
		}
	})
}

// writeAgain writes a transaction as a Dumper would.
func writeAgain(b *bytes.Buffer, d *Decoder, txn *fs.TxnHeader) error {
	fmt.Fprintf(b, "txn %s \"%s\"\nuser %s\ndescription %s\nextension %s\n", txn.TID, []byte{byte(txn.Status)},
		AppendQuoted(nil, txn.User), AppendQuoted(nil, txn.Description), AppendQuoted(nil, txn.Extension))
	for {
		obj, err := d.NextObject()
		if errors.Is(err, io.EOF) {
			b.WriteByte('\n')
			return nil
		}
		if err != nil {
			return err
		}
		switch obj.Kind {
		case Full:
			fmt.Fprintf(b, "obj %s %d null:00\n%s\n", obj.OID, obj.Size, obj.Data)
		case Copy:
			fmt.Fprintf(b, "obj %s from %s\n", obj.OID, obj.From)
		case Delete:
			fmt.Fprintf(b, "obj %s delete\n", obj.OID)
		case Hash:
			fmt.Fprintf(b, "obj %s %d null:00 -\n", obj.OID, obj.Size)
		}
	}
}
