package pickle

import (
	"fmt"
	"strings"
)

// show returns v in something like Python. A container that is shown already,
// or is being shown, is shown as &N, counting from 0 in order of appearance.
func show(v *Value) string {
	var b strings.Builder
	s := shower{b: &b, seen: make(map[*Value]int)}
	s.show(v)
	return b.String()
}

type shower struct {
	b    *strings.Builder
	seen map[*Value]int
}

func (s *shower) show(v *Value) {
	if v.Kind == List || v.Kind == Dict || len(v.Items) > 0 {
		if n, ok := s.seen[v]; ok {
			fmt.Fprintf(s.b, "&%d", n)
			return
		}
		s.seen[v] = len(s.seen)
	}
	switch v.Kind {
	case None:
		s.b.WriteString("None")
	case Bool:
		fmt.Fprint(s.b, v.Int == 1)
	case Int:
		fmt.Fprint(s.b, v.Int)
	case Long:
		fmt.Fprintf(s.b, "%dL", bigInt(v.Data))
	case Float:
		fmt.Fprintf(s.b, "%vf", v.Float())
	case Text:
		fmt.Fprintf(s.b, "u%q", v.Data)
	case Bytes:
		fmt.Fprintf(s.b, "b%q", v.Data)
	case Str:
		fmt.Fprintf(s.b, "%q", v.Data)
	case Global:
		s.b.WriteString(strings.ReplaceAll(string(v.Data), "\n", "."))
	case Registered:
		fmt.Fprintf(s.b, "registered %d", v.Int)
		s.items("{", "}", v)
	case Buffer:
		s.b.WriteString("buffer")
	case Tuple:
		s.items("(", ")", v)
	case List:
		s.items("[", "]", v)
	case Dict:
		s.items("{", "}", v)
	default:
		names := map[Kind]string{Reduce: "call", Object: "new", Persistent: "persistent", Build: "build", Extend: "extend", Update: "update"}
		s.items(names[v.Kind]+"<", ">", v)
	}
}

func (s *shower) items(start, end string, v *Value) {
	s.b.WriteString(start)
	for i, item := range v.Items {
		if i > 0 {
			s.b.WriteString(" ")
		}
		s.show(item)
	}
	s.b.WriteString(end)
}
