package unit_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"

	iampolicy "github.com/micahhausler/aws-iam-policy/policy"

	"tapstack/lib"
	"tapstack/lib/policy"
)

// invariant is a sentence about every stack that the program declares, under every legal configuration.
type invariant struct {
	sentence string
	// check tells of each resource that breaks it, by name.
	check func(*recording, *faults)
}

// faults are what is found wrong.
type faults []string

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

func (f *faults) when(wrong bool, format string, args ...any) {
	if wrong {
		f.add(format, args...)
	}
}

// faults are all that break the invariant.
func (i invariant) faults(r *recording) (found faults) {
	i.check(r, &found)
	return found
}

func invariants() []invariant {
	return []invariant{
		{"every taggable resource has its own name as a tag and inherits those of the brief", tagsAreComplete},
		{"every resource and every call goes through the explicit provider", providerIsExplicit},
		{"every physical name is set and none is left to chance", namesAreSet},
		{"every physical name ends in the suffix and is one that AWS takes", namesAreLegal},
		{"every description is one that AWS takes", descriptionsAreLegal},
		{"nothing is protected or kept when the stack goes", nothingIsKept},
		{"what a hand can switch off is switched on again", switchesAreSet},
		{"every log group keeps its lines for thirty days", logsExpire},
		{"every policy document is current and complete", policiesAreComplete},
		{"every role is assumed by one service for this account alone", trustIsNarrow},
		{"no role may do everything or anywhere", grantsAreNarrow},
		{"every execution role reads exactly what its task definition names", injectionIsExact},
		{"no resource's policy lets anyone in from outside the account, or without TLS", resourcePoliciesAreNarrow},
		{"every VPC endpoint is for the layers of images, or for this account and its service alone", endpointsAreNarrow},
		{"everything is made after what it needs and goes before it", orderIsKept},
		{"every dependency and every parent is declared", referencesResolve},
		{"what comes straight from a secret is marked secret", secretsStayMarked},
		{"no output is secret or empty", outputsArePublic},
		{"a resource with a name of its own is deleted before its replacement is made", oldGoesFirst},
		{"only the load balancer is open to the internet", entriesAreClosed},
		{"the subnets lie in the VPC and apart, a public and a private one in each of three zones", subnetsFit},
		{"what is declared by token alone has the SDK's inputs", inputsConform},
	}
}

// faults runs all invariants and prefixes each fault with its sentence.
func (r *recording) faults() (faults []string) {
	for _, rule := range invariants() {
		for _, fault := range rule.faults(r) {
			faults = append(faults, rule.sentence+": "+fault)
		}
	}
	return faults
}

func providerIsExplicit(r *recording, faults *faults) {
	const explicit = "::pulumi:providers:aws::aws::"
	for _, d := range r.sorted() {
		provider := d.request.GetProvider()
		faults.when(strings.HasPrefix(d.token, "aws:") != strings.Contains(provider, explicit),
			"%s (%s) uses provider %q", d.name, d.token, provider)
	}
	for _, token := range slices.Sorted(maps.Keys(r.calls)) {
		// What starts with pulumi: asks the engine.
		faults.when(strings.HasPrefix(token, "aws:") && !strings.Contains(r.calls[token].provider, explicit), "%s is called of provider %q", token, r.calls[token].provider)
	}
}

var tagText = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,256}$`)

func tagsAreComplete(r *recording, faults *faults) {
	defaults, _ := r.resources["aws"].plain["defaultTags"].(map[string]any)
	common, _ := defaults["tags"].(map[string]any)
	for key, legal := range map[string]string{
		"Environment": `production`, "MigrationBatch": `phase-1`, lib.TagOwner: `[a-z0-9-]+`, lib.TagRun: `manual|\d{8}T\d{6}Z-[0-9a-f]{6}`,
		lib.TagExpires: `never|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`,
	} {
		value := fmt.Sprint(common[key])
		faults.when(!regexp.MustCompile("^("+legal+")$").MatchString(value), "the provider's default tag %s is %s", key, value)
	}
	rules, taggable := nameRules(), 0
	for _, d := range r.sorted() {
		if !d.knownInputs()["tags"] {
			continue
		}
		taggable++
		tags, _ := d.plain["tags"].(map[string]any)
		name, _ := tags["Name"].(string)
		switch {
		case name == "":
			faults.add("%s (%s) has no Name tag", d.name, d.token)
		case !endsInSuffix(name, r.suffix):
			faults.add("%s: the Name tag %q does not end in the suffix %s", d.name, name, r.suffix)
		case rules[d.token].input != "" && d.plain[rules[d.token].input] != name:
			faults.add("%s is named %v but tagged %q", d.name, d.plain[rules[d.token].input], name)
		}
		for key, value := range tags {
			text, _ := value.(string)
			faults.when(!tagText.MatchString(key) || len(key) > 128 || strings.HasPrefix(strings.ToLower(key), "aws:") || !tagText.MatchString(text),
				"%s: the tag %q=%q is not one that AWS takes", d.name, key, text)
			faults.when(key != "Name", "%s sets the tag %s itself instead of inheriting it", d.name, key)
		}
	}
	faults.when(taggable == 0, "no resource is taggable")
}

// keepingInputs are inputs that keep a resource, or something of it, beyond its stack; by what they must be and what they
// are where they are not set. A nil must not be set at all.
func keepingInputs() map[string]struct{ must, unset any } {
	return map[string]struct{ must, unset any }{
		"deletionProtection":        {false, false},
		"enableDeletionProtection":  {false, false},
		"deletionProtectionEnabled": {false, false},
		"disableApiTermination":     {false, false},
		"skipDestroy":               {false, false},
		"objectLockEnabled":         {false, false},
		"finalSnapshotIdentifier":   {nil, nil},
		"skipFinalSnapshot":         {true, false},
		"deleteAutomatedBackups":    {true, true},
		"forceDestroy":              {true, false},
		"recoveryWindowInDays":      {0.0, 30.0},
		"deletionWindowInDays":      {7.0, 30.0}, // KMS knows no shorter one
	}
}

// otherForceDestroys are types of which forceDestroy keeps nothing of ours, and what it is about.
func otherForceDestroys() map[string]string {
	return map[string]string{
		"aws:cloudwatch/eventRule:EventRule":      "rules that AWS manages",
		"aws:cloudwatch/eventTarget:EventTarget":  "rules that AWS manages",
		"aws:rds/clusterInstance:ClusterInstance": "replicas of clusters elsewhere, which it would promote",
	}
}

// nothingIsKept applies keepingInputs wherever the SDK's type has them.
func nothingIsKept(r *recording, faults *faults) {
	keeping, others := keepingInputs(), otherForceDestroys()
	for _, d := range r.sorted() {
		faults.when(d.request.GetProtect() && !r.protects, "%s is protected", d.name)
		faults.when(d.request.GetRetainOnDelete(), "%s is retained on delete", d.name)
		known := d.knownInputs()
		for input, rule := range keeping {
			if !known[input] || (input == "forceDestroy" && others[d.token] != "") {
				continue
			}
			value, set := d.plain[input]
			if !set {
				value = rule.unset
			}
			faults.when(value != rule.must, "%s: %s is %v, which keeps it or something of it; must be %v", d.name, input, value, rule.must)
		}
	}
}

// switches are inputs without which the official provider takes whatever it finds for right, and what they must be: in the
// schema of terraform-provider-aws 5.100.0 they are Optional and Computed, or a difference is suppressed. A cluster's performance insights are the reverse: left out,
// what RDS says of them is a difference, and the provider switches them off.
func switches() []struct {
	token, input string
	must         any
} {
	running := map[string]any{"dynamicScalingInSuspended": false, "dynamicScalingOutSuspended": false, "scheduledScalingSuspended": false}
	return []struct {
		token, input string
		must         any
	}{
		{"aws:cloudwatch/eventRule:EventRule", "state", "ENABLED"},
		{"aws:appautoscaling/target:Target", "suspendedState", running},
		{"aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", "egress", []any{}},
		{"aws:ec2/defaultSecurityGroup:DefaultSecurityGroup", "ingress", []any{}},
		{"aws:ec2/vpc:Vpc", "enableDnsHostnames", true},
		{"aws:rds/cluster:Cluster", "performanceInsightsEnabled", true},
		{"aws:rds/clusterInstance:ClusterInstance", "performanceInsightsEnabled", true},
		{"aws:sqs/queue:Queue", "sqsManagedSseEnabled", true},
	}
}

func switchesAreSet(r *recording, faults *faults) {
	for _, s := range switches() {
		for _, d := range r.ofType(s.token) {
			faults.when(!reflect.DeepEqual(d.plain[s.input], s.must), "%s: %s is %v, must be %v", d.name, s.input, d.plain[s.input], s.must)
		}
	}
}

func logsExpire(r *recording, faults *faults) {
	groups := r.ofType("aws:cloudwatch/logGroup:LogGroup")
	faults.when(len(groups) == 0, "there are no log groups")
	for _, group := range groups {
		days := group.plain["retentionInDays"]
		faults.when(days != 30.0, "%s keeps %v days", group.name, days)
	}
}

// policies are the documents of a resource by the input that holds them, those that cannot be read as faults.
func (d registration) policies() (documents map[string]policy.Policy, unread faults) {
	documents = map[string]policy.Policy{}
	for _, input := range []string{"policy", "policyDocument", "assumeRolePolicy"} {
		if text, ok := d.plain[input].(string); ok {
			document, err := policy.Parse(text)
			if err != nil {
				unread.add("%s.%s: %v", d.name, input, err)
				continue
			}
			documents[input] = document
			ones := onesInLists(text)
			unread.when(len(ones) > 0, "%s.%s has lists of one, which AWS gives back as strings: %v", d.name, input, ones)
		}
	}
	return documents, unread
}

// onesInLists finds the lists of one string in a document.
func onesInLists(document string) []string {
	return regexp.MustCompile(`"[A-Za-z:]+":\["[^"]*"\]`).FindAllString(document, -1)
}

func policiesAreComplete(r *recording, faults *faults) {
	for _, d := range r.sorted() {
		documents, unread := d.policies()
		*faults = append(*faults, unread...)
		for input, document := range documents {
			faults.when(document.Version != iampolicy.VersionLatest, "%s.%s is of version %q", d.name, input, document.Version)
			seen := map[string]bool{}
			for _, s := range policy.Statements(document) {
				faults.when(seen[s.Sid] || s.Sid == "" || len(policy.Values(s.Action)) == 0,
					"%s.%s: statement %q is incomplete or repeated", d.name, input, s.Sid)
				faults.when((len(policy.Values(s.Resource)) == 0) != (input == "assumeRolePolicy"),
					"%s.%s: statement %s is on %q", d.name, input, s.Sid, policy.Values(s.Resource))
				seen[s.Sid] = true
			}
		}
	}
}

func trustIsNarrow(r *recording, faults *faults) {
	roles := r.ofType("aws:iam/role:Role")
	faults.when(len(roles) == 0, "there are no roles")
	for _, role := range roles {
		documents, _ := role.policies()
		statements := policy.Statements(documents["assumeRolePolicy"])
		faults.when(len(statements) != 1, "%s has %d trust statements", role.name, len(statements))
		for _, s := range statements {
			principals := policy.Principals(s.Principal)
			services := principals[iampolicy.PrincipalKindService]
			faults.when(s.Effect != iampolicy.EffectAllow || len(principals) != 1 || len(services) != 1 || !strings.HasSuffix(services[0], ".amazonaws.com"),
				"%s is assumed by %v", role.name, principals)
			actions := policy.Values(s.Action)
			faults.when(!slices.Equal(actions, []string{"sts:AssumeRole"}), "%s: the trust policy allows %v", role.name, actions)
			faults.when(!slices.Equal(policy.ConditionValues(s, "aws:SourceAccount", "StringEquals"), []string{r.account}),
				"%s may be assumed for another account (aws:SourceAccount)", role.name)
			from := policy.ConditionValues(s, "aws:SourceArn", "ArnLike")
			faults.when(len(from) != 1 || !strings.Contains(from[0], ":"+r.region+":"+r.account+":"),
				"%s may be assumed for %v (aws:SourceArn)", role.name, from)
		}
	}
}

// grantsAreNarrow allows "*" as a resource for the registry login alone, which knows no other.
func grantsAreNarrow(r *recording, faults *faults) {
	for _, d := range r.ofType("aws:iam/rolePolicy:RolePolicy") {
		documents, _ := d.policies()
		for _, s := range policy.Statements(documents["policy"]) {
			for _, action := range policy.Values(s.Action) {
				service, verb, ok := strings.Cut(action, ":")
				faults.when(!ok || service == "*" || strings.Contains(verb, "*"), "%s allows %s", d.name, action)
				faults.when(slices.Contains(policy.Values(s.Resource), "*") && action != "ecr:GetAuthorizationToken" && action != "logs:DescribeLogGroups",
					"%s allows %s on everything", d.name, action)
			}
		}
	}
}

// injectionIsExact compares the ARNs of a task definition's secrets with those that its execution role may read.
func injectionIsExact(r *recording, faults *faults) {
	for _, task := range r.ofType("aws:ecs/taskDefinition:TaskDefinition") {
		var containers []struct{ Secrets []struct{ ValueFrom string } }
		text, _ := task.plain["containerDefinitions"].(string)
		err := json.Unmarshal([]byte(text), &containers)
		faults.when(err != nil, "%s.containerDefinitions: %v", task.name, err)
		named, readable := map[string]bool{}, map[string]bool{}
		for _, c := range containers {
			for _, secret := range c.Secrets {
				faults.when(strings.HasSuffix(secret.ValueFrom, ":"), "%s: a new value of %s makes no new deployment", task.name, secret.ValueFrom)
				named[strings.Join(strings.SplitN(secret.ValueFrom, ":", 7)[:6], ":")] = true // without the key inside the secret
			}
		}
		for _, name := range policiesOf("executionRoleArn")(r, task) {
			documents, _ := r.resources[name].policies()
			for _, s := range policy.Statements(documents["policy"]) {
				for _, action := range policy.Values(s.Action) {
					if action == "secretsmanager:GetSecretValue" || action == "ssm:GetParameters" {
						for _, arn := range policy.Values(s.Resource) {
							readable[arn] = true
						}
					}
				}
			}
		}
		faults.when(!maps.Equal(named, readable),
			"%s names %v, its execution role reads %v", task.name, slices.Sorted(maps.Keys(named)), slices.Sorted(maps.Keys(readable)))
		for _, d := range r.ofType("aws:secretsmanager/secretPolicy:SecretPolicy") {
			documents, _ := d.policies()
			readers, _ := policy.AllBut(documents["policy"], "secretsmanager:GetSecretValue")
			for _, name := range task.sources("executionRoleArn") {
				role := fmt.Sprintf("arn:aws:iam::%s:role/%s", r.account, r.resources[name].plain["name"])
				needed, let := named[fmt.Sprint(d.plain["secretArn"])], slices.Contains(readers, role)
				faults.when(needed != let, "%s lets %s read: %t; its task needs to: %t", d.name, name, let, needed)
			}
		}
	}
}

// resourcePoliciesAreNarrow takes two services as they are: EventBridge to an encrypted topic supports no condition (SNS
// developer guide, "Key management"), and load balancers write their logs under the path of their own account.
func resourcePoliciesAreNarrow(r *recording, faults *faults) {
	overTLS := map[string]string{
		"aws:s3/bucketPolicy:BucketPolicy":             "s3:GetObject",
		"aws:secretsmanager/secretPolicy:SecretPolicy": "secretsmanager:GetSecretValue",
		"aws:sns/topicPolicy:TopicPolicy":              "sns:Publish",
		"aws:sqs/queuePolicy:QueuePolicy":              "sqs:ReceiveMessage",
	}
	for _, d := range r.sorted() {
		if slices.Contains([]string{"aws:iam/rolePolicy:RolePolicy", "aws:iam/role:Role", "aws:ec2/vpcEndpoint:VpcEndpoint"}, d.token) {
			continue
		}
		documents, _ := d.policies()
		for _, document := range documents {
			external := policy.ExternalPrincipals(document, r.account, "events.amazonaws.com", "logdelivery.elasticloadbalancing.amazonaws.com")
			faults.when(len(external) > 0, "%s lets in %v", d.name, external)
			for _, s := range policy.Statements(document) {
				faults.when(s.Effect == iampolicy.EffectAllow && slices.Contains(policy.Principals(s.Principal)[iampolicy.PrincipalKindAWS], iampolicy.PrincipalAll),
					"%s lets in everyone", d.name)
			}
			action := overTLS[d.token]
			faults.when(action != "" && !policy.DeniesWithoutTLS(document, action), "%s allows %s without TLS", d.name, action)
		}
	}
}

func endpointsAreNarrow(r *recording, faults *faults) {
	for _, d := range r.ofType("aws:ec2/vpcEndpoint:VpcEndpoint") {
		documents, _ := d.policies()
		p, given := documents["policy"]
		faults.when(!given, "%s lets everything through", d.name)
		name := strings.SplitN(fmt.Sprint(d.plain["serviceName"]), ".", 4) // com.amazonaws.REGION.SERVICE
		region, service := name[2], name[3]
		only := policy.Permission{Action: strings.Split(service, ".")[0] + ":*", Resource: "*"}
		if service == "s3" {
			only = policy.Permission{Action: "s3:GetObject", Resource: "arn:aws:s3:::prod-" + region + "-starport-layer-bucket/*"}
		}
		excess := policy.Excess([]policy.Policy{p}, []policy.Permission{only})
		faults.when(len(excess) > 0, "%s lets through %v", d.name, excess)
		external := policy.ExternalPrincipals(p, r.account)
		faults.when(service != "s3" && len(external) > 0, "%s lets in %v", d.name, external)
	}
}

// secretsStayMarked follows the SDK's own account of where values come from. The certificate's body is its public half.
func secretsStayMarked(r *recording, faults *faults) {
	for _, d := range r.sorted() {
		for key, value := range d.inputs {
			secret := slices.ContainsFunc(d.sources(string(key)), func(name string) bool {
				return strings.HasPrefix(r.resources[name].token, "random:")
			})
			public := d.token == "aws:acm/certificate:Certificate" && key == "certificateBody"
			faults.when(secret && !public && !value.IsSecret(),
				"%s.%s comes from %v and is not marked secret", d.name, key, d.sources(string(key)))
		}
	}
}

func outputsArePublic(r *recording, faults *faults) {
	faults.when(len(r.outputs) == 0, "there are no outputs")
	for _, name := range slices.Sorted(maps.Keys(r.outputs)) {
		out := r.outputs[name]
		faults.when(out.secret, "%s is secret", name)
		text := fmt.Sprint(out.value)
		faults.when(text == "" || text == "[]" || text == "<nil>", "%s is empty", name)
	}
}

// oldGoesFirst excepts what is still in use when its replacement is made and has revisions, versions, no name, or another one then.
func oldGoesFirst(r *recording, faults *faults) {
	inUse := []string{
		"aws:ecs/taskDefinition:TaskDefinition", "aws:acm/certificate:Certificate", "aws:acm/certificateValidation:CertificateValidation",
		"aws:secretsmanager/secretVersion:SecretVersion",
		"aws:rds/clusterParameterGroup:ClusterParameterGroup",
	}
	for _, d := range r.sorted() {
		if !strings.HasPrefix(d.token, "aws:") {
			continue
		}
		first, want := d.request.GetDeleteBeforeReplace(), !slices.Contains(inUse, d.token)
		faults.when(first != want, "%s (%s): delete before replace is %v", d.name, d.token, first)
	}
}

func referencesResolve(r *recording, faults *faults) {
	for _, d := range r.sorted() {
		parent := d.request.GetParent()
		faults.when(!strings.Contains(parent, "::pulumi:pulumi:Stack::"), "%s stands under %q", d.name, parent)
		for _, name := range namesIn(d.request.GetDependencies()) {
			_, ok := r.resources[name]
			faults.when(!ok, "%s depends on %s, which is not declared", d.name, name)
		}
	}
}

func entriesAreClosed(r *recording, faults *faults) {
	open := map[any]bool{}
	for _, rule := range r.ofType("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule") {
		if rule.plain["referencedSecurityGroupId"] != nil {
			continue
		}
		group, port := rule.sources("securityGroupId"), rule.plain["fromPort"]
		faults.when(!slices.Equal(group, []string{"alb-sg"}) || (port != 80.0 && port != 443.0) || port != rule.plain["toPort"],
			"%s opens %v port %v to %v", rule.name, group, port, rule.plain["cidrIpv4"])
		open[port] = true
	}
	faults.when(!open[443.0], "the load balancer does not take HTTPS from the internet")
	for _, group := range slices.Concat(r.ofType("aws:ec2/securityGroup:SecurityGroup"), r.ofType("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")) {
		in, _ := group.plain["ingress"].([]any)
		out, _ := group.plain["egress"].([]any)
		faults.when(len(in)+len(out) > 0, "%s has rules besides those that are resources of their own", group.name)
	}
	for _, subnet := range r.ofType("aws:ec2/subnet:Subnet") {
		faults.when(subnet.plain["mapPublicIpOnLaunch"] != false, "%s gives public addresses", subnet.name)
	}
	for _, d := range r.sorted() {
		network, _ := d.plain["networkConfiguration"].(map[string]any)
		faults.when(d.plain["publiclyAccessible"] == true || network["assignPublicIp"] == true, "%s has a public address", d.name)
	}
}

func subnetsFit(r *recording, faults *faults) {
	whole, _ := r.resources["vpc"].plain["cidrBlock"].(string)
	cidr, err := netip.ParsePrefix(whole)
	if err != nil {
		faults.add("the VPC has the address range %q", whole)
		return
	}
	var seen []netip.Prefix
	zones := map[string]map[any]bool{"public": {}, "private": {}}
	for _, d := range r.ofType("aws:ec2/subnet:Subnet") {
		text, _ := d.plain["cidrBlock"].(string)
		subnet, err := netip.ParsePrefix(text)
		kind, _, _ := strings.Cut(d.name, "-")
		if bits := map[string]int{"public": 24, "private": 20}[kind]; err != nil || subnet.Bits() != bits || subnet != subnet.Masked() || !cidr.Contains(subnet.Addr()) {
			faults.add("%s is %s in %s", d.name, text, cidr)
			continue
		}
		for _, other := range seen {
			faults.when(other.Overlaps(subnet), "%s: %s overlaps %s", d.name, subnet, other)
		}
		seen = append(seen, subnet)
		zones[kind][d.plain["availabilityZone"]] = true
	}
	for kind, in := range zones {
		faults.when(len(in) != 3, "the %s subnets are in %d zones", kind, len(in))
	}
	faults.when(len(seen) != 6, "there are %d subnets", len(seen))
}
