package pickle

// The limits of a [Decoder] and an [Encoder]. Beyond them they return
// [ErrLimit]; such a pickle may be good Python, but nobody sends it in earnest.
const (
	// MaxInput is the length of the longest pickle decoded. ZODB warns of
	// records over 16 MiB; four times that is still small for a machine.
	MaxInput = 64 << 20

	// DefaultMaxValues is how many values a pickle may make where
	// Decoder.MaxValues does not say otherwise. One costs about 100 bytes,
	// and takes a single byte of input: unlimited, 64 MiB would become 6 GiB.
	DefaultMaxValues = 1 << 20

	// MaxMarks is how many MARKs may be open at once. A pickler opens one for
	// each level of nesting, and Python's stop at about 500 levels.
	MaxMarks = 1 << 12

	// MaxLongDigits is the length of the longest decimal number read or
	// written. Python 3.11 refuses more too, and for the same reason: the
	// conversion takes time quadratic in the length.
	MaxLongDigits = 4300

	// MaxDepth is how deep a value that an Encoder writes may be nested.
	// Python's picklers recurse: they give up at 498 lists in each other in an
	// empty interpreter, and earlier inside a server. What we write for a peer
	// must be something that it can pickle again.
	MaxDepth = 400
)

// maxWork bounds the text that a pickle makes a Decoder convert (escapes,
// Latin-1, names), in multiples of the pickle's length. Nearly all text is
// converted once at most; it takes a memoised text, got over and over, to do more.
const maxWork = 4
