package ecs

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/cloud"
)

// ServiceArgs are the inputs of aws:ecs/service:Service.
type ServiceArgs struct {
	resource.Tagged
	Name                            string                `pulumi:"name" aws:"forcenew"`
	Cluster                         *string               `pulumi:"cluster,optional" aws:"forcenew,computed"`
	LaunchType                      *string               `pulumi:"launchType,optional" aws:"forcenew,computed"`
	SchedulingStrategy              *string               `pulumi:"schedulingStrategy,optional" aws:"forcenew"`
	PlatformVersion                 *string               `pulumi:"platformVersion,optional" aws:"computed"`
	TaskDefinition                  *string               `pulumi:"taskDefinition,optional"`
	DesiredCount                    *int                  `pulumi:"desiredCount,optional"`
	DeploymentMaximumPercent        *int                  `pulumi:"deploymentMaximumPercent,optional"`
	DeploymentMinimumHealthyPercent *int                  `pulumi:"deploymentMinimumHealthyPercent,optional"`
	DeploymentCircuitBreaker        *CircuitBreaker       `pulumi:"deploymentCircuitBreaker,optional"`
	AvailabilityZoneRebalancing     *string               `pulumi:"availabilityZoneRebalancing,optional"`
	HealthCheckGracePeriodSeconds   *int                  `pulumi:"healthCheckGracePeriodSeconds,optional"`
	EnableECSManagedTags            *bool                 `pulumi:"enableEcsManagedTags,optional"`
	EnableExecuteCommand            *bool                 `pulumi:"enableExecuteCommand,optional"`
	PropagateTags                   *string               `pulumi:"propagateTags,optional"`
	NetworkConfiguration            *NetworkConfiguration `pulumi:"networkConfiguration,optional"`
	LoadBalancers                   []LoadBalancer        `pulumi:"loadBalancers,optional" aws:"set"`
	WaitForSteadyState              *bool                 `pulumi:"waitForSteadyState,optional" aws:"writeonly"`
}

// CircuitBreaker says whether a deployment that keeps failing stops, and whether it is rolled back.
type CircuitBreaker struct {
	Enable   bool `pulumi:"enable"`
	Rollback bool `pulumi:"rollback"`
}

// NetworkConfiguration says where the tasks' network interfaces are.
type NetworkConfiguration struct {
	Subnets        []string `pulumi:"subnets" aws:"set"`
	SecurityGroups []string `pulumi:"securityGroups,optional" aws:"set"`
	AssignPublicIP *bool    `pulumi:"assignPublicIp,optional"`
}

// LoadBalancer registers a container's port with a target group.
type LoadBalancer struct {
	TargetGroupArn *string `pulumi:"targetGroupArn,optional"`
	ContainerName  string  `pulumi:"containerName"`
	ContainerPort  int     `pulumi:"containerPort"`
}

// ServiceState is the state of aws:ecs/service:Service; its id is the ARN.
type ServiceState struct {
	ServiceArgs
	resource.AllTags
	DeploymentController *deploymentController `pulumi:"deploymentController,optional"`
	// IamRole is the path and name of the role with which ECS reaches the load balancer.
	IamRole *string `pulumi:"iamRole,optional"`
}

// deploymentController is what rolls a service out: ECS itself, unless it was made otherwise.
type deploymentController struct {
	Type string `pulumi:"type"`
}

var service = resource.Description[ServiceArgs, ServiceState]{
	Token:  "aws:ecs/service:Service",
	Check:  checkService,
	Create: createService,
	Read:   readService,
	Update: func(ctx context.Context, c *resource.Cloud, id string, old ServiceState, a ServiceArgs) error {
		if in := serviceChanges(id, old.ServiceArgs, a); in != nil {
			if err := updateService(ctx, c, in, aws.ToBool(a.WaitForSteadyState)); err != nil {
				return err
			}
		}
		return updateTags(ctx, c, id, old.Tags, a.Tags)
	},
	Delete:  deleteService,
	Example: serviceExample,
}

// checkService fills in the official provider's defaults.
func checkService(a *ServiceArgs) []resource.Fault {
	a.SchedulingStrategy = resource.OrPrior(a.SchedulingStrategy, aws.String("REPLICA"))
	a.DesiredCount = resource.OrPrior(a.DesiredCount, aws.Int(0))
	a.DeploymentMaximumPercent = resource.OrPrior(a.DeploymentMaximumPercent, aws.Int(200))
	a.DeploymentMinimumHealthyPercent = resource.OrPrior(a.DeploymentMinimumHealthyPercent, aws.Int(100))
	a.AvailabilityZoneRebalancing = resource.OrPrior(a.AvailabilityZoneRebalancing, aws.String("DISABLED"))
	a.HealthCheckGracePeriodSeconds = resource.OrPrior(a.HealthCheckGracePeriodSeconds, aws.Int(0))
	a.EnableECSManagedTags = resource.OrPrior(a.EnableECSManagedTags, aws.Bool(false))
	a.EnableExecuteCommand = resource.OrPrior(a.EnableExecuteCommand, aws.Bool(false))
	if a.NetworkConfiguration != nil {
		a.NetworkConfiguration.AssignPublicIP = resource.OrPrior(a.NetworkConfiguration.AssignPublicIP, aws.Bool(false))
	}
	var faults []resource.Fault
	for _, e := range []struct {
		property string
		value    *string
		legal    []string
	}{
		{"launchType", a.LaunchType, names(types.LaunchType("").Values())},
		{"schedulingStrategy", a.SchedulingStrategy, []string{string(types.SchedulingStrategyReplica)}},
		{"availabilityZoneRebalancing", a.AvailabilityZoneRebalancing, names(types.AvailabilityZoneRebalancing("").Values())},
		{"propagateTags", a.PropagateTags, names(types.PropagateTags("").Values())},
	} {
		if v := aws.ToString(e.value); v != "" && !slices.Contains(e.legal, v) {
			faults = append(faults, resource.Fault{
				Property: e.property, Reason: fmt.Sprintf("%q is not one of %s", v, strings.Join(e.legal, ", ")),
			})
		}
	}
	return faults
}

func names[T ~string](values []T) []string {
	var list []string
	for _, v := range values {
		list = append(list, string(v))
	}
	return list
}

func createService(ctx context.Context, c *resource.Cloud, a ServiceArgs) (string, error) {
	in := &ecs.CreateServiceInput{
		ServiceName: &a.Name, Cluster: a.Cluster, LaunchType: types.LaunchType(aws.ToString(a.LaunchType)),
		SchedulingStrategy: types.SchedulingStrategy(aws.ToString(a.SchedulingStrategy)), PlatformVersion: a.PlatformVersion,
		TaskDefinition: a.TaskDefinition, DesiredCount: resource.Int32(a.DesiredCount),
		AvailabilityZoneRebalancing: types.AvailabilityZoneRebalancing(aws.ToString(a.AvailabilityZoneRebalancing)),
		EnableECSManagedTags:        aws.ToBool(a.EnableECSManagedTags), EnableExecuteCommand: aws.ToBool(a.EnableExecuteCommand),
		PropagateTags:        types.PropagateTags(aws.ToString(a.PropagateTags)),
		NetworkConfiguration: networkConfiguration(a), LoadBalancers: loadBalancers(a), Tags: tagList(a.Tags),
		DeploymentConfiguration: &types.DeploymentConfiguration{
			MaximumPercent: resource.Int32(a.DeploymentMaximumPercent), MinimumHealthyPercent: resource.Int32(a.DeploymentMinimumHealthyPercent),
			DeploymentCircuitBreaker: circuitBreaker(a),
		},
	}
	if aws.ToInt(a.HealthCheckGracePeriodSeconds) > 0 { // legal with a load balancer only
		in.HealthCheckGracePeriodSeconds = resource.Int32(a.HealthCheckGracePeriodSeconds)
	}
	var id string
	err := resource.Retry(ctx, "service "+a.Name+" is created", propagation+serviceTimeout, createHeals, func(ctx context.Context) error {
		out, err := c.ECS.CreateService(ctx, in)
		if err == nil {
			id = aws.ToString(out.Service.ServiceArn)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return id, awaitService(ctx, c, id, aws.ToString(a.Cluster), aws.ToBool(a.WaitForSteadyState))
}

// createHeals knows the refusals of a service whose role, load balancer or cluster ECS does not see yet.
func createHeals(err error) bool {
	return updateHeals(err) || cloud.HasCode(err, "ClusterNotFoundException") ||
		resource.Says(err, "InvalidParameterException", "Unable to assume the service linked role")
}

func updateHeals(err error) bool {
	return resource.Says(err, "InvalidParameterException", "verify that the ECS service role being passed has the proper permissions") ||
		resource.Says(err, "InvalidParameterException", "does not have an associated load balancer")
}

// awaitService waits until ECS shows the service and, where wanted, until it is steady.
func awaitService(ctx context.Context, c *resource.Cloud, id, cluster string, untilSteady bool) error {
	limit := resource.TimeoutOr(ctx, serviceTimeout)
	if untilSteady {
		return awaitSteady(ctx, c, id, cluster, limit)
	}
	return resource.PollThere(ctx, "service "+id+" is active", limit, func(ctx context.Context) (bool, error) {
		found, err := describeService(ctx, c, id, cluster)
		return err == nil && aws.ToString(found.Status) == statusActive, err
	})
}

func readService(ctx context.Context, c *resource.Cloud, id string, prior ServiceState) (ServiceState, error) {
	found, err := describeService(ctx, c, id, aws.ToString(prior.Cluster))
	if err != nil {
		return prior, err
	}
	if aws.ToString(found.Status) != statusActive {
		return prior, resource.ErrNotFound
	}
	s := prior
	s.DeploymentController = nil
	if d := found.DeploymentController; d != nil {
		s.DeploymentController = &deploymentController{string(d.Type)}
	}
	s.IamRole = nil
	if _, role, is := strings.Cut(aws.ToString(found.RoleArn), ":role"); is {
		s.IamRole = &role
	}
	s.Name, s.DesiredCount = aws.ToString(found.ServiceName), aws.Int(int(found.DesiredCount))
	s.Cluster = sameForm(found.ClusterArn, prior.Cluster)
	s.TaskDefinition = sameForm(found.TaskDefinition, prior.TaskDefinition)
	s.LaunchType = resource.OrPrior(resource.Text(found.LaunchType), prior.LaunchType)
	s.SchedulingStrategy = resource.OrPrior(resource.Text(found.SchedulingStrategy), prior.SchedulingStrategy)
	s.PlatformVersion = resource.OrPrior(found.PlatformVersion, prior.PlatformVersion)
	s.AvailabilityZoneRebalancing = resource.OrPrior(resource.Text(found.AvailabilityZoneRebalancing), prior.AvailabilityZoneRebalancing)
	s.HealthCheckGracePeriodSeconds = resource.OrPrior(resource.Int(found.HealthCheckGracePeriodSeconds), prior.HealthCheckGracePeriodSeconds)
	s.PropagateTags = propagated(found.PropagateTags, prior.PropagateTags)
	if found.told["enableECSManagedTags"] {
		s.EnableECSManagedTags = &found.EnableECSManagedTags
	}
	if found.told["enableExecuteCommand"] {
		s.EnableExecuteCommand = &found.EnableExecuteCommand
	}
	readDeployment(&s, found.DeploymentConfiguration)
	s.NetworkConfiguration, s.LoadBalancers = nil, nil
	if n := found.NetworkConfiguration; n != nil && n.AwsvpcConfiguration != nil {
		s.NetworkConfiguration = &NetworkConfiguration{
			Subnets: n.AwsvpcConfiguration.Subnets, SecurityGroups: n.AwsvpcConfiguration.SecurityGroups,
			AssignPublicIP: aws.Bool(n.AwsvpcConfiguration.AssignPublicIp == types.AssignPublicIpEnabled),
		}
	}
	for _, it := range found.LoadBalancers {
		s.LoadBalancers = append(s.LoadBalancers, LoadBalancer{
			TargetGroupArn: it.TargetGroupArn, ContainerName: aws.ToString(it.ContainerName), ContainerPort: int(aws.ToInt32(it.ContainerPort)),
		})
	}
	s.Tags = tagMap(found.Tags)
	s.TagsAll = s.Tags
	return s, nil
}

func readDeployment(s *ServiceState, d *types.DeploymentConfiguration) {
	if d == nil {
		return
	}
	s.DeploymentMaximumPercent = resource.OrPrior(resource.Int(d.MaximumPercent), s.DeploymentMaximumPercent)
	s.DeploymentMinimumHealthyPercent = resource.OrPrior(resource.Int(d.MinimumHealthyPercent), s.DeploymentMinimumHealthyPercent)
	// ECS tells one that does nothing where none was given.
	if b := d.DeploymentCircuitBreaker; b != nil && (b.Enable || b.Rollback || s.DeploymentCircuitBreaker != nil) {
		s.DeploymentCircuitBreaker = &CircuitBreaker{Enable: b.Enable, Rollback: b.Rollback}
	}
}

// sameForm writes an ARN that the API returned in the form that the program uses: the ARN, or what follows its slash.
func sameForm(arn, prior *string) *string {
	if arn == nil {
		return prior
	}
	if _, name, ok := strings.Cut(*arn, "/"); ok && aws.ToString(prior) != "" && !strings.HasPrefix(*prior, "arn:") {
		return &name
	}
	return arn
}

// propagated is what the API says of propagateTags; NONE is the same as nothing, unless the program says so.
func propagated(api types.PropagateTags, prior *string) *string {
	if api == types.PropagateTagsNone && aws.ToString(prior) == "" {
		return nil
	}
	return resource.OrPrior(resource.Text(api), prior)
}

// serviceChanges is the update that leads from old to now, or nil. Only what differs is sent, as a deployment follows
// from it.
func serviceChanges(id string, old, now ServiceArgs) *ecs.UpdateServiceInput {
	deployment := &types.DeploymentConfiguration{}
	in := &ecs.UpdateServiceInput{Service: &id, Cluster: now.Cluster}
	changed := map[string]bool{}
	differs := func(name string, a, b any) bool {
		changed[name] = !reflect.DeepEqual(a, b)
		return changed[name]
	}
	if differs("taskDefinition", old.TaskDefinition, now.TaskDefinition) {
		in.TaskDefinition = now.TaskDefinition
	}
	if differs("desiredCount", old.DesiredCount, now.DesiredCount) {
		in.DesiredCount = resource.Int32(now.DesiredCount)
	}
	if differs("platformVersion", old.PlatformVersion, now.PlatformVersion) {
		in.PlatformVersion = now.PlatformVersion
	}
	if differs("percent", []*int{old.DeploymentMaximumPercent, old.DeploymentMinimumHealthyPercent},
		[]*int{now.DeploymentMaximumPercent, now.DeploymentMinimumHealthyPercent}) {
		in.DeploymentConfiguration = deployment
		deployment.MaximumPercent = resource.Int32(now.DeploymentMaximumPercent)
		deployment.MinimumHealthyPercent = resource.Int32(now.DeploymentMinimumHealthyPercent)
	}
	if differs("deploymentCircuitBreaker", old.DeploymentCircuitBreaker, now.DeploymentCircuitBreaker) {
		in.DeploymentConfiguration = deployment
		deployment.DeploymentCircuitBreaker = resource.OrPrior(circuitBreaker(now), &types.DeploymentCircuitBreaker{})
	}
	if differs("availabilityZoneRebalancing", old.AvailabilityZoneRebalancing, now.AvailabilityZoneRebalancing) {
		in.AvailabilityZoneRebalancing = types.AvailabilityZoneRebalancing(aws.ToString(now.AvailabilityZoneRebalancing))
	}
	if differs("healthCheckGracePeriodSeconds", old.HealthCheckGracePeriodSeconds, now.HealthCheckGracePeriodSeconds) {
		in.HealthCheckGracePeriodSeconds = resource.Int32(now.HealthCheckGracePeriodSeconds)
	}
	if differs("enableEcsManagedTags", old.EnableECSManagedTags, now.EnableECSManagedTags) {
		in.EnableECSManagedTags = now.EnableECSManagedTags
	}
	if differs("enableExecuteCommand", old.EnableExecuteCommand, now.EnableExecuteCommand) {
		in.EnableExecuteCommand = now.EnableExecuteCommand
	}
	if differs("propagateTags", old.PropagateTags, now.PropagateTags) {
		in.PropagateTags = types.PropagateTags(aws.ToString(resource.OrPrior(now.PropagateTags, aws.String("NONE"))))
	}
	if differs("networkConfiguration", sortedNetwork(old), sortedNetwork(now)) {
		in.NetworkConfiguration = networkConfiguration(now)
	}
	if differs("loadBalancers", sortedBalancers(old), sortedBalancers(now)) {
		in.LoadBalancers = append([]types.LoadBalancer{}, loadBalancers(now)...)
	}
	differs("waitForSteadyState", aws.ToBool(old.WaitForSteadyState), aws.ToBool(now.WaitForSteadyState))
	if !slices.Contains(slices.Collect(maps.Values(changed)), true) {
		return nil
	}
	return in
}

func updateService(ctx context.Context, c *resource.Cloud, in *ecs.UpdateServiceInput, untilSteady bool) error {
	err := resource.Retry(ctx, "service "+*in.Service+" is updated", propagation+serviceTimeout, updateHeals, func(ctx context.Context) error {
		_, err := c.ECS.UpdateService(ctx, in)
		return err
	})
	if err != nil {
		return err
	}
	return awaitService(ctx, c, *in.Service, aws.ToString(in.Cluster), untilSteady)
}

// deleteService stops the tasks, deletes the service and waits until they have drained: only then are the network
// interfaces that use its security groups gone.
func deleteService(ctx context.Context, c *resource.Cloud, id string, s ServiceState) error {
	cluster := aws.ToString(s.Cluster)
	found, err := describeService(ctx, c, id, cluster)
	if err != nil || aws.ToString(found.Status) == statusInactive {
		return err
	}
	if aws.ToString(found.Status) != statusDraining {
		_, err := c.ECS.UpdateService(ctx, &ecs.UpdateServiceInput{Service: &id, Cluster: s.Cluster, DesiredCount: aws.Int32(0)})
		if err != nil {
			return fmt.Errorf("stopping its tasks: %w", err)
		}
	}
	limit := resource.TimeoutOr(ctx, serviceTimeout)
	err = resource.Retry(ctx, "service "+id+" can be deleted", limit,
		func(err error) bool {
			return resource.Says(err, "InvalidParameterException", "The service cannot be stopped while deployments are active.") ||
				resource.Says(err, "DependencyViolation", "has a dependent object")
		},
		func(ctx context.Context) error {
			_, err := c.ECS.DeleteService(ctx, &ecs.DeleteServiceInput{Service: &id, Cluster: s.Cluster})
			return err
		})
	if err != nil {
		return err
	}
	return resource.Poll(ctx, "service "+id+" has drained", limit, func(ctx context.Context) (bool, error) {
		found, err := describeService(ctx, c, id, cluster)
		if resource.NotFound(err) {
			return true, nil
		}
		return err == nil && aws.ToString(found.Status) == statusInactive, err
	})
}

func circuitBreaker(a ServiceArgs) *types.DeploymentCircuitBreaker {
	if a.DeploymentCircuitBreaker == nil {
		return nil
	}
	return &types.DeploymentCircuitBreaker{
		Enable: a.DeploymentCircuitBreaker.Enable, Rollback: a.DeploymentCircuitBreaker.Rollback,
	}
}

func networkConfiguration(a ServiceArgs) *types.NetworkConfiguration {
	if a.NetworkConfiguration == nil {
		return nil
	}
	public := types.AssignPublicIpDisabled
	if aws.ToBool(a.NetworkConfiguration.AssignPublicIP) {
		public = types.AssignPublicIpEnabled
	}
	return &types.NetworkConfiguration{AwsvpcConfiguration: &types.AwsVpcConfiguration{
		Subnets: a.NetworkConfiguration.Subnets, SecurityGroups: a.NetworkConfiguration.SecurityGroups, AssignPublicIp: public,
	}}
}

func sortedNetwork(a ServiceArgs) *NetworkConfiguration {
	if a.NetworkConfiguration == nil {
		return nil
	}
	n := *a.NetworkConfiguration
	n.Subnets, n.SecurityGroups = slices.Sorted(slices.Values(n.Subnets)), slices.Sorted(slices.Values(n.SecurityGroups))
	return &n
}

func loadBalancers(a ServiceArgs) []types.LoadBalancer {
	var list []types.LoadBalancer
	for _, it := range a.LoadBalancers {
		list = append(list, types.LoadBalancer{
			TargetGroupArn: it.TargetGroupArn, ContainerName: &it.ContainerName, ContainerPort: resource.Int32(&it.ContainerPort),
		})
	}
	return list
}

// sortedBalancers are the load balancers in an order of their own, in a form that compares.
func sortedBalancers(a ServiceArgs) []string {
	var list []string
	for _, it := range a.LoadBalancers {
		list = append(list, fmt.Sprintf("%s %s %d", aws.ToString(it.TargetGroupArn), it.ContainerName, it.ContainerPort))
	}
	return slices.Sorted(slices.Values(list))
}

// serviceExample is a service behind a listener of a load balancer, in two subnets.
func serviceExample(x resource.Scratch) resource.Example[ServiceArgs] {
	network := exampleNetwork(x)
	cluster := x.Make("aws:ecs/cluster:Cluster", map[string]any{"name": x.Name("cluster")})
	name := x.Name("service")
	task := func() string {
		made := x.Make("aws:ecs/taskDefinition:TaskDefinition", map[string]any{
			"family": name, "cpu": "1024", "memory": "2048", "networkMode": "awsvpc", "requiresCompatibilities": []any{"FARGATE"},
			"containerDefinitions": `[{"name":"app","image":"app:1","portMappings":[{"containerPort":8443}]}]`,
		})
		return made.Outputs["arn"].(string)
	}
	first, second := task(), task()
	return resource.Example[ServiceArgs]{
		Inputs: ServiceArgs{
			Name: name, Cluster: &cluster.ID, LaunchType: aws.String("FARGATE"), TaskDefinition: &first, DesiredCount: aws.Int(3),
			DeploymentCircuitBreaker:    &CircuitBreaker{Enable: true, Rollback: true},
			AvailabilityZoneRebalancing: aws.String("ENABLED"), EnableECSManagedTags: aws.Bool(true),
			PropagateTags: aws.String("SERVICE"), HealthCheckGracePeriodSeconds: aws.Int(60),
			NetworkConfiguration: &NetworkConfiguration{Subnets: network.subnets, SecurityGroups: network.groups[:1]},
			LoadBalancers:        []LoadBalancer{{TargetGroupArn: &network.targets, ContainerName: "app", ContainerPort: 8443}},
			WaitForSteadyState:   aws.Bool(true),
			Tagged:               resource.Tagged{Tags: map[string]string{"Name": "service"}},
		},
		Changes: []resource.Change[ServiceArgs]{
			{Name: "task definition", Apply: func(a *ServiceArgs) { a.TaskDefinition = &second }},
			{Name: "desired count", Apply: func(a *ServiceArgs) { a.DesiredCount = aws.Int(2) }},
			{Name: "percents", Apply: func(a *ServiceArgs) {
				a.DeploymentMaximumPercent, a.DeploymentMinimumHealthyPercent = aws.Int(150), aws.Int(50)
			}},
			{Name: "circuit breaker", Apply: func(a *ServiceArgs) { a.DeploymentCircuitBreaker = &CircuitBreaker{Enable: true} }},
			{Name: "rebalancing", Apply: func(a *ServiceArgs) { a.AvailabilityZoneRebalancing = aws.String("DISABLED") }},
			{Name: "managed tags", Apply: func(a *ServiceArgs) { a.EnableECSManagedTags = aws.Bool(false) }},
			{Name: "execute command", Apply: func(a *ServiceArgs) { a.EnableExecuteCommand = aws.Bool(true) }},
			{Name: "propagated tags", Apply: func(a *ServiceArgs) { a.PropagateTags = aws.String("TASK_DEFINITION") }},
			{Name: "grace period", Apply: func(a *ServiceArgs) { a.HealthCheckGracePeriodSeconds = aws.Int(90) }},
			{Name: "network", Apply: func(a *ServiceArgs) {
				a.NetworkConfiguration = &NetworkConfiguration{
					Subnets: network.subnets[:1], SecurityGroups: network.groups, AssignPublicIP: aws.Bool(true),
				}
			}},
			{Name: "no load balancer", Apply: func(a *ServiceArgs) { a.LoadBalancers, a.HealthCheckGracePeriodSeconds = nil, nil }},
			{Name: "no wait", Apply: func(a *ServiceArgs) { a.WaitForSteadyState = aws.Bool(false) }},
			{Name: "tags", Apply: func(a *ServiceArgs) { a.Tags = map[string]string{"Name": "other", "More": "yes"} }},
		},
	}
}

// network is what an example service stands on.
type network struct {
	subnets, groups []string
	targets         string
}

func exampleNetwork(x resource.Scratch) network {
	vpc := x.Make("aws:ec2/vpc:Vpc", map[string]any{"cidrBlock": "10.90.0.0/16"})
	n := network{}
	for i, zone := range []string{"us-east-1a", "us-east-1b"} {
		n.subnets = append(n.subnets, x.Make("aws:ec2/subnet:Subnet", map[string]any{
			"vpcId": vpc.ID, "cidrBlock": fmt.Sprintf("10.90.%d.0/24", i), "availabilityZone": zone,
		}).ID)
		n.groups = append(n.groups, x.Make("aws:ec2/securityGroup:SecurityGroup", map[string]any{
			"name": x.Name("group"), "description": "An example's.", "vpcId": vpc.ID,
		}).ID)
	}
	balancer := x.Make("aws:lb/loadBalancer:LoadBalancer", map[string]any{
		"name": x.Name("alb"), "internal": true, "loadBalancerType": "application",
		"subnets": []any{n.subnets[0], n.subnets[1]}, "securityGroups": []any{n.groups[0]},
	})
	n.targets = x.Make("aws:lb/targetGroup:TargetGroup", map[string]any{
		"name": x.Name("targets"), "port": 8443, "protocol": "HTTP", "targetType": "ip", "vpcId": vpc.ID,
	}).ID
	x.Make("aws:lb/listener:Listener", map[string]any{
		"loadBalancerArn": balancer.ID, "port": 80, "protocol": "HTTP",
		"defaultActions": []any{map[string]any{"type": "forward", "targetGroupArn": n.targets}},
	})
	return n
}
