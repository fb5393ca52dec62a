package unit_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"tapstack/lib"
)

// invariant is a sentence about every stack that the program declares, under every legal configuration.
type invariant struct {
	says string
	// faults tells of each resource that breaks it, by name.
	faults func(*recording) []string
}

func invariants() []invariant {
	return []invariant{
		{"every taggable resource has its own name as a tag and inherits those of the brief", tagsAreComplete},
		{"every resource and every question goes through the explicit provider", providerIsExplicit},
		{"every physical name is set and none is left to chance", namesAreSet},
		{"every physical name ends in the suffix and is one that AWS takes", namesAreLegal},
		{"every description is one that AWS takes", descriptionsAreLegal},
		{"nothing is protected or kept when the stack goes", nothingStays},
		{"every log group keeps its lines for thirty days", logsExpire},
		{"every role is assumed by one service for this account alone", trustIsNarrow},
		{"no role may do everything or anywhere", grantsAreNarrow},
		{"everything is made after what it needs and goes before it", orderIsKept},
		{"every dependency and every parent is declared", referencesResolve},
		{"what comes straight from a secret is marked secret", secretsStayMarked},
		{"no output is secret or empty", outputsArePublic},
		{"a resource with a name of its own is deleted before its replacement is made", replacementsHaveRoom},
		{"only the load balancer is open to the internet", doorsAreShut},
		{"the subnets lie in the VPC and apart, a public and a private one in each of three zones", subnetsFit},
		{"what is declared by token alone has the SDK's inputs", inputsConform},
	}
}

// broken runs all invariants and prefixes each fault with its sentence.
func (r *recording) broken() (faults []string) {
	for _, rule := range invariants() {
		for _, fault := range rule.faults(r) {
			faults = append(faults, rule.says+": "+fault)
		}
	}
	return faults
}

// sorted lists the resources by logical name.
func (r *recording) sorted() []declared {
	var all []declared
	for _, name := range slices.Sorted(maps.Keys(r.resources)) {
		all = append(all, r.resources[name])
	}
	return all
}

// nameIn is the logical name at the end of a URN.
func nameIn(urn string) string { return urn[strings.LastIndex(urn, "::")+len("::"):] }

// sources are the resources that an input's value comes from.
func (d declared) sources(input string) (names []string) {
	for _, urn := range d.request.GetPropertyDependencies()[input].GetUrns() {
		names = append(names, nameIn(urn))
	}
	return names
}

// needs are the resources that must be there before d is made, directly or through others.
func (r *recording) needs(d declared) map[string]bool {
	seen := map[string]bool{}
	var visit func(declared)
	visit = func(d declared) {
		for _, urn := range d.request.GetDependencies() {
			if name := nameIn(urn); !seen[name] {
				seen[name] = true
				visit(r.resources[name])
			}
		}
	}
	visit(d)
	return seen
}

func providerIsExplicit(r *recording) (faults []string) {
	const explicit = "::pulumi:providers:aws::aws::"
	for _, d := range r.sorted() {
		provider := d.request.GetProvider()
		if strings.HasPrefix(d.token, "aws:") != strings.Contains(provider, explicit) {
			faults = append(faults, fmt.Sprintf("%s (%s) uses provider %q", d.name, d.token, provider))
		}
	}
	for _, token := range slices.Sorted(maps.Keys(r.calls)) {
		if !strings.Contains(r.calls[token].provider, explicit) {
			faults = append(faults, fmt.Sprintf("%s is asked of provider %q", token, r.calls[token].provider))
		}
	}
	return faults
}

var tagText = regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,256}$`)

func tagsAreComplete(r *recording) (faults []string) {
	defaults, _ := r.resources["aws"].plain["defaultTags"].(map[string]any)
	common, _ := defaults["tags"].(map[string]any)
	for key, legal := range map[string]string{
		"Environment": `production`, "MigrationBatch": `phase-1`, lib.TagOwner: `[a-z0-9-]+`, lib.TagRun: `manual|\d{8}T\d{6}Z-[0-9a-f]{6}`,
		lib.TagExpires: `never|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`,
	} {
		if value := fmt.Sprint(common[key]); !regexp.MustCompile("^(" + legal + ")$").MatchString(value) {
			faults = append(faults, fmt.Sprintf("the provider's default tag %s is %s", key, value))
		}
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
			faults = append(faults, fmt.Sprintf("%s (%s) has no Name tag", d.name, d.token))
		case !endsInSuffix(name, r.suffix):
			faults = append(faults, fmt.Sprintf("%s: the Name tag %q does not end in the suffix %s", d.name, name, r.suffix))
		case rules[d.token].input != "" && d.plain[rules[d.token].input] != name:
			faults = append(faults, fmt.Sprintf("%s is named %v but tagged %q", d.name, d.plain[rules[d.token].input], name))
		}
		for key, value := range tags {
			text, _ := value.(string)
			if !tagText.MatchString(key) || len(key) > 128 || strings.HasPrefix(strings.ToLower(key), "aws:") || !tagText.MatchString(text) {
				faults = append(faults, fmt.Sprintf("%s: the tag %q=%q is not one that AWS takes", d.name, key, text))
			}
			if key != "Name" {
				faults = append(faults, fmt.Sprintf("%s sets the tag %s itself instead of inheriting it", d.name, key))
			}
		}
	}
	if taggable == 0 {
		faults = append(faults, "no resource is taggable")
	}
	return faults
}

// stayingInputs are inputs that keep a resource, or something of it, beyond its stack; by what they must be. A nil
// must not be set at all; an input whose default would keep something must be set wherever the type has it.
func stayingInputs() map[string]struct{ must, unset any } {
	type rule = struct{ must, unset any }
	return map[string]rule{
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

// nothingStays applies stayingInputs wherever the SDK's type has them.
func nothingStays(r *recording) (faults []string) {
	staying, others := stayingInputs(), otherForceDestroys()
	inputs := slices.Sorted(maps.Keys(staying))
	for _, d := range r.sorted() {
		if d.request.GetProtect() {
			faults = append(faults, d.name+" is protected")
		}
		if d.request.GetRetainOnDelete() {
			faults = append(faults, d.name+" is retained on delete")
		}
		known := d.knownInputs()
		for _, input := range inputs {
			if !known[input] || (input == "forceDestroy" && others[d.token] != "") {
				continue
			}
			rule := staying[input]
			value, set := d.plain[input]
			if !set {
				value = rule.unset
			}
			if value != rule.must {
				faults = append(faults, fmt.Sprintf("%s: %s is %v, which keeps it or something of it; must be %v", d.name, input, value, rule.must))
			}
		}
	}
	return faults
}

func logsExpire(r *recording) (faults []string) {
	groups := r.ofType("aws:cloudwatch/logGroup:LogGroup")
	if len(groups) == 0 {
		faults = append(faults, "there are no log groups")
	}
	for _, group := range groups {
		if days := group.plain["retentionInDays"]; days != 30.0 {
			faults = append(faults, fmt.Sprintf("%s keeps %v days", group.name, days))
		}
	}
	return faults
}

// readPolicy parses a policy document strictly.
func readPolicy(d declared, input string) (policy, error) {
	var document policy
	text, _ := d.plain[input].(string)
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&document); err != nil {
		return policy{}, fmt.Errorf("%s.%s is no policy: %w", d.name, input, err)
	}
	return document, nil
}

func trustIsNarrow(r *recording) (faults []string) {
	roles := r.ofType("aws:iam/role:Role")
	if len(roles) == 0 {
		faults = append(faults, "there are no roles")
	}
	for _, role := range roles {
		trust, err := readPolicy(role, "assumeRolePolicy")
		if err != nil {
			faults = append(faults, err.Error())
			continue
		}
		if len(trust.Statement) != 1 {
			faults = append(faults, fmt.Sprintf("%s has %d trust statements", role.name, len(trust.Statement)))
		}
		for _, s := range trust.Statement {
			principals, _ := s.Principal.(map[string]any)
			services, _ := principals["Service"].([]any)
			if s.Effect != "Allow" || len(principals) != 1 || len(services) != 1 || !strings.HasSuffix(fmt.Sprint(services...), ".amazonaws.com") {
				faults = append(faults, fmt.Sprintf("%s is assumed by %v", role.name, s.Principal))
			}
			if !slices.Equal(s.Action, []string{"sts:AssumeRole"}) {
				faults = append(faults, fmt.Sprintf("%s: the trust policy allows %v", role.name, s.Action))
			}
			if !slices.Equal(s.Condition["StringEquals"]["aws:SourceAccount"], []string{r.account}) {
				faults = append(faults, role.name+" may be assumed for another account (aws:SourceAccount)")
			}
			from := s.Condition["ArnLike"]["aws:SourceArn"]
			if len(from) != 1 || !strings.Contains(from[0], ":"+r.region+":"+r.account+":") {
				faults = append(faults, fmt.Sprintf("%s may be assumed for %v (aws:SourceArn)", role.name, from))
			}
		}
	}
	return faults
}

// grantsAreNarrow allows "*" as a resource for the registry login alone, which knows no other.
func grantsAreNarrow(r *recording) (faults []string) {
	for _, d := range r.ofType("aws:iam/rolePolicy:RolePolicy") {
		document, err := readPolicy(d, "policy")
		if err != nil {
			faults = append(faults, err.Error())
		}
		for _, s := range document.Statement {
			for _, action := range s.Action {
				if service, verb, ok := strings.Cut(action, ":"); !ok || service == "*" || strings.Contains(verb, "*") {
					faults = append(faults, fmt.Sprintf("%s allows %s", d.name, action))
				}
				if slices.Contains(s.Resource, "*") && action != "ecr:GetAuthorizationToken" {
					faults = append(faults, fmt.Sprintf("%s allows %s on everything", d.name, action))
				}
			}
			if len(s.Resource) == 0 {
				faults = append(faults, fmt.Sprintf("%s: statement %s names no resource", d.name, s.Sid))
			}
		}
	}
	return faults
}

// secretsStayMarked follows the SDK's own account of where values come from. The certificate's body is its public half.
func secretsStayMarked(r *recording) (faults []string) {
	for _, d := range r.sorted() {
		for key, value := range d.inputs {
			secret := slices.ContainsFunc(d.sources(string(key)), func(name string) bool {
				return strings.HasPrefix(r.resources[name].token, "random:")
			})
			public := d.token == "aws:acm/certificate:Certificate" && key == "certificateBody"
			if secret && !public && !value.IsSecret() {
				faults = append(faults, fmt.Sprintf("%s.%s comes from %v and is not marked secret", d.name, key, d.sources(string(key))))
			}
		}
	}
	return faults
}

func outputsArePublic(r *recording) (faults []string) {
	if len(r.outputs) == 0 {
		faults = append(faults, "there are no outputs")
	}
	for _, name := range slices.Sorted(maps.Keys(r.outputs)) {
		out := r.outputs[name]
		if out.secret {
			faults = append(faults, name+" is secret")
		}
		if text := fmt.Sprint(out.value); text == "" || text == "[]" || text == "<nil>" {
			faults = append(faults, name+" is empty")
		}
	}
	return faults
}

// replacementsHaveRoom excepts what is still in use when its replacement is made and has revisions or no name.
func replacementsHaveRoom(r *recording) (faults []string) {
	inUse := []string{
		"aws:ecs/taskDefinition:TaskDefinition", "aws:acm/certificate:Certificate", "aws:acm/certificateValidation:CertificateValidation",
	}
	for _, d := range r.sorted() {
		if !strings.HasPrefix(d.token, "aws:") {
			continue
		}
		if first, want := d.request.GetDeleteBeforeReplace(), !slices.Contains(inUse, d.token); first != want {
			faults = append(faults, fmt.Sprintf("%s (%s): delete before replace is %v", d.name, d.token, first))
		}
	}
	return faults
}

func referencesResolve(r *recording) (faults []string) {
	for _, d := range r.sorted() {
		if parent := d.request.GetParent(); !strings.Contains(parent, "::pulumi:pulumi:Stack::") {
			faults = append(faults, fmt.Sprintf("%s stands under %q", d.name, parent))
		}
		for _, urn := range d.request.GetDependencies() {
			if _, ok := r.resources[nameIn(urn)]; !ok {
				faults = append(faults, fmt.Sprintf("%s depends on %s, which is not declared", d.name, urn))
			}
		}
	}
	return faults
}

func doorsAreShut(r *recording) (faults []string) {
	const token = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
	open := map[any]bool{}
	for _, rule := range r.ofType(token) {
		if rule.plain["referencedSecurityGroupId"] != nil {
			continue
		}
		group, port := rule.sources("securityGroupId"), rule.plain["fromPort"]
		if !slices.Equal(group, []string{"alb-sg"}) || (port != 80.0 && port != 443.0) || port != rule.plain["toPort"] {
			faults = append(faults, fmt.Sprintf("%s opens %v port %v to %v", rule.name, group, port, rule.plain["cidrIpv4"]))
		}
		open[port] = true
	}
	if !open[443.0] {
		faults = append(faults, "the load balancer does not take HTTPS from the internet")
	}
	for _, subnet := range r.ofType("aws:ec2/subnet:Subnet") {
		if subnet.plain["mapPublicIpOnLaunch"] != false {
			faults = append(faults, subnet.name+" gives public addresses")
		}
	}
	for _, d := range r.sorted() {
		network, _ := d.plain["networkConfiguration"].(map[string]any)
		if d.plain["publiclyAccessible"] == true || network["assignPublicIp"] == true {
			faults = append(faults, d.name+" has a public address")
		}
	}
	return faults
}

func subnetsFit(r *recording) (faults []string) {
	whole, _ := r.resources["vpc"].plain["cidrBlock"].(string)
	cidr, err := netip.ParsePrefix(whole)
	if err != nil {
		return []string{fmt.Sprintf("the VPC has the address range %q", whole)}
	}
	var seen []netip.Prefix
	zones := map[string]map[any]bool{"public": {}, "private": {}}
	for _, d := range r.ofType("aws:ec2/subnet:Subnet") {
		text, _ := d.plain["cidrBlock"].(string)
		subnet, err := netip.ParsePrefix(text)
		kind, _, _ := strings.Cut(d.name, "-")
		if bits := map[string]int{"public": 24, "private": 20}[kind]; err != nil || subnet.Bits() != bits || subnet != subnet.Masked() || !cidr.Contains(subnet.Addr()) {
			faults = append(faults, fmt.Sprintf("%s is %s in %s", d.name, text, cidr))
			continue
		}
		for _, other := range seen {
			if other.Overlaps(subnet) {
				faults = append(faults, fmt.Sprintf("%s: %s overlaps %s", d.name, subnet, other))
			}
		}
		seen = append(seen, subnet)
		zones[kind][d.plain["availabilityZone"]] = true
	}
	for kind, in := range zones {
		if len(in) != 3 {
			faults = append(faults, fmt.Sprintf("the %s subnets are in %d zones", kind, len(in)))
		}
	}
	if len(seen) != 6 {
		faults = append(faults, fmt.Sprintf("there are %d subnets", len(seen)))
	}
	return faults
}
