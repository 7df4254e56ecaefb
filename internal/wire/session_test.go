package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"zrs/internal/fs"
)

const sessionDir = "../../testdata/wire"

// A session is a recorded connection; testdata/wire/README.md describes them.
type session struct {
	name     string
	start    fs.TID   // as the secondary sent it
	payloads [][]byte // from the primary
}

// sessions returns the recorded sessions in which a primary sent something.
func sessions(t testing.TB) []session {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(sessionDir, "*", "p2s.bin"))
	if err != nil || len(paths) < 40 {
		t.Fatalf("found %d sessions, %v", len(paths), err)
	}
	var all []session
	for _, path := range paths {
		name := filepath.Base(filepath.Dir(path))
		s := session{name: name, payloads: frames(t, path)}
		if len(s.payloads) == 0 {
			continue
		}
		handshake := frames(t, filepath.Join(filepath.Dir(path), "s2p.bin"))
		s.start = fs.TIDFromBytes(handshake[1])
		all = append(all, s)
	}
	return all
}

// frames returns the payloads of the frames in a file.
func frames(t testing.TB, path string) [][]byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var payloads [][]byte
	for len(b) > 0 {
		n, err := FrameSize(b, MaxData)
		if err != nil || n > len(b)-FrameHeaderSize {
			t.Fatalf("%s: frame of %d bytes, %v", path, n, err)
		}
		payloads = append(payloads, b[FrameHeaderSize:FrameHeaderSize+n])
		b = b[FrameHeaderSize+n:]
	}
	return payloads
}

// walk calls message for each payload where a message is due, with the digest
// of all before it, and data for each of the others.
func (s session) walk(message func(payload []byte, sum [16]byte) (Message, error), data func(payload []byte)) error {
	digest := NewDigest(Protocol21, s.start)
	raw := int64(0) // frames until the next message
	for i, p := range s.payloads {
		if raw > 0 {
			raw--
			data(p)
		} else {
			m, err := message(p, digest.Sum())
			if err != nil {
				return fmt.Errorf("payload %d: %w", i, err)
			}
			switch m := m.(type) {
			case *Store:
				raw = 1
			case *Blob:
				raw = 1 + m.Blocks
			}
		}
		digest.Add(p)
	}
	if raw > 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// Whatever zc.zrs sent decodes to what frames.txt says, and its digests are ours.
func TestDecoder_sessions(t *testing.T) {
	for _, s := range sessions(t) {
		t.Run(s.name, func(t *testing.T) {
			var d Decoder
			var badDigests int
			var wantErr error
			var got []string
			err := s.walk(func(payload []byte, sum [16]byte) (Message, error) {
				m, err := d.Decode(payload)
				if err != nil {
					return nil, err
				}
				if c, ok := m.(*Commit); ok && c.Digest != sum {
					badDigests++
				}
				got = append(got, fmt.Sprintf("%d %s", len(payload), describe(m)))
				return m, nil
			}, func(payload []byte) {
				got = append(got, fmt.Sprint(len(payload)))
			})
			switch s.name {
			case "bad-checksum":
				if badDigests != 1 {
					t.Errorf("%d digests differ, want 1", badDigests)
				}
				badDigests = 0
			case "bad-empty-message":
				wantErr = ErrEmptyMessage
			case "bad-unknown-type":
				wantErr = ErrMalformed
			}
			if !errors.Is(err, wantErr) {
				t.Errorf("Decode() = %v, want %v", err, wantErr)
			}
			if badDigests != 0 {
				t.Errorf("%d digests differ", badDigests)
			}
			if err == nil || s.name == "cut-mid-transaction" {
				compareListing(t, s.name, got)
			}
		})
	}
}

// describe returns m as frames.txt does, a T only in part.
func describe(m Message) string {
	switch m := m.(type) {
	case *Begin:
		return fmt.Sprintf("T %v '%c'", m.TID, m.Status)
	case *Store:
		return "S " + describeStore(m)
	case *Blob:
		return fmt.Sprintf("B %s %d", describeStore(&m.Store), m.Blocks)
	case *Commit:
		return fmt.Sprintf("C %x", m.Digest)
	}
	return ""
}

func describeStore(m *Store) string {
	s := fmt.Sprintf("%v %v '' ", m.OID, m.TID)
	if m.HasDataTxn {
		return s + m.DataTxn.String()
	}
	return s + "None"
}

// compareListing compares what was decoded with the second half of frames.txt.
func compareListing(t *testing.T, name string, got []string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(sessionDir, name, "frames.txt"))
	if err != nil {
		t.Fatal(err)
	}
	_, listing, _ := strings.Cut(string(b), "# primary -> secondary\n")
	lines := strings.Split(strings.TrimSuffix(listing, "\n"), "\n")
	if len(got) != len(lines) {
		t.Fatalf("decoded %d payloads, want %d", len(got), len(lines))
	}
	for i, line := range lines {
		line = strings.ReplaceAll(strings.TrimSpace(line), " b'", " '")
		if !strings.HasPrefix(line, got[i]) {
			t.Errorf("payload %d: decoded %q, want %q", i, got[i], line)
		}
	}
}

// What came from zc.zrs on Python 3 is encoded to the same bytes again. What
// came in another form decodes to the same message after that.
func TestAppendTo_sessions(t *testing.T) {
	for _, s := range sessions(t) {
		t.Run(s.name, func(t *testing.T) {
			var d, again Decoder
			same := !strings.HasPrefix(s.name, "enc-") && !strings.HasPrefix(s.name, "python2-")
			if strings.HasPrefix(s.name, "bad-") {
				t.Skip("not decodable to the end")
			}
			err := s.walk(func(payload []byte, _ [16]byte) (Message, error) {
				m, err := d.Decode(payload)
				if err != nil {
					return nil, err
				}
				out := m.AppendTo(nil)
				if same && !bytes.Equal(out, payload) {
					t.Errorf("AppendTo() = %q, want %q", out, payload)
				}
				m2, err := again.Decode(out)
				if err != nil || !equal(m, m2) {
					t.Errorf("Decode(AppendTo()) = %v, %v, want %v", m2, err, m)
				}
				return m, nil
			}, func([]byte) {})
			if err != nil && s.name != "cut-mid-transaction" {
				t.Error(err)
			}
		})
	}
}

// A header is the header of a transaction in a data file.
type header struct {
	tid               fs.TID
	status            byte
	user, description string
	extension         string
}

// headers returns the headers of all transactions of a data file.
func headers(t *testing.T, path string) []header {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const fixed = 8 + 8 + 1 + 2 + 2 + 2
	var all []header
	for b = b[4:]; len(b) > 0; {
		cut := b[fixed:]
		next := func(at int) string {
			n := binary.BigEndian.Uint16(b[at:])
			s := string(cut[:n])
			cut = cut[n:]
			return s
		}
		all = append(all, header{fs.TIDFromBytes(b), b[16], next(17), next(19), next(21)})
		b = b[8+binary.BigEndian.Uint64(b[8:]):]
	}
	return all
}

// A transaction is stored as the secondary of zc.zrs on Python 3 stored it.
func TestDecoder_sessions_stored(t *testing.T) {
	for _, s := range sessions(t) {
		path := filepath.Join(sessionDir, s.name, "secondary.fs")
		_, err := os.Stat(path)
		if err != nil || strings.Contains(s.name, "python2") || strings.HasPrefix(s.name, "bad-") {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			var got []header
			var h header
			var d Decoder
			s.walk(func(payload []byte, _ [16]byte) (Message, error) {
				m, err := d.Decode(payload)
				switch m := m.(type) {
				case *Begin:
					h = header{m.TID, m.Status, string(m.User), string(m.Description), string(m.Extension)}
				case *Commit:
					got = append(got, h)
				}
				return m, err
			}, func([]byte) {})
			want := headers(t, path)
			want = want[len(want)-len(got):]
			if !slices.Equal(got, want) {
				t.Errorf("decoded %+v, want %+v", got, want)
			}
		})
	}
}
