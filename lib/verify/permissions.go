package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"

	"tapstack/lib"
)

func permissionChecks() []Check {
	return []Check{
		{
			ID:   "iam.trust",
			Says: "Proper IAM roles with minimal permissions: each role can be taken on by one AWS service only, for this account only",
			PCI:  []string{"7.2.5"},
			Run:  observed(eachRole(trustNarrow)),
		},
		{
			ID:   "iam.no-wildcards",
			Says: "Proper IAM roles with minimal permissions: no role may do everything, nor anything to everything",
			PCI:  []string{"7.2.1", "7.2.5"},
			Run:  observed(eachRole(noWildcards)),
		},
		{
			ID:   "iam.role-per-service",
			Says: "Proper IAM roles with minimal permissions for inter-service communication: each service starts and runs with roles of its own",
			PCI:  []string{"7.2.5"},
			Run:  observed(rolePerService),
		},
		{
			ID:   "iam.execution-roles",
			Says: "Ensure proper IAM permissions for services to access parameters: each may be started with exactly the secrets and parameters that its task definition names",
			PCI:  []string{"7.2.5", "8.6.3"},
			Run:  observed(eachTask(executionRole)),
		},
		{
			ID:   "iam.task-roles",
			Says: "Proper IAM roles with minimal permissions for inter-service communication: payment-api sends jobs, job-processor works them off and alerts, neither does the other's part",
			PCI:  []string{"7.2.5"},
			Run:  observed(eachTask(taskRole)),
		},
		{
			ID:   "iam.parameter-access",
			Says: "Ensure proper IAM permissions for services to access parameters: each may read, and not change, its own",
			PCI:  []string{"7.2.5"},
			Run:  observed(eachTask(parameterAccess)),
		},
		{
			ID:   "iam.log-delivery-policy",
			Says: "Proper IAM roles with minimal permissions: the log service's resource policy lets AWS deliver to this account's firewall log group only",
			PCI:  []string{"7.2.5"},
			Run:  observed(logDelivery),
		},
	}
}

// role is an IAM role with all that it may do.
type role struct {
	iamtypes.Role
	trust    policy
	policies []policy
}

// roleARNs are the roles that the stack's resources use, and all others that carry its suffix.
func (e *Env) roleNames(ctx context.Context) ([]string, error) {
	all, err := e.allRoles(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	note := func(id string) {
		if id == "" {
			return
		}
		name := id[strings.LastIndex(id, "/")+1:]
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, kind := range serviceKinds() {
		svc, err := e.service(ctx, kind)
		if err != nil {
			return nil, err
		}
		td, err := e.taskDefinition(ctx, aws.ToString(svc.TaskDefinition))
		if err != nil {
			return nil, err
		}
		note(aws.ToString(td.ExecutionRoleArn))
		note(aws.ToString(td.TaskRoleArn))
	}
	instances, err := e.dbInstances(ctx)
	if err != nil {
		return nil, err
	}
	for _, i := range instances {
		note(aws.ToString(i.MonitoringRoleArn))
	}
	vpc, err := e.output(lib.OutputVpcID)
	if err != nil {
		return nil, err
	}
	flowLogs, err := e.allFlowLogs(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range flowLogs {
		if aws.ToString(f.ResourceId) == vpc {
			note(aws.ToString(f.DeliverLogsPermissionArn))
		}
	}
	own := e.owner()
	for _, r := range all {
		if own.owns(kindRole, aws.ToString(r.RoleName)) {
			note(aws.ToString(r.RoleName))
		}
	}
	return names, nil
}

// role reads a role with its inline and attached policies.
func (e *Env) role(ctx context.Context, name string) (role, error) {
	return shared(ctx, e, "iam:role "+name, func(ctx context.Context) (role, error) {
		out, err := e.api.iam.GetRole(ctx, &iam.GetRoleInput{RoleName: &name})
		if err != nil {
			return role{}, err
		}
		r := role{Role: *out.Role}
		if r.trust, err = parsePolicy(aws.ToString(r.AssumeRolePolicyDocument)); err != nil {
			return role{}, err
		}
		inline, err := pages(ctx, iam.NewListRolePoliciesPaginator(e.api.iam, &iam.ListRolePoliciesInput{RoleName: &name}),
			func(o *iam.ListRolePoliciesOutput) []string { return o.PolicyNames })
		if err != nil {
			return role{}, err
		}
		for _, id := range inline {
			out, err := e.api.iam.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: &name, PolicyName: &id})
			if err != nil {
				return role{}, err
			}
			p, err := parsePolicy(aws.ToString(out.PolicyDocument))
			if err != nil {
				return role{}, fmt.Errorf("%s: %w", id, err)
			}
			r.policies = append(r.policies, p)
		}
		attached, err := pages(ctx, iam.NewListAttachedRolePoliciesPaginator(e.api.iam, &iam.ListAttachedRolePoliciesInput{RoleName: &name}),
			func(o *iam.ListAttachedRolePoliciesOutput) []iamtypes.AttachedPolicy { return o.AttachedPolicies })
		if err != nil {
			return role{}, err
		}
		for _, a := range attached {
			p, err := e.managedPolicy(ctx, aws.ToString(a.PolicyArn))
			if err != nil {
				return role{}, err
			}
			r.policies = append(r.policies, p)
		}
		return r, nil
	})
}

func (e *Env) managedPolicy(ctx context.Context, id string) (policy, error) {
	out, err := e.api.iam.GetPolicy(ctx, &iam.GetPolicyInput{PolicyArn: &id})
	if err != nil {
		return policy{}, err
	}
	version, err := e.api.iam.GetPolicyVersion(ctx, &iam.GetPolicyVersionInput{PolicyArn: &id, VersionId: out.Policy.DefaultVersionId})
	if err != nil {
		return policy{}, err
	}
	p, err := parsePolicy(aws.ToString(version.PolicyVersion.Document))
	if err != nil {
		return policy{}, fmt.Errorf("%s: %w", id, err)
	}
	return p, nil
}

func eachRole(look func(x subject, r role, who Target)) func(context.Context, *Env, *sight) error {
	return func(ctx context.Context, e *Env, s *sight) error {
		who, err := e.identity(ctx)
		if err != nil {
			return err
		}
		names, err := e.roleNames(ctx)
		if err != nil {
			return err
		}
		for _, name := range names {
			r, err := e.role(ctx, name)
			if err != nil {
				return err
			}
			look(s.on(aws.ToString(r.Arn)), r, who)
		}
		return nil
	}
}

func trustNarrow(x subject, r role, who Target) {
	for _, st := range r.trust.Statement {
		if st.Effect != "Allow" {
			continue
		}
		x.equal("statements by exclusion", false, len(st.NotPrincipal) > 0 || len(st.NotAction) > 0)
		x.equal("services that may take it on", 1, len(st.Principal["Service"]))
		x.equal("others that may take it on", 0, len(st.Principal)-min(1, len(st.Principal["Service"])))
		x.sameSet("action", []string{"sts:AssumeRole"}, st.Action)
		x.sameSet("aws:SourceAccount", []string{who.Account}, st.condition("aws:SourceAccount", "StringEquals"))
	}
}

// unscoped are the actions that know no resources and so must be allowed on "*".
func unscoped() []string { return []string{"ecr:GetAuthorizationToken"} }

func noWildcards(x subject, r role, _ Target) {
	x.that("policies", "at least 1", len(r.policies), len(r.policies) > 0)
	for _, p := range r.policies {
		for _, st := range p.Statement {
			if st.Effect != "Allow" {
				continue
			}
			x.equal("allows by exclusion", false, len(st.NotAction) > 0 || len(st.NotResource) > 0)
			for _, a := range st.Action {
				_, verb, _ := strings.Cut(a, ":")
				x.that("action", "named", a, verb != "" && verb != "*")
			}
			if slices.Contains(st.Resource, "*") {
				x.sameSet("actions on every resource", unscoped(), st.Action)
			}
		}
	}
}

func rolePerService(ctx context.Context, e *Env, s *sight) error {
	seen := map[string]string{}
	return eachTask(func(_ context.Context, _ *Env, x subject, kind serviceKind, td taskDefinition) error {
		for _, r := range []struct{ part, id string }{
			{"execution role", aws.ToString(td.ExecutionRoleArn)},
			{"task role", aws.ToString(td.TaskRoleArn)},
		} {
			user := kind.role + "'s " + r.part
			other := seen[r.id]
			x.that(user, "present, used for nothing else", r.id+" "+other, r.id != "" && other == "")
			seen[r.id] = user
		}
		return nil
	})(ctx, e, s)
}

func roleName(id *string) string {
	s := aws.ToString(id)
	return s[strings.LastIndex(s, "/")+1:]
}

// grantedOn lists the resources that the policies allow an action on, as written.
func grantedOn(policies []policy, action string) []string {
	var out []string
	for _, p := range policies {
		for _, st := range p.Statement {
			if st.Effect != "Allow" || !st.coversAction(action) {
				continue
			}
			for _, r := range st.Resource {
				if !slices.Contains(out, r) {
					out = append(out, r)
				}
			}
		}
	}
	return out
}

func executionRole(ctx context.Context, e *Env, x subject, kind serviceKind, td taskDefinition) error {
	r, err := e.role(ctx, roleName(td.ExecutionRoleArn))
	if err != nil {
		return err
	}
	var secrets, parameters, groups []string
	for _, c := range td.ContainerDefinitions {
		for _, s := range c.Secrets {
			from := secretSource(aws.ToString(s.ValueFrom))
			list := &parameters
			if id, err := arn.Parse(from); err == nil && id.Service == "secretsmanager" {
				list = &secrets
			}
			if !slices.Contains(*list, from) {
				*list = append(*list, from)
			}
		}
		if c.LogConfiguration != nil {
			groups = append(groups, e.arn(ctx, "logs", "log-group:"+c.LogConfiguration.Options["awslogs-group"]+":*"))
		}
	}
	x.sameSet(kind.role+" may read the secrets", secrets, grantedOn(r.policies, "secretsmanager:GetSecretValue"))
	x.sameSet(kind.role+" may be given the parameters", parameters, grantedOn(r.policies, "ssm:GetParameters"))
	x.sameSet(kind.role+" may write to the log groups", groups, grantedOn(r.policies, "logs:PutLogEvents"))
	return nil
}

// deed is something that a task might try.
type deed struct{ action, resource string }

func taskRole(ctx context.Context, e *Env, x subject, kind serviceKind, td taskDefinition) error {
	r, err := e.role(ctx, roleName(td.TaskRoleArn))
	if err != nil {
		return err
	}
	main, err := e.queue(ctx, lib.OutputQueueURL)
	if err != nil {
		return err
	}
	dead, err := e.queue(ctx, lib.OutputDlqURL)
	if err != nil {
		return err
	}
	topic, err := e.output(lib.OutputAlertsTopicArn)
	if err != nil {
		return err
	}
	secret, err := e.output(lib.OutputDBSecretArn)
	if err != nil {
		return err
	}
	cluster, err := e.dbCluster(ctx)
	if err != nil {
		return err
	}
	user := strings.ReplaceAll(kind.role, "-", "_")
	database := e.arn(ctx, "rds-db", fmt.Sprintf("dbuser:%s/%s", aws.ToString(cluster.DbClusterResourceId), user))
	queue := main["QueueArn"]
	send := []deed{{"sqs:SendMessage", queue}}
	work := []deed{{"sqs:ReceiveMessage", queue}, {"sqs:DeleteMessage", queue}, {"sqs:ChangeMessageVisibility", queue}, {"sns:Publish", topic}}
	may, mayNot := append(slices.Clone(send), deed{"rds-db:connect", database}), work
	if kind.role == roleJobs {
		may, mayNot = append(slices.Clone(work), deed{"rds-db:connect", database}), send
	}
	mayNot = append(slices.Clone(mayNot),
		deed{"sqs:PurgeQueue", queue},
		deed{"sqs:DeleteQueue", queue},
		deed{"sqs:ReceiveMessage", dead["QueueArn"]},
		deed{"sns:DeleteTopic", topic},
		deed{"secretsmanager:PutSecretValue", secret},
		deed{"rds:DeleteDBCluster", aws.ToString(cluster.DBClusterArn)},
		deed{"rds-db:connect", e.arn(ctx, "rds-db", fmt.Sprintf("dbuser:%s/%s", aws.ToString(cluster.DbClusterResourceId), aws.ToString(cluster.MasterUsername)))},
		deed{"iam:PassRole", aws.ToString(r.Arn)},
		deed{"sts:AssumeRole", aws.ToString(r.Arn)},
	)
	for _, d := range may {
		x.that(kind.role+": "+d.action, "allowed", allowedText(r.policies, d), allows(r.policies, d.action, d.resource))
	}
	for _, d := range mayNot {
		x.that(kind.role+": "+d.action+" on "+d.resource, "denied", allowedText(r.policies, d), !allows(r.policies, d.action, d.resource))
	}
	return nil
}

func allowedText(policies []policy, d deed) string {
	if allows(policies, d.action, d.resource) {
		return "allowed"
	}
	return "denied"
}

func parameterAccess(ctx context.Context, e *Env, x subject, kind serviceKind, td taskDefinition) error {
	r, err := e.role(ctx, roleName(td.TaskRoleArn))
	if err != nil {
		return err
	}
	all, err := e.parameters(ctx)
	if err != nil {
		return err
	}
	own := map[string][]string{
		rolePayment: {"api-timeout-seconds", "api-retry-count", "queue-url"},
		roleJobs:    {"job-retry-count", "queue-url"},
	}[kind.role]
	for name, p := range all {
		id := aws.ToString(p.ARN)
		want := "denied"
		if slices.Contains(own, name) {
			want = "allowed"
		}
		x.equal(kind.role+": ssm:GetParameters on "+name, want, allowedText(r.policies, deed{"ssm:GetParameters", id}))
		x.equal(kind.role+": ssm:PutParameter on "+name, "denied", allowedText(r.policies, deed{"ssm:PutParameter", id}))
	}
	return nil
}

func logDelivery(ctx context.Context, e *Env, s *sight) error {
	who, err := e.identity(ctx)
	if err != nil {
		return err
	}
	all, err := e.allLogPolicies(ctx)
	if err != nil {
		return err
	}
	own := e.owner()
	for _, rp := range all {
		name := aws.ToString(rp.PolicyName)
		if !own.owns(kindLogPolicy, name) {
			continue
		}
		p, err := parsePolicy(aws.ToString(rp.PolicyDocument))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		x := s.on(e.arn(ctx, "logs", "resource-policy:"+name))
		for _, st := range p.Statement {
			x.sameSet("services let in", []string{"delivery.logs.amazonaws.com"}, st.Principal["Service"])
			x.equal("bound to this account", true, st.boundTo(who.Account))
			x.equal("allows on every resource", false, slices.Contains(st.Resource, "*"))
		}
	}
	return nil
}
