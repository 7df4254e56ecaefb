package repl

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestPair_Corpus replicates every healthy file of the corpus from a primary to
// a secondary.
func TestPair_Corpus(t *testing.T) {
	want := map[string]string{"packed_two_revisions": "copied_packed/Data.fs"}
	for _, name := range []string{
		"empty", "one_txn", "realistic_200", "undo", "undo_creation", "multi_undo", "packed", "packed_two_revisions",
		"extension", "blobs_bushy", "blobs_lawn", "large_oids", "zero_records", "duplicate_oid", "references", "damage_base",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := filepath.Join(corpusDir, name, "Data.fs")
			sourceBlobs, blobs := "", ""
			if strings.HasPrefix(name, "blobs_") {
				sourceBlobs, blobs = filepath.Join(corpusDir, name, "blobs"), filepath.Join(t.TempDir(), "blobs")
			}
			src, _ := serveTCP(t, newPrimary(t, source, sourceBlobs))
			path := filepath.Join(t.TempDir(), "Data.fs")
			s := newSecondary(t, path, blobs, src)
			if err := s.Catchup(t.Context(), 0, false); err != nil {
				t.Errorf("Catchup() = %v", err)
			}
			closeSecondary(t, s)
			if other, ok := want[name]; ok {
				source = filepath.Join(corpusDir, other)
			}
			checkSame(t, path, source)
			if blobs != "" {
				checkSameBlobs(t, blobs, sourceBlobs)
			}
		})
	}
}
