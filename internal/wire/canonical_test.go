package wire

import "testing"

func TestSameExtension(t *testing.T) {
	const (
		proto2 = "\x80\x02}q\x01U\x01aK\x01s."
		proto3 = "\x80\x03}q\x00X\x01\x00\x00\x00aq\x01K\x01s."
		other  = "\x80\x03}q\x00X\x01\x00\x00\x00aq\x01K\x02s."
		shared = "\x80\x03}q\x00(X\x01\x00\x00\x00aq\x01]q\x02X\x01\x00\x00\x00bq\x03h\x02u."
		apart  = "\x80\x03}q\x00(X\x01\x00\x00\x00aq\x01]q\x02X\x01\x00\x00\x00bq\x03]q\x04u."
		class  = "\x80\x03capp\nThing\nq\x00)\x81q\x01."
		empty  = "\x80\x03}q\x00."
	)
	tests := []struct {
		name, a, b string
		want       bool
	}{
		{"none", "", "", true},
		{"same", proto3, proto3, true},
		{"another-protocol", proto2, proto3, true},
		{"another-value", proto2, other, false},
		{"one-object-twice", shared, apart, true},
		{"empty-dict-and-nothing", empty, "", true},
		{"dict-and-nothing", proto3, "", false},
		{"what-zczrs-can-not-load-and-nothing", class, "", true},
		{"no-pickle-and-nothing", "\xff\xfe", "", true},
		{"no-pickles", "\xff\xfe", "\xff\xfd", false},
		{"bytes-behind-the-pickle", proto3 + "x", proto3, true},
		{"cut", proto3[:len(proto3)-1], proto3, false},
	}
	for _, tt := range tests {
		a, b := []byte(tt.a), []byte(tt.b)
		if got := SameExtension(a, b); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
		if got := SameExtension(b, a); got != tt.want {
			t.Errorf("%s, exchanged: %v", tt.name, got)
		}
		if string(a) != tt.a || string(b) != tt.b {
			t.Errorf("%s: the extensions were changed", tt.name)
		}
	}
}

func FuzzCanonicalExtension(f *testing.F) {
	f.Add([]byte("\x80\x02}q\x01U\x01aK\x01s."))
	f.Add([]byte("garbage"))
	f.Fuzz(func(t *testing.T, ext []byte) {
		if len(ext) > MaxField {
			return
		}
		once := CanonicalExtension(ext)
		if twice := CanonicalExtension(once); string(twice) != string(once) {
			t.Errorf("%q becomes %q, and that %q", ext, once, twice)
		}
	})
}
