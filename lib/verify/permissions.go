package verify

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	tagtypes "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"

	"tapstack/lib"
	"tapstack/lib/cloud"
	"tapstack/lib/inventory"
	"tapstack/lib/policy"
	"tapstack/lib/verify/grants"
)

func permissionChecks() []Check {
	return []Check{
		{
			ID:   "iam.trust",
			Says: "Proper IAM roles with minimal permissions: each role can be taken on by one AWS service only, for this account only",
			PCI:  []string{"7.2.5"},
			Run:  recorded(eachRole(trustNarrow)),
		},
		{
			ID:   "iam.no-wildcards",
			Says: "Proper IAM roles with minimal permissions: no role may do everything, nor anything to everything",
			PCI:  []string{"7.2.1", "7.2.5"},
			Run:  recorded(eachRole(noWildcards)),
		},
		{
			ID:   "iam.role-per-service",
			Says: "Proper IAM roles with minimal permissions for inter-service communication: each service starts and runs with roles of its own",
			PCI:  []string{"7.2.5"},
			Run:  recorded(rolePerService),
		},
		{
			ID:   "iam.execution-roles",
			Says: "Ensure proper IAM permissions for services to access parameters: each may be started with exactly the secrets and parameters that its task definition names, its image and its log",
			PCI:  []string{"7.2.5", "8.6.3"},
			Run:  recorded(eachTask(executionRole)),
		},
		{
			ID:   "iam.task-roles",
			Says: "Proper IAM roles with minimal permissions for inter-service communication: payment-api sends jobs, job-processor works them off, alerts, and protects its tasks at work, neither does the other's part, and payment-migrate may do nothing",
			PCI:  []string{"7.2.5"},
			Run:  recorded(eachTask(taskRole)),
		},
		{
			ID:   "iam.parameter-access",
			Says: "Ensure proper IAM permissions for services to access parameters: each may read, and not change, its own",
			PCI:  []string{"7.2.5"},
			Run:  recorded(eachTask(parameterAccess)),
		},
		{
			ID:   "iam.infrastructure-roles",
			Says: "Proper IAM roles with minimal permissions: the roles of the flow log and of the database's monitoring write their logs and do nothing else (beyond the brief)",
			PCI:  []string{"7.2.5"},
			Run:  recorded(infrastructureRoles),
		},
		{
			ID:   "iam.log-delivery-policy",
			Says: "Proper IAM roles with minimal permissions: the log service's resource policy lets AWS deliver to this account's firewall log group only",
			PCI:  []string{"7.2.5"},
			Run:  recorded(logDelivery),
		},
	}
}

// role is an IAM role with all that it may do.
type role struct {
	iamtypes.Role
	trust    policy.Policy
	policies []policy.Policy
	boundary *policy.Policy // its permissions boundary, where it has one
}

// roleNames are the roles that the stack's resources use, and all others that carry its suffix.
func (e *Env) roleNames(ctx context.Context) ([]string, error) {
	all, err := e.cloud.Roles(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	note := func(id *string) {
		if name := roleName(id); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, kind := range taskKinds() {
		td, err := e.taskDefinition(ctx, kind)
		if err != nil {
			return nil, err
		}
		note(td.ExecutionRoleArn)
		note(td.TaskRoleArn)
	}
	instances, err := e.dbInstances(ctx)
	if err != nil {
		return nil, err
	}
	for _, i := range instances {
		note(i.MonitoringRoleArn)
	}
	vpc, err1 := e.output(lib.OutputVpcID)
	flowLogs, err2 := e.cloud.FlowLogs(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return nil, err
	}
	for _, f := range flowLogs {
		if aws.ToString(f.ResourceId) == vpc {
			note(f.DeliverLogsPermissionArn)
		}
	}
	for _, r := range all {
		if inventory.Role.MayBelong(aws.ToString(r.RoleName), e.Suffix) {
			note(r.RoleName)
		}
	}
	return names, nil
}

// role reads a role with its inline and attached policies.
func (e *Env) role(ctx context.Context, name string) (role, error) {
	read, err := e.cloud.Role(ctx, name)
	if err != nil {
		return role{}, err
	}
	trust, err1 := policy.Parse(aws.ToString(read.AssumeRolePolicyDocument))
	may, err2 := policy.ParseRole(aws.ToString(read.Arn), "", read.Policies, read.Boundary)
	return role{read.Role, trust, may.Policies, may.Boundary}, cmp.Or(err1, err2)
}

func eachRole(look func(x subject, r role, caller cloud.Identity)) func(context.Context, *Env, *recorder) error {
	return func(ctx context.Context, e *Env, rec *recorder) error {
		caller, err1 := e.cloud.Identity(ctx)
		names, err2 := e.roleNames(ctx)
		if err := cmp.Or(err1, err2); err != nil {
			return err
		}
		for _, name := range names {
			r, err := e.role(ctx, name)
			if err != nil {
				return err
			}
			look(rec.on(aws.ToString(r.Arn)), r, caller)
		}
		return nil
	}
}

func trustNarrow(x subject, r role, caller cloud.Identity) {
	for _, st := range policy.Statements(r.trust) {
		if st.Effect != "Allow" {
			continue
		}
		x.equal("statements by exclusion", false, st.NotPrincipal != nil || st.NotAction != nil)
		principals := policy.Principals(st.Principal)
		x.equal("services that may take it on", 1, len(principals["Service"]))
		x.equal("others that may take it on", 0, len(principals)-min(1, len(principals["Service"])))
		x.sameSet("action", []string{"sts:AssumeRole"}, policy.Values(st.Action))
		x.sameSet("aws:SourceAccount", []string{caller.Account}, policy.ConditionValues(st, "aws:SourceAccount", "StringEquals"))
	}
}

// unscoped are the actions that know no resources and so must be allowed on "*".
func unscoped() []string { return []string{"ecr:GetAuthorizationToken", "logs:DescribeLogGroups"} }

func noWildcards(x subject, r role, _ cloud.Identity) {
	for _, st := range policy.Statements(r.policies...) {
		if st.Effect != "Allow" {
			continue
		}
		x.equal("allows by exclusion", false, st.NotAction != nil || st.NotResource != nil)
		for _, a := range policy.Values(st.Action) {
			_, verb, _ := strings.Cut(a, ":")
			x.record("action", "named", a, verb != "" && verb != "*")
		}
		if slices.Contains(policy.Values(st.Resource), "*") {
			scoped := slices.DeleteFunc(slices.Clone(policy.Values(st.Action)), func(a string) bool { return slices.Contains(unscoped(), a) })
			x.sameSet("actions on every resource that could be held to some", nil, scoped)
		}
	}
}

func rolePerService(ctx context.Context, e *Env, rec *recorder) error {
	seen := map[string]string{}
	return eachTask(func(_ context.Context, _ *Env, x subject, kind serviceKind, td cloud.TaskDefinition) error {
		for _, r := range []struct{ part, id string }{
			{"execution role", aws.ToString(td.ExecutionRoleArn)},
			{"task role", aws.ToString(td.TaskRoleArn)},
		} {
			user := kind.name + "'s " + r.part
			other := seen[r.id]
			x.record(user, "present, used for nothing else", r.id+" "+other, r.id != "" && other == "")
			seen[r.id] = user
		}
		return nil
	})(ctx, e, rec)
}

func roleName(id *string) string {
	s := aws.ToString(id)
	return s[strings.LastIndex(s, "/")+1:]
}

// duties are what a role is for: the requests that it must be able to make, some of those that it must not, and the
// permissions beyond which it has none.
type duties struct {
	may       []policy.Request
	mayNot    []policy.Request
	permitted []policy.Permission
}

// do lets the role do actions on resources, and nothing with wildcards in it.
func (d *duties) do(resource string, actions ...string) {
	for _, a := range actions {
		d.may = append(d.may, policy.Request{Action: a, Resource: resource})
		d.permitted = append(d.permitted, policy.Permission{Action: a, Resource: resource})
	}
}

// not names actions on a resource that the role must not do.
func (d *duties) not(resource string, actions ...string) {
	for _, a := range actions {
		d.mayNot = append(d.mayNot, policy.Request{Action: a, Resource: resource})
	}
}

// requestKeys are the condition keys that requests of this stack's services have, with their values, or that they are known
// not to have.
func requestKeys(r policy.Request) policy.Request {
	for key, values := range map[string][]string{
		"aws:securetransport": {"true"},
		"kms:viaservice":      nil,
		"aws:viaawsservice":   {"false"},
	} {
		if _, set := r.Context[key]; !set {
			r = r.With(key, values...)
		}
	}
	return r
}

// permits holds a role's policies, evaluated, to its duties and to what is forbidden to all.
func (e *Env) permits(ctx context.Context, x subject, who string, r role, d duties) error {
	if err := e.forbidden(ctx, &d, r); err != nil {
		return err
	}
	for _, f := range d.may {
		x.equal(who+": "+f.String(), policy.Allowed, r.decide(f))
	}
	for _, f := range d.mayNot {
		x.equal(who+": "+f.String(), policy.Denied, r.decide(f))
	}
	x.sameSet(who+": granted beyond its duties", nil, policy.Excess(r.policies, d.permitted))
	return nil
}

// decide evaluates the role's policies, and its permissions boundary where it has one.
func (r role) decide(request policy.Request) policy.Decision {
	request = requestKeys(request)
	answer := understood(policy.Evaluate(r.policies, request))
	if r.boundary == nil || answer != policy.Allowed {
		return answer
	}
	return understood(policy.Evaluate([]policy.Policy{*r.boundary}, request))
}

// understood is a decision, or what stood in its way: neither allowed nor denied.
func understood(d policy.Decision, err error) policy.Decision {
	if err != nil {
		return policy.Decision("not understood: " + err.Error())
	}
	return d
}

// forbidden are requests that no role of the stack has any business with, on the stack's own resources.
func (e *Env) forbidden(ctx context.Context, d *duties, r role) error {
	main, dead, err1 := e.queues(ctx)
	topic, err2 := e.output(lib.OutputAlertsTopicArn)
	cluster, err3 := e.dbCluster(ctx)
	bucket, err4 := e.bucket(ctx)
	if err := cmp.Or(err1, err2, err3, err4); err != nil {
		return err
	}
	d.not(main["QueueArn"], "sqs:PurgeQueue", "sqs:DeleteQueue", "sqs:SetQueueAttributes")
	d.not(dead["QueueArn"], "sqs:SendMessage", "sqs:ReceiveMessage", "sqs:DeleteMessage")
	d.not(topic, "sns:DeleteTopic", "sns:Subscribe")
	d.not(aws.ToString(cluster.DBClusterArn), "rds:DeleteDBCluster", "rds:ModifyDBCluster")
	// The services log in with their passwords: an IAM token would be a second way in, past their secrets.
	for _, user := range []string{aws.ToString(cluster.MasterUsername), grants.PaymentAPI, grants.JobProcessor} {
		d.not(e.cloud.ARN(ctx, "rds-db", fmt.Sprintf("dbuser:%s/%s", aws.ToString(cluster.DbClusterResourceId), user)), "rds-db:connect")
	}
	d.not(e.bucketARN(ctx, bucket)+"/any", "s3:GetObject", "s3:DeleteObject")
	d.not(aws.ToString(r.Arn), "iam:PassRole", "iam:PutRolePolicy", "sts:AssumeRole")
	for _, output := range secretOutputs() {
		id, err := e.output(output)
		if err != nil {
			return err
		}
		d.not(id, "secretsmanager:PutSecretValue", "secretsmanager:DeleteSecret")
		if reads := (policy.Permission{Action: "secretsmanager:GetSecretValue", Resource: id}); !slices.Contains(d.permitted, reads) {
			d.not(id, reads.Action)
		}
	}
	return nil
}

// ecrImage is an image in a private registry of ECR.
var ecrImage = regexp.MustCompile(`^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/([^:@]+)`)

func executionRole(ctx context.Context, e *Env, x subject, kind serviceKind, td cloud.TaskDefinition) error {
	r, err := e.role(ctx, roleName(td.ExecutionRoleArn))
	if err != nil {
		return err
	}
	var d duties
	seen := map[string]bool{}
	for _, c := range td.ContainerDefinitions {
		for _, s := range c.Secrets {
			from := secretSource(aws.ToString(s.ValueFrom))
			if seen[from] {
				continue
			}
			seen[from] = true
			if id, err := arn.Parse(from); err == nil && id.Service == "secretsmanager" {
				d.do(from, "secretsmanager:GetSecretValue")
			} else {
				d.do(from, "ssm:GetParameters")
			}
		}
		if c.LogConfiguration != nil {
			streams := e.cloud.ARN(ctx, "logs", "log-group:"+c.LogConfiguration.Options["awslogs-group"]+":*")
			d.do(streams, "logs:CreateLogStream", "logs:PutLogEvents")
		}
		if parts := ecrImage.FindStringSubmatch(aws.ToString(c.Image)); parts != nil {
			repository := arn.ARN{
				Partition: e.target(ctx).Partition, Service: "ecr", Region: parts[2], AccountID: parts[1], Resource: "repository/" + parts[3],
			}
			d.do("*", "ecr:GetAuthorizationToken")
			d.do(repository.String(), "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
		}
	}
	all, err := e.parameters(ctx)
	if err != nil {
		return err
	}
	for _, p := range all {
		if id := aws.ToString(p.ARN); !seen[id] {
			d.not(id, "ssm:GetParameters")
		}
	}
	return e.permits(ctx, x, kind.name, r, d)
}

func taskRole(ctx context.Context, e *Env, x subject, kind serviceKind, td cloud.TaskDefinition) error {
	r, err1 := e.role(ctx, roleName(td.TaskRoleArn))
	d, err2 := e.taskDuties(ctx, kind)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	return e.permits(ctx, x, kind.name, r, d)
}

// ownParameters are the parameters that a service reads, by the last part of their names.
func ownParameters(kind serviceKind) []string {
	switch kind.name {
	case partPaymentAPI:
		return []string{"api-timeout-seconds", "api-retry-count", "queue-url"}
	case partJobProcessor:
		return []string{"job-retry-count", "queue-url"}
	}
	return nil
}

// taskDuties is the brief's division of labour: one service puts jobs into the queue, the other works them off. The migration
// has to do with the database alone.
func (e *Env) taskDuties(ctx context.Context, kind serviceKind) (duties, error) {
	main, err1 := e.queue(ctx, lib.OutputQueueURL)
	all, err2 := e.parameters(ctx)
	topic, err3 := e.topic(ctx)
	if err := cmp.Or(err1, err2, err3); err != nil {
		return duties{}, err
	}
	var d duties
	if kind.name == partPaymentMigrate {
		d.not(main["QueueArn"], "sqs:SendMessage", "sqs:ReceiveMessage")
		d.not(topic["TopicArn"], "sns:Publish")
		return d, nil
	}
	for _, name := range ownParameters(kind) {
		d.do(aws.ToString(all[name].ARN), "ssm:GetParameter", "ssm:GetParameters")
	}
	queue, id := main["QueueArn"], topic["TopicArn"]
	d.do(queue, "sqs:GetQueueAttributes", "sqs:GetQueueUrl")
	sending := []string{"sqs:SendMessage"}
	working := []string{"sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:ReceiveMessage"}
	if kind.name == partPaymentAPI {
		d.do(queue, sending...)
		d.not(queue, working...)
		d.not(id, "sns:Publish")
		return d, nil
	}
	d.do(queue, working...)
	d.not(queue, sending...)
	d.do(id, "sns:Publish")
	if err := e.protection(ctx, &d, kind); err != nil {
		return duties{}, err
	}
	if key := topic["KmsMasterKeyId"]; strings.HasPrefix(key, "arn:") {
		keys := e.taggedKeys(ctx)
		for _, action := range []string{"kms:Decrypt", "kms:GenerateDataKey"} {
			d.may = append(d.may, onTagged(keys, policy.Request{Action: action, Resource: key}).With("kms:ViaService", "sns."+e.cloud.Region+".amazonaws.com"))
			d.permitted = append(d.permitted, policy.Permission{Action: action, Resource: key})
		}
		d.not(key, "kms:Decrypt", "kms:GenerateDataKey", "kms:ScheduleKeyDeletion")
	}
	return d, nil
}

// taggedKeys are what is tagged as a stack of ours, the KMS key in it, read once; none where they cannot be read: a boundary that asks for tags is not
// understood then.
func (e *Env) taggedKeys(ctx context.Context) []tagtypes.ResourceTagMapping {
	keys, _ := cloud.Once(ctx, e.cloud, "tag:GetResources "+lib.TagOwner, func(ctx context.Context) ([]tagtypes.ResourceTagMapping, error) {
		return e.cloud.WithTag(ctx, tagtypes.TagFilter{Key: aws.String(lib.TagOwner)})
	})
	return keys
}

// onTagged is a request with the tags of its resource, which a permissions boundary may ask for.
func onTagged(all []tagtypes.ResourceTagMapping, r policy.Request) policy.Request {
	for _, resource := range all {
		if aws.ToString(resource.ResourceARN) == r.Resource {
			for _, tag := range resource.Tags {
				r = r.With("aws:ResourceTag/"+aws.ToString(tag.Key), aws.ToString(tag.Value))
			}
		}
	}
	return r
}

// protection lets a service keep its own tasks from being stopped while they are at a job that takes longer than a task that
// stops is given, and nobody else's.
func (e *Env) protection(ctx context.Context, d *duties, kind serviceKind) error {
	cluster, err1 := e.output(lib.OutputEcsClusterName)
	service, err2 := e.output(kind.output)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	asked := func(action, cluster, service string) policy.Request {
		return policy.Request{Action: action, Resource: e.cloud.ARN(ctx, "ecs", "task/"+cluster+"/0123")}.
			With("ecs:cluster", e.cloud.ARN(ctx, "ecs", "cluster/"+cluster)).With("aws:ResourceTag/Name", service)
	}
	for _, action := range []string{"ecs:GetTaskProtection", "ecs:UpdateTaskProtection"} {
		d.may = append(d.may, asked(action, cluster, service))
		d.mayNot = append(d.mayNot, asked(action, cluster, "another"), asked(action, "another", service))
		d.permitted = append(d.permitted, policy.Permission{Action: action, Resource: e.cloud.ARN(ctx, "ecs", "task/"+cluster+"/*")})
	}
	return nil
}

func parameterAccess(ctx context.Context, e *Env, x subject, kind serviceKind, td cloud.TaskDefinition) error {
	r, err1 := e.role(ctx, roleName(td.TaskRoleArn))
	all, err2 := e.parameters(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return err
	}
	own := ownParameters(kind)
	for name, p := range all {
		id := aws.ToString(p.ARN)
		want := policy.Denied
		if slices.Contains(own, name) {
			want = policy.Allowed
		}
		x.equal(kind.name+": ssm:GetParameters on "+name, want, r.decide(policy.Request{Action: "ssm:GetParameters", Resource: id}))
		x.equal(kind.name+": ssm:PutParameter on "+name, policy.Denied, r.decide(policy.Request{Action: "ssm:PutParameter", Resource: id}))
	}
	return nil
}

// infrastructureRoles are the two that AWS itself takes on: one writes flow logs, the other the instances' metrics.
func infrastructureRoles(ctx context.Context, e *Env, rec *recorder) error {
	ours, err := e.flowLogs(ctx)
	if err != nil {
		return err
	}
	for _, f := range ours {
		group := e.cloud.ARN(ctx, "logs", "log-group:"+flowLogGroup(f))
		d := duties{permitted: []policy.Permission{{Action: "logs:DescribeLogGroups", Resource: "*"}}} // it takes no resource
		d.do(group+":*", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents")
		for _, granted := range slices.Clone(d.permitted[1:]) {
			d.permitted = append(d.permitted, policy.Permission{Action: granted.Action, Resource: group})
		}
		d.not(group, "logs:DeleteLogGroup", "logs:PutRetentionPolicy")
		if err := e.holdRole(ctx, rec, roleName(f.DeliverLogsPermissionArn), d); err != nil {
			return err
		}
	}
	name, err := e.monitoringRole(ctx)
	if err != nil {
		return err
	}
	// What AWS's own policy for enhanced monitoring grants, on this account and region only.
	var d duties
	d.do(e.cloud.ARN(ctx, "logs", "log-group:RDS*"), "logs:CreateLogGroup", "logs:PutRetentionPolicy")
	d.do(e.cloud.ARN(ctx, "logs", "log-group:RDS*:log-stream:*"),
		"logs:CreateLogStream", "logs:DescribeLogStreams", "logs:GetLogEvents", "logs:PutLogEvents")
	d.not(e.cloud.ARN(ctx, "logs", "log-group:/ecs/any"), "logs:PutRetentionPolicy", "logs:DeleteLogGroup")
	return e.holdRole(ctx, rec, name, d)
}

func (e *Env) holdRole(ctx context.Context, rec *recorder, name string, d duties) error {
	r, err := e.role(ctx, name)
	if err != nil {
		return err
	}
	return e.permits(ctx, rec.on(aws.ToString(r.Arn)), name, r, d)
}

// monitoringRole is the one that the instances name; a target that does not show it there has it under the name that the
// stack gives.
func (e *Env) monitoringRole(ctx context.Context) (string, error) {
	instances, err := e.dbInstances(ctx)
	if err != nil {
		return "", err
	}
	for _, i := range instances {
		if name := roleName(i.MonitoringRoleArn); name != "" {
			return name, nil
		}
	}
	return lib.PhysicalName("rds-monitoring-role", e.Suffix), nil
}

func logDelivery(ctx context.Context, e *Env, rec *recorder) error {
	caller, err1 := e.cloud.Identity(ctx)
	all, err2 := e.cloud.LogResourcePolicies(ctx)
	cfg, err3 := e.configuration()
	if err := cmp.Or(err1, err2, err3); err != nil {
		return err
	}
	if !cfg.WAF {
		rec.off(noFirewall)
	}
	for _, rp := range all {
		name := aws.ToString(rp.PolicyName)
		if !inventory.LogResourcePolicy.MayBelong(name, e.Suffix) {
			continue
		}
		p, err := policy.Parse(aws.ToString(rp.PolicyDocument))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		x := rec.on(e.cloud.ARN(ctx, "logs", "resource-policy:"+name))
		for _, st := range policy.Statements(p) {
			resources := policy.Values(st.Resource)
			x.sameSet("services let in", []string{"delivery.logs.amazonaws.com"}, policy.Principals(st.Principal)["Service"])
			x.equal("bound to this account", true, policy.BoundToAccount(st, caller.Account))
			x.sameSet("actions", []string{"logs:CreateLogStream", "logs:PutLogEvents"}, policy.Values(st.Action))
			x.record("resources", "named", len(resources), len(resources) > 0)
			for _, r := range resources {
				_, group, _ := strings.Cut(r, ":log-group:")
				group, _, _ = strings.Cut(group, ":")
				x.record("resource", "a log group of this stack", r, inventory.LogGroup.Ownership(group, e.Suffix) == inventory.Own)
			}
		}
	}
	return nil
}
