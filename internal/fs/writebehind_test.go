package fs

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// What goes through a writeBehind is in the file, whatever left the page cache,
// and what is written again over it too.
func TestWriteBehind(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	o, err := newOSFile(f)
	if err != nil {
		t.Fatal(err)
	}
	const piece = 3 << 20
	var want []byte
	write := func(b []byte, off int64) {
		t.Helper()
		if _, err := o.WriteAt(b, off); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 12 {
		b := bytes.Repeat([]byte{byte(i + 1)}, piece)
		write(b, int64(len(want)))
		want = append(want, b...)
		if i == 8 { // as a Writer does at the end of a batch
			if err := o.Sync(); err != nil {
				t.Fatal(err)
			}
			write([]byte("patched"), 17)
			copy(want[17:], "patched")
		}
	}
	if err := o.Truncate(5 * piece); err != nil {
		t.Fatal(err)
	}
	want = want[:5*piece]
	write([]byte("behind the cut"), int64(len(want)))
	want = append(want, "behind the cut"...)
	if err := o.Sync(); err != nil {
		t.Fatal(err)
	}
	if b := &o.behind; b.end != int64(len(want)) || b.done != b.end || b.started != b.end {
		t.Errorf("after Sync: done %d, started %d, end %d, want %d", b.done, b.started, b.end, len(want))
	}
	got, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the file has other bytes than were written")
	}
}
