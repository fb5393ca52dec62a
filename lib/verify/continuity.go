package verify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

// This file sends requests while something happens to the stack that no client may notice. They are those that a client of any
// application may send and that leave nothing behind: a payment would stay, and even reading one needs a merchant, who is
// made by the first request.

const (
	// rollBound is how long all tasks of both services may take to be replaced: they start, become healthy, and those before
	// them have as long as their longest request takes.
	rollBound = 20 * time.Minute
	// fastPause is the time between two requests at first. The firewall counts them over firewallWindow, and three checks may
	// follow each other within it: each sends an eighth of what the firewall lets through fast, and as many over each window
	// that follows.
	fastPause      = 25 * time.Millisecond
	firewallWindow = 5 * time.Minute
	firewallShare  = 8
	// mostFast bounds the requests at the first pace where there is no firewall, or a wide one.
	mostFast = 1000
	// atOnce is how many requests may wait for their answers at a time.
	atOnce = 16
	// inFlightBound is how long as many requests may take to be sent.
	inFlightBound = 10 * time.Second
	// leastRequests prove something.
	leastRequests = 10
)

func continuityChecks() []Check {
	needs := []Capability{capALBNetwork, capTasks}
	return []Check{
		{
			ID:    "application.rollout-serves",
			Says:  "Enable connection draining and health checks: while all tasks of both services are replaced, every request is answered by a service",
			Needs: needs,
			Acts:  true,
			Run:   recorded(overNetwork(rolloutServes)),
		},
		{
			ID:    "application.scale-in-serves",
			Says:  "Enable connection draining and health checks: while each service grows by a task and loses one again, every request is answered by a service",
			Needs: needs,
			Acts:  true,
			Run:   recorded(overNetwork(scaleInServes)),
		},
		{
			ID:    "database.failover-serves",
			Says:  "Multi-AZ deployment required for high availability: while the database fails over, every request is answered by a service, and no task is replaced",
			Needs: append([]Capability{capDatabaseNetwork}, needs...),
			Acts:  true,
			Run:   recorded(failoverServes),
		},
	}
}

// traffic is what became of the requests that were sent while something happened.
type traffic struct {
	paths []string // that services answer
	sent  int
	lost  map[string]int // by what they met instead of a service's answer
}

func (t traffic) String() string {
	if len(t.lost) == 0 {
		return fmt.Sprintf("none of %d", t.sent)
	}
	total, kinds := 0, make([]string, 0, len(t.lost))
	for _, kind := range slices.Sorted(maps.Keys(t.lost)) {
		total += t.lost[kind]
		kinds = append(kinds, fmt.Sprintf("%d× %s", t.lost[kind], kind))
	}
	return fmt.Sprintf("%d of %d: %s", total, t.sent, strings.Join(kinds, ", "))
}

// nothingLost wants every request answered, and enough of them.
func (x subject) nothingLost(t traffic) {
	x.record("requests sent meanwhile", fmt.Sprintf("at least %d", leastRequests), t.sent, t.sent >= leastRequests)
	x.record("requests lost", "none", t, len(t.lost) == 0)
}

// pace is how many requests may be sent fast.
func (e *Env) pace() (fast int, err error) {
	cfg, err := e.configuration()
	if err != nil || !cfg.WAF || cfg.WAFCountOnly {
		return mostFast, err
	}
	fast = min(mostFast, cfg.WAFRateLimit/firewallShare)
	if fast < leastRequests {
		return 0, notObservableError(fmt.Sprintf("the firewall lets %d requests through in five minutes, too few to watch anything", cfg.WAFRateLimit))
	}
	return fast, nil
}

// during sends requests from before some acts, one after the other, until after the last. Those that may be sent fast are shared among the
// acts: what was sent fast while tasks started is of no use when they leave, minutes later.
func (e *Env) during(ctx context.Context, d albEndpoint, acts ...func(context.Context) error) (traffic, error) {
	fast, err := e.pace()
	if err != nil {
		return traffic{}, err
	}
	t := traffic{lost: map[string]int{}}
	for _, path := range []string{healthPath, samplePath} {
		if d.unanswered(ctx, path) == "" {
			t.paths = append(t.paths, path) // the others are alb.answers' affair
		}
	}
	if len(t.paths) == 0 {
		return t, errors.New("no request is answered by a service before anything has happened")
	}
	over, end := context.WithCancel(ctx)
	var sending sync.WaitGroup
	var spare atomic.Int64
	spare.Store(int64(fast / len(acts)))
	sending.Go(func() { t.send(ctx, over, d, &spare, firewallWindow/time.Duration(fast)) })
	for i := 0; i < len(acts) && err == nil; i++ {
		share := int64(fast / len(acts))
		spare.Store(share)
		if i > 0 { // what the act before has led to is to have requests in flight
			_, err = e.poll(ctx, inFlightBound, func(context.Context) (bool, error) { return spare.Load() <= share-atOnce, nil })
		}
		if err == nil {
			err = acts[i](ctx)
		}
	}
	end()
	sending.Wait()
	return t, err
}

// send sends one request after the other, whether those before have been answered or not, and waits for the last answers. Each
// goes its own way, on a connection of its own. What is to spare is sent fast, the rest at a slow pace.
func (t *traffic) send(ctx, over context.Context, d albEndpoint, spare *atomic.Int64, slow time.Duration) {
	var mu sync.Mutex
	var waiting sync.WaitGroup
	places := make(chan struct{}, atOnce)
	for t.sent = 0; ctx.Err() == nil && (over.Err() == nil || t.sent < leastRequests); t.sent++ {
		path := t.paths[t.sent%len(t.paths)]
		places <- struct{}{}
		waiting.Go(func() {
			defer func() { <-places }()
			if fault := d.unanswered(ctx, path); fault != "" {
				mu.Lock()
				defer mu.Unlock()
				t.lost[fault]++
			}
		})
		pause, until := fastPause, over
		if spare.Add(-1) < 0 {
			pause = slow
		}
		if t.sent < leastRequests {
			until = ctx
		}
		select {
		case <-until.Done():
		case <-time.After(pause):
		}
	}
	waiting.Wait()
}

// unanswered is what a request met instead of a service's answer; empty where it was answered.
func (d albEndpoint) unanswered(ctx context.Context, path string) string {
	r, err := d.get(ctx, "https", path)
	var timeout net.Error
	var refused syscall.Errno
	switch {
	case ctx.Err() != nil:
		return "" // the run is over, not the service
	case errors.As(err, &refused):
		return refused.Error()
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	case err != nil:
		return oneLine(err)
	case r.by != byService || r.status >= http.StatusInternalServerError || path == healthPath && r.status != http.StatusOK:
		return fmt.Sprintf("%d of %s", r.status, r.by)
	}
	return ""
}

// current are the two services as they are now.
func (e *Env) current(ctx context.Context) ([]ecstypes.Service, error) {
	cluster, err := e.output(lib.OutputEcsClusterName)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, kind := range serviceKinds() {
		name, err := e.output(kind.output)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	out, err := e.cloud.ECS.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &cluster, Services: names})
	if err != nil {
		return nil, fmt.Errorf("reading the services of %s: %w", cluster, err)
	}
	if len(out.Services) != len(names) {
		return nil, fmt.Errorf("%s has %d of the services %s", cluster, len(out.Services), listText(names))
	}
	return out.Services, nil
}

// steadyServices waits until both services run what they are to run, and, where asked for, have taken up a change: what the
// API tells may be from before it.
func (e *Env) steadyServices(ctx context.Context, bound time.Duration, changed func(ecstypes.Service) bool) ([]ecstypes.Service, error) {
	var now []ecstypes.Service
	pending := func(svc ecstypes.Service) bool { return unsteady(svc) || changed != nil && !changed(svc) }
	steady, err := e.poll(ctx, bound, func(ctx context.Context) (_ bool, err error) {
		now, err = e.current(ctx)
		return !slices.ContainsFunc(now, pending), err
	})
	if err == nil && !steady {
		i := slices.IndexFunc(now, pending)
		err = fmt.Errorf("service %s is not steady: %s", aws.ToString(now[i].ServiceName), cloud.Progress(now[i]))
	}
	return now, err
}

// unsteady says that a service has no tasks, or is about to change them. That all of them run is application.running's affair.
func unsteady(svc ecstypes.Service) bool {
	return svc.RunningCount == 0 || cloud.Primary(svc).RolloutState != ecstypes.DeploymentRolloutStateCompleted
}

// update changes both services, each as the function says, and returns what the API made of them.
func (e *Env) update(ctx context.Context, services []ecstypes.Service, change func(*ecs.UpdateServiceInput, ecstypes.Service)) ([]ecstypes.Service, error) {
	var made []ecstypes.Service
	for _, svc := range services {
		in := &ecs.UpdateServiceInput{Cluster: svc.ClusterArn, Service: svc.ServiceName}
		change(in, svc)
		out, err := e.cloud.ECS.UpdateService(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("updating the service %s: %w", aws.ToString(svc.ServiceName), err)
		}
		made = append(made, *out.Service)
	}
	return made, nil
}

func rolloutServes(ctx context.Context, e *Env, d albEndpoint, x subject) error {
	before, err := e.steadyServices(ctx, rolloutBound, nil)
	if err != nil {
		return fmt.Errorf("nothing was rolled out: %w", err)
	}
	t, err := e.during(ctx, d, func(ctx context.Context) error {
		// The same revision once more leaves nothing to undo.
		made, err := e.update(ctx, before, func(in *ecs.UpdateServiceInput, _ ecstypes.Service) { in.ForceNewDeployment = true })
		if err != nil {
			return err
		}
		deployments := texts(made, func(svc ecstypes.Service) string { return aws.ToString(cloud.Primary(svc).Id) })
		_, err = e.steadyServices(ctx, rollBound, func(svc ecstypes.Service) bool {
			return slices.Contains(deployments, aws.ToString(cloud.Primary(svc).Id))
		})
		return err
	})
	if err != nil {
		return err
	}
	x.nothingLost(t)
	return nil
}

func scaleInServes(ctx context.Context, e *Env, d albEndpoint, x subject) error {
	before, err := e.steadyServices(ctx, rolloutBound, nil)
	if err != nil {
		return fmt.Errorf("nothing was scaled: %w", err)
	}
	counts := map[string]int32{}
	for _, svc := range before {
		counts[aws.ToString(svc.ServiceName)] = svc.RunningCount
	}
	grown := func(svc ecstypes.Service) bool { return svc.RunningCount > counts[aws.ToString(svc.ServiceName)] }
	scale := func(ctx context.Context, by int32) error {
		_, err := e.update(ctx, before, func(in *ecs.UpdateServiceInput, svc ecstypes.Service) {
			in.DesiredCount = aws.Int32(svc.DesiredCount + by)
		})
		return err
	}
	shrunk := false
	t, err := e.during(ctx, d, func(ctx context.Context) error {
		if err := scale(ctx, 1); err != nil {
			return err
		}
		if _, err := e.steadyServices(ctx, rolloutBound, grown); err != nil {
			return err
		}
		return e.allServe(ctx) // or the ones that leave again are those that nobody has asked for anything
	}, func(ctx context.Context) error {
		if err := scale(ctx, 0); err != nil {
			return err
		}
		shrunk = true
		_, err := e.steadyServices(ctx, rolloutBound, func(svc ecstypes.Service) bool { return !grown(svc) })
		return err
	})
	if !shrunk {
		undo(ctx, &err, undoBound, func(ctx context.Context) error { return scale(ctx, 0) })
	}
	if err != nil {
		return err
	}
	x.nothingLost(t)
	return nil
}

// allServe waits until the load balancer has as many healthy targets as tasks run, of which autoscaling may take some away meanwhile.
func (e *Env) allServe(ctx context.Context) error {
	missing := ""
	serve, err := e.poll(ctx, rolloutBound, func(ctx context.Context) (bool, error) {
		services, err := e.current(ctx)
		for _, svc := range services {
			for _, group := range svc.LoadBalancers {
				out, err := e.cloud.ELB.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: group.TargetGroupArn})
				if err != nil {
					return false, fmt.Errorf("reading the targets of %s: %w", aws.ToString(group.TargetGroupArn), err)
				}
				if healthy := healthyCount(out.TargetHealthDescriptions); healthy < svc.RunningCount {
					missing = fmt.Sprintf("service %s runs %d tasks, of which %d are healthy targets", aws.ToString(svc.ServiceName), svc.RunningCount, healthy)
					return false, nil
				}
			}
		}
		return err == nil, err
	})
	if err == nil && !serve {
		err = errors.New(missing)
	}
	return err
}

// runningTaskARNs are those of the cluster now.
func (e *Env) runningTaskARNs(ctx context.Context) ([]string, error) {
	cluster, err := e.output(lib.OutputEcsClusterName)
	if err != nil {
		return nil, err
	}
	return cloud.Pages(ctx, ecs.NewListTasksPaginator(e.cloud.ECS, &ecs.ListTasksInput{Cluster: &cluster, DesiredStatus: ecstypes.DesiredStatusRunning}),
		func(o *ecs.ListTasksOutput) []string { return o.TaskArns })
}

// watched is what clients met during the failover, and the tasks that it cost.
type watched struct {
	traffic
	replaced []string
}

// watchable is what a failover can be watched by: the load balancer, and the tasks that run.
func (e *Env) watchable(ctx context.Context) (d albEndpoint, tasks []string, err error) {
	_, err1 := e.pace()
	d, err2 := e.reachableALB(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return d, nil, err
	}
	if _, err := e.steadyServices(ctx, rolloutBound, nil); err != nil {
		return d, nil, err
	}
	tasks, err = e.runningTaskARNs(ctx)
	return d, tasks, err
}

// underWatch does an act under requests, where there is a load balancer that takes them and a service that answers.
func (e *Env) underWatch(ctx context.Context, act func(context.Context) error) (*watched, error) {
	if len(e.lacking(ctx, []Capability{capALBNetwork, capTasks})) > 0 {
		return nil, act(ctx)
	}
	d, before, err := e.watchable(ctx)
	if err != nil {
		return nil, act(ctx) // failoverServes tells why there was nothing to watch
	}
	t, err := e.during(ctx, d, act)
	if err != nil {
		return nil, err
	}
	after, err := e.runningTaskARNs(ctx)
	return &watched{t, except(before, after)}, err
}

func failoverServes(ctx context.Context, e *Env, rec *recorder) error {
	f, err := e.failover(ctx)
	if err != nil {
		return err
	}
	if f.watched == nil {
		_, _, err := e.watchable(ctx)
		return cmp.Or(err, errors.New("no request was sent during the failover"))
	}
	x := rec.on(f.before.arn)
	x.nothingLost(f.watched.traffic)
	x.sameSet("tasks replaced meanwhile", nil, f.watched.replaced)
	return nil
}
