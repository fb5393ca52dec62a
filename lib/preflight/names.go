package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"tapstack/lib/cloud"
	"tapstack/lib/inventory"
)

// mostNamed bounds how many leftovers are named in one line.
const mostNamed = 5

// lookAtNames finds what an earlier stack of the same suffix left: its names are taken, and a destroy would not know it.
func lookAtNames(ctx context.Context, in *inspection) []Finding {
	left, err := in.existing(ctx)
	if !in.Deployed { // whose the claim is, is told by whoever deploys
		left = slices.DeleteFunc(slices.Clone(left), inventory.IsClaim)
	}
	switch {
	case err != nil:
		return []Finding{unread(err)}
	case in.Deployed && !slices.ContainsFunc(left, func(r inventory.Resource) bool { return r.Kind == inventory.VPC }):
		// Roles are the same in every region, so that they prove nothing.
		return []Finding{warning("Make sure that these are the account and the region where it was deployed.",
			"the state knows stack %s, but account %s has no VPC of it in %s", in.Config.EnvironmentSuffix, in.account, in.region)}
	case in.Deployed:
		return []Finding{fine("the stack exists, with %s", plural(len(left), "resource"))}
	case len(left) == 0:
		return []Finding{fine("nothing has the suffix %s", in.Config.EnvironmentSuffix)}
	}
	var named []string
	for _, leak := range left[:min(len(left), mostNamed)] {
		named = append(named, leak.String())
	}
	if more := len(left) - len(named); more > 0 {
		named = append(named, fmt.Sprintf("and %d more", more))
	}
	return []Finding{problem("Remove what an earlier run left (tap sweep shows it), or take another --suffix.",
		"%s of suffix %s without a stack: %s", plural(len(left), "resource"), in.Config.EnvironmentSuffix, strings.Join(named, ", "))}
}

// lookAtSecrets finds deleted secrets that still keep the stack's names. No list shows them unless asked to.
func lookAtSecrets(ctx context.Context, in *inspection) []Finding {
	names := inventory.Secret.NamesIn(in.Config.EnvironmentSuffix)
	pages := secretsmanager.NewListSecretsPaginator(in.api.SecretsManager, &secretsmanager.ListSecretsInput{
		IncludePlannedDeletion: aws.Bool(true),
		Filters:                []smtypes.Filter{{Key: smtypes.FilterNameStringTypeName, Values: names}},
	})
	secrets, err := cloud.Pages(ctx, pages, func(o *secretsmanager.ListSecretsOutput) []smtypes.SecretListEntry { return o.SecretList })
	if err != nil {
		return []Finding{unread(err)}
	}
	var found []Finding
	for _, secret := range secrets {
		name := aws.ToString(secret.Name)
		// The filter takes names that begin with these as well.
		if secret.DeletedDate != nil && slices.Contains(names, name) {
			found = append(found, problem(
				fmt.Sprintf("Delete it now: aws secretsmanager delete-secret --secret-id %s --force-delete-without-recovery --region %s", name, in.region),
				"%s is scheduled for deletion, and its name is taken until then", name))
		}
	}
	if len(found) == 0 {
		return []Finding{fine("none has a name of the stack")}
	}
	return found
}

// serviceRoles are the roles that AWS makes in an account for the services that the stack uses (each service's guide,
// "Using service-linked roles").
var serviceRoles = []struct{ name, service string }{
	{"AWSServiceRoleForECS", "ecs.amazonaws.com"},
	{"AWSServiceRoleForElasticLoadBalancing", "elasticloadbalancing.amazonaws.com"},
	{"AWSServiceRoleForRDS", "rds.amazonaws.com"},
	{"AWSServiceRoleForApplicationAutoScaling_ECSService", "ecs.application-autoscaling.amazonaws.com"},
}

// lookAtServiceRoles tells which of them are not there yet. AWS makes them at first use, if the caller may, and the
// first use itself sometimes comes too early.
func lookAtServiceRoles(ctx context.Context, in *inspection) []Finding {
	if in.Emulated {
		return []Finding{unknown("an emulator needs none")}
	}
	var absent, advice []string
	for _, role := range serviceRoles {
		_, err := in.api.IAM.GetRole(ctx, &iam.GetRoleInput{RoleName: &role.name})
		switch {
		case cloud.HasCode(err, "NoSuchEntity", "NoSuchEntityException"):
			absent = append(absent, role.name)
			advice = append(advice, "aws iam create-service-linked-role --aws-service-name "+role.service)
		case err != nil:
			return []Finding{unread(err)}
		}
	}
	if len(absent) == 0 {
		return []Finding{fine("all are there")}
	}
	return []Finding{warning("To be safe: "+strings.Join(advice, " && "),
		"%s not there yet; AWS makes such a role at first use, which needs iam:CreateServiceLinkedRole and can fail once", strings.Join(absent, ", "))}
}
