package inventory

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"tapstack/lib/cloud"
)

// ClaimName is the name of the parameter that says in the account which state has a stack. The program does not make it.
func ClaimName(suffix string) string { return "/payment/" + suffix + "/state" }

// IsClaim tells whether a resource is such a parameter.
func IsClaim(r Resource) bool {
	return r.Kind == Parameter && r.Suffix != "" && r.Name == ClaimName(r.Suffix)
}

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
