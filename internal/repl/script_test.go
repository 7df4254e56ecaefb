package repl

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"zrs/internal/fs"
	"zrs/internal/wire"
)

// A step is something that a scripted peer does on its end of a connection.
type step func(net.Conn) error

// send sends bytes as they are.
func send(b []byte) step {
	return func(c net.Conn) error {
		_, err := c.Write(b)
		return err
	}
}

// sendSlowly sends bytes one at a time.
func sendSlowly(b []byte) step {
	return func(c net.Conn) error {
		for i := range b {
			if _, err := c.Write(b[i : i+1]); err != nil {
				return err
			}
		}
		return nil
	}
}

// expect reads as many bytes as want has, and fails if they are others.
func expect(want []byte) step {
	return func(c net.Conn) error {
		got := make([]byte, len(want))
		if n, err := io.ReadFull(c, got); err != nil {
			return &unexpectedError{got[:n], want, err}
		}
		if !bytes.Equal(got, want) {
			return &unexpectedError{got, want, nil}
		}
		return nil
	}
}

type unexpectedError struct {
	got, want []byte
	err       error
}

func (e *unexpectedError) Error() string {
	return "the peer sent " + quote(e.got) + ", want " + quote(e.want)
}

func (e *unexpectedError) Unwrap() error { return e.err }

func quote(b []byte) string {
	if len(b) > 64 {
		return string(b[:64]) + "..."
	}
	return string(b)
}

// skipHandshake reads what a secondary starts with, whatever it asks for.
func skipHandshake(c net.Conn) error {
	_, err := io.ReadFull(c, make([]byte, len(wire.AppendHandshake(nil, wire.Protocol20, 0))))
	return err
}

// hangUp ends what the peer sends, and reads what there is until the other end
// hangs up too.
func hangUp(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		if err := half.CloseWrite(); err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, c)
	}
	return c.Close()
}

// waitForFinish reads keep-alives, until the secondary asks for the end.
func waitForFinish(c net.Conn) error {
	for {
		head := make([]byte, wire.FrameHeaderSize)
		if _, err := io.ReadFull(c, head); err != nil {
			return err
		}
		if n := binary.BigEndian.Uint32(head); n > 0 {
			_, err := io.CopyN(io.Discard, c, int64(n))
			return err
		}
	}
}

// listen reads until the other end hangs up.
func listen(c net.Conn) error {
	_, err := io.Copy(io.Discard, c)
	return err
}

// playTo runs a script on a connection, and closes it.
func playTo(c net.Conn, script ...step) error {
	defer c.Close()
	for _, s := range script {
		if err := s(c); err != nil {
			return err
		}
	}
	return nil
}

// A scriptedSource is a primary that plays one script after the other, each on a
// connection of its own, and the last of them again and again.
type scriptedSource struct {
	Source
	mu      sync.Mutex
	scripts [][]step
	played  int
	errs    []error
	peers   sync.WaitGroup
}

// newScripted returns a source that speaks as zc.zrs does, with pipes made by
// pipe.
func newScripted(t testing.TB, pipe func() (net.Conn, net.Conn, error), scripts ...[]step) *scriptedSource {
	s := &scriptedSource{scripts: scripts}
	s.Source = Source{Name: "script", Protocol: ProtocolPlain, Dial: func(context.Context) (net.Conn, error) {
		ours, theirs, err := pipe()
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		script := s.scripts[min(s.played, len(s.scripts)-1)]
		s.played++
		s.mu.Unlock()
		s.peers.Go(func() {
			err := playTo(theirs, script...)
			s.mu.Lock()
			s.errs = append(s.errs, err)
			s.mu.Unlock()
		})
		return ours, nil
	}}
	t.Cleanup(s.peers.Wait)
	return s
}

// sockets makes a connection of the system.
func sockets() (net.Conn, net.Conn, error) { return socketPair() }

// pipes makes a connection that works in a bubble of synctest.
func pipes() (net.Conn, net.Conn, error) {
	a, b := net.Pipe()
	return a, b, nil
}

// err returns what went wrong with the scripts that were played.
func (s *scriptedSource) err() error {
	s.peers.Wait()
	return errors.Join(s.errs...)
}

// A stream is what a primary sends, as a test makes it up.
type stream struct {
	b      []byte
	digest *wire.Digest
}

// newStream returns the stream of a connection that asked for what comes after
// start.
func newStream(start fs.TID) *stream { return &stream{digest: wire.NewDigest(wire.Protocol21, start)} }

// newStream1 is newStream of a connection of zrs+1, behind the welcome.
func newStream1(welcome *wire.Welcome, start fs.TID) *stream {
	return &stream{b: welcome.AppendFrame(nil), digest: wire.NewDigest(wire.ProtocolZRS1, start)}
}

// raw adds a frame.
func (s *stream) raw(payload []byte) *stream {
	s.b = wire.AppendFrame(s.b, payload)
	s.digest.Add(payload)
	return s
}

func (s *stream) message(m wire.Message) *stream { return s.raw(m.AppendTo(nil)) }

// begin adds a T message.
func (s *stream) begin(tid fs.TID) *stream {
	return s.message(&wire.Begin{TID: tid, Status: ' '})
}

// store adds an S message and its data.
func (s *stream) store(oid fs.OID, tid fs.TID, data string) *stream {
	return s.message(&wire.Store{OID: oid, TID: tid}).raw([]byte(data))
}

// blob adds a B message, its data and the blocks.
func (s *stream) blob(oid fs.OID, tid fs.TID, count int64, blocks ...string) *stream {
	s.message(&wire.Blob{Store: wire.Store{OID: oid, TID: tid}, Blocks: count}).raw([]byte(blobData))
	for _, b := range blocks {
		s.raw([]byte(b))
	}
	return s
}

// commit adds a C message.
func (s *stream) commit() *stream { return s.message(&wire.Commit{Digest: s.digest.Sum()}) }

// txns adds whole transactions.
func (s *stream) txns(txns ...txn) *stream {
	for _, x := range txns {
		s.message(&wire.Begin{
			TID: x.tid, Status: byte(x.status),
			User: []byte(x.user), Description: []byte(x.desc), Extension: []byte(x.extension),
		})
		for _, r := range x.recs {
			if r.hasBlob {
				s.blob(r.oid, x.tid, 1, r.blob)
			} else {
				s.store(r.oid, x.tid, r.data)
			}
		}
		s.commit()
	}
	return s
}

// parseStream returns what is in a stream, in words; blobs as a whole.
func parseStream(t testing.TB, start fs.TID, b []byte) (lines []string, err error) {
	t.Helper()
	r := newReceiver(bytes.NewReader(b), wire.Protocol21, start)
	var steps sync.WaitGroup
	defer steps.Wait()
	steps.Go(func() { r.run(t.Context()) })
	for b := range r.verified {
		for i := range b.events {
			lines = appendEvent(lines, &b.events[i])
		}
		if b.err != nil {
			return lines, b.err
		}
		r.recycle(b)
	}
	return lines, nil
}

func appendEvent(lines []string, e *event) []string {
	switch e.kind {
	case eventBegin:
		return append(lines, "T "+e.begin.TID.String()+" "+string(e.begin.Status)+
			" user "+string(e.begin.User)+" description "+string(e.begin.Description), "extension "+string(e.begin.Extension))
	case eventRecord:
		kind := "S "
		if e.blob {
			kind = "B "
		}
		lines = append(lines, kind+e.record.OID.String()+" "+e.record.TID.String()+" "+e.record.DataTxn.String(), "data "+string(e.data))
		if e.blob {
			lines = append(lines, "blob ")
		}
		return lines
	case eventBlock:
		lines = slices.Clone(lines)
		lines[len(lines)-1] += string(e.data)
		return lines
	}
	return append(lines, "C")
}
