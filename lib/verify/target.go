package verify

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
)

// briefRegion is where the brief wants the platform.
const briefRegion = "us-east-1"

func targetChecks() []Check {
	return []Check{
		{
			ID:   "target.region",
			Says: "Deploy to us-east-1 region",
			Run:  recorded(deployedHere),
		},
	}
}

// deployedHere also catches a stack that was deployed to another account or region than the one asked now: its own ARNs
// tell.
func deployedHere(ctx context.Context, e *Env, rec *recorder) error {
	caller, err := e.cloud.Identity(ctx)
	if err != nil {
		return err
	}
	for _, output := range arnOutputs() {
		value, err := e.output(output)
		if err != nil {
			return err
		}
		id, err := arn.Parse(value)
		if err != nil {
			return err
		}
		x := rec.on(value)
		x.equal("region of "+output, briefRegion, id.Region)
		x.equal("account of "+output, caller.Account, id.AccountID)
	}
	rec.on("").equal("region asked", briefRegion, e.cloud.Region)
	return nil
}
