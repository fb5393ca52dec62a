package inventory

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"
	waftypes "github.com/aws/aws-sdk-go-v2/service/wafv2/types"

	"tapstack/lib/cloud"
)

func wafKinds() []*Kind { return []*Kind{WebACL} }

var WebACL = &Kind{
	Name: "web ACL", Service: "wafv2", Types: []string{"aws:wafv2/webAcl:WebAcl"}, NameInput: "name",
	Parts: map[string]string{
		"aws:wafv2/webAclAssociation:WebAclAssociation":                   partOf,
		"aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": "",
	},
	Removal: Removal{Limit: networkLimit},
	IAM:     []IAMResource{{Sid: "Acl", Types: []string{"webacl"}, ARN: "regional/webacl/{name}/*"}},
	list: each((*cloud.Reader).WebACLs, func(_ context.Context, _ *search, a waftypes.WebACLSummary) Resource {
		return Resource{Name: aws.ToString(a.Name), ARN: aws.ToString(a.ARN)}
	}),
	tags: func(ctx context.Context, s *search, r Resource) (map[string]string, error) {
		out, err := s.WAF.ListTagsForResource(ctx, &wafv2.ListTagsForResourceInput{ResourceARN: &r.ARN})
		if err != nil || out.TagInfoForResource == nil {
			return nil, err
		}
		return cloud.TagMap(out.TagInfoForResource.TagList, func(t waftypes.Tag) (*string, *string) { return t.Key, t.Value }), nil
	},
}
