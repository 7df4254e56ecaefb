package dump

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"

	"zrs/internal/pickle"
)

const (
	// maxExtensionJSON bounds the JSON of an extension, in which a value that
	// the pickle has once can appear any number of times.
	maxExtensionJSON = 1 << 20

	// maxExtensionDepth bounds its nesting, which a value that contains itself
	// makes infinite.
	maxExtensionDepth = 64
)

var (
	errExtensionSize  = errors.New("too large to show")
	errExtensionDepth = errors.New("nested too deep to show")
)

// extensionJSON returns the JSON of a transaction's extension, an empty object
// if there is none. Nothing in it is run: what is neither text, number nor
// collection is shown by how it is made.
func extensionJSON(ext []byte) (json.RawMessage, error) {
	if len(ext) == 0 {
		return json.RawMessage("{}"), nil
	}
	var d pickle.Decoder
	v, n, err := d.Decode(ext)
	if err != nil {
		return nil, err
	}
	if n < len(ext) {
		return nil, fmt.Errorf("%d bytes behind the pickle", len(ext)-n)
	}
	s := shower{}
	if err := s.value(v, 0); err != nil {
		return nil, err
	}
	return s.b, nil
}

// A shower writes the values of a pickle as JSON.
type shower struct{ b []byte }

func (s *shower) value(v *pickle.Value, depth int) error {
	switch {
	case depth > maxExtensionDepth:
		return errExtensionDepth
	case len(s.b) > maxExtensionJSON:
		return errExtensionSize
	}
	switch v.Kind {
	case pickle.None:
		s.b = append(s.b, "null"...)
	case pickle.Bool:
		s.b = strconv.AppendBool(s.b, v.Int != 0)
	case pickle.Int:
		s.b = strconv.AppendInt(s.b, v.Int, 10)
	case pickle.Long:
		s.long(v.Data)
	case pickle.Float:
		s.float(v.Float())
	case pickle.Text:
		s.text(v.Data)
	case pickle.Str, pickle.Bytes:
		s.bytes(v)
	case pickle.Tuple, pickle.List:
		return s.list(v.Items, depth)
	case pickle.Dict:
		return s.dict(v.Items, depth)
	case pickle.Global:
		s.tagged("global", string(bytes.Replace(v.Data, []byte("\n"), []byte("."), 1)))
	default:
		return s.made(v, depth)
	}
	return nil
}

// made shows what a call makes, by its parts.
func (s *shower) made(v *pickle.Value, depth int) error {
	names := map[pickle.Kind]string{
		pickle.Reduce: "call", pickle.Object: "object", pickle.Persistent: "reference", pickle.Registered: "registered",
		pickle.Buffer: "buffer", pickle.Build: "state", pickle.Extend: "extend", pickle.Update: "update",
	}
	s.b = append(s.b, `{"`+names[v.Kind]+`":`...)
	if err := s.list(v.Items, depth); err != nil {
		return err
	}
	s.b = append(s.b, '}')
	return nil
}

func (s *shower) list(items []*pickle.Value, depth int) error {
	s.b = append(s.b, '[')
	for i, item := range items {
		if i > 0 {
			s.b = append(s.b, ',')
		}
		if err := s.value(item, depth+1); err != nil {
			return err
		}
	}
	s.b = append(s.b, ']')
	return nil
}

// dict shows a dictionary as an object if all its keys are text, else as a list
// of pairs.
func (s *shower) dict(items []*pickle.Value, depth int) error {
	object := true
	for i := 0; i < len(items); i += 2 {
		object = object && (items[i].Kind == pickle.Text || items[i].Kind == pickle.Str)
	}
	if !object {
		s.b = append(s.b, `{"dict":[`...)
	} else {
		s.b = append(s.b, '{')
	}
	for i := 0; i+1 < len(items); i += 2 {
		if i > 0 {
			s.b = append(s.b, ',')
		}
		if object {
			s.text(items[i].Data)
			s.b = append(s.b, ':')
			if err := s.value(items[i+1], depth+1); err != nil {
				return err
			}
		} else if err := s.list(items[i:i+2], depth+1); err != nil {
			return err
		}
	}
	if !object {
		s.b = append(s.b, ']')
	}
	s.b = append(s.b, '}')
	return nil
}

// text shows UTF-8, with what is not in its place replaced.
func (s *shower) text(b []byte) {
	o := output{b: s.b}
	o.json(string(bytes.ToValidUTF8(b, []byte("\uFFFD"))))
	s.b = o.b
}

// bytes shows 8-bit text of Python 2 as text if it is any, other bytes as base64.
func (s *shower) bytes(v *pickle.Value) {
	if text, lost := jsonText(v.Data); lost == nil && v.Kind == pickle.Str {
		s.text([]byte(text))
		return
	}
	s.tagged("base64", base64.StdEncoding.EncodeToString(v.Data))
}

// tagged shows a value that JSON has no form for.
func (s *shower) tagged(tag, text string) {
	s.b = append(s.b, `{"`+tag+`":`...)
	s.text([]byte(text))
	s.b = append(s.b, '}')
}

func (s *shower) float(f float64) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		s.tagged("float", strconv.FormatFloat(f, 'g', -1, 64))
		return
	}
	s.b = strconv.AppendFloat(s.b, f, 'g', -1, 64)
}

// long shows an integer of any size: little-endian two's complement.
func (s *shower) long(data []byte) {
	b := slices.Clone(data)
	slices.Reverse(b)
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	s.b = n.Append(s.b, 10)
}
