package integration

import (
	"context"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	scalingtypes "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"tapstack/lib"
)

// The two services.
const (
	paymentAPI   = "payment-api"
	jobProcessor = "job-processor"
)

// scaled says why a count of tasks is not put back.
const scaled = "the stack ignores a service's count once it is made, since autoscaling owns it: on AWS it brings back the least count by itself"

func applicationSabotages() []sabotage {
	return []sabotage{
		{
			Check: "application.cluster", Says: "take Fargate from the cluster", On: "capacity providers",
			Do: func(ctx context.Context, s *saboteur) {
				call(ctx, s, s.ECS.PutClusterCapacityProviders, &ecs.PutClusterCapacityProvidersInput{
					Cluster: aws.String(s.output(lib.OutputEcsClusterName)), CapacityProviders: []string{"FARGATE_SPOT"},
					DefaultCapacityProviderStrategy: []types.CapacityProviderStrategyItem{{CapacityProvider: aws.String("FARGATE_SPOT"), Weight: 1}},
				})
			},
		},
		wantsTasks("application.payment-api", paymentAPI, 3),
		wantsTasks("application.job-processor", jobProcessor, 2),
		updatesService("application.private", "give a service's tasks public addresses", func(_ *saboteur, in *ecs.UpdateServiceInput, was types.Service) {
			network := *was.NetworkConfiguration.AwsvpcConfiguration
			network.AssignPublicIp = types.AssignPublicIpEnabled
			in.NetworkConfiguration = &types.NetworkConfiguration{AwsvpcConfiguration: &network}
		}),
		updatesService("application.zones", "leave a service two zones", func(_ *saboteur, in *ecs.UpdateServiceInput, was types.Service) {
			network := *was.NetworkConfiguration.AwsvpcConfiguration
			network.Subnets = network.Subnets[:2]
			in.NetworkConfiguration = &types.NetworkConfiguration{AwsvpcConfiguration: &network}
		}, "application.private"),
		{
			Check: "application.own-security-group", Says: "let payment-api wear the default security group as well", On: "services",
			Also: []string{"network.ingress-rules", "network.egress-rules"},
			Do: func(ctx context.Context, s *saboteur) {
				group := s.securityGroup(ctx, "default")
				s.updateService(ctx, paymentAPI, func(_ *saboteur, in *ecs.UpdateServiceInput, was types.Service) {
					network := *was.NetworkConfiguration.AwsvpcConfiguration
					network.SecurityGroups = append(slices.Clone(network.SecurityGroups), *group)
					in.NetworkConfiguration = &types.NetworkConfiguration{AwsvpcConfiguration: &network}
				})
			},
		},
		updatesService("application.tag-propagation", "propagate no tags to the tasks", func(_ *saboteur, in *ecs.UpdateServiceInput, _ types.Service) {
			in.PropagateTags = types.PropagateTagsNone
		}),
		updatesService("application.zone-rebalancing", "switch zone rebalancing off", func(_ *saboteur, in *ecs.UpdateServiceInput, _ types.Service) {
			in.AvailabilityZoneRebalancing = types.AvailabilityZoneRebalancingDisabled
		}),
		updatesService("application.circuit-breaker", "switch the circuit breaker off", func(_ *saboteur, in *ecs.UpdateServiceInput, was types.Service) {
			in.DeploymentConfiguration = &types.DeploymentConfiguration{DeploymentCircuitBreaker: &types.DeploymentCircuitBreaker{}}
		}),
		updatesService("application.rolling-update", "let an update stop half of the tasks", func(_ *saboteur, in *ecs.UpdateServiceInput, was types.Service) {
			in.DeploymentConfiguration = &types.DeploymentConfiguration{MinimumHealthyPercent: aws.Int32(50)}
		}),
		updatesService("application.managed-tags", "switch ECS's own tags off", func(_ *saboteur, in *ecs.UpdateServiceInput, _ types.Service) {
			in.EnableECSManagedTags = aws.Bool(false)
		}),
		{
			Check: "application.running", Says: "stop a service's tasks for good", On: "services", Unhealable: scaled,
			Also: []string{"application.payment-api", "application.tasks-spread", "scaling.targets", "alb.healthy-targets", "alb.answers"},
			Do: func(ctx context.Context, s *saboteur) {
				s.suspendScaling(ctx, paymentAPI, true)
				s.later(func(ctx context.Context) { s.suspendScaling(ctx, paymentAPI, false) })
				s.wantTasks(ctx, paymentAPI, 0, 3)
			},
		},
		{
			Check: "application.tasks-spread", Says: "run a service's tasks in one zone", On: "services",
			Also: []string{"application.private", "application.zones"},
			Do: func(ctx context.Context, s *saboteur) {
				s.moveTasks(ctx, jobProcessor, func(subnets []string) []string { return subnets[:1] })
			},
		},
		{
			Check: "alb.healthy-targets", Says: "take the job processor's tasks off its target group", On: "services", Also: []string{"alb.answers"},
			Unhealable: "targets are ECS's to register, not Pulumi's: a new deployment of the service does",
			Do: func(ctx context.Context, s *saboteur) {
				group := s.targetGroup(ctx, jobProcessor)
				health := call(ctx, s, s.ELB.DescribeTargetHealth, &elb.DescribeTargetHealthInput{TargetGroupArn: group})
				var targets []elbtypes.TargetDescription
				for _, h := range health.TargetHealthDescriptions {
					targets = append(targets, *h.Target)
				}
				later(s, s.ELB.RegisterTargets, &elb.RegisterTargetsInput{TargetGroupArn: group, Targets: targets})
				call(ctx, s, s.ELB.DeregisterTargets, &elb.DeregisterTargetsInput{TargetGroupArn: group, Targets: targets})
			},
		},
		revisesTask("application.load-balanced", "move the container to another port", func(td *ecs.RegisterTaskDefinitionInput, c *types.ContainerDefinition) {
			c.PortMappings = []types.PortMapping{{ContainerPort: aws.Int32(9999), HostPort: aws.Int32(9999), Protocol: types.TransportProtocolTcp}}
		}),
		revisesTask("application.task-size", "give a task more memory than Fargate has for its processor", func(td *ecs.RegisterTaskDefinitionInput, c *types.ContainerDefinition) {
			td.Memory = aws.String("16384")
		}),
		revisesTask("application.task-platform", "move a task to another processor", func(td *ecs.RegisterTaskDefinitionInput, c *types.ContainerDefinition) {
			td.RuntimePlatform = &types.RuntimePlatform{CpuArchitecture: types.CPUArchitectureArm64, OperatingSystemFamily: types.OSFamilyLinux}
		}),
		revisesTask("application.task-hardening", "run a container as root", func(td *ecs.RegisterTaskDefinitionInput, c *types.ContainerDefinition) {
			c.User = aws.String("0:0")
		}),
		revisesTask("application.secrets-injected", "inject no secret", func(td *ecs.RegisterTaskDefinitionInput, c *types.ContainerDefinition) {
			c.Secrets = nil
		}, "iam.execution-roles"),
		{
			Check: "application.secrets-injected", Says: "give payment-api the master user's connection", Also: []string{"iam.execution-roles"},
			Do: func(ctx context.Context, s *saboteur) {
				s.reviseTask(ctx, func(_ *ecs.RegisterTaskDefinitionInput, c *types.ContainerDefinition) {
					for i, secret := range c.Secrets {
						if aws.ToString(secret.Name) == "DATABASE_URL" {
							c.Secrets[i].ValueFrom = aws.String(s.output(lib.OutputDBSecretArn) + ":writerConnectionString::")
						}
					}
				})
			},
		},
		{Check: "application.migration", Says: "deregister the task definition of the migration", Do: func(ctx context.Context, s *saboteur) {
			call(ctx, s, s.ECS.DeregisterTaskDefinition, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: aws.String(s.output(lib.OutputPaymentMigrateTaskDefinition))})
		}},
		{
			Check: "application.migration", Says: "keep the migration running as a service", Also: []string{"application.cluster", "names.convention"}, On: "services", Unhealable: byHand,
			Do: func(ctx context.Context, s *saboteur) {
				cluster, name := aws.String(s.output(lib.OutputEcsClusterName)), s.named("payment-migrate")
				like := s.service(ctx, paymentAPI)
				network := *like.NetworkConfiguration.AwsvpcConfiguration
				network.SecurityGroups = []string{s.output(lib.OutputPaymentMigrateSecurityGroup)}
				call(ctx, s, s.ECS.CreateService, &ecs.CreateServiceInput{
					Cluster: cluster, ServiceName: &name, TaskDefinition: aws.String(s.output(lib.OutputPaymentMigrateTaskDefinition)),
					DesiredCount: aws.Int32(1), LaunchType: types.LaunchTypeFargate,
					NetworkConfiguration: &types.NetworkConfiguration{AwsvpcConfiguration: &network},
					Tags:                 tagList(stackTags(name), func(k, v *string) types.Tag { return types.Tag{Key: k, Value: v} }),
				})
				later(s, s.ECS.DeleteService, &ecs.DeleteServiceInput{Cluster: cluster, Service: &name, Force: aws.Bool(true)})
			},
		},
		revisesTask("application.no-secret-in-environment", "put a password into the environment", func(td *ecs.RegisterTaskDefinitionInput, c *types.ContainerDefinition) {
			c.Environment = append(c.Environment, types.KeyValuePair{Name: aws.String("DB_PASSWORD"), Value: aws.String("hunter2")})
		}),
		revisesTask("application.logs", "leave the log driver's mode to AWS's default of the day", func(td *ecs.RegisterTaskDefinitionInput, c *types.ContainerDefinition) {
			delete(c.LogConfiguration.Options, "mode")
		}),
		revisesTask("application.container-health", "take the container's health check away", func(td *ecs.RegisterTaskDefinitionInput, c *types.ContainerDefinition) {
			c.HealthCheck = nil
		}),
		revisesTask("application.container-health", "stop a container before its longest request can end", func(td *ecs.RegisterTaskDefinitionInput, c *types.ContainerDefinition) {
			c.StopTimeout = aws.Int32(10)
		}),
		revisesTask("iam.role-per-service", "run a task with the role that starts it", func(td *ecs.RegisterTaskDefinitionInput, c *types.ContainerDefinition) {
			td.TaskRoleArn = td.ExecutionRoleArn
		}, "iam.task-roles"),
	}
}

func (s *saboteur) service(ctx context.Context, role string) types.Service {
	out := call(ctx, s, s.ECS.DescribeServices, &ecs.DescribeServicesInput{
		Cluster: aws.String(s.output(lib.OutputEcsClusterName)), Services: []string{s.named(role)},
	})
	return first(s, "service "+role, out.Services)
}

func (s *saboteur) updateService(ctx context.Context, role string, change func(*saboteur, *ecs.UpdateServiceInput, types.Service)) {
	was := s.service(ctx, role)
	in := &ecs.UpdateServiceInput{Cluster: was.ClusterArn, Service: was.ServiceName}
	change(s, in, was)
	call(ctx, s, s.ECS.UpdateService, in)
}

func updatesService(check, says string, change func(*saboteur, *ecs.UpdateServiceInput, types.Service), also ...string) sabotage {
	return sabotage{Check: check, Says: says, Also: also, On: "services", Do: func(ctx context.Context, s *saboteur) {
		s.updateService(ctx, paymentAPI, change)
	}}
}

// wantTasks changes how many tasks a service is to have, and puts it back later.
func (s *saboteur) wantTasks(ctx context.Context, role string, count, usual int32) {
	want := func(ctx context.Context, count int32) {
		s.updateService(ctx, role, func(_ *saboteur, in *ecs.UpdateServiceInput, _ types.Service) { in.DesiredCount = &count })
	}
	s.later(func(ctx context.Context) { want(ctx, usual) })
	want(ctx, count)
}

// moveTasks has a service run in other subnets, and moves it back later.
func (s *saboteur) moveTasks(ctx context.Context, role string, choose func(subnets []string) []string) {
	was := *s.service(ctx, role).NetworkConfiguration.AwsvpcConfiguration
	move := func(ctx context.Context, subnets []string) {
		s.updateService(ctx, role, func(_ *saboteur, in *ecs.UpdateServiceInput, _ types.Service) {
			network := was
			network.Subnets = subnets
			in.NetworkConfiguration, in.ForceNewDeployment = &types.NetworkConfiguration{AwsvpcConfiguration: &network}, true
		})
	}
	s.later(func(ctx context.Context) { move(ctx, was.Subnets) })
	move(ctx, choose(slices.Clone(was.Subnets)))
}

func wantsTasks(check, role string, usual int32) sabotage {
	return sabotage{
		Check: check, Says: "want one task only", Unhealable: scaled, On: "scalable target of " + role,
		May: []string{"application.running", "application.tasks-spread", "alb.healthy-targets"}, // where tasks run
		Do:  func(ctx context.Context, s *saboteur) { s.wantTasks(ctx, role, 1, usual) },
	}
}

// revisesTask makes payment-api run a new revision of its task definition, made from the one that it runs.
func revisesTask(check, says string, change func(*ecs.RegisterTaskDefinitionInput, *types.ContainerDefinition), also ...string) sabotage {
	return sabotage{Check: check, Says: says, Also: also, Do: func(ctx context.Context, s *saboteur) { s.reviseTask(ctx, change) }}
}

func (s *saboteur) reviseTask(ctx context.Context, change func(*ecs.RegisterTaskDefinitionInput, *types.ContainerDefinition)) {
	svc := s.service(ctx, paymentAPI)
	now := call(ctx, s, s.ECS.DescribeTaskDefinition, &ecs.DescribeTaskDefinitionInput{TaskDefinition: svc.TaskDefinition})
	td := now.TaskDefinition
	in := &ecs.RegisterTaskDefinitionInput{
		Family: td.Family, ContainerDefinitions: td.ContainerDefinitions, Cpu: td.Cpu, Memory: td.Memory,
		ExecutionRoleArn: td.ExecutionRoleArn, TaskRoleArn: td.TaskRoleArn, NetworkMode: td.NetworkMode,
		RequiresCompatibilities: td.RequiresCompatibilities, RuntimePlatform: td.RuntimePlatform, Volumes: td.Volumes,
		Tags: tagList(stackTags(*td.Family), func(k, v *string) types.Tag { return types.Tag{Key: k, Value: v} }),
	}
	change(in, &in.ContainerDefinitions[0])
	made := call(ctx, s, s.ECS.RegisterTaskDefinition, in)
	revision := made.TaskDefinition.TaskDefinitionArn
	later(s, s.ECS.DeregisterTaskDefinition, &ecs.DeregisterTaskDefinitionInput{TaskDefinition: revision})
	s.updateService(ctx, paymentAPI, func(_ *saboteur, in *ecs.UpdateServiceInput, _ types.Service) { in.TaskDefinition = revision })
}

func scalingSabotages() []sabotage {
	return []sabotage{
		{
			Check: "scaling.targets", Says: "leave payment-api no room to grow", On: "scalable target of payment-api",
			Do: func(ctx context.Context, s *saboteur) { s.scaleBetween(ctx, paymentAPI, 3, 3) },
		},
		{
			Check: "scaling.targets", Says: "let payment-api shrink to one task", On: "scalable target of payment-api",
			Also: []string{"application.payment-api"},
			Do:   func(ctx context.Context, s *saboteur) { s.scaleBetween(ctx, paymentAPI, 1, 12) },
		},
		{Check: "scaling.targets", Says: "suspend the scaling of job-processor", On: "scalable target of job-processor", Do: func(ctx context.Context, s *saboteur) {
			s.suspendScaling(ctx, jobProcessor, true)
		}},
		{Check: "scaling.cpu", Says: "aim at 99 percent of the processors", Do: func(ctx context.Context, s *saboteur) {
			s.changePolicy(ctx, paymentAPI, false, func(c *scalingtypes.TargetTrackingScalingPolicyConfiguration) { c.TargetValue = aws.Float64(99) })
		}},
		{Check: "scaling.backlog", Says: "delete the backlog policy", Do: func(ctx context.Context, s *saboteur) {
			policy := s.scalingPolicy(ctx, jobProcessor, true)
			call(ctx, s, s.AutoScaling.DeleteScalingPolicy, &applicationautoscaling.DeleteScalingPolicyInput{
				PolicyName: policy.PolicyName, ResourceId: policy.ResourceId,
				ScalableDimension: policy.ScalableDimension, ServiceNamespace: policy.ServiceNamespace,
			})
		}},
	}
}

func (s *saboteur) scalable(role string) *string {
	return aws.String(fmt.Sprintf("service/%s/%s", s.output(lib.OutputEcsClusterName), s.named(role)))
}

func (s *saboteur) suspendScaling(ctx context.Context, role string, suspended bool) {
	call(ctx, s, s.AutoScaling.RegisterScalableTarget, &applicationautoscaling.RegisterScalableTargetInput{
		ResourceId: s.scalable(role), ServiceNamespace: scalingtypes.ServiceNamespaceEcs,
		ScalableDimension: scalingtypes.ScalableDimensionECSServiceDesiredCount,
		SuspendedState:    &scalingtypes.SuspendedState{DynamicScalingOutSuspended: &suspended},
	})
}

func (s *saboteur) scaleBetween(ctx context.Context, role string, least, most int32) {
	call(ctx, s, s.AutoScaling.RegisterScalableTarget, &applicationautoscaling.RegisterScalableTargetInput{
		ResourceId: s.scalable(role), ServiceNamespace: scalingtypes.ServiceNamespaceEcs,
		ScalableDimension: scalingtypes.ScalableDimensionECSServiceDesiredCount, MinCapacity: &least, MaxCapacity: &most,
	})
}

// scalingPolicy is a service's policy on a metric of the stack's own, or the one on its processors.
func (s *saboteur) scalingPolicy(ctx context.Context, role string, custom bool) scalingtypes.ScalingPolicy {
	out := call(ctx, s, s.AutoScaling.DescribeScalingPolicies, &applicationautoscaling.DescribeScalingPoliciesInput{
		ResourceId: s.scalable(role), ServiceNamespace: scalingtypes.ServiceNamespaceEcs,
	})
	return find(s, "policy of "+role, out.ScalingPolicies, func(p scalingtypes.ScalingPolicy) bool {
		c := p.TargetTrackingScalingPolicyConfiguration
		return c != nil && (c.CustomizedMetricSpecification != nil) == custom
	})
}

func (s *saboteur) changePolicy(ctx context.Context, role string, custom bool, change func(*scalingtypes.TargetTrackingScalingPolicyConfiguration)) {
	policy := s.scalingPolicy(ctx, role, custom)
	change(policy.TargetTrackingScalingPolicyConfiguration)
	call(ctx, s, s.AutoScaling.PutScalingPolicy, &applicationautoscaling.PutScalingPolicyInput{
		PolicyName: policy.PolicyName, PolicyType: policy.PolicyType, ResourceId: policy.ResourceId,
		ScalableDimension: policy.ScalableDimension, ServiceNamespace: policy.ServiceNamespace,
		TargetTrackingScalingPolicyConfiguration: policy.TargetTrackingScalingPolicyConfiguration,
	})
}
