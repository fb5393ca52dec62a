package dataplane

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
)

// NetworkOf reaches what a plane runs by the names and ports that the API tells, as the plane's status says where that is. Where
// a load balancer listens is remembered, and asked again once nobody answers there.
func NetworkOf(status func(context.Context) (Status, error)) Network { return &named{status: status} }

type named struct {
	status func(context.Context) (Status, error)

	mu        sync.Mutex
	listeners map[string]string // where the load balancer listens, by its name and port
}

// DialContext connects to the load balancer by its name and a listener's port, and to anything else as this machine does.
func (n *named) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	n.mu.Lock()
	known := n.listeners[address]
	n.mu.Unlock()
	if known != "" {
		connection, err := (&net.Dialer{}).DialContext(ctx, network, known)
		if err == nil || ctx.Err() != nil {
			return connection, err
		}
	}
	leads, err := n.ask(ctx, address, known)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", address, err)
	}
	return (&net.Dialer{}).DialContext(ctx, network, leads)
}

// ask asks where an address leads, unless somebody else has asked since it led to where it is known to lead.
func (n *named) ask(ctx context.Context, address, known string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if now := n.listeners[address]; now != "" && now != known {
		return now, nil
	}
	status, err := n.status(ctx)
	if err != nil {
		return "", err
	}
	balancer := status.LoadBalancer
	if balancer == nil || balancer.DNSName != host {
		return address, nil
	}
	n.listeners = map[string]string{}
	for port, at := range balancer.Addresses {
		n.listeners[net.JoinHostPort(host, strconv.Itoa(int(port)))] = at
	}
	if n.listeners[address] == "" {
		return "", fmt.Errorf("the load balancer has no listener on port %s", port)
	}
	return n.listeners[address], nil
}

// LookupHost tells the address of a load balancer, and where an endpoint of the database leads at present.
func (n *named) LookupHost(ctx context.Context, host string) ([]string, error) {
	status, err := n.status(ctx)
	if err != nil {
		return nil, err
	}
	if balancer := status.LoadBalancer; balancer != nil && host == balancer.DNSName {
		for _, address := range balancer.Addresses {
			at, _, err := net.SplitHostPort(address)
			return []string{at}, err
		}
	}
	if database := status.Database; database != nil && database.Leads[host] != "" {
		return []string{database.Leads[host]}, nil
	}
	return net.DefaultResolver.LookupHost(ctx, host)
}
