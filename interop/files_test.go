package interop

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// compareFiles returns "" if two files are equal, byte for byte, else where they
// begin to differ.
func compareFiles(a, b string) (string, error) {
	fa, err := os.Open(a)
	if err != nil {
		return "", err
	}
	defer fa.Close()
	fb, err := os.Open(b)
	if err != nil {
		return "", err
	}
	defer fb.Close()

	ra, rb := bufio.NewReaderSize(fa, 1<<20), bufio.NewReaderSize(fb, 1<<20)
	for offset := 0; ; offset++ {
		ca, erra := ra.ReadByte()
		cb, errb := rb.ReadByte()
		switch {
		case erra == io.EOF && errb == io.EOF:
			return "", nil
		case erra == io.EOF:
			return fmt.Sprintf("%s ends at offset %d, %s goes on", a, offset, b), nil
		case errb == io.EOF:
			return fmt.Sprintf("%s ends at offset %d, %s goes on", b, offset, a), nil
		case erra != nil || errb != nil:
			return "", errors.Join(erra, errb)
		case ca != cb:
			return fmt.Sprintf("at offset %d %s has %02x, %s has %02x%s", offset, a, ca, b, cb, within(a, int64(offset))), nil
		}
	}
}

// within says which transaction of a data file an offset is in.
func within(path string, offset int64) string {
	txns, _ := transactions(path)
	i := slices.IndexFunc(txns, func(t txn) bool { return offset < t.offset+t.size })
	if i < 0 {
		return ""
	}
	return fmt.Sprintf(" (transaction %s, number %d of %d, byte %d of %d)",
		txns[i].tid, i+1, len(txns), offset-txns[i].offset, txns[i].size)
}

// blobFiles maps the committed blobs of a blob directory, by "oid/tid" in hex
// and whatever the layout, to their paths. No directory is like an empty one.
func blobFiles(dir string) (map[string]string, error) {
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() || filepath.Ext(path) != ".blob" {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		parts := strings.Split(strings.TrimSuffix(rel, ".blob"), string(filepath.Separator))
		last := len(parts) - 1
		oid := strings.ReplaceAll(strings.Join(parts[:last], ""), "0x", "")
		files[pad(oid)+"/"+pad(strings.TrimPrefix(parts[last], "0x"))] = path
		return nil
	})
	return files, err
}

// pad brings the hex form of an id in a blob's path to full width.
func pad(id string) string { return strings.Repeat("0", max(0, 16-len(id))) + id }

// compareBlobs returns how the committed blobs of b differ from those of a.
func compareBlobs(a, b string) (differences []string, err error) {
	fa, err := blobFiles(a)
	if err != nil {
		return nil, err
	}
	fb, err := blobFiles(b)
	if err != nil {
		return nil, err
	}
	for id, path := range fa {
		other, ok := fb[id]
		if !ok {
			differences = append(differences, "missing: "+id)
			continue
		}
		difference, err := compareFiles(path, other)
		if err != nil {
			return nil, err
		}
		if difference != "" {
			differences = append(differences, id+": "+difference)
		}
	}
	for id := range fb {
		if _, ok := fa[id]; !ok {
			differences = append(differences, "extra: "+id)
		}
	}
	slices.Sort(differences)
	return differences, nil
}

// differences returns how database b differs from a on disk: data files byte
// for byte, blobs whatever the layout.
func differences(t *testing.T, a, b database) (data string, blobs []string) {
	t.Helper()
	data, err := compareFiles(a.data, b.data)
	if err != nil {
		t.Fatal(err)
	}
	if a.blobs == "" && b.blobs == "" {
		return data, nil
	}
	blobs, err = compareBlobs(a.blobs, b.blobs)
	if err != nil {
		t.Fatal(err)
	}
	return data, blobs
}
