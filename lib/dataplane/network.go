package dataplane

import (
	"context"
	"fmt"
	"net"
	"strconv"
)

// NetworkOf reaches what a plane runs by the names and ports that the API tells, as the plane's status says where that is.
func NetworkOf(status func(context.Context) (Status, error)) Network { return named{status} }

type named struct {
	status func(context.Context) (Status, error)
}

// DialContext connects to the load balancer by its name and a listener's port, and to anything else as this machine does.
func (n named) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", address, err)
	}
	status, err := n.status(ctx)
	if err != nil {
		return nil, err
	}
	if balancer := status.LoadBalancer; balancer != nil && host == balancer.DNSName {
		number, _ := strconv.ParseInt(port, 10, 32)
		if address = balancer.Addresses[int32(number)]; address == "" {
			return nil, fmt.Errorf("connecting to %s: the load balancer has no listener on port %s", host, port)
		}
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// LookupHost tells the address of a load balancer, and where an endpoint of the database leads at present.
func (n named) LookupHost(ctx context.Context, host string) ([]string, error) {
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
