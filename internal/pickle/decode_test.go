package pickle

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestDecoder_Decode(t *testing.T) {
	tests := []struct{ name, pickle, want string }{
		{"none", "N.", "None"},
		{"bool", "(\x88\x89I01\nI00\nt.", "(true false true false)"},
		{"int-text", "(I0\nI-12\nI+3\nI001\nI9223372036854775807\nt.", "(0 -12 3 1 9223372036854775807)"},
		{"int-text-long", "I9223372036854775808\n.", "9223372036854775808L"},
		{"int-binary", "(K\xffM\xff\xffJ\xff\xff\xff\xffJ\x00\x00\x00\x80t.", "(255 65535 -1 -2147483648)"},
		{"long-text", "(L5L\nL-5\nL-18446744073709551617L\nt.", "(5 -5 -18446744073709551617L)"},
		{"long-binary", "(\x8a\x00\x8a\x01\xff\x8a\x02\x80\x00\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01\x8b\x01\x00\x00\x00\x7ft.", "(0 -1 128 18446744073709551616L 127)"},
		{"long-binary-padded", "(\x8a\x0c\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x8a\x0a\xfe\xff\xff\xff\xff\xff\xff\xff\xff\xfft.", "(5 -2)"},
		{"float", "(F1.5\nF-inf\nFnan\nF1e999\nG\x3f\xf8\x00\x00\x00\x00\x00\x00t.", "(1.5f -Inff NaNf +Inff 1.5f)"},
		{"text", "(X\x02\x00\x00\x00\xc3\xa9\x8c\x01a\x8d\x01\x00\x00\x00\x00\x00\x00\x00bX\x03\x00\x00\x00\xed\xa0\x80t.", `(u"é" u"a" u"b" u"\xed\xa0\x80")`},
		{"text-escapes", "Va\\u20ac\\U0001f600\\\\u0041\\x\xe9\\ud800\\\n.", `u"a€😀\\\\u0041\\xé\xed\xa0\x80\\"`},
		{"bytes", "(C\x01\xffB\x01\x00\x00\x00b\x8e\x01\x00\x00\x00\x00\x00\x00\x00ct.", `(b"\xff" b"b" b"c")`},
		{"str", "(U\x01\xffT\x01\x00\x00\x00bt.", `("\xff" "b")`},
		{"str-escapes", `S'\x41\101\0\n\t\r\a\b\f\v\\\'\"\z\777'` + "\n.", `"AA\x00\n\t\r\a\b\f\v\\'\"\\z\xff"`},
		{"str-double-quotes", "S\"it's\"\n.", `"it's"`},
		{"tuples", "()K\x01\x85K\x01K\x02\x86K\x01K\x02K\x03\x87(K\x04tt.", "(() (1) (1 2) (1 2 3) (4))"},
		{"lists", "(](lK\x01a](K\x01K\x02eK\x03a(K\x01lt.", "([] [1] [1 2 3] [1])"},
		{"dicts", "(}}K\x01K\x02s}(K\x01K\x02K\x03K\x04u(K\x05Ndt.", "({} {1 2} {1 2 3 4} {5 None})"},
		{"append-to-list-in-middle", "((lK\x01at.", "([1])"},
		{"sets", "(\x8f(K\x01K\x02\x90(K\x03\x91t.", "(call<builtins.set ([1 2])> call<builtins.frozenset ([3])>)"},
		{"bytearray", "(\x96\x00\x00\x00\x00\x00\x00\x00\x00\x96\x01\x00\x00\x00\x00\x00\x00\x00at.", `(call<builtins.bytearray ()> call<builtins.bytearray (b"a")>)`},
		{"buffers", "(\x97\x97\x98t.", "(buffer buffer)"},
		{"memo", "(]p0\n]q\x01]r\x02\x00\x00\x00h\x00j\x01\x00\x00\x00g2\nt.", "([] [] [] &1 &2 &3)"},
		{"memoize", "(]\x94]\x94h\x00h\x01t.", "([] [] &1 &2)"},
		{"memoize-after-put", "(]q\x00]\x94h\x01t.", "([] [] &2)"},
		{"put-again", "(]q\x00]q\x00h\x00t.", "([] [] &2)"},
		{"dup", "(]2t.", "([] &1)"},
		{"pop", "(K\x01K\x020t.", "(1)"},
		{"pop-mark", "(K\x01(0(K\x02K\x031t.", "(1)"},
		{"frame", "\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00N.", "None"},
		{"global", "cos\nsystem\n.", "os.system"},
		{"stack-global", "\x8c\x02os\x8c\x06system\x93.", "os.system"},
		{"bytes-call", "(c_codecs\nencode\n(X\x03\x00\x00\x00a\xc3\xbfX\x06\x00\x00\x00latin1tRc__builtin__\nbytes\n)Rcbuiltins\nbytes\n)Rt.", `(b"a\xff" b"" b"")`},
		{"bytes-call-stack-global", "\x8c\x07_codecs\x8c\x06encode\x93\x8c\x01a\x8c\x06latin1\x86R.", `b"a"`},
		{"bytes-call-that-fails", "c_codecs\nencode\n(X\x02\x00\x00\x00\xc4\x80X\x06\x00\x00\x00latin1tR.", `call<_codecs.encode (u"Ā" u"latin1")>`},
		{"bytes-call-of-a-number", "c__builtin__\nbytes\n(J\xff\xff\xff\x7ftR.", "call<__builtin__.bytes (2147483647)>"},
		{"other-codec", "c_codecs\nencode\n(X\x01\x00\x00\x00aX\x03\x00\x00\x00hextR.", `call<_codecs.encode (u"a" u"hex")>`},
		{"call", "cos\nsystem\n(X\x04\x00\x00\x00truetR.", `call<os.system (u"true")>`},
		{"call-of-no-name", "N)R.", "call<None ()>"},
		{"object", "cm\nC\n)\x81}K\x01K\x02sb.", "new<m.C () build<{1 2}>>"},
		{"object-keywords", "cm\nC\n)}\x92.", "new<m.C () {}>"},
		{"object-items", "cm\nC\n)\x81(K\x01K\x02eK\x03aK\x04K\x05s.", "new<m.C () extend<1 2 3> update<4 5>>"},
		{"inst", "(K\x01im\nC\n.", "new<m.C (1)>"},
		{"obj", "(cm\nC\nK\x01o.", "new<m.C (1)>"},
		{"build-twice", "cm\nf\n)RNbNb.", "call<m.f () build<None> build<None>>"},
		{"empty-change", "cm\nf\n)R(u.", "call<m.f ()>"},
		{"persistent-id", "(U\x01aQPtext\nt.", `(persistent<"a"> persistent<"text">)`},
		{"registered", "(\x82\x01\x83\x01\x01\x84\x01\x00\x00\x01t.", "(registered 1{} registered 257{} registered 16777217{})"},
		{"cycle-list", "]q\x00h\x00a.", "[&0]"},
		{"cycle-tuple", "]q\x00(h\x00tq\x01a0h\x01.", "([&0])"},
		{"bytes-after-it", "N.N.", "None"},
	}
	var d Decoder
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, n, err := d.Decode([]byte(tt.pickle))
			if err != nil {
				t.Fatalf("Decode(): %v", err)
			}
			if got := show(v); got != tt.want {
				t.Errorf("Decode() = %s, want %s", got, tt.want)
			}
			if want := len(strings.TrimSuffix(tt.pickle, "N.")); tt.name == "bytes-after-it" && n != want {
				t.Errorf("Decode() took %d bytes, want %d", n, want)
			}
		})
	}
}

func TestDecoder_Decode_errors(t *testing.T) {
	tests := []struct {
		name, pickle string
		want         error
		offset       int
	}{
		{"empty", "", io.ErrUnexpectedEOF, 0},
		{"no-stop", "N", io.ErrUnexpectedEOF, 1},
		{"nothing-on-the-stack", ".", ErrSyntax, 0},
		{"two-on-the-stack", "NN.", ErrSyntax, 2},
		{"mark-on-the-stack", "(N.", ErrSyntax, 2},
		{"unknown-opcode", "\xff", ErrSyntax, 0},
		{"unknown-protocol", "\x80\x06N.", ErrSyntax, 0},
		{"cut-argument", "NJ\x00\x00", io.ErrUnexpectedEOF, 1},
		{"cut-line", "NI12", io.ErrUnexpectedEOF, 1},
		{"cut-second-line", "cos\nsystem", io.ErrUnexpectedEOF, 0},
		{"cut-count", "X\x00\x00", io.ErrUnexpectedEOF, 0},
		{"lying-length-1", "C\x05abc.", io.ErrUnexpectedEOF, 0},
		{"lying-length-4", "X\xff\xff\xff\xffabc.", io.ErrUnexpectedEOF, 0},
		{"lying-length-8", "\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.", io.ErrUnexpectedEOF, 0},
		{"lying-length-8-unsigned", "\x8e\xff\xff\xff\xff\xff\xff\xff\xffabc.", io.ErrUnexpectedEOF, 0},
		{"negative-length", "T\xfe\xff\xff\xffabc.", io.ErrUnexpectedEOF, 0},
		{"negative-long", "\x8b\xff\xff\xff\xff.", io.ErrUnexpectedEOF, 0},
		{"lying-frame", "\x95\x03\x00\x00\x00\x00\x00\x00\x00N.", io.ErrUnexpectedEOF, 0},
		{"int-empty", "I\n.", ErrSyntax, 0},
		{"int-word", "Ione\n.", ErrSyntax, 0},
		{"int-underscore", "I1_0\n.", ErrSyntax, 0},
		{"long-empty", "LL\n.", ErrSyntax, 0},
		{"long-huge", "L" + strings.Repeat("9", MaxLongDigits+1) + "L\n.", ErrLimit, 0},
		{"float-word", "Fone\n.", ErrSyntax, 0},
		{"float-hex", "F0x1p4\n.", ErrSyntax, 0},
		{"text-not-utf8", "X\x01\x00\x00\x00\xff.", ErrSyntax, 0},
		{"text-bad-escape", "V\\u12\n.", ErrSyntax, 0},
		{"text-escape-too-large", "V\\U00110000\n.", ErrSyntax, 0},
		{"str-no-quotes", "Sabc\n.", ErrSyntax, 0},
		{"str-one-quote", "S'\n.", ErrSyntax, 0},
		{"str-different-quotes", "S'a\"\n.", ErrSyntax, 0},
		{"str-bad-escape", "S'\\x4'\n.", ErrSyntax, 0},
		{"str-escaped-quote", "S'\\'\n.", ErrSyntax, 0},
		{"get-nothing", "Nq\x00h\x01.", ErrSyntax, 3},
		{"get-no-number", "g-1\n.", ErrSyntax, 0},
		{"put-nothing", "q\x00.", ErrSyntax, 0},
		{"put-mark", "N(q\x00.", ErrSyntax, 2},
		{"put-far-away", "Nr\xff\xff\xff\x7f.", ErrLimit, 1},
		{"pop-nothing", "0.", ErrSyntax, 0},
		{"no-mark", "Nt.", ErrSyntax, 1},
		{"below-the-mark", "NN(N\x86.", ErrSyntax, 4},
		{"dict-of-three", "(NNNd.", ErrSyntax, 4},
		{"setitems-of-three", "}(NNNu.", ErrSyntax, 5},
		{"setitem-without-value", "}Ns.", ErrSyntax, 2},
		{"append-to-none", "NNa.", ErrSyntax, 2},
		{"append-to-dict", "}Na.", ErrSyntax, 2},
		{"build-dict", "}Nb.", ErrSyntax, 2},
		{"add-to-list", "](N\x90.", ErrSyntax, 3},
		{"call-without-tuple", "cos\nsystem\nNR.", ErrSyntax, 12},
		{"object-without-tuple", "cm\nC\nN\x81.", ErrSyntax, 6},
		{"stack-global-of-numbers", "K\x01K\x02\x93.", ErrSyntax, 4},
		{"stack-global-of-lines", "\x8c\x03a\nb\x8c\x01c\x93.", ErrSyntax, 8},
		{"obj-of-nothing", "(o.", ErrSyntax, 1},
		{"readonly-nothing", "\x98.", ErrSyntax, 0},
		{"many-marks", strings.Repeat("(", MaxMarks+1), ErrLimit, MaxMarks},
		{"many-values", strings.Repeat("N0", 101), ErrLimit, 200},
		{"high-stack", "N" + strings.Repeat("2", 100), ErrLimit, 100},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := Decoder{MaxValues: 100}
			_, n, err := d.Decode([]byte(tt.pickle))
			var e *Error
			if n != 0 || !errors.Is(err, tt.want) || !errors.As(err, &e) || e.Offset != tt.offset {
				t.Errorf("Decode() = %d, %#v, want %v at %d", n, err, tt.want, tt.offset)
			}
		})
	}
}

func TestError_Error(t *testing.T) {
	tests := []struct{ pickle, want string }{
		{"NN(N\x86.", "offset 4: TUPLE2: not a pickle: too few values on the stack"},
		{"\xff", "offset 0: not a pickle: unknown opcode 0xff"},
		{"X\xff\xff\xff\xff", "offset 0: BINUNICODE: unexpected EOF"},
		{"N", "offset 1: unexpected EOF"},
	}
	for _, tt := range tests {
		_, _, err := new(Decoder).Decode([]byte(tt.pickle))
		if err == nil || err.Error() != tt.want {
			t.Errorf("Decode(%q) = %v, want %s", tt.pickle, err, tt.want)
		}
	}
}

func TestDecoder_DecodeBody(t *testing.T) {
	var d Decoder
	v, err := d.DecodeBody([]byte("}K\x01K\x02s"))
	if err != nil || show(v) != "{1 2}" {
		t.Errorf("DecodeBody() = %v, want {1 2}", err)
	}
	for _, body := range []string{"", "N.", "NN", "(", "K", "h\x00"} {
		if _, err := d.DecodeBody([]byte(body)); err == nil {
			t.Errorf("DecodeBody(%q) succeeded", body)
		}
	}
}

// The opcodes of a value, cut out of its pickle, make it again.
func TestValue_Off(t *testing.T) {
	tests := []struct{ pickle, want string }{
		{"(K\x07}q\x05(K\x01]q\x06K\x02aut.", "}q\x05(K\x01]q\x06K\x02au"},
		{"(K\x07(dp1\nK\x01K\x02st.", "(dp1\nK\x01K\x02s"},
		{"(K\x07cm\nf\n(K\x01tq\x00Rq\x01Nbt.", "cm\nf\n(K\x01tq\x00Rq\x01Nb"},
		{"(K\x07K\x01K\x02\x86q\x00t.", "K\x01K\x02\x86q\x00"},
	}
	for _, tt := range tests {
		v, _, err := new(Decoder).Decode([]byte(tt.pickle))
		if err != nil {
			t.Fatal(err)
		}
		last := v.Items[1]
		if got := tt.pickle[last.Off:last.End]; got != tt.want {
			t.Errorf("second item of %q is from %q, want %q", tt.pickle, got, tt.want)
		}
	}
}

// Each of these is small and asks for much: time, memory or both.
func TestDecoder_Decode_hostile(t *testing.T) {
	const size = 1 << 20
	text := "X\x00\x00\x08\x00" + strings.Repeat("x", 1<<19) + "q\x00"
	tests := []struct {
		name, pickle string
		want         error
	}{
		{"nested-tuples", strings.Repeat(")", 1) + strings.Repeat("\x85", size) + ".", ErrLimit},
		{"nested-lists", strings.Repeat("]", size/2) + strings.Repeat("a", size/2-1) + ".", nil},
		{"nested-persistent-ids", "N" + strings.Repeat("Q", size/2) + ".", nil},
		{"nested-marks", strings.Repeat("(", size), ErrLimit},
		{"text-encoded-again-and-again", text + "0(" + strings.Repeat("c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R", size/40) + "t.", ErrLimit},
		{"text-encoded-in-vain", "X\x02\x00\x08\x00" + strings.Repeat("x", 1<<19) + "\xc4\x80q\x000(" + strings.Repeat("c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R", size/40) + "t.", ErrLimit},
		{"long-names", text + "0(" + strings.Repeat("h\x00h\x00\x93", size/8) + "t.", ErrLimit},
		{"digits", "(" + strings.Repeat("L"+strings.Repeat("9", MaxLongDigits)+"L\n", size/MaxLongDigits) + "t.", nil},
		{"memo-holes", "N" + strings.Repeat("r\xff\xff\x0f\x00", size/5) + ".", nil},
		{"one-list-shared", "](" + "]q\x00" + strings.Repeat("h\x00", size/2-1) + "e.", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var d Decoder
			if _, _, err := d.Decode([]byte(tt.pickle)); !errors.Is(err, tt.want) {
				t.Errorf("Decode() = %v, want %v", err, tt.want)
			}
			if d.Decode([]byte("N.")); cap(d.stack) > keepStack || cap(d.memo) > keepStack || len(d.slabs) > keepSlabs {
				t.Errorf("after a small pickle, %d entries of stack, %d of memo and %d slabs are kept", cap(d.stack), cap(d.memo), len(d.slabs))
			}
		})
	}
}

func TestDecoder_Decode_tooLong(t *testing.T) {
	long := make([]byte, MaxInput+10)
	copy(long, "N.")
	if _, n, err := new(Decoder).Decode(long); n != 2 || err != nil {
		t.Errorf("Decode() = %d, %v, want a pickle of 2 bytes", n, err)
	}
	copy(long, "B\x00\x00\x00\x04")
	if _, _, err := new(Decoder).Decode(long); !errors.Is(err, ErrLimit) && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Decode() = %v, want an error", err)
	}
}
