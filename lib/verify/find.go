package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	tagtypes "github.com/aws/aws-sdk-go-v2/service/resourcegroupstaggingapi/types"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

// This file looks for everything that any stack of this project may have left, whatever its suffix. It does not judge:
// whose a resource is, is for the one who acts on it.

// Found is one resource that may be of this project: by its name, by its owner tag, or because it is part of one that is.
type Found struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Suffix is the environmentSuffix that Name tells; empty when the stack never gives such a name.
	Suffix string `json:"suffix,omitempty"`
	ARN    string `json:"arn"`
	// ID is what the service's own calls want: the id of an EC2 resource, the URL of a queue, else the name or ARN.
	ID string `json:"id"`
	// VPC is the one that it stands in, where it does.
	VPC string `json:"vpc,omitempty"`
	// Of holds the ARNs of what it is part of or made for; all of them together tell whose it is, where it cannot itself.
	Of []string `json:"of,omitempty"`
	// Bound resources are made by AWS and go with what they are of: no call deletes them.
	Bound bool `json:"bound,omitempty"`
	// Taggable tells whether the kind carries tags.
	Taggable bool `json:"taggable"`
	// Tags are the resource's own, or what stands in for them in its body. TagsErr is why they are not known.
	Tags    map[string]string `json:"tags,omitempty"`
	TagsErr error             `json:"-"`
}

// Find lists every resource in the config's region, of every kind that the stack uses, that may be of this project for
// any suffix, and says whose cloud it is. A kind that cannot be listed fails it: nobody could tell what is missing.
func Find(ctx context.Context, cfg aws.Config) (cloud.Identity, []Found, error) {
	e := newEnv(Options{AWS: cfg})
	e.any = true
	who, err := e.cloud.Identity(ctx)
	if err != nil {
		return cloud.Identity{}, nil, fmt.Errorf("asking whose cloud this is: %w", err)
	}
	all, err := e.everything(ctx)
	if err != nil {
		return who, nil, fmt.Errorf("looking for what runs have left: %w", err)
	}
	candidates, err := e.withTags(ctx, mayBeOurs(all))
	if err != nil {
		return who, nil, fmt.Errorf("looking for what runs have left: %w", err)
	}
	strays, err := e.strays(ctx, candidates)
	if err != nil {
		return who, nil, fmt.Errorf("looking for what runs have left: %w", err)
	}
	found := make([]Found, 0, len(candidates)+len(strays))
	for _, r := range append(candidates, strays...) {
		if r.tagsErr == nil || !cloud.IsNotFound(r.tagsErr) { // else listed, but gone: some lists lag behind
			found = append(found, r.found())
		}
	}
	return who, found, nil
}

// Kinds names every kind that Find can find, in no order of deletion.
func Kinds() []string {
	var names []string
	for _, s := range sources() {
		names = append(names, string(s.kind))
	}
	return names
}

// everything lists each kind whole, tags aside.
func (e *Env) everything(ctx context.Context) ([]resource, error) {
	who, err := e.cloud.Identity(ctx)
	if err != nil {
		return nil, err
	}
	all := slices.DeleteFunc(sources(), func(s source) bool { return s.kind == kindOther })
	return inParallel(all, func(s source) ([]resource, error) {
		listed, err := s.list(ctx, e)
		if err != nil {
			return nil, fmt.Errorf("listing each %s: %w", s.kind, err)
		}
		for i := range listed {
			listed[i].kind = s.kind
		}
		if s.kind == kindBucket { // listed from all regions
			here := "alb-logs-" + who.Account + "-" + e.cloud.Region + "-"
			listed = slices.DeleteFunc(listed, func(r resource) bool { return !strings.HasPrefix(r.name, here) })
		}
		return listed, nil
	})
}

// mayBeOurs picks what a stack may have made, and whatever is part of that or stands in its VPC.
func mayBeOurs(all []resource) []resource {
	picked := make([]bool, len(all))
	arns, vpcs := map[string]bool{}, map[string]bool{}
	for again := true; again; {
		again = false
		for i, r := range all {
			_, claimed := r.tags[lib.TagOwner]
			if picked[i] || !claimed && suffixIn(r.kind, r.name) == "" && !vpcs[r.vpc] &&
				!slices.ContainsFunc(r.of, func(id string) bool { return arns[id] }) {
				continue
			}
			picked[i], again = true, true
			arns[r.arn] = true
			if r.kind == kindVPC {
				vpcs[r.vpc] = true
			}
		}
	}
	var out []resource
	for i, r := range all {
		if picked[i] {
			out = append(out, r)
		}
	}
	return out
}

// withTags asks each resource's service for the tags that its list does not tell.
func (e *Env) withTags(ctx context.Context, all []resource) ([]resource, error) {
	ask := map[kind]func(context.Context, *Env, resource) (map[string]string, error){kindDashboard: dashboardTags}
	for _, s := range sources() {
		if s.tags != nil {
			ask[s.kind] = s.tags
		}
	}
	return inParallel(all, func(r resource) ([]resource, error) {
		if tags := ask[r.kind]; tags != nil {
			r.tags, r.tagsErr = tags(ctx, e, r)
		}
		return []resource{r}, ctx.Err()
	})
}

// strays are resources with an owner tag that no list has shown: of a kind that the stack does not use, or with a name
// that it never gives. The tagging API also tells of some that are gone; those with a name that the stack gives are left
// to the lists.
func (e *Env) strays(ctx context.Context, seen []resource) ([]resource, error) {
	all, err := e.cloud.WithTag(ctx, tagtypes.TagFilter{Key: aws.String(lib.TagOwner)})
	if err != nil {
		return nil, fmt.Errorf("listing what carries the tag %s: %w", lib.TagOwner, err)
	}
	var out []resource
	for _, m := range all {
		r, _, err := fromMapping(m)
		if err != nil || slices.ContainsFunc(seen, func(s resource) bool { return s.arn == r.arn }) {
			continue
		}
		known := slices.ContainsFunc(sources(), func(s source) bool { return suffixIn(s.kind, r.name) != "" })
		if !known {
			r.kind = kindOther
			out = append(out, r)
		}
	}
	return out, nil
}

func (r resource) found() Found {
	id := r.id
	if id == "" && strings.Contains(r.arn, ":ec2:") {
		id = r.arn[strings.LastIndex(r.arn, "/")+1:]
	}
	if id == "" {
		id = r.name
	}
	return Found{
		Kind: string(r.kind), Name: r.name, Suffix: suffixIn(r.kind, r.name), ARN: r.arn, ID: id, VPC: r.vpc,
		Of: r.of, Bound: r.bound, Taggable: taggable(r.kind), Tags: r.tags, TagsErr: r.tagsErr,
	}
}

var dashboardTag = regexp.MustCompile(`(` + lib.TagOwner + `|` + lib.TagRun + `|` + lib.TagExpires + `)=([^\s` + "`" + `|<]+)`)

// dashboardTags reads the tags that a dashboard, which cannot carry any, has written into its text widgets.
func dashboardTags(ctx context.Context, e *Env, r resource) (map[string]string, error) {
	out, err := e.cloud.CloudWatch.GetDashboard(ctx, &cloudwatch.GetDashboardInput{DashboardName: &r.name})
	if err != nil {
		return nil, err
	}
	return tagsInBody(aws.ToString(out.DashboardBody))
}

// tagsInBody fails on a body that says two different things.
func tagsInBody(body string) (map[string]string, error) {
	var page struct {
		Widgets []struct {
			Type       string `json:"type"`
			Properties struct {
				Markdown string `json:"markdown"`
			} `json:"properties"`
		} `json:"widgets"`
	}
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		return nil, fmt.Errorf("reading the dashboard: %w", err)
	}
	tags := map[string]string{}
	for _, w := range page.Widgets {
		if w.Type != "text" {
			continue
		}
		for _, found := range dashboardTag.FindAllStringSubmatch(w.Properties.Markdown, -1) {
			if before, twice := tags[found[1]]; twice && before != found[2] {
				return nil, fmt.Errorf("the dashboard says both %s=%s and %s=%s", found[1], before, found[1], found[2])
			}
			tags[found[1]] = found[2]
		}
	}
	return tags, nil
}
