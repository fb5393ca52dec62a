package inventory

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	tagtypes "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

// The tags by which a resource with an unknown name that ends in the suffix is the stack's.
const (
	tagName  = "Name"
	tagBatch = "MigrationBatch"
	batch    = "phase-1"
)

func briefTags() map[string]string {
	return map[string]string{"Environment": "production", tagBatch: batch}
}

// StackTags are the tags of what a stack with a configuration has under a name.
func StackTags(config map[string]string, name string) map[string]string {
	tags := briefTags()
	tags[tagName] = name
	tags[lib.TagOwner] = cmp.Or(config[lib.ConfigOwner], lib.DefaultOwner)
	tags[lib.TagRun] = cmp.Or(config[lib.ConfigRun], lib.ManualRun)
	tags[lib.TagExpires] = cmp.Or(config[lib.ConfigExpires], lib.NeverExpires)
	return tags
}

// Leaks lists all that is left of the stack with a suffix, in the config's region: what OfStack finds. An error means that
// nothing is proven. Not counted, since nobody can remove them: INACTIVE ECS task definitions and clusters, KMS keys that
// wait for their deletion, NAT gateways already deleted, and, on a target that knows no automated database backups, the
// snapshots that it takes by itself.
func Leaks(ctx context.Context, cfg aws.Config, suffix string) ([]Resource, error) {
	if suffix == "" {
		return nil, errors.New("looking for leaks: the suffix is empty")
	}
	cfg = cfg.Copy()
	cfg.Retryer = patient
	found, err := OfStack(ctx, cloud.NewReader(cfg), suffix, nil)
	if err != nil {
		return nil, fmt.Errorf("looking for what is left of %q: %w", suffix, err)
	}
	slices.SortFunc(found, func(a, b Resource) int {
		return cmp.Or(cmp.Compare(a.Kind.Name, b.Kind.Name), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ARN, b.ARN))
	})
	return found, nil
}

// patient repeats a read that is throttled or met a fault of the service: 10 times at most, which takes under a minute.
func patient() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts, o.MaxBackoff, o.RateLimiter = 10, 5*time.Second, ratelimit.None
	})
}

// OfStack is everything of the stack with a suffix that the services of AWS list, each asked by itself, with its tags. It
// knows the stack's own by their names and tags, by what stands in its VPC and, where its outputs are given, by those. A
// kind that cannot be listed fails it: nobody could tell what is missing.
func OfStack(ctx context.Context, r *cloud.Reader, suffix string, outputs map[string]any) ([]Resource, error) {
	if _, err := program(); err != nil {
		return nil, err
	}
	s := &search{Reader: r, suffix: suffix, outputs: outputs}
	vpcs, err := s.ownVPCs(ctx)
	if err != nil {
		return nil, err
	}
	return collect(Kinds(), func(k *Kind) ([]Resource, error) { return s.own(ctx, k, vpcs) })
}

// ownVPCs are the VPC that the stack puts out, and those whose Name tag is the stack's.
func (s *search) ownVPCs(ctx context.Context) ([]string, error) {
	all, err := s.list(ctx, VPC)
	var ids []string
	for _, v := range all {
		if v.VPC == s.output(lib.OutputVpcID) || s.owns(VPC, v.Name) {
			ids = append(ids, v.VPC)
		}
	}
	return ids, err
}

// own is what the stack owns of one kind. A name that only ends in the suffix is not enough: the tags must agree. A
// resource in the stack's own VPC is its own whatever its name.
func (s *search) own(ctx context.Context, k *Kind, vpcs []string) ([]Resource, error) {
	all, err := s.list(ctx, k)
	if err != nil {
		return nil, err
	}
	var out []Resource
	for _, r := range all {
		ownership := k.Ownership(r.Name, s.suffix)
		if r.ofStack || r.VPC != "" && slices.Contains(vpcs, r.VPC) {
			ownership = Own
		}
		if ownership == Foreign {
			continue
		}
		if !k.Untagged {
			s.readTags(ctx, &r)
		}
		if cloud.IsNotFound(r.TagsErr) {
			continue // listed, but gone: some lists lag behind
		}
		if ownership == Unclear {
			if r.TagsErr != nil {
				return nil, fmt.Errorf("telling whose %s %s is: %w", k, r.Name, r.TagsErr)
			}
			if r.Tags[tagBatch] != batch {
				continue
			}
		}
		out = append(out, r)
	}
	return out, nil
}

// readTags asks for the tags of one, where the list does not have them.
func (s *search) readTags(ctx context.Context, r *Resource) {
	if r.Kind.tags != nil {
		r.Tags, r.TagsErr = r.Kind.tags(ctx, s, *r)
	}
}

// output is a text among the stack's outputs; empty where it is not known.
func (s *search) output(name string) string {
	text, _ := s.outputs[name].(string)
	return text
}

// partition is that of the account.
func (s *search) partition(ctx context.Context) string {
	id, _ := s.Identity(ctx)
	return cmp.Or(id.Partition, "aws")
}

// Find lists every resource in the config's region, of every kind that the stack uses, that may be of this project for
// any suffix: by its name, by its owner tag, or because it is part of one that is; and says whose cloud it is. It does not
// judge: whose a resource is, is for the one who acts on it. A kind that cannot be listed fails it.
func Find(ctx context.Context, cfg aws.Config) (cloud.Identity, []Resource, error) {
	return FindStack(ctx, cfg, "")
}

// FindStack is Find for one suffix: what has the name of another stack is left out, and not asked for its tags, unless it is
// part of something of this one or stands in its VPC. Without a suffix it finds all.
func FindStack(ctx context.Context, cfg aws.Config, suffix string) (cloud.Identity, []Resource, error) {
	if _, err := program(); err != nil {
		return cloud.Identity{}, nil, err
	}
	s := &search{Reader: cloud.NewReader(cfg)}
	who, err := s.Identity(ctx)
	if err != nil {
		return who, nil, fmt.Errorf("asking whose cloud this is: %w", err)
	}
	all, err := s.listAll(ctx, who)
	if err != nil {
		return who, nil, fmt.Errorf("looking for what runs have left: %w", err)
	}
	found, err := collect(candidates(all, suffix), func(r Resource) ([]Resource, error) {
		s.readTags(ctx, &r)
		return []Resource{r}, ctx.Err()
	})
	if err != nil {
		return who, nil, fmt.Errorf("looking for what runs have left: %w", err)
	}
	var unlisted []Resource
	if suffix == "" { // their names tell of no stack
		unlisted, err = s.unlisted(ctx, found)
	}
	if err != nil {
		return who, nil, fmt.Errorf("looking for what runs have left: %w", err)
	}
	gone := func(r Resource) bool { return cloud.IsNotFound(r.TagsErr) } // some lists lag behind
	return who, slices.DeleteFunc(append(found, unlisted...), gone), nil
}

// listAll lists each kind whole, tags aside; of buckets, those that are named after this account and region.
func (s *search) listAll(ctx context.Context, who cloud.Identity) ([]Resource, error) {
	here := strings.NewReplacer("{account}", who.Account, "{region}", who.Region)
	elsewhere := func(r Resource) bool {
		return r.Kind == Bucket && !slices.ContainsFunc(Bucket.Names(), func(name string) bool {
			begin, _, _ := strings.Cut(here.Replace(name), "{S}")
			return strings.HasPrefix(r.Name, begin)
		})
	}
	kinds := slices.DeleteFunc(Kinds(), func(k *Kind) bool { return k == Other })
	return collect(kinds, func(k *Kind) ([]Resource, error) {
		all, err := s.list(ctx, k)
		return slices.DeleteFunc(all, elsewhere), err
	})
}

// candidates picks what the stack with a suffix may have made, or any stack where that is empty, and whatever is part of that or
// stands in its VPC.
func candidates(all []Resource, suffix string) []Resource {
	picked := make([]bool, len(all))
	arns, vpcs := map[string]bool{}, map[string]bool{}
	for again := true; again; {
		again = false
		for i, r := range all {
			_, claimed := r.Tags[lib.TagOwner]
			named := r.Suffix != "" && (suffix == "" || r.Suffix == suffix) || claimed && suffix == ""
			if picked[i] || !named && !vpcs[r.VPC] &&
				!slices.ContainsFunc(r.PartOf, func(id string) bool { return arns[id] }) {
				continue
			}
			picked[i], again = true, true
			arns[r.ARN] = true
			if r.Kind == VPC {
				vpcs[r.VPC] = true
			}
		}
	}
	var out []Resource
	for i, r := range all {
		if picked[i] {
			out = append(out, r)
		}
	}
	return out
}

// unlisted are resources with an owner tag that no list has shown: of a kind that the stack does not use, or with a name
// that it never gives. The tagging API also tells of some that are gone; those with a name that the stack gives are left
// to the lists.
func (s *search) unlisted(ctx context.Context, seen []Resource) ([]Resource, error) {
	all, err := s.WithTag(ctx, tagtypes.TagFilter{Key: aws.String(lib.TagOwner)})
	if err != nil {
		return nil, fmt.Errorf("listing what carries the tag %s: %w", lib.TagOwner, err)
	}
	var out []Resource
	for _, m := range all {
		r, _, err := tagged(m)
		if err != nil || slices.ContainsFunc(seen, func(s Resource) bool { return s.ARN == r.ARN }) {
			continue
		}
		if !slices.ContainsFunc(Kinds(), func(k *Kind) bool { return k.SuffixIn(r.Name) != "" }) {
			r.complete(Other)
			out = append(out, r)
		}
	}
	return out, nil
}

// listOthers asks the tagging API for resources of services that no other kind is of. It lags behind the services
// themselves, so that it is not asked about those.
func listOthers(ctx context.Context, s *search) ([]Resource, error) {
	all, err := s.WithTag(ctx, tagtypes.TagFilter{Key: aws.String(tagBatch), Values: []string{batch}})
	var out []Resource
	for _, m := range all {
		r, id, err := tagged(m)
		if err == nil && !slices.ContainsFunc(Kinds(), func(k *Kind) bool { return k.Service == id.Service }) {
			out = append(out, r)
		}
	}
	return out, err
}

// foreign are the ARNs of the resources of a kind that the tagging API tells of with tags that no stack gives. That is all that
// is believed of it: it lags behind the services, and an emulator's knows some of them only. So what it does not tell of, or
// tells of with a tag of ours, is asked about by itself; what the stack makes carries its tags from its creation on. resourceType
// is the API's name of the kind.
func (s *search) foreign(ctx context.Context, k *Kind, resourceType string) map[string]bool {
	all, err := s.Tagged(ctx, resourceType)
	if err != nil {
		return nil
	}
	found := map[string]bool{}
	for _, m := range all {
		if r, _, err := tagged(m); err == nil && len(r.Tags) > 0 && !s.claimed(k, r.Tags) {
			found[r.ARN] = true
		}
	}
	return found
}

// claimed tells whether the tags of a resource say that it may be what is looked for.
func (s *search) claimed(k *Kind, tags map[string]string) bool {
	_, owned := tags[lib.TagOwner]
	return owned || tags[tagBatch] == batch || s.mayOwn(k, tags[tagName])
}

// tagged reads a line of the tagging API. The name is the Name tag, or the end of the ARN.
func tagged(m tagtypes.ResourceTagMapping) (Resource, arn.ARN, error) {
	id, err := arn.Parse(aws.ToString(m.ResourceARN))
	tags := cloud.TagMap(m.Tags, func(t tagtypes.Tag) (*string, *string) { return t.Key, t.Value })
	return Resource{Name: cmp.Or(tags[tagName], id.Resource), ARN: aws.ToString(m.ResourceARN), Tags: tags}, id, err
}
