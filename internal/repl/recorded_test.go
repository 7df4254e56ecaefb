package repl

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"zrs/internal/fs"
	"zrs/internal/wire"
)

// recordings returns the names of the recorded sessions that have all of the
// given files.
func recordings(t *testing.T, files ...string) []string {
	t.Helper()
	dirs, err := os.ReadDir(sessionDir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range dirs {
		missing := func(file string) bool {
			_, err := os.Stat(filepath.Join(sessionDir, d.Name(), file))
			return err != nil
		}
		if d.IsDir() && !slices.ContainsFunc(files, missing) {
			names = append(names, d.Name())
		}
	}
	if len(names) < 20 {
		t.Fatalf("found %d sessions with %q", len(names), files)
	}
	return names
}

// optional returns the path of a file of a session, "" if it has none.
func optional(name, file string) string {
	path := filepath.Join(sessionDir, name, file)
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// otherBytes are the sessions in which our primary sends other bytes than
// zc.zrs did, why, and what is left out when it is compared what they mean.
var otherBytes = map[string]struct {
	why string
	but func(line string) string // "" to leave it out
}{
	"extensions":              {"values that share an object are sent so, zc.zrs writes them twice", butExtensions},
	"blob-empty":              {"an empty blob goes as one empty block, not as none: then a zc.zrs secondary makes its file (G3)", butNothing},
	"python2-primary":         {"messages have the form that Python 3 reads too, and extensions as they are stored", butExtensions},
	"python2-blobs":           {"messages have the form that Python 3 reads too", butNothing},
	"python2-blobs-protocol3": {"zc.zrs on Python 2 does not see that a record of ZODB 5 is a blob's (G15)", butBlobs},
}

func butNothing(line string) string { return line }

func butExtensions(line string) string {
	if strings.HasPrefix(line, "extension ") {
		return ""
	}
	return line
}

func butBlobs(line string) string {
	if strings.HasPrefix(line, "blob ") {
		return ""
	}
	if record, ok := strings.CutPrefix(line, "B "); ok {
		return "S " + record
	}
	return line
}

// A primary of ours answers with the bytes that zc.zrs answered with.
func TestRecorded_primary(t *testing.T) {
	for _, name := range recordings(t, "primary.fs", "s2p.bin", "p2s.bin") {
		if name == "pack-live" {
			continue // its file was packed after half of what was sent: no primary can send that again
		}
		t.Run(name, func(t *testing.T) {
			p := newPrimary(t, filepath.Join(sessionDir, name, "primary.fs"), primaryBlobs(t, name))
			p.ServeUnknown = name == "start-absent"
			src, _ := serveTCP(t, p)
			asked := readFile(t, filepath.Join(sessionDir, name, "s2p.bin"))
			want := readFile(t, filepath.Join(sessionDir, name, "p2s.bin"))
			got := answer(t, src, asked, strings.HasPrefix(name, "refuse-"))
			other, ok := otherBytes[name]
			if !ok {
				checkBytes(t, "the answer", got, want)
				return
			}
			if bytes.Equal(got, want) {
				t.Error("the answer has the same bytes, but " + other.why)
			}
			start := fs.TIDFromBytes(asked[len(asked)-8:])
			a, b := meaning(t, start, got, other.but), meaning(t, start, want, other.but)
			if !slices.Equal(a, b) {
				t.Errorf("the answer means %.1000q, want %.1000q", a, b)
			}
		})
	}
}

// primaryBlobs returns the blobs of a recorded primary, which may have none
// though it had a directory for them.
func primaryBlobs(t *testing.T, name string) string {
	if blobs := optional(name, "primary-blobs"); blobs != "" {
		return copyBlobs(t, filepath.Join(t.TempDir(), "blobs"), blobs)
	}
	if strings.HasPrefix(name, "blob-") || name == "refuse-zrs2.0-blobs" {
		return t.TempDir()
	}
	return ""
}

// answer returns what a primary answers to the given bytes, up to its end.
func answer(t *testing.T, src Source, asked []byte, refused bool) []byte {
	t.Helper()
	conn, err := src.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if !refused {
		asked = wire.AppendFrame(slices.Clone(asked), []byte("f")) // all that there is, and then the end
	}
	if _, err := conn.Write(asked); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil && !(refused && isReset(err)) {
		t.Error(err)
	}
	return got
}

// meaning returns what is in a stream, in words.
func meaning(t *testing.T, start fs.TID, b []byte, but func(string) string) []string {
	t.Helper()
	lines, err := parseStream(t, start, b)
	if !errors.Is(err, io.EOF) {
		t.Fatalf("the stream ends with %v", err)
	}
	for i := range lines {
		lines[i] = but(lines[i])
	}
	return slices.DeleteFunc(lines, func(line string) bool { return line == "" })
}

// otherFile are the sessions after which a secondary of ours has another file
// than that of zc.zrs, why, and what is the same all the same.
var otherFile = map[string]struct {
	why  string
	same func(t *testing.T, ours, theirs string)
}{
	"duplicate-and-lower-tids": {"it refuses what does not come in order (G10)", samePrefix},
	"python2-primary":          {"ZODB on Python 2 begins its files with FS21 and pickles extensions otherwise", sameTxns},
	"python3-to-python2":       {"ZODB on Python 2 begins its files with FS21 and pickles extensions otherwise", sameTxns},
	"python2-blobs":            {"ZODB on Python 2 begins its files with FS21", sameButMagic},
	"python2-blobs-protocol3":  {"ZODB on Python 2 begins its files with FS21", sameButMagic},
}

func samePrefix(t *testing.T, ours, theirs string) {
	got, want := readTxns(t, ours), readTxns(t, theirs)
	if len(got) != 1 || len(want) != 3 || !reflect.DeepEqual(got, want[:1]) {
		t.Errorf("it has %v, want the first of %v", got, want)
	}
}

func sameTxns(t *testing.T, ours, theirs string) {
	got, want := readTxns(t, ours), readTxns(t, theirs)
	for _, txns := range [][]txn{got, want} {
		for i := range txns {
			txns[i].extension = ""
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("it has %v, want %v", got, want)
	}
}

func sameButMagic(t *testing.T, ours, theirs string) {
	checkBytes(t, "the file but its magic", readFile(t, ours)[4:], readFile(t, theirs)[4:])
}

// A secondary of ours that gets what zc.zrs sent writes what zc.zrs wrote.
func TestRecorded_secondary(t *testing.T) {
	wantErr := map[string]error{
		"bad-checksum":             ErrChecksum,
		"bad-unknown-type":         ErrProtocol,
		"bad-empty-message":        ErrProtocol,
		"cut-mid-transaction":      ErrHungUp,
		"duplicate-and-lower-tids": ErrProtocol, // G10
	}
	for _, name := range recordings(t, "secondary.fs", "s2p.bin", "p2s.bin") {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testRecordedSecondary(t, name, wantErr[name]) })
		})
	}
}

// lastTxn returns what a primary sends that is asked for the last of txns alone.
func lastTxn(txns []txn) []byte {
	from := fs.TID(0)
	if n := len(txns); n > 1 {
		from = txns[n-2].tid
	}
	return newStream(from).txns(txns[len(txns)-1]).b
}

func testRecordedSecondary(t *testing.T, name string, wantErr error) {
	path := filepath.Join(t.TempDir(), "Data.fs")
	if before := optional(name, "secondary-before.fs"); before != "" {
		copyFile(t, path, before)
	}
	handshake := readFile(t, optional(name, "s2p.bin"))
	handshake = handshake[:len(wire.AppendHandshake(nil, wire.Protocol20, 0))]
	blobs := ""
	if strings.Contains(string(handshake), wire.Protocol21) {
		blobs = path + ".blobs"
	}
	script := []step{expect(handshake), send(readFile(t, optional(name, "p2s.bin"))), hangUp}
	if wantErr == nil {
		script = slices.Insert(script, 2, waitForFinish)
	}
	// Then it makes sure that there is no more, and that this was not said too soon.
	theirs := optional(name, "secondary.fs")
	src := newScripted(t, pipes, script,
		[]step{skipHandshake, waitForFinish, hangUp},
		[]step{skipHandshake, send(lastTxn(readTxns(t, theirs))), waitForFinish, hangUp})
	s := newSecondary(t, path, blobs, src.Source)
	s.CheckHistory = CheckNone
	if err := s.Catchup(t.Context(), 0, false); !errors.Is(err, wantErr) {
		t.Errorf("Catchup() = %v, want %v", err, wantErr)
	}
	closeSecondary(t, s)
	if err := src.err(); err != nil && wantErr == nil {
		t.Error(err)
	}
	if other, ok := otherFile[name]; !ok {
		checkSame(t, path, theirs)
	} else if bytes.Equal(readFile(t, path), readFile(t, theirs)) {
		t.Error("the file is the same, but " + other.why)
	} else {
		other.same(t, path, theirs)
	}
	if blobs == "" {
		return
	}
	checkNoTemporary(t, blobs)
	if theirs := optional(name, "secondary-blobs"); theirs != "" {
		checkSameBlobs(t, blobs, copyBlobs(t, filepath.Join(t.TempDir(), "blobs"), theirs))
	} else if n := len(blobFiles(t, blobs)); n > 0 != (name == "blob-empty") { // G3
		t.Errorf("%d blobs", n)
	}
}
