package interop

import (
	"encoding/json"
	"testing"

	"zrs/interop/driver"
)

// TestCatchup seeds a database, brings it up to date, and finds nothing to do,
// from every kind of source.
func TestCatchup(t *testing.T) {
	for _, kind := range []string{zczrsKind, zrsKind, "file"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			db, replica := seeded(t), newDatabase(t, true)
			writer, source, options := catchupSource(t, kind, db)
			for round, live := range []func(){
				func() {},
				func() { writer.commit(5, 3, 1000); writer.putBlobs(3, blobSizes) },
				func() {},
			} {
				live()
				args := append([]string{"catchup", "--json"}, options...)
				args = append(args, "--blob-dir", replica.blobs, source, replica.data)
				code, stdout, stderr := runZRS(t, args...)
				if code != 0 {
					t.Fatalf("round %d: exit code %d, want 0\n%s%s", round, code, stdout, stderr)
				}
				if !json.Valid([]byte(stdout)) {
					t.Errorf("round %d: not JSON: %s", round, stdout)
				}
				if got, want := lastTID(t, replica.data), writer.last().TID; got != want {
					t.Errorf("round %d: ends with %s, want %s", round, got, want)
				}
			}
			writer.close()
			identical(t, db, replica)
		})
	}
}

// catchupSource opens a database for writing and names it as a source.
func catchupSource(t *testing.T, kind string, db database) (writer *storage, source string, options []string) {
	t.Helper()
	if kind == "file" {
		return openStorage(t, driver.Modern, db), db.data, []string{"--source-blob-dir", db.blobs}
	}
	writer, source = startPrimary(t, kind, db)
	return writer, source, nil
}
