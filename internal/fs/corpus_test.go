package fs

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// corpusDir holds files made by the real ZODB; its README.md says how.
const corpusDir = "../../testdata/corpus"

// corpusPath returns the path of a corpus file, such as "undo/Data.fs". Tests
// must not change it: those who write take a copy.
func corpusPath(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(corpusDir, filepath.FromSlash(name))
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// corpusFiles returns the names of all corpus files that match a pattern of
// directory and file, and of these only.
func corpusFiles(t testing.TB, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(corpusDir, filepath.FromSlash(pattern)))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no corpus file %s: %v", pattern, err)
	}
	names := make([]string, len(paths))
	for i, path := range paths {
		name, err := filepath.Rel(corpusDir, path)
		if err != nil {
			t.Fatal(err)
		}
		names[i] = filepath.ToSlash(name)
	}
	return names
}

// A corpusFact tells what is in a data file of the corpus, and what ZODB 6.3
// did with it.
type corpusFact struct {
	Size               int64  `json:"size"`
	SHA256             string `json:"sha256"`
	IndexSHA256        string `json:"index_sha256"` // "" if there is none
	Magic              string `json:"magic"`
	Records            int    `json:"records"`
	BackPointerRecords int    `json:"backpointer_records"`
	DistinctOIDs       int    `json:"distinct_oids"`
	FirstTID           TID    `json:"first_tid"` // 0 if there is none
	LastTID            TID    `json:"last_tid"`
	Statuses           string `json:"statuses"`          // those that occur, a blank as _
	GoodPrefixBytes    int64  `json:"good_prefix_bytes"` // what a strict reader accepts
	GoodPrefixTxns     int    `json:"good_prefix_txns"`
	Fstest             string `json:"fstest"`
	Iterator           struct {
		Txns  int    `json:"txns"`
		Error string `json:"error"`
	} `json:"iterator"`
	OpenReadWrite      zodbOpen  `json:"zodb_open_rw_no_index"`
	OpenReadOnly       zodbOpen  `json:"zodb_open_ro_no_index"`
	OpenWithIndex      *zodbOpen `json:"zodb_open_rw_with_index"`    // nil if there is no index
	SecondaryIdentical *bool     `json:"zc_zrs_secondary_identical"` // nil if that was not run
	BlobFilesLost      int       `json:"zc_zrs_blob_files_lost"`
}

// A zodbOpen is the result of an open by ZODB.
type zodbOpen struct {
	OK        bool   `json:"ok"`
	Error     string `json:"error"`
	Pos       int64  `json:"pos"`
	Last      TID    `json:"last"` // what ZODB takes for the last transaction
	Objects   int    `json:"objects"`
	SizeAfter int64  `json:"size_after"`
	TR0Size   int64  `json:"tr0_size"` // what was cut off and saved
	UsedIndex bool   `json:"used_index"`
}

// loadFacts returns what is known of the corpus' data files, by their names.
func loadFacts(t testing.TB) map[string]corpusFact {
	t.Helper()
	var facts map[string]corpusFact
	loadJSON(t, "facts.json", &facts)
	return facts
}

// corpusVectors are small vectors that were computed by the real libraries.
type corpusVectors struct {
	TIDTime []struct {
		UTC, Text string
		TID       TID
		Unix      float64
	} `json:"tid_time"`
	TIDTextOnly []struct {
		TID  TID
		Text string
	} `json:"tid_text_only"`
	TIDLaterThan []struct{ Candidate, Last, Result TID } `json:"tid_later_than"`
	BlobPath     []struct {
		OID         hexOID
		TID         TID
		Bushy, Lawn string
	} `json:"blob_path"`
	OIDRepr []struct {
		OID  hexOID
		Text string
	} `json:"oid_repr"`
	Index []struct {
		Pos     int64
		Entries []indexVector
		Hex     hexBytes
	}
	References []struct {
		Form   string
		Record hexBytes
		Strong json.RawMessage // a list of OIDs, or the text of an error
	}
	BlobRecord []struct {
		Form   string
		Record hexBytes
		ZODB   bool
		ZCZRS  bool `json:"zc_zrs"`
	} `json:"blob_record"`
	UndoID []struct {
		TID TID
		ID  string
	} `json:"undo_id"`
}

// loadVectors returns the vectors of the corpus.
func loadVectors(t testing.TB) corpusVectors {
	t.Helper()
	var vectors corpusVectors
	loadJSON(t, "vectors.json", &vectors)
	return vectors
}

// A hexOID is an OID as the vectors have it, in 16 hex digits.
type hexOID OID

func (o *hexOID) UnmarshalText(text []byte) error {
	v, err := strconv.ParseUint(string(text), 16, 64)
	*o = hexOID(v)
	return err
}

// hexBytes are bytes as the vectors have them, in hex digits.
type hexBytes []byte

func (b *hexBytes) UnmarshalText(text []byte) (err error) {
	*b, err = hex.DecodeString(string(text))
	return err
}

// An indexVector is an entry of an index: in the vectors, a pair.
type indexVector struct {
	OID    OID
	Offset int64
}

func (v *indexVector) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{(*hexOID)(&v.OID), &v.Offset})
}

// loadJSON reads a file of the corpus, all of whose fields v must have.
func loadJSON(t testing.TB, name string, v any) {
	t.Helper()
	text, err := os.ReadFile(corpusPath(t, name))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// TestCorpus_Unchanged finds corpus files that a test or a checkout changed.
func TestCorpus_Unchanged(t *testing.T) {
	for name, fact := range loadFacts(t) {
		checkSHA256(t, name, fact.SHA256)
		if fact.IndexSHA256 != "" {
			checkSHA256(t, name+".index", fact.IndexSHA256)
		}
	}
}

func checkSHA256(t *testing.T, name, want string) {
	t.Helper()
	data, err := os.ReadFile(corpusPath(t, name))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	if got := hex.EncodeToString(sum[:]); got != want {
		t.Errorf("SHA-256 of %s = %s, want %s", name, got, want)
	}
}
