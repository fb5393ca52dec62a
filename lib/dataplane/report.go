package dataplane

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// reporter remembers what the API was told, so that nothing is told twice. It is the loop's alone, save where p.mu is named.
type reporter struct {
	services, tasks map[string]string // what was told, encoded
	gone            []string          // tasks to be removed; p.mu
	known           map[string]bool   // tasks that were told; p.mu
}

// told says whether the API knows a task from the plane; p.mu is held.
func (r *reporter) told(arn string) bool { return r.known[arn] }

// remove has a task removed with the next report; p.mu is held, or nothing else runs yet.
func (r *reporter) remove(arn string) { r.gone = append(r.gone, arn) }

// reportAll tells what has changed.
func (p *Plane) reportAll(ctx context.Context) error {
	if p.door == nil {
		return nil
	}
	r := &p.reporter
	if r.services == nil {
		r.services, r.tasks = map[string]string{}, map[string]string{}
	}
	p.mu.Lock()
	if r.known == nil {
		r.known = map[string]bool{}
	}
	var news report
	services, tasks := map[string]string{}, map[string]string{}
	for _, t := range p.sorted() {
		told := p.taskReport(t)
		if changed(r.tasks, tasks, t.arn, told) {
			news.Tasks = append(news.Tasks, told)
		}
	}
	for _, arn := range slices.Sorted(maps.Keys(p.services)) {
		s := p.services[arn]
		if s.gone {
			continue
		}
		told := p.serviceReport(s)
		if changed(r.services, services, arn, told) {
			news.Services = append(news.Services, told)
		}
	}
	news.RemovedTasks, r.gone = r.gone, nil
	p.mu.Unlock()
	health, healthTold := p.healthReports()
	news.TargetHealth = health
	if news.empty() {
		return nil
	}
	err := p.door.call(ctx, "POST", "", news, nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		// Whoever has the door open now knows nothing: all is told again.
		r.gone, r.services, r.tasks, r.known, p.lb.told = append(news.RemovedTasks, r.gone...), nil, nil, nil, nil
		return errors.Join(err, p.door.attach(ctx, true, p.options))
	}
	p.tellHealth(healthTold)
	maps.Copy(r.services, services)
	maps.Copy(r.tasks, tasks)
	for arn := range tasks {
		r.known[arn] = true
	}
	for _, arn := range news.RemovedTasks {
		delete(r.known, arn)
		delete(r.tasks, arn)
	}
	return nil
}

// changed says whether what is to be told differs from what was, and keeps it as what will have been.
func changed(before, after map[string]string, key string, told any) bool {
	encoded, err := json.Marshal(told)
	if err != nil || before[key] == string(encoded) {
		return false
	}
	after[key] = string(encoded)
	return true
}

func (p *Plane) serviceReport(s *service) serviceReport {
	told := serviceReport{Service: aws.ToString(s.api.ServiceArn), TaskDefinition: s.primary().definition, Events: s.events, Known: s.seen}
	for i, d := range s.deployments {
		one := deploymentReport{
			ID: d.id, Status: "ACTIVE", TaskDefinition: d.definition, Failed: d.failed, RolloutState: string(d.state), Reason: d.reason,
			CreatedAt: epoch{d.created}, UpdatedAt: epoch{d.updated},
		}
		if i == 0 {
			one.Status, one.Desired = "PRIMARY", int(s.api.DesiredCount)
		}
		for _, t := range p.tasks {
			if t.deployment != d.id || !t.active() {
				continue
			}
			if t.status == statusRunning {
				one.Running++
			} else {
				one.Pending++
			}
			if i > 0 {
				one.Desired++
			}
		}
		told.Running += one.Running
		told.Pending += one.Pending
		told.Deployments = append(told.Deployments, one)
	}
	return told
}

// platform is what Fargate's LATEST stands for on Linux.
const platform = "1.4.0"

func (p *Plane) taskReport(t *task) taskReport {
	told := taskReport{
		Task: t.arn, Cluster: p.clusterARN(), TaskDefinition: aws.ToString(t.definition.TaskDefinitionArn), Group: t.group, StartedBy: t.startedBy,
		LaunchType: string(ecstypes.LaunchTypeFargate), PlatformVersion: platform, PlatformFamily: "Linux",
		CPU: aws.ToString(t.definition.Cpu), Memory: aws.ToString(t.definition.Memory),
		LastStatus: t.status, DesiredStatus: t.desired(), Health: string(t.health), Connectivity: "CONNECTED", ConnectivityAt: epoch{t.created},
		Zone: t.zone, SecurityGroups: t.groups, CreatedAt: epoch{t.created}, StartedAt: epoch{t.started}, StoppingAt: epoch{t.stopping},
		StoppedAt: epoch{t.stopped}, ExecutionStopped: epoch{t.stopped}, Tags: t.tags, Version: slices.Index(order, t.status) + 1,
	}
	details := []pairReport{{"subnetId", t.subnet}, {"privateIPv4Address", t.private.String()}}
	if t.eni != "" {
		details = append(details, pairReport{"networkInterfaceId", t.eni})
	}
	state := "ATTACHED"
	if t.status == statusStopped {
		state = "DELETED"
	}
	told.Attachments = []attachmentReport{{t.attachment, eniAttachment, state, details}}
	if t.ending != nil {
		told.StopCode, told.StoppedReason = string(t.ending.code), t.ending.reason
	}
	for _, r := range t.runners {
		one := containerReport{
			Container: r.arn, Task: t.arn, Name: aws.ToString(r.definition.Name), Image: aws.ToString(r.definition.Image), RuntimeID: r.id,
			LastStatus: containerStatus(t, r), ExitCode: r.exitCode, Reason: r.reason, Health: string(ecstypes.HealthStatusUnknown),
			Interfaces: []interfaceReport{{t.attachment, t.private.String()}}, CPU: strconv.Itoa(int(r.definition.Cpu)),
		}
		if r.health.status != "" {
			one.Health = string(r.health.status)
		}
		told.Containers = append(told.Containers, one)
	}
	return told
}

// containerStatus is ECS's word for the state of a container.
func containerStatus(t *task, r *runner) string {
	switch {
	case r.exitCode != nil || t.status == statusStopped:
		return statusStopped
	case r.pid != 0:
		return statusRunning
	}
	return statusPending
}

func itoa(n int32) string { return strconv.Itoa(int(n)) }
