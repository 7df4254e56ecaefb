package dump

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"math"
	"time"
	"unicode/utf8"

	"zrs/internal/fs"
	"zrs/internal/pickle"
)

// jsonSchema is the schema number of the objects. Keys are only ever added.
const jsonSchema = 1

// jsonFormat writes an object a line, for each transaction or, flat, for each
// record.
type jsonFormat struct{ data, hash, flat bool }

// A jsonTxn is a transaction. Its records follow where it is not flat.
type jsonTxn struct {
	Schema            int             `json:"schema"`
	TID               fs.TID          `json:"tid"`
	Time              time.Time       `json:"time"`
	Status            string          `json:"status"`
	User              string          `json:"user"`
	UserBase64        []byte          `json:"user_base64,omitempty"` // if it is not UTF-8
	Description       string          `json:"description"`
	DescriptionBase64 []byte          `json:"description_base64,omitempty"`
	Extension         json.RawMessage `json:"extension"`
	ExtensionBase64   []byte          `json:"extension_base64,omitempty"` // if it can't be decoded
	ExtensionError    string          `json:"extension_error,omitempty"`
	Offset            int64           `json:"offset"`
	Bytes             int64           `json:"bytes"`
}

// A jsonRecord is a record. The class and the bytes are null if the object is
// gone.
type jsonRecord struct {
	OID     fs.OID  `json:"oid"`
	Class   *string `json:"class"`
	Bytes   *int64  `json:"bytes"`
	Deleted bool    `json:"deleted,omitempty"`
	DataTID *fs.TID `json:"data_tid,omitempty"` // the transaction whose data it has
	Blob    bool    `json:"blob,omitempty"`
	SHA1    string  `json:"sha1,omitempty"`
	Data    []byte  `json:"data,omitempty"`
}

// A flatRecord is a record with what tells its transaction.
type flatRecord struct {
	Schema int       `json:"schema"`
	TID    fs.TID    `json:"tid"`
	Time   time.Time `json:"time"`
	jsonRecord
}

func (f *jsonFormat) head(o *output, x *txn) {
	if f.flat {
		return
	}
	t := jsonTxn{
		Schema: jsonSchema, TID: x.TID, Time: x.TID.Time(), Status: x.Status.Name(),
		Offset: x.Offset, Bytes: x.End() - x.Offset,
	}
	t.User, t.UserBase64 = jsonText(x.User)
	t.Description, t.DescriptionBase64 = jsonText(x.Description)
	ext, err := extensionJSON(x.Extension)
	if err != nil {
		ext = []byte("null")
		t.ExtensionBase64, t.ExtensionError = x.Extension, err.Error()
	}
	t.Extension = ext
	o.json(&t)
	o.b = append(o.b[:len(o.b)-1], `,"records":[`...)
}

func (f *jsonFormat) record(o *output, x *txn, r *record, first bool) error {
	out := jsonRecord{OID: r.OID, Deleted: r.gone()}
	if !out.Deleted {
		size := r.size()
		out.Bytes = &size
		if r.found.BackTID != 0 {
			out.DataTID = &r.found.BackTID
		}
		if err := f.describe(&out, x, r); err != nil {
			return err
		}
	}
	switch {
	case f.flat:
		o.json(&flatRecord{jsonSchema, x.TID, x.TID.Time(), out})
		o.b = append(o.b, '\n')
		return nil
	case !first:
		o.b = append(o.b, ',')
	}
	o.json(&out)
	return nil
}

func (f *jsonFormat) tail(o *output, _ *txn) {
	if !f.flat {
		o.b = append(o.b, "]}\n"...)
	}
}

// describe tells what the data of a record is.
func (f *jsonFormat) describe(out *jsonRecord, x *txn, r *record) error {
	limit := int64(classLimit)
	if f.data || f.hash {
		limit = math.MaxInt64
	}
	data, err := x.data(r, limit)
	if err != nil {
		return err
	}
	if module, name, ok := pickle.ClassName(data); ok {
		class := pickle.FullName(module, name)
		out.Class = &class
	}
	out.Blob = pickle.IsBlobRecord(data)
	if f.hash {
		sum := sha1.Sum(data)
		out.SHA1 = hex.EncodeToString(sum[:])
	}
	if f.data {
		out.Data = data
	}
	return nil
}

// jsonText returns what bytes are as text, and the bytes if that loses any.
func jsonText(b []byte) (string, []byte) {
	if utf8.Valid(b) {
		return string(b), nil
	}
	return string(bytes.ToValidUTF8(b, []byte("\uFFFD"))), b
}

// json adds v as JSON. It can't fail for what is written here.
func (o *output) json(v any) {
	buf := bytes.NewBuffer(o.b)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
	o.b = buf.Bytes()
	o.b = o.b[:len(o.b)-1] // without the line's end
}
