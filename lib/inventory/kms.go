package inventory

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

func kmsKinds() []*Kind { return []*Kind{Key, KeyAlias} }

// Key leaves out AWS's own and those that wait for their deletion, which nobody can hasten.
var Key = &Kind{
	Name: "KMS key", Service: "kms", Types: []string{"aws:kms/key:Key"},
	IAM:  []IAMResource{{Sid: "Key", Types: []string{"key"}, ARN: "key/*"}},
	Lost: "the way to read what it encrypts",
	list: listKeys,
}

func listKeys(ctx context.Context, s *search) ([]Resource, error) {
	keys, err := s.Keys(ctx)
	if err != nil {
		return nil, err
	}
	ofTopic := ""
	if topic := s.output(lib.OutputAlertsTopicArn); topic != "" {
		attributes, err := s.TopicAttributes(ctx, topic)
		if err != nil && !cloud.IsNotFound(err) {
			return nil, err
		}
		ofTopic = attributes["KmsMasterKeyId"]
	}
	var all []Resource
	for _, listed := range keys {
		id := aws.ToString(listed.KeyId)
		key, err := s.Key(ctx, id)
		if err != nil {
			return nil, err
		}
		if key.KeyManager == kmstypes.KeyManagerTypeAws || key.KeyState == kmstypes.KeyStatePendingDeletion {
			continue
		}
		tags, err := cloud.Pages(ctx, kms.NewListResourceTagsPaginator(s.KMS, &kms.ListResourceTagsInput{KeyId: &id}),
			func(o *kms.ListResourceTagsOutput) []kmstypes.Tag { return o.Tags })
		if err != nil {
			return nil, fmt.Errorf("reading the tags of key %s: %w", id, err)
		}
		m := cloud.TagMap(tags, func(t kmstypes.Tag) (*string, *string) { return t.TagKey, t.TagValue })
		all = append(all, Resource{Name: m[tagName], ARN: aws.ToString(key.Arn), Tags: m, ofStack: aws.ToString(key.Arn) == ofTopic})
	}
	return all, nil
}

var KeyAlias = &Kind{
	Name: "KMS alias", Service: "kms", Types: []string{"aws:kms/alias:Alias"}, NameInput: "name", Untagged: true, Free: partOf,
	Removal: Removal{Proof: ByOwnerAndName, HoldsOwner: true},
	IAM:     []IAMResource{{Sid: "Alias", Types: []string{"alias"}, ARN: "{name}"}},
	list: each((*cloud.Reader).KeyAliases, func(ctx context.Context, s *search, a kmstypes.AliasListEntry) Resource {
		return Resource{
			Name: aws.ToString(a.AliasName), ARN: aws.ToString(a.AliasArn),
			PartOf: []string{s.ARN(ctx, "kms", "key/"+aws.ToString(a.TargetKeyId))},
		}
	}),
}
