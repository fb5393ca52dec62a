package preflight

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	sqtypes "github.com/aws/aws-sdk-go-v2/service/servicequotas/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/cloud/cloudtest"
	"tapstack/lib/inventory"
)

const (
	ownAccount = "123456789012"
	ownRegion  = "us-east-1"
	apiImage   = "registry.example.com/payment-api:1.0.0"
	jobImage   = "registry.example.com/job-processor:1.0.0"
)

// answers are what an account says, by "Service Operation". A call without an answer is refused.
type answers map[string]func(input any) (any, error)

// always answers the same, whatever is asked.
func always(output any) func(any) (any, error) {
	return func(any) (any, error) { return output, nil }
}

// refuse answers with an API's error.
func refuse(code string) func(any) (any, error) {
	return func(any) (any, error) { return nil, cloudtest.Refusal(code) }
}

// account is an AWS account made of answers, in place of its HTTP API.
type account struct {
	mutex   sync.Mutex
	answers answers
	// quotas are by code; a quota without a value here is 100.
	quotas   map[string]float64
	leaks    []inventory.Resource
	leaksErr error
	asked    []string
}

func (a *account) answer(call string, input any) (any, error) {
	a.mutex.Lock()
	a.asked = append(a.asked, call)
	answer := a.answers[call]
	a.mutex.Unlock()
	if answer == nil {
		return nil, cloudtest.Refusal("AccessDenied")
	}
	return answer(input)
}

// emptyAccount is one with room for everything and nothing in it.
func emptyAccount() *account {
	a := &account{quotas: map[string]float64{"L-3032A538": 64}}
	a.answers = answers{
		"STS GetCallerIdentity": always(&sts.GetCallerIdentityOutput{
			Account: aws.String(ownAccount), Arn: aws.String("arn:aws:sts::" + ownAccount + ":assumed-role/nightly/run"),
		}),
		"EC2 DescribeRegions": always(&ec2.DescribeRegionsOutput{Regions: []ec2types.Region{{
			RegionName: aws.String(ownRegion), OptInStatus: aws.String("opt-in-not-required"),
		}}}),
		"EC2 DescribeAvailabilityZones": always(zonesOutput("use1-az1", "use1-az2", "use1-az3", "use1-az4")),
		"Service Quotas GetServiceQuota": func(input any) (any, error) {
			code := aws.ToString(input.(*servicequotas.GetServiceQuotaInput).QuotaCode)
			value, set := a.quotas[code]
			if !set {
				value = 100
			}
			return &servicequotas.GetServiceQuotaOutput{Quota: &sqtypes.ServiceQuota{QuotaCode: &code, Value: &value}}, nil
		},
		"EC2 DescribeAddresses":        always(&ec2.DescribeAddressesOutput{}),
		"EC2 DescribeVpcs":             always(&ec2.DescribeVpcsOutput{}),
		"EC2 DescribeInternetGateways": always(&ec2.DescribeInternetGatewaysOutput{}),
		"EC2 DescribeSecurityGroups":   always(&ec2.DescribeSecurityGroupsOutput{}),
		"EC2 DescribeVpcEndpoints":     always(&ec2.DescribeVpcEndpointsOutput{}),
		"EC2 DescribeSubnets":          always(&ec2.DescribeSubnetsOutput{}),
		"EC2 DescribeNatGateways":      always(&ec2.DescribeNatGatewaysOutput{}),
		"RDS DescribeDBClusters":       always(&rds.DescribeDBClustersOutput{}),
		"RDS DescribeDBInstances":      always(&rds.DescribeDBInstancesOutput{}),
		"RDS DescribeDBSubnetGroups":   always(&rds.DescribeDBSubnetGroupsOutput{}),
		"RDS DescribeDBClusterParameterGroups": always(&rds.DescribeDBClusterParameterGroupsOutput{
			DBClusterParameterGroups: []rdstypes.DBClusterParameterGroup{{DBClusterParameterGroupName: aws.String("default.aurora-postgresql16")}},
		}),
		"RDS DescribeEventSubscriptions": always(&rds.DescribeEventSubscriptionsOutput{}),
		"RDS DescribeDBEngineVersions": always(&rds.DescribeDBEngineVersionsOutput{
			DBEngineVersions: []rdstypes.DBEngineVersion{{EngineVersion: aws.String("16.6")}},
		}),
		"RDS DescribeOrderableDBInstanceOptions": always(orderableOutput(
			"us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d")),
		"Elastic Load Balancing v2 DescribeLoadBalancers": always(&elasticloadbalancingv2.DescribeLoadBalancersOutput{}),
		"Elastic Load Balancing v2 DescribeTargetGroups":  always(&elasticloadbalancingv2.DescribeTargetGroupsOutput{}),
		"CloudWatch Logs DescribeResourcePolicies":        always(&cloudwatchlogs.DescribeResourcePoliciesOutput{}),
		"CloudWatch GetMetricStatistics":                  always(&cloudwatch.GetMetricStatisticsOutput{}),
		"IAM GetAccountSummary":                           always(&iam.GetAccountSummaryOutput{SummaryMap: map[string]int32{"Roles": 20, "RolesQuota": 1000}}),
		"IAM GetRole":                                     always(&iam.GetRoleOutput{}),
		"ECS ListClusters":                                always(&ecs.ListClustersOutput{}),
		"GuardDuty ListDetectors":                         always(&guardduty.ListDetectorsOutput{}),
		"Secrets Manager ListSecrets":                     always(&secretsmanager.ListSecretsOutput{}),
	}
	return a
}

// zonesOutput names zones us-east-1a and on, in the order of their ids.
func zonesOutput(ids ...string) *ec2.DescribeAvailabilityZonesOutput {
	out := &ec2.DescribeAvailabilityZonesOutput{}
	for i, id := range ids {
		out.AvailabilityZones = append(out.AvailabilityZones, ec2types.AvailabilityZone{
			ZoneName: aws.String("us-east-1" + string(rune('a'+i))), ZoneId: &id,
		})
	}
	return out
}

func orderableOutput(zones ...string) *rds.DescribeOrderableDBInstanceOptionsOutput {
	option := rdstypes.OrderableDBInstanceOption{}
	for _, zone := range zones {
		option.AvailabilityZones = append(option.AvailabilityZones, rdstypes.AvailabilityZone{Name: &zone})
	}
	return &rds.DescribeOrderableDBInstanceOptionsOutput{OrderableDBInstanceOptions: []rdstypes.OrderableDBInstanceOption{option}}
}

// supported says until when a major version of the database is in standard support.
func supported(major string, until time.Time) func(any) (any, error) {
	return always(&rds.DescribeDBMajorEngineVersionsOutput{DBMajorEngineVersions: []rdstypes.DBMajorEngineVersion{{
		MajorEngineVersion: &major,
		SupportedEngineLifecycles: []rdstypes.SupportedEngineLifecycle{
			{LifecycleSupportName: rdstypes.LifecycleSupportNameOpenSourceRdsExtendedSupport, LifecycleSupportEndDate: aws.Time(until.AddDate(3, 0, 0))},
			{LifecycleSupportName: rdstypes.LifecycleSupportNameOpenSourceRdsStandardSupport, LifecycleSupportEndDate: &until},
		},
	}}})
}

// config is a whole configuration with some keys changed.
func config(t *testing.T, keys map[string]string) lib.Config {
	t.Helper()
	values := map[string]string{
		"environmentSuffix": "dev", "paymentApiImage": apiImage, "jobProcessorImage": jobImage, "alertEmail": "ops@example.com",
		"allowedAccountIds": ownAccount,
	}
	maps.Copy(values, keys)
	parsed, err := lib.ParseConfig(values)
	require.NoError(t, err)
	return parsed
}

// registryOf serves images over TLS, whatever the host name that they are asked for by.
func registryOf(t *testing.T, images map[string]remote.Taggable) http.RoundTripper {
	t.Helper()
	server := httptest.NewTLSServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	through := &http.Transport{
		DialTLSContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // a server of this test, whose certificate names no registry
			return dialer.DialContext(ctx, network, server.Listener.Addr().String())
		},
	}
	t.Cleanup(through.CloseIdleConnections)
	for reference, image := range images {
		parsed, err := name.ParseReference(reference)
		require.NoError(t, err)
		switch image := image.(type) {
		case v1.ImageIndex:
			require.NoError(t, remote.WriteIndex(parsed, image, remote.WithTransport(through)))
		case v1.Image:
			require.NoError(t, remote.Write(parsed, image, remote.WithTransport(through)))
		}
	}
	return through
}

func imageFor(t *testing.T, architecture string) v1.Image {
	t.Helper()
	image, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: architecture})
	require.NoError(t, err)
	return image
}

func indexFor(t *testing.T, architectures ...string) v1.ImageIndex {
	t.Helper()
	index := v1.ImageIndex(empty.Index)
	for _, architecture := range architectures {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        imageFor(t, architecture),
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}},
		})
	}
	return index
}

// inspect makes an inspection of an account.
func inspect(t *testing.T, a *account, c lib.Config) *inspection {
	t.Helper()
	in := newInspection(Options{
		AWS:    cloudtest.Config(a.answer),
		Config: c,
	})
	in.now = time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	in.existing = func(context.Context) ([]inventory.Resource, error) { return a.leaks, a.leaksErr }
	in.registry = httpsOnly{registryOf(t, map[string]remote.Taggable{
		apiImage: indexFor(t, "arm64", "amd64"), jobImage: imageFor(t, "amd64"),
	})}
	return in
}

// runDeployed looks at an account in which the stack is, whole or in part.
func runDeployed(t *testing.T, a *account) Report {
	t.Helper()
	in := inspect(t, a, config(t, nil))
	in.Deployed = true
	return in.run(t.Context())
}

// about is the finding about one thing.
func about(t *testing.T, report Report, what string) Finding {
	t.Helper()
	at := slices.IndexFunc(report.Findings, func(f Finding) bool { return f.What == what })
	require.GreaterOrEqual(t, at, 0, "nothing is said about %q: %+v", what, report.Findings)
	return report.Findings[at]
}

// deployedDatabase is the stack's cluster as it stands.
func deployedDatabase(version string) func(any) (any, error) {
	return always(&rds.DescribeDBClustersOutput{DBClusters: []rdstypes.DBCluster{
		{DBClusterIdentifier: aws.String("aurora-cluster-dev"), EngineVersion: &version},
	}})
}
