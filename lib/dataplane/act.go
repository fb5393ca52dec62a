package dataplane

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"tapstack/lib/cloud"
)

var errNoContainer = errors.New("the task has no such container")

// subnet is one that tasks are placed in.
type subnet = ec2types.Subnet

func (p *Plane) clusterARN() string {
	return fmt.Sprintf("arn:%s:ecs:%s:%s:cluster/%s", p.account.Partition, p.cfg.Region, p.account.Account, p.options.Cluster)
}

// follow takes what the API tells: services that are new, changed or gone, tasks that others want run or stopped.
func (p *Plane) follow(ctx context.Context, r *cloud.Reader, read deployed) error {
	var faults []error
	for _, s := range read.services {
		// What the scheduler needs to know is read here, where calls may wait.
		for _, d := range append([]ecstypes.Deployment{{TaskDefinition: s.TaskDefinition}}, s.Deployments...) {
			if _, err := p.definitions.get(ctx, r, aws.ToString(d.TaskDefinition)); err != nil {
				faults = append(faults, err)
			}
		}
		if n := s.NetworkConfiguration; n != nil && n.AwsvpcConfiguration != nil {
			faults = append(faults, p.learnSubnets(ctx, n.AwsvpcConfiguration.Subnets))
		}
	}
	p.expectGroups(read.services)
	var alone []*task
	for _, one := range p.takeAsked() {
		made, err := p.adopt(ctx, r, one.told)
		if err != nil {
			p.ask(one)
			faults = append(faults, err)
			continue
		}
		made.groups = one.groups
		alone = append(alone, made)
	}
	for _, t := range read.tasks {
		if strings.HasPrefix(aws.ToString(t.Group), "service:") {
			p.reporter.remove(aws.ToString(t.TaskArn)) // of a plane that is no more
			continue
		}
		made, err := p.adopt(ctx, r, t)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		alone = append(alone, made)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	seen := map[string]bool{}
	for _, s := range read.services {
		arn := aws.ToString(s.ServiceArn)
		seen[arn] = true
		known := p.services[arn]
		if known == nil || known.gone {
			known = &service{}
			p.services[arn] = known
		}
		known.follow(s, now)
	}
	for arn, s := range p.services {
		s.gone = !seen[arn]
	}
	for _, t := range alone {
		p.launch(ctx, t)
	}
	for _, told := range read.stopped {
		if t := p.tasks[aws.ToString(told.TaskArn)]; t != nil {
			t.end(ending{told.StopCode, aws.ToString(told.StoppedReason)})
		}
	}
	return errors.Join(faults...)
}

// learnSubnets reads subnets that are not known yet. What matters of one does not change.
func (p *Plane) learnSubnets(ctx context.Context, ids []string) error {
	var unknown []string
	for _, id := range ids {
		if _, known := p.subnets[id]; !known {
			unknown = append(unknown, id)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	out, err := p.clients.EC2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: unknown})
	if err != nil {
		return err
	}
	for _, s := range out.Subnets {
		p.subnets[aws.ToString(s.SubnetId)] = s
	}
	return nil
}

// adopt makes a task of one that RunTask was called for.
func (p *Plane) adopt(ctx context.Context, r *cloud.Reader, told ecstypes.Task) (*task, error) {
	definition, err := p.definitions.get(ctx, r, aws.ToString(told.TaskDefinitionArn))
	if err != nil {
		return nil, err
	}
	t := p.newTask(definition)
	t.arn, t.id = aws.ToString(told.TaskArn), last(aws.ToString(told.TaskArn))
	t.group, t.startedBy, t.overrides = aws.ToString(told.Group), aws.ToString(told.StartedBy), told.Overrides
	t.created = aws.ToTime(told.CreatedAt)
	t.subnet, t.eni = detail(told, "subnetId"), detail(told, "networkInterfaceId")
	for _, a := range told.Attachments {
		t.attachment = aws.ToString(a.Id)
	}
	for i, c := range told.Containers {
		if i < len(t.runners) && aws.ToString(c.Name) == aws.ToString(t.runners[i].definition.Name) {
			t.runners[i].arn = aws.ToString(c.ContainerArn)
		}
	}
	if err := p.learnSubnets(ctx, []string{t.subnet}); err != nil {
		return nil, err
	}
	t.zone = aws.ToString(p.subnets[t.subnet].AvailabilityZone)
	if t.private, err = netip.ParseAddr(detail(told, "privateIPv4Address")); err != nil {
		if t.private, err = p.pool.take(p.subnets[t.subnet]); err != nil {
			return nil, err
		}
		t.allocated = true
	}
	t.host = p.addresses.host(t.private)
	if t.eni != "" {
		out, err := p.clients.EC2.DescribeNetworkInterfaces(ctx, &ec2.DescribeNetworkInterfacesInput{NetworkInterfaceIds: []string{t.eni}})
		if err == nil && len(out.NetworkInterfaces) == 1 {
			for _, g := range out.NetworkInterfaces[0].Groups {
				t.groups = append(t.groups, aws.ToString(g.GroupId))
			}
		}
	}
	if aws.ToString(told.DesiredStatus) == string(ecstypes.DesiredStatusStopped) {
		t.end(ending{told.StopCode, aws.ToString(told.StoppedReason)})
	}
	return t, nil
}

// askedTask is a task that somebody has asked the plane itself to run.
type askedTask struct {
	told   ecstypes.Task
	groups []string
}

// RunTask runs a one-off task of which the API knows nothing, as ECS's RunTask would, and answers with its ARN. It is for a cloud that has
// no door: nobody could tell the API there what became of it. Status tells.
func (p *Plane) RunTask(in *ecs.RunTaskInput) (arn string, err error) {
	network := in.NetworkConfiguration
	if network == nil || network.AwsvpcConfiguration == nil || len(network.AwsvpcConfiguration.Subnets) == 0 {
		return "", errors.New("InvalidParameterException: Network Configuration must be provided when networkMode 'awsvpc' is specified.") //nolint:revive,staticcheck // ECS's words
	}
	made := p.newTask(&ecstypes.TaskDefinition{})
	family, _, _ := strings.Cut(last(aws.ToString(in.TaskDefinition)), ":")
	p.ask(askedTask{groups: network.AwsvpcConfiguration.SecurityGroups, told: ecstypes.Task{
		TaskArn: &made.arn, TaskDefinitionArn: in.TaskDefinition, Group: aws.String("family:" + family), StartedBy: in.StartedBy, CreatedAt: &made.created, Overrides: in.Overrides,
		DesiredStatus: aws.String(string(ecstypes.DesiredStatusRunning)),
		Attachments: []ecstypes.Attachment{{Id: &made.attachment, Type: aws.String(eniAttachment), Details: []ecstypes.KeyValuePair{
			{Name: aws.String("subnetId"), Value: &network.AwsvpcConfiguration.Subnets[0]},
		}}},
	}})
	return made.arn, nil
}

// ask has a task run at the next look.
func (p *Plane) ask(one askedTask) {
	p.change(func() { p.asked = append(p.asked, one) })
	p.watcher.failed(clusterAspect)
}

func (p *Plane) takeAsked() []askedTask {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.asked
	p.asked = nil
	return taken
}

// newTask is a task that has yet to be placed.
func (p *Plane) newTask(definition *ecstypes.TaskDefinition) *task {
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	t := &task{
		plane: p, id: hex.EncodeToString(id), definition: definition, created: time.Now(), status: statusProvisioning,
		health: ecstypes.HealthStatusUnknown, stop: make(chan struct{}), done: make(chan struct{}), secret: newSecret(), attachment: newUUID(),
	}
	t.arn = strings.Replace(p.clusterARN(), ":cluster/", ":task/", 1) + "/" + t.id
	for i, c := range definition.ContainerDefinitions {
		t.runners = append(t.runners, &runner{
			definition: c, arn: strings.Replace(p.clusterARN(), ":cluster/", ":container/", 1) + "/" + t.id + "/" + newUUID(),
			id: fmt.Sprintf("%s-%d", t.id, i),
		})
	}
	return t
}

func newUUID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	return fmt.Sprintf("%x-%x-4%03x-%x-%x", b[:4], b[4:6], (int(b[6])<<8|int(b[7]))&0xfff, []byte{b[8]&0x3f | 0x80, b[9]}, b[10:])
}

// launch begins a task's life; p.mu is held.
func (p *Plane) launch(ctx context.Context, t *task) {
	p.tasks[t.arn] = t
	p.announce()
	p.running.Go(func() { t.run(ctx) })
}

// calls are what is to be asked of the API after a decision.
type calls struct {
	register, deregister []registration
}

type registration struct {
	task    *task
	service *service
	target
}

// act decides what to do, does it, and reports it.
func (p *Plane) act(ctx context.Context) {
	p.mu.Lock()
	now := time.Now()
	var todo calls
	for _, arn := range slices.Sorted(maps.Keys(p.services)) {
		p.schedule(ctx, arn, now, &todo)
	}
	for _, t := range p.sorted() {
		if !t.active() && t.service == "" {
			t.release()
		}
		if t.status == statusStopped && now.Sub(t.stopped) > keptStopped {
			p.forget(t)
		}
	}
	p.mu.Unlock()
	p.problem("target groups", p.call(ctx, todo))
	p.problem("reports", p.reportAll(ctx))
}

// forget gives up a task that has stopped; p.mu is held.
func (p *Plane) forget(t *task) {
	delete(p.tasks, t.arn)
	p.reporter.remove(t.arn)
	if t.allocated {
		p.pool.release(t.private)
	}
}

// schedule does for a service what its scheduler decides; p.mu is held.
func (p *Plane) schedule(ctx context.Context, arn string, now time.Time, todo *calls) {
	s := p.services[arn]
	left := map[string]int{}
	var members []member
	var own []*task
	for _, t := range p.sorted() {
		if t.service != arn {
			continue
		}
		own = append(own, t)
		p.judge(s, t, now)
		p.register(s, t, todo)
		if t.status != statusStopped {
			left[t.deployment]++
		}
		if t.active() {
			members = append(members, member{t.id, t.zone, t.deployment == s.primary().id, t.healthy(s), t.protected(now), t.created})
		}
	}
	if !s.gone {
		s.trip(now)
	}
	for i := range members { // the circuit breaker may have begun another deployment
		members[i].primary = own[slices.IndexFunc(own, func(t *task) bool { return t.id == members[i].id })].deployment == s.primary().id
	}
	want := s.wanted(now)
	start, stop := schedule(want, members)
	var begun []string
	for range start {
		t, err := p.place(s)
		if err != nil {
			s.failedTask(s.primary().id, now, p.options.Speed)
			s.say(now, "was unable to place a task. Reason: %s.", err)
			break
		}
		begun = append(begun, t.id)
		left[t.deployment]++
		p.launch(ctx, t)
	}
	if len(begun) > 0 {
		s.say(now, "has started %d tasks: %s.", len(begun), taskList(begun))
	}
	if len(stop) > 0 {
		for _, t := range own {
			if slices.Contains(stop, t.id) {
				t.end(ending{ecstypes.TaskStopCodeServiceSchedulerInitiated, fmt.Sprintf("Scaling activity initiated by (deployment %s)", s.primary().id)})
				p.register(s, t, todo)
			}
		}
		s.say(now, "has stopped %d running tasks: %s.", len(stop), taskList(stop))
	}
	healthy := 0
	for _, m := range members {
		if m.primary && m.healthy && !slices.Contains(stop, m.id) {
			healthy++
		}
	}
	before := s.steady
	s.settle(now, want.desired, left, healthy)
	if s.gone && len(left) == 0 {
		delete(p.services, arn)
		p.announce()
	}
	if before != s.steady {
		p.announce()
	}
}

// judge looks at the health of a task, and counts its end if it failed.
func (p *Plane) judge(s *service, t *task, now time.Time) {
	if t.active() && t.healthy(s) && !t.wasHealthy {
		t.wasHealthy = true
		s.healthyTask(t.deployment)
	}
	sick := false
	past := t.status == statusRunning && p.allowed(now.Sub(t.started)) > s.grace()
	switch {
	case !t.active() || !past:
	case t.health == ecstypes.HealthStatusUnhealthy:
		sick = true
		t.end(ending{ecstypes.TaskStopCodeServiceSchedulerInitiated, "Task failed container health checks"})
		s.say(now, "(task %s) failed container health checks.", t.id)
	case t.targetHealth == string(elbtypes.TargetHealthStateEnumUnhealthy):
		sick = true
		t.end(ending{ecstypes.TaskStopCodeServiceSchedulerInitiated, fmt.Sprintf("Task failed ELB health checks in (target-group %s)", t.targets[0].group)})
		s.say(now, "(task %s) (port %d) is unhealthy in (target-group %s) due to (reason %s).", t.id, t.targets[0].port, t.targets[0].group, t.targetReason)
	}
	if t.counted || t.active() {
		return
	}
	t.counted = true
	if sick || !t.wasHealthy && t.ending.code != ecstypes.TaskStopCodeServiceSchedulerInitiated && t.ending.code != ecstypes.TaskStopCodeUserInitiated {
		s.failedTask(t.deployment, now, p.options.Speed)
		if t.ending.code == ecstypes.TaskStopCodeTaskFailedToStart {
			s.say(now, "(task %s) failed to start: %s", t.id, t.ending.reason)
		}
	}
}

// register sees to it that a task that runs is a target, and that one that ends is none before its processes end.
func (p *Plane) register(s *service, t *task, todo *calls) {
	switch {
	case t.active() && t.status == statusRunning && len(t.targets) == 0:
		for _, b := range s.api.LoadBalancers {
			if b.TargetGroupArn != nil {
				todo.register = append(todo.register, registration{t, s, target{*b.TargetGroupArn, aws.ToInt32(b.ContainerPort)}})
			}
		}
	case t.active():
	case len(t.targets) > 0 && t.drainBegan.IsZero():
		for _, target := range t.targets {
			todo.deregister = append(todo.deregister, registration{t, s, target})
		}
	case len(t.targets) == 0, p.drained(t):
		t.release()
	}
}

// drained says that a task has no request left to answer as a target.
func (p *Plane) drained(t *task) bool { return t.targetHealth == "" || p.lb.serving == nil }

// place finds a subnet and an address for a new task of a service; p.mu is held.
func (p *Plane) place(s *service) (*task, error) {
	d := s.primary()
	definition := p.definitions[d.definition]
	if definition == nil {
		return nil, fmt.Errorf("the task definition %s is not known", d.definition)
	}
	configuration := s.api.NetworkConfiguration
	if configuration == nil || configuration.AwsvpcConfiguration == nil {
		return nil, errors.New("the service has no network configuration")
	}
	byZone, used := map[string]subnet{}, map[string]int{}
	var zones []string
	for _, id := range configuration.AwsvpcConfiguration.Subnets {
		if n, known := p.subnets[id]; known {
			zone := aws.ToString(n.AvailabilityZone)
			byZone[zone], zones = n, append(zones, zone)
		}
	}
	if len(zones) == 0 {
		return nil, errors.New("none of the service's subnets exists")
	}
	arn := aws.ToString(s.api.ServiceArn)
	for _, t := range p.tasks {
		if t.service == arn && t.active() && t.deployment == d.id {
			used[t.zone]++
		}
	}
	slices.Sort(zones)
	n := byZone[leastUsed(zones, used)]
	address, err := p.pool.take(n)
	if err != nil {
		return nil, err
	}
	t := p.newTask(definition)
	t.service, t.deployment, t.startedBy, t.group = arn, d.id, d.id, "service:"+s.name()
	t.private, t.allocated, t.host = address, true, p.addresses.host(address)
	t.subnet, t.zone, t.groups = aws.ToString(n.SubnetId), aws.ToString(n.AvailabilityZone), configuration.AwsvpcConfiguration.SecurityGroups
	t.tags = p.tagsFor(s, definition)
	return t, nil
}

// tagsFor are the tags of a service's tasks: those that it hands on, and ECS's own.
func (p *Plane) tagsFor(s *service, _ *ecstypes.TaskDefinition) []tagReport {
	var tags []tagReport
	if s.api.PropagateTags == ecstypes.PropagateTagsService {
		for _, t := range s.api.Tags {
			tags = append(tags, tagReport{aws.ToString(t.Key), aws.ToString(t.Value)})
		}
	}
	if s.api.EnableECSManagedTags {
		tags = append(tags, tagReport{"aws:ecs:clusterName", p.options.Cluster}, tagReport{"aws:ecs:serviceName", s.name()})
	}
	return tags
}

// call registers and deregisters targets.
func (p *Plane) call(ctx context.Context, todo calls) error {
	var faults []error
	each := func(all []registration, registers bool, ask func(group string, targets []elbtypes.TargetDescription) error, done func(registration), say string) {
		groups := map[string][]registration{}
		for _, r := range all {
			groups[r.group] = append(groups[r.group], r)
		}
		for _, group := range slices.Sorted(maps.Keys(groups)) {
			var targets []elbtypes.TargetDescription
			for _, r := range groups[group] {
				targets = append(targets, elbtypes.TargetDescription{Id: aws.String(r.task.private.String()), Port: aws.Int32(r.port)})
			}
			if err := ask(group, targets); err != nil && !cloud.IsNotFound(err) {
				faults = append(faults, err)
				continue
			} else if err == nil {
				p.watcher.made("elbv2")
			}
			if err := p.retarget(ctx, group, targets, registers); err != nil {
				faults = append(faults, err)
			}
			p.change(func() {
				for _, r := range groups[group] {
					done(r)
				}
				groups[group][0].service.say(time.Now(), say, len(targets), group)
			})
		}
	}
	each(todo.register, true, func(group string, targets []elbtypes.TargetDescription) error {
		_, err := p.clients.ELB.RegisterTargets(ctx, &elb.RegisterTargetsInput{TargetGroupArn: &group, Targets: targets})
		return err
	}, func(r registration) {
		r.task.targets, r.task.targetHealth = append(r.task.targets, r.target), p.firstHealth()
	}, "registered %d targets in (target-group %s)")
	each(todo.deregister, false, func(group string, targets []elbtypes.TargetDescription) error {
		_, err := p.clients.ELB.DeregisterTargets(ctx, &elb.DeregisterTargetsInput{TargetGroupArn: &group, Targets: targets})
		return err
	}, func(r registration) {
		r.task.drainBegan = time.Now()
		if p.lb.serving == nil {
			r.task.targetHealth = ""
		}
	}, "deregistered %d targets in (target-group %s)")
	return errors.Join(faults...)
}

// healthy says that a task runs and passes the checks of its containers and target groups, as far as there are any.
func (t *task) healthy(s *service) bool {
	return t.active() && t.status == statusRunning &&
		(!t.checked() || t.health == ecstypes.HealthStatusHealthy) &&
		(len(s.api.LoadBalancers) == 0 || t.targetHealth == string(elbtypes.TargetHealthStateEnumHealthy) ||
			t.targetHealth == string(elbtypes.TargetHealthStateEnumUnused))
}

// firstHealth is the health of a target that was just registered. Where the plane serves no load balancer, nothing checks it.
func (p *Plane) firstHealth() string {
	if p.lb.serving == nil {
		return string(elbtypes.TargetHealthStateEnumUnused)
	}
	return string(elbtypes.TargetHealthStateEnumInitial)
}

func (t *task) protected(now time.Time) bool { return now.Before(t.protectedTill) }

// desired is what ECS calls the desired status.
func (t *task) desired() string {
	if t.active() {
		return statusRunning
	}
	return statusStopped
}
