package unit_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// nameRule is what AWS asks of the names of one type: the input that carries the name, the limit on its length in
// characters, its alphabet, and what it must not be.
type nameRule struct {
	input    string
	most     int
	alphabet *regexp.Regexp
	// not lists what AWS reserves; nil where it reserves nothing.
	not *regexp.Regexp
}

// nameRules holds AWS's own rules on names, from the API reference of each service. Types that are not here have no
// name of their own.
var nameRules = sync.OnceValue(func() map[string]nameRule {
	printable := regexp.MustCompile(`^[[:print:]]+$`)
	words := regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	elb := regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$`)
	rds := regexp.MustCompile(`^[a-z](-?[a-z0-9])*$`) // a letter first, no double hyphen, none at the end
	matching := regexp.MustCompile
	return map[string]nameRule{
		"aws:appautoscaling/policy:Policy":                    {"name", 256, printable, nil},
		"aws:cloudwatch/dashboard:Dashboard":                  {"dashboardName", 255, words, nil},
		"aws:cloudwatch/eventRule:EventRule":                  {"name", 64, matching(`^[.\-_A-Za-z0-9]+$`), nil},
		"aws:cloudwatch/logGroup:LogGroup":                    {"name", 512, matching(`^[.\-_/#A-Za-z0-9]+$`), matching(`^aws/`)},
		"aws:cloudwatch/logResourcePolicy:LogResourcePolicy":  {"policyName", 255, printable, nil},
		"aws:cloudwatch/metricAlarm:MetricAlarm":              {"name", 255, printable, nil},
		"aws:ec2/securityGroup:SecurityGroup":                 {"name", 255, matching(`^[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]+$`), matching(`^sg-|^default$`)},
		"aws:ecs/cluster:Cluster":                             {"name", 255, words, nil},
		"aws:ecs/service:Service":                             {"name", 255, words, nil},
		"aws:ecs/taskDefinition:TaskDefinition":               {"family", 255, words, nil},
		"aws:iam/role:Role":                                   {"name", 64, matching(`^[\w+=,.@-]+$`), nil},
		"aws:iam/rolePolicy:RolePolicy":                       {"name", 128, matching(`^[\w+=,.@-]+$`), nil},
		"aws:kms/alias:Alias":                                 {"name", 256, matching(`^alias/[a-zA-Z0-9/_-]+$`), matching(`^alias/aws/`)},
		"aws:lb/loadBalancer:LoadBalancer":                    {"name", 32, elb, matching(`^internal-`)},
		"aws:lb/targetGroup:TargetGroup":                      {"name", 32, elb, nil},
		"aws:rds/cluster:Cluster":                             {"clusterIdentifier", 63, rds, nil},
		"aws:rds/clusterInstance:ClusterInstance":             {"identifier", 63, rds, nil},
		"aws:rds/clusterParameterGroup:ClusterParameterGroup": {"name", 255, rds, matching(`^default\.`)},
		"aws:rds/eventSubscription:EventSubscription":         {"name", 254, rds, nil},
		"aws:rds/subnetGroup:SubnetGroup":                     {"name", 255, rds, matching(`^default$`)},
		"aws:s3/bucketV2:BucketV2": {
			"bucket", 63, matching(`^[a-z0-9][a-z0-9.-]+[a-z0-9]$`),
			matching(`^xn--|^sthree-|^amzn-s3-demo-|-s3alias$|--ol-s3$|\.mrap$|--x-s3$|--table-s3$|\.\.|^[0-9.]+$`),
		},
		"aws:secretsmanager/secret:Secret": {"name", 512, matching(`^[A-Za-z0-9/_+=.@-]+$`), nil},
		"aws:sns/topic:Topic":              {"name", 256, words, nil},
		"aws:sqs/queue:Queue":              {"name", 80, words, nil},
		"aws:ssm/parameter:Parameter":      {"name", 900, matching(`^(/[a-zA-Z0-9_.-]+){1,15}$`), matching(`(?i)^/?(aws|ssm)`)},
		"aws:wafv2/webAcl:WebAcl":          {"name", 128, words, nil},
	}
})

// fault says what AWS would have against a name; it is empty for a legal one.
func (n nameRule) fault(name string) string {
	switch {
	case len(name) > n.most:
		return fmt.Sprintf("%q has %d characters, AWS takes %d", name, len(name), n.most)
	case !n.alphabet.MatchString(name):
		return fmt.Sprintf("%q does not match %s", name, n.alphabet)
	case n.not != nil && n.not.MatchString(name):
		return fmt.Sprintf("AWS reserves %s: %q", n.not, name)
	}
	return ""
}

// endsInSuffix also takes hierarchical names, of which one level ends in the suffix.
func endsInSuffix(name, suffix string) bool {
	if !strings.HasPrefix(name, "/") {
		return strings.HasSuffix(name, "-"+suffix)
	}
	return slices.ContainsFunc(strings.Split(name, "/"), func(level string) bool {
		return level == suffix || strings.HasSuffix(level, "-"+suffix)
	})
}

// namingInputs are the inputs that pulumi-aws fills in by itself, at random, where a program leaves them out.
func namingInputs() []string {
	return []string{"name", "bucket", "family", "identifier", "clusterIdentifier", "dashboardName", "policyName", "targetId"}
}

// namesOfOthers are naming inputs that hold no physical name of this stack.
func namesOfOthers() map[string]string {
	return map[string]string{
		"aws:route53/record:Record.name":                  "a DNS name",
		"aws:cloudwatch/eventTarget:EventTarget.targetId": "unique within its rule",

		"aws:rds/clusterParameterGroup:ClusterParameterGroup.family": "an engine version",
	}
}

// namesAreSet finds names that were left to chance.
func namesAreSet(r *recording, faults *faults) {
	for _, d := range r.sorted() {
		known := d.knownInputs()
		for _, input := range namingInputs() {
			text, _ := d.plain[input].(string)
			faults.when(known[input] && text == "", "%s leaves %s to auto-naming", d.name, input)
		}
		for input := range d.plain {
			faults.when(strings.HasSuffix(strings.ToLower(input), "prefix") && known[input],
				"%s sets %s: the rest of its name would be random", d.name, input)
		}
	}
}

// namesAreLegal holds every name to AWS's rules and to the suffix.
func namesAreLegal(r *recording, faults *faults) {
	rules, others, found := nameRules(), namesOfOthers(), 0
	for _, d := range r.sorted() {
		rule, named := rules[d.token]
		for _, input := range namingInputs() {
			text, set := d.plain[input].(string)
			isReference := len(d.sources(input)) > 0
			faults.when(set && !isReference && (!named || input != rule.input) && others[d.token+"."+input] == "",
				"%s: the names (%s) of %s have no rule: %q", d.name, input, d.token, text)
		}
		if !named {
			continue
		}
		found++
		name, _ := d.plain[rule.input].(string)
		fault := rule.fault(name)
		faults.when(fault != "", "%s: %s", d.name, fault)
		faults.when(!endsInSuffix(name, r.suffix), "%s: the name %q does not end in the suffix %s", d.name, name, r.suffix)
	}
	faults.when(found == 0, "no resource has a name")
}

// descriptionRules holds AWS's rules on descriptions, by type and input.
var descriptionRules = sync.OnceValue(func() map[string]nameRule {
	ec2 := regexp.MustCompile(`^[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]+$`)
	latin := regexp.MustCompile(`^[\t\n\r\x{20}-\x{7e}\x{a1}-\x{ff}]+$`)
	printable := regexp.MustCompile(`^[[:print:]]+$`)
	return map[string]nameRule{
		"aws:ec2/securityGroup:SecurityGroup":                       {"description", 255, ec2, nil},
		"aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": {"description", 255, ec2, nil},
		"aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule":   {"description", 255, ec2, nil},
		"aws:iam/role:Role":                                   {"description", 1000, latin, nil},
		"aws:wafv2/webAcl:WebAcl":                             {"description", 256, regexp.MustCompile(`^[\w+=:#@/\-,.][\w+=:#@/\-,.\s]+[\w+=:#@/\-,.]$`), nil},
		"aws:kms/key:Key":                                     {"description", 8192, printable, nil},
		"aws:cloudwatch/eventRule:EventRule":                  {"description", 512, printable, nil},
		"aws:cloudwatch/metricAlarm:MetricAlarm":              {"alarmDescription", 1024, printable, nil},
		"aws:secretsmanager/secret:Secret":                    {"description", 2048, printable, nil},
		"aws:ssm/parameter:Parameter":                         {"description", 1024, printable, nil},
		"aws:rds/subnetGroup:SubnetGroup":                     {"description", 255, printable, nil},
		"aws:rds/clusterParameterGroup:ClusterParameterGroup": {"description", 255, printable, nil},
	}
})

// descriptionsAreLegal wants a description wherever AWS takes one, in its alphabet. The SDK would put in "Managed by
// Pulumi", which tells a reader nothing.
func descriptionsAreLegal(r *recording, faults *faults) {
	rules := descriptionRules()
	for _, d := range r.sorted() {
		rule, described := rules[d.token]
		known := d.knownInputs()
		if !described {
			faults.when(known["description"] && strings.HasPrefix(d.token, "aws:"),
				"%s: the descriptions of %s have no rule", d.name, d.token)
			continue
		}
		text, _ := d.plain[rule.input].(string)
		fault := rule.fault(text)
		faults.when(fault != "" || text == "Managed by Pulumi", "%s: the description: %s", d.name, fault)
	}
}

// names are the physical names of one stack and their types: those under other suffixes can be had from them without
// running the program again.
type names struct {
	suffix string
	tokens map[string]string // by physical name
}

// illegal lists the names that AWS would refuse under another suffix.
func (n names) illegal(suffix string) (faults []string) {
	rules := nameRules()
	for name, token := range n.tokens {
		if fault := rules[token].fault(strings.ReplaceAll(name, n.suffix, suffix)); fault != "" {
			faults = append(faults, fault)
		}
	}
	return faults
}
