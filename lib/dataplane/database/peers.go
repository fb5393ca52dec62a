package database

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// ErrGone says that a connection was over before its other end was found, as one of a process that was killed.
var ErrGone = errors.New("the connection is gone before it was looked at")

// Peer is who has made a connection.
type Peer struct {
	// Task is the task's id, empty where the process is none of a task's.
	Task string
	// PID is the process that has the connection, 0 where none was found.
	PID int
	// Address is where it comes from.
	Address netip.AddrPort
}

// Peers finds the tasks that connections come from. Several fronts may share it.
type Peers struct {
	// tasks are the processes that tasks were started as, by process id, with the tasks' ids.
	tasks func() map[int]string

	mu    sync.Mutex
	taken time.Time // when seen was begun
	seen  sockets
}

// NewPeers takes the processes of the tasks that run at a moment: a process id for each container, with the id of its task. A
// process that one of them has started is its task's as well, as long as its parent lives or it stays in the process's group
// or session.
func NewPeers(tasks func() map[int]string) *Peers { return &Peers{tasks: tasks} }

// Of tells whom a connection that was accepted on this machine comes from. It is an error where that is no task.
func (p *Peers) Of(c net.Conn) (Peer, error) {
	from, err1 := netip.ParseAddrPort(c.RemoteAddr().String())
	to, err2 := netip.ParseAddrPort(c.LocalAddr().String())
	if err := errors.Join(err1, err2); err != nil {
		return Peer{}, fmt.Errorf("a connection with the addresses %s and %s: %w", c.RemoteAddr(), c.LocalAddr(), err)
	}
	peer := Peer{Address: from}
	found, err := p.look(connection{unmapped(from), unmapped(to)})
	peer.PID, peer.Task = found.pid, found.task
	return peer, err
}

// connection is one as the side that made it has it.
type connection struct{ local, remote netip.AddrPort }

// owner is the process that has a socket, with the task that it belongs to.
type owner struct {
	pid  int
	task string
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }
