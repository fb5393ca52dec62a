package preflight

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	gdtypes "github.com/aws/aws-sdk-go-v2/service/guardduty/types"
)

// lookAtGuardDuty tells when runtime monitoring manages the agents of Fargate tasks: GuardDuty then puts a VPC endpoint and
// a security group of its own into the stack's VPC, which no state knows and which keep the VPC from going (GuardDuty user
// guide, "How Runtime Monitoring works with Fargate"; terraform-provider-aws#46747).
func lookAtGuardDuty(ctx context.Context, in *inspection) []Finding {
	if in.Emulated {
		return []Finding{fine("not asked where no real account answers")}
	}
	list, err := in.api.GuardDuty.ListDetectors(ctx, &guardduty.ListDetectorsInput{}) // a region has one at most
	if err != nil {
		return []Finding{unread(err)}
	}
	for _, id := range list.DetectorIds {
		detector, err := in.api.GuardDuty.GetDetector(ctx, &guardduty.GetDetectorInput{DetectorId: &id})
		if err != nil {
			return []Finding{unread(err)}
		}
		if detector.Status == gdtypes.DetectorStatusEnabled && slices.ContainsFunc(detector.Features, managesFargateAgents) {
			return []Finding{warning(
				"Where destroy stops at the VPC, run `tap sweep --target aws --suffix "+in.Config.EnvironmentSuffix+"`: it removes them with the rest (docs/runbook.md).",
				"runtime monitoring manages the agents of Fargate tasks: GuardDuty will put an endpoint and a security group into the VPC, which destroy does not know")}
		}
	}
	return []Finding{fine("puts nothing into the VPC")}
}

func managesFargateAgents(f gdtypes.DetectorFeatureConfigurationResult) bool {
	return f.Name == gdtypes.DetectorFeatureResultRuntimeMonitoring && f.Status == gdtypes.FeatureStatusEnabled &&
		slices.ContainsFunc(f.AdditionalConfiguration, func(c gdtypes.DetectorAdditionalConfigurationResult) bool {
			return c.Name == gdtypes.FeatureAdditionalConfigurationEcsFargateAgentManagement && c.Status == gdtypes.FeatureStatusEnabled
		})
}
