package bench

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
)

// Relay is the kind of an end that does what two processes can't do without: one
// is woken when a data file changes, syncs it and sends the transaction over
// the loopback interface, the other appends it, syncs that, and finishes it.
// There is no protocol, and either process has but one thread.
const Relay = "relay"

// RelayArg tells a [Bench.Opener] to run [RelayMain] with its other arguments.
const RelayArg = "relay-data-file"

// relayFD is where a relay's process has its socket.
const relayFD = 3

// startRelay starts both processes.
func (b *Bench) startRelay(ctx context.Context, from, to string) (stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	here, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil, err
	}
	defer here.Close()
	there, err := l.Accept()
	if err != nil {
		return nil, err
	}
	defer there.Close()

	var started []*exec.Cmd
	stop = func() {
		for _, cmd := range started {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	for _, end := range []struct {
		role, path string
		conn       net.Conn
	}{{"primary", from, here}, {"secondary", to, there}} {
		socket, err := end.conn.(*net.TCPConn).File()
		if err != nil {
			stop()
			return nil, err
		}
		cmd := exec.CommandContext(ctx, b.Opener, RelayArg, end.role, end.path)
		cmd.ExtraFiles, cmd.Stderr = []*os.File{socket}, os.Stderr
		err = cmd.Start()
		socket.Close()
		if err != nil {
			stop()
			return nil, err
		}
		started = append(started, cmd)
	}
	return stop, nil
}

// RelayMain is one end of a relay, until it is killed or the other end is.
func RelayMain(role, path string) error {
	runtime.LockOSThread()
	socket, err := blockingSocket(relayFD)
	if err != nil {
		return err
	}
	switch role {
	case "primary":
		return relayFrom(path, socket)
	case "secondary":
		return relayTo(path, socket)
	}
	return fmt.Errorf("relay: there is no role %q", role)
}

func relayFrom(path string, socket io.Writer) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	wait, err := fileEvents(path)
	if err != nil {
		return err
	}
	for pos := int64(len(magic)); ; {
		txn, err := syncedTxn(f, pos)
		if err == nil && txn == nil {
			err = wait()
		}
		if err == nil {
			_, err = socket.Write(txn)
		}
		if err != nil {
			return err
		}
		pos += int64(len(txn))
	}
}

func relayTo(path string, socket io.Reader) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	for pos := int64(len(magic)); ; {
		var head [txnHeaderSize]byte
		if _, err := io.ReadFull(socket, head[:]); err != nil {
			return err
		}
		txn := make([]byte, sizeOf(head[:]))
		n := copy(txn, head[:])
		if _, err := io.ReadFull(socket, txn[n:]); err != nil {
			return err
		}
		if err := finishTxn(f, pos, txn); err != nil {
			return err
		}
		pos += int64(len(txn))
	}
}
