package cloudwatch

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logs "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"tapstack/lib/awsprovider/resource"
)

// LogGroupArgs are the inputs of aws:cloudwatch/logGroup:LogGroup.
type LogGroupArgs struct {
	resource.Tagged
	Name string `pulumi:"name" aws:"forcenew"`
	// RetentionInDays is in days; 0 keeps events for ever.
	RetentionInDays *int    `pulumi:"retentionInDays,optional"`
	KmsKeyID        *string `pulumi:"kmsKeyId,optional"`
}

// LogGroupState is its state; the id is the group's name. The ARN is without the ":*" that CloudWatch Logs appends.
type LogGroupState struct {
	LogGroupArgs
	resource.AllTags
	Arn string `pulumi:"arn"`
}

// retentions are the periods in days that PutRetentionPolicy takes; 0 stands for "never expire".
var retentions = []int{
	0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
}

var logGroup = resource.Description[LogGroupArgs, LogGroupState]{
	Token: "aws:cloudwatch/logGroup:LogGroup",
	Check: func(a *LogGroupArgs) []resource.Fault {
		if a.RetentionInDays == nil {
			a.RetentionInDays = aws.Int(0)
		}
		if !slices.Contains(retentions, *a.RetentionInDays) {
			return []resource.Fault{{Property: "retentionInDays", Reason: fmt.Sprintf("must be one of %v", retentions)}}
		}
		return nil
	},
	Create: func(ctx context.Context, c *resource.Cloud, a LogGroupArgs) (string, error) {
		_, err := c.Logs.CreateLogGroup(ctx, &logs.CreateLogGroupInput{
			LogGroupName: &a.Name, KmsKeyId: a.KmsKeyID, Tags: a.Tags,
		})
		if err != nil {
			return "", err
		}
		return a.Name, setRetention(ctx, c, a.Name, 0, aws.ToInt(a.RetentionInDays))
	},
	Read: readLogGroup,
	Update: func(ctx context.Context, c *resource.Cloud, id string, old LogGroupState, a LogGroupArgs) error {
		if err := updateLogTags(ctx, c, old.Arn, old.Tags, a.Tags); err != nil {
			return err
		}
		if err := setRetention(ctx, c, id, aws.ToInt(old.RetentionInDays), aws.ToInt(a.RetentionInDays)); err != nil {
			return err
		}
		return setLogKey(ctx, c, id, aws.ToString(old.KmsKeyID), aws.ToString(a.KmsKeyID))
	},
	Delete: func(ctx context.Context, c *resource.Cloud, id string, _ LogGroupState) error {
		err := resource.Retry(ctx, "log group "+id+" can be deleted", time.Minute, func(err error) bool {
			return resource.Says(err, "OperationAbortedException", "try again")
		}, func(ctx context.Context) error {
			_, err := c.Logs.DeleteLogGroup(ctx, &logs.DeleteLogGroupInput{LogGroupName: &id})
			return err
		})
		if err != nil {
			return err
		}
		return resource.PollGone(ctx, "log group "+id, propagation, func(ctx context.Context) error {
			_, err := findLogGroup(ctx, c, id)
			return err
		})
	},
	Example: func(x resource.Scratch) resource.Example[LogGroupArgs] {
		return resource.Example[LogGroupArgs]{
			Inputs: LogGroupArgs{
				Name: x.Name("/ecs/logs"), RetentionInDays: aws.Int(30),
				Tagged: resource.Tagged{Tags: map[string]string{"Name": "logs"}},
			},
			Changes: []resource.Change[LogGroupArgs]{
				{Name: "retention", Apply: func(a *LogGroupArgs) { a.RetentionInDays = aws.Int(90) }},
				{Name: "never expire", Apply: func(a *LogGroupArgs) { a.RetentionInDays = nil }},
				{Name: "tags", Apply: func(a *LogGroupArgs) { a.Tags = map[string]string{"More": "yes"} }},
			},
		}
	},
}

func readLogGroup(ctx context.Context, c *resource.Cloud, id string, prior LogGroupState) (LogGroupState, error) {
	group, err := findLogGroup(ctx, c, id)
	if err != nil {
		return prior, err
	}
	arn := strings.TrimSuffix(aws.ToString(group.Arn), ":*")
	tags, err := c.Logs.ListTagsForResource(ctx, &logs.ListTagsForResourceInput{ResourceArn: &arn})
	if err != nil {
		return prior, fmt.Errorf("listing the tags of log group %s: %w", id, err)
	}
	s := LogGroupState{Arn: arn, LogGroupArgs: LogGroupArgs{
		Name: aws.ToString(group.LogGroupName), RetentionInDays: aws.Int(int(aws.ToInt32(group.RetentionInDays))),
		KmsKeyID: group.KmsKeyId,
	}}
	s.Tags, s.TagsAll = tags.Tags, tags.Tags
	return s, nil
}

// findLogGroup finds a group by its whole name: the API only lists by prefix.
func findLogGroup(ctx context.Context, c *resource.Cloud, name string) (types.LogGroup, error) {
	pages := logs.NewDescribeLogGroupsPaginator(c.Logs, &logs.DescribeLogGroupsInput{LogGroupNamePrefix: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return types.LogGroup{}, err
		}
		for _, group := range page.LogGroups {
			if aws.ToString(group.LogGroupName) == name {
				return group, nil
			}
		}
	}
	return types.LogGroup{}, resource.ErrNotFound
}

// setRetention brings a group from old to days; 0 days keeps events for ever. A new group may not yet be writable for a
// caller whose permission depends on its tags.
func setRetention(ctx context.Context, c *resource.Cloud, name string, old, days int) error {
	if old == days {
		return nil
	}
	err := resource.Retry(ctx, "the retention of log group "+name+" can be set", propagation, func(err error) bool {
		return resource.Says(err, "AccessDeniedException", "no identity-based policy allows")
	}, func(ctx context.Context) error {
		if days == 0 {
			_, err := c.Logs.DeleteRetentionPolicy(ctx, &logs.DeleteRetentionPolicyInput{LogGroupName: &name})
			return err
		}
		_, err := c.Logs.PutRetentionPolicy(ctx, &logs.PutRetentionPolicyInput{
			LogGroupName: &name, RetentionInDays: resource.Int32(&days),
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("setting the retention of log group %s: %w", name, err)
	}
	return nil
}

// setLogKey brings a group from the KMS key old to key; "" is CloudWatch's own encryption.
func setLogKey(ctx context.Context, c *resource.Cloud, name, old, key string) error {
	var err error
	switch {
	case old == key:
		return nil
	case key == "":
		_, err = c.Logs.DisassociateKmsKey(ctx, &logs.DisassociateKmsKeyInput{LogGroupName: &name})
	default:
		_, err = c.Logs.AssociateKmsKey(ctx, &logs.AssociateKmsKeyInput{LogGroupName: &name, KmsKeyId: &key})
	}
	if err != nil {
		return fmt.Errorf("setting the KMS key of log group %s: %w", name, err)
	}
	return nil
}

func updateLogTags(ctx context.Context, c *resource.Cloud, arn string, old, now map[string]string) error {
	return resource.UpdateTags(old, now, func(keys []string) (any, error) {
		return c.Logs.UntagResource(ctx, &logs.UntagResourceInput{ResourceArn: &arn, TagKeys: keys})
	}, func(tags map[string]string) (any, error) {
		return c.Logs.TagResource(ctx, &logs.TagResourceInput{ResourceArn: &arn, Tags: tags})
	})
}
