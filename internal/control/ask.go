package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"

	"zrs/internal/wire"
)

// Ask asks the server at the other end of a connection to its replication port for
// its state: anybody who may replicate may. The connection has to have a deadline.
// The error is [io.EOF] if the server hung up without an answer.
func Ask(conn net.Conn) (*Status, error) {
	if _, err := conn.Write(wire.AppendFrame(nil, []byte(wire.ProtocolStatus))); err != nil {
		return nil, err
	}
	var head [wire.FrameHeaderSize]byte
	if _, err := io.ReadFull(conn, head[:]); err != nil {
		return nil, err
	}
	n, err := wire.FrameSize(head[:], maxAnswer)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer // grows as bytes arrive
	if _, err := io.CopyN(&b, conn, int64(n)); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	s := &Status{}
	if err := json.Unmarshal(b.Bytes(), s); err != nil {
		return nil, fmt.Errorf("its answer is not understood: %w", err)
	}
	return s, nil
}
