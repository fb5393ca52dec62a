package preflight

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

const auroraEngine = "aurora-postgresql"

// lookAtDatabase makes sure that RDS has the engine version, and the instance class for it in every zone of the stack.
func lookAtDatabase(ctx context.Context, in *inspection) []Finding {
	wanted := in.Config.DBEngineVersion
	if ended := in.standardSupport(ctx, wanted); !ended.IsZero() && in.now.After(ended.AddDate(0, 0, 1)) {
		found := problem("Set dbEngineVersion to a later major version.",
			"standard support of %s %s ended on %s, and the stack is not to slide into paid extended support", auroraEngine, wanted, ended.Format(time.DateOnly))
		return []Finding{found.about("database version"), unknown("not looked at, since the version is out of support").about("database instance class")}
	}
	deployed, err := in.deployedVersion(ctx)
	version, back := lib.ChooseDBVersion(wanted, deployed)
	if err == nil && back == nil && (version == "" || version != deployed) {
		version, err = in.engineVersion(ctx, cmp.Or(version, wanted))
	}
	found, class := fine("%s %s", auroraEngine, version), Finding{}
	switch {
	case back != nil:
		found = problem("Set dbEngineVersion to the version that runs, or a later one. Older data can be restored from a backup into a new stack.", "%s", back)
		class = unknown("not looked at, since the version cannot be had")
	case err != nil:
		found, class = unread(err), unknown("not looked at, since the version is not known")
	case version == "":
		found = problem(
			"Set dbEngineVersion to one of: aws rds describe-db-engine-versions --engine "+auroraEngine+" --query 'DBEngineVersions[].EngineVersion'",
			"%s has no version %s in %s", auroraEngine, wanted, in.region)
		class = unknown("not looked at, since there is no such version")
	default:
		if version != wanted {
			found.Detail += ", which is what " + wanted + " stands for now"
		}
		class = in.lookAtInstanceClass(ctx, version)
	}
	return []Finding{found.about("database version"), class.about("database instance class")}
}

// standardSupport is the last day on which a version's major version is in Aurora's standard support, as RDS tells it; zero
// where nobody knows.
func (in *inspection) standardSupport(ctx context.Context, version string) time.Time {
	major, _, _ := strings.Cut(version, ".")
	out, err := in.api.RDS.DescribeDBMajorEngineVersions(ctx, &rds.DescribeDBMajorEngineVersionsInput{
		Engine: aws.String(auroraEngine), MajorEngineVersion: &major,
	})
	if err == nil {
		for _, v := range out.DBMajorEngineVersions {
			for _, l := range v.SupportedEngineLifecycles {
				if aws.ToString(v.MajorEngineVersion) == major && l.LifecycleSupportName == rdstypes.LifecycleSupportNameOpenSourceRdsStandardSupport {
					return aws.ToTime(l.LifecycleSupportEndDate)
				}
			}
		}
	}
	return supportedUntil()[major]
}

// supportedUntil holds the same by major version for where RDS may not be asked, or is an emulator that does not know the
// call (Aurora PostgreSQL release notes, "Release calendar for major versions", as known on 2026-11-28).
func supportedUntil() map[string]time.Time {
	february := func(year, day int) time.Time { return time.Date(year, time.February, day, 0, 0, 0, 0, time.UTC) }
	return map[string]time.Time{
		"11": february(2024, 29), "12": february(2025, 28), "13": february(2026, 28), "14": february(2027, 28),
		"15": february(2028, 29), "16": february(2029, 28), "17": february(2030, 28),
	}
}

// deployedVersion is the version of the stack's cluster; empty when it is not there.
func (in *inspection) deployedVersion(ctx context.Context) (string, error) {
	clusters, err := in.api.DBClusters(ctx)
	name := lib.PhysicalName("aurora-cluster", in.Config.EnvironmentSuffix)
	for _, c := range clusters {
		if aws.ToString(c.DBClusterIdentifier) == name {
			return aws.ToString(c.EngineVersion), nil
		}
	}
	return "", err
}

// engineVersion is the full version that RDS takes for the configured one: itself, or the default of a major version.
// It is empty when there is none.
func (in *inspection) engineVersion(ctx context.Context, wanted string) (string, error) {
	partial := !strings.Contains(wanted, ".")
	pages := rds.NewDescribeDBEngineVersionsPaginator(in.api.RDS, &rds.DescribeDBEngineVersionsInput{
		Engine: aws.String(auroraEngine), EngineVersion: &wanted, DefaultOnly: aws.Bool(partial),
	})
	listed, err := cloud.Pages(ctx, pages, func(o *rds.DescribeDBEngineVersionsOutput) []rdstypes.DBEngineVersion { return o.DBEngineVersions })
	for _, v := range listed {
		version := aws.ToString(v.EngineVersion)
		if version == wanted || partial && strings.HasPrefix(version, wanted+".") {
			return version, nil
		}
	}
	return "", err
}

func (in *inspection) lookAtInstanceClass(ctx context.Context, version string) Finding {
	class := in.Config.DBInstanceClass
	pages := rds.NewDescribeOrderableDBInstanceOptionsPaginator(in.api.RDS, &rds.DescribeOrderableDBInstanceOptionsInput{
		Engine: aws.String(auroraEngine), EngineVersion: &version, DBInstanceClass: &class, Vpc: aws.Bool(true),
	})
	options, err := cloud.Pages(ctx, pages, func(o *rds.DescribeOrderableDBInstanceOptionsOutput) []rdstypes.OrderableDBInstanceOption {
		return o.OrderableDBInstanceOptions
	})
	if err != nil {
		return unread(err)
	}
	offered := map[string]bool{}
	for _, option := range options {
		for _, z := range option.AvailabilityZones {
			offered[aws.ToString(z.Name)] = true
		}
	}
	advice := fmt.Sprintf("Set dbInstanceClass to one of: aws rds describe-orderable-db-instance-options --engine %s --engine-version %s "+
		"--region %s --query 'OrderableDBInstanceOptions[].DBInstanceClass'", auroraEngine, version, in.region)
	if len(options) == 0 && in.Emulated {
		return unknown("the emulator lists no classes of %s %s", auroraEngine, version)
	}
	if len(options) == 0 {
		return problem(advice, "%s cannot be ordered for %s %s in %s", class, auroraEngine, version, in.region)
	}
	zones, err := in.chosenZones(ctx)
	if err != nil {
		return unknown("%s can be ordered, but the zones are not known: %s", class, reason(err))
	}
	lacking := slices.DeleteFunc(slices.Clone(zones), func(z zone) bool { return offered[z.name] })
	if len(lacking) > 0 {
		return problem(advice+", or choose other zones with availabilityZones.",
			"%s cannot be ordered for %s %s in %s", class, auroraEngine, version, zoneNames(lacking))
	}
	return fine("%s can be ordered in %s", class, zoneNames(zones))
}
