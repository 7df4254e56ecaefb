package main

import (
	"fmt"
	iofs "io/fs"
	"os"
	"strings"
)

// A source is where a catch-up takes transactions from: a primary's address or
// another FileStorage's path.
type source struct {
	text string
	addr peerAddress // zero if path is set
	path string
}

// String returns the source as the operator wrote it.
func (s source) String() string { return s.text }

// findSource decides what text names:
//
//   - after zrs:// always an address;
//   - the path of a socket is an address;
//   - the path of anything else that exists is a file, and so is every other
//     text with a slash: opening it tells what is wrong;
//   - otherwise it is an address, or, if it has neither a colon nor the form of
//     a port, the name of a file that does not exist.
//
// A text that names a file and is an address too is refused rather than guessed.
func findSource(text string) (source, error) {
	var addr peerAddress
	addrErr := addr.UnmarshalText([]byte(text))
	if strings.HasPrefix(text, addressScheme) {
		return source{text: text, addr: addr}, addrErr
	}
	hasSlash := strings.Contains(text, "/")
	info, err := os.Stat(text)
	switch {
	case err == nil && info.Mode().Type() == iofs.ModeSocket:
		path := text
		if !hasSlash {
			path = "./" + text
		}
		err := addr.UnmarshalText([]byte(path))
		return source{text: text, addr: addr}, err
	case err == nil && addrErr == nil && !hasSlash:
		return source{}, advise(
			fmt.Errorf("%q is an address and also a file here", text),
			fmt.Sprintf("write %s%s for the address, ./%s for the file", addressScheme, text, text))
	case err == nil, hasSlash:
		return source{text: text, path: text}, nil
	case addrErr != nil && text != "" && !strings.Contains(text, ":") && !isDigits(text):
		return source{}, fmt.Errorf("%s: %w (as an address it would need a port, %s:PORT)", text, iofs.ErrNotExist, text)
	default:
		return source{text: text, addr: addr}, addrErr
	}
}
