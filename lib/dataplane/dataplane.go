// Package dataplane runs what was deployed. It reads an ECS cluster, its load balancers and its database through the AWS API and
// does on this machine what AWS would do with them: a process for each task, a load balancer with the listeners' rules,
// PostgreSQL behind the database's endpoints, connections that the security groups let through and no others. What it runs it
// reports back, so that the API shows it. It knows no program: whatever is there is run.
package dataplane

import (
	"context"
	"net"

	"github.com/aws/aws-sdk-go-v2/aws"

	"tapstack/lib/dataplane/postgres"
)

// Options say what is to be run, and where the API is that tells it.
type Options struct {
	// AWS reaches the API.
	AWS aws.Config
	// Cluster is the name of the ECS cluster, Database the identifier of the DB cluster, LoadBalancer the name of the load
	// balancer. None needs to exist: the plane follows what appears and what goes. What is empty is not run.
	Cluster, Database, LoadBalancer string
	// Door is the URL of the emulator's door for a data plane, Token what opens it. Without a door nothing is reported that
	// the AWS API has no call for.
	Door, Token string
	// Run is the command of each container, by the container's name. A task that has another container does not start, and
	// its reason says so.
	Run map[string][]string
	// Environment are variables that every container gets besides, such as what SDKs need to reach the API where that takes more
	// than one endpoint.
	Environment map[string]string
	// Dir is the folder for what the plane needs on disk. What it made there is gone after Close.
	Dir string
	// Speed is how many times faster than on AWS health checks of containers, back-off and scaling go; 10 when 0.
	Speed float64
	// Notify hears what takes long and what does not work. It may be nil.
	Notify func(string)
}

// Status is what the plane runs.
type Status struct {
	// Speed is Options.Speed.
	Speed float64 `json:"speed"`
	// Services, Tasks and so on are those of the cluster; tasks that stopped are among them for a while.
	Services     []ServiceStatus     `json:"services"`
	Tasks        []TaskStatus        `json:"tasks"`
	LoadBalancer *LoadBalancerStatus `json:"loadBalancer,omitempty"`
	Database     *DatabaseStatus     `json:"database,omitempty"`
	// Problems are what the plane cannot do at present, and why.
	Problems []string `json:"problems,omitempty"`
}

// ServiceStatus is a service with its newest deployment.
type ServiceStatus struct {
	Name           string `json:"name"`
	TaskDefinition string `json:"taskDefinition"`
	// RolloutState is IN_PROGRESS, COMPLETED or FAILED.
	RolloutState string `json:"rolloutState"`
	Desired      int    `json:"desired"`
	Pending      int    `json:"pending"`
	Running      int    `json:"running"`
	// Healthy counts the running tasks that pass the container's and the target group's health checks, as far as there are any.
	Healthy int `json:"healthy"`
	// Steady says that one deployment is left, completed, with as many healthy tasks as are desired.
	Steady bool `json:"steady"`
}

// TaskStatus is a task.
type TaskStatus struct {
	ID             string `json:"id"`
	Service        string `json:"service,omitempty"`
	TaskDefinition string `json:"taskDefinition"`
	// LastStatus, HealthStatus and so on are ECS's words.
	LastStatus    string `json:"lastStatus"`
	HealthStatus  string `json:"healthStatus"`
	StoppedReason string `json:"stoppedReason,omitempty"`
	Zone          string `json:"zone"`
	// PrivateAddress is what the API tells, Host the loopback address that stands for it.
	PrivateAddress string            `json:"privateAddress"`
	Host           string            `json:"host"`
	Containers     []ContainerStatus `json:"containers"`
}

// ContainerStatus is a container, which is a process here.
type ContainerStatus struct {
	Name string `json:"name"`
	// PID is 0 of one that does not run.
	PID      int    `json:"pid,omitempty"`
	ExitCode *int   `json:"exitCode,omitempty"`
	Reason   string `json:"reason,omitempty"`
}

// LoadBalancerStatus is where a load balancer listens.
type LoadBalancerStatus struct {
	Name    string `json:"name"`
	DNSName string `json:"dnsName"`
	// Addresses are host:port on this machine, by the listener's port.
	Addresses map[int32]string `json:"addresses"`
	// StandIns are the certificates (DER) that stand for those whose private keys nobody tells.
	StandIns [][]byte `json:"standIns,omitempty"`
}

// DatabaseStatus is the DB cluster.
type DatabaseStatus struct {
	Identifier string `json:"identifier"`
	// Ready says that the writer takes connections.
	Ready  bool   `json:"ready"`
	Writer string `json:"writer"`
	// Leads are the addresses to which the endpoints lead at present, by the endpoints' names: the writer's to its instance's.
	Leads map[string]string `json:"leads,omitempty"`
	// Socket is the writer's, for the tool alone.
	Socket *postgres.Socket `json:"socket,omitempty"`
}

// Network reaches by their names what the plane runs, and everything else as usual.
type Network interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
	LookupHost(ctx context.Context, host string) ([]string, error)
}
