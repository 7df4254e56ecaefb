package verify

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"zrs/internal/fs"
)

// mirrored returns what the relation is with the sides exchanged.
func (r Relation) mirrored() Relation {
	switch r {
	case Behind:
		return Ahead
	case Ahead:
		return Behind
	case BehindAfterPack:
		return AheadAfterPack
	case AheadAfterPack:
		return BehindAfterPack
	}
	return r
}

// findings lists what makes two diverge: transactions that only one has, as "+3",
// and differences, as "data 3 b".
func findings(c *Comparison) string {
	if c.Relation != Diverged {
		return ""
	}
	var words []string
	var only []fs.TID
	for _, s := range c.Sides {
		for _, txn := range s.Only {
			only = append(only, txn.TID)
		}
	}
	slices.Sort(only)
	for _, tid := range only {
		words = append(words, fmt.Sprintf("+%d", tid>>32))
	}
	if d := differences(c); d != "" {
		words = append(words, d)
	}
	return strings.Join(words, ", ")
}

// differences lists those of a comparison.
func differences(c *Comparison) string {
	var words []string
	for _, d := range c.Differences {
		w := fmt.Sprintf("%s %d", d.Kind, d.TID>>32)
		if d.Kind.OfObject() {
			w += " " + string(rune('a'+d.OID))
		}
		words = append(words, w)
	}
	return strings.Join(words, ", ")
}

func TestCompare(t *testing.T) {
	const abc = "1 a=1>b b=1; 2 b=2; 3 a=2>bc c=1; 4 c=2"
	tests := []struct {
		name, a, b  string
		want        Relation
		differences string
		apart       int64
		common      int // number of the last common transaction
	}{
		{"equal", abc, abc, Equal, "", 0, 4},
		{"empty", "", "", Equal, "", 0, 0},
		{"empty-and-not", "", abc, Behind, "", 4, 0},
		{"prefix", "1 a=1>b b=1; 2 b=2", abc, Behind, "", 2, 2},
		{"another-order", "1 a=1>bc b=1 c=1", "1 c=1 a=1>bc b=1", Equal, "", 0, 1},
		{"undo", "1 a=1>b b=1; 2 b=2; 3 b=1^1", "1 a=1>b b=1; 2 b=2; 3 b=1", Equal, "", 0, 3},

		{"other-data", abc, "1 a=1>b b=1; 2 b=X; 3 a=2>bc c=1; 4 c=2", Diverged, "data 2 b", 0, 1},
		{"other-data-at-the-end", abc, "1 a=1>b b=1; 2 b=2; 3 a=2>bc c=1; 4 c=X", Diverged, "data 4 c", 0, 3},
		{"other-user", "1/x a=1", "1/y a=1", Diverged, "texts 1", 0, 0},
		{"other-extension", "1+x a=1", "1+y a=1", Diverged, "extension 1", 0, 0},
		{"record-missing", abc, "1 a=1>b b=1; 2 b=2; 3 a=2>bc; 4 c=2", Diverged, "record 3 c", 0, 2},
		{"gone-and-not", "1 a=1 b=1; 2 b=-", "1 a=1 b=1; 2 b=2", Diverged, "data 2 b", 0, 1},
		{"twice-and-once", "1 a=1 a=1", "1 a=1", Diverged, "record 1 a", 0, 0},
		{"twice-and-exchanged", "1 a=1 a=2", "1 a=2 a=1", Diverged, "data 1 a", 0, 0},
		{"fork", "1 a=1; 2 a=2; 3 a=3; 4 a=4", "1 a=1; 2 a=2; 5 a=5", Diverged, "+3, +4, +5", 0, 2},
		{"lost-in-the-middle", "1 a=1; 2 a=2; 3 a=3", "1 a=1; 3 a=3", Diverged, "+2", 0, 1},
		{"unrelated", "1 a=1; 3 a=3", "2 a=2; 4 a=4", Diverged, "+1, +2, +3, +4", 0, 0},
		{"unrelated-and-packed", "1 a=1", "2p a=2; 3 a=3", Diverged, "+2, +3, unrelated 2", 0, 0},

		{"marked", "1p a=1; 2p a=2; 3 a=3", "1 a=1; 2 a=2; 3 a=3", EqualAfterPack, "", 0, 3},
		{"packed", "2p b=2; 3p a=2>bc; 4 c=2", abc, Diverged, "revision 3 c", 0, 2},
		{"packed-superseded", "2p b=2; 3p a=2>bc; 4p c=2", abc, EqualAfterPack, "", 0, 4},
		{"packed-garbage", "2p b=2; 3p a=2>b; 4 c=2", "1 a=1>b b=1; 2 b=2 c=1; 3 a=2>b; 4 c=2", EqualAfterPack, "", 0, 4},
		{"packed-cycle-of-garbage", "3p a=2; 4 a=3", "1 a=1>b b=1>c; 2 c=1>b; 3 a=2; 4 a=3", EqualAfterPack, "", 0, 4},
		{"packed-but-lost", "1p a=1>b b=1; 3p c=1; 4 a=3>bc", "1 a=1>b b=1; 2 b=2; 3 c=1; 4 a=3>bc", Diverged, "revision 2 b", 0, 1},
		{"packed-lost-the-root", "1p a=1>b b=1; 3p b=2; 4 b=3", "1 a=1>b b=1; 2 a=2>b; 3 b=2; 4 b=3", Diverged, "revision 2 a", 0, 1},
		{"packed-and-behind", "2p b=2 a=1>b", "1 b=1; 2 b=2 a=1>b; 3 a=2>bc c=1", BehindAfterPack, "", 1, 2},
		{"packed-past-the-end", "1 a=1>b b=1; 2 b=2", "1p a=1>b; 3p b=3; 4 b=4", BehindAfterPack, "", 2, 1},
		{"packed-past-a-fork", "1 a=1>b b=1; 2 b=2", "1p a=1>b b=1; 3p c=3; 4 c=4", Diverged, "+3, +4, revision 2 b", 0, 1},
		{"packed-twice", "1p a=1>bc; 4p b=4; 5p c=5; 6 b=6", "1p a=1>bc; 2p c=2; 4p b=4; 5 c=5; 6 b=6", EqualAfterPack, "", 0, 6},
		{"both-lack", "1p a=1>bc; 3p b=3 c=3; 5 a=5>bc", "1p a=1>bc c=1; 3p b=3 c=3; 4p d=1; 5 a=5>bc", EqualAfterPack, "", 0, 5},
		{"fork-behind-the-pack", "1p a=1>b; 2p b=2; 3 b=3", "1 a=1>b b=1; 2 b=2; 4 b=4", Diverged, "+3, +4", 0, 2},
		{"gap-without-a-mark", "1p a=1>b b=1; 2 b=2; 4 b=4", "1 a=1>b b=1; 2 b=2; 3 c=3; 4 b=4", Diverged, "+3", 0, 2},
		{"gap-behind-the-mark", "1p a=1>b b=1; 4 b=4", "1 a=1>b b=1; 3 c=3; 4 b=4", EqualAfterPack, "", 0, 4},
		{"last-was-garbage", "1p a=1>b b=1", "1 a=1>b b=1; 2 c=1", EqualAfterPack, "", 0, 1},
		{"last-was-none", "1p a=1>b b=1", "1 a=1>b b=1; 2 b=2", BehindAfterPack, "", 1, 1},
		{"from-a-packed-source", "1 a=1>b b=1; 3p b=3; 4 b=4", "1 a=1>b b=1; 2 b=2; 3 b=3; 4 b=4", EqualAfterPack, "", 0, 4},
		{"garbage-from-a-packed-source", "1 a=1>b b=1>c c=1; 3p a=3; 4 a=4", "1 a=1>b b=1>c c=1; 2 b=2>c c=2; 3 a=3; 4 a=4", EqualAfterPack, "", 0, 4},
		{"deleted", "1p a=1; 4 a=4", "1 a=1 b=1; 2 b=-; 3 b=1^-; 4 a=4", EqualAfterPack, "", 0, 4},
		{"deletion-missing", "1p a=1>b b=1; 3p c=3; 4 a=4>b", "1 a=1>b b=1; 2 b=-; 3 c=3; 4 a=4>b", Diverged, "revision 2 b", 0, 1},
		{"collected-and-brought-back", "1p c=1; 4p a=2; 5 a=1^5>b", "1 a=1>b b=1 c=1; 4 a=2; 5 a=1^5>b", Diverged, "lost-object 1 b", 0, 0},
		{"kept-for-an-undo", "1p a=1>b b=1; 3p a=3; 4 a=1>b b=1^1", "1 a=1>b b=1; 2 b=2; 3 a=3; 4 a=1>b b=1^1", EqualAfterPack, "", 0, 4},
		{"packed-changed-data", "2p b=2; 3p a=2>bc; 4p c=X", abc, Diverged, "data 4 c", 0, 3},
		{"packed-has-more", "2p b=2; 3p a=2>bc d=1; 4p c=2", abc, Diverged, "record 3 d", 0, 2},
		{"packed-kept-the-first-of-two", "1p a=1", "1 a=1 a=2", Diverged, "data 1 a", 0, 0},
		{"packed-kept-the-last-of-two", "1p a=2", "1 a=1 a=2", EqualAfterPack, "", 0, 1},
		{"packed-kept-the-same-of-two", "1p a=1 b=1", "1 a=1 b=1 a=1", EqualAfterPack, "", 0, 1},
		{"no-root", "1p b=1; 3p c=3; 4 c=4", "1 b=1; 2 d=2; 3 c=3; 4 c=4", Diverged, "revision 2 d", 0, 1},
		{"empty-transaction-packed-away", "1p a=1; 3 a=3", "1 a=1; 2; 3 a=3", EqualAfterPack, "", 0, 3},
		{"empty-transactions", "1; 2; 3", "1; 2; 3", Equal, "", 0, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := pair(t, tt.a, tt.b)
			for _, order := range []struct {
				name string
				a, b *Source
				want Relation
			}{{"as-is", a, b, tt.want}, {"exchanged", b, a, tt.want.mirrored()}} {
				c := compare(t, order.a, order.b, CompareOptions{})
				got := findings(c)
				if order.want == Equal && c.Records != c.Sides[0].Records {
					t.Errorf("%s: %d records in common of %d", order.name, c.Records, c.Sides[0].Records)
				}
				if c.Relation != order.want || got != tt.differences || c.Apart != tt.apart || c.LastCommon != tidOf(tt.common) {
					t.Errorf("%s: Compare() = %s with %q, apart %d, last common %d\nwant %s with %q, apart %d, last common %d",
						order.name, c.Relation, got, c.Apart, c.LastCommon>>32, order.want, tt.differences, tt.apart, tt.common)
				}
			}
		})
	}
}
