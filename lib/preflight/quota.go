package preflight

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

// quota is one limit of the account, and what the stack takes of it.
type quota struct {
	what string
	// service and code are those of Service Quotas ("AWS service endpoints and quotas" in the AWS General Reference).
	service, code string
	// limit is asked where Service Quotas does not say it; nil elsewhere.
	limit func(context.Context, *inspection) (float64, error)
	// kind is what verify calls the resource; what a stack that exists has of it is not needed again.
	kind string
	adds int
	used func(context.Context, *inspection) (int, error)
}

// Resource policies of CloudWatch Logs are 10 for an account and region, and AWS raises that for nobody
// (PutResourcePolicy, API reference).
const logPolicyLimit = 10

// quotas is what the stack takes in the account, by its configuration.
func quotas(c lib.Config) []quota {
	securityGroups, logPolicies := 5, 0
	if c.InterfaceEndpoints {
		securityGroups++
	}
	if c.WAF {
		logPolicies = 1
	}
	return []quota{
		{what: "Elastic IPs", service: "ec2", code: "L-0263D0A3", kind: "Elastic IP", adds: lib.ZoneCount, used: countAddresses},
		{what: "VPCs", service: "vpc", code: "L-F678F1CE", kind: "VPC", adds: 1, used: countVPCs},
		{what: "internet gateways", service: "vpc", code: "L-A4707A72", kind: "internet gateway", adds: 1, used: countInternetGateways},
		{what: "security groups", service: "vpc", code: "L-E79EC296", kind: "security group", adds: securityGroups, used: countSecurityGroups},
		{what: "gateway endpoints", service: "vpc", code: "L-1B52E74A", kind: "VPC endpoint", adds: 1, used: countGatewayEndpoints},
		{what: "load balancers", service: "elasticloadbalancing", code: "L-53DA6B97", kind: "load balancer", adds: 1, used: countLoadBalancers},
		{what: "target groups", service: "elasticloadbalancing", code: "L-B22855CB", kind: "target group", adds: 2, used: countTargetGroups},
		{what: "database clusters", service: "rds", code: "L-952B80B8", kind: "database cluster", adds: 1, used: countClusters},
		{what: "database instances", service: "rds", code: "L-7B6409FD", kind: "database instance", adds: 3, used: countInstances},
		{what: "database subnet groups", service: "rds", code: "L-48C6BF61", kind: "database subnet group", adds: 1, used: countSubnetGroups},
		{what: "database cluster parameter groups", service: "rds", code: "L-E4C808A8", kind: "database cluster parameter group", adds: 1, used: countParameterGroups},
		{what: "RDS event subscriptions", service: "rds", code: "L-A59F4C87", kind: "RDS event subscription", adds: 1, used: countEventSubscriptions},
		{
			what: "log resource policies", kind: "log resource policy", adds: logPolicies, used: countLogPolicies,
			limit: func(context.Context, *inspection) (float64, error) { return logPolicyLimit, nil },
		},
		{what: "IAM roles", kind: "IAM role", adds: 6, limit: accountSummary(iamtypes.SummaryKeyTypeRolesQuota), used: countRoles},
	}
}

// lookAtQuotas compares every quota with what is used and what the stack adds.
func lookAtQuotas(ctx context.Context, in *inspection) []Finding {
	var asks []func() Finding
	for _, q := range quotas(in.Config) {
		asks = append(asks, func() Finding { return in.lookAtQuota(ctx, q) })
	}
	asks = append(asks, func() Finding { return in.lookAtNATs(ctx) }, func() Finding { return in.lookAtFargate(ctx) })
	found := make([]Finding, len(asks))
	var wait sync.WaitGroup
	for i, ask := range asks {
		wait.Go(func() { found[i] = ask() })
	}
	wait.Wait()
	return found
}

func (in *inspection) lookAtQuota(ctx context.Context, q quota) Finding {
	what := "quota of " + q.what
	adds, err := in.needs(ctx, q)
	if err != nil {
		return unknown(what, err)
	}
	limit, err := q.read(ctx, in)
	if err != nil {
		return unknown(what, err)
	}
	used, err := q.used(ctx, in)
	if err != nil {
		return unknown(what, err)
	}
	return in.judge(what, q, limit, float64(used), float64(adds))
}

// needs is what of a quota is not there yet.
func (in *inspection) needs(ctx context.Context, q quota) (int, error) {
	if !in.Deployed {
		return q.adds, nil
	}
	existing, err := in.existing(ctx)
	if err != nil {
		return 0, err
	}
	adds := q.adds
	for _, leak := range existing {
		if leak.Kind == q.kind && adds > 0 {
			adds--
		}
	}
	return adds, nil
}

func (in *inspection) judge(what string, q quota, limit, used, adds float64) Finding {
	detail := fmt.Sprintf("%s of %s in use, %s more needed", number(used), number(limit), number(adds))
	if adds == 0 {
		detail = fmt.Sprintf("%s of %s in use, no more needed", number(used), number(limit))
	}
	if adds == 0 || used+adds <= limit {
		return Finding{What: what, Status: OK, Detail: detail}
	}
	return Finding{what, Problem, detail, in.raise(q, used+adds)}
}

// raise says how to get more of a quota.
func (in *inspection) raise(q quota, wanted float64) string {
	if q.code == "" {
		return "Remove some that are not needed, or take another account."
	}
	return fmt.Sprintf("Release some, or ask for more: aws service-quotas request-service-quota-increase --service-code %s --quota-code %s "+
		"--desired-value %s --region %s", q.service, q.code, number(math.Ceil(wanted)), in.region)
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// read is the quota that holds for this account, or AWS's default where none was ever set for it.
func (q quota) read(ctx context.Context, in *inspection) (float64, error) {
	if q.limit != nil {
		return q.limit(ctx, in)
	}
	applied, err := in.api.Quotas.GetServiceQuota(ctx, &servicequotas.GetServiceQuotaInput{ServiceCode: &q.service, QuotaCode: &q.code})
	if err == nil && applied.Quota != nil && applied.Quota.Value != nil {
		return *applied.Quota.Value, nil
	}
	if err != nil && !cloud.HasCode(err, "NoSuchResourceException") {
		return 0, err
	}
	general, err := in.api.Quotas.GetAWSDefaultServiceQuota(ctx, &servicequotas.GetAWSDefaultServiceQuotaInput{ServiceCode: &q.service, QuotaCode: &q.code})
	if err != nil {
		return 0, err
	}
	if general.Quota == nil || general.Quota.Value == nil {
		return 0, fmt.Errorf("no value is told for %s %s", q.service, q.code)
	}
	return *general.Quota.Value, nil
}

// pager is the shape of every generated paginator.
type pager[O, P any] interface {
	HasMorePages() bool
	NextPage(context.Context, ...func(*O)) (P, error)
}

// count adds up the pages of a list.
func count[O, P any](ctx context.Context, pages pager[O, P], size func(P) int) (int, error) {
	total := 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return 0, err
		}
		total += size(page)
	}
	return total, nil
}

// countAddresses leaves out what AWS allocates by itself and addresses that the account brought along, which the quota
// does not count.
func countAddresses(ctx context.Context, in *inspection) (int, error) {
	out, err := in.api.EC2.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{})
	if err != nil {
		return 0, err
	}
	used := 0
	for _, a := range out.Addresses {
		if a.ServiceManaged == "" && !strings.HasPrefix(aws.ToString(a.PublicIpv4Pool), "ipv4pool-ec2-") {
			used++
		}
	}
	return used, nil
}

func countVPCs(ctx context.Context, in *inspection) (int, error) {
	return count(ctx, ec2.NewDescribeVpcsPaginator(in.api.EC2, &ec2.DescribeVpcsInput{}),
		func(p *ec2.DescribeVpcsOutput) int { return len(p.Vpcs) })
}

func countInternetGateways(ctx context.Context, in *inspection) (int, error) {
	return count(ctx, ec2.NewDescribeInternetGatewaysPaginator(in.api.EC2, &ec2.DescribeInternetGatewaysInput{}),
		func(p *ec2.DescribeInternetGatewaysOutput) int { return len(p.InternetGateways) })
}

func countSecurityGroups(ctx context.Context, in *inspection) (int, error) {
	return count(ctx, ec2.NewDescribeSecurityGroupsPaginator(in.api.EC2, &ec2.DescribeSecurityGroupsInput{}),
		func(p *ec2.DescribeSecurityGroupsOutput) int { return len(p.SecurityGroups) })
}

func countGatewayEndpoints(ctx context.Context, in *inspection) (int, error) {
	return count(ctx, ec2.NewDescribeVpcEndpointsPaginator(in.api.EC2, &ec2.DescribeVpcEndpointsInput{
		Filters: []ec2types.Filter{{Name: aws.String("vpc-endpoint-type"), Values: []string{string(ec2types.VpcEndpointTypeGateway)}}},
	}), func(p *ec2.DescribeVpcEndpointsOutput) int { return len(p.VpcEndpoints) })
}

func countLoadBalancers(ctx context.Context, in *inspection) (int, error) {
	return count(ctx, elasticloadbalancingv2.NewDescribeLoadBalancersPaginator(in.api.ELB, &elasticloadbalancingv2.DescribeLoadBalancersInput{}),
		func(p *elasticloadbalancingv2.DescribeLoadBalancersOutput) (n int) {
			for _, b := range p.LoadBalancers {
				if b.Type == elbtypes.LoadBalancerTypeEnumApplication {
					n++
				}
			}
			return n
		})
}

func countTargetGroups(ctx context.Context, in *inspection) (int, error) {
	return count(ctx, elasticloadbalancingv2.NewDescribeTargetGroupsPaginator(in.api.ELB, &elasticloadbalancingv2.DescribeTargetGroupsInput{}),
		func(p *elasticloadbalancingv2.DescribeTargetGroupsOutput) int { return len(p.TargetGroups) })
}

func countClusters(ctx context.Context, in *inspection) (int, error) {
	return count(ctx, rds.NewDescribeDBClustersPaginator(in.api.RDS, &rds.DescribeDBClustersInput{}),
		func(p *rds.DescribeDBClustersOutput) int { return len(p.DBClusters) })
}

func countInstances(ctx context.Context, in *inspection) (int, error) {
	return count(ctx, rds.NewDescribeDBInstancesPaginator(in.api.RDS, &rds.DescribeDBInstancesInput{}),
		func(p *rds.DescribeDBInstancesOutput) int { return len(p.DBInstances) })
}

func countSubnetGroups(ctx context.Context, in *inspection) (int, error) {
	return count(ctx, rds.NewDescribeDBSubnetGroupsPaginator(in.api.RDS, &rds.DescribeDBSubnetGroupsInput{}),
		func(p *rds.DescribeDBSubnetGroupsOutput) int { return len(p.DBSubnetGroups) })
}

// countParameterGroups leaves out the defaults, which are AWS's.
func countParameterGroups(ctx context.Context, in *inspection) (int, error) {
	return count(ctx, rds.NewDescribeDBClusterParameterGroupsPaginator(in.api.RDS, &rds.DescribeDBClusterParameterGroupsInput{}),
		func(p *rds.DescribeDBClusterParameterGroupsOutput) (n int) {
			for _, g := range p.DBClusterParameterGroups {
				if !strings.HasPrefix(aws.ToString(g.DBClusterParameterGroupName), "default.") {
					n++
				}
			}
			return n
		})
}

func countEventSubscriptions(ctx context.Context, in *inspection) (int, error) {
	return count(ctx, rds.NewDescribeEventSubscriptionsPaginator(in.api.RDS, &rds.DescribeEventSubscriptionsInput{}),
		func(p *rds.DescribeEventSubscriptionsOutput) int { return len(p.EventSubscriptionsList) })
}

// countLogPolicies counts the account's policies: those of single log groups, which have no such limit, are not listed.
func countLogPolicies(ctx context.Context, in *inspection) (int, error) {
	used := 0
	for ask := (&cloudwatchlogs.DescribeResourcePoliciesInput{}); ; {
		page, err := in.api.Logs.DescribeResourcePolicies(ctx, ask)
		if err != nil {
			return 0, err
		}
		used += len(page.ResourcePolicies)
		if aws.ToString(page.NextToken) == "" {
			return used, nil
		}
		ask.NextToken = page.NextToken
	}
}

// accountSummary reads a figure that IAM tells of the account.
func accountSummary(key iamtypes.SummaryKeyType) func(context.Context, *inspection) (float64, error) {
	return func(ctx context.Context, in *inspection) (float64, error) {
		out, err := in.api.IAM.GetAccountSummary(ctx, &iam.GetAccountSummaryInput{})
		if err != nil {
			return 0, err
		}
		value, told := out.SummaryMap[string(key)]
		if !told {
			return 0, fmt.Errorf("IAM's account summary does not tell %s", key)
		}
		return float64(value), nil
	}
}

func countRoles(ctx context.Context, in *inspection) (int, error) {
	used, err := accountSummary(iamtypes.SummaryKeyTypeRoles)(ctx, in)
	return int(used), err
}

// lookAtNATs is about the zone, of those that the stack takes, that has the most NAT gateways.
func (in *inspection) lookAtNATs(ctx context.Context) Finding {
	q := quota{what: "NAT gateways in a zone", service: "vpc", code: "L-FE5A380F", kind: "NAT gateway", adds: lib.ZoneCount}
	what := "quota of " + q.what
	missing, err := in.needs(ctx, q)
	if err != nil {
		return unknown(what, err)
	}
	limit, err := q.read(ctx, in)
	if err != nil {
		return unknown(what, err)
	}
	zones, err := in.chosenZones(ctx)
	if err != nil {
		return Finding{What: what, Status: Unknown, Detail: "not looked at, since the zones are not known"}
	}
	used, err := in.natsByZone(ctx)
	if err != nil {
		return unknown(what, err)
	}
	fullest := zones[0]
	for _, z := range zones {
		if used[z.name] > used[fullest.name] {
			fullest = z
		}
	}
	finding := in.judge(what, q, limit, float64(used[fullest.name]), float64(min(missing, 1)))
	finding.Detail += ", in " + fullest.name
	return finding
}

// natsByZone counts the gateways that the quota counts: those pending, available or being deleted.
func (in *inspection) natsByZone(ctx context.Context) (map[string]int, error) {
	zoneOf := map[string]string{}
	subnets := ec2.NewDescribeSubnetsPaginator(in.api.EC2, &ec2.DescribeSubnetsInput{})
	if _, err := count(ctx, subnets, func(p *ec2.DescribeSubnetsOutput) int {
		for _, s := range p.Subnets {
			zoneOf[aws.ToString(s.SubnetId)] = aws.ToString(s.AvailabilityZone)
		}
		return 0
	}); err != nil {
		return nil, err
	}
	used := map[string]int{}
	gateways := ec2.NewDescribeNatGatewaysPaginator(in.api.EC2, &ec2.DescribeNatGatewaysInput{})
	_, err := count(ctx, gateways, func(p *ec2.DescribeNatGatewaysOutput) int {
		for _, g := range p.NatGateways {
			if g.State != ec2types.NatGatewayStateDeleted && g.State != ec2types.NatGatewayStateFailed {
				used[zoneOf[aws.ToString(g.SubnetId)]]++
			}
		}
		return 0
	})
	return used, err
}

// cpuUnits are the CPU units of one vCPU.
const cpuUnits = 1024

// lookAtFargate compares the vCPUs of the desired tasks, and of as many as there may come to be.
func (in *inspection) lookAtFargate(ctx context.Context) Finding {
	q := quota{what: "Fargate vCPUs", service: "fargate", code: "L-3032A538"}
	what := "quota of " + q.what
	limit, err := q.read(ctx, in)
	if err != nil {
		return unknown(what, err)
	}
	used, own, err := in.vCPUs(ctx)
	if err != nil {
		return unknown(what, err)
	}
	c := in.Config
	desired := float64(c.APIDesiredCount*c.APICPU+c.JobDesiredCount*c.JobCPU) / cpuUnits
	most := float64(c.APIMaxCount*c.APICPU+c.JobMaxCount*c.JobCPU) / cpuUnits
	// A deployment starts as many tasks again before it stops the old ones (maximum 200 percent).
	most = max(most, 2*desired)
	finding := in.judge(what, q, limit, used, max(0, desired-own))
	if finding.Status == OK && used-own+most > limit {
		finding.Status = Warning
		finding.Detail += fmt.Sprintf("; %s at full scale or during a deployment", number(most))
		finding.Advice = in.raise(q, used-own+most)
	}
	return finding
}

// vCPUs counts those of the account's on-demand Fargate tasks, and the stack's own among them. What CloudWatch tells of
// the account counts when it is more: EKS runs on the same quota.
func (in *inspection) vCPUs(ctx context.Context) (used, own float64, err error) {
	clusters := ecs.NewListClustersPaginator(in.api.ECS, &ecs.ListClustersInput{})
	for clusters.HasMorePages() {
		page, err := clusters.NextPage(ctx)
		if err != nil {
			return 0, 0, err
		}
		for _, cluster := range page.ClusterArns {
			units, err := in.clusterUnits(ctx, cluster)
			if err != nil {
				return 0, 0, err
			}
			used += units / cpuUnits
			if in.Deployed && strings.HasSuffix(cluster, "/"+lib.PhysicalName("ecs-cluster", in.Config.EnvironmentSuffix)) {
				own = units / cpuUnits
			}
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
	var newest cwtypes.Datapoint
	for _, p := range out.Datapoints {
		if newest.Timestamp == nil || aws.ToTime(p.Timestamp).After(*newest.Timestamp) {
			newest = p
		}
	}
	return aws.ToFloat64(newest.Maximum), nil
}
