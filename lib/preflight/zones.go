package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

// zone is an availability zone by its name in this account and its id, which is the same in all.
type zone struct{ name, id string }

// zones are those that can be used without opting in to them, asked for once on behalf of all probes.
func (in *inspection) zones(ctx context.Context) ([]zone, error) {
	return cloud.Once(ctx, in.api, "availability zones", in.listZones)
}

func (in *inspection) listZones(ctx context.Context) ([]zone, error) {
	out, err := in.api.EC2.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{
		Filters: []ec2types.Filter{
			{Name: aws.String("opt-in-status"), Values: []string{"opt-in-not-required"}},
			{Name: aws.String("state"), Values: []string{"available"}},
		},
	})
	if err != nil {
		return nil, err
	}
	var found []zone
	for _, z := range out.AvailabilityZones {
		found = append(found, zone{aws.ToString(z.ZoneName), aws.ToString(z.ZoneId)})
	}
	return found, nil
}

// choose is where the stack goes: the configured zones, or the three that the program takes.
func (in *inspection) choose(usable []zone) ([]zone, error) {
	wanted := in.Config.AvailabilityZones
	if len(wanted) == 0 {
		var names, ids []string
		for _, z := range usable {
			names, ids = append(names, z.name), append(ids, z.id)
		}
		var err error
		if wanted, err = lib.ChooseZones(names, ids); err != nil {
			return nil, fmt.Errorf("%s offers %w", in.region, err)
		}
	}
	var found []zone
	var missing []string
	for _, name := range wanted {
		at := slices.IndexFunc(usable, func(z zone) bool { return z.name == name })
		if at < 0 {
			missing = append(missing, name)
			continue
		}
		found = append(found, usable[at])
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("this account cannot use %s of availabilityZones; it can use %s", strings.Join(missing, ", "), zoneNames(usable))
	}
	return found, nil
}

func zoneNames(zones []zone) string {
	names := make([]string, len(zones))
	for i, z := range zones {
		names[i] = z.name
	}
	return strings.Join(names, ", ")
}

// chosenZones asks for the zones and chooses.
func (in *inspection) chosenZones(ctx context.Context) ([]zone, error) {
	usable, err := in.zones(ctx)
	if err != nil {
		return nil, err
	}
	return in.choose(usable)
}

func lookAtZones(ctx context.Context, in *inspection) []Finding {
	usable, err := in.zones(ctx)
	if err != nil {
		return []Finding{unread(err)}
	}
	zones, err := in.choose(usable)
	if err != nil {
		return []Finding{problem("Choose another region, or three of its zones with availabilityZones.", "%v", err)}
	}
	var texts []string
	for _, z := range zones {
		texts = append(texts, fmt.Sprintf("%s (%s)", z.name, z.id))
	}
	found := fine("%s", strings.Join(texts, ", "))
	if in.Deployed {
		found.Detail += "; a stack that exists stays where it is"
	}
	return []Finding{found}
}
