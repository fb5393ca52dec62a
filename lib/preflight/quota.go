package preflight

import (
	"context"
	"fmt"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"golang.org/x/sync/errgroup"

	"tapstack/lib/cloud"
	"tapstack/lib/declared"
	"tapstack/lib/inventory"
)

// quota is one limit of the account, and how many of its kind the stack declares.
type quota struct {
	inventory.Quota
	kind     *inventory.Kind
	declared int
}

// quotas are those of the kinds that the stack declares in this configuration.
func (in *inspection) quotas() ([]quota, error) {
	all, err := declared.Resources(in.Config, in.region)
	if err != nil {
		return nil, err
	}
	var found []quota
	for _, k := range inventory.Kinds() {
		if k.Quota == nil {
			continue
		}
		q := quota{Quota: *k.Quota, kind: k}
		for _, r := range all {
			if k.Counts(r) {
				q.declared++
			}
		}
		found = append(found, q)
	}
	return found, nil
}

// lookAtQuotas compares every quota with what is used and what the stack adds.
func lookAtQuotas(ctx context.Context, in *inspection) []Finding {
	all, err := in.quotas()
	if err != nil {
		return []Finding{unread(err)}
	}
	found := make([]Finding, len(all)+1)
	var group errgroup.Group
	group.SetLimit(concurrency)
	for i, q := range all {
		group.Go(func() error {
			found[i] = in.lookAtQuota(ctx, q).about("quota of " + q.What)
			return nil
		})
	}
	group.Go(func() error {
		found[len(all)] = in.lookAtFargate(ctx).about("quota of " + fargate.What)
		return nil
	})
	_ = group.Wait() // errors are findings
	return found
}

// concurrency bounds the questions that are asked at a time.
const concurrency = 16

func (in *inspection) lookAtQuota(ctx context.Context, q quota) Finding {
	adds, err := in.needs(ctx, q)
	if err != nil {
		return unread(err)
	}
	limit, err := in.limit(ctx, q.Quota)
	if err != nil {
		return unread(err)
	}
	if q.PerZone {
		return in.lookAtFullestZone(ctx, q, limit, min(adds, 1))
	}
	used, err := in.used(ctx, q.kind)
	if err != nil {
		return unread(err)
	}
	return in.judge(q.Quota, limit, float64(used), float64(adds))
}

// needs is what of a quota is not there yet.
func (in *inspection) needs(ctx context.Context, q quota) (int, error) {
	if !in.Deployed {
		return q.declared, nil
	}
	existing, err := in.existing(ctx)
	if err != nil {
		return 0, err
	}
	adds := q.declared
	for _, leak := range existing {
		if leak.Kind == q.kind && adds > 0 {
			adds--
		}
	}
	return adds, nil
}

func (in *inspection) judge(q inventory.Quota, limit, used, adds float64) Finding {
	switch {
	case adds == 0:
		return fine("%s of %s in use, no more needed", number(used), number(limit))
	case used+adds <= limit:
		return fine("%s of %s in use, %s more needed", number(used), number(limit), number(adds))
	}
	return problem(in.raise(q, used+adds), "%s of %s in use, %s more needed", number(used), number(limit), number(adds))
}

// raise says how to get more of a quota.
func (in *inspection) raise(q inventory.Quota, wanted float64) string {
	if q.Code == "" {
		return "Remove some that are not needed, or take another account."
	}
	return fmt.Sprintf("Release some, or ask for more: aws service-quotas request-service-quota-increase --service-code %s --quota-code %s "+
		"--desired-value %s --region %s", q.Service, q.Code, number(math.Ceil(wanted)), in.region)
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// limit is the quota that holds for this account, or AWS's default where none was ever set for it.
func (in *inspection) limit(ctx context.Context, q inventory.Quota) (float64, error) {
	switch {
	case q.Limit > 0:
		return float64(q.Limit), nil
	case q.Service == "":
		limit, err := in.accountSummary(ctx, iamtypes.SummaryKeyTypeRolesQuota)
		return float64(limit), err
	}
	applied, err := in.api.Quotas.GetServiceQuota(ctx, &servicequotas.GetServiceQuotaInput{ServiceCode: &q.Service, QuotaCode: &q.Code})
	if err == nil && applied.Quota != nil && applied.Quota.Value != nil {
		return *applied.Quota.Value, nil
	}
	if err != nil && !cloud.HasCode(err, "NoSuchResourceException") {
		return 0, err
	}
	general, err := in.api.Quotas.GetAWSDefaultServiceQuota(ctx, &servicequotas.GetAWSDefaultServiceQuotaInput{ServiceCode: &q.Service, QuotaCode: &q.Code})
	if err != nil {
		return 0, err
	}
	if general.Quota == nil || general.Quota.Value == nil {
		return 0, fmt.Errorf("no value is told for %s %s", q.Service, q.Code)
	}
	return *general.Quota.Value, nil
}

// used counts what the account has of a kind, as far as its quota does.
func (in *inspection) used(ctx context.Context, k *inventory.Kind) (int, error) {
	switch k {
	case inventory.ElasticIP: // without what AWS allocates by itself, and what the account brought along
		all, err := in.api.Addresses(ctx)
		return count(all, func(a ec2types.Address) bool {
			return a.ServiceManaged == "" && !strings.HasPrefix(aws.ToString(a.PublicIpv4Pool), "ipv4pool-ec2-")
		}), err
	case inventory.VPCEndpoint:
		all, err := in.api.VPCEndpoints(ctx)
		return count(all, func(e ec2types.VpcEndpoint) bool { return string(e.VpcEndpointType) == k.Quota.Value }), err
	case inventory.LoadBalancer:
		all, err := in.api.LoadBalancers(ctx)
		return count(all, func(b elbtypes.LoadBalancer) bool { return b.Type == elbtypes.LoadBalancerTypeEnumApplication }), err
	case inventory.DBClusterParameterGroup: // without AWS's own
		all, err := in.api.DBClusterParameterGroups(ctx)
		return count(all, func(g rdstypes.DBClusterParameterGroup) bool {
			return !strings.HasPrefix(aws.ToString(g.DBClusterParameterGroupName), "default.")
		}), err
	case inventory.Role:
		return in.accountSummary(ctx, iamtypes.SummaryKeyTypeRoles)
	}
	all, err := k.List(ctx, in.api)
	return len(all), err
}

func count[T any](all []T, counts func(T) bool) (n int) {
	for _, item := range all {
		if counts(item) {
			n++
		}
	}
	return n
}

// accountSummary is a figure that IAM tells of the account.
func (in *inspection) accountSummary(ctx context.Context, key iamtypes.SummaryKeyType) (int, error) {
	out, err := in.api.IAM.GetAccountSummary(ctx, &iam.GetAccountSummaryInput{})
	if err != nil {
		return 0, err
	}
	value, told := out.SummaryMap[string(key)]
	if !told {
		return 0, fmt.Errorf("IAM's account summary does not tell %s", key)
	}
	return int(value), nil
}

// lookAtFullestZone is about the zone, of those that the stack takes, that has the most NAT gateways.
func (in *inspection) lookAtFullestZone(ctx context.Context, q quota, limit float64, adds int) Finding {
	zones, err := in.chosenZones(ctx)
	if err != nil {
		return unknown("not looked at, since the zones are not known")
	}
	used, err := in.natsByZone(ctx)
	if err != nil {
		return unread(err)
	}
	fullest := slices.MaxFunc(zones, func(a, b zone) int { return used[a.name] - used[b.name] })
	finding := in.judge(q.Quota, limit, float64(used[fullest.name]), float64(adds))
	finding.Detail += ", in " + fullest.name
	return finding
}

// natsByZone counts the gateways that the quota counts: those pending, available or being deleted.
func (in *inspection) natsByZone(ctx context.Context) (map[string]int, error) {
	subnets, err := in.api.Subnets(ctx)
	if err != nil {
		return nil, err
	}
	zoneOf := map[string]string{}
	for _, s := range subnets {
		zoneOf[aws.ToString(s.SubnetId)] = aws.ToString(s.AvailabilityZone)
	}
	gateways, err := in.api.NATGateways(ctx)
	used := map[string]int{}
	for _, g := range gateways {
		if g.State != ec2types.NatGatewayStateFailed {
			used[zoneOf[aws.ToString(g.SubnetId)]]++
		}
	}
	return used, err
}

// cpuUnits are the CPU units of one vCPU.
const cpuUnits = 1024

var fargate = inventory.Quota{What: "Fargate vCPUs", Service: "fargate", Code: "L-3032A538"}

// lookAtFargate compares the vCPUs of the desired tasks, and of as many as there may come to be.
func (in *inspection) lookAtFargate(ctx context.Context) Finding {
	limit, err := in.limit(ctx, fargate)
	if err != nil {
		return unread(err)
	}
	used, own, err := in.vCPUs(ctx)
	if err != nil {
		return unread(err)
	}
	c := in.Config
	desired := float64(c.APIDesiredCount*c.APICPU+c.JobDesiredCount*c.JobCPU) / cpuUnits
	most := float64(c.APIMaxCount*c.APICPU+c.JobMaxCount*c.JobCPU) / cpuUnits
	// A deployment starts as many tasks again before it stops the old ones (maximum 200 percent).
	most = max(most, 2*desired)
	finding := in.judge(fargate, limit, used, max(0, desired-own))
	if finding.Status == OK && used-own+most > limit {
		finding.Status = Warning
		finding.Detail += fmt.Sprintf("; %s at full scale or during a deployment", number(most))
		finding.Advice = in.raise(fargate, used-own+most)
	}
	return finding
}

// vCPUs counts those of the account's on-demand Fargate tasks, and the stack's own among them. What CloudWatch tells of
// the account counts when it is more: EKS runs on the same quota.
func (in *inspection) vCPUs(ctx context.Context) (used, own float64, err error) {
	clusters, err := cloud.Pages(ctx, ecs.NewListClustersPaginator(in.api.ECS, &ecs.ListClustersInput{}),
		func(o *ecs.ListClustersOutput) []string { return o.ClusterArns })
	if err != nil {
		return 0, 0, err
	}
	for _, cluster := range clusters {
		units, err := in.clusterUnits(ctx, cluster)
		if err != nil {
			return 0, 0, err
		}
		used += units / cpuUnits
		if in.Deployed && inventory.ECSCluster.Ownership(path.Base(cluster), in.Config.EnvironmentSuffix) == inventory.Own {
			own = units / cpuUnits
		}
	}
	metered, err := in.meteredVCPUs(ctx)
	return max(used, metered), own, err
}

// clusterUnits adds up the CPU units of a cluster's tasks on demand.
func (in *inspection) clusterUnits(ctx context.Context, cluster string) (float64, error) {
	var units float64
	tasks := ecs.NewListTasksPaginator(in.api.ECS, &ecs.ListTasksInput{Cluster: &cluster, LaunchType: ecstypes.LaunchTypeFargate})
	for tasks.HasMorePages() {
		page, err := tasks.NextPage(ctx)
		if err != nil {
			return 0, err
		}
		if len(page.TaskArns) == 0 {
			continue
		}
		out, err := in.api.ECS.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: page.TaskArns})
		if err != nil {
			return 0, err
		}
		for _, task := range out.Tasks {
			if aws.ToString(task.CapacityProviderName) == "FARGATE_SPOT" {
				continue
			}
			size, err := strconv.ParseFloat(aws.ToString(task.Cpu), 64)
			if err != nil {
				return 0, fmt.Errorf("task %s does not tell its CPU units: %q", aws.ToString(task.TaskArn), aws.ToString(task.Cpu))
			}
			units += size
		}
	}
	return units, nil
}

// usageWindow is how far back the account's use is looked for: it is published every few minutes.
const usageWindow = 15 * time.Minute

// meteredVCPUs is the newest use that CloudWatch knows ("AWS Fargate usage metrics" in the ECS developer guide); 0 where
// it knows none.
func (in *inspection) meteredVCPUs(ctx context.Context) (float64, error) {
	dimension := func(name, value string) cwtypes.Dimension { return cwtypes.Dimension{Name: &name, Value: &value} }
	out, err := in.api.CloudWatch.GetMetricStatistics(ctx, &cloudwatch.GetMetricStatisticsInput{
		Namespace: aws.String("AWS/Usage"), MetricName: aws.String("ResourceCount"),
		Dimensions: []cwtypes.Dimension{
			dimension("Service", "Fargate"), dimension("Type", "Resource"), dimension("Resource", "vCPU"), dimension("Class", "Standard/OnDemand"),
		},
		StartTime: aws.Time(in.now.Add(-usageWindow)), EndTime: aws.Time(in.now), Period: aws.Int32(60),
		Statistics: []cwtypes.Statistic{cwtypes.StatisticMaximum},
	})
	if err != nil {
		return 0, err
	}
	if len(out.Datapoints) == 0 {
		return 0, nil
	}
	newest := slices.MaxFunc(out.Datapoints, func(a, b cwtypes.Datapoint) int { return aws.ToTime(a.Timestamp).Compare(aws.ToTime(b.Timestamp)) })
	return aws.ToFloat64(newest.Maximum), nil
}
