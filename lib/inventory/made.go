package inventory

import (
	"cmp"
	"context"
	"fmt"
	"hash/crc32"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	route53types "github.com/aws/aws-sdk-go-v2/service/route53/types"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

// Create is a call that was to make a resource of the stack, of which nobody knows the outcome.
type Create struct {
	Type string // Pulumi's, such as aws:sqs/queue:Queue
	// Inputs are as the engine's state has them. What is secret in them is not looked at.
	Inputs map[string]any
}

// Made answers with the id that Pulumi gives to what a create has made, whether that is complete or not, and with those outputs
// without which a provider cannot read it. The id is empty where it has made nothing, or nothing that is provably this
// create's: what carries its name, its owner and its run, and no id that is known already. Of what is part of something that is
// known the id is told without a look: whether it is there shows when it is read. What changes nothing when it is made again,
// and is in nothing's way when that is deleted, is not looked for.
func Made(ctx context.Context, r *cloud.Reader, c Create, known func(id string) bool) (id string, outputs map[string]any, err error) {
	if template := partIDs[c.Type]; template != "" {
		return c.fill(template), nil, nil
	}
	s := &search{Reader: r}
	if find := partsMade[c.Type]; find != nil {
		id, err = find(ctx, s, c)
		if known(id) {
			id = ""
		}
		return id, nil, err
	}
	k := kindOf(c.Type)
	if k == nil || c.Type == defaultGroupType || k == TaskDefinition && c.Inputs["containerDefinitions"] == nil {
		return "", nil, nil // of a task definition that is not known another revision is as good
	}
	all, err := s.list(ctx, k)
	if err != nil {
		return "", nil, err
	}
	name := cmp.Or(c.text(k.NameInput), c.tag(tagName))
	for _, found := range all {
		if name == "" || found.Name != name || found.RemovedByAWS || found.In(known) {
			continue
		}
		s.readTags(ctx, &found)
		if c.made(found) {
			return found.pulumiID(), outputsToRead(found), nil
		}
	}
	return "", nil, nil
}

// outputsToRead are the outputs without which a provider cannot read a resource that it has the id of.
func outputsToRead(r Resource) map[string]any {
	if r.Kind == TaskDefinition { // whose id is its family's
		return map[string]any{"arn": r.ARN}
	}
	return nil
}

const defaultGroupType = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"

// In tells whether a state has it, of which known tells the ids and ARNs.
func (r Resource) In(known func(id string) bool) bool {
	if r.Kind == TaskDefinition { // all of a family have one id
		return known(r.ARN)
	}
	return known(r.pulumiID())
}

// pulumiID is its id in Pulumi's state.
func (r Resource) pulumiID() string {
	switch r.Kind {
	case Topic, Secret, ECSCluster, ECSService, LoadBalancer, TargetGroup, Listener, ListenerRule, Certificate:
		return r.ARN
	case Key, WebACL:
		return path.Base(r.ARN)
	}
	return r.ID
}

// made tells whether a resource of a create's name is what it made: by its tags, or, of what has none, by what it is for and
// when it came to be.
func (c Create) made(r Resource) bool {
	owner, run := c.tag(lib.TagOwner), c.tag(lib.TagRun)
	start, told := lib.RunStart(run)
	switch {
	case r.TagsErr != nil:
		return false
	case r.Kind == KeyAlias:
		key := c.text("targetKeyId")
		return key != "" && slices.ContainsFunc(r.PartOf, func(arn string) bool { return path.Base(arn) == path.Base(key) })
	case r.Kind == LogResourcePolicy:
		return len(r.PartOf) > 0 && slices.Equal(r.PartOf, resourcesIn(c.text("policyDocument")))
	case r.Kind == Bucket && len(r.Tags) == 0: // killed between the bucket and its tags
		return told && !r.Made.Before(start)
	}
	return owner != "" && run != "" && r.Tags[lib.TagOwner] == owner && r.Tags[lib.TagRun] == run
}

// partIDs are the ids of parts of other resources, of which those have one at most: in {} the inputs that the provider makes
// them of.
var partIDs = map[string]string{
	"aws:appautoscaling/policy:Policy":                                                           "{name}",
	"aws:cloudwatch/eventTarget:EventTarget":                                                     "{rule}-{targetId}",
	"aws:ecs/clusterCapacityProviders:ClusterCapacityProviders":                                  "{clusterName}",
	"aws:iam/rolePolicy:RolePolicy":                                                              "{role}:{name}",
	"aws:s3/bucketLifecycleConfigurationV2:BucketLifecycleConfigurationV2":                       "{bucket}",
	"aws:s3/bucketOwnershipControls:BucketOwnershipControls":                                     "{bucket}",
	"aws:s3/bucketPolicy:BucketPolicy":                                                           "{bucket}",
	"aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock":                                     "{bucket}",
	"aws:s3/bucketServerSideEncryptionConfigurationV2:BucketServerSideEncryptionConfigurationV2": "{bucket}",
	"aws:s3/bucketVersioningV2:BucketVersioningV2":                                               "{bucket}",
	"aws:secretsmanager/secretPolicy:SecretPolicy":                                               "{secretArn}",
	"aws:sns/topicPolicy:TopicPolicy":                                                            "{arn}",
	"aws:sqs/queuePolicy:QueuePolicy":                                                            "{queueUrl}",
	"aws:sqs/redriveAllowPolicy:RedriveAllowPolicy":                                              "{queueUrl}",
	"aws:wafv2/webAclAssociation:WebAclAssociation":                                              "{webAclArn},{resourceArn}",
	"aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration":                            "{resourceArn}",
}

var inputInID = regexp.MustCompile(`\{(\w+)\}`)

// fill puts the inputs into a template; the answer is empty where one of them is not known.
func (c Create) fill(template string) string {
	missing := false
	filled := inputInID.ReplaceAllStringFunc(template, func(input string) string {
		text := c.text(strings.Trim(input, "{}"))
		missing = missing || text == ""
		return text
	})
	if missing {
		return ""
	}
	return filled
}

// partsMade finds what is part of another resource and cannot be made twice.
var partsMade = map[string]func(context.Context, *search, Create) (string, error){
	"aws:ec2/route:Route": madeRoute,
	"aws:ec2/routeTableAssociation:RouteTableAssociation": madeAssociation,
	"aws:route53/record:Record":                           madeRecord,
}

// madeRoute knows the id that the official provider gives to a route, for which EC2 has none.
func madeRoute(ctx context.Context, s *search, c Create) (string, error) {
	destination := c.text("destinationCidrBlock")
	table, err := s.routeTable(ctx, c.text("routeTableId"))
	if !slices.ContainsFunc(table.Routes, func(r ec2types.Route) bool {
		return destination != "" && aws.ToString(r.DestinationCidrBlock) == destination &&
			aws.ToString(r.GatewayId) == c.text("gatewayId") && aws.ToString(r.NatGatewayId) == c.text("natGatewayId")
	}) {
		return "", err
	}
	return fmt.Sprintf("r-%s%d", aws.ToString(table.RouteTableId), crc32.ChecksumIEEE([]byte(destination))), nil
}

func madeAssociation(ctx context.Context, s *search, c Create) (string, error) {
	table, err := s.routeTable(ctx, c.text("routeTableId"))
	subnet := c.text("subnetId")
	for _, a := range table.Associations {
		if subnet != "" && aws.ToString(a.SubnetId) == subnet {
			return aws.ToString(a.RouteTableAssociationId), nil
		}
	}
	return "", err
}

// madeRecord knows a record by all that it says.
func madeRecord(ctx context.Context, s *search, c Create) (string, error) {
	zone, name, kind := c.text("zoneId"), strings.TrimSuffix(c.text("name"), "."), c.text("type")
	if zone == "" || name == "" {
		return "", nil
	}
	out, err := s.Route53.ListResourceRecordSets(ctx, &route53.ListResourceRecordSetsInput{
		HostedZoneId: &zone, StartRecordName: &name, StartRecordType: route53types.RRType(kind), MaxItems: aws.Int32(1),
	})
	if err != nil {
		return "", err
	}
	for _, set := range out.ResourceRecordSets {
		if strings.TrimSuffix(aws.ToString(set.Name), ".") == name && string(set.Type) == kind && slices.Equal(targets(set), c.targets()) {
			return zone + "_" + name + "_" + kind, nil
		}
	}
	return "", nil
}

// targets are where a record leads: the load balancer of an alias, or its values.
func targets(set route53types.ResourceRecordSet) (all []string) {
	if set.AliasTarget != nil {
		return []string{dnsName(set.AliasTarget.DNSName)}
	}
	for _, r := range set.ResourceRecords {
		all = append(all, dnsName(r.Value))
	}
	return all
}

func (c Create) targets() (all []string) {
	aliases, _ := c.Inputs["aliases"].([]any)
	for _, alias := range aliases {
		fields, _ := alias.(map[string]any)
		name, _ := fields["name"].(string)
		all = append(all, dnsName(&name))
	}
	records, _ := c.Inputs["records"].([]any)
	for _, record := range records {
		text, _ := record.(string)
		all = append(all, dnsName(&text))
	}
	return all
}

// routeTable is the one with an id, or an empty one.
func (s *search) routeTable(ctx context.Context, id string) (ec2types.RouteTable, error) {
	all, err := s.RouteTables(ctx)
	at := slices.IndexFunc(all, func(t ec2types.RouteTable) bool { return id != "" && aws.ToString(t.RouteTableId) == id })
	if at < 0 {
		return ec2types.RouteTable{}, err
	}
	return all[at], nil
}

// text is an input; empty where it is not known or not a text.
func (c Create) text(input string) string {
	text, _ := c.Inputs[input].(string)
	return strings.TrimSpace(text)
}

// tag is one that the create gives, or that it writes into the text of a dashboard.
func (c Create) tag(key string) string {
	if written, err := tagsInBody(c.text("dashboardBody")); err == nil {
		return written[key]
	}
	tags, _ := c.Inputs["tags"].(map[string]any)
	text, _ := tags[key].(string)
	return text
}
