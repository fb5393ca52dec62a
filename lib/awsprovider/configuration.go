package awsprovider

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi/sdk/v3/go/property"

	"tapstack/lib/awsprovider/resource"
)

// configuration is the provider's own configuration: what of pulumi-aws's ProviderArgs the local provider honours.
type configuration struct {
	base aws.Config

	mu         sync.Mutex
	configured *resource.Cloud
}

// settings are the provider arguments that the local provider understands. Each either acts here or is satisfied by
// construction: the target already fixed endpoint, credentials and addressing style.
var settings = map[string]string{ //nolint:gosec // "credentials" is a word here
	"region":                    "the region of every call",
	"defaultTags":               "tags for every taggable resource",
	"allowedAccountIds":         "the accounts that may be touched",
	"forbiddenAccountIds":       "the accounts that must not be touched",
	"skipCredentialsValidation": "the local provider validates no credentials",
	"skipMetadataApiCheck":      "the local provider asks no instance metadata",
	"skipRegionValidation":      "the local provider validates no region",
	"skipRequestingAccountId":   "the account is asked for only by getCallerIdentity",
	"s3UsePathStyle":            "the target's configuration decides the addressing style",
	"version":                   "the engine's own",
}

func (c *configuration) cloud() *resource.Cloud {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.configured
}

// check refuses provider arguments that the local provider does not honour.
func (c *configuration) check(_ context.Context, req p.CheckRequest) (p.CheckResponse, error) {
	resp := p.CheckResponse{Inputs: req.Inputs}
	for _, name := range slices.Sorted(maps.Keys(maps.Collect(req.Inputs.All))) {
		if _, known := settings[name]; !known {
			resp.Failures = append(resp.Failures, p.CheckFailure{Property: name, Reason: fmt.Sprintf(
				"the local provider does not implement the provider argument %q; use --provider official", name)})
		}
	}
	return resp, nil
}

// diff replaces the provider when its region changes, as the official one does; other changes need nothing.
func (c *configuration) diff(_ context.Context, req p.DiffRequest) (p.DiffResponse, error) {
	resp := p.DiffResponse{DetailedDiff: map[string]p.PropertyDiff{}}
	for name := range settings {
		old, now := req.OldInputs.Get(name), req.Inputs.Get(name)
		if name == "version" || old.Equals(now) {
			continue
		}
		kind := p.Update
		if name == "region" {
			kind = p.UpdateReplace
		}
		resp.HasChanges = true
		resp.DetailedDiff[name] = p.PropertyDiff{Kind: kind, InputDiff: true}
	}
	return resp, nil
}

// configure prepares the calls.
func (c *configuration) configure(ctx context.Context, req p.ConfigureRequest) error {
	cfg := c.base.Copy()
	if region := text(req.Args.Get("region")); region != "" {
		cfg.Region = region
	}
	tags, err := defaultTags(req.Args.Get("defaultTags"))
	if err != nil {
		return err
	}
	allowed, err := accounts(req.Args, "allowedAccountIds")
	if err != nil {
		return err
	}
	forbidden, err := accounts(req.Args, "forbiddenAccountIds")
	if err != nil {
		return err
	}
	configured := resource.NewCloud(cfg, tags)
	if err := checkAccount(ctx, configured.STS, allowed, forbidden); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.configured = configured
	return nil
}

// checkAccount refuses an account that is not among the allowed ones, where there are any, or is among the forbidden.
func checkAccount(ctx context.Context, client *sts.Client, allowed, forbidden []string) error {
	if len(allowed)+len(forbidden) == 0 {
		return nil
	}
	who, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return fmt.Errorf("asking whether the AWS account is allowed: %w", err)
	}
	account := aws.ToString(who.Account)
	if slices.Contains(forbidden, account) {
		return fmt.Errorf("AWS account %s is not allowed: forbiddenAccountIds names it", account)
	}
	if len(allowed) > 0 && !slices.Contains(allowed, account) {
		return fmt.Errorf("AWS account %s is not allowed: allowedAccountIds names %s", account, strings.Join(allowed, ", "))
	}
	return nil
}

// accounts reads a list of account ids, which the engine hands over as JSON text.
func accounts(args property.Map, argument string) ([]string, error) {
	var ids []string
	switch v := args.Get(argument); {
	case v.IsNull():
	case v.IsString():
		if err := json.Unmarshal([]byte(v.AsString()), &ids); err != nil {
			return nil, fmt.Errorf("reading the provider argument %s: %w", argument, err)
		}
	case v.IsArray():
		for _, id := range v.AsArray().All {
			ids = append(ids, text(id))
		}
	default:
		return nil, fmt.Errorf("the provider argument %s must be a list", argument)
	}
	return ids, nil
}

// defaultTags reads {"tags": {…}}. The engine hands nested provider arguments over as JSON text.
func defaultTags(v property.Value) (map[string]string, error) {
	switch {
	case v.IsNull():
		return nil, nil
	case v.IsString():
		var doc struct {
			Tags map[string]string `json:"tags"`
		}
		if err := json.Unmarshal([]byte(v.AsString()), &doc); err != nil {
			return nil, fmt.Errorf("reading the provider argument defaultTags: %w", err)
		}
		return doc.Tags, nil
	case !v.IsMap():
		return nil, fmt.Errorf("the provider argument defaultTags must be an object")
	}
	tags := map[string]string{}
	if inner := v.AsMap().Get("tags"); inner.IsMap() {
		for key, value := range inner.AsMap().All {
			tags[key] = text(value)
		}
	}
	return tags, nil
}

func text(v property.Value) string {
	switch {
	case v.IsString():
		return v.AsString()
	case v.IsNumber():
		return strconv.FormatFloat(v.AsNumber(), 'f', -1, 64)
	case v.IsBool():
		return strconv.FormatBool(v.AsBool())
	}
	return ""
}
