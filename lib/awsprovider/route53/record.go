package route53

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"tapstack/lib/awsprovider/resource"
	"tapstack/lib/cloud"
)

// zoneAppears is how long a new zone may be unknown to a change of its records.
const zoneAppears = time.Minute

// RecordArgs are the inputs of aws:route53/record:Record, for simple routing.
type RecordArgs struct {
	ZoneID         string   `pulumi:"zoneId" aws:"forcenew"`
	Name           string   `pulumi:"name" aws:"forcenew"`
	Type           string   `pulumi:"type" aws:"forcenew"`
	TTL            *int     `pulumi:"ttl,optional"`
	Records        []string `pulumi:"records,optional" aws:"set"`
	Aliases        []alias  `pulumi:"aliases,optional"`
	AllowOverwrite *bool    `pulumi:"allowOverwrite,optional" aws:"writeonly,computed"`
}

// alias is an AWS resource that answers in the record's place.
type alias struct {
	Name                 string `pulumi:"name"`
	ZoneID               string `pulumi:"zoneId"`
	EvaluateTargetHealth bool   `pulumi:"evaluateTargetHealth"`
}

// RecordState is the state of aws:route53/record:Record; its id is zone, name and type, joined by underscores.
type RecordState struct {
	RecordArgs
	Fqdn string `pulumi:"fqdn"`
}

var record = resource.Description[RecordArgs, RecordState]{
	Token: "aws:route53/record:Record",
	Check: func(a *RecordArgs) []resource.Fault {
		if len(a.Aliases) > 0 && (a.TTL != nil || len(a.Records) > 0) {
			return []resource.Fault{{Property: "aliases", Reason: "an alias has no ttl and no records of its own"}}
		}
		return nil
	},
	Create: func(ctx context.Context, c *resource.Cloud, a RecordArgs) (string, error) {
		action := types.ChangeActionCreate
		if aws.ToBool(a.AllowOverwrite) {
			action = types.ChangeActionUpsert
		}
		id := strings.Join([]string{a.ZoneID, strings.ToLower(a.Name), a.Type}, "_")
		fqdn, err := fullName(ctx, c, a.ZoneID, a.Name)
		if err != nil {
			return "", err
		}
		info, err := changeRecord(ctx, c, a.ZoneID, action, recordSet(a, fqdn))
		if err != nil {
			return "", err
		}
		return id, awaitSync(ctx, c, info)
	},
	Read: readRecord,
	Update: func(ctx context.Context, c *resource.Cloud, _ string, old RecordState, a RecordArgs) error {
		info, err := changeRecord(ctx, c, a.ZoneID, types.ChangeActionUpsert, recordSet(a, old.Fqdn))
		if err != nil {
			return err
		}
		return awaitSync(ctx, c, info)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ RecordState) error {
		zoneID, name, kind := parts(id)
		set, err := findRecord(ctx, c, zoneID, name, kind)
		if err != nil {
			return err
		}
		info, err := changeRecord(ctx, c, zoneID, types.ChangeActionDelete, set)
		if err != nil {
			if _, again := findRecord(ctx, c, zoneID, name, kind); resource.NotFound(again) {
				return nil // somebody else was faster
			}
			return err
		}
		return awaitSync(ctx, c, info)
	},
	Example: func(x resource.Scratch) resource.Example[RecordArgs] {
		domain := x.Name("record") + ".example.com"
		in := x.Make("aws:route53/zone:Zone", map[string]any{"name": domain})
		return resource.Example[RecordArgs]{
			Inputs: RecordArgs{
				ZoneID: in.ID, Name: "api." + domain, Type: "A", TTL: aws.Int(60), Records: []string{"192.0.2.2", "192.0.2.1"},
				AllowOverwrite: aws.Bool(true),
			},
			Changes: []resource.Change[RecordArgs]{
				{Name: "ttl", Apply: func(a *RecordArgs) { a.TTL = aws.Int(300) }},
				{Name: "records", Apply: func(a *RecordArgs) { a.Records = []string{"192.0.2.3"} }},
				{Name: "alias", Apply: func(a *RecordArgs) {
					a.TTL, a.Records = nil, nil
					a.Aliases = []alias{{Name: "ALB-1.us-east-1.elb.amazonaws.com", ZoneID: "Z35SXDOTRQ7X7K", EvaluateTargetHealth: true}}
				}},
				{Name: "health of the alias", Apply: func(a *RecordArgs) { a.Aliases[0].EvaluateTargetHealth = false }},
			},
		}
	},
}

func readRecord(ctx context.Context, c *resource.Cloud, id string, prior RecordState) (RecordState, error) {
	zoneID, name, kind := parts(id)
	set, err := findRecord(ctx, c, zoneID, name, kind)
	if err != nil {
		return prior, err
	}
	s := prior
	s.ZoneID, s.Type, s.Fqdn = zoneID, kind, normal(aws.ToString(set.Name))
	if s.Name == "" {
		s.Name = name
	}
	s.TTL, s.Records, s.Aliases = nil, nil, nil
	if t := set.AliasTarget; t != nil {
		a := alias{
			Name: normal(aws.ToString(t.DNSName)), ZoneID: aws.ToString(t.HostedZoneId), EvaluateTargetHealth: t.EvaluateTargetHealth,
		}
		if len(prior.Aliases) == 1 && sameTarget(prior.Aliases[0].Name, a.Name) {
			a.Name = prior.Aliases[0].Name
		}
		s.Aliases = []alias{a}
		return s, nil
	}
	if set.TTL != nil {
		s.TTL = aws.Int(int(*set.TTL))
	}
	for _, r := range set.ResourceRecords {
		s.Records = append(s.Records, unquoted(kind, aws.ToString(r.Value)))
	}
	slices.Sort(s.Records)
	return s, nil
}

func recordSet(a RecordArgs, fqdn string) *types.ResourceRecordSet {
	set := &types.ResourceRecordSet{Name: &fqdn, Type: types.RRType(a.Type)}
	for _, t := range a.Aliases {
		set.AliasTarget = &types.AliasTarget{
			DNSName: &t.Name, HostedZoneId: &t.ZoneID, EvaluateTargetHealth: t.EvaluateTargetHealth,
		}
		return set
	}
	if a.TTL != nil {
		set.TTL = aws.Int64(int64(*a.TTL))
	}
	for _, r := range a.Records {
		set.ResourceRecords = append(set.ResourceRecords, types.ResourceRecord{Value: aws.String(quoted(a.Type, r))})
	}
	return set
}

// changeRecord makes one change. A zone made a moment ago may not be known yet, and an earlier change to it not done.
func changeRecord(ctx context.Context, c *resource.Cloud, zoneID string, action types.ChangeAction, set *types.ResourceRecordSet) (*types.ChangeInfo, error) {
	var out *route53.ChangeResourceRecordSetsOutput
	what := fmt.Sprintf("zone %s takes the record %s %s", zoneID, aws.ToString(set.Name), set.Type)
	err := resource.Poll(ctx, what, zoneAppears, func(ctx context.Context) (bool, error) {
		var err error
		out, err = c.Route53.ChangeResourceRecordSets(ctx, &route53.ChangeResourceRecordSetsInput{
			HostedZoneId: &zoneID,
			ChangeBatch:  &types.ChangeBatch{Changes: []types.Change{{Action: action, ResourceRecordSet: set}}},
		})
		if cloud.HasCode(err, "NoSuchHostedZone", "PriorRequestNotComplete") {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return nil, err
	}
	return out.ChangeInfo, nil
}

func findRecord(ctx context.Context, c *resource.Cloud, zoneID, name, kind string) (*types.ResourceRecordSet, error) {
	fqdn, err := fullName(ctx, c, zoneID, name)
	if err != nil {
		return nil, err
	}
	out, err := c.Route53.ListResourceRecordSets(ctx, &route53.ListResourceRecordSetsInput{
		HostedZoneId: &zoneID, StartRecordName: &fqdn, StartRecordType: types.RRType(kind),
	})
	if err != nil {
		return nil, fmt.Errorf("listing the records of zone %s: %w", zoneID, err)
	}
	for i := range out.ResourceRecordSets {
		set := &out.ResourceRecordSets[i]
		if normal(aws.ToString(set.Name)) == fqdn && string(set.Type) == kind && aws.ToString(set.SetIdentifier) == "" {
			return set, nil
		}
	}
	return nil, resource.ErrNotFound
}

func fullName(ctx context.Context, c *resource.Cloud, zoneID, name string) (string, error) {
	out, err := c.Route53.GetHostedZone(ctx, &route53.GetHostedZoneInput{Id: &zoneID})
	if err != nil {
		return "", fmt.Errorf("reading zone %s: %w", zoneID, err)
	}
	return qualified(name, aws.ToString(out.HostedZone.Name)), nil
}

// parts takes an id apart. Names may have underscores; the ids of zones and the types have none.
func parts(id string) (zoneID, name, kind string) {
	zoneID, rest, _ := strings.Cut(id, "_")
	if i := strings.LastIndex(rest, "_"); i >= 0 {
		return zoneID, rest[:i], rest[i+1:]
	}
	return zoneID, rest, ""
}

// sameTarget says whether two names mean the same alias target: the console puts "dualstack." in front of a load
// balancer's.
func sameTarget(a, b string) bool {
	return strings.TrimPrefix(normal(a), "dualstack.") == strings.TrimPrefix(normal(b), "dualstack.")
}

// quoted is a record's value as the API takes it: texts are in quotes there, and bare in the program.
func quoted(kind, value string) string {
	if kind == "TXT" || kind == "SPF" {
		return `"` + value + `"`
	}
	return value
}

func unquoted(kind, value string) string {
	if kind == "TXT" || kind == "SPF" {
		return strings.TrimSuffix(strings.TrimPrefix(value, `"`), `"`)
	}
	return value
}
