package verify

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

// serviceKind is one of the brief's two services, or the task that runs once to prepare the database for them.
type serviceKind struct {
	name    string   // in the brief
	output  string   // the output that names the service, or the migration's task definition
	desired int32    // tasks, by the brief; the configuration may want more
	secrets []string // the outputs that name the secrets that it is given
}

func serviceKinds() []serviceKind {
	return []serviceKind{
		{
			name: partPaymentAPI, output: lib.OutputPaymentAPIServiceName, desired: 3,
			secrets: []string{lib.OutputPaymentAPIDBSecretArn, lib.OutputAPIKeysSecretArn},
		},
		{
			name: partJobProcessor, output: lib.OutputJobProcessorServiceName, desired: 2,
			secrets: []string{lib.OutputJobProcessorDBSecretArn},
		},
	}
}

// migrationKind is the task that prepares the database. It alone is given the master user's secret.
func migrationKind() serviceKind {
	return serviceKind{
		name: partPaymentMigrate, output: lib.OutputPaymentMigrateTaskDefinition,
		secrets: []string{lib.OutputDBSecretArn, lib.OutputPaymentAPIDBSecretArn, lib.OutputJobProcessorDBSecretArn},
	}
}

// taskKinds are all that have a task definition.
func taskKinds() []serviceKind { return append(serviceKinds(), migrationKind()) }

// databaseUser is a service's own user of the database.
func (kind serviceKind) databaseUser() string { return strings.ReplaceAll(kind.name, "-", "_") }

// logGroup is the name of the log group of a service, or of the migration.
func (e *Env) logGroup(kind serviceKind) string {
	return "/ecs/" + lib.PhysicalName(kind.name, e.Suffix)
}

func applicationChecks() []Check {
	checks := []Check{
		{
			ID:   "application.cluster",
			Says: "Set up ECS Fargate cluster with two services",
			Run:  recorded(ecsCluster),
		},
	}
	for _, kind := range serviceKinds() {
		checks = append(checks, Check{
			ID:   "application." + kind.name,
			Says: fmt.Sprintf("'%s' service with %d desired tasks", kind.name, kind.desired),
			Run:  recorded(desiredTasks(kind)),
		})
	}
	return append(checks, []Check{
		{
			ID:    "application.running",
			Says:  "Functionality: all AWS services deployed and integrated correctly: as many tasks run as are desired, and the deployment is complete",
			Needs: []Capability{capTasks},
			Run:   recorded(eachKind(runningTasks)),
		},
		{
			ID:   "application.private",
			Says: "Private subnets for compute and database resources: the services run in the private subnets without public addresses",
			PCI:  []string{"1.4.4"},
			Run:  recorded(servicesPrivate),
		},
		{
			ID:   "application.zones",
			Says: "Deploy containers across multiple availability zones for fault tolerance: each service spans the subnets of three",
			Run:  recorded(serviceZones),
		},
		{
			ID:    "application.zone-rebalancing",
			Says:  "Deploy containers across multiple availability zones for fault tolerance: ECS evens them out after a zone's failure (beyond the brief)",
			Needs: []Capability{capServiceSettings},
			Run: recorded(eachService(func(_ context.Context, _ *Env, x subject, svc ecstypes.Service) error {
				x.equal("availabilityZoneRebalancing", "ENABLED", svc.AvailabilityZoneRebalancing)
				return nil
			})),
		},
		{
			ID:    "application.tasks-spread",
			Says:  "High Availability: resources distributed across at least 2 availability zones: the running tasks of each service are",
			Needs: []Capability{capTasks},
			Run:   recorded(tasksSpread),
		},
		{
			ID:   "application.own-security-group",
			Says: "Security groups must follow least privilege principle: each service wears one group of its own",
			PCI:  []string{"1.4.2"},
			Run:  recorded(ownSecurityGroups),
		},
		{
			ID:    "application.circuit-breaker",
			Says:  "A deployment that fails rolls back by itself (beyond the brief)",
			Needs: []Capability{capServiceSettings},
			Run:   recorded(eachService(circuitBreaker)),
		},
		{
			ID:    "application.rolling-update",
			Says:  "Highly available, production-grade infrastructure: an update never runs fewer tasks than desired (100/200 percent), and new tasks get time to start (beyond the brief)",
			Needs: []Capability{capServiceSettings},
			Run:   recorded(eachService(rollingUpdate)),
		},
		{
			ID:   "application.load-balanced",
			Says: "Set up target groups for both ECS services: each service registers its container port with its own target group",
			Run:  recorded(eachService(loadBalanced)),
		},
		{
			ID:   "application.tag-propagation",
			Says: "Tag all resources: tasks get the tags of their service",
			Run: recorded(eachService(func(_ context.Context, _ *Env, x subject, svc ecstypes.Service) error {
				x.equal("propagateTags", "SERVICE", svc.PropagateTags)
				return nil
			})),
		},
		{
			ID:    "application.managed-tags",
			Says:  "Tag all resources: ECS adds cluster and service to the tags of tasks (beyond the brief)",
			Needs: []Capability{capServiceSettings},
			Run: recorded(eachService(func(_ context.Context, _ *Env, x subject, svc ecstypes.Service) error {
				x.equal("enableECSManagedTags", true, svc.EnableECSManagedTags)
				return nil
			})),
		},
		{
			ID:   "application.task-size",
			Says: "Configure proper task definitions with CPU and memory allocations",
			Run:  recorded(eachTask(taskSize)),
		},
		{
			ID:   "application.task-platform",
			Says: "Use ECS Fargate for containerized applications: the task definitions are for Fargate, X86_64 Linux, with an interface of their own per task",
			Run:  recorded(eachTask(taskPlatform)),
		},
		{
			ID:   "application.task-hardening",
			Says: "Containers run as a user other than root, on a read-only root file system, without privileges (beyond the brief)",
			PCI:  []string{"2.2.6", "7.2.5"},
			Run:  recorded(eachTask(taskHardening)),
		},
		{
			ID:   "application.secrets-injected",
			Says: "Use Secrets Manager for database credentials and API keys: containers get them through secrets, from the stack's own secrets and parameters, each its own and payment-migrate alone the master user's",
			PCI:  []string{"8.6.2"},
			Run:  recorded(eachTask(secretsInjected)),
		},
		{
			ID:   "application.no-secret-in-environment",
			Says: "Use Secrets Manager for database credentials and API keys: no plain environment variable holds one",
			PCI:  []string{"8.3.2", "8.6.2"},
			Run:  recorded(eachTask(noSecretInEnvironment)),
		},
		{
			ID:   "application.logs",
			Says: "Use CloudWatch Logs for centralized logging: each container writes to the log group of its service",
			PCI:  []string{"10.2.1"},
			Run:  recorded(eachTask(taskLogs)),
		},
		{
			ID:   "application.container-health",
			Says: "Enable connection draining and health checks: each container of a service has one, and every container, when stopped, the time that its longest work takes, up to Fargate's limit",
			Run:  recorded(eachTask(containerHealth)),
		},
		{
			ID:   "application.migration",
			Says: "The database is prepared by a task that runs when it is started, in no service, behind no load balancer and in a security group of its own (beyond the brief)",
			PCI:  []string{"7.2.5"},
			Run:  recorded(migrationTask),
		},
	}...)
}

func (e *Env) cluster(ctx context.Context) (ecstypes.Cluster, error) {
	return byOutput(ctx, e, "ECS cluster", lib.OutputEcsClusterName, e.cloud.ECSClusters, func(c ecstypes.Cluster) *string { return c.ClusterName })
}

func (e *Env) service(ctx context.Context, kind serviceKind) (ecstypes.Service, error) {
	return byOutput(ctx, e, "ECS service", kind.output, e.services, func(s ecstypes.Service) *string { return s.ServiceName })
}

// taskDefinition is the one that a service runs, or that the migration is to be started with.
func (e *Env) taskDefinition(ctx context.Context, kind serviceKind) (cloud.TaskDefinition, error) {
	if kind.name == partPaymentMigrate {
		id, err := e.output(kind.output)
		if err != nil {
			return cloud.TaskDefinition{}, err
		}
		return e.cloud.TaskDefinition(ctx, id)
	}
	svc, err := e.service(ctx, kind)
	if err != nil {
		return cloud.TaskDefinition{}, err
	}
	return e.cloud.TaskDefinition(ctx, aws.ToString(svc.TaskDefinition))
}

// rolloutBound is how long a deployment whose tasks run may take to be called complete.
const rolloutBound = 5 * time.Minute

// services are those of the cluster. Where tasks of a deployment run already, its end is awaited: ECS calls it complete only
// when the load balancer has found them healthy, which a deployment by Pulumi does not wait for.
func (e *Env) services(ctx context.Context) ([]ecstypes.Service, error) {
	cluster, err := e.output(lib.OutputEcsClusterName)
	if err != nil {
		return nil, err
	}
	return cloud.Once(ctx, e.cloud, "services of "+cluster, func(ctx context.Context) ([]ecstypes.Service, error) {
		services, err := e.cloud.ECSServices(ctx, cluster)
		if err != nil || !slices.ContainsFunc(services, settling) {
			return services, err
		}
		names := texts(services, func(s ecstypes.Service) string { return aws.ToString(s.ServiceArn) })
		_, err = e.poll(ctx, rolloutBound, func(ctx context.Context) (bool, error) {
			out, err := e.cloud.ECS.DescribeServices(ctx, &ecs.DescribeServicesInput{
				Cluster: &cluster, Services: names, Include: []ecstypes.ServiceField{ecstypes.ServiceFieldTags},
			})
			if err != nil {
				return false, err
			}
			services = out.Services
			return !slices.ContainsFunc(services, settling), nil
		})
		return services, err
	})
}

// settling says that a deployment of a service is under way and that its tasks run.
func settling(svc ecstypes.Service) bool {
	return svc.RunningCount > 0 && slices.ContainsFunc(svc.Deployments, func(d ecstypes.Deployment) bool {
		return d.RolloutState == ecstypes.DeploymentRolloutStateInProgress
	})
}

func serviceNetwork(svc ecstypes.Service) ecstypes.AwsVpcConfiguration {
	if svc.NetworkConfiguration == nil || svc.NetworkConfiguration.AwsvpcConfiguration == nil {
		return ecstypes.AwsVpcConfiguration{}
	}
	return *svc.NetworkConfiguration.AwsvpcConfiguration
}

// essential is the essential container of a service's task definition.
func essential(td cloud.TaskDefinition) (ecstypes.ContainerDefinition, error) {
	return findOne("essential container in "+aws.ToString(td.TaskDefinitionArn), td.ContainerDefinitions, func(c ecstypes.ContainerDefinition) bool {
		return c.Essential == nil || *c.Essential
	})
}

// containerPort is the port on which the load balancer reaches both services.
func (e *Env) containerPort(ctx context.Context) (int32, error) {
	var port int32
	for _, kind := range serviceKinds() {
		svc, err := e.service(ctx, kind)
		if err != nil {
			return 0, err
		}
		if len(svc.LoadBalancers) == 0 {
			return 0, fmt.Errorf("service %s is behind no load balancer", kind.name)
		}
		for _, b := range svc.LoadBalancers {
			p := aws.ToInt32(b.ContainerPort)
			if port != 0 && p != port {
				return 0, fmt.Errorf("the services listen on different ports, %d and %d", port, p)
			}
			port = p
		}
	}
	return port, nil
}

func eachKind(look func(ctx context.Context, e *Env, rec *recorder, kind serviceKind) error) func(context.Context, *Env, *recorder) error {
	return func(ctx context.Context, e *Env, rec *recorder) error {
		for _, kind := range serviceKinds() {
			if err := look(ctx, e, rec, kind); err != nil {
				return err
			}
		}
		return nil
	}
}

func eachService(look func(ctx context.Context, e *Env, x subject, svc ecstypes.Service) error) func(context.Context, *Env, *recorder) error {
	return eachKind(func(ctx context.Context, e *Env, rec *recorder, kind serviceKind) error {
		svc, err := e.service(ctx, kind)
		if err != nil {
			return err
		}
		return look(ctx, e, rec.on(aws.ToString(svc.ServiceArn)), svc)
	})
}

func eachTask(look func(ctx context.Context, e *Env, x subject, kind serviceKind, td cloud.TaskDefinition) error) func(context.Context, *Env, *recorder) error {
	return func(ctx context.Context, e *Env, rec *recorder) error {
		for _, kind := range taskKinds() {
			td, err := e.taskDefinition(ctx, kind)
			if err != nil {
				return err
			}
			if err := look(ctx, e, rec.on(aws.ToString(td.TaskDefinitionArn)), kind, td); err != nil {
				return err
			}
		}
		return nil
	}
}

func ecsCluster(ctx context.Context, e *Env, rec *recorder) error {
	c, err1 := e.cluster(ctx)
	services, err2 := e.services(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	x := rec.on(aws.ToString(c.ClusterArn))
	x.equal("status", "ACTIVE", c.Status)
	x.includes("capacity providers", []string{"FARGATE"}, c.CapacityProviders)
	var wanted []string
	for _, kind := range serviceKinds() {
		name, err := e.output(kind.output)
		if err != nil {
			return err
		}
		wanted = append(wanted, name)
	}
	x.sameSet("services", wanted, texts(services, func(s ecstypes.Service) string { return aws.ToString(s.ServiceName) }))
	return nil
}

// desiredTasks allows more than the configured count: autoscaling adds tasks under load and never goes below.
func desiredTasks(kind serviceKind) func(context.Context, *Env, *recorder) error {
	return func(ctx context.Context, e *Env, rec *recorder) error {
		svc, err1 := e.service(ctx, kind)
		target, err2 := e.scalableTarget(ctx, kind)
		cfg, err3 := e.configuration()
		if err := cmp.Or(err1, err2, err3); err != nil {
			return err
		}
		least, most := kind.tasks(cfg)
		x := rec.on(aws.ToString(svc.ServiceArn))
		x.equal("status", "ACTIVE", svc.Status)
		x.record("runs on", "Fargate", onFargate(svc), strings.HasPrefix(onFargate(svc), "FARGATE"))
		x.equal("least count of autoscaling", least, target.MinCapacity)
		x.record("desired tasks", fmt.Sprintf("%d, or up to %d under load", least, most), svc.DesiredCount,
			svc.DesiredCount >= least && svc.DesiredCount <= most)
		kind.fewer(rec, least)
		return nil
	}
}

func onFargate(svc ecstypes.Service) string {
	if svc.LaunchType != "" {
		return string(svc.LaunchType)
	}
	return listText(texts(svc.CapacityProviderStrategy, func(p ecstypes.CapacityProviderStrategyItem) string { return aws.ToString(p.CapacityProvider) }))
}

// runningTasks holds a service to the least that is configured as well: none is as many as desired where none is.
func runningTasks(ctx context.Context, e *Env, rec *recorder, kind serviceKind) error {
	svc, err1 := e.service(ctx, kind)
	cfg, err2 := e.configuration()
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	least, _ := kind.tasks(cfg)
	kind.fewer(rec, least)
	x := rec.on(aws.ToString(svc.ServiceArn))
	x.record("running tasks", fmt.Sprintf("%d, as desired, and at least %d", svc.DesiredCount, least), svc.RunningCount,
		svc.RunningCount == svc.DesiredCount && svc.RunningCount >= least)
	for _, d := range svc.Deployments {
		if aws.ToString(d.Status) == "PRIMARY" {
			x.equal("state of the deployment", "COMPLETED", d.RolloutState)
		}
	}
	return nil
}

func servicesPrivate(ctx context.Context, e *Env, rec *recorder) error {
	private, err := e.outputList(lib.OutputPrivateSubnetIDs)
	if err != nil {
		return err
	}
	return eachService(func(_ context.Context, _ *Env, x subject, svc ecstypes.Service) error {
		n := serviceNetwork(svc)
		x.sameSet("subnets", private, n.Subnets)
		x.equal("assignPublicIp", "DISABLED", n.AssignPublicIp)
		return nil
	})(ctx, e, rec)
}

func serviceZones(ctx context.Context, e *Env, rec *recorder) error {
	all, err1 := e.vpcSubnets(ctx)
	zones, err2 := e.outputList(lib.OutputAvailabilityZones)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	return eachService(func(_ context.Context, _ *Env, x subject, svc ecstypes.Service) error {
		var got []string
		for _, n := range all {
			if slices.Contains(serviceNetwork(svc).Subnets, aws.ToString(n.SubnetId)) {
				got = append(got, aws.ToString(n.AvailabilityZone))
			}
		}
		x.sameSet("zones of the subnets", zones, got)
		return nil
	})(ctx, e, rec)
}

func tasksSpread(ctx context.Context, e *Env, rec *recorder) error {
	cluster, err := e.output(lib.OutputEcsClusterName)
	if err != nil {
		return err
	}
	tasks, err := e.cloud.ECSTasks(ctx, cluster)
	if err != nil {
		return err
	}
	return eachService(func(_ context.Context, _ *Env, x subject, svc ecstypes.Service) error {
		var zones []string
		for _, t := range tasks {
			if aws.ToString(t.Group) == "service:"+aws.ToString(svc.ServiceName) && aws.ToString(t.LastStatus) == "RUNNING" {
				zones = append(zones, aws.ToString(t.AvailabilityZone))
			}
		}
		zones = distinct(zones)
		x.record("zones with running tasks", "at least 2", listText(zones), len(zones) >= 2)
		return nil
	})(ctx, e, rec)
}

func ownSecurityGroups(ctx context.Context, e *Env, rec *recorder) error {
	parts, err := e.attachedGroups(ctx)
	if err != nil {
		return err
	}
	for _, kind := range serviceKinds() {
		svc, err := e.service(ctx, kind)
		if err != nil {
			return err
		}
		x := rec.on(aws.ToString(svc.ServiceArn))
		groups := serviceNetwork(svc).SecurityGroups
		x.equal("number of security groups", 1, len(groups))
		for _, g := range groups {
			x.equal("attached to", kind.name, parts[g])
		}
	}
	return nil
}

func circuitBreaker(_ context.Context, _ *Env, x subject, svc ecstypes.Service) error {
	var breaker ecstypes.DeploymentCircuitBreaker
	if c := svc.DeploymentConfiguration; c != nil && c.DeploymentCircuitBreaker != nil {
		breaker = *c.DeploymentCircuitBreaker
	}
	x.equal("circuit breaker", true, breaker.Enable)
	x.equal("rollback", true, breaker.Rollback)
	return nil
}

func rollingUpdate(_ context.Context, _ *Env, x subject, svc ecstypes.Service) error {
	var c ecstypes.DeploymentConfiguration
	if svc.DeploymentConfiguration != nil {
		c = *svc.DeploymentConfiguration
	}
	x.equal("minimumHealthyPercent", 100, c.MinimumHealthyPercent)
	x.equal("maximumPercent", 200, c.MaximumPercent)
	grace := aws.ToInt32(svc.HealthCheckGracePeriodSeconds)
	x.record("seconds of grace for health checks", "more than 0", grace, grace > 0)
	return nil
}

func loadBalanced(ctx context.Context, e *Env, x subject, svc ecstypes.Service) error {
	td, err := e.cloud.TaskDefinition(ctx, aws.ToString(svc.TaskDefinition))
	if err != nil {
		return err
	}
	c, err := essential(td)
	if err != nil {
		return err
	}
	x.equal("load balancers", 1, len(svc.LoadBalancers))
	ports := texts(c.PortMappings, func(p ecstypes.PortMapping) string { return text(p.ContainerPort) })
	for _, b := range svc.LoadBalancers {
		x.equal("container behind the load balancer", c.Name, b.ContainerName)
		x.includes("ports of the container", []string{text(b.ContainerPort)}, ports)
	}
	return nil
}

// fargateMemory is what Fargate offers, in MiB, by CPU units (AWS, "Fargate task size").
var fargateMemory = map[string]struct{ least, most int64 }{
	"256":   {512, 2 * gib},
	"512":   {1 * gib, 4 * gib},
	"1024":  {2 * gib, 8 * gib},
	"2048":  {4 * gib, 16 * gib},
	"4096":  {8 * gib, 30 * gib},
	"8192":  {16 * gib, 60 * gib},
	"16384": {32 * gib, 120 * gib},
}

const gib = 1024 // in MiB

func taskSize(_ context.Context, _ *Env, x subject, _ serviceKind, td cloud.TaskDefinition) error {
	cpu, memory := aws.ToString(td.Cpu), aws.ToString(td.Memory)
	size, known := fargateMemory[cpu]
	x.record("CPU units", "a size that Fargate offers", cpu, known)
	var mib int64
	if _, err := fmt.Sscan(memory, &mib); err != nil {
		x.record("memory in MiB", "a number", memory, false)
		return nil
	}
	x.within("memory in MiB", size.least, size.most, mib)
	return nil
}

func taskPlatform(_ context.Context, _ *Env, x subject, _ serviceKind, td cloud.TaskDefinition) error {
	x.sameSet("requires", []string{"FARGATE"}, texts(td.RequiresCompatibilities, func(c ecstypes.Compatibility) string { return string(c) }))
	x.equal("network mode", "awsvpc", td.NetworkMode)
	var p ecstypes.RuntimePlatform
	if td.RuntimePlatform != nil {
		p = *td.RuntimePlatform
	}
	x.equal("processor", "X86_64", p.CpuArchitecture)
	x.equal("operating system", "LINUX", p.OperatingSystemFamily)
	return nil
}

func taskHardening(_ context.Context, _ *Env, x subject, _ serviceKind, td cloud.TaskDefinition) error {
	for _, c := range td.ContainerDefinitions {
		name := aws.ToString(c.Name) + ": "
		x.record(name+"user", "not root", aws.ToString(c.User), !isRoot(aws.ToString(c.User)))
		x.equal(name+"readonlyRootFilesystem", true, aws.ToBool(c.ReadonlyRootFilesystem))
		x.equal(name+"privileged", false, aws.ToBool(c.Privileged))
		var added, dropped []string
		if c.LinuxParameters != nil && c.LinuxParameters.Capabilities != nil {
			added, dropped = c.LinuxParameters.Capabilities.Add, c.LinuxParameters.Capabilities.Drop
		}
		x.sameSet(name+"kernel capabilities added", nil, added)
		x.includes(name+"kernel capabilities dropped", []string{"ALL"}, dropped)
		x.record(name+"a place to write", "a mounted volume", len(c.MountPoints), len(c.MountPoints) > 0)
	}
	return nil
}

// isRoot knows root by name and number, with or without a group; a container without a user runs as root unless its
// image says otherwise, which nobody can see here.
func isRoot(user string) bool {
	name, _, _ := strings.Cut(user, ":")
	return name == "" || name == "root" || strings.Trim(name, "0") == ""
}

// secretSource is the ARN of the secret or parameter that a container's secret comes from, without the key inside it
// (arn:…:secret:name:key:stage:version).
func secretSource(valueFrom string) string {
	id, err := arn.Parse(valueFrom)
	if err != nil || id.Service != "secretsmanager" {
		return valueFrom
	}
	parts := strings.SplitN(id.Resource, ":", 3)
	if len(parts) < 3 {
		return valueFrom
	}
	id.Resource = parts[0] + ":" + parts[1]
	return id.String()
}

func secretsInjected(ctx context.Context, e *Env, x subject, kind serviceKind, td cloud.TaskDefinition) error {
	own, err1 := e.secretsOf(kind)
	parameters, err2 := e.parameters(ctx)
	c, err3 := essential(td)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return err
	}
	var settings, sources []string
	for _, p := range parameters {
		settings = append(settings, aws.ToString(p.ARN))
	}
	for _, s := range c.Secrets {
		from := secretSource(aws.ToString(s.ValueFrom))
		x.record("source of "+aws.ToString(s.Name), "a secret of its own or a parameter of this stack", from, slices.Contains(slices.Concat(own, settings), from))
		sources = append(sources, from)
	}
	x.sameSet("secrets that it is given", own, distinct(except(sources, settings)))
	return nil
}

// secretsOf are the ARNs of the secrets that a task is given.
func (e *Env) secretsOf(kind serviceKind) ([]string, error) {
	var ids []string
	for _, output := range kind.secrets {
		id, err := e.output(output)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// noSecretInEnvironment looks for the real values of the stack's secrets, and for names that promise one.
func noSecretInEnvironment(ctx context.Context, e *Env, x subject, _ serviceKind, td cloud.TaskDefinition) error {
	values, err := e.secretValues(ctx)
	if err != nil {
		return err
	}
	x.record("secrets to look for", "at least 1", len(values), len(values) > 0)
	for _, c := range td.ContainerDefinitions {
		for _, v := range c.Environment {
			name := aws.ToString(v.Name)
			holds := slices.ContainsFunc(values, func(secret string) bool { return strings.Contains(aws.ToString(v.Value), secret) })
			x.equal("variable "+name+" is named like a secret", false, looksSecret(name))
			x.equal("variable "+name+" holds a secret", false, holds)
		}
	}
	return nil
}

var secretName = regexp.MustCompile(`(?i)password|passwd|secret|token|api_?key|private_?key|credential|connectionstring`)

func looksSecret(name string) bool { return secretName.MatchString(name) }

func taskLogs(ctx context.Context, e *Env, x subject, kind serviceKind, td cloud.TaskDefinition) error {
	groups, err := e.cloud.LogGroups(ctx)
	if err != nil {
		return err
	}
	for _, c := range td.ContainerDefinitions {
		name := aws.ToString(c.Name) + ": "
		var l ecstypes.LogConfiguration
		if c.LogConfiguration != nil {
			l = *c.LogConfiguration
		}
		x.equal(name+"log driver", "awslogs", l.LogDriver)
		group := l.Options["awslogs-group"]
		x.equal(name+"log group", e.logGroup(kind), group)
		x.record(name+"log group", "exists", group, findLogGroup(groups, group) != nil)
		x.equal(name+"log region", e.cloud.Region, l.Options["awslogs-region"])
		// AWS changed the default from blocking to non-blocking on 2025-06-25: what is meant must be said.
		x.present(name+"log mode", l.Options["mode"])
		if l.Options["mode"] == "non-blocking" {
			x.present(name+"log buffer", l.Options["max-buffer-size"])
		}
	}
	return nil
}

// mostStopSeconds is the most time that Fargate grants a container to stop (AWS, "Container definition").
const mostStopSeconds = 120

// longestWork is how long a service may be at one request or job, in seconds: the API's timeout, and the time after which
// the queue hands a job out again. A migration takes what it takes.
func (kind serviceKind) longestWork(cfg lib.Config) int64 {
	switch kind.name {
	case partJobProcessor:
		return int64(cfg.QueueVisibilityTimeoutSeconds)
	case partPaymentMigrate:
		return mostStopSeconds
	}
	return int64(cfg.APITimeoutSeconds)
}

func containerHealth(_ context.Context, e *Env, x subject, kind serviceKind, td cloud.TaskDefinition) error {
	c, err1 := essential(td)
	cfg, err2 := e.configuration()
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	if kind.name != partPaymentMigrate { // which serves nobody
		var h ecstypes.HealthCheck
		if c.HealthCheck != nil {
			h = *c.HealthCheck
		}
		x.record("health check command", "present", len(h.Command), len(h.Command) > 1)
		x.record("health check path", "/health", strings.Join(h.Command, " "), strings.Contains(strings.Join(h.Command, " "), healthPath))
	}
	x.within("seconds to stop", min(mostStopSeconds, max(drainSeconds, kind.longestWork(cfg))), mostStopSeconds, int64(aws.ToInt32(c.StopTimeout)))
	return nil
}

func migrationTask(ctx context.Context, e *Env, rec *recorder) error {
	td, err1 := e.taskDefinition(ctx, migrationKind())
	services, err2 := e.services(ctx)
	parts, err3 := e.attachedGroups(ctx)
	group, err4 := e.output(lib.OutputPaymentMigrateSecurityGroup)
	all, err5 := e.securityGroups(ctx)
	if err := cmp.Or(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	x := rec.on(aws.ToString(td.TaskDefinitionArn))
	x.equal("status", ecstypes.TaskDefinitionStatusActive, td.Status)
	x.equal("family", lib.PhysicalName(partPaymentMigrate, e.Suffix), td.Family)
	var ports, running []string
	for _, c := range td.ContainerDefinitions {
		ports = append(ports, texts(c.PortMappings, func(p ecstypes.PortMapping) string { return text(p.ContainerPort) })...)
	}
	x.sameSet("ports", nil, ports)
	for _, svc := range services {
		if strings.Contains(aws.ToString(svc.TaskDefinition), "/"+aws.ToString(td.Family)+":") {
			running = append(running, aws.ToString(svc.ServiceName))
		}
	}
	x.sameSet("services that start it again and again", nil, running)
	found := slices.ContainsFunc(all, func(g ec2types.SecurityGroup) bool { return aws.ToString(g.GroupId) == group })
	rec.on(e.cloud.EC2ARN(ctx, "security-group", group)).record("security group", "in the VPC, for this task alone", parts[group], found && parts[group] == partPaymentMigrate)
	return nil
}
