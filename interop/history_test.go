package interop

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"zrs/interop/driver"
)

// A zodbHistory is what history.py reports.
type zodbHistory struct {
	LastTID      string `json:"last_tid"`
	Size         int64
	Objects      int64
	Transactions []struct {
		TID               string
		User, Description []byte
		Status            string
		Changes           []struct {
			OID   string
			Class *string
			Bytes int64
		}
	}
	History map[string][]string
}

// A logLine is a line of zrs log --json --stat.
type logLine struct {
	TID, Status       string
	User, Description string
	UserBase64        []byte `json:"user_base64"`
	DescriptionBase64 []byte `json:"description_base64"`
	Records           int
	Changes           []struct {
		OID   string
		Class *string
		Bytes *int64
	}
}

// zrsLog returns what zrs log says.
func zrsLog(t *testing.T, args ...string) (lines []logLine) {
	t.Helper()
	code, stdout, stderr := runZRS(t, append([]string{"log", "--json", "--stat"}, args...)...)
	if code != 0 || stderr != "" {
		t.Fatalf("zrs log: exit code %d\n%s", code, stderr)
	}
	for line := range strings.Lines(stdout) {
		var l logLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	return lines
}

// zrsInfo returns what zrs info says.
func zrsInfo(t *testing.T, path string) (info struct {
	LastTID      string `json:"last_tid"`
	PackedTID    string `json:"packed_tid"`
	End          int64
	Tail         string
	Index        string
	Locked       bool
	LockPID      int `json:"lock_pid"`
	Blobs        int
	Transactions int
	Objects      int64
}) {
	t.Helper()
	code, stdout, stderr := runZRS(t, "info", "--json", path)
	if code != 0 || stderr != "" {
		t.Fatalf("zrs info: exit code %d\n%s", code, stderr)
	}
	if err := json.Unmarshal([]byte(stdout), &info); err != nil {
		t.Fatal(err)
	}
	return info
}

// TestHistory compares what zrs log and zrs info say of a database with what
// ZODB says: after ordinary commits, undos, odd metadata, and a pack in between.
func TestHistory(t *testing.T) {
	t.Parallel()
	for _, env := range []driver.Env{driver.Modern, driver.Legacy} {
		t.Run(string(env), func(t *testing.T) {
			t.Parallel()
			db := newDatabase(t, true)
			s := openStorage(t, env, db)
			s.init()
			tids := s.commit(40, 5, 2000)
			s.putBlobs(1, blobSizes)
			s.raw(raw{Sizes: []int{10}, User: []byte("\xff\x1b[2J"), Description: []byte("a\nb\x00")})
			gone := s.raw(raw{Sizes: []int{10, 20}, Description: []byte("soon gone")})
			s.undo(s.commit(1, 6, 500)...)
			s.delete(gone[1])
			compareHistory(t, db, env, "")

			packed := tids[len(tids)-3]
			s.pack(packed, true)
			s.commit(10, 7, 1000)
			s.undo(s.commit(1, 8, 500)...)
			compareHistory(t, db, env, packed)
			s.close()
			if got := zrsInfo(t, db.data); got.Locked || got.Index != "current" {
				t.Errorf("closed: locked %v, index %s", got.Locked, got.Index)
			}
			compareHistory(t, db, env, packed)
		})
	}
}

// TestInfo_InUse looks at a database that ZODB has open, also while a
// transaction is voted.
func TestInfo_InUse(t *testing.T) {
	t.Parallel()
	db := newDatabase(t, false)
	s := openStorage(t, driver.Modern, db)
	s.init()
	s.commit(5, 1, 300)
	want := s.last()
	for _, voted := range []bool{false, true} {
		if voted {
			s.vote(raw{Sizes: []int{100}})
		}
		got := zrsInfo(t, db.data)
		if !got.Locked || got.LockPID != s.PID() || got.LastTID != want.TID || got.End != want.Size || (got.Tail == "torn-tail") != voted {
			t.Errorf("voted %v: %+v, want process %d and %+v", voted, got, s.PID(), want)
		}
		if lines := zrsLog(t, "-n", "1", db.data); len(lines) != 1 || lines[0].TID != want.TID {
			t.Errorf("voted %v: the last transaction is %v, want %s", voted, lines, want.TID)
		}
	}
	s.do("finish", nil, nil)
	s.close()
}

func compareHistory(t *testing.T, db database, env driver.Env, packed string) {
	t.Helper()
	cmd := python.Command(patiently(t), env, "history.py", db.data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("history.py: %v", err)
	}
	var want zodbHistory
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	info := zrsInfo(t, db.data)
	if info.LastTID != want.LastTID || info.End != want.Size || info.Objects != want.Objects ||
		info.Transactions != len(want.Transactions) || info.PackedTID != packed {
		t.Errorf("zrs info says %+v, want %s, %d, %d objects, packed up to %s", info, want.LastTID, want.Size, want.Objects, packed)
	}
	lines := zrsLog(t, db.data)
	if len(lines) != len(want.Transactions) {
		t.Fatalf("zrs log shows %d transactions, want %d", len(lines), len(want.Transactions))
	}
	statuses := map[string]string{" ": "complete", "p": "packed"}
	for i, w := range want.Transactions {
		l := lines[i]
		if l.TID != w.TID || l.Status != statuses[w.Status] || l.Records != len(w.Changes) || len(l.Changes) != len(w.Changes) {
			t.Errorf("zrs log shows %+v, want %+v", l, w)
			continue
		}
		if !sameText(l.User, l.UserBase64, w.User) || !sameText(l.Description, l.DescriptionBase64, w.Description) {
			t.Errorf("%s: %q %q, want %q %q", l.TID, l.User, l.Description, w.User, w.Description)
		}
		for j, c := range w.Changes {
			got := l.Changes[j]
			same := got.OID == c.OID && (got.Class == nil) == (c.Class == nil) && (got.Bytes == nil) == (c.Bytes < 0)
			if !same || got.Bytes != nil && (*got.Bytes != c.Bytes || *got.Class != *c.Class) {
				t.Errorf("%s: change %+v, want %+v", l.TID, got, c)
			}
		}
	}
	for oid, want := range want.History {
		if want == nil {
			continue
		}
		var got []string
		for _, l := range zrsLog(t, "--reverse", "--oid", oid, db.data) {
			got = append(got, l.TID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("object %s was written by %v, want %v", oid, got, want)
		}
	}
}

// sameText reports whether a text of zrs log is what the storage has.
func sameText(text string, exact, want []byte) bool {
	if exact != nil {
		return bytes.Equal(exact, want)
	}
	return text == string(want)
}
