// Package database is the network in front of a DB cluster: an address for each of its endpoints, which leads to whichever
// server is behind the endpoint at the moment, and which lets in whom the VPC's rules would let in. The bytes pass as they are,
// TLS included.
//
// Whom a connection comes from is told by the process that made it, which only Linux shows: see Peers.
package database

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Front is one endpoint of a DB cluster. Its fields are set before Start and left alone then.
type Front struct {
	// Listen is the endpoint's host:port.
	Listen string
	// Backend are the addresses of the servers behind it, asked for at each connection. They are tried in turn.
	Backend func() []string
	// Peers tells whom a connection comes from, Permit whether it may. Who is refused is cut off with a reset, where the rules of
	// a VPC would leave it waiting: a task that may not connect says so at once.
	Peers  *Peers
	Permit func(Peer) error
	// Refused hears of those who are not let in, with the reason. It may be nil.
	Refused func(Peer, error)

	listener net.Listener
	ctx      context.Context
	stop     context.CancelFunc
	running  sync.WaitGroup

	mu    sync.Mutex
	pairs map[*pair]struct{}
}

// dialBound bounds a connection to a server on this machine; longest is the pause after an accept that failed, when files are
// short, say.
const (
	dialBound = 5 * time.Second
	longest   = time.Second
)

// Start listens, until Close.
func (f *Front) Start(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", f.Listen)
	if err != nil {
		return err
	}
	f.listener, f.pairs = listener, map[*pair]struct{}{}
	f.ctx, f.stop = context.WithCancel(context.WithoutCancel(ctx))
	f.running.Go(f.accept)
	return nil
}

// Address is where it listens.
func (f *Front) Address() string { return f.listener.Addr().String() }

// Close stops listening and cuts what is connected.
func (f *Front) Close() error {
	f.stop()
	err := f.listener.Close()
	f.Cut()
	f.running.Wait()
	return err
}

// Cut resets all connections, as a failover does. Those that are made from then on are led to what Backend says then.
func (f *Front) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p := range f.pairs {
		p.reset()
	}
}

// Connections is how many clients are connected.
func (f *Front) Connections() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.pairs)
}

func (f *Front) accept() {
	for pause := time.Millisecond; ; {
		accepted, err := f.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			pause = min(2*pause, longest)
			select {
			case <-f.ctx.Done():
			case <-time.After(pause):
			}
			continue
		}
		pause = time.Millisecond
		client := accepted.(*net.TCPConn)
		f.running.Go(func() { f.serve(client) })
	}
}

func (f *Front) serve(client *net.TCPConn) {
	p := &pair{client: client}
	f.mu.Lock()
	f.pairs[p] = struct{}{}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.pairs, p)
		f.mu.Unlock()
		p.close()
	}()
	if f.ctx.Err() != nil {
		p.reset()
		return
	}
	peer, err := f.Peers.Of(client)
	if err == nil {
		err = f.Permit(peer)
	}
	if err != nil {
		if f.Refused != nil {
			f.Refused(peer, err)
		}
		p.reset()
		return
	}
	server, err := f.dial()
	if err != nil || !p.join(server) {
		p.reset()
		return
	}
	p.copy()
}

func (f *Front) dial() (*net.TCPConn, error) {
	var faults []error
	for _, address := range f.Backend() {
		ctx, cancel := context.WithTimeout(f.ctx, dialBound)
		server, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		cancel()
		if err == nil {
			return server.(*net.TCPConn), nil
		}
		faults = append(faults, err)
	}
	return nil, fmt.Errorf("no server behind %s: %w", f.Listen, errors.Join(faults...))
}

// pair is a client with its server.
type pair struct {
	client *net.TCPConn

	mu     sync.Mutex
	server *net.TCPConn
	over   bool
}

// join gives the client its server, unless it was reset meanwhile.
func (p *pair) join(server *net.TCPConn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		_ = server.Close()
		return false
	}
	p.server = server
	return true
}

// copy passes on what either side says until both have nothing more to say, or one is gone without a word, which the other is
// told in the same way.
func (p *pair) copy() {
	var both sync.WaitGroup
	pass := func(to, from *net.TCPConn) {
		if _, err := io.Copy(to, from); err != nil || to.CloseWrite() != nil {
			p.reset()
		}
	}
	both.Go(func() { pass(p.server, p.client) })
	pass(p.client, p.server)
	both.Wait()
}

// reset cuts both connections, whatever is still on the way.
func (p *pair) reset() {
	p.end(func(c *net.TCPConn) { _ = c.SetLinger(0) })
}

func (p *pair) close() { p.end(func(*net.TCPConn) {}) }

func (p *pair) end(before func(*net.TCPConn)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return
	}
	p.over = true
	for _, c := range []*net.TCPConn{p.client, p.server} {
		if c != nil {
			before(c)
			_ = c.Close()
		}
	}
}
