package interop

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"zrs/internal/dump"
	"zrs/interop/driver"
)

// tool runs a command line tool of Python, see tool.py.
func tool(t *testing.T, env driver.Env, stdin []byte, args ...string) (stdout []byte, stderr string, err error) {
	t.Helper()
	cmd := python.Command(patiently(t), env, "tool.py", args...)
	var out bytes.Buffer
	var errs strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	err = cmd.Run()
	return out.Bytes(), errs.String(), err
}

// mustTool is tool where it has to succeed.
func mustTool(t *testing.T, env driver.Env, stdin []byte, args ...string) []byte {
	t.Helper()
	out, errs, err := tool(t, env, stdin, args...)
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, errs)
	}
	return out
}

// mustZRS runs a zrs command that has to succeed.
func mustZRS(t *testing.T, stdin []byte, args ...string) []byte {
	t.Helper()
	path, err := zrsBinary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(patiently(t), path, args...)
	var out bytes.Buffer
	var errs strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("zrs %v: %v\n%s", args, err, &errs)
	}
	return out.Bytes()
}

// corpus returns copies of the sound data files of the corpus, by their names:
// Python's tools leave lock files and indexes beside what they read.
func corpus(t *testing.T) map[string]string {
	t.Helper()
	root, err := driver.Root()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "testdata", "corpus")
	files := map[string]string{}
	for _, pattern := range []string{"*/Data.fs", "*/Data.fs.old"} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			name, _ := filepath.Rel(dir, path)
			switch filepath.Dir(name) {
			case "py2_fs21", "status_u": // ZODB's iterator refuses the one, and fails at the other
			case "midcommit", "tid_out_of_order": // not sound
			default:
				files[name] = copyTo(t, path)
			}
		}
	}
	if len(files) < 20 {
		t.Fatalf("the corpus has only %d files", len(files))
	}
	return files
}

// copyTo copies a file into a directory of its own.
func copyTo(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "Data.fs")
	if err := os.WriteFile(copied, b, 0o666); err != nil {
		t.Fatal(err)
	}
	return copied
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sameDump fails unless two texts are equal, and tells where they part.
func sameDump(t *testing.T, what string, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	near := func(b []byte) []byte { return b[max(0, at-60):min(len(b), at+60)] }
	t.Errorf("%s: %d bytes, want %d; after %d bytes\n%q\nwant\n%q", what, len(got), len(want), at, near(got), near(want))
}

// A restoreDifference is what real ZODB makes otherwise of a dump.
type restoreDifference int

const (
	none     restoreDifference = iota
	pointers                   // back pointers lead to another record with the same data
	data                       // data is written where the dump has a copy
)

// restoreDifferences are due to ZODB 5.8.1, the last that zodbtools works with: of several
// records of an object in one transaction, its restore takes the first for what
// a copy was made of (ZODB issues 395 and 397; 6.0 takes the last).
var restoreDifferences = map[string]restoreDifference{
	"multi_undo/Data.fs":              pointers,
	"pack_multi_undo_bug/Data.fs":     pointers,
	"pack_multi_undo_bug/Data.fs.old": pointers,
	"duplicate_oid/Data.fs":           data,
}

// What zrs dumps is what zodbtools dumps, each reads what the other wrote, and
// zodb restore makes of it what zrs restore makes of it.
func TestDump_zodbtools(t *testing.T) {
	for name, path := range corpus(t) {
		t.Run(name, func(t *testing.T) { compareDumps(t, path, restoreDifferences[name]) })
	}
}

// compareDumps compares all that zodbtools and zrs do with a data file.
func compareDumps(t *testing.T, path string, known restoreDifference) {
	t.Helper()
	dir := t.TempDir()
	theirs := mustTool(t, driver.Tools, nil, "zodb", "dump", path)
	ours := mustZRS(t, nil, "dump", path)
	sameDump(t, "dump", ours, theirs)
	sameDump(t, "dump of hashes", mustZRS(t, nil, "dump", "--hash-only", path),
		mustTool(t, driver.Tools, nil, "zodb", "dump", "--hashonly", path))

	blobs := []string{"--blobs-from", dir, "--blob-dir", filepath.Join(dir, "blobs")} // there are none
	restored := filepath.Join(dir, "zrs.fs")
	input := "-"
	if len(theirs) == 0 { // through a pipe that is no database but a failure
		input = filepath.Join(t.TempDir(), "empty.dump")
		if err := os.WriteFile(input, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	code, _, stderr := runZRSOn(t, theirs, append([]string{"restore", input, restored}, blobs...)...)
	if code != 0 && code != 8 {
		t.Fatalf("zrs restore: exit code %d\n%s", code, stderr)
	}
	sameDump(t, "dump of what zrs restored", mustTool(t, driver.Tools, nil, "zodb", "dump", restored), theirs)

	again := filepath.Join(dir, "zodb.fs")
	mustTool(t, driver.Tools, ours, "zodb", "restore", again)
	if known != data {
		sameDump(t, "dump of what zodbtools restored", mustZRS(t, nil, "dump", again), ours)
	}
	if known == none {
		sameDump(t, "data file that zrs restored", mustRead(t, restored), mustRead(t, again))
	}
}

// runZRSOn is runZRS with a standard input.
func runZRSOn(t *testing.T, stdin []byte, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	path, err := zrsBinary()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(patiently(t), path, args...)
	var out, errs strings.Builder
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &errs
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// Transactions with every kind of byte in their texts, made by the real ZODB.
func TestDump_metadata(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Data.fs")
	p := start(t, driver.Modern, nil, "storage.py", path)
	rng := rand.New(rand.NewPCG(3, 1))
	for n := range 60 {
		meta := driver.Args{"sizes": []int{rng.IntN(3000)}, "seed": n}
		for _, key := range []string{"user", "description"} {
			meta[key] = base64.StdEncoding.EncodeToString(randomText(rng))
		}
		if n%2 == 0 {
			meta["kind"] = []string{"plain", "datetime", "protocol-2", "empty-dict"}[n/2%4]
		}
		p.do("raw", meta, nil)
	}
	p.do("close", nil, nil)
	compareDumps(t, path, none)
}

// randomText returns up to 200 bytes of all kinds, but not U+FFFD.
func randomText(rng *rand.Rand) []byte {
	var b []byte
	for range rng.IntN(60) {
		switch rng.IntN(4) {
		case 0:
			b = append(b, byte(rng.IntN(256)))
		case 1:
			b = append(b, "\\\"\t\n\r\v\x00\x7f '"[rng.IntN(10)])
		case 2:
			b = append(b, []string{"é", "日", "\u00a0", "\u0301", "😀", "\u200b", "€"}[rng.IntN(7)]...)
		default:
			b = append(b, byte('a'+rng.IntN(26)))
		}
	}
	return bytes.ReplaceAll(b, []byte("\uFFFD"), nil)
}

// Every character is quoted as pygolang quotes it.
func TestDump_quotes(t *testing.T) {
	cmd := python.Command(t.Context(), driver.Tools, "quotes.py")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for lines := bufio.NewScanner(out); lines.Scan(); n++ {
		var pair [2][]byte
		if err := json.Unmarshal(lines.Bytes(), &pair); err != nil {
			t.Fatal(err)
		}
		if got := dump.AppendQuoted(nil, pair[0]); !bytes.Equal(got, pair[1]) {
			t.Errorf("AppendQuoted(%q) = %s, want %s", pair[0], got, pair[1])
		}
	}
	if err := cmd.Wait(); err != nil || n < 250_000 {
		t.Errorf("quotes.py: %v after %d texts", err, n)
	}
}

// fstailFails are the files whose extensions fstail can't load.
var fstailFails = map[string]bool{"extension/Data.fs": true}

// As ZODB's own tools print it.
func TestDump_fsdump(t *testing.T) {
	for name, path := range corpus(t) {
		t.Run(name, func(t *testing.T) {
			for _, env := range []driver.Env{driver.Modern, driver.Tools} {
				sameDump(t, "fsdump", mustZRS(t, nil, "dump", "--format=fsdump", path), mustTool(t, env, nil, "ZODB.FileStorage.fsdump", path))
			}
			if fi, err := os.Stat(path); err != nil || fi.Size() == 4 || fstailFails[name] { // it can't read an empty one
				return
			}
			sameDump(t, "fstail", mustZRS(t, nil, "dump", "--format=fstail", path), mustTool(t, driver.Modern, nil, "ZODB.scripts.fstail", path))
			sameDump(t, "fstail of three", mustZRS(t, nil, "dump", "--format=fstail", path, fmt.Sprintf("head~%d..", min(3, count(t, path))-1)),
				mustTool(t, driver.Modern, nil, "ZODB.scripts.fstail", "-n", "3", path))
		})
	}
}

// count returns how many transactions a data file has.
func count(t *testing.T, path string) int {
	t.Helper()
	txns, err := transactions(path)
	if err != nil {
		t.Fatal(err)
	}
	return len(txns)
}
