package preflight

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	cwtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	gdtypes "github.com/aws/aws-sdk-go-v2/service/guardduty/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	route53types "github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	sqtypes "github.com/aws/aws-sdk-go-v2/service/servicequotas/types"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/inventory"
)

const (
	certificate = "arn:aws:acm:us-east-1:123456789012:certificate/11111111-2222-3333-4444-555555555555"
	privateAPI  = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/payment-api:1.0.0"
)

func TestAnEmptyAccountWithRoomHasNoProblem(t *testing.T) {
	report := inspect(t, emptyAccount(), config(t, nil)).run(t.Context())
	require.NoError(t, report.Err())
	require.Empty(t, report.With(Warning))
	require.Empty(t, report.With(Unknown))
	require.Equal(t, ownAccount, report.Account)
	require.Equal(t, ownRegion, report.Region)
	require.Len(t, report.With(OK), len(report.Findings))
	require.Equal(t, "0 of 100 in use, 3 more needed", about(t, report, "quota of Elastic IPs").Detail)
	require.Equal(t, "0 of 64 in use, 4 more needed", about(t, report, "quota of Fargate vCPUs").Detail)
	require.Equal(t, "us-east-1a (use1-az1), us-east-1b (use1-az2), us-east-1d (use1-az4)", about(t, report, "availability zones").Detail)
	require.Contains(t, about(t, report, "database version").Detail, "aurora-postgresql 16.6")
	require.Contains(t, about(t, report, "image of payment-api").Detail, "for linux/amd64")
}

func TestFiveThingsWrongAreToldAtOnce(t *testing.T) {
	a := emptyAccount()
	a.quotas["L-0263D0A3"] = 5
	a.answers["EC2 DescribeAddresses"] = always(&ec2.DescribeAddressesOutput{Addresses: make([]ec2types.Address, 3)})
	a.answers["RDS DescribeOrderableDBInstanceOptions"] = always(&rds.DescribeOrderableDBInstanceOptionsOutput{})
	a.leaks = []inventory.Resource{{Kind: inventory.VPC, Name: "vpc-dev", ARN: "arn:aws:ec2:us-east-1:123456789012:vpc/vpc-1"}}
	in := inspect(t, a, config(t, map[string]string{
		"allowedAccountIds": "210987654321", "jobProcessorImage": "registry.example.com/job-processor:2.0.0",
	}))
	report := in.run(t.Context())
	problems := report.With(Problem)
	require.Len(t, problems, 5, "%+v", problems)
	text := report.Err().Error()
	for _, want := range []string{
		"allowed accounts: the credentials are those of account 123456789012, and only 210987654321 may be deployed to",
		"quota of Elastic IPs: 3 of 5 in use, 3 more needed",
		"--service-code ec2 --quota-code L-0263D0A3 --desired-value 6 --region us-east-1",
		"database instance class: db.r6g.large cannot be ordered for aurora-postgresql 16.6 in us-east-1",
		"image of job-processor: registry.example.com/job-processor:2.0.0 is not in its registry",
		"names: 1 resource of suffix dev without a stack: VPC vpc-dev",
	} {
		require.Contains(t, text, want)
	}
}

func TestTheMigrationsImageIsLookedAtWhereItIsAnother(t *testing.T) {
	missing := "registry.example.com/payment-migrate:2.0.0"
	report := inspect(t, emptyAccount(), config(t, map[string]string{"paymentMigrateImage": missing})).run(t.Context())
	require.ErrorContains(t, report.Err(), "image of payment-migrate: "+missing+" is not in its registry")
	for _, f := range inspect(t, emptyAccount(), config(t, nil)).run(t.Context()).Findings {
		require.NotContains(t, f.What, "payment-migrate", "it is payment-api's")
	}
}

func TestNothingIsChangedInTheAccount(t *testing.T) {
	a := emptyAccount()
	inspect(t, a, config(t, map[string]string{"certificateArn": certificate, "paymentApiImage": privateAPI})).run(t.Context())
	require.NotEmpty(t, a.asked)
	for _, call := range a.asked {
		_, operation, _ := strings.Cut(call, " ")
		words := strings.Fields(operation)
		require.Regexp(t, `^(Get|List|Describe)`, words[len(words)-1], call)
	}
}

func TestWithoutCredentialsOneProblemIsToldAndTheRestIsUnknown(t *testing.T) {
	a := emptyAccount()
	a.answers["STS GetCallerIdentity"] = refuse("ExpiredToken")
	report := inspect(t, a, config(t, nil)).run(t.Context())
	require.Len(t, report.With(Problem), 1)
	require.Contains(t, about(t, report, "credentials").Detail, "ExpiredToken")
	require.Contains(t, about(t, report, "credentials").Advice, "AWS_PROFILE")
	require.Equal(t, OK, about(t, report, "image of payment-api").Status, "a public registry asks for none")
	require.Equal(t, Unknown, about(t, report, "quotas").Status)
	require.Equal(t, []string{"STS GetCallerIdentity"}, a.asked)
	require.Empty(t, report.Account)
}

func TestWhatCannotBeReadIsUnknownWithItsReason(t *testing.T) {
	a := emptyAccount()
	identity := a.answers["STS GetCallerIdentity"]
	a.answers = answers{"STS GetCallerIdentity": identity}
	a.leaksErr = errors.New("looking for what is left: refused")
	report := inspect(t, a, config(t, map[string]string{"certificateArn": certificate, "paymentApiImage": privateAPI})).run(t.Context())
	require.NoError(t, report.Err(), "what is not known stops nothing")
	for _, what := range []string{
		"region", "availability zones", "quota of Elastic IPs", "quota of VPCs", "quota of NAT gateways in a zone", "quota of Fargate vCPUs",
		"quota of IAM roles", "quota of log resource policies", "database version", "certificate", "image of payment-api", "deleted secrets", "service-linked roles", "GuardDuty",
	} {
		f := about(t, report, what)
		require.Equal(t, Unknown, f.Status, "%+v", f)
		require.Contains(t, f.Detail, "AccessDenied", "%+v", f)
	}
	require.Contains(t, about(t, report, "quota of Elastic IPs").Detail, "Service Quotas GetServiceQuota: AccessDenied: says the test")
	require.Equal(t, Unknown, about(t, report, "names").Status)
	require.Len(t, report.With(Unknown), len(report.Findings)-len(report.With(OK)))
}

func TestAQuotaThatWasNeverSetHasAWSsDefault(t *testing.T) {
	a := emptyAccount()
	a.answers["Service Quotas GetServiceQuota"] = refuse("NoSuchResourceException")
	a.answers["Service Quotas GetAWSDefaultServiceQuota"] = always(&servicequotas.GetAWSDefaultServiceQuotaOutput{
		Quota: &sqtypes.ServiceQuota{Value: aws.Float64(20)},
	})
	report := inspect(t, a, config(t, nil)).run(t.Context())
	require.Equal(t, "0 of 20 in use, 1 more needed", about(t, report, "quota of VPCs").Detail)

	a.answers["Service Quotas GetAWSDefaultServiceQuota"] = refuse("NoSuchResourceException")
	report = inspect(t, a, config(t, nil)).run(t.Context())
	require.Equal(t, Unknown, about(t, report, "quota of VPCs").Status)
}

// fill makes one quota's use exactly what the account has room for.
var fill = map[string]struct {
	code, call string
	answer     any
}{
	"Elastic IPs":       {"L-0263D0A3", "EC2 DescribeAddresses", &ec2.DescribeAddressesOutput{Addresses: make([]ec2types.Address, 5)}},
	"VPCs":              {"L-F678F1CE", "EC2 DescribeVpcs", &ec2.DescribeVpcsOutput{Vpcs: make([]ec2types.Vpc, 5)}},
	"internet gateways": {"L-A4707A72", "EC2 DescribeInternetGateways", &ec2.DescribeInternetGatewaysOutput{InternetGateways: make([]ec2types.InternetGateway, 5)}},
	"security groups":   {"L-E79EC296", "EC2 DescribeSecurityGroups", &ec2.DescribeSecurityGroupsOutput{SecurityGroups: make([]ec2types.SecurityGroup, 5)}},
	"gateway endpoints": {"L-1B52E74A", "EC2 DescribeVpcEndpoints", &ec2.DescribeVpcEndpointsOutput{VpcEndpoints: slices.Repeat([]ec2types.VpcEndpoint{{VpcEndpointType: "Gateway"}}, 5)}},
	"load balancers": {"L-53DA6B97", "Elastic Load Balancing v2 DescribeLoadBalancers", &elasticloadbalancingv2.DescribeLoadBalancersOutput{
		LoadBalancers: []elbtypes.LoadBalancer{{Type: "application"}, {Type: "application"}, {Type: "application"}, {Type: "application"}, {Type: "application"}, {Type: "network"}},
	}},
	"target groups":          {"L-B22855CB", "Elastic Load Balancing v2 DescribeTargetGroups", &elasticloadbalancingv2.DescribeTargetGroupsOutput{TargetGroups: make([]elbtypes.TargetGroup, 5)}},
	"database clusters":      {"L-952B80B8", "RDS DescribeDBClusters", &rds.DescribeDBClustersOutput{DBClusters: make([]rdstypes.DBCluster, 5)}},
	"database instances":     {"L-7B6409FD", "RDS DescribeDBInstances", &rds.DescribeDBInstancesOutput{DBInstances: make([]rdstypes.DBInstance, 5)}},
	"database subnet groups": {"L-48C6BF61", "RDS DescribeDBSubnetGroups", &rds.DescribeDBSubnetGroupsOutput{DBSubnetGroups: make([]rdstypes.DBSubnetGroup, 5)}},
	"database cluster parameter groups": {"L-E4C808A8", "RDS DescribeDBClusterParameterGroups", &rds.DescribeDBClusterParameterGroupsOutput{
		DBClusterParameterGroups: make([]rdstypes.DBClusterParameterGroup, 5),
	}},
	"RDS event subscriptions": {"L-A59F4C87", "RDS DescribeEventSubscriptions", &rds.DescribeEventSubscriptionsOutput{EventSubscriptionsList: make([]rdstypes.EventSubscription, 5)}},
	"log resource policies": {"", "CloudWatch Logs DescribeResourcePolicies", &cloudwatchlogs.DescribeResourcePoliciesOutput{
		ResourcePolicies: make([]logtypes.ResourcePolicy, 10),
	}},
	"IAM roles": {"", "IAM GetAccountSummary", &iam.GetAccountSummaryOutput{SummaryMap: map[string]int32{"Roles": 5, "RolesQuota": 5}}},
}

func TestEveryQuotaThatIsFullIsAProblemOfItsOwn(t *testing.T) {
	c := config(t, nil)
	for _, q := range quotasOf(t, c) {
		if q.PerZone {
			continue // TestNATGatewaysAreCountedInTheFullestZoneOfTheStack
		}
		t.Run(q.What, func(t *testing.T) {
			full, known := fill[q.What]
			require.True(t, known, "lib/preflight/preflight_test.go fills no quota of %s", q.What)
			a := emptyAccount()
			a.quotas[full.code] = 5
			a.answers[full.call] = always(full.answer)
			report := inspect(t, a, c).run(t.Context())
			problems := report.With(Problem)
			require.Len(t, problems, 1, "%+v", problems)
			require.Equal(t, "quota of "+q.What, problems[0].What)
			require.Regexp(t, `^(5 of 5|10 of 10) in use, \d more needed$`, problems[0].Detail)
			require.Equal(t, q.Code, full.code)
			require.NotEmpty(t, problems[0].Advice)

			// The same account has room for a stack that has all of its own.
			a.leaks = make([]inventory.Resource, q.declared)
			for i := range a.leaks {
				a.leaks[i].Kind = q.kind
			}
			require.NoError(t, runDeployed(t, a).Err(), "an update needs no more")
			if q.declared > 1 {
				a.leaks = a.leaks[1:]
				require.ErrorContains(t, runDeployed(t, a).Err(), "1 more needed", "a stack that was deployed in part needs the rest")
			}
		})
	}
}

func TestAddressesThatTheQuotaDoesNotCountAreLeftOut(t *testing.T) {
	a := emptyAccount()
	a.quotas["L-0263D0A3"] = 4
	a.answers["EC2 DescribeAddresses"] = always(&ec2.DescribeAddressesOutput{Addresses: []ec2types.Address{
		{PublicIpv4Pool: aws.String("amazon")}, {PublicIpv4Pool: aws.String("ipv4pool-ec2-0123456789abcdef0")}, {ServiceManaged: ec2types.ServiceManagedAlb},
	}})
	report := inspect(t, a, config(t, nil)).run(t.Context())
	require.Equal(t, "1 of 4 in use, 3 more needed", about(t, report, "quota of Elastic IPs").Detail)
	require.NoError(t, report.Err())
}

func TestNATGatewaysAreCountedInTheFullestZoneOfTheStack(t *testing.T) {
	a := emptyAccount()
	a.quotas["L-FE5A380F"] = 2
	a.answers["EC2 DescribeSubnets"] = always(&ec2.DescribeSubnetsOutput{Subnets: []ec2types.Subnet{
		{SubnetId: aws.String("a"), AvailabilityZone: aws.String("us-east-1a")},
		{SubnetId: aws.String("b"), AvailabilityZone: aws.String("us-east-1b")},
		{SubnetId: aws.String("c"), AvailabilityZone: aws.String("us-east-1c")},
	}})
	gateways := func(subnets ...string) any {
		out := &ec2.DescribeNatGatewaysOutput{}
		for _, subnet := range subnets {
			id, state, _ := strings.Cut(subnet, ":")
			out.NatGateways = append(out.NatGateways, ec2types.NatGateway{SubnetId: &id, State: ec2types.NatGatewayState(state)})
		}
		return out
	}
	a.answers["EC2 DescribeNatGateways"] = always(gateways("a:available", "b:deleting", "b:available"))
	f := about(t, inspect(t, a, config(t, nil)).run(t.Context()), "quota of NAT gateways in a zone")
	require.Equal(t, Problem, f.Status)
	require.Equal(t, "2 of 2 in use, 1 more needed, in us-east-1b", f.Detail)

	// us-east-1c is the zone that the stack leaves out; deleted gateways take no place.
	a.answers["EC2 DescribeNatGateways"] = always(gateways("c:available", "c:available", "a:deleted", "b:deleted", "b:deleted", "b:failed"))
	f = about(t, inspect(t, a, config(t, nil)).run(t.Context()), "quota of NAT gateways in a zone")
	require.Equal(t, OK, f.Status, "%+v", f)
}

func tasks(units ...string) any {
	out := &ecs.DescribeTasksOutput{}
	for _, unit := range units {
		cpu, provider, _ := strings.Cut(unit, "@")
		out.Tasks = append(out.Tasks, ecstypes.Task{Cpu: &cpu, CapacityProviderName: &provider})
	}
	return out
}

func TestFargateVCPUsOfTheWholeAccountCount(t *testing.T) {
	a := emptyAccount()
	a.answers["ECS ListClusters"] = always(&ecs.ListClustersOutput{ClusterArns: []string{"arn:aws:ecs:us-east-1:123456789012:cluster/ecs-cluster-dev"}})
	a.answers["ECS ListTasks"] = always(&ecs.ListTasksOutput{TaskArns: []string{"one", "two", "three"}})
	a.answers["ECS DescribeTasks"] = always(tasks("1024@FARGATE", "2048@", "4096@FARGATE_SPOT"))
	vCPUs := func(quota float64, deployed bool) Finding {
		a.quotas["L-3032A538"] = quota
		in := inspect(t, a, config(t, nil))
		in.Deployed = deployed
		return about(t, in.run(t.Context()), "quota of Fargate vCPUs")
	}
	f := vCPUs(6, false)
	require.Equal(t, Problem, f.Status)
	require.Equal(t, "3 of 6 in use, 4 more needed", f.Detail)
	require.Contains(t, f.Advice, "--service-code fargate --quota-code L-3032A538 --desired-value 7 ")

	f = vCPUs(7, false)
	require.Equal(t, Warning, f.Status, "there is room to start, not to grow")
	require.Equal(t, "3 of 7 in use, 4 more needed; 16 at full scale or during a deployment", f.Detail)
	require.Contains(t, f.Advice, "--desired-value 19 ")
	require.Equal(t, OK, vCPUs(19, false).Status)

	// The three vCPUs are the stack's own: one is missing, and full scale takes 16 in all.
	require.Equal(t, "3 of 16 in use, 1 more needed", vCPUs(16, true).Detail)
	require.Equal(t, OK, vCPUs(16, true).Status)

	a.answers["CloudWatch GetMetricStatistics"] = always(&cloudwatch.GetMetricStatisticsOutput{Datapoints: []cwtypes.Datapoint{
		{Timestamp: aws.Time(time.Unix(2000, 0)), Maximum: aws.Float64(5)}, {Timestamp: aws.Time(time.Unix(1000, 0)), Maximum: aws.Float64(9)},
	}})
	require.Equal(t, "5 of 7 in use, 4 more needed", vCPUs(7, false).Detail, "what EKS runs is only in the metric")
}

func TestEachThingThatIsWrongIsToldWithAdvice(t *testing.T) {
	now := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	issued := func(status acmtypes.CertificateStatus, until time.Time) func(any) (any, error) {
		return always(&acm.DescribeCertificateOutput{Certificate: &acmtypes.CertificateDetail{DomainName: aws.String("pay.example.com"), Status: status, NotAfter: &until}})
	}
	hosted := func(name string, private bool) func(any) (any, error) {
		return always(&route53.GetHostedZoneOutput{HostedZone: &route53types.HostedZone{Name: &name, Config: &route53types.HostedZoneConfig{PrivateZone: private}}})
	}
	records := func(name string, kind route53types.RRType) func(any) (any, error) {
		return always(&route53.ListResourceRecordSetsOutput{ResourceRecordSets: []route53types.ResourceRecordSet{{Name: &name, Type: kind}}})
	}
	none := always(&route53.ListResourceRecordSetsOutput{})
	byArn := map[string]string{"certificateArn": certificate}
	byDomain := map[string]string{"domainName": "pay.example.com", "hostedZoneId": "Z0123456789ABCDEFGHIJ"}
	monitored := func(fargate gdtypes.FeatureStatus) answers {
		return answers{
			"GuardDuty ListDetectors": always(&guardduty.ListDetectorsOutput{DetectorIds: []string{"d1"}}),
			"GuardDuty GetDetector": always(&guardduty.GetDetectorOutput{
				Status: gdtypes.DetectorStatusEnabled,
				Features: []gdtypes.DetectorFeatureConfigurationResult{{
					Name: gdtypes.DetectorFeatureResultRuntimeMonitoring, Status: gdtypes.FeatureStatusEnabled,
					AdditionalConfiguration: []gdtypes.DetectorAdditionalConfigurationResult{
						{Name: gdtypes.FeatureAdditionalConfigurationEc2AgentManagement, Status: gdtypes.FeatureStatusEnabled},
						{Name: gdtypes.FeatureAdditionalConfigurationEcsFargateAgentManagement, Status: fargate},
					},
				}},
			}),
		}
	}
	for _, c := range []struct {
		name    string
		config  map[string]string
		answers answers
		what    string
		status  Status
		detail  string
	}{
		{"no account is allowed", map[string]string{"allowedAccountIds": ""}, nil, "allowed accounts", Problem, "no account is allowed, and the credentials are those of 123456789012"},
		{"a region of another name", nil, answers{"EC2 DescribeRegions": refuse("InvalidParameterValue")}, "region", Problem, `"us-east-1" is no region`},
		{
			"a region that is off", nil,
			answers{"EC2 DescribeRegions": always(&ec2.DescribeRegionsOutput{Regions: []ec2types.Region{{OptInStatus: aws.String("not-opted-in")}}})},
			"region", Problem, "us-east-1 is not enabled",
		},
		{"two zones", nil, answers{"EC2 DescribeAvailabilityZones": always(zonesOutput("use1-az1", "use1-az2"))}, "availability zones", Problem, "us-east-1 offers 2 of the 3 usable zones that are needed"},
		{
			"the last resort", nil,
			answers{"EC2 DescribeAvailabilityZones": always(zonesOutput("use1-az6", "use1-az3", "use1-az1"))},
			"availability zones", OK, "us-east-1c (use1-az1), us-east-1a (use1-az6), us-east-1b (use1-az3)",
		},
		{"a zone that is closed", map[string]string{"availabilityZones": "us-east-1a,us-east-1b,us-east-1f"}, nil, "availability zones", Problem, "cannot use us-east-1f of availabilityZones; it can use us-east-1a, us-east-1b, us-east-1c, us-east-1d"},
		{"zones of one's own", map[string]string{"availabilityZones": "us-east-1d,us-east-1c,us-east-1b"}, nil, "availability zones", OK, "us-east-1d (use1-az4), us-east-1c (use1-az3), us-east-1b (use1-az2)"},
		{"an earlier major version", map[string]string{"dbEngineVersion": "15"}, answers{"RDS DescribeDBClusters": deployedDatabase("16.8")}, "database version", Problem, "the database runs 16.8, and RDS has no way back to 15"},
		{"an earlier minor version", map[string]string{"dbEngineVersion": "16.4"}, answers{"RDS DescribeDBClusters": deployedDatabase("16.8")}, "database version", OK, "aurora-postgresql 16.8"},
		{"a version out of support", map[string]string{"dbEngineVersion": "13.20"}, nil, "database version", Problem, "standard support of aurora-postgresql 13.20 ended on 2026-02-28"},
		{"a version that RDS supports for longer", map[string]string{"dbEngineVersion": "13.20"}, answers{"RDS DescribeDBMajorEngineVersions": supported("13", now)}, "database version", Problem, "has no version 13.20"},
		{"a version that RDS says to be out of support", map[string]string{"dbEngineVersion": "16.6"}, answers{"RDS DescribeDBMajorEngineVersions": supported("16", now.AddDate(0, 0, -2))}, "database version", Problem, "standard support of aurora-postgresql 16.6 ended on 2026-11-22"},
		{"no such version", map[string]string{"dbEngineVersion": "16.99"}, answers{"RDS DescribeDBEngineVersions": always(&rds.DescribeDBEngineVersionsOutput{})}, "database version", Problem, "aurora-postgresql has no version 16.99 in us-east-1"},
		{"another major version only", map[string]string{"dbEngineVersion": "17"}, nil, "database version", Problem, "has no version 17"},
		{"a full version", map[string]string{"dbEngineVersion": "16.6"}, nil, "database version", OK, "aurora-postgresql 16.6"},
		{
			"a class that one zone lacks", nil,
			answers{"RDS DescribeOrderableDBInstanceOptions": always(orderableOutput("us-east-1a", "us-east-1b", "us-east-1c"))},
			"database instance class", Problem, "db.r6g.large cannot be ordered for aurora-postgresql 16.6 in us-east-1d",
		},
		{"a certificate elsewhere", map[string]string{"certificateArn": strings.Replace(certificate, "us-east-1", "eu-west-1", 1)}, nil, "certificate", Problem, "is in eu-west-1, and the load balancer in us-east-1"},
		{"no such certificate", byArn, answers{"ACM DescribeCertificate": refuse("ResourceNotFoundException")}, "certificate", Problem, "does not exist"},
		{"a certificate not yet issued", byArn, answers{"ACM DescribeCertificate": issued("PENDING_VALIDATION", time.Time{})}, "certificate", Problem, "is PENDING_VALIDATION, not ISSUED"},
		{"an expired certificate", byArn, answers{"ACM DescribeCertificate": issued("ISSUED", now.Add(-time.Hour))}, "certificate", Problem, "expired on 2026-11-23"},
		{"a certificate at its end", byArn, answers{"ACM DescribeCertificate": issued("ISSUED", now.AddDate(0, 0, 10))}, "certificate", Warning, "expires on 2026-12-04"},
		{"a good certificate", byArn, answers{"ACM DescribeCertificate": issued("ISSUED", now.AddDate(1, 0, 0))}, "certificate", OK, "issued for pay.example.com until 2027-11-24"},
		{"no such hosted zone", byDomain, answers{"Route 53 GetHostedZone": refuse("NoSuchHostedZone")}, "hosted zone", Problem, "Z0123456789ABCDEFGHIJ does not exist in this account"},
		{"another domain's hosted zone", byDomain, answers{"Route 53 GetHostedZone": hosted("ay.example.com.", false)}, "hosted zone", Problem, "holds ay.example.com, which domainName pay.example.com is not in"},
		{"a private hosted zone", byDomain, answers{"Route 53 GetHostedZone": hosted("example.com.", true)}, "hosted zone", Problem, "is private"},
		{"a domain in use", byDomain, answers{"Route 53 GetHostedZone": hosted("example.com.", false), "Route 53 ListResourceRecordSets": records("pay.example.com.", "A")}, "DNS record", Problem, "has a record of type A already"},
		{"a domain with other records", byDomain, answers{"Route 53 GetHostedZone": hosted("example.com.", false), "Route 53 ListResourceRecordSets": records("pay.example.com.", "TXT")}, "DNS record", OK, "is free"},
		{"a free domain", byDomain, answers{"Route 53 GetHostedZone": hosted("pay.example.com.", false), "Route 53 ListResourceRecordSets": none}, "hosted zone", OK, "holds pay.example.com"},
		{
			"a deleted secret of ours", nil,
			answers{"Secrets Manager ListSecrets": always(&secretsmanager.ListSecretsOutput{SecretList: []smtypes.SecretListEntry{{Name: aws.String("payment-api-keys-dev"), DeletedDate: &now}}})},
			"deleted secrets", Problem, "payment-api-keys-dev is scheduled for deletion",
		},
		{
			"a deleted secret of another stack", nil,
			answers{"Secrets Manager ListSecrets": always(&secretsmanager.ListSecretsOutput{SecretList: []smtypes.SecretListEntry{{Name: aws.String("payment-api-keys-dev2"), DeletedDate: &now}}})},
			"deleted secrets", OK, "none has a name of the stack",
		},
		{"a new account", nil, answers{"IAM GetRole": refuse("NoSuchEntity")}, "service-linked roles", Warning, "AWSServiceRoleForECS, AWSServiceRoleForElasticLoadBalancing, AWSServiceRoleForRDS, AWSServiceRoleForApplicationAutoScaling_ECSService not there yet"},
		{"runtime monitoring of Fargate", nil, monitored(gdtypes.FeatureStatusEnabled), "GuardDuty", Warning, "GuardDuty will put an endpoint and a security group into the VPC"},
		{"runtime monitoring of machines only", nil, monitored(gdtypes.FeatureStatusDisabled), "GuardDuty", OK, "puts nothing into the VPC"},
		{"no repository", map[string]string{"paymentApiImage": privateAPI}, answers{"ECR DescribeImages": refuse("RepositoryNotFoundException")}, "image of payment-api", Problem, "account 123456789012 has no repository payment-api in eu-west-1"},
		{"no image in the repository", map[string]string{"paymentApiImage": privateAPI}, answers{"ECR DescribeImages": refuse("ImageNotFoundException")}, "image of payment-api", Problem, "repository payment-api in eu-west-1 has no image 1.0.0"},
		{
			"an image whose platform is not to be seen",
			map[string]string{"paymentApiImage": privateAPI},
			answers{"ECR DescribeImages": always(&ecr.DescribeImagesOutput{ImageDetails: make([]ecrtypes.ImageDetail, 1)})},
			"image of payment-api", Unknown, "is there, but its platform could not be read: ECR GetAuthorizationToken: AccessDenied",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := emptyAccount()
			maps.Copy(a.answers, c.answers)
			report := inspect(t, a, config(t, c.config)).run(t.Context())
			f := about(t, report, c.what)
			require.Equal(t, c.status, f.Status, "%+v", f)
			require.Contains(t, f.Detail, c.detail)
			require.Equal(t, c.status == Problem || c.status == Warning, f.Advice != "", "%+v", f)
			if c.status == Problem {
				require.Len(t, report.With(Problem), 1, "%+v", report.With(Problem))
			}
		})
	}
}

func TestImagesMustBeThereForTheTasksPlatform(t *testing.T) {
	const digest = "@sha256:0123456789012345678901234567890123456789012345678901234567890123"
	for _, c := range []struct {
		name   string
		image  string
		in     map[string]remote.Taggable
		status Status
		detail string
	}{
		{"an index with the platform", apiImage, map[string]remote.Taggable{apiImage: indexFor(t, "arm64", "amd64")}, OK, "is there, for linux/amd64"},
		{"a plain image for the platform", apiImage, map[string]remote.Taggable{apiImage: imageFor(t, "amd64")}, OK, "is there, for linux/amd64"},
		{"a plain image from an ARM laptop", apiImage, map[string]remote.Taggable{apiImage: imageFor(t, "arm64")}, Problem, "is for linux/arm64, and the tasks run on linux/amd64"},
		{"an index without the platform", apiImage, map[string]remote.Taggable{apiImage: indexFor(t, "arm64", "s390x")}, Problem, "is for linux/arm64, linux/s390x"},
		{"another tag", apiImage, map[string]remote.Taggable{"registry.example.com/payment-api:2.0.0": imageFor(t, "amd64")}, Problem, "is not in its registry"},
		{"another digest", "registry.example.com/payment-api" + digest, map[string]remote.Taggable{apiImage: imageFor(t, "amd64")}, Problem, "is not in its registry"},
		{"an image of Docker Hub", "nginx:1.27", map[string]remote.Taggable{"nginx:1.27": imageFor(t, "amd64")}, OK, "is there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := inspect(t, emptyAccount(), config(t, map[string]string{"paymentApiImage": c.image}))
			in.registry = httpsOnly{registryOf(t, c.in)}
			f := about(t, in.run(t.Context()), "image of payment-api")
			require.Equal(t, c.status, f.Status, "%+v", f)
			require.Contains(t, f.Detail, c.detail)
		})
	}
}

func TestAReportIsReadableAsJSON(t *testing.T) {
	a := emptyAccount()
	a.quotas["L-F678F1CE"] = 0
	encoded, err := json.Marshal(inspect(t, a, config(t, nil)).run(t.Context()))
	require.NoError(t, err)
	require.Contains(t, string(encoded), `{"what":"quota of VPCs","status":"problem","detail":"0 of 0 in use, 1 more needed","advice":"Release some`)
}

func TestAReasonIsOneShortLine(t *testing.T) {
	_, err := refuse("UnauthorizedOperation")(nil)
	text := reason(fmt.Errorf("%w\n%s", err, strings.Repeat("x", 1000)))
	require.Equal(t, "UnauthorizedOperation: says the test", text)
	text = reason(errors.New(strings.Repeat("line\n", 1000)))
	require.LessOrEqual(t, len(text), longestReason+len("…"))
	require.NotContains(t, text, "\n")
}

func TestOnlyAccountsOnTheListAreAllowed(t *testing.T) {
	a := emptyAccount()
	cfg := inspect(t, a, config(t, nil)).AWS
	allow := func(list ...string) error { return Account(t.Context(), cfg, list).Err() }
	require.NoError(t, allow("210987654321", ownAccount))
	require.ErrorContains(t, allow(), "no account is allowed, and the credentials are those of 123456789012")
	require.ErrorContains(t, allow("210987654321"), "the credentials are those of account 123456789012, and only 210987654321")
	a.answers["STS GetCallerIdentity"] = refuse("ExpiredToken")
	require.ErrorContains(t, allow(ownAccount), "credentials: not accepted")
}

func TestAStackThatTheStateKnowsButTheCloudDoesNotIsWorthAWord(t *testing.T) {
	a := emptyAccount()
	deployed := func(kinds ...*inventory.Kind) Finding {
		a.leaks = nil
		for _, kind := range kinds {
			a.leaks = append(a.leaks, inventory.Resource{Kind: kind})
		}
		return about(t, runDeployed(t, a), "names")
	}
	f := deployed(inventory.Role, inventory.Role)
	require.Equal(t, Warning, f.Status, "%+v", f)
	require.Equal(t, "the state knows stack dev, but account 123456789012 has no VPC of it in us-east-1", f.Detail)
	f = deployed(inventory.Role, inventory.VPC)
	require.Equal(t, OK, f.Status, "%+v", f)
	require.Equal(t, "the stack exists, with 2 resources", f.Detail)
}

// quotasOf are those of a stack with a configuration.
func quotasOf(t *testing.T, c lib.Config) []quota {
	t.Helper()
	all, err := inspect(t, emptyAccount(), c).quotas()
	require.NoError(t, err)
	return all
}

// TestWhatAStackTakesOfEachQuotaFollowsFromTheProgram holds the derivation to figures that were counted by hand, once.
func TestWhatAStackTakesOfEachQuotaFollowsFromTheProgram(t *testing.T) {
	counted := func(settings map[string]string) map[string]int {
		counts := map[string]int{}
		for _, q := range quotasOf(t, config(t, settings)) {
			counts[q.What] = q.declared
		}
		return counts
	}
	normal, most, least := counted(nil), counted(map[string]string{"interfaceEndpoints": "true"}), counted(map[string]string{"waf": "false"})
	for what, want := range map[string][3]int{
		"Elastic IPs": {3, 3, 3}, "NAT gateways in a zone": {3, 3, 3}, "target groups": {2, 2, 2}, "database instances": {3, 3, 3},
		"security groups": {6, 7, 6}, "gateway endpoints": {1, 1, 1}, "IAM roles": {8, 8, 8}, "log resource policies": {1, 1, 0},
	} {
		assert.Equal(t, want, [3]int{normal[what], most[what], least[what]}, what)
	}
}

func TestTheClaimOfTheStateThatDeploysIsNothingLeft(t *testing.T) {
	a := emptyAccount()
	look := func(name string) Finding {
		a.leaks = []inventory.Resource{{Kind: inventory.Parameter, Name: name, Suffix: "dev"}}
		return about(t, inspect(t, a, config(t, nil)).run(t.Context()), "names")
	}
	require.Equal(t, OK, look(inventory.ClaimName("dev")).Status)
	require.Equal(t, Problem, look("/payment/dev/queue-url").Status)
}
