package dataplane

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// metadata is what a task finds on AWS at 169.254.170.2: credentials, the task's metadata (version 4 of the endpoint) and its
// protection. Here it is on loopback, and each task has a path of its own that nobody can guess.
type metadata struct {
	plane  *Plane
	server *http.Server
	root   string
}

// credentialsLast is how long the credentials of a task are good, for those that do not say themselves.
const credentialsLast = 6 * time.Hour

func serveMetadata(p *Plane) (*metadata, error) {
	// SDKs take plain HTTP from this address alone (some of the rest of 127.0.0.0/8 too, but not all).
	listener, err := net.Listen("tcp4", "127.0.0.1:0") //nolint:noctx // it is not waited for
	if err != nil {
		return nil, err
	}
	m := &metadata{plane: p, root: "http://" + listener.Addr().String()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{secret}/credentials", m.of(m.credentials))
	mux.HandleFunc("GET /{secret}/v4/{container}", m.of(m.container))
	mux.HandleFunc("GET /{secret}/v4/{container}/task", m.of(m.task))
	mux.HandleFunc("GET /{secret}/agent/task-protection/v1/state", m.of(m.protection))
	mux.HandleFunc("PUT /{secret}/agent/task-protection/v1/state", m.of(m.protect))
	m.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = m.server.Serve(listener) }()
	return m, nil
}

func (m *metadata) close() error { return m.server.Close() }

// newSecret is a path that nobody can guess.
func newSecret() string { return strings.ToLower(rand.Text()) }

func (m *metadata) url(t *task) string { return m.root + "/" + t.secret }

// of answers with JSON for the task whose secret the path has.
func (m *metadata) of(answer func(*http.Request, *task) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var found *task
		m.plane.mu.Lock()
		for _, t := range m.plane.tasks {
			if t.secret == r.PathValue("secret") && t.status != statusStopped {
				found = t
			}
		}
		m.plane.mu.Unlock()
		if found == nil {
			http.NotFound(w, r)
			return
		}
		body, err := answer(r, found)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(body)
	}
}

// credentials are those of the API that the plane itself uses: an emulator takes any.
func (m *metadata) credentials(r *http.Request, t *task) (any, error) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	found, err := m.plane.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return nil, err
	}
	expires := found.Expires
	if !found.CanExpire {
		expires = time.Now().Add(credentialsLast)
	}
	return map[string]string{
		"RoleArn": aws.ToString(t.definition.TaskRoleArn), "AccessKeyId": found.AccessKeyID, "SecretAccessKey": found.SecretAccessKey,
		"Token": found.SessionToken, "Expiration": expires.UTC().Format(time.RFC3339),
	}, nil
}

func (m *metadata) container(r *http.Request, t *task) (any, error) {
	m.plane.mu.Lock()
	defer m.plane.mu.Unlock()
	for _, c := range m.containers(t) {
		if c["Name"] == r.PathValue("container") {
			return c, nil
		}
	}
	return nil, errNoContainer
}

func (m *metadata) task(_ *http.Request, t *task) (any, error) {
	m.plane.mu.Lock()
	defer m.plane.mu.Unlock()
	return map[string]any{
		"Cluster": m.plane.clusterARN(), "TaskARN": t.arn, "Family": aws.ToString(t.definition.Family), "Revision": itoa(t.definition.Revision),
		"DesiredStatus": t.desired(), "KnownStatus": t.status, "AvailabilityZone": t.zone, "LaunchType": "FARGATE",
		"ServiceName": last(t.service), "Containers": m.containers(t),
	}, nil
}

func (m *metadata) containers(t *task) []map[string]any {
	var all []map[string]any
	for _, r := range t.runners {
		all = append(all, map[string]any{
			"DockerId": r.id, "Name": aws.ToString(r.definition.Name), "DockerName": aws.ToString(r.definition.Name),
			"Image": aws.ToString(r.definition.Image), "ContainerARN": r.arn, "DesiredStatus": t.desired(), "KnownStatus": t.status,
			"Labels": map[string]string{
				"com.amazonaws.ecs.cluster": m.plane.clusterARN(), "com.amazonaws.ecs.container-name": aws.ToString(r.definition.Name),
				"com.amazonaws.ecs.task-arn": t.arn, "com.amazonaws.ecs.task-definition-family": aws.ToString(t.definition.Family),
				"com.amazonaws.ecs.task-definition-version": itoa(t.definition.Revision),
			},
			"Networks": []map[string]any{{"NetworkMode": "awsvpc", "IPv4Addresses": []string{t.private.String()}}},
		})
	}
	return all
}

// protection is a task's protection against being stopped by scaling and deployments.
func (m *metadata) protection(_ *http.Request, t *task) (any, error) {
	m.plane.mu.Lock()
	defer m.plane.mu.Unlock()
	return t.protection(), nil
}

// The bounds of a protection, in minutes (ECS developer guide, "Amazon ECS task scale-in protection endpoint").
const usualProtection, mostProtection = 120, 2880

func (m *metadata) protect(r *http.Request, t *task) (any, error) {
	var asked struct {
		ProtectionEnabled bool
		ExpiresInMinutes  int
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 4096)).Decode(&asked); err != nil {
		return nil, err
	}
	if asked.ExpiresInMinutes <= 0 {
		asked.ExpiresInMinutes = usualProtection
	}
	m.plane.mu.Lock()
	defer m.plane.mu.Unlock()
	t.protectedTill = time.Time{}
	if asked.ProtectionEnabled {
		t.protectedTill = time.Now().Add(time.Duration(min(asked.ExpiresInMinutes, mostProtection)) * time.Minute)
	}
	return t.protection(), nil
}

func (t *task) protection() any {
	protection := map[string]any{"ProtectionEnabled": t.protected(time.Now()), "TaskArn": t.arn}
	if t.protected(time.Now()) {
		protection["ExpirationDate"] = t.protectedTill.UTC().Format(time.RFC3339)
	}
	return map[string]any{"protection": protection}
}
