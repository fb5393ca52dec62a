package verify

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stretchr/testify/assert"

	"tapstack/lib"
	"tapstack/lib/cloud"
	"tapstack/lib/inventory"
	"tapstack/lib/process/processtest"
	"tapstack/lib/target"
)

// live is an emulator of the AWS API in a process of the test's own.
type live struct {
	t       *testing.T
	cfg     aws.Config
	api     *cloud.Clients
	outputs map[string]any
}

func startLive(t *testing.T) *live {
	t.Helper()
	processtest.SkipIfShort(t)
	opened, err := target.Open(t.Context(), target.Options{Name: target.Local, Notify: func(s string) { t.Log(s) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	})
	return &live{t: t, cfg: opened.Config, api: cloud.NewClients(opened.Config), outputs: map[string]any{}}
}

// expect runs the checks and wants exactly those named to fail, and the rest not to.
func (l *live) expect(checks []string, failed ...string) Report {
	l.t.Helper()
	report, err := Run(l.t.Context(), Options{AWS: l.cfg, Outputs: l.outputs, Suffix: "dev", Only: checks})
	if err != nil {
		l.t.Fatal(err)
	}
	for _, r := range report.Results {
		if (r.Status == Failed) != slices.Contains(failed, r.ID) {
			l.t.Errorf("%s: %s %s", r.ID, r.Status, r.Reason)
		}
	}
	return report
}

func must[T any](l *live, what string) func(T, error) T {
	return func(v T, err error) T {
		l.t.Helper()
		if err != nil {
			l.t.Fatalf("%s: %v", what, err)
		}
		return v
	}
}

func TestChecksSeeWhatALiveAPIShows(t *testing.T) {
	l := startLive(t)
	for _, slice := range []struct {
		says string
		run  func(*live)
	}{
		{"queues", queueSlice},
		{"log groups", logSlice},
		{"the network", networkSlice},
		{"the topic", topicSlice},
		{"secrets stay secret", secretSlice},
		{"leaks", leakSlice},
	} {
		t.Run(slice.says, func(t *testing.T) {
			slice.run(&live{t: t, cfg: l.cfg, api: l.api, outputs: map[string]any{}})
		})
	}
}

func denyPlainText(resource string) string {
	return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"*","Resource":%q,"Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`, resource)
}

func (l *live) makeQueue(name, retention string, more map[string]string) (address string) {
	l.t.Helper()
	attributes := map[string]string{
		"MessageRetentionPeriod": retention, "ReceiveMessageWaitTimeSeconds": "20", "VisibilityTimeout": "300",
		"SqsManagedSseEnabled": "true", "Policy": denyPlainText("arn:aws:sqs:us-east-1:123456789012:" + name),
	}
	for k, v := range more {
		attributes[k] = v
	}
	out := must[*sqs.CreateQueueOutput](l, "creating "+name)(l.api.SQS.CreateQueue(l.t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes}))
	return aws.ToString(out.QueueUrl)
}

func queueSlice(l *live) {
	ctx := l.t.Context()
	checks := []string{
		"queue.named", "queue.retention", "queue.dlq-retention", "queue.redrive", "queue.redrive-allow", "queue.visibility",
		"queue.long-poll", "queue.encrypted", "queue.tls-only",
	}
	l.expect(checks, checks...) // no queue, no pass
	redrive := `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:123456789012:payment-jobs-dlq-dev","maxReceiveCount":%d}`
	l.outputs[lib.OutputDlqURL] = l.makeQueue("payment-jobs-dlq-dev", "604800", nil)
	l.outputs[lib.OutputQueueURL] = l.makeQueue("payment-jobs-dev", "1209600", map[string]string{"RedrivePolicy": fmt.Sprintf(redrive, 5)})
	l.expect(checks)

	for _, c := range []struct{ attribute, wrong, right, failed string }{
		{"MessageRetentionPeriod", "345600", "1209600", "queue.retention"},
		{"VisibilityTimeout", "30", "300", "queue.visibility"},
		{"ReceiveMessageWaitTimeSeconds", "0", "20", "queue.long-poll"},
		{"SqsManagedSseEnabled", "false", "true", "queue.encrypted"},
		{"RedrivePolicy", fmt.Sprintf(redrive, 50), fmt.Sprintf(redrive, 5), "queue.redrive"},
	} {
		set := func(value string) {
			address := l.outputs[lib.OutputQueueURL].(string)
			_, err := l.api.SQS.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: &address, Attributes: map[string]string{
				c.attribute: value, "Policy": denyPlainText("arn:aws:sqs:us-east-1:123456789012:payment-jobs-dev"),
			}})
			must[any](l, "setting "+c.attribute)(nil, err)
		}
		set(c.wrong)
		l.expect(checks, c.failed)
		set(c.right)
	}
	l.expect(checks)
}

func logSlice(l *live) {
	ctx := l.t.Context()
	create := func(name string, days int32) {
		_, err := l.api.Logs.CreateLogGroup(ctx, &cloudwatchlogs.CreateLogGroupInput{LogGroupName: &name})
		must[any](l, "creating "+name)(nil, err)
		if days > 0 {
			_, err = l.api.Logs.PutRetentionPolicy(ctx, &cloudwatchlogs.PutRetentionPolicyInput{LogGroupName: &name, RetentionInDays: &days})
			must[any](l, "setting the retention of "+name)(nil, err)
		}
	}
	l.outputs[lib.OutputLogGroupNames] = []any{"/ecs/payment-api-dev"}
	l.expect([]string{"logs.retention"}, "logs.retention")
	create("/ecs/payment-api-dev", 30)
	create("/ecs/payment-api-mydev", 0)
	create("/ecs/payment-api-x-dev", 7)
	create("/aws/lambda/dev", 0)
	l.expect([]string{"logs.retention"})
	create("/aws/rds/cluster/aurora-cluster-dev/postgresql", 0) // as RDS itself would make it
	report := l.expect([]string{"logs.retention"}, "logs.retention")
	if r := report.Results[0]; !strings.Contains(r.ARN, "/aws/rds/cluster/aurora-cluster-dev/postgresql") || !strings.Contains(r.Actual, notSet) {
		l.t.Errorf("the failure points at %s: %s", r.ARN, r.Actual)
	}
}

func nameTags(what ec2types.ResourceType, name string) []ec2types.TagSpecification {
	tags := []ec2types.Tag{{Key: aws.String(tagName), Value: &name}}
	for k, v := range briefTags() {
		tags = append(tags, ec2types.Tag{Key: &k, Value: &v})
	}
	return []ec2types.TagSpecification{{ResourceType: what, Tags: tags}}
}

func networkSlice(l *live) {
	ctx := l.t.Context()
	vpc := must[*ec2.CreateVpcOutput](l, "creating a VPC")(l.api.EC2.CreateVpc(ctx, &ec2.CreateVpcInput{
		CidrBlock: aws.String("10.0.0.0/16"), TagSpecifications: nameTags(ec2types.ResourceTypeVpc, "vpc-dev"),
	})).Vpc.VpcId
	_, err := l.api.EC2.ModifyVpcAttribute(ctx, &ec2.ModifyVpcAttributeInput{VpcId: vpc, EnableDnsHostnames: &ec2types.AttributeBooleanValue{Value: aws.Bool(true)}})
	must[any](l, "switching host names on")(nil, err)
	gateway := must[*ec2.CreateInternetGatewayOutput](l, "creating a gateway")(l.api.EC2.CreateInternetGateway(ctx, &ec2.CreateInternetGatewayInput{})).InternetGateway.InternetGatewayId
	_, err = l.api.EC2.AttachInternetGateway(ctx, &ec2.AttachInternetGatewayInput{VpcId: vpc, InternetGatewayId: gateway})
	must[any](l, "attaching the gateway")(nil, err)
	table := func(subnet *string, route ec2.CreateRouteInput) *string {
		id := must[*ec2.CreateRouteTableOutput](l, "creating a route table")(l.api.EC2.CreateRouteTable(ctx, &ec2.CreateRouteTableInput{VpcId: vpc})).RouteTable.RouteTableId
		route.RouteTableId, route.DestinationCidrBlock = id, aws.String("0.0.0.0/0")
		_, err := l.api.EC2.CreateRoute(ctx, &route)
		must[any](l, "creating a route")(nil, err)
		_, err = l.api.EC2.AssociateRouteTable(ctx, &ec2.AssociateRouteTableInput{RouteTableId: id, SubnetId: subnet})
		must[any](l, "associating a route table")(nil, err)
		return id
	}
	subnet := func(cidr, zone string) *string {
		return must[*ec2.CreateSubnetOutput](l, "creating a subnet")(l.api.EC2.CreateSubnet(ctx, &ec2.CreateSubnetInput{
			VpcId: vpc, CidrBlock: &cidr, AvailabilityZone: &zone,
		})).Subnet.SubnetId
	}
	var zones, public, private []string
	var privateTables, gateways []*string
	for i, letter := range []string{"a", "b", "d"} {
		zone := briefRegion + letter
		in, out := subnet(fmt.Sprintf("10.0.%d.0/24", i), zone), subnet(fmt.Sprintf("10.0.%d.0/24", 10+i), zone)
		address := must[*ec2.AllocateAddressOutput](l, "allocating an address")(l.api.EC2.AllocateAddress(ctx, &ec2.AllocateAddressInput{Domain: ec2types.DomainTypeVpc}))
		nat := must[*ec2.CreateNatGatewayOutput](l, "creating a NAT gateway")(l.api.EC2.CreateNatGateway(ctx, &ec2.CreateNatGatewayInput{
			SubnetId: in, AllocationId: address.AllocationId,
		})).NatGateway.NatGatewayId
		table(in, ec2.CreateRouteInput{GatewayId: gateway})
		privateTables = append(privateTables, table(out, ec2.CreateRouteInput{NatGatewayId: nat}))
		gateways = append(gateways, nat)
		zones, public, private = append(zones, zone), append(public, *in), append(private, *out)
	}
	l.outputs[lib.OutputVpcID] = *vpc
	l.outputs[lib.OutputAvailabilityZones] = zones
	l.outputs[lib.OutputPublicSubnetIDs], l.outputs[lib.OutputPrivateSubnetIDs] = public, private

	checks := []string{
		"network.vpc", "network.three-zones", "network.public-routes", "network.public-no-auto-ip", "network.nat-per-zone",
		"network.private-routes", "network.public-only-for-alb",
	}
	l.expect(checks)

	route := func(table, nat, gateway *string) {
		_, err := l.api.EC2.ReplaceRoute(ctx, &ec2.ReplaceRouteInput{
			RouteTableId: table, DestinationCidrBlock: aws.String("0.0.0.0/0"), NatGatewayId: nat, GatewayId: gateway,
		})
		must[any](l, "replacing a route")(nil, err)
	}
	route(privateTables[0], gateways[1], nil) // another zone's
	l.expect(checks, "network.private-routes")
	route(privateTables[0], nil, gateway)
	l.expect(checks, "network.private-routes")
	route(privateTables[0], gateways[0], nil)
	l.expect(checks)

	_, err = l.api.EC2.ModifySubnetAttribute(ctx, &ec2.ModifySubnetAttributeInput{
		SubnetId: &public[0], MapPublicIpOnLaunch: &ec2types.AttributeBooleanValue{Value: aws.Bool(true)},
	})
	must[any](l, "switching public addresses on")(nil, err)
	l.expect(checks, "network.public-no-auto-ip")

	// What stands in the stack's VPC is the stack's, even without a name.
	kinds := l.leakKinds("dev")
	assert.Subset(l.t, kinds, []*inventory.Kind{
		inventory.VPC, inventory.Subnet, inventory.InternetGateway, inventory.NATGateway, inventory.RouteTable,
	})
	assert.Empty(l.t, l.leakKinds("ev"))
}

func (l *live) leakKinds(suffix string) []*inventory.Kind {
	l.t.Helper()
	var kinds []*inventory.Kind
	for _, leak := range must[[]inventory.Resource](l, "looking for leaks")(inventory.Leaks(l.t.Context(), l.cfg, suffix)) {
		kinds = append(kinds, leak.Kind)
	}
	return kinds
}

func topicSlice(l *live) {
	ctx := l.t.Context()
	topic := must[*sns.CreateTopicOutput](l, "creating a topic")(l.api.SNS.CreateTopic(ctx, &sns.CreateTopicInput{Name: aws.String("payment-alerts-dev")})).TopicArn
	l.outputs[lib.OutputAlertsTopicArn] = *topic
	checks := []string{"alerts.topic", "alerts.email", "alerts.topic-policy"}
	l.expect(checks, "alerts.email", "alerts.topic-policy")

	policy := func(document string) {
		_, err := l.api.SNS.SetTopicAttributes(ctx, &sns.SetTopicAttributesInput{TopicArn: topic, AttributeName: aws.String("Policy"), AttributeValue: &document})
		must[any](l, "setting the policy")(nil, err)
	}
	allow := func(condition string) string {
		return fmt.Sprintf(`{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Principal":{"Service":["cloudwatch.amazonaws.com","events.rds.amazonaws.com"]},"Action":"sns:Publish","Resource":%q,"Condition":%s},
			{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sns:Publish","Resource":%q},
			{"Effect":"Deny","Principal":"*","Action":"sns:Publish","Resource":%q,"Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`, *topic, condition, *topic, *topic)
	}
	policy(allow(`{"StringEquals":{"aws:SourceAccount":"123456789012"}}`))
	_, err := l.api.SNS.Subscribe(ctx, &sns.SubscribeInput{TopicArn: topic, Protocol: aws.String("email"), Endpoint: aws.String("ops@example.com")})
	must[any](l, "subscribing")(nil, err)
	l.expect(checks)
	policy(allow(`{"StringEquals":{"aws:SourceAccount":"999999999999"}}`))
	l.expect(checks, "alerts.topic-policy")
}

func secretSlice(l *live) {
	ctx := l.t.Context()
	const weak = "correct-horse"
	put := func(value string) {
		out, err := l.api.SecretsManager.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String("payment-api-keys-dev"), SecretString: &value})
		if err == nil {
			l.outputs[lib.OutputAPIKeysSecretArn] = *out.ARN
			return
		}
		_, err = l.api.SecretsManager.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: aws.String("payment-api-keys-dev"), SecretString: &value})
		must[any](l, "putting the secret")(nil, err)
	}
	checks := []string{"secrets.api-keys"}
	strong := strings.Repeat("0123456789abcdef", 4)
	for value, failed := range map[string][]string{
		`{"apiKey":"` + weak + `"}`:   checks,
		`not JSON: ` + weak:           checks,
		`{}`:                          checks,
		`{"apiKey":"` + strong + `"}`: nil,
	} {
		put(value)
		report := l.expect(checks, failed...)
		written := must[[]byte](l, "writing the report")(json.Marshal(report))
		if strings.Contains(string(written), weak) || strings.Contains(string(written), strong) {
			l.t.Errorf("the report shows the secret: %s", written)
		}
	}
}

func leakSlice(l *live) {
	ctx := l.t.Context()
	before := len(l.leakKinds("left"))
	queue := func(name string, tags map[string]string) {
		must[*sqs.CreateQueueOutput](l, "creating "+name)(l.api.SQS.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Tags: tags}))
	}
	queue("payment-jobs-left", nil)           // ours by name
	queue("payment-jobs-x-left", briefTags()) // of the stack x-left
	queue("forgotten-left", briefTags())      // ours by name and tags
	queue("somebody-elses-left", nil)         // nobody knows whose
	must[*secretsmanager.CreateSecretOutput](l, "creating a secret")(l.api.SecretsManager.CreateSecret(ctx, &secretsmanager.CreateSecretInput{
		Name: aws.String("payment-api-keys-left"), SecretString: aws.String("{}"),
	}))
	_, err := l.api.SecretsManager.DeleteSecret(ctx, &secretsmanager.DeleteSecretInput{SecretId: aws.String("payment-api-keys-left"), RecoveryWindowInDays: aws.Int64(7)})
	must[any](l, "deleting the secret")(nil, err)
	key := must[*kms.CreateKeyOutput](l, "creating a key")(l.api.KMS.CreateKey(ctx, &kms.CreateKeyInput{
		Tags: []kmstypes.Tag{{TagKey: aws.String(tagName), TagValue: aws.String("payment-alerts-key-left")}},
	})).KeyMetadata.KeyId

	assert.Zero(l.t, before)
	// A secret that waits for its deletion still blocks its name; a key that waits for its own is as gone as can be.
	assert.ElementsMatch(l.t, []*inventory.Kind{inventory.Key, inventory.Queue, inventory.Queue, inventory.Secret}, l.leakKinds("left"))
	_, err = l.api.KMS.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: key, PendingWindowInDays: aws.Int32(7)})
	must[any](l, "scheduling the key's deletion")(nil, err)
	assert.NotContains(l.t, l.leakKinds("left"), inventory.Key)
}
