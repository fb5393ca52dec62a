package database

import (
	"errors"
	"fmt"

	"tapstack/lib/reachability"
)

// Rules are what decides whether a task may connect to an endpoint's servers. All of it is asked for at each connection.
type Rules struct {
	// Network is the VPC at the moment.
	Network func() (*reachability.Network, error)
	// Task is the network interface of a task, by its id.
	Task func(id string) (reachability.Interface, error)
	// Servers are the network interfaces of the instances that the endpoint may lead to.
	Servers func() ([]reachability.Interface, error)
	// Port is the one that the API tells for the endpoint.
	Port int32
}

// Permit is a Front's: a task may connect if the rules let it reach every server of the endpoint.
func (r Rules) Permit(p Peer) error {
	network, err1 := r.Network()
	task, err2 := r.Task(p.Task)
	servers, err3 := r.Servers()
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	if len(servers) == 0 {
		return errors.New("the database has no network interface")
	}
	for _, server := range servers {
		if err := network.MayConnect(task, server, r.Port); err != nil {
			return fmt.Errorf("task %s may not reach the database: %w", p.Task, err)
		}
	}
	return nil
}
