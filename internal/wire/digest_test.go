package wire

import (
	"encoding/hex"
	"path/filepath"
	"testing"

	"zrs/internal/fs"
)

func TestDigest_seed(t *testing.T) {
	tests := []struct {
		protocol string
		start    fs.TID
		want     string
	}{
		{Protocol20, 0, "7dea362b3fac8e00956a4952a3d4f474"},
		{Protocol21, 0x040d2d7e00db27bb, "81e8fed282b35f05f7792f69ffdd6252"},
		{ProtocolZRS1, 0, "2c0a8a99dc147d5445c3b49d035665b2"},
		{ProtocolZRS1, 0x040d2d7e00db27bb, "f9d8e97981d31040f4af1e7a8dce95e3"},
	}
	for _, tt := range tests {
		sum := NewDigest(tt.protocol, tt.start).Sum()
		if got := hex.EncodeToString(sum[:]); got != tt.want {
			t.Errorf("NewDigest(%s, %v).Sum() = %s, want %s", tt.protocol, tt.start, got, tt.want)
		}
	}
}

// The digests after the payloads of a session that was made to be a test vector,
// as Python's hashlib and xxhash have them.
func TestDigest_vector(t *testing.T) {
	all := map[string]map[int]string{
		Protocol21: {
			1:  "41d321e1b1c1da39958c0e7fb68d3c7b",
			2:  "4cb1af710090a39be63c147b739d8d4d",
			3:  "05a466b50d1daa2b0b2b957cdfc27d57",
			4:  "2a0eca7d62906070964a85bf18356cdd",
			5:  "4395a509957300cbb05a0c8551e27657",
			9:  "4aff15de891686ab687a11ab426a7cd0",
			10: "6b48e7ca99fcd4be04d463a99962986d",
			15: "c1fee833edeec2b8c95f09decc326732",
			16: "c0d3353217dbe67a75b6b79e358a2aac",
		},
		ProtocolZRS1: {
			1:  "d1f8988ea779c3d6085c8d3059f49b1f", // 137 bytes
			2:  "bde384ce320d560eb6ac369f04d94f0b", // more than 240: another part of the algorithm
			3:  "b87bb00dbad96b8f34b7dc23dd849cb7",
			9:  "19634a82f581e2224c45a92fdc13d9e4",
			12: "2df6fc97ddbe478d9a0013444fc8a65c", // more than a block of 1024
			15: "33bfbf4cb4688e33bb404d8c5e4e9df2",
			16: "795ccf7d8d81fd4bdbdec9e8667e103d",
		},
	}
	payloads := frames(t, filepath.Join(sessionDir, "vector", "p2s.bin"))
	if len(payloads) != 16 {
		t.Fatalf("%d payloads, want 16", len(payloads))
	}
	for protocol, want := range all {
		d := NewDigest(protocol, 0)
		for i, p := range payloads {
			d.Add(p)
			sum := d.Sum()
			if got := hex.EncodeToString(sum[:]); want[i+1] != "" && got != want[i+1] {
				t.Errorf("%s: after payload %d: Sum() = %s, want %s", protocol, i+1, got, want[i+1])
			}
		}
	}
}

func TestDigest_Clone(t *testing.T) {
	for _, protocol := range []string{Protocol21, ProtocolZRS1} {
		d := NewDigest(protocol, 1)
		d.Add(make([]byte, 5000))
		before := d.Sum()
		c := d.Clone()
		c.Add([]byte("b"))
		if d.Sum() != before {
			t.Errorf("%s: Add() to a clone changed the original", protocol)
		}
		d.Add([]byte("b"))
		if d.Sum() != c.Sum() || d.Sum() == before {
			t.Errorf("%s: clone and original differ after the same payloads", protocol)
		}
	}
}
