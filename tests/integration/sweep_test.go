package integration

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/applicationautoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/applicationautoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	route53types "github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/inventory"
	"tapstack/lib/lifecycle"
	"tapstack/lib/session"
	"tapstack/lib/sweep"
	"tapstack/lib/target"
	"tapstack/lib/verify"
)

// calls counts the API calls that go through a config, and may refuse some.
type calls struct {
	mutex   sync.Mutex
	changes []string // operations that are not reads
	// before, when set, sees each change before it is made; an error refuses it.
	before func(operation string, count int) error
}

// watch returns a config whose calls are seen.
func (c *calls) watch(cfg aws.Config) aws.Config {
	cfg = cfg.Copy()
	cfg.APIOptions = append(slices.Clone(cfg.APIOptions), func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("test:calls",
			func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				if err := c.note(awsmiddleware.GetOperationName(ctx)); err != nil {
					return middleware.InitializeOutput{}, middleware.Metadata{}, err
				}
				return next.HandleInitialize(ctx, in)
			}), middleware.After)
	})
	return cfg
}

func (c *calls) note(operation string) error {
	for _, read := range []string{"Describe", "List", "Get"} {
		if strings.HasPrefix(operation, read) {
			return nil
		}
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.before != nil {
		if err := c.before(operation, len(c.changes)); err != nil {
			return err
		}
	}
	c.changes = append(c.changes, operation)
	return nil
}

// abandoned deploys a stack of a run and forgets its state. With a limit, the deployment is interrupted after so many
// resources.
func abandoned(ctx context.Context, t *testing.T, cloud *target.Target, suffix, run, expires string, limit int) *session.Session {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	options := defaults(target.Options{}, suffix, t.TempDir())
	options.Cloud, options.Config[lib.ConfigRun], options.Config[lib.ConfigExpires] = cloud, run, expires
	heard := &transcript{t: t}
	options.Progress = heard
	if limit > 0 {
		options.Progress = &impatient{transcript: heard, left: limit, cancel: cancel}
	}
	s := openSession(ctx, t, options)
	deployed, err := s.Stack.Up(ctx)
	if limit > 0 {
		require.Error(t, err, "the deployment was to be interrupted")
		return s
	}
	require.NoError(t, err)
	t.Logf("deployed %d resources of %s in %s", deployed.Changes["create"], suffix, deployed.Duration.Round(time.Millisecond))
	return s
}

// impatient interrupts a deployment after some resources.
type impatient struct {
	*transcript
	mutex  sync.Mutex
	left   int
	cancel context.CancelFunc
}

func (i *impatient) Done(s lifecycle.Step) {
	i.transcript.Done(s)
	i.mutex.Lock()
	defer i.mutex.Unlock()
	if i.left--; i.left == 0 {
		i.cancel()
	}
}

// sweepOnce finds, plans and sweeps.
func sweepOnce(ctx context.Context, t *testing.T, cfg aws.Config, o sweep.Options) (sweep.Plan, []sweep.Outcome, error) {
	t.Helper()
	p := planned(context.WithoutCancel(ctx), t, cfg, o)
	outcomes, err := sweep.Execute(ctx, cfg, p, nil)
	return p, outcomes, err
}

func planned(ctx context.Context, t *testing.T, cfg aws.Config, o sweep.Options) sweep.Plan {
	t.Helper()
	_, found, err := inventory.FindStack(ctx, cfg, o.Suffix)
	require.NoError(t, err)
	p, err := sweep.New(found, o)
	require.NoError(t, err)
	return p
}

func unswept(outcomes []sweep.Outcome) []string {
	var texts []string
	for _, o := range outcomes {
		if o.Error != "" {
			texts = append(texts, o.String()+": "+o.Error)
		}
	}
	return texts
}

func names(items []sweep.Item) []string {
	var all []string
	for _, i := range items {
		all = append(all, i.String()+" ("+i.ARN+"): "+i.Reason)
	}
	return all
}

// TestASweepRemovesAnOldStackAndNothingElse is the proof that the sweeper touches only what it owns.
func TestASweepRemovesAnOldStackAndNothingElse(t *testing.T) {
	ctx, cancel := bounded(t, cleanUpTime)
	defer cancel()
	cloud := openCloud(ctx, t)
	now := time.Now()
	o := sweep.Options{Owner: lib.DefaultOwner, OlderThan: 24 * time.Hour, Now: now}

	old := abandoned(ctx, t, cloud, "old", lib.NewRun(now.Add(-72*time.Hour)), lib.FormatExpiry(now.Add(-66*time.Hour)), 0)
	live := abandoned(ctx, t, cloud, "live", lib.NewRun(now.Add(-72*time.Hour)), lib.FormatExpiry(now.Add(6*time.Hour)), 0)
	_, err := live.Refresh(ctx)
	require.NoError(t, err)
	outputs, err := live.Outputs(ctx)
	require.NoError(t, err)
	oldOutputs, err := old.Outputs(ctx)
	require.NoError(t, err)

	s := newSaboteur(t, cloud.Config, "old")
	before := leaksOf(ctx, t, cloud.Config, "old")
	require.Greater(t, len(before), 100)
	alike := fill(ctx, s, now)
	alike = append(alike, inDisguiseOfOld(ctx, s)...)
	// What looks exactly like the old stack's is the only thing that may still bear its name in the end.
	twins := slices.DeleteFunc(leaksOf(ctx, t, cloud.Config, "old"), func(id string) bool { return slices.Contains(before, id) })
	zone, zoneID := records(ctx, s, oldOutputs, outputs)
	alike = append(alike, zone)
	litter(ctx, s)
	remember(ctx, t, alike)
	t.Logf("%d look-alikes, %d of them with the old stack's own name", len(alike), len(twins))

	seen := &calls{}
	watched := seen.watch(cloud.Config)
	var plan sweep.Plan
	t.Run("a dry run changes nothing and keeps what it cannot prove", func(t *testing.T) {
		plan = planned(ctx, t, watched, o)
		require.Empty(t, seen.changes)
		require.Empty(t, names(plan.Blocked))
		for _, item := range plan.Delete {
			require.Equal(t, "old", item.Stack, "%s: %s", item, item.Reason)
		}
		kept := map[string]bool{}
		for _, item := range plan.Kept {
			kept[item.Stack] = true
			require.NotEmpty(t, item.Reason)
		}
		for _, d := range disguises(now) {
			require.True(t, kept[d.suffix], "%s (%q) must be told as kept", d.says, d.suffix)
		}
		require.True(t, kept["live"])
		t.Logf("%d to delete, %d along, %d kept", len(plan.Delete), len(plan.Along), len(plan.Kept))
	})
	t.Run("the sweep fails nowhere and proves it", func(t *testing.T) {
		outcomes, err := sweep.Execute(ctx, watched, plan, nil)
		require.NoError(t, err)
		require.Empty(t, unswept(outcomes))
		require.Len(t, outcomes, len(plan.Delete))
		left, err := sweep.Prove(ctx, watched, plan, outcomes, o)
		require.NoError(t, err)
		require.Empty(t, names(left))
		t.Logf("%d changing calls for %d deletions", len(seen.changes), len(outcomes))
	})
	t.Run("the old stack is wholly gone", func(t *testing.T) {
		require.Equal(t, twins, leaksOf(ctx, t, cloud.Config, "old"))
	})
	t.Run("every look-alike survives unchanged", func(t *testing.T) {
		for _, l := range alike {
			after, err := l.read(ctx)
			assert.NoError(t, err, l.says)
			assert.Equal(t, l.before, after, l.says)
		}
	})
	t.Run("the live stack still verifies, without drift", func(t *testing.T) {
		report, err := verify.Run(ctx, verify.Options{AWS: cloud.Config, Outputs: outputs, Suffix: "live"})
		require.NoError(t, err)
		for _, r := range report.Results {
			assert.NotEqual(t, verify.Failed, r.Status, "%s: %s", r.ID, r.Reason)
		}
		require.True(t, report.OK())
		refreshed, err := live.Refresh(ctx)
		require.NoError(t, err)
		require.Zero(t, refreshed.Altered(), "%v", steps(refreshed))
	})
	t.Run("a record at the old load balancer is gone, its twin at the live one is not", func(t *testing.T) {
		seen, err := zone.read(ctx)
		require.NoError(t, err)
		require.Contains(t, seen, "to the live")
		require.Contains(t, seen, "keep me")
		all, err := s.Route53.ListResourceRecordSets(ctx, &route53.ListResourceRecordSetsInput{HostedZoneId: zoneID})
		require.NoError(t, err)
		for _, r := range all.ResourceRecordSets {
			require.False(t, r.AliasTarget != nil && aws.ToString(r.AliasTarget.DNSName) == oldOutputs[lib.OutputAlbDNSName], aws.ToString(r.Name))
		}
	})
	t.Run("a second sweep has nothing to do", func(t *testing.T) {
		again := planned(ctx, t, cloud.Config, o)
		require.Empty(t, names(slices.Concat(again.Delete, again.Along, again.Blocked)))
	})
}

func leaksOf(ctx context.Context, t *testing.T, cfg aws.Config, suffix string) []string {
	t.Helper()
	left, err := inventory.Leaks(ctx, cfg, suffix)
	require.NoError(t, err)
	var ids []string
	for _, leak := range left {
		ids = append(ids, leak.String())
	}
	return ids
}

// oldTwins are things that bear the old stack's own names, made by hand beside it, of kinds whose names need not be
// unique.
func oldTwins() []*inventory.Kind {
	return []*inventory.Kind{inventory.VPC, inventory.ElasticIP, inventory.InternetGateway, inventory.Certificate}
}

func inDisguiseOfOld(ctx context.Context, s *saboteur) []*lookalike {
	g := newGround(ctx, s)
	all := []*lookalike{{
		says: "somebody's log resource policy that names the old stack's log group",
		look: makeLogPolicy(ctx, s, "their-policy", "aws-waf-logs-old"),
	}}
	for _, kind := range oldTwins() {
		for _, m := range makersOf(kind) {
			all = append(all, m.disguised(ctx, s, g, disguise{"old", "the old stack's own name, and no tags", nil}))
		}
	}
	return all
}

// records makes a hosted zone with records at both stacks' load balancers and others; the look-alike is all that does not
// point at the old one.
func records(ctx context.Context, s *saboteur, old, live map[string]any) (rest *lookalike, zoneID *string) {
	zone := call(ctx, s, s.Route53.CreateHostedZone, &route53.CreateHostedZoneInput{Name: aws.String("example.com."), CallerReference: aws.String("1")})
	weighted := func(id string, change route53types.Change) route53types.Change {
		change.ResourceRecordSet.SetIdentifier, change.ResourceRecordSet.Weight = &id, aws.Int64(1)
		return change
	}
	alias := func(name string, outputs map[string]any) route53types.Change {
		return route53types.Change{Action: route53types.ChangeActionCreate, ResourceRecordSet: &route53types.ResourceRecordSet{
			Name: &name, Type: route53types.RRTypeA, AliasTarget: &route53types.AliasTarget{
				DNSName: aws.String(outputs[lib.OutputAlbDNSName].(string)), HostedZoneId: aws.String("Z35SXDOTRQ7X7K"),
			},
		}}
	}
	text := route53types.Change{Action: route53types.ChangeActionCreate, ResourceRecordSet: &route53types.ResourceRecordSet{
		Name: aws.String("old.example.com."), Type: route53types.RRTypeTxt, TTL: aws.Int64(60),
		ResourceRecords: []route53types.ResourceRecord{{Value: aws.String(`"keep me"`)}},
	}}
	call(ctx, s, s.Route53.ChangeResourceRecordSets, &route53.ChangeResourceRecordSetsInput{HostedZoneId: zone.HostedZone.Id, ChangeBatch: &route53types.ChangeBatch{
		Changes: []route53types.Change{
			alias("old.example.com.", old), alias("live.example.com.", live), text,
			weighted("to the old", alias("both.example.com.", old)), weighted("to the live", alias("both.example.com.", live)),
		},
	}})
	return &lookalike{says: "the other records of the zone", look: func(ctx context.Context) (any, error) {
		out, err := s.Route53.ListResourceRecordSets(ctx, &route53.ListResourceRecordSetsInput{HostedZoneId: zone.HostedZone.Id})
		if err != nil {
			return nil, err
		}
		return slices.DeleteFunc(out.ResourceRecordSets, func(r route53types.ResourceRecordSet) bool {
			return r.AliasTarget != nil && aws.ToString(r.AliasTarget.DNSName) == old[lib.OutputAlbDNSName]
		}), nil
	}}, zone.HostedZone.Id
}

// litter puts into the old stack what a life leaves there: logs in the bucket, versions of them, a message, a manual
// snapshot, a rule made by hand.
func litter(ctx context.Context, s *saboteur) {
	bucket := "alb-logs-123456789012-us-east-1-old"
	policy := call(ctx, s, s.S3.GetBucketPolicy, &s3.GetBucketPolicyInput{Bucket: &bucket})
	// It refuses plain HTTP, which the emulator speaks.
	call(ctx, s, s.S3.DeleteBucketPolicy, &s3.DeleteBucketPolicyInput{Bucket: &bucket})
	for range 3 {
		call(ctx, s, s.S3.PutObject, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("AWSLogs/1"), Body: strings.NewReader("line")})
	}
	call(ctx, s, s.S3.DeleteObject, &s3.DeleteObjectInput{Bucket: &bucket, Key: aws.String("AWSLogs/1")})
	call(ctx, s, s.S3.PutObject, &s3.PutObjectInput{Bucket: &bucket, Key: aws.String("AWSLogs/2"), Body: strings.NewReader("line")})
	call(ctx, s, s.S3.PutBucketPolicy, &s3.PutBucketPolicyInput{Bucket: &bucket, Policy: policy.Policy})
	groups := call(ctx, s, s.EC2.DescribeSecurityGroups, &ec2.DescribeSecurityGroupsInput{Filters: []ec2types.Filter{{Name: aws.String("group-name"), Values: []string{"db-sg-old"}}}})
	group := first(s, "group", groups.SecurityGroups)
	call(ctx, s, s.EC2.AuthorizeSecurityGroupIngress, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: group.GroupId, IpPermissions: []ec2types.IpPermission{{
		IpProtocol: aws.String("tcp"), FromPort: aws.Int32(22), ToPort: aws.Int32(22), IpRanges: []ec2types.IpRange{{CidrIp: aws.String("10.0.0.0/8")}},
	}}})
}

// TestASweepCanStopAnywhereAndBeRepeated sweeps a stack whose deployment was interrupted and from which things were
// deleted by hand, a few deletions at a time.
func TestASweepCanStopAnywhereAndBeRepeated(t *testing.T) {
	ctx, cancel := bounded(t, cleanUpTime)
	defer cancel()
	cloud := openCloud(ctx, t)
	now := time.Now()
	run, expires := lib.NewRun(now.Add(-72*time.Hour)), lib.FormatExpiry(now.Add(-66*time.Hour))
	o := sweep.Options{Owner: lib.DefaultOwner, OlderThan: 24 * time.Hour, Now: now}

	t.Run("a deployment that was interrupted", func(t *testing.T) {
		abandoned(ctx, t, cloud, "half", run, expires, 90)
		require.Greater(t, len(leaksOf(ctx, t, cloud.Config, "half")), 40, "there must be something to sweep")
		p, outcomes, err := sweepOnce(ctx, t, cloud.Config, o)
		require.NoError(t, err)
		require.Empty(t, unswept(outcomes))
		wholly(ctx, t, cloud.Config, p, outcomes, o, "half")
	})

	whole := abandoned(ctx, t, cloud, "whole", run, expires, 0)
	outputs, err := whole.Outputs(ctx)
	require.NoError(t, err)
	s := newSaboteur(t, cloud.Config, "whole")
	s.outputs = outputs
	handiwork(ctx, s)

	t.Run("a deletion that fails is told, and spares what it proves", func(t *testing.T) {
		refusing := &calls{before: func(operation string, _ int) error {
			if slices.Contains([]string{"DeleteAlias", "DeleteQueue"}, operation) {
				return &smithy.GenericAPIError{Code: "AccessDenied", Message: "not allowed to " + operation}
			}
			return nil
		}}
		p := planned(ctx, t, cloud.Config, o)
		p.Delete = slices.DeleteFunc(p.Delete, func(i sweep.Item) bool {
			return !slices.Contains([]*inventory.Kind{inventory.KeyAlias, inventory.Key, inventory.Queue, inventory.Secret}, i.Kind)
		})
		outcomes, err := sweep.Execute(ctx, refusing.watch(cloud.Config), p, nil)
		require.NoError(t, err)
		told := strings.Join(unswept(outcomes), "\n")
		require.Len(t, unswept(outcomes), 3, told)
		require.Contains(t, told, "queue payment-jobs-whole: ")
		require.Contains(t, told, "AccessDenied")
		require.Contains(t, told, "KMS key payment-alerts-key-whole: not tried: KMS alias alias/payment-alerts-whole is still there")
		require.Contains(t, refusing.changes, "DeleteSecret", "the others go on")
	})
	t.Run("what another's things hang on is blocked, and spared", func(t *testing.T) {
		remove := parasites(ctx, s)
		p := planned(ctx, t, cloud.Config, o)
		require.Len(t, p.Blocked, 2)
		told := strings.Join(names(p.Blocked), "\n")
		require.Regexp(t, `KMS key payment-alerts-key-whole .* KMS alias alias/mine hangs on it`, told)
		require.Regexp(t, `VPC vpc-whole .* subnet \S+ hangs on it`, told)
		require.False(t, slices.ContainsFunc(p.Delete, func(i sweep.Item) bool { return i.Kind == inventory.VPC || i.Kind == inventory.Key }))
		remove()
	})
	t.Run("stopped again and again", func(t *testing.T) {
		const each = 25
		rounds := 0
		for ; rounds < 40; rounds++ {
			stopped, stop := context.WithCancelCause(ctx)
			seen := &calls{before: func(_ string, count int) error {
				if count+1 >= each {
					stop(lifecycle.ErrInterrupted) // this call still goes through
				}
				return nil
			}}
			_, outcomes, err := sweepOnce(stopped, t, seen.watch(cloud.Config), o)
			stop(nil)
			require.Empty(t, unswept(outcomes))
			require.LessOrEqual(t, len(seen.changes), each+8, "an interrupt stops between calls")
			if err == nil {
				break
			}
			require.ErrorIs(t, err, lifecycle.ErrInterrupted)
		}
		require.Greater(t, rounds, 3)
		t.Logf("whole after %d interrupts", rounds)
		wholly(ctx, t, cloud.Config, sweep.Plan{}, nil, o, "whole")
	})
}

// parasites puts an alias of somebody's on the stack's key and a subnet of somebody's into its VPC.
func parasites(ctx context.Context, s *saboteur) (remove func()) {
	mine := aws.String("alias/mine")
	key := call(ctx, s, s.KMS.DescribeKey, &kms.DescribeKeyInput{KeyId: aws.String("alias/payment-alerts-" + s.suffix)})
	call(ctx, s, s.KMS.CreateAlias, &kms.CreateAliasInput{AliasName: mine, TargetKeyId: key.KeyMetadata.KeyId})
	subnet := call(ctx, s, s.EC2.CreateSubnet, &ec2.CreateSubnetInput{VpcId: aws.String(s.output(lib.OutputVpcID)), CidrBlock: aws.String("10.0.250.0/24")})
	return func() {
		call(ctx, s, s.KMS.DeleteAlias, &kms.DeleteAliasInput{AliasName: mine})
		call(ctx, s, s.EC2.DeleteSubnet, &ec2.DeleteSubnetInput{SubnetId: subnet.Subnet.SubnetId})
	}
}

// wholly holds that nothing is left of a stack.
func wholly(ctx context.Context, t *testing.T, cfg aws.Config, p sweep.Plan, outcomes []sweep.Outcome, o sweep.Options, suffix string) {
	t.Helper()
	left, err := sweep.Prove(ctx, cfg, p, outcomes, o)
	require.NoError(t, err)
	require.Empty(t, names(left))
	require.Empty(t, leaksOf(ctx, t, cfg, suffix))
}

// handiwork deletes some of the stack by hand, and bars the way to others.
func handiwork(ctx context.Context, s *saboteur) {
	balancer := s.output(lib.OutputAlbArn)
	call(ctx, s, s.SQS.DeleteQueue, &sqs.DeleteQueueInput{QueueUrl: aws.String(s.output(lib.OutputDlqURL))})
	call(ctx, s, s.AutoScaling.DeregisterScalableTarget, &applicationautoscaling.DeregisterScalableTargetInput{
		ResourceId:        aws.String("service/" + s.output(lib.OutputEcsClusterName) + "/" + s.output(lib.OutputPaymentAPIServiceName)),
		ServiceNamespace:  astypes.ServiceNamespaceEcs,
		ScalableDimension: astypes.ScalableDimensionECSServiceDesiredCount,
	})
	listeners := call(ctx, s, s.ELB.DescribeListeners, &elasticloadbalancingv2.DescribeListenersInput{LoadBalancerArn: &balancer})
	call(ctx, s, s.ELB.DeleteListener, &elasticloadbalancingv2.DeleteListenerInput{ListenerArn: listeners.Listeners[0].ListenerArn})
	call(ctx, s, s.ELB.ModifyLoadBalancerAttributes, &elasticloadbalancingv2.ModifyLoadBalancerAttributesInput{
		LoadBalancerArn: &balancer,
		Attributes:      []elbtypes.LoadBalancerAttribute{{Key: aws.String("deletion_protection.enabled"), Value: aws.String("true")}},
	})
	call(ctx, s, s.RDS.ModifyDBCluster, &rds.ModifyDBClusterInput{
		DBClusterIdentifier: aws.String(s.output(lib.OutputClusterIdentifier)), DeletionProtection: aws.Bool(true), ApplyImmediately: aws.Bool(true),
	})
}
