package dataplane

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWhereTheLoadBalancerListensIsAskedOnce counts the questions of many connections, and moves the load balancer in between.
func TestWhereTheLoadBalancerListensIsAskedOnce(t *testing.T) {
	first, second := listen(t), listen(t)
	var asked atomic.Int32
	at := first.Addr().String()
	network := NetworkOf(func(context.Context) (Status, error) {
		asked.Add(1)
		return Status{LoadBalancer: &LoadBalancerStatus{DNSName: "alb.invalid", Addresses: map[int32]string{443: at}}}, nil
	})
	connect := func() {
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				connection, err := network.DialContext(t.Context(), "tcp", "alb.invalid:443")
				if err == nil {
					err = connection.Close()
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	connect()
	require.EqualValues(t, 1, asked.Load())

	at = second.Addr().String()
	require.NoError(t, first.Close())
	connect()
	require.EqualValues(t, 2, asked.Load(), "once more, since nobody answers where it was")

	_, err := network.DialContext(t.Context(), "tcp", "alb.invalid:80")
	require.EqualError(t, err, "connecting to alb.invalid:80: the load balancer has no listener on port 80")
	connection, err := network.DialContext(t.Context(), "tcp", second.Addr().String())
	require.NoError(t, err, "what is no load balancer's is reached as usual")
	require.NoError(t, connection.Close())
}

// listen takes connections until the test ends.
func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			_ = connection.Close()
		}
	}()
	return listener
}
