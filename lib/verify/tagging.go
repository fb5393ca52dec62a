package verify

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"tapstack/lib"
	"tapstack/lib/inventory"
)

const (
	tagName        = "Name"
	tagEnvironment = "Environment"
	tagBatch       = "MigrationBatch"
)

// briefTags are the tags that the brief wants on all resources.
func briefTags() map[string]string {
	return map[string]string{tagEnvironment: "production", tagBatch: "phase-1"}
}

func taggingChecks() []Check {
	return []Check{
		{
			ID:   "tags.environment",
			Says: "Tag all resources with Environment='production'",
			Run:  recorded(tagged(tagEnvironment)),
		},
		{
			ID:   "tags.migration-batch",
			Says: "Tag all resources with MigrationBatch='phase-1'",
			Run:  recorded(tagged(tagBatch)),
		},
		{
			ID:    "tags.scaling-targets",
			Says:  "Tag all resources with Environment='production' and MigrationBatch='phase-1': the scalable targets too",
			Needs: []Capability{capScalingTags},
			Run:   recorded(scalingTagged),
		},
		{
			ID:   "tags.provenance",
			Says: "Every resource says whose it is, of which run, and when it may be swept away",
			Run:  recorded(provenance),
		},
		{
			ID:   "names.suffix",
			Says: "Include environmentSuffix in all resource names for uniqueness: all that belongs to the stack, found through its relations, ends in it",
			Run:  recorded(namesEndInSuffix),
		},
		{
			ID:   "names.convention",
			Says: "Follow naming convention: `{resource-type}-{environmentSuffix}`: every resource has a name that the specification knows",
			Run:  recorded(namesKnown),
		},
	}
}

// carriesTags leaves out scalable targets, which not every target can tag, and the alarms of scaling policies.
func carriesTags(r inventory.Resource) bool {
	return r.Taggable && r.Kind != inventory.ScalableTarget && (r.Kind != inventory.Alarm || !inventory.IsScalingAlarm(r.Name))
}

// ownResources is the inventory of a stack that is there. Roles and buckets are found from every region: without the VPC they
// would stand for the whole.
func (e *Env) ownResources(ctx context.Context) ([]inventory.Resource, error) {
	if _, err := e.vpc(ctx); err != nil {
		return nil, err
	}
	return e.inventory(ctx)
}

// eachTagged looks at those of a list that fit, up to one whose tags are not known.
func eachTagged(all []inventory.Resource, fits func(inventory.Resource) bool, look func(inventory.Resource)) error {
	for _, r := range all {
		switch {
		case !fits(r):
		case r.TagsErr != nil:
			return r.TagsErr
		default:
			look(r)
		}
	}
	return nil
}

func tagged(key string) func(context.Context, *Env, *recorder) error {
	return func(ctx context.Context, e *Env, rec *recorder) error {
		all, err := e.ownResources(ctx)
		if err != nil {
			return err
		}
		want := briefTags()[key]
		return eachTagged(all, carriesTags, func(r inventory.Resource) {
			rec.on(r.ARN).equal(r.Kind.Name+" "+key, want, tagValue(r.Tags, key))
		})
	}
}

// provenance wants one owner, run and expiry on all resources, legal ones: a sweeper takes a stack for one only then.
func provenance(ctx context.Context, e *Env, rec *recorder) error {
	all, err := e.ownResources(ctx)
	if err != nil {
		return err
	}
	stack := slices.IndexFunc(all, func(r inventory.Resource) bool { return r.Kind == inventory.VPC })
	if stack < 0 {
		return errors.New("the stack's VPC is not in the inventory")
	}
	want := all[stack].Tags
	_, named := lib.RunStart(want[lib.TagRun])
	_, expiryErr := lib.ParseExpiry(want[lib.TagExpires])
	vpc := rec.on(all[stack].ARN)
	vpc.record("owner", "present", tagValue(want, lib.TagOwner), want[lib.TagOwner] != "")
	vpc.record("run", "named by its time, or "+lib.ManualRun, tagValue(want, lib.TagRun), named || want[lib.TagRun] == lib.ManualRun)
	vpc.record("expiry", "a time, or "+lib.NeverExpires, tagValue(want, lib.TagExpires), expiryErr == nil)
	return eachTagged(all, carriesTags, func(r inventory.Resource) {
		for _, key := range []string{lib.TagOwner, lib.TagRun, lib.TagExpires} {
			rec.on(r.ARN).equal(r.Kind.Name+" "+key, want[key], tagValue(r.Tags, key))
		}
	})
}

func tagValue(tags map[string]string, key string) any {
	if v, ok := tags[key]; ok {
		return v
	}
	return nil
}

func scalingTagged(ctx context.Context, e *Env, rec *recorder) error {
	all, err := e.inventory(ctx)
	if err != nil {
		return err
	}
	isTarget := func(r inventory.Resource) bool { return r.Kind == inventory.ScalableTarget }
	return eachTagged(all, isTarget, func(r inventory.Resource) {
		for key, want := range briefTags() {
			rec.on(r.ARN).equal(key, want, tagValue(r.Tags, key))
		}
	})
}

// namesKnown finds resources whose names end in the suffix, as the convention wants, without being in the
// specification's table: they would be the ones that a leak proof could miss.
func namesKnown(ctx context.Context, e *Env, rec *recorder) error {
	all, err := e.ownResources(ctx)
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.Kind == inventory.NetworkInterface || r.Kind == inventory.DNSRecord || r.Kind == inventory.Other {
			continue // AWS names these itself, or the configuration does
		}
		if r.Kind == inventory.SecurityGroup && r.Name == "" {
			continue // the default group of the VPC, when it carries no name
		}
		known := r.Kind.Ownership(r.Name, e.Suffix) == inventory.Own
		rec.on(r.ARN).record("name of the "+r.Kind.Name, "known, ending in -"+e.Suffix, r.Name, known)
	}
	return nil
}

// named is something that belongs to the stack, with its name.
type named struct{ arn, name string }

// namesEndInSuffix does not look for the suffix in order to find things, or it could not find a thing without one.
func namesEndInSuffix(ctx context.Context, e *Env, rec *recorder) error {
	for _, related := range []func(context.Context, *Env) ([]named, error){
		ofVPC, ofDatabase, ofApplication, ofBalancer, ofOutputs, ofTopic,
	} {
		all, err := related(ctx, e)
		if err != nil {
			return err
		}
		for _, n := range all {
			rec.on(n.arn).record("name", "has "+e.Suffix+" for its last part", n.name, carriesSuffix(n.name, e.Suffix))
		}
	}
	return nil
}

// carriesSuffix tells whether a name ends in the suffix, or whether a level of a hierarchical name does.
func carriesSuffix(name, suffix string) bool {
	parts := strings.Split(name, "/")
	return slices.ContainsFunc(parts, func(p string) bool {
		return p == suffix && len(parts) > 1 || strings.HasSuffix(p, "-"+suffix)
	})
}

// ofVPC is what stands in the VPC, and the addresses of its NAT gateways.
func ofVPC(ctx context.Context, e *Env) ([]named, error) {
	vpc, err1 := e.output(lib.OutputVpcID)
	gateways, err2 := e.natGateways(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return nil, err
	}
	var addresses []string
	for _, g := range gateways {
		for _, a := range g.NatGatewayAddresses {
			addresses = append(addresses, e.cloud.EC2ARN(ctx, "elastic-ip", aws.ToString(a.AllocationId)))
		}
	}
	var out []named
	for _, kind := range []*inventory.Kind{
		inventory.VPC, inventory.Subnet, inventory.InternetGateway, inventory.NATGateway, inventory.ElasticIP, inventory.RouteTable,
		inventory.SecurityGroup, inventory.VPCEndpoint, inventory.FlowLog, inventory.LoadBalancer, inventory.TargetGroup,
	} {
		all, err := kind.List(ctx, e.cloud)
		if err != nil {
			return nil, err
		}
		for _, r := range all {
			if r.VPC == vpc || r.ARN == e.cloud.EC2ARN(ctx, "vpc", vpc) || slices.Contains(addresses, r.ARN) {
				out = append(out, named{r.ARN, r.Name})
			}
		}
	}
	return out, nil
}

func ofDatabase(ctx context.Context, e *Env) ([]named, error) {
	c, err := e.dbCluster(ctx)
	if err != nil {
		return nil, err
	}
	id := aws.ToString(c.DBClusterArn)
	out := []named{
		{id, aws.ToString(c.DBClusterIdentifier)},
		{id, aws.ToString(c.DBSubnetGroup)},
		{id, aws.ToString(c.DBClusterParameterGroup)},
	}
	instances, err := e.dbInstances(ctx)
	if err != nil {
		return nil, err
	}
	for _, i := range instances {
		out = append(out, named{aws.ToString(i.DBInstanceArn), aws.ToString(i.DBInstanceIdentifier)})
	}
	topic, err1 := e.output(lib.OutputAlertsTopicArn)
	subscriptions, err2 := e.cloud.EventSubscriptions(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return nil, err
	}
	for _, v := range subscriptions {
		if aws.ToString(v.SnsTopicArn) == topic {
			out = append(out, named{aws.ToString(v.EventSubscriptionArn), aws.ToString(v.CustSubscriptionId)})
		}
	}
	return out, nil
}

func ofApplication(ctx context.Context, e *Env) ([]named, error) {
	c, err := e.cluster(ctx)
	if err != nil {
		return nil, err
	}
	out := []named{{aws.ToString(c.ClusterArn), aws.ToString(c.ClusterName)}}
	services, err1 := e.cloud.ECSServices(ctx, aws.ToString(c.ClusterName))
	migration, err2 := e.output(lib.OutputPaymentMigrateTaskDefinition)
	if err := cmp.Or(err1, err2); err != nil {
		return nil, err
	}
	definitions := []string{migration}
	for _, svc := range services {
		out = append(out, named{aws.ToString(svc.ServiceArn), aws.ToString(svc.ServiceName)})
		definitions = append(definitions, aws.ToString(svc.TaskDefinition))
	}
	for _, id := range definitions {
		td, err := e.cloud.TaskDefinition(ctx, id)
		if err != nil {
			return nil, err
		}
		out = append(out,
			named{aws.ToString(td.TaskDefinitionArn), aws.ToString(td.Family)},
			named{aws.ToString(td.ExecutionRoleArn), roleName(td.ExecutionRoleArn)},
			named{aws.ToString(td.TaskRoleArn), roleName(td.TaskRoleArn)})
	}
	return out, nil
}

func ofBalancer(ctx context.Context, e *Env) ([]named, error) {
	bucket, err := e.bucket(ctx)
	if err != nil {
		return nil, err
	}
	out := []named{{e.bucketARN(ctx, bucket), bucket}}
	acl, err := e.firewall(ctx)
	if errors.Is(err, errNoFirewall) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	return append(out, named{aws.ToString(acl.ARN), aws.ToString(acl.Name)}), nil
}

// ofOutputs is what the outputs name outright.
func ofOutputs(ctx context.Context, e *Env) ([]named, error) {
	var out []named
	for _, output := range []string{lib.OutputQueueURL, lib.OutputDlqURL} {
		a, err1 := e.queue(ctx, output)
		name, err2 := e.queueName(output)
		if err := cmp.Or(err1, err2); err != nil {
			return nil, err
		}
		out = append(out, named{a["QueueArn"], name})
	}
	for _, output := range secretOutputs() {
		d, err := e.secret(ctx, output)
		if err != nil {
			return nil, err
		}
		out = append(out, named{aws.ToString(d.ARN), aws.ToString(d.Name)})
	}
	groups, err := e.outputList(lib.OutputLogGroupNames)
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		out = append(out, named{e.cloud.ARN(ctx, "logs", "log-group:"+g), g})
	}
	parameters, err := e.parameters(ctx)
	if err != nil {
		return nil, err
	}
	for _, p := range parameters {
		out = append(out, named{aws.ToString(p.ARN), aws.ToString(p.Name)})
	}
	return out, nil
}

// ofTopic is the topic and whatever tells it something.
func ofTopic(ctx context.Context, e *Env) ([]named, error) {
	topic, err := e.output(lib.OutputAlertsTopicArn)
	if err != nil {
		return nil, err
	}
	out := []named{{topic, topic[strings.LastIndex(topic, ":")+1:]}}
	alarms, err := e.cloud.Alarms(ctx)
	if err != nil {
		return nil, err
	}
	for _, a := range alarms {
		if slices.Contains(a.AlarmActions, topic) {
			out = append(out, named{aws.ToString(a.AlarmArn), aws.ToString(a.AlarmName)})
		}
	}
	rules, err1 := e.cloud.EventRules(ctx)
	telling, err2 := e.cloud.EventRulesFor(ctx, topic)
	if err := cmp.Or(err1, err2); err != nil {
		return nil, err
	}
	for _, r := range rules {
		if slices.Contains(telling, aws.ToString(r.Name)) {
			out = append(out, named{aws.ToString(r.Arn), aws.ToString(r.Name)})
		}
	}
	return out, nil
}
