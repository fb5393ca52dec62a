package inventory

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"tapstack/lib/cloud"
)

func ssmKinds() []*Kind { return []*Kind{Parameter} }

var Parameter = &Kind{
	Name: "parameter", Service: "ssm", Types: []string{"aws:ssm/parameter:Parameter"}, NameInput: "name",
	Free: "standard parameters are free",
	IAM:  []IAMResource{{Sid: "Parameter", Types: []string{"parameter"}, ARN: "parameter{name}"}},
	list: each((*cloud.Reader).Parameters, func(ctx context.Context, s *search, p ssmtypes.ParameterMetadata) Resource {
		name := aws.ToString(p.Name)
		return Resource{Name: name, ARN: s.ARN(ctx, "ssm", "parameter/"+strings.TrimPrefix(name, "/"))}
	}),
	tags: func(ctx context.Context, s *search, r Resource) (map[string]string, error) {
		out, err := s.SSM.ListTagsForResource(ctx, &ssm.ListTagsForResourceInput{
			ResourceType: ssmtypes.ResourceTypeForTaggingParameter, ResourceId: &r.Name,
		})
		if err != nil {
			return nil, err
		}
		return cloud.TagMap(out.TagList, func(t ssmtypes.Tag) (*string, *string) { return t.Key, t.Value }), nil
	},
}
