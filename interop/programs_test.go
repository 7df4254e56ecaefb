package interop

import (
	"encoding/json"
	"errors"
	"testing"

	"zrs/interop/driver"
)

// A program is a running Python driver whose failures are the test's.
type program struct {
	*driver.Process
	t *testing.T
}

// start runs a program until the test ends, and shows its log if that failed.
func start(t *testing.T, env driver.Env, ready any, name string, args ...string) program {
	t.Helper()
	proc, err := python.Start(t.Context(), env, ready, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		proc.Stop()
		if t.Failed() {
			t.Logf("log of %s:\n%s", name, proc.Log)
		}
	})
	return program{proc, t}
}

// do carries out a command that must succeed.
func (p program) do(command string, args driver.Args, result any) {
	p.t.Helper()
	if err := p.Do(patiently(p.t), command, args, result); err != nil {
		p.t.Fatal(err)
	}
}

// refused carries out a command that must fail.
func (p program) refused(command string, args driver.Args) {
	p.t.Helper()
	err := p.Do(patiently(p.t), command, args, nil)
	if _, ok := errors.AsType[*driver.Error](err); !ok {
		p.t.Fatalf("%s: error %v, want it to be refused", command, err)
	}
}

// waitLog waits until the log has n lines with text.
func (p program) waitLog(n int, text string) {
	p.t.Helper()
	if _, err := p.Log.Wait(patiently(p.t), n, driver.Contains(text)); err != nil {
		p.t.Fatalf("%s: log line %q: %v", p.Program, text, err)
	}
}

// A position is where a storage stands: the last TID as 16 hex digits, and the
// size of the data up to it.
type position struct {
	TID  string
	Size int64
}

// A database is the files of one: data and, if blobs is not empty, blobs.
type database struct{ data, blobs string }

// newDatabase names files in a new directory.
func newDatabase(t *testing.T, withBlobs bool) database {
	dir := t.TempDir()
	db := database{data: dir + "/Data.fs"}
	if withBlobs {
		db.blobs = dir + "/blobs"
	}
	return db
}

// args are command line arguments that name the files, for drivers and zrs.
func (db database) args() []string {
	if db.blobs == "" {
		return []string{db.data}
	}
	return []string{"--blob-dir", db.blobs, db.data}
}

// A storage is a FileStorage that a test writes to, in a process of its own.
type storage struct {
	program
	database
	address string // where it serves secondaries, if it is a zc.zrs primary
}

// openStorage opens a FileStorage in an environment. Further options come
// before the files, see storage.py.
func openStorage(t *testing.T, env driver.Env, db database, options ...string) *storage {
	t.Helper()
	var ready struct{ Address string }
	p := start(t, env, &ready, "storage.py", append(options, db.args()...)...)
	return &storage{p, db, ready.Address}
}

// openPrimary opens a FileStorage as a zc.zrs primary.
func openPrimary(t *testing.T, db database) *storage {
	t.Helper()
	return openStorage(t, driver.Legacy, db, "--primary", "127.0.0.1:0")
}

// commits carries out a command that commits one transaction and returns its
// TID.
func (s *storage) commits(command string, args driver.Args) string {
	s.t.Helper()
	var at position
	s.do(command, args, &at)
	return at.TID
}

// init makes the root object.
func (s *storage) init() string { s.t.Helper(); return s.commits("init", nil) }

// commit makes random edits of a tree, up to size bytes an object.
func (s *storage) commit(count, seed, size int) (tids []string) {
	s.t.Helper()
	var result struct{ TIDs []string }
	s.do("commit", driver.Args{"count": count, "seed": seed, "size": size}, &result)
	return result.TIDs
}

// put makes or changes the object of that name.
func (s *storage) put(name string, seed int) string {
	s.t.Helper()
	return s.commits("put", driver.Args{"name": name, "seed": seed})
}

// drop unlinks the object of that name.
func (s *storage) drop(name string) string {
	s.t.Helper()
	return s.commits("drop", driver.Args{"name": name})
}

// blobs makes or rewrites blobs of the given sizes and unlinks others.
func (s *storage) putBlobs(seed int, put map[string]int, remove ...string) string {
	s.t.Helper()
	return s.commits("blobs", driver.Args{"put": put, "remove": append([]string{}, remove...), "seed": seed})
}

// undo undoes transactions in a new one.
func (s *storage) undo(tids ...string) string {
	s.t.Helper()
	return s.commits("undo", driver.Args{"tids": tids})
}

// raw is a transaction through the storage's own interface.
type raw struct {
	Sizes       []int    `json:"sizes"`          // of the records' payloads
	OIDs        []string `json:"oids,omitempty"` // of the first records; new ones for the rest
	TID         string   `json:"tid,omitempty"`  // by the clock if empty
	User        []byte   `json:"user,omitempty"` //
	Description []byte   `json:"description"`    //
	Extension   []byte   `json:"extension"`      //
	Kind        string   `json:"kind"`           // an extension of content.py, in place of bytes
	Seed        int      `json:"seed"`           //
}

func (r raw) args(t *testing.T) (args driver.Args) {
	if r.Sizes == nil {
		r.Sizes = []int{}
	}
	b, err := json.Marshal(r)
	if err == nil {
		err = json.Unmarshal(b, &args)
	}
	if err != nil {
		t.Fatal(err)
	}
	return args
}

// raw commits it and returns the OIDs of its records.
func (s *storage) raw(r raw) (oids []string) {
	s.t.Helper()
	var result struct{ OIDs []string }
	s.do("raw", r.args(s.t), &result)
	return result.OIDs
}

// vote leaves the transaction voted: with status "c" at the end of the file.
func (s *storage) vote(r raw) { s.t.Helper(); s.do("vote", r.args(s.t), nil) }

// delete removes an object as an external garbage collector does.
func (s *storage) delete(oid string) string {
	s.t.Helper()
	return s.commits("delete", driver.Args{"oid": oid})
}

// pack packs everything up to and with the transaction tid, or, if that is
// empty, up to now.
func (s *storage) pack(tid string, gc bool) {
	s.t.Helper()
	s.do("pack", driver.Args{"tid": tid, "gc": gc}, nil)
}

// last returns where the storage stands.
func (s *storage) last() (at position) {
	s.t.Helper()
	s.do("last", nil, &at)
	return at
}

// close closes the storage, which saves its index, and ends the process.
func (s *storage) close() {
	s.t.Helper()
	s.do("close", nil, nil)
	s.Stop()
}

// A findings is what check.py reports of a database.
type findings struct {
	Index        string            // "used", "ignored", "none"
	Size         int64             //
	LastTID      string            `json:"last_tid"`
	Objects      int               //
	Transactions int               //
	Digest       string            // of all contents, blobs included
	Digests      []txnDigest       //
	Current      map[string]string // OID to a digest of TID and data
	Gone         []string          // OIDs without a current revision
	Dangling     [][2]string       // reference that leads nowhere, referring OID
	Blobs        int               // revisions that are blobs
	NoFile       [][2]string       `json:"no_file"` // those without a file: OID, TID
	Warnings     []string          //
	NewFiles     []string          `json:"new_files"`
}

// A txnDigest is what check.py reports of one transaction.
type txnDigest struct {
	TID       string
	Digest    string // of everything in it
	Extension string // the extension's bytes in hex, which are part of the digest
	Records   string // digest of the records alone
}

// check opens a copy of a database with the real ZODB of an environment.
func check(t *testing.T, env driver.Env, db database) *findings {
	t.Helper()
	log := driver.NewLog()
	cmd := python.Command(patiently(t), env, "check.py", append([]string{"--copy"}, db.args()...)...)
	cmd.Stderr = log
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("check.py %s: %v\n%s", db.data, err, log)
	}
	var f findings
	if err := json.Unmarshal(out, &f); err != nil {
		t.Fatalf("check.py %s: %v\n%s", db.data, err, out)
	}
	return &f
}
