package inventory_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	route53types "github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib"
	"tapstack/lib/cloud"
	"tapstack/lib/inventory"
	"tapstack/lib/process/processtest"
	"tapstack/lib/target"
)

const thisRun = "20261129T060000Z-0a1b2c"

// tagsOf are those of a resource of this project, by name and run.
func tagsOf(name, run string) map[string]string {
	return map[string]string{"Name": name, lib.TagOwner: lib.DefaultOwner, lib.TagRun: run}
}

func inputs(tags map[string]string, more map[string]any) map[string]any {
	untyped := map[string]any{}
	for key, value := range tags {
		untyped[key] = value
	}
	all := map[string]any{"tags": untyped}
	maps.Copy(all, more)
	return all
}

// lookedFor are creates, each with one that looks alike and is another's. Each make answers with the id of what it has made.
type lookedFor struct {
	token  string
	inputs map[string]any
	alike  func(context.Context, *cloud.Clients) (string, error)
	ours   func(context.Context, *cloud.Clients) (string, error)
}

func creates() []lookedFor {
	vpc := func(run string) func(context.Context, *cloud.Clients) (string, error) {
		return func(ctx context.Context, c *cloud.Clients) (string, error) {
			var tags []ec2types.Tag
			for key, value := range tagsOf("vpc-made", run) {
				tags = append(tags, ec2types.Tag{Key: &key, Value: &value})
			}
			made, err := c.EC2.CreateVpc(ctx, &ec2.CreateVpcInput{
				CidrBlock:         aws.String("10.0.0.0/16"),
				TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeVpc, Tags: tags}},
			})
			if err != nil {
				return "", err
			}
			return *made.Vpc.VpcId, nil
		}
	}
	queue := func(tags map[string]string) func(context.Context, *cloud.Clients) (string, error) {
		return func(ctx context.Context, c *cloud.Clients) (string, error) {
			name := aws.String("payment-jobs-made")
			if old, err := c.SQS.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: name}); err == nil {
				if _, err := c.SQS.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: old.QueueUrl}); err != nil {
					return "", err
				}
			}
			made, err := c.SQS.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: name, Tags: tags})
			if err != nil {
				return "", err
			}
			return *made.QueueUrl, nil
		}
	}
	const dashboard, policy, text = "payment-platform-made", "waf-logs-policy-made", `{"widgets":[{"type":"text","properties":{"markdown":"tapstack:owner=tapstack tapstack:run=`
	put := func(run string) func(context.Context, *cloud.Clients) (string, error) {
		return func(ctx context.Context, c *cloud.Clients) (string, error) {
			_, err := c.CloudWatch.PutDashboard(ctx, &cloudwatch.PutDashboardInput{DashboardName: aws.String(dashboard), DashboardBody: aws.String(text + run + `"}}]}`)})
			return dashboard, err
		}
	}
	document := func(group string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"delivery.logs.amazonaws.com"},"Action":"logs:PutLogEvents","Resource":"arn:aws:logs:us-east-1:123456789012:log-group:` + group + `:*"}]}`
	}
	deliver := func(group string) func(context.Context, *cloud.Clients) (string, error) {
		return func(ctx context.Context, c *cloud.Clients) (string, error) {
			_, err := c.Logs.PutResourcePolicy(ctx, &cloudwatchlogs.PutResourcePolicyInput{PolicyName: aws.String(policy), PolicyDocument: aws.String(document(group))})
			return policy, err
		}
	}
	return []lookedFor{
		{"aws:ec2/vpc:Vpc", inputs(tagsOf("vpc-made", thisRun), nil), vpc("20261128T060000Z-0a1b2c"), vpc(thisRun)},
		{
			"aws:sqs/queue:Queue", inputs(tagsOf("payment-jobs-made", thisRun), map[string]any{"name": "payment-jobs-made"}),
			queue(map[string]string{lib.TagOwner: "another", lib.TagRun: thisRun}), queue(tagsOf("payment-jobs-made", thisRun)),
		},
		{"aws:cloudwatch/dashboard:Dashboard", map[string]any{"dashboardName": dashboard, "dashboardBody": text + thisRun + `"}}]}`}, put("manual"), put(thisRun)},
		{
			"aws:cloudwatch/logResourcePolicy:LogResourcePolicy",
			map[string]any{"policyName": policy, "policyDocument": document("aws-waf-logs-made")},
			deliver("somebody-elses"), deliver("aws-waf-logs-made"),
		},
	}
}

// What a create has made is told by the tags that it gives, and from what only has its name.
func TestWhatACreateHasMadeIsFoundAndNoLookAlike(t *testing.T) {
	api, ctx := openLocal(t), t.Context()
	made := func(c inventory.Create, known ...string) string {
		id, _, err := inventory.Made(ctx, cloud.NewReader(api), c, func(id string) bool { return slices.Contains(known, id) })
		require.NoError(t, err, c.Type)
		return id
	}
	clients := cloud.NewClients(api)
	for _, l := range creates() {
		c := inventory.Create{Type: l.token, Inputs: l.inputs}
		assert.Empty(t, made(c), "%s: nothing is there", l.token)
		_, err := l.alike(ctx, clients)
		require.NoError(t, err, l.token)
		assert.Empty(t, made(c), "%s: another's", l.token)
		id, err := l.ours(ctx, clients)
		require.NoError(t, err, l.token)
		assert.Equal(t, id, made(c), l.token)
		assert.Empty(t, made(c, id), "%s: the state has it", l.token)
	}
}

// A bucket cannot be tagged as it is made: one without tags is the create's if it is no older than the run.
func TestABucketWithoutTagsIsTheCreatesIfTheRunIsOlder(t *testing.T) {
	api, ctx := openLocal(t), t.Context()
	const name = "alb-logs-123456789012-us-east-1-made"
	_, err := cloud.NewClients(api).S3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(name)})
	require.NoError(t, err)
	for run, want := range map[string]string{
		thisRun: name, lib.NewRun(time.Now().Add(time.Hour)): "", lib.ManualRun: "",
	} {
		id, _, err := inventory.Made(ctx, cloud.NewReader(api), inventory.Create{
			Type: "aws:s3/bucketV2:BucketV2", Inputs: inputs(tagsOf(name, run), map[string]any{"bucket": name}),
		}, func(string) bool { return false })
		require.NoError(t, err)
		assert.Equal(t, want, id, run)
	}
}

// Aliases and DNS records are told by what they point at.
func TestAnAliasAndARecordAreTheCreatesIfTheyPointWhereItPoints(t *testing.T) {
	api, ctx := openLocal(t), t.Context()
	clients := cloud.NewClients(api)
	key, err := clients.KMS.CreateKey(ctx, &kms.CreateKeyInput{})
	require.NoError(t, err)
	alias := "alias/payment-alerts-key-made"
	_, err = clients.KMS.CreateAlias(ctx, &kms.CreateAliasInput{AliasName: &alias, TargetKeyId: key.KeyMetadata.KeyId})
	require.NoError(t, err)
	zone, err := clients.Route53.CreateHostedZone(ctx, &route53.CreateHostedZoneInput{Name: aws.String("example.org"), CallerReference: aws.String("1")})
	require.NoError(t, err)
	id := (*zone.HostedZone.Id)[len("/hostedzone/"):]
	_, err = clients.Route53.ChangeResourceRecordSets(ctx, &route53.ChangeResourceRecordSetsInput{HostedZoneId: &id, ChangeBatch: &route53types.ChangeBatch{
		Changes: []route53types.Change{{Action: route53types.ChangeActionCreate, ResourceRecordSet: &route53types.ResourceRecordSet{
			Name: aws.String("pay.example.org"), Type: route53types.RRTypeA, AliasTarget: &route53types.AliasTarget{
				DNSName: aws.String("dualstack.alb-made-1.us-east-1.elb.amazonaws.com"), HostedZoneId: aws.String("Z35SXDOTRQ7X7K"),
			},
		}}},
	}})
	require.NoError(t, err)
	record := func(to string) map[string]any {
		return map[string]any{"zoneId": id, "name": "pay.example.org", "type": "A", "aliases": []any{map[string]any{"name": to}}}
	}
	for _, c := range []struct {
		token  string
		inputs map[string]any
		want   string
	}{
		{"aws:kms/alias:Alias", map[string]any{"name": alias, "targetKeyId": *key.KeyMetadata.Arn}, alias},
		{"aws:kms/alias:Alias", map[string]any{"name": alias, "targetKeyId": "0d5dbc9e-0000-4000-8000-000000000000"}, ""},
		{"aws:kms/alias:Alias", map[string]any{"name": alias}, ""},
		{"aws:route53/record:Record", record("alb-made-1.us-east-1.elb.amazonaws.com"), id + "_pay.example.org_A"},
		{"aws:route53/record:Record", record("alb-other-1.us-east-1.elb.amazonaws.com"), ""},
		{"aws:route53/record:Record", map[string]any{"name": "pay.example.org", "type": "A"}, ""},
	} {
		found, _, err := inventory.Made(ctx, cloud.NewReader(api), inventory.Create{Type: c.token, Inputs: c.inputs}, func(string) bool { return false })
		require.NoError(t, err)
		assert.Equal(t, c.want, found, "%s %v", c.token, c.inputs)
	}
}

// Of what is part of something else the id follows from what the create gives, as far as that is known.
func TestThePartsOfResourcesAreNamedByTheirInputs(t *testing.T) {
	t.Parallel()
	for want, given := range map[string]map[string]any{
		"role-made:policy-made": {"role": "role-made", "name": "policy-made"},
		"":                      {"name": "policy-made"},
	} {
		id, _, err := inventory.Made(t.Context(), nil, inventory.Create{Type: "aws:iam/rolePolicy:RolePolicy", Inputs: given}, nil)
		require.NoError(t, err)
		assert.Equal(t, want, id)
	}
}

// openLocal opens a local cloud until the test ends.
func openLocal(t *testing.T) aws.Config {
	t.Helper()
	processtest.SkipIfShort(t)
	opened, err := target.Open(t.Context(), target.Options{Name: target.Local, Notify: func(s string) { t.Log(s) }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	return opened.Config
}
