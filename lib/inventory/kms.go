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

// Key leaves out those of others, and those that wait for their deletion, which nobody can hasten.
var Key = &Kind{
	Name: "KMS key", Service: "kms", Types: []string{"aws:kms/key:Key"},
	IAM:  []IAMResource{{Sid: "Key", Types: []string{"key"}, ARN: "key/*"}},
	Lost: "the way to read what it encrypts",
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
	foreign, err := s.foreignKeys(ctx)
	if err != nil {
		return nil, err
	}
	return collect(keys, func(listed kmstypes.KeyListEntry) ([]Resource, error) {
		arn := aws.ToString(listed.KeyArn)
		if foreign(listed) && arn != ofTopic {
			return nil, nil
		}
		return s.key(ctx, aws.ToString(listed.KeyId), arn == ofTopic)
	})
}

// foreignKeys tells which keys need not be asked about: those with tags of others, and those that have aliases, none of
// which the stack gives. A key of the stack carries its tags from its creation on, and gets its alias next.
func (s *search) foreignKeys(ctx context.Context) (func(kmstypes.KeyListEntry) bool, error) {
	aliases, err := s.KeyAliases(ctx)
	if err != nil {
		return nil, err
	}
	own := map[string]bool{} // by the id of the key: whether one of its aliases may be the stack's
	for _, a := range aliases {
		id := aws.ToString(a.TargetKeyId)
		own[id] = own[id] || s.mayOwn(KeyAlias, aws.ToString(a.AliasName))
	}
	tagged := s.foreign(ctx, Key, "kms:key")
	return func(k kmstypes.KeyListEntry) bool {
		mayBeOwn, aliased := own[aws.ToString(k.KeyId)]
		return tagged[aws.ToString(k.KeyArn)] || aliased && !mayBeOwn
	}, nil
}

// key is a key that may be of a stack; none otherwise.
func (s *search) key(ctx context.Context, id string, ofTopic bool) ([]Resource, error) {
	list, err := cloud.Pages(ctx, kms.NewListResourceTagsPaginator(s.KMS, &kms.ListResourceTagsInput{KeyId: &id}),
		func(o *kms.ListResourceTagsOutput) []kmstypes.Tag { return o.Tags })
	if err != nil {
		return nil, fmt.Errorf("reading the tags of key %s: %w", id, err)
	}
	tags := cloud.TagMap(list, func(t kmstypes.Tag) (*string, *string) { return t.TagKey, t.TagValue })
	if !ofTopic && !s.claimed(Key, tags) {
		return nil, nil
	}
	key, err := s.Key(ctx, id)
	if err != nil || key.KeyManager == kmstypes.KeyManagerTypeAws || key.KeyState == kmstypes.KeyStatePendingDeletion {
		return nil, err
	}
	return []Resource{{Name: tags[tagName], ARN: aws.ToString(key.Arn), Tags: tags, ofStack: ofTopic}}, nil
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
