package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
)

const auroraEngine = "aurora-postgresql"

// lookAtDatabase makes sure that RDS has the engine version, and the instance class for it in every zone of the stack.
func lookAtDatabase(ctx context.Context, in *inspection) []Finding {
	wanted := in.Config.DBEngineVersion
	version, err := in.engineVersion(ctx, wanted)
	if err != nil {
		return []Finding{unknown("database version", err), {What: "database instance class", Status: Unknown, Detail: "not looked at, since the version is not known"}}
	}
	if version == "" {
		return []Finding{{
			"database version", Problem, fmt.Sprintf("%s has no version %s in %s", auroraEngine, wanted, in.region),
			"Set dbEngineVersion to one of: aws rds describe-db-engine-versions --engine " + auroraEngine + " --query 'DBEngineVersions[].EngineVersion'",
		}, {What: "database instance class", Status: Unknown, Detail: "not looked at, since there is no such version"}}
	}
	detail := auroraEngine + " " + version
	if version != wanted {
		detail += ", which is what " + wanted + " stands for now"
	}
	return []Finding{{What: "database version", Status: OK, Detail: detail}, in.lookAtInstanceClass(ctx, version)}
}

// engineVersion is the full version that RDS takes for the configured one: itself, or the default of a major version.
// It is empty when there is none.
func (in *inspection) engineVersion(ctx context.Context, wanted string) (string, error) {
	partial := !strings.Contains(wanted, ".")
	var listed []rdstypes.DBEngineVersion
	pages := rds.NewDescribeDBEngineVersionsPaginator(in.api.RDS, &rds.DescribeDBEngineVersionsInput{
		Engine: aws.String(auroraEngine), EngineVersion: &wanted, DefaultOnly: aws.Bool(partial),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return "", err
		}
		listed = append(listed, page.DBEngineVersions...)
	}
	for _, v := range listed {
		version := aws.ToString(v.EngineVersion)
		if version == wanted || partial && strings.HasPrefix(version, wanted+".") {
			return version, nil
		}
	}
	return "", nil
}

func (in *inspection) lookAtInstanceClass(ctx context.Context, version string) Finding {
	const what = "database instance class"
	class := in.Config.DBInstanceClass
	offered := map[string]bool{}
	orderable := false
	pages := rds.NewDescribeOrderableDBInstanceOptionsPaginator(in.api.RDS, &rds.DescribeOrderableDBInstanceOptionsInput{
		Engine: aws.String(auroraEngine), EngineVersion: &version, DBInstanceClass: &class, Vpc: aws.Bool(true),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return unknown(what, err)
		}
		for _, option := range page.OrderableDBInstanceOptions {
			orderable = true
			for _, z := range option.AvailabilityZones {
				offered[aws.ToString(z.Name)] = true
			}
		}
	}
	advice := fmt.Sprintf("Set dbInstanceClass to one of: aws rds describe-orderable-db-instance-options --engine %s --engine-version %s "+
		"--region %s --query 'OrderableDBInstanceOptions[].DBInstanceClass'", auroraEngine, version, in.region)
	if !orderable {
		return Finding{what, Problem, fmt.Sprintf("%s cannot be ordered for %s %s in %s", class, auroraEngine, version, in.region), advice}
	}
	zones, err := in.chosenZones(ctx)
	if err != nil {
		return Finding{What: what, Status: Unknown, Detail: class + " can be ordered, but the zones are not known: " + reason(err)}
	}
	lacking := slices.DeleteFunc(slices.Clone(zones), func(z zone) bool { return offered[z.name] })
	if len(lacking) > 0 {
		return Finding{
			what, Problem, fmt.Sprintf("%s cannot be ordered for %s %s in %s", class, auroraEngine, version, zoneNames(lacking)),
			advice + ", or choose other zones with availabilityZones.",
		}
	}
	return Finding{What: what, Status: OK, Detail: fmt.Sprintf("%s can be ordered in %s", class, zoneNames(zones))}
}
