// Package rds implements the aws:rds types of an Aurora cluster: subnet groups, cluster parameter groups, clusters, their
// instances, and event subscriptions. Reference: the RDS API and the aws_db_* and aws_rds_* resources of the Terraform AWS
// provider 5.x.
package rds

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/smithy-go"

	"tapstack/lib/awsprovider/resource"
)

// The official provider's time-outs.
const (
	propagation         = 2 * time.Minute
	groupTimeout        = 3 * time.Minute
	modifyTimeout       = 5 * time.Minute
	subscriptionTimeout = 40 * time.Minute
	instanceTimeout     = 90 * time.Minute
	clusterTimeout      = 120 * time.Minute
)

// managed is the description that pulumi-aws gives where the program gives none.
const managed = "Managed by Pulumi"

// Resources lists the types of this package.
func Resources() []resource.Resource {
	return []resource.Resource{
		resource.Define(subnetGroup),
		resource.Define(parameterGroup),
		resource.Define(cluster),
		resource.Define(clusterInstance),
		resource.Define(eventSubscription),
	}
}

// faults gathers refused inputs. Values that are not given, or not known yet, are not refused.
type faults []resource.Fault

func (f *faults) add(bad bool, property, reason string) {
	if bad {
		*f = append(*f, resource.Fault{Property: property, Reason: reason})
	}
}

func (f *faults) match(property, value string, form *regexp.Regexp, reason string) {
	f.add(value != "" && !form.MatchString(value), property, reason)
}

func (f *faults) oneOf(property, value string, legal []string) {
	f.add(value != "" && !slices.Contains(legal, value), property, fmt.Sprintf("must be one of %q", legal))
}

// The forms of names and times (RDS User Guide, "Naming constraints"; API reference).
var (
	identifierForm  = regexp.MustCompile(`^[a-z](-?[0-9a-z])*$`)
	groupForm       = regexp.MustCompile(`^[0-9a-z._ -]{1,255}$`)
	nameForm        = regexp.MustCompile(`^[0-9A-Za-z-]{1,255}$`)
	snapshotForm    = regexp.MustCompile(`^[0-9A-Za-z](-?[0-9A-Za-z])*$`)
	dailyForm       = regexp.MustCompile(`^` + hour + `-` + hour + `$`)
	weeklyForm      = regexp.MustCompile(`^(?i)` + day + `:` + hour + `-` + day + `:` + hour + `$`)
	clusterEngines  = []string{"aurora-mysql", "aurora-postgresql", "mysql", "postgres"}
	lifecycles      = []string{"open-source-rds-extended-support", "open-source-rds-extended-support-disabled"}
	exportableLogs  = []string{"audit", "error", "general", "iam-db-auth-error", "instance", "postgresql", "slowquery", "upgrade"}
	clusterModes    = []string{"global", "parallelquery", "provisioned", "serverless"}
	parameterTiming = []string{"immediate", "pending-reboot"}
)

const (
	hour = `([01]\d|2[0-3]):[0-5]\d`
	day  = `(mon|tue|wed|thu|fri|sat|sun)`

	identifierRule = "must be lower case letters, digits and single hyphens, begin with a letter and not end with a hyphen"
	dailyRule      = `must have the form "hh24:mi-hh24:mi"`
	weeklyRule     = `must have the form "ddd:hh24:mi-ddd:hh24:mi"`
)

// differs is the new value where it is not the old one, else nil: what a modify call must carry.
func differs[T comparable](old, now *T) *T {
	if resource.Same(old, now) {
		return nil
	}
	return now
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func without(list, other []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(other, s) })
}

// lowered is a maintenance window as RDS writes it.
func lowered(window *string) *string {
	if window == nil {
		return nil
	}
	return aws.String(strings.ToLower(*window))
}

// refused says whether the API answered with code and a message that contains words.
func refused(err error, code, words string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == code && strings.Contains(api.ErrorMessage(), words)
}

// unreadyRole recognises the refusal of a role that RDS does not see yet.
func unreadyRole(err error) bool {
	return refused(err, "InvalidParameterValue", "IAM role ARN value is invalid or does not include the required permissions")
}

// again repeats a call while its error passes with time. When that takes too long, the error tells both.
func again(ctx context.Context, what string, timeout time.Duration, passing func(error) bool, call func(context.Context) error) error {
	var failure error
	err := resource.Poll(ctx, what, timeout, func(ctx context.Context) (bool, error) {
		failure = call(ctx)
		return !passing(failure), nil
	})
	if err != nil {
		return errors.Join(err, failure)
	}
	return failure
}

// settled says whether a cluster or instance has come to rest; a status that time alone does not change is an error.
func settled(status string) (bool, error) {
	for _, stuck := range []string{"deleting", "failed", "incompatible-", "inaccessible-", "insufficient-", "restore-error", "stopp"} {
		if strings.HasPrefix(status, stuck) {
			return false, fmt.Errorf("its status is %q", status)
		}
	}
	return status == "available" || status == "storage-optimization", nil
}

func tagMap(list []types.Tag) map[string]string {
	return resource.TagMap(list, func(t types.Tag) (*string, *string) { return t.Key, t.Value })
}

func tagList(tags map[string]string) []types.Tag {
	return resource.TagList(tags, func(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} })
}

func listTags(ctx context.Context, c *resource.Cloud, arn string) (map[string]string, error) {
	out, err := c.RDS.ListTagsForResource(ctx, &rds.ListTagsForResourceInput{ResourceName: &arn})
	if err != nil {
		return nil, fmt.Errorf("listing its tags: %w", err)
	}
	return tagMap(out.TagList), nil
}

func updateTags(ctx context.Context, c *resource.Cloud, arn string, old, now map[string]string) error {
	return resource.UpdateTags(old, now, func(keys []string) (any, error) {
		return c.RDS.RemoveTagsFromResource(ctx, &rds.RemoveTagsFromResourceInput{ResourceName: &arn, TagKeys: keys})
	}, func(tags map[string]string) (any, error) {
		return c.RDS.AddTagsToResource(ctx, &rds.AddTagsToResourceInput{ResourceName: &arn, Tags: tagList(tags)})
	})
}
