package dataplane

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"

	"tapstack/lib/printable"
)

// door is the way into the emulator for what the AWS API has no call for. A plane without one is as good as it can be.
type door struct {
	url, token string
	client     *http.Client
}

func newDoor(url, token string) *door {
	if url == "" {
		return nil
	}
	return &door{url, token, &http.Client{Timeout: 20 * time.Second}}
}

func (d *door) call(ctx context.Context, method, query string, body, answer any) error {
	if d == nil {
		return nil
	}
	var content io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, d.url+query, content)
	if err != nil {
		return err
	}
	request.Header.Set("X-Tapstack-Token", d.token)
	request.Header.Set("Content-Type", "application/json")
	response, err := d.client.Do(request)
	if err != nil {
		return fmt.Errorf("the emulator's door for the data plane: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	read, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err != nil {
		return fmt.Errorf("the emulator's door for the data plane: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		var told struct{ Error string }
		_ = json.Unmarshal(read, &told)
		return fmt.Errorf("the emulator's door for the data plane answers %s to %s: %s", response.Status, method, printable.Text(told.Error))
	}
	if answer == nil || len(read) == 0 {
		return nil
	}
	return json.Unmarshal(read, answer)
}

// attach tells the emulator that a plane of this process runs what the options name, or no longer. It is told so, too, by the end of
// the process.
func (d *door) attach(ctx context.Context, attached bool, runs Options) error {
	return d.call(ctx, http.MethodPut, "", map[string]any{
		"attached": attached, "cluster": runs.Cluster, "database": runs.Database, "loadBalancer": runs.LoadBalancer, "pid": os.Getpid(), "speed": runs.Speed,
	}, nil)
}

// secret asks for what the AWS API keeps to itself: a certificate's private key, a cluster's master password.
func (d *door) secret(ctx context.Context, kind, id string, answer any) error {
	return d.call(ctx, http.MethodGet, "?"+url.Values{kind: {id}}.Encode(), nil, answer)
}

// report is what is posted, in the words of the AWS API.
type report struct {
	Services     []serviceReport `json:"services,omitempty"`
	Tasks        []taskReport    `json:"tasks,omitempty"`
	RemovedTasks []string        `json:"removedTasks,omitempty"`
	TargetHealth []groupReport   `json:"targetHealth,omitempty"`
	Clusters     []clusterReport `json:"clusters,omitempty"`
	Objects      []objectReport  `json:"objects,omitempty"`
}

func (r report) empty() bool {
	return len(r.Services)+len(r.Tasks)+len(r.RemovedTasks)+len(r.TargetHealth)+len(r.Clusters) == 0
}

// objectReport is what a service of AWS delivers to a bucket.
type objectReport struct {
	Bucket  string `json:"bucket"`
	Key     string `json:"key"`
	Content []byte `json:"content"` // base64
}

type clusterReport struct {
	Identifier string `json:"dbClusterIdentifier"`
	Status     string `json:"status"`
}

type groupReport struct {
	TargetGroup string         `json:"targetGroupArn"`
	Targets     []targetReport `json:"targets"`
}

type targetReport struct {
	ID          string `json:"id"`
	Port        int32  `json:"port"`
	Zone        string `json:"availabilityZone,omitempty"`
	State       string `json:"state"`
	Reason      string `json:"reason,omitempty"`
	Description string `json:"description,omitempty"`
}

type serviceReport struct {
	Service        string             `json:"serviceArn"`
	TaskDefinition string             `json:"taskDefinition,omitempty"`
	Running        int                `json:"runningCount"`
	Pending        int                `json:"pendingCount"`
	Deployments    []deploymentReport `json:"deployments"`
	// Known are the deployments that the plane has seen: the report is older than any other.
	Known  []string      `json:"knownDeployments"`
	Events []eventReport `json:"events"`
}

type deploymentReport struct {
	ID             string `json:"id"`
	Status         string `json:"status"`
	TaskDefinition string `json:"taskDefinition"`
	Desired        int    `json:"desiredCount"`
	Pending        int    `json:"pendingCount"`
	Running        int    `json:"runningCount"`
	Failed         int    `json:"failedTasks"`
	RolloutState   string `json:"rolloutState"`
	Reason         string `json:"rolloutStateReason"`
	CreatedAt      epoch  `json:"createdAt"`
	UpdatedAt      epoch  `json:"updatedAt"`
}

type eventReport struct {
	ID        string `json:"id"`
	CreatedAt epoch  `json:"createdAt"`
	Message   string `json:"message"`
}

type taskReport struct {
	Task              string             `json:"taskArn"`
	Cluster           string             `json:"clusterArn"`
	TaskDefinition    string             `json:"taskDefinitionArn"`
	Group             string             `json:"group"`
	StartedBy         string             `json:"startedBy,omitempty"`
	LaunchType        string             `json:"launchType"`
	PlatformVersion   string             `json:"platformVersion"`
	PlatformFamily    string             `json:"platformFamily"`
	CPU               string             `json:"cpu,omitempty"`
	Memory            string             `json:"memory,omitempty"`
	LastStatus        string             `json:"lastStatus"`
	DesiredStatus     string             `json:"desiredStatus"`
	Health            string             `json:"healthStatus"`
	Connectivity      string             `json:"connectivity"`
	ConnectivityAt    epoch              `json:"connectivityAt,omitzero"`
	Zone              string             `json:"availabilityZone"`
	Attachments       []attachmentReport `json:"attachments"`
	Containers        []containerReport  `json:"containers"`
	SecurityGroups    []string           `json:"securityGroups"`
	CreatedAt         epoch              `json:"createdAt"`
	StartedAt         epoch              `json:"startedAt,omitzero"`
	StoppingAt        epoch              `json:"stoppingAt,omitzero"`
	StoppedAt         epoch              `json:"stoppedAt,omitzero"`
	ExecutionStopped  epoch              `json:"executionStoppedAt,omitzero"`
	StopCode          string             `json:"stopCode,omitempty"`
	StoppedReason     string             `json:"stoppedReason,omitempty"`
	Tags              []tagReport        `json:"tags,omitempty"`
	Version           int                `json:"version"`
	EnableExecCommand bool               `json:"enableExecuteCommand"`
}

type tagReport struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

type attachmentReport struct {
	ID      string       `json:"id"`
	Type    string       `json:"type"`
	Status  string       `json:"status"`
	Details []pairReport `json:"details"`
}

type pairReport struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type containerReport struct {
	Container  string            `json:"containerArn"`
	Task       string            `json:"taskArn"`
	Name       string            `json:"name"`
	Image      string            `json:"image"`
	RuntimeID  string            `json:"runtimeId,omitempty"`
	LastStatus string            `json:"lastStatus"`
	ExitCode   *int              `json:"exitCode,omitempty"`
	Reason     string            `json:"reason,omitempty"`
	Health     string            `json:"healthStatus"`
	Interfaces []interfaceReport `json:"networkInterfaces"`
	CPU        string            `json:"cpu,omitempty"`
}

type interfaceReport struct {
	Attachment string `json:"attachmentId"`
	Address    string `json:"privateIpv4Address"`
}

// epoch is a time as ECS tells it: seconds since 1970, with a fraction.
type epoch struct{ time.Time }

// MarshalJSON implements json.Marshaler.
func (e epoch) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%.3f", float64(e.UnixMilli())/1000), nil
}
