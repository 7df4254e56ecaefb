package dump

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"zrs/internal/pickle"
)

func TestExtensionJSON(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"none", "", `{}`},
		{"empty-dict", "\x80\x03}q\x00.", `{}`},
		{"protocol-0", "(dp0\nVuser\np1\nVé\np2\ns.", `{"user":"Ã©"}`},
		{"scalars", "\x80\x02}q\x00(X\x01\x00\x00\x00nNX\x01\x00\x00\x00t\x88X\x01\x00\x00\x00i\x4a\xff\xff\xff\xffX\x01\x00\x00\x00fG\x3f\xf8\x00\x00\x00\x00\x00\x00u.", `{"n":null,"t":true,"i":-1,"f":1.5}`},
		{"not-a-number", "\x80\x02G\x7f\xf8\x00\x00\x00\x00\x00\x00.", `{"float":"NaN"}`},
		{"long", "\x80\x02\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\xff.", `-18446744073709551616`},
		{"python-2-text", "U\x03abc.", `"abc"`},
		{"python-2-bytes", "U\x01\xff.", `{"base64":"/w=="}`},
		{"bytes", "\x80\x03C\x02\x00\xff.", `{"base64":"AP8="}`},
		{"other-keys", "\x80\x02}K\x01K\x02s.", `{"dict":[[1,2]]}`},
		{"class", "\x80\x02cos\nsystem\n.", `{"global":"os.system"}`},
		{"call", "\x80\x02cos\nsystem\nU\x02ls\x85R.", `{"call":[{"global":"os.system"},["ls"]]}`},
		{"markup", "\x80\x02X\x06\x00\x00\x00<b>&\"\n.", `"<b>&\"\n"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := extensionJSON([]byte(tt.in))
			if err != nil || string(got) != tt.want {
				t.Errorf("extensionJSON() = %s, %v, want %s", got, err, tt.want)
			}
		})
	}
	// Ten lists, each of the one before ten times.
	bomb := "\x80\x02]q\x00"
	for i := range 10 {
		bomb += "0](" + strings.Repeat("h"+string(rune(i)), 10) + "eq" + string(rune(i+1))
	}
	for _, tt := range []struct {
		name, in string
		want     error
	}{
		{"text", "not a pickle", pickle.ErrSyntax},
		{"cut", "\x80\x02}q\x00", nil},
		{"more", "\x80\x02}.}.", nil},
		{"cycle", "\x80\x02]q\x00h\x00a.", errExtensionDepth},
		{"bomb", bomb + ".", errExtensionSize},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := extensionJSON([]byte(tt.in)); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("extensionJSON() = %.100s, %v, want %v", got, err, tt.want)
			}
		})
	}
}

// Whatever an extension is, the object is JSON.
func FuzzExtensionJSON(f *testing.F) {
	f.Add([]byte("\x80\x03}q\x00X\x01\x00\x00\x00aK\x01s."))
	f.Add([]byte("\x80\x02cos\nsystem\nU\x02ls\x85R."))
	f.Add([]byte("\x80\x02}K\x01K\x02s."))
	f.Fuzz(func(t *testing.T, ext []byte) {
		if text, err := extensionJSON(ext); err == nil && !json.Valid(text) {
			t.Errorf("extensionJSON(%q) = %s", ext, text)
		}
	})
}
