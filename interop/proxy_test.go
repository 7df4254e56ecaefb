package interop

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// A proxy passes connections on to an address on the loopback interface, and
// mistreats them: what the network between primary and secondary may do.
type proxy struct {
	listener net.Listener

	mu      sync.Mutex
	target  string
	faults  faults
	changed chan struct{} // closed and replaced when faults change
	conns   map[net.Conn]struct{}
	passed  int64 // bytes from target, over all connections
	accepts int
	closed  bool
}

// faults are what a proxy does to connections. Only bytes from the target to
// the one who connected are affected: transactions.
type faults struct {
	cutAfter int64         // cut a connection after so many bytes, 0: never
	stall    bool          // let nothing through, and keep connections open
	refuse   bool          // accept new connections and close them at once
	latency  time.Duration // delay of every byte; costs no throughput
}

// startProxy starts a proxy that at first does nothing but pass bytes on.
func startProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{target: target, listener: l, changed: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	var wg sync.WaitGroup
	wg.Go(func() { p.serve(&wg) })
	t.Cleanup(func() {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		l.Close()
		p.set(faults{})
		p.cut()
		wg.Wait()
	})
	return p
}

// address is where to connect.
func (p *proxy) address() string { return p.listener.Addr().String() }

// set changes what is done to connections, present ones included.
func (p *proxy) set(f faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = f
	close(p.changed)
	p.changed = make(chan struct{})
}

// redirect passes new connections on to another address.
func (p *proxy) redirect(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// cut closes all present connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

// traffic returns how many connections there were, and how many bytes came from
// the target.
func (p *proxy) traffic() (connections int, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepts, p.passed
}

func (p *proxy) serve(wg *sync.WaitGroup) {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		p.accepts++
		refuse, target := p.faults.refuse, p.target
		p.mu.Unlock()
		if refuse {
			client.Close()
			continue
		}
		server, err := net.Dial("tcp", target)
		if err != nil {
			client.Close()
			continue
		}
		if !p.keep(client, server) {
			return
		}
		wg.Go(func() {
			io.Copy(server, client)
			server.(*net.TCPConn).CloseWrite()
		})
		wg.Go(func() {
			p.deliver(client, server, wg)
			client.Close()
			server.Close()
			p.forget(client, server)
		})
	}
}

func (p *proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		if p.closed {
			c.Close()
			continue
		}
		p.conns[c] = struct{}{}
	}
	return !p.closed
}

func (p *proxy) forget(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		delete(p.conns, c)
	}
}

// A parcel is bytes on their way, and when they arrived here.
type parcel struct {
	bytes []byte
	at    time.Time
}

// deliver passes bytes from the server to the client under the faults that are
// in force when each parcel leaves.
func (p *proxy) deliver(client, server net.Conn, wg *sync.WaitGroup) {
	parcels := make(chan parcel, 64)
	wg.Go(func() {
		defer close(parcels)
		for {
			b := make([]byte, 32<<10)
			n, err := server.Read(b)
			if n > 0 {
				parcels <- parcel{b[:n], time.Now()}
			}
			if err != nil {
				return
			}
		}
	})
	defer func() {
		server.Close()
		for range parcels { // let the reader go
		}
	}()

	var passed int64
	for parcel := range parcels {
		f := p.unstalled()
		time.Sleep(time.Until(parcel.at.Add(f.latency)))
		cut := f.cutAfter > 0 && passed+int64(len(parcel.bytes)) >= f.cutAfter
		if cut {
			parcel.bytes = parcel.bytes[:max(0, f.cutAfter-passed)]
		}
		n, err := client.Write(parcel.bytes)
		passed += int64(n)
		p.mu.Lock()
		p.passed += int64(n)
		p.mu.Unlock()
		if err != nil || cut {
			return
		}
	}
}

// unstalled returns the faults in force, as soon as they are not to stall.
func (p *proxy) unstalled() faults {
	for {
		p.mu.Lock()
		f, changed := p.faults, p.changed
		p.mu.Unlock()
		if !f.stall {
			return f
		}
		<-changed
	}
}
