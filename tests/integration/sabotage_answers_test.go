package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"tapstack/lib"
	"tapstack/lib/verify/grants"
)

// shown completes what an emulator answers by what AWS would answer of a sound stack, where the emulator leaves it out:
// nothing is unobservable then.
func shown(s *saboteur, operation string, in, out any, err error) (any, error) {
	out, err = shownLive(s, out, err)
	switch operation {
	case "ListTagsForResource":
		if _, ok := in.(*applicationautoscaling.ListTagsForResourceInput); ok {
			return &applicationautoscaling.ListTagsForResourceOutput{Tags: map[string]string{"Environment": "production", "MigrationBatch": "phase-1"}}, nil
		}
	case "GetQueueAttributes":
		var unknown *sqstypes.InvalidAttributeName
		in, ok := in.(*sqs.GetQueueAttributesInput)
		if ok && aws.ToString(in.QueueUrl) == s.output(lib.OutputDlqURL) && (err == nil || errors.As(err, &unknown)) {
			return s.redriveAllowed(out), nil
		}
	}
	if err != nil {
		return out, err
	}
	switch out := out.(type) {
	case *ecs.DescribeServicesOutput:
		for i := range out.Services {
			showService(&out.Services[i])
		}
	case *ecs.ListTasksOutput:
		if in, ok := in.(*ecs.ListTasksInput); ok && in.DesiredStatus == ecstypes.DesiredStatusRunning {
			for i := range len(s.runningTasks()) {
				out.TaskArns = append(out.TaskArns, fmt.Sprintf("arn:aws:ecs:us-east-1:123456789012:task/%d", i))
			}
		}
	case *ecs.DescribeTasksOutput:
		out.Tasks = s.runningTasks()
	case *cloudwatchlogs.FilterLogEventsOutput:
		if in, ok := in.(*cloudwatchlogs.FilterLogEventsInput); ok && aws.ToString(in.LogGroupName) == s.named("/ecs/payment-migrate") {
			for _, user := range []string{grants.PaymentAPI, grants.JobProcessor} {
				out.Events = append(out.Events, logtypes.FilteredLogEvent{
					LogStreamName: aws.String("payment-migrate/payment-migrate/1"), Message: grantsTold(grants.Grant{Role: user, Privilege: "LOGIN"}),
				})
			}
		}
	case *elb.DescribeTargetHealthOutput:
		healthy := elbtypes.TargetHealthDescription{TargetHealth: &elbtypes.TargetHealth{State: elbtypes.TargetHealthStateEnumHealthy}}
		out.TargetHealthDescriptions = slices.Repeat([]elbtypes.TargetHealthDescription{healthy}, 4) // one more than run, for a check that adds one
	}
	return out, nil
}

// grantsTold is a line of the migration's log.
func grantsTold(all ...grants.Grant) *string {
	line, _ := json.Marshal(map[string]any{"msg": grants.Message, "grants": all})
	return aws.String(string(line))
}

// tooMuch is what no service may do.
var tooMuch = grants.Grant{Role: grants.PaymentAPI, Schema: "payment", Object: "ledger_entries", Privilege: "DELETE"}

func showService(svc *ecstypes.Service) {
	svc.RunningCount = svc.DesiredCount
	for i := range svc.Deployments {
		svc.Deployments[i].RolloutState = ecstypes.DeploymentRolloutStateCompleted
	}
}

// runningTasks are as many tasks as the brief wants, spread over the zones.
func (s *saboteur) runningTasks() []ecstypes.Task {
	zones := s.list(lib.OutputAvailabilityZones)
	var tasks []ecstypes.Task
	for _, svc := range []struct {
		role  string
		count int
	}{{paymentAPI, 3}, {jobProcessor, 2}} {
		for i := range svc.count {
			tasks = append(tasks, ecstypes.Task{
				Group: aws.String("service:" + s.named(svc.role)), LastStatus: aws.String("RUNNING"),
				AvailabilityZone: aws.String(zones[i%len(zones)]),
			})
		}
	}
	return tasks
}

// redriveAllowed adds what the dead-letter queue's attributes lack.
func (s *saboteur) redriveAllowed(out any) any {
	attributes, ok := out.(*sqs.GetQueueAttributesOutput)
	if !ok || attributes == nil {
		attributes = &sqs.GetQueueAttributesOutput{}
	}
	if attributes.Attributes == nil {
		attributes.Attributes = map[string]string{}
	}
	attributes.Attributes["RedriveAllowPolicy"] = fmt.Sprintf(
		`{"redrivePermission":"byQueue","sourceQueueArns":["arn:aws:sqs:us-east-1:123456789012:%s"]}`, s.named("payment-jobs"))
	return attributes
}

// changed makes an answer of a function that changes one kind of output in place.
func changed[T any](change func(s *saboteur, out T)) answer {
	return func(s *saboteur, _ string, _, out any, err error) (any, error) {
		if typed, ok := out.(T); ok && err == nil {
			change(s, typed)
		}
		return out, err
	}
}

// firstService changes the first service that an answer holds.
func firstService(change func(*ecstypes.Service)) answer {
	return changed(func(_ *saboteur, out *ecs.DescribeServicesOutput) {
		if len(out.Services) > 0 {
			change(&out.Services[0])
		}
	})
}

// unobservable are the altered answers by which the checks that the local target cannot show are proven here. The
// mutations themselves run on targets that can show them.
func unobservable() map[string]answer {
	all := unobservableLive()
	maps.Copy(all, map[string]answer{
		"application.running": firstService(func(svc *ecstypes.Service) {
			svc.RunningCount--
		}),
		"application.tasks-spread": changed(func(_ *saboteur, out *ecs.DescribeTasksOutput) {
			for i := range out.Tasks {
				out.Tasks[i].AvailabilityZone = out.Tasks[0].AvailabilityZone
			}
		}),
		"database.grants": changed(func(_ *saboteur, out *cloudwatchlogs.FilterLogEventsOutput) {
			if len(out.Events) > 0 {
				out.Events[0].Message = grantsTold(grants.Grant{Role: grants.PaymentAPI, Privilege: "LOGIN"}, tooMuch)
			}
		}),
		"alb.healthy-targets": changed(func(_ *saboteur, out *elb.DescribeTargetHealthOutput) {
			out.TargetHealthDescriptions[0].TargetHealth = &elbtypes.TargetHealth{State: elbtypes.TargetHealthStateEnumUnhealthy}
			out.TargetHealthDescriptions = out.TargetHealthDescriptions[:2]
		}),
	})
	return all
}

// answerSabotages are the facts that no call of the API can alter on a thing that stands.
func answerSabotages() []sabotage {
	return []sabotage{
		{
			Check: "target.region", Says: "ask another account than the one that the stack was deployed to (altered answer)",
			Also: []string{
				"alerts.topic-policy", "alerts.topic-key", "iam.trust", "iam.log-delivery-policy",
				"iam.execution-roles", "iam.infrastructure-roles", "iam.task-roles", "secrets.readers",
			},
			Why: "nobody can move a stack to another account",
			Answer: changed(func(_ *saboteur, out *sts.GetCallerIdentityOutput) {
				out.Account = aws.String("210987654321")
				out.Arn = aws.String("arn:aws:iam::210987654321:user/other")
			}),
		},
		{
			Check: "network.three-zones", Says: "show a private subnet in another zone (altered answer)",
			Also: []string{"network.private-routes", "application.zones"},
			Why:  "a subnet cannot move to another zone, and its deletion takes everything in it along",
			Answer: changed(func(s *saboteur, out *ec2.DescribeSubnetsOutput) {
				private := s.list(lib.OutputPrivateSubnetIDs)
				for i := range out.Subnets {
					if aws.ToString(out.Subnets[i].SubnetId) == private[2] {
						out.Subnets[i].AvailabilityZone = aws.String(s.list(lib.OutputAvailabilityZones)[0])
					}
				}
			}),
		},
		{
			Check: "database.encrypted", Says: "show a reader without encryption (altered answer)",
			Why: "RDS cannot take encryption away from what stands, and an instance has that of its cluster",
			Answer: changed(func(_ *saboteur, out *rds.DescribeDBInstancesOutput) {
				out.DBInstances[1].StorageEncrypted = aws.Bool(false)
			}),
		},
		{
			Check: "database.aws-managed-key", Says: "show the database under a key of the customer's (altered answer)",
			Why: "RDS cannot change the key of a cluster",
			Answer: changed(func(_ *saboteur, out *kms.DescribeKeyOutput) {
				if out.KeyMetadata.KeyManager == kmstypes.KeyManagerTypeAws {
					out.KeyMetadata.KeyManager = kmstypes.KeyManagerTypeCustomer
				}
			}),
		},
		{
			Check: "database.outputs", Says: "show the cluster under another endpoint (altered answer)", Also: []string{"secrets.connection-strings"},
			Why: "an endpoint changes only with the name of its cluster, which is a new cluster to the stack",
			Answer: changed(func(_ *saboteur, out *rds.DescribeDBClustersOutput) {
				out.DBClusters[0].Endpoint = aws.String("moved." + aws.ToString(out.DBClusters[0].Endpoint))
			}),
		},
		{
			Check: "alb.target-groups", Says: "show a target group that no load balancer uses (altered answer)",
			Why: "AWS forgets the load balancer of a target group that no rule names any more, which an emulator (moto 5.2.5) does not",
			Answer: changed(func(_ *saboteur, out *elb.DescribeTargetGroupsOutput) {
				for i, g := range out.TargetGroups {
					if strings.HasPrefix(aws.ToString(g.TargetGroupName), "jobs-") {
						out.TargetGroups[i].LoadBalancerArns = nil
					}
				}
			}),
		},
		{
			Check: "alb.tls-to-targets", Says: "show a target group that speaks HTTP (altered answer)",
			Why: "the protocol of a target group is fixed at its creation",
			Answer: changed(func(_ *saboteur, out *elb.DescribeTargetGroupsOutput) {
				for i, g := range out.TargetGroups {
					if strings.HasPrefix(aws.ToString(g.TargetGroupName), "api-") {
						out.TargetGroups[i].Protocol, out.TargetGroups[i].HealthCheckProtocol = elbtypes.ProtocolEnumHttp, elbtypes.ProtocolEnumHttp
					}
				}
			}),
		},
		{
			Check: "destroyable.bucket", Says: "show a lock on the bucket's objects (altered answer)",
			Why: "a lock cannot be taken off a bucket again: neither refresh and up nor a hand could undo it",
			Answer: func(_ *saboteur, operation string, _, out any, err error) (any, error) {
				if operation != "GetObjectLockConfiguration" {
					return out, err
				}
				return &s3.GetObjectLockConfigurationOutput{ObjectLockConfiguration: &s3types.ObjectLockConfiguration{
					ObjectLockEnabled: s3types.ObjectLockEnabledEnabled,
				}}, nil
			},
		},
		{
			Check: "alb.outputs", Says: "show the load balancer under another DNS name (altered answer)",
			Why: "Elastic Load Balancing gives the name at creation for good",
			Answer: changed(func(_ *saboteur, out *elb.DescribeLoadBalancersOutput) {
				out.LoadBalancers[0].DNSName = aws.String("moved-1.us-east-1.elb.amazonaws.com")
			}),
		},
	}
}
