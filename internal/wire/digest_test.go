package wire

import (
	"encoding/hex"
	"path/filepath"
	"testing"

	"zrs/internal/fs"
)

func TestDigest_seed(t *testing.T) {
	tests := []struct {
		start fs.TID
		want  string
	}{
		{0, "7dea362b3fac8e00956a4952a3d4f474"},
		{0x040d2d7e00db27bb, "81e8fed282b35f05f7792f69ffdd6252"},
	}
	for _, tt := range tests {
		sum := NewDigest(tt.start).Sum()
		if got := hex.EncodeToString(sum[:]); got != tt.want {
			t.Errorf("NewDigest(%v).Sum() = %s, want %s", tt.start, got, tt.want)
		}
	}
}

// The digests after the payloads of a session that was made to be a test vector,
// as Python's hashlib has them.
func TestDigest_vector(t *testing.T) {
	want := map[int]string{
		1:  "41d321e1b1c1da39958c0e7fb68d3c7b",
		2:  "4cb1af710090a39be63c147b739d8d4d",
		3:  "05a466b50d1daa2b0b2b957cdfc27d57",
		4:  "2a0eca7d62906070964a85bf18356cdd",
		5:  "4395a509957300cbb05a0c8551e27657",
		9:  "4aff15de891686ab687a11ab426a7cd0",
		10: "6b48e7ca99fcd4be04d463a99962986d",
		15: "c1fee833edeec2b8c95f09decc326732",
		16: "c0d3353217dbe67a75b6b79e358a2aac",
	}
	d := NewDigest(0)
	payloads := frames(t, filepath.Join(sessionDir, "vector", "p2s.bin"))
	if len(payloads) != 16 {
		t.Fatalf("%d payloads, want 16", len(payloads))
	}
	for i, p := range payloads {
		d.Add(p)
		sum := d.Sum()
		if got := hex.EncodeToString(sum[:]); want[i+1] != "" && got != want[i+1] {
			t.Errorf("after payload %d: Sum() = %s, want %s", i+1, got, want[i+1])
		}
	}
}

func TestDigest_Clone(t *testing.T) {
	d := NewDigest(1)
	d.Add([]byte("a"))
	before := d.Sum()
	c := d.Clone()
	c.Add([]byte("b"))
	if d.Sum() != before {
		t.Error("Add() to a clone changed the original")
	}
	d.Add([]byte("b"))
	if d.Sum() != c.Sum() {
		t.Error("clone and original differ after the same payloads")
	}
}
