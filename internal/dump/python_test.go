package dump

import (
	"encoding/json"
	"testing"

	"zrs/internal/fs"
)

// The texts were made by Python.
func TestAppendBytesRepr(t *testing.T) {
	for in, want := range map[string]string{
		"":             `b''`,
		"admin":        `b'admin'`,
		"it's":         `b"it's"`,
		`say "hi"`:     `b'say "hi"'`,
		`it's "both"`:  `b'it\'s "both"'`,
		"a\\b\t\n\r\v": `b'a\\b\t\n\r\x0b'`,
		"\x00\x7f\xff": `b'\x00\x7f\xff'`,
		"é":            `b'\xc3\xa9'`,
	} {
		if got := string(appendBytesRepr(nil, []byte(in))); got != want {
			t.Errorf("appendBytesRepr(%q) = %s, want %s", in, got, want)
		}
	}
}

// The corpus has what ZODB prints for TIDs, those among them that are no times.
func TestAppendTimeStamp(t *testing.T) {
	type vector struct {
		TID  fs.TID
		Text string
	}
	var vectors struct {
		TIDTime     []vector `json:"tid_time"`
		TIDTextOnly []vector `json:"tid_text_only"`
	}
	if err := json.Unmarshal(readFile(t, corpusPath("vectors.json")), &vectors); err != nil {
		t.Fatal(err)
	}
	all := append(vectors.TIDTime, vectors.TIDTextOnly...)
	for _, v := range all {
		if got := string(appendTimeStamp(nil, v.TID)); got != v.Text {
			t.Errorf("appendTimeStamp(%s) = %s, want %s", v.TID, got, v.Text)
		}
	}
	if len(all) < 10 {
		t.Errorf("the corpus has only %d times", len(all))
	}
}
