package wire

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"zrs/internal/fs"
)

func TestFrameSize(t *testing.T) {
	tests := []struct {
		name   string
		header []byte
		limit  int
		want   int
		err    string
	}{
		{"keep-alive", AppendFrame(nil, nil), MaxHandshakeFrame, 0, ""},
		{"at-the-limit", AppendFrameHeader(nil, 8), MaxHandshakeFrame, 8, ""},
		{"over-the-limit", AppendFrameHeader(nil, 9), MaxHandshakeFrame, 0, "frame too large: 9 bytes, limit is 8"},
		{"largest", []byte{0xff, 0xff, 0xff, 0xff}, MaxData, 0, "frame too large: 4294967295 bytes, limit is 1073741824"},
		{"block", AppendFrameHeader(nil, BlockSize), MaxBlock, BlockSize, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, err := FrameSize(tt.header, tt.limit)
			if n != tt.want || (err == nil) != (tt.err == "") {
				t.Fatalf("FrameSize() = %d, %v, want %d, %q", n, err, tt.want, tt.err)
			}
			if err != nil && (err.Error() != tt.err || !errors.Is(err, ErrFrameTooLarge)) {
				t.Errorf("FrameSize() = %q, want %q", err, tt.err)
			}
		})
	}
}

func TestAppendFrame(t *testing.T) {
	if got, want := AppendFrame([]byte{1}, []byte("abc")), "\x01\x00\x00\x00\x03abc"; string(got) != want {
		t.Errorf("AppendFrame() = %q, want %q", got, want)
	}
}

func TestAppendHandshake(t *testing.T) {
	want, err := os.ReadFile(filepath.Join(sessionDir, "resume", "s2p.bin"))
	if err != nil {
		t.Fatal(err)
	}
	if got := AppendHandshake(nil, Protocol20, fs.TID(0x040d2d7e00db27bb)); !bytes.Equal(got, want) {
		t.Errorf("AppendHandshake() = %q, want %q", got, want)
	}
}
