package dataplane

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// service is a service as the plane runs it.
type service struct {
	api ecstypes.Service
	// deployments have the PRIMARY one first.
	deployments []*deployment
	// seen are the ids of all deployments that the API told of.
	seen   []string
	events []eventReport
	// good is the last deployment that was completed, which a circuit breaker rolls back to.
	good *deployment
	// failures counts tasks that failed one after another, notBefore is when the next may start.
	failures  int
	notBefore time.Time
	steady    bool
	// gone says that the API no longer tells of it.
	gone bool
}

// deployment is one of a service.
type deployment struct {
	id, definition   string
	failed           int
	state            ecstypes.DeploymentRolloutState
	reason           string
	created, updated time.Time
}

func (s *service) name() string { return aws.ToString(s.api.ServiceName) }

func (s *service) primary() *deployment { return s.deployments[0] }

// mostEvents is how many events of a service are told, the newest (API reference of Service).
const mostEvents = 100

// say adds an event, in AWS's words (ECS developer guide, "Viewing Amazon ECS service event messages").
func (s *service) say(now time.Time, format string, arguments ...any) {
	e := eventReport{rand.Text(), epoch{now}, fmt.Sprintf("(service %s) ", s.name()) + fmt.Sprintf(format, arguments...)}
	s.events = append([]eventReport{e}, s.events...)
	s.events = s.events[:min(len(s.events), mostEvents)]
}

// follow takes what the API tells of the service.
func (s *service) follow(api ecstypes.Service, now time.Time) {
	first := s.deployments == nil
	s.api = api
	if first {
		for _, e := range api.Events {
			s.events = append(s.events, eventReport{aws.ToString(e.Id), epoch{aws.ToTime(e.CreatedAt)}, aws.ToString(e.Message)})
		}
	}
	known := func(id string) bool {
		return slices.ContainsFunc(s.deployments, func(d *deployment) bool { return d.id == id })
	}
	var added []*deployment
	for _, d := range api.Deployments {
		id := aws.ToString(d.Id)
		if slices.Contains(s.seen, id) {
			continue
		}
		s.seen = append(s.seen, id)
		if !known(id) && (first || aws.ToString(d.Status) == "PRIMARY") {
			added = append(added, &deployment{
				id: id, definition: aws.ToString(d.TaskDefinition), failed: int(d.FailedTasks),
				state: cmp.Or(d.RolloutState, ecstypes.DeploymentRolloutStateInProgress), reason: aws.ToString(d.RolloutStateReason),
				created: aws.ToTime(d.CreatedAt), updated: now,
			})
		}
	}
	if len(added) == 0 && first {
		added = []*deployment{newDeployment(aws.ToString(api.TaskDefinition), now)}
	}
	s.deployments = append(added, s.deployments...)
	if len(added) > 0 {
		s.failures, s.notBefore = 0, time.Time{}
	}
	for _, d := range s.deployments {
		if d.state == ecstypes.DeploymentRolloutStateCompleted && s.good == nil {
			s.good = d
		}
	}
}

func newDeployment(definition string, now time.Time) *deployment {
	number, err := rand.Int(rand.Reader, big.NewInt(9e18))
	if err != nil {
		panic(err) // crypto/rand never fails
	}
	id := fmt.Sprintf("ecs-svc/%d", number.Int64()+1e18)
	return &deployment{
		id: id, definition: definition, created: now, updated: now,
		state: ecstypes.DeploymentRolloutStateInProgress, reason: "ECS deployment " + id + " in progress.",
	}
}

// wanted is what the service asks of its scheduler.
func (s *service) wanted(now time.Time) wanted {
	w := wanted{desired: int(s.api.DesiredCount), minimum: 100, maximum: 200}
	if c := s.api.DeploymentConfiguration; c != nil {
		if c.MinimumHealthyPercent != nil {
			w.minimum = int(*c.MinimumHealthyPercent)
		}
		if c.MaximumPercent != nil {
			w.maximum = int(*c.MaximumPercent)
		}
	}
	if s.gone || aws.ToString(s.api.Status) != "ACTIVE" {
		w.desired = 0
	}
	w.held = s.primary().state == ecstypes.DeploymentRolloutStateFailed || now.Before(s.notBefore)
	return w
}

// breaker is the circuit breaker's settings.
func (s *service) breaker() (enabled, rollback bool) {
	if c := s.api.DeploymentConfiguration; c != nil && c.DeploymentCircuitBreaker != nil {
		return c.DeploymentCircuitBreaker.Enable, c.DeploymentCircuitBreaker.Rollback
	}
	return false, false
}

// grace is how long after its start a task's health checks do not matter, as on AWS.
func (s *service) grace() time.Duration {
	return time.Duration(aws.ToInt32(s.api.HealthCheckGracePeriodSeconds)) * time.Second
}

// failedTask counts a task that failed, for the circuit breaker and the back-off.
func (s *service) failedTask(deployment string, now time.Time, speed float64) {
	s.failures++
	s.notBefore = now.Add(backOff(s.failures, speed))
	for _, d := range s.deployments {
		if d.id == deployment {
			d.failed++
			d.updated = now
		}
	}
	if enabled, _ := s.breaker(); !enabled && s.failures == 5 {
		s.say(now, "is unable to consistently start tasks successfully. For more information, see the Troubleshooting section.")
	}
}

// healthyTask notes that a task passes its checks for the first time.
func (s *service) healthyTask(deployment string) {
	s.failures, s.notBefore = 0, time.Time{}
	for _, d := range s.deployments {
		if d.id == deployment {
			d.failed = 0
		}
	}
}

// trip ends the newest deployment if too many of its tasks have failed, and goes back to the last that was completed.
func (s *service) trip(now time.Time) {
	enabled, rollback := s.breaker()
	d := s.primary()
	if !enabled || d.state != ecstypes.DeploymentRolloutStateInProgress || d.failed < failureThreshold(int(s.api.DesiredCount)) {
		return
	}
	d.state, d.updated = ecstypes.DeploymentRolloutStateFailed, now
	d.reason = "ECS deployment circuit breaker: tasks failed to start."
	s.say(now, "(deployment %s) deployment failed: tasks failed to start.", d.id)
	if !rollback || s.good == nil || s.good.definition == d.definition {
		return
	}
	back := s.good
	back.state, back.failed, back.updated = ecstypes.DeploymentRolloutStateInProgress, 0, now
	back.reason = "ECS deployment circuit breaker: rolling back to deploymentId " + back.id + "."
	s.say(now, "rolling back to deployment %s.", back.id)
	others := slices.DeleteFunc(slices.Clone(s.deployments), func(d *deployment) bool { return d == back })
	s.deployments = append([]*deployment{back}, others...)
	s.failures, s.notBefore = 0, time.Time{}
}

// settle ends the newest deployment when it alone is left with all tasks that are desired, healthy. left are the tasks of each
// deployment that have not stopped, healthy those of the newest.
func (s *service) settle(now time.Time, desired int, left map[string]int, healthy int) {
	s.deployments = slices.DeleteFunc(s.deployments, func(d *deployment) bool { return d != s.deployments[0] && left[d.id] == 0 })
	d := s.primary()
	steady := len(s.deployments) == 1 && healthy == desired && left[d.id] == desired && d.state != ecstypes.DeploymentRolloutStateFailed
	if steady && d.state == ecstypes.DeploymentRolloutStateInProgress {
		d.state, d.updated, d.reason = ecstypes.DeploymentRolloutStateCompleted, now, "ECS deployment "+d.id+" completed."
		s.good = d
		s.say(now, "(deployment %s) deployment completed.", d.id)
	}
	if steady && !s.steady {
		s.say(now, "has reached a steady state.")
	}
	s.steady = steady
}

// taskList is how events name tasks.
func taskList(ids []string) string {
	return "(task " + strings.Join(ids, ") (task ") + ")"
}
