package verify

import (
	"testing"

	"zrs/internal/fs"
)

// TestProgress holds that what was done is in the end what was announced, however
// many passes there were.
func TestProgress(t *testing.T) {
	f, err := fs.OpenFile(corpusDir + "/blobs_bushy/Data.fs")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	blobs, err := fs.OpenBlobDir(corpusDir + "/blobs_bushy/blobs")
	if err != nil {
		t.Fatal(err)
	}
	a, b := pair(t, "2p b=2; 3p a=2>b; 4 c=2", "1 a=1>b b=1; 2 b=2 c=1; 3 a=2>b; 4 c=2")
	for name, run := range map[string]func(*Progress) error{
		"sound": func(p *Progress) error { _, err := Sound(t.Context(), f, Options{Progress: p}); return err },
		"all-of-sound": func(p *Progress) error {
			_, err := Sound(t.Context(), f, Options{Blobs: blobs, References: true, Progress: p})
			return err
		},
		"digest": func(p *Progress) error {
			_, err := DigestFile(t.Context(), f, DigestOptions{Progress: p})
			return err
		},
		"blobs": func(p *Progress) error {
			side := FileSource(f, blobs)
			_, err := Compare(t.Context(), side, side, CompareOptions{Blobs: BlobsContent, Progress: p})
			return err
		},
		"compared-twice": func(p *Progress) error {
			_, err := Compare(t.Context(), a, b, CompareOptions{Progress: p})
			return err
		},
	} {
		var p Progress
		if err := run(&p); err != nil {
			t.Fatal(err)
		}
		bytes, total := p.Bytes.Load(), p.Total.Load()
		if total == 0 || bytes > total || bytes < total-2*fs.FirstOffset-total/100 {
			t.Errorf("%s: %d of %d bytes", name, bytes, total)
		}
	}
}
