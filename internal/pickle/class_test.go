package pickle

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestClassName(t *testing.T) {
	const oid = "\x00\x00\x00\x00\x00\x00\x00\x05"
	tests := []struct{ name, record, module, class string }{
		// What picklers write for the seven forms of ZODB.serialize.
		{"class-protocol-0", "cm.n\nC\np0\n.", "m.n", "C"},
		{"class-protocol-1", "cm.n\nC\nq\x00.", "m.n", "C"},
		{"class-protocol-2", "\x80\x02cm.n\nC\nq\x00.", "m.n", "C"},
		{"class-protocol-3", "\x80\x03cm.n\nC\nq\x00.\x80\x03N.", "m.n", "C"},
		{"class-protocol-4", "\x80\x04\x95\x0d\x00\x00\x00\x00\x00\x00\x00\x8c\x03m.n\x94\x8c\x01C\x94\x93\x94.", "m.n", "C"},
		{"class-arguments-protocol-1", "(cm.n\nC\nq\x00(K\x01tq\x01tq\x02.", "m.n", "C"},
		{"class-arguments-protocol-3", "\x80\x03cm.n\nC\nq\x00K\x01\x85q\x01\x86q\x02.", "m.n", "C"},
		{"class-arguments-protocol-4", "\x80\x04\x95\x15\x00\x00\x00\x00\x00\x00\x00\x8c\x03m.n\x94\x8c\x01C\x94\x93\x94\x8c\x01x\x94\x85\x94\x86\x94.", "m.n", "C"},
		{"class-none", "\x80\x03cm.n\nC\nq\x00N\x86q\x01.", "m.n", "C"},
		{"names-none-protocol-0", "((Vm.n\np0\nVC\np1\ntp2\nNtp3\n.", "m.n", "C"},
		{"names-none-protocol-1", "((X\x03\x00\x00\x00m.nq\x00X\x01\x00\x00\x00Cq\x01tq\x02Ntq\x03.", "m.n", "C"},
		{"names-none-protocol-3", "\x80\x03X\x03\x00\x00\x00m.nq\x00X\x01\x00\x00\x00Cq\x01\x86q\x02N\x86q\x03.", "m.n", "C"},
		{"names-none-python-2", "((U\x03m.nq\x01U\x01Cq\x02tq\x03Ntq\x04.", "m.n", "C"},
		{"names-arguments", "\x80\x03X\x03\x00\x00\x00m.nq\x00X\x01\x00\x00\x00Cq\x01\x86q\x02X\x01\x00\x00\x00xq\x03\x85q\x04\x86q\x05.", "m.n", "C"},
		{"names", "\x80\x02X\x03\x00\x00\x00m.nq\x00X\x01\x00\x00\x00Cq\x01\x86q\x02.", "m.n", "C"},
		{"reference", "\x80\x03C\x08" + oid + "q\x00Q.", "", "class 0000000000000005"},
		{"reference-arguments", "\x80\x03C\x08" + oid + "q\x00Q)\x86q\x01.", "", "class 0000000000000005"},
		{"reference-with-class", "\x80\x03C\x08" + oid + "q\x00cm\nMeta\nq\x01\x86q\x02Q)\x86q\x03.", "", "class 0000000000000005"},
		{"reference-python-2", "(U\x08" + oid + "q\x01QNt.", "", "class 0000000000000005"},

		{"instance", "(im.n\nC\n.", "m.n", "C"},
		{"new", "\x80\x03cm.n\nC\n)\x81.", "m.n", "C"},
		{"copyreg-reconstructor", "ccopy_reg\n_reconstructor\n(cm.n\nC\nc__builtin__\nobject\nNtR.", "m.n", "C"},
		{"copyreg-newobj", "\x80\x03ccopyreg\n__newobj__\ncm.n\nC\n\x85R.", "m.n", "C"},
		{"nested-name", "\x80\x04\x8c\x01m\x8c\x03A.B\x93.", "m", "A.B"},
		{"not-ascii", "\x80\x03cm\nKl\xc3\xa4sse\n.", "m", "Klässe"},
		{"cut-after-the-class", "\x80\x03cm.n\nC\nq\x00X\xff\xff\x00\x00", "m.n", "C"},

		{"empty", "", "", ""},
		{"cut", "\x80\x03cm.n\nC", "", ""},
		{"no-name", "\x80\x03cm.n\n\n.", "", ""},
		{"not-utf-8", "\x80\x03cm\n\xff\n.", "", ""},
		{"long-name", "\x80\x03cm\n" + strings.Repeat("C", maxClassName+1) + "\n.", "", ""},
		{"number", "\x80\x03K\x01.", "", ""},
		{"none", "\x80\x03N.", "", ""},
		{"empty-tuple", ").", "", ""},
		{"tuple-of-numbers", "\x80\x03K\x01K\x02\x86.", "", ""},
		{"triple", "\x80\x03X\x01\x00\x00\x00aX\x01\x00\x00\x00bX\x01\x00\x00\x00c\x87.", "", ""},
		{"extension-registry", "\x80\x02\x82\x05.", "", ""},
		{"reference-to-nothing", "\x80\x03)Q.", "", ""},
		{"reference-weak", "\x80\x03]X\x01\x00\x00\x00waQ.", "", ""},
		{"copyreg-without-arguments", "ccopyreg\n_reconstructor\n)R.", "", ""},
		{"copyreg-of-no-class", "ccopyreg\n_reconstructor\n(K\x01tR.", "", ""},
		{"many-values", "\x80\x03" + strings.Repeat("N", MaxClassInput) + ".", "", ""},
		{"no-pickle", "\xff\xff\xff\xff", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			module, class, ok := ClassName([]byte(tt.record))
			if module != tt.module || class != tt.class || ok != (tt.class != "") {
				t.Errorf("ClassName(%q) = %q, %q, %v, want %q, %q", tt.record, module, class, ok, tt.module, tt.class)
			}
		})
	}
}

func FuzzClassName(f *testing.F) {
	addPickles(f)
	f.Add([]byte("ccopy_reg\n_reconstructor\n(cm.n\nC\nc__builtin__\nobject\nNtR."))
	f.Add([]byte("\x80\x03X\x03\x00\x00\x00m.nq\x00X\x01\x00\x00\x00Cq\x01\x86q\x02N\x86q\x03."))
	f.Fuzz(func(t *testing.T, b []byte) {
		module, name, ok := ClassName(b)
		if ok != (name != "") || !utf8.ValidString(module) || !utf8.ValidString(name) {
			t.Errorf("ClassName(%q) = %q, %q, %v", b, module, name, ok)
		}
	})
}
