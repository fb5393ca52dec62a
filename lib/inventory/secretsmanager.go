package inventory

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"tapstack/lib/cloud"
)

func secretsManagerKinds() []*Kind { return []*Kind{Secret} }

// Secret includes those that are scheduled for deletion, which keep their names until then.
var Secret = &Kind{
	Name: "secret", Service: "secretsmanager", Types: []string{"aws:secretsmanager/secret:Secret"}, NameInput: "name",
	Parts: map[string]string{"aws:secretsmanager/secretPolicy:SecretPolicy": partOf, "aws:secretsmanager/secretVersion:SecretVersion": partOf},
	IAM:   []IAMResource{{Sid: "Secret", ARN: "secret:{name}"}},
	Lost:  "its value",
	list: each((*cloud.Reader).Secrets, func(_ context.Context, _ *search, e smtypes.SecretListEntry) Resource {
		tags := cloud.TagMap(e.Tags, func(t smtypes.Tag) (*string, *string) { return t.Key, t.Value })
		return Resource{Name: aws.ToString(e.Name), ARN: aws.ToString(e.ARN), Tags: tags}
	}),
}
