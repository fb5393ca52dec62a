package dataplane

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// The states of a task (ECS developer guide, "Amazon ECS task lifecycle"), as far as they are told apart here.
const (
	statusProvisioning = "PROVISIONING"
	statusPending      = "PENDING"
	statusRunning      = "RUNNING"
	statusDeactivating = "DEACTIVATING"
	statusStopping     = "STOPPING"
	statusStopped      = "STOPPED"
)

// order is how far a state is.
var order = []string{statusProvisioning, statusPending, statusRunning, statusDeactivating, statusStopping, statusStopped}

// ending is why a task stops.
type ending struct {
	code   ecstypes.TaskStopCode
	reason string
}

// task is a task that the plane runs, or has run. What changes is guarded by the plane's mutex.
type task struct {
	plane      *Plane
	id, arn    string
	definition *ecstypes.TaskDefinition
	// service and deployment are empty of a task that was run alone.
	service, deployment string
	group, startedBy    string
	overrides           *ecstypes.TaskOverride
	tags                []tagReport

	subnet, zone  string
	groups        []string // security groups
	private       netip.Addr
	host          string
	eni           string
	attachment    string
	allocated     bool // the address is of the plane's pool
	created       time.Time
	started       time.Time
	stopping      time.Time
	stopped       time.Time
	status        string
	ending        *ending
	health        ecstypes.HealthStatus
	wasHealthy    bool
	counted       bool // its end was counted by the deployment
	protectedTill time.Time
	runners       []*runner

	// targets are those that were registered for it.
	targets      []target
	targetHealth string
	targetReason string
	drainBegan   time.Time

	streams  []*logStream // its goroutine's
	stopOnce sync.Once
	stop     chan struct{} // closed when its processes are to end
	done     chan struct{} // closed when they have
	secret   string
}

// runner is a container of a task.
type runner struct {
	definition ecstypes.ContainerDefinition
	arn, id    string
	process    *container
	health     health
	exitCode   *int
	reason     string
	pid        int
}

// target is a target of a target group.
type target struct {
	group string
	port  int32
}

func (t *task) active() bool { return t.ending == nil }

// advance brings a task to a later state; p.mu is held.
func (t *task) advance(status string) {
	if slices.Index(order, status) > slices.Index(order, t.status) {
		t.status = status
	}
}

// end tells a task to end, if nothing has yet; p.mu is held. Its processes go on until release.
func (t *task) end(e ending) {
	if t.ending == nil {
		t.ending, t.stopping = &e, time.Now()
		t.advance(statusDeactivating)
	}
}

// release ends the processes.
func (t *task) release() { t.stopOnce.Do(func() { close(t.stop) }) }

// run is a task's life, in a goroutine of its own.
func (t *task) run(ctx context.Context) {
	p := t.plane
	defer close(t.done)
	folder := filepath.Join(p.dir, "tasks", t.id)
	failed := t.begin(ctx, folder)
	if failed == nil {
		t.watch(ctx, folder)
	}
	p.change(func() {
		if failed != nil {
			t.end(ending{ecstypes.TaskStopCodeTaskFailedToStart, failed.Error()})
		}
		t.advance(statusStopping)
	})
	t.finish(ctx)
	for _, stream := range t.streams {
		stream.end()
	}
	_ = removeAll(folder)
	p.change(func() {
		t.stopped = time.Now()
		t.advance(statusStopped)
	})
}

// begin starts the containers.
func (t *task) begin(ctx context.Context, folder string) error {
	p := t.plane
	p.change(func() { t.advance(statusPending) })
	p.awaitDatabase(ctx)
	variables := make([]map[string]string, len(t.runners))
	commands := make([][]string, len(t.runners))
	for i, r := range t.runners {
		name := aws.ToString(r.definition.Name)
		argv := p.options.Run[name]
		if len(argv) == 0 {
			return fmt.Errorf("CannotStartContainerError: no command of this machine is known for the container %s with the image %s", name, aws.ToString(r.definition.Image))
		}
		override := t.override(name)
		arguments := r.definition.Command
		if len(override.Command) > 0 {
			arguments = override.Command
		}
		commands[i] = slices.Concat(argv, arguments)
		resolved, err := p.resolve(ctx, t, name)
		if err != nil {
			return err
		}
		for _, v := range override.Environment {
			resolved[aws.ToString(v.Name)] = aws.ToString(v.Value)
		}
		p.local(resolved)
		variables[i] = resolved
	}
	if err := t.furnish(folder); err != nil {
		return fmt.Errorf("CannotCreateContainerError: %w", err)
	}
	for i, r := range t.runners {
		sink, err := t.output(ctx, r)
		if err != nil {
			return err
		}
		for name, value := range p.given(t, r, folder) {
			if _, set := variables[i][name]; !set {
				variables[i][name] = value
			}
		}
		process, err := startContainer(p.starter, r.definition, commands[i], variables[i], filepath.Join(folder, "root"), sink)
		if err != nil {
			return fmt.Errorf("CannotStartContainerError: %s: %w", aws.ToString(r.definition.Name), err)
		}
		check := r.definition.HealthCheck
		checked := check != nil && len(check.Command) > 0 && check.Command[0] != "NONE"
		p.change(func() {
			r.process, r.pid = process, process.pid
			if checked {
				r.health = health{check: *check, status: ecstypes.HealthStatusUnknown}
			}
		})
		if checked {
			go t.probe(ctx, r, variables[i], filepath.Join(folder, "root"))
		}
	}
	p.change(func() {
		t.started = time.Now()
		t.advance(statusRunning)
	})
	return nil
}

// override is what RunTask sets of a container.
func (t *task) override(name string) ecstypes.ContainerOverride {
	if t.overrides != nil {
		for _, o := range t.overrides.ContainerOverrides {
			if aws.ToString(o.Name) == name {
				return o
			}
		}
	}
	return ecstypes.ContainerOverride{}
}

// furnish makes the folder of a task: one to work in, which is read-only, and one for temporary files.
func (t *task) furnish(folder string) error {
	who := usualIdentity
	if len(t.runners) > 0 {
		who = identityOf(aws.ToString(t.runners[0].definition.User))
	}
	root, tmp := filepath.Join(folder, "root"), filepath.Join(folder, "tmp")
	if err := errors.Join(os.MkdirAll(root, 0o755), os.Mkdir(tmp, 0o700), own(tmp, who)); err != nil { //nolint:gosec // other users run in it
		return err
	}
	if authority := t.plane.authority(); len(authority) > 0 {
		if err := os.WriteFile(filepath.Join(root, authorityFile), authority, 0o444); err != nil { //nolint:gosec // a certificate
			return err
		}
	}
	return os.Chmod(root, 0o555) //nolint:gosec // other users run in it
}

const authorityFile = "database-ca.pem"

// removeAll removes a folder of which parts are read-only.
func removeAll(folder string) error {
	_ = os.Chmod(filepath.Join(folder, "root"), 0o700)
	return os.RemoveAll(folder)
}

// given are the variables that the container runtime adds: those of Fargate, the SDKs' way to the API, and the address to listen on.
func (p *Plane) given(t *task, r *runner, folder string) map[string]string {
	root := p.metadata.url(t)
	variables := map[string]string{
		"AWS_REGION": p.options.AWS.Region, "AWS_DEFAULT_REGION": p.options.AWS.Region, "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI": root + "/credentials",
		"ECS_CONTAINER_METADATA_URI_V4":      root + "/v4/" + aws.ToString(r.definition.Name),
		"ECS_AGENT_URI":                      root + "/agent",
		"PATH":                               "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME":                               filepath.Join(folder, "tmp"), "TMPDIR": filepath.Join(folder, "tmp"),
		"HOSTNAME":       "ip-" + strings.ReplaceAll(t.private.String(), ".", "-") + ".ec2.internal",
		"CONTAINER_HOST": t.host,
	}
	if endpoint := aws.ToString(p.options.AWS.BaseEndpoint); endpoint != "" {
		variables["AWS_ENDPOINT_URL"] = endpoint
	}
	if len(p.authority()) > 0 {
		variables["PGSSLROOTCERT"] = filepath.Join(folder, "root", authorityFile)
	}
	maps.Copy(variables, p.options.Environment)
	return variables
}

// output is where the lines of a container go. The stream is called as the awslogs driver calls it: prefix/container/task.
func (t *task) output(ctx context.Context, r *runner) (func(string), error) {
	configuration := r.definition.LogConfiguration
	if configuration == nil || configuration.LogDriver != ecstypes.LogDriverAwslogs {
		return func(string) {}, nil
	}
	options := configuration.Options
	name := strings.Join([]string{options["awslogs-stream-prefix"], aws.ToString(r.definition.Name), t.id}, "/")
	stream, err := t.plane.logs.open(ctx, options["awslogs-group"], name, options["awslogs-create-group"] == "true")
	if err != nil {
		return nil, fmt.Errorf("ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: "+
			"failed to create Cloudwatch log stream: %s: exit status 1", innermost(err))
	}
	t.streams = append(t.streams, stream)
	return stream.write, nil
}

// innermost is the error at the bottom of the chain, as the API's own words.
func innermost(err error) string {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return err.Error()
}

// probe runs a container's health check, at the pauses of ECS but faster.
func (t *task) probe(ctx context.Context, r *runner, variables map[string]string, folder string) {
	p := t.plane
	began := time.Now()
	argv, err := probe(r.health.check.Command, t.host)
	if err != nil {
		p.problem("health check of "+t.id, err)
		return
	}
	age := func() time.Duration { return p.allowed(time.Since(began)) }
	for {
		pause := time.NewTimer(time.Duration(float64(r.health.pause(age())) / p.options.Speed))
		select {
		case <-r.process.exited:
		case <-t.stop:
		case <-ctx.Done():
		case <-pause.C:
			passed := runProbe(ctx, p.starter, argv, variables, folder, r.process.who, seconds(r.health.check.Timeout, usualTimeout))
			p.changeIf(func() bool {
				before := r.health.status
				r.health.note(passed, age())
				t.health = t.worst()
				return before != r.health.status
			})
			continue
		}
		pause.Stop()
		return
	}
}

// mostHaste is how many times faster time goes at most that a task is allowed: a machine that is busy is as slow as on AWS.
const mostHaste = 3

// allowed is how much of a time that a task is allowed has gone by.
func (p *Plane) allowed(since time.Duration) time.Duration {
	return time.Duration(float64(since) * min(p.options.Speed, mostHaste))
}

// worst is the health of a task: UNHEALTHY if an essential container is, HEALTHY if all that have a check are.
func (t *task) worst() ecstypes.HealthStatus {
	status := ecstypes.HealthStatusUnknown
	for _, r := range t.runners {
		if r.health.check.Command == nil || !isEssential(r.definition) {
			continue
		}
		if status = r.health.status; status != ecstypes.HealthStatusHealthy {
			return status
		}
	}
	return status
}

// checked says whether ECS checks the health of a task's containers.
func (t *task) checked() bool {
	return slices.ContainsFunc(t.runners, func(r *runner) bool { return r.definition.HealthCheck != nil && isEssential(r.definition) })
}

// isEssential containers end their task with them.
func isEssential(definition ecstypes.ContainerDefinition) bool {
	return definition.Essential == nil || *definition.Essential
}

// watch waits until the task is to end: an essential container has, or it was told to.
func (t *task) watch(ctx context.Context, _ string) {
	exited := make(chan *runner, len(t.runners))
	for _, r := range t.runners {
		go func() {
			<-r.process.exited
			exited <- r
		}()
	}
	for range t.runners {
		select {
		case r := <-exited:
			if isEssential(r.definition) {
				t.plane.change(func() {
					t.end(ending{ecstypes.TaskStopCodeEssentialContainerExited, "Essential container in task exited"})
				})
				return
			}
		case <-t.stop:
			return
		case <-ctx.Done():
			t.plane.change(func() { t.end(ending{ecstypes.TaskStopCodeTerminationNotice, "The data plane ended"}) })
			return
		}
	}
}

// finish ends what still runs, all at the same time, and keeps the exit codes.
func (t *task) finish(ctx context.Context) {
	var all sync.WaitGroup
	for _, r := range t.runners {
		if r.process == nil {
			continue
		}
		all.Go(func() {
			if r.process.running() {
				patience := r.process.stopTimeout()
				if ctx.Err() != nil {
					patience = min(patience, closePatience)
				}
				r.process.stop(ctx, patience, closePatience)
			}
			code := int(r.process.code.Load())
			t.plane.change(func() {
				r.exitCode, r.pid = &code, 0
			})
		})
	}
	all.Wait()
}

// closePatience is how long a process has after SIGTERM when the plane closes.
const closePatience = 2 * time.Second
