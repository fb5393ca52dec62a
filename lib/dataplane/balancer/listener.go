package balancer

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// Limits of an Application Load Balancer: https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-limits.html
const (
	maxLine     = 16 << 10 // of the request line, and of a header
	maxHeaders  = 64 << 10
	maxStreams  = 128 // HTTP/2 streams of a connection
	maxForwards = 30  // addresses in X-Forwarded-For
)

// shared is what listeners have in common.
type shared struct {
	attributes
	firewall  *firewall
	arn, name string
}

// site is what a listener serves.
type site struct {
	*shared
	port     int32
	protocol elbtypes.ProtocolEnum
	tls      *tls.Config // nil for HTTP
	rules    []rule
}

func readListener(told Listener, shared *shared) (*site, error) {
	s := &site{shared: shared, port: aws.ToInt32(told.Port), protocol: told.Protocol}
	rules, err := readRules(told)
	s.rules = rules
	switch {
	case err != nil:
	case s.protocol == elbtypes.ProtocolEnumHttps:
		s.tls, err = serverTLS(told, shared.http2)
	case s.protocol != elbtypes.ProtocolEnumHttp:
		err = fmt.Errorf("protocol %s is not supported", s.protocol)
	}
	if err != nil {
		return nil, fmt.Errorf("listener on port %d: %w", s.port, err)
	}
	return s, nil
}

// listener is an open port. Its server changes when a time-out does: a new one takes the next connections, and former ones
// serve those that they have.
type listener struct {
	b    *Balancer
	real net.Listener
	site atomic.Pointer[site]

	mu     sync.Mutex
	server *server
	former []*server
}

// server is an HTTP server that is handed its connections.
type server struct {
	http.Server
	idle   time.Duration
	secure bool
	conns  chan net.Conn
	done   chan struct{}
	once   sync.Once
}

// Accept, Close and Addr make a server its own listener.
func (s *server) Accept() (net.Conn, error) {
	select {
	case conn := <-s.conns:
		return conn, nil
	case <-s.done:
		return nil, net.ErrClosed
	}
}

func (s *server) Close() error {
	s.once.Do(func() { close(s.done) })
	return nil
}

func (*server) Addr() net.Addr { return &net.TCPAddr{} }

func (b *Balancer) listen(port int32, first *site) (*listener, error) {
	address := net.JoinHostPort(b.options.Address, strconv.Itoa(int(LocalPort(port))))
	var config net.ListenConfig
	real, err := config.Listen(b.ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listener on port %d: %w", port, err)
	}
	l := &listener{b: b, real: real}
	l.serve(first)
	b.work.Go(l.accept)
	return l, nil
}

// accept hands connections to the server of the moment until the port is closed.
func (l *listener) accept() {
	for {
		conn, err := l.real.Accept()
		if err != nil {
			if l.b.ctx.Err() != nil || !temporary(err) {
				return
			}
			time.Sleep(10 * time.Millisecond) // out of file descriptors: give some back first
			continue
		}
		client := &clientConn{Conn: conn, since: time.Now(), trace: connectionTrace()}
		for handed := false; !handed; {
			l.mu.Lock()
			server := l.server
			l.mu.Unlock()
			if server == nil {
				_ = conn.Close()
				break
			}
			select {
			case server.conns <- client:
				handed = true
			case <-server.done:
			}
		}
	}
}

func temporary(err error) bool {
	var timeout interface{ Temporary() bool }
	return errors.As(err, &timeout) && timeout.Temporary()
}

// serve changes what is served.
func (l *listener) serve(next *site) {
	l.site.Store(next)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.server != nil && l.server.idle == next.idle && l.server.secure == (next.tls != nil) {
		return
	}
	if l.server != nil {
		_ = l.server.Close()
		l.former = append(l.former, l.server)
	}
	s := &server{idle: next.idle, secure: next.tls != nil, conns: make(chan net.Conn), done: make(chan struct{})}
	s.Server = http.Server{
		Handler:           l,
		IdleTimeout:       next.idle,
		ReadHeaderTimeout: next.idle,
		MaxHeaderBytes:    2 * maxHeaders, // more is refused in words of the load balancer's own
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ErrorLog:          log.New(io.Discard, "", 0),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, clientKey{}, client(conn))
		},
		ConnState: l.b.metrics.connection,
	}
	run := func() error { return s.Serve(s) }
	if next.tls != nil {
		// Certificates, policy and protocols are the listener's of the moment, the keys of session tickets the server's.
		s.TLSConfig = &tls.Config{
			NextProtos:         []string{"h2", "http/1.1"},
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return l.site.Load().tls, nil },
			GetCertificate:     next.tls.GetCertificate,
		}
		run = func() error { return s.ServeTLS(s, "", "") }
	}
	l.server = s
	l.b.work.Go(func() { _ = run() })
}

// close stops listening; requests in flight go on until the load balancer closes.
func (l *listener) close() {
	_ = l.real.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range append(l.former, l.server) {
		l.b.work.Go(func() {
			_ = s.Close()
			if s.Shutdown(l.b.ctx) != nil {
				_ = s.Server.Close()
			}
		})
	}
	l.server, l.former = nil, nil
}

// clientConn is a client's connection with what access logs tell of it.
type clientConn struct {
	net.Conn
	since               time.Time
	trace               string
	certificate, domain string // set during the handshake
}

type clientKey struct{}

// client is the connection below TLS.
func client(conn net.Conn) *clientConn {
	if secure, is := conn.(*tls.Conn); is {
		conn = secure.NetConn()
	}
	c, _ := conn.(*clientConn)
	return c
}

func connectionTrace() string {
	var id [16]byte
	_, _ = rand.Read(id[:])
	return "TID_" + hex.EncodeToString(id[:])
}
