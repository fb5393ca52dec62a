package route53

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	"github.com/aws/aws-sdk-go-v2/service/route53/types"

	"tapstack/lib/awsprovider/resource"
)

// ZoneArgs are the inputs of aws:route53/zone:Zone, for public zones.
type ZoneArgs struct {
	resource.Tagged
	Name    string  `pulumi:"name" aws:"forcenew"`
	Comment *string `pulumi:"comment,optional"`
}

// ZoneState is the state of aws:route53/zone:Zone; its id is the zone's.
type ZoneState struct {
	ZoneArgs
	resource.AllTags
	ZoneID      string   `pulumi:"zoneId"`
	NameServers []string `pulumi:"nameServers,optional"`
}

var zone = resource.Description[ZoneArgs, ZoneState]{
	Token: "aws:route53/zone:Zone",
	Check: func(a *ZoneArgs) []resource.Fault {
		if a.Comment == nil {
			a.Comment = aws.String("Managed by Pulumi")
		}
		return nil
	},
	Create: func(ctx context.Context, c *resource.Cloud, a ZoneArgs) (string, error) {
		out, err := c.Route53.CreateHostedZone(ctx, &route53.CreateHostedZoneInput{
			Name: &a.Name, CallerReference: aws.String(rand.Text()), HostedZoneConfig: &types.HostedZoneConfig{Comment: a.Comment},
		})
		if err != nil {
			return "", err
		}
		id := bare(out.HostedZone.Id)
		if err := updateZoneTags(ctx, c, id, nil, a.Tags); err != nil {
			return id, err
		}
		return id, awaitSync(ctx, c, out.ChangeInfo)
	},
	Read: readZone,
	Update: func(ctx context.Context, c *resource.Cloud, id string, old ZoneState, a ZoneArgs) error {
		if aws.ToString(a.Comment) != aws.ToString(old.Comment) {
			in := &route53.UpdateHostedZoneCommentInput{Id: &id, Comment: a.Comment}
			if _, err := c.Route53.UpdateHostedZoneComment(ctx, in); err != nil {
				return fmt.Errorf("setting the comment: %w", err)
			}
		}
		return updateZoneTags(ctx, c, id, old.Tags, a.Tags)
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ ZoneState) error {
		out, err := c.Route53.DeleteHostedZone(ctx, &route53.DeleteHostedZoneInput{Id: &id})
		if err != nil {
			return err
		}
		return awaitSync(ctx, c, out.ChangeInfo)
	},
	Example: func(x resource.Scratch) resource.Example[ZoneArgs] {
		return resource.Example[ZoneArgs]{
			Inputs: ZoneArgs{Name: x.Name("zone") + ".example.com", Tagged: resource.Tagged{Tags: map[string]string{"Name": "zone"}}},
			Changes: []resource.Change[ZoneArgs]{
				{Name: "comment", Apply: func(a *ZoneArgs) { a.Comment = aws.String("conformance") }},
				{Name: "tags", Apply: func(a *ZoneArgs) { a.Tags = map[string]string{"Name": "other", "More": "yes"} }},
			},
		}
	},
}

func readZone(ctx context.Context, c *resource.Cloud, id string, prior ZoneState) (ZoneState, error) {
	out, err := c.Route53.GetHostedZone(ctx, &route53.GetHostedZoneInput{Id: &id})
	if err != nil {
		return prior, err
	}
	tags, err := c.Route53.ListTagsForResource(ctx, &route53.ListTagsForResourceInput{
		ResourceType: types.TagResourceTypeHostedzone, ResourceId: &id,
	})
	if err != nil {
		return prior, fmt.Errorf("reading tags: %w", err)
	}
	s := prior
	s.ZoneID = id
	if name := aws.ToString(out.HostedZone.Name); normal(name) != normal(prior.Name) {
		s.Name = normal(name)
	}
	if out.HostedZone.Config != nil {
		s.Comment = resource.OrPrior(out.HostedZone.Config.Comment, prior.Comment)
	}
	s.NameServers = []string{}
	if out.DelegationSet != nil {
		s.NameServers = slices.Sorted(slices.Values(out.DelegationSet.NameServers))
	}
	if tags.ResourceTagSet != nil {
		s.Tags = resource.TagMap(tags.ResourceTagSet.Tags, func(t types.Tag) (*string, *string) { return t.Key, t.Value })
		s.TagsAll = s.Tags
	}
	return s, nil
}

func updateZoneTags(ctx context.Context, c *resource.Cloud, id string, old, now map[string]string) error {
	set, remove := resource.TagDelta(old, now)
	if len(set)+len(remove) == 0 {
		return nil
	}
	_, err := c.Route53.ChangeTagsForResource(ctx, &route53.ChangeTagsForResourceInput{
		ResourceType: types.TagResourceTypeHostedzone, ResourceId: &id, RemoveTagKeys: remove,
		AddTags: resource.TagList(set, func(k, v string) types.Tag { return types.Tag{Key: &k, Value: &v} }),
	})
	if err != nil {
		return fmt.Errorf("setting tags: %w", err)
	}
	return nil
}
