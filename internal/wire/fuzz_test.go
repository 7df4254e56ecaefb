package wire

import (
	"errors"
	"testing"

	"zrs/internal/fs"
	"zrs/internal/pickle"
)

func FuzzDecoder_Decode(f *testing.F) {
	for _, s := range sessions(f) {
		s.walk(func(payload []byte, _ [16]byte) (Message, error) {
			if len(payload) < 2000 {
				f.Add(payload)
			}
			return new(Decoder).Decode(payload)
		}, func([]byte) {})
	}
	for i, c := range goldenCases(f) {
		if i%8 == 0 && len(c.Message) < 2000 {
			f.Add(c.Message)
		}
	}
	f.Add(goldenBegin([]byte("a hint")).AppendTo(nil))
	f.Fuzz(func(t *testing.T, payload []byte) {
		m, err := new(Decoder).Decode(payload)
		checkErrors(t, err)
		if err != nil {
			return
		}
		out := m.AppendTo(nil)
		m2, err := new(Decoder).Decode(out)
		if err != nil || !equal(m, m2) {
			t.Fatalf("Decode(AppendTo()) = %v, %v, want %v", m2, err, m)
		}
		if fast, ok := new(Decoder).decodeRecommended(payload); ok {
			checkSame(t, payload, fast)
		}
	})
}

func checkErrors(t *testing.T, err error) {
	t.Helper()
	var message *MessageError
	var frame *FrameError
	switch {
	case err == nil, errors.As(err, &frame):
	case !errors.As(err, &message):
		t.Fatalf("Decode() = %T %v, want a *MessageError", err, err)
	case errors.Is(err, ErrEmptyMessage), errors.Is(err, ErrMalformed), errors.Is(err, ErrTooLarge):
	default:
		t.Fatalf("Decode() = %v, want one of our errors", err)
	}
}

// checkSame checks that the pickle machine gives the message that the fast path
// gave. The extension of a T message may be hinted, or stored as it came.
func checkSame(t *testing.T, payload []byte, fast Message) {
	t.Helper()
	slow, err := new(Decoder).decodePickle(payload)
	if err != nil {
		t.Fatalf("decodePickle() = %v, want what the fast path gave, %v", err, fast)
	}
	if b, ok := fast.(*Begin); ok {
		b.Extension = nil
		slow.(*Begin).Extension = nil
	}
	if !equal(fast, slow) {
		t.Fatalf("decodePickle() = %v, want what the fast path gave, %v", slow, fast)
	}
}

// Whatever is stored arrives.
func FuzzEncoder_AppendBegin(f *testing.F) {
	for i, c := range goldenCases(f) {
		if len(c.Stored) < 500 {
			f.Add(uint64(i), byte(' '), []byte("user"), []byte(""), c.Stored)
		}
		for _, p := range c.Protocols {
			if i%16 == 0 && len(p.Pickle) < 500 {
				f.Add(uint64(1)<<63, byte(0xff), []byte("\xff"), []byte("d"), p.Pickle)
			}
		}
	}
	f.Fuzz(func(t *testing.T, tid uint64, status byte, user, description, extension []byte) {
		if max(len(user), len(description), len(extension)) > MaxField {
			return
		}
		m := &Begin{fs.TID(tid), status, user, description, extension}
		out, form := new(Encoder).AppendBegin(nil, m)
		got, err := new(Decoder).Decode(out)
		if err != nil || !equal(got, m) {
			t.Fatalf("Decode(AppendBegin()) = %v, %v, want %v", got, err, m)
		}
		var d pickle.Decoder
		root, _, err := d.Decode(out)
		if err != nil {
			t.Fatalf("AppendBegin() = %q, no pickle: %v", out, err)
		}
		if sent := root.Items[1].Items[4]; sent.Kind != pickle.Dict || form == ExtensionDropped && len(sent.Items) != 0 {
			t.Fatalf("AppendBegin() = %q, %v, which is no dict to Python", out, form)
		}
	})
}
