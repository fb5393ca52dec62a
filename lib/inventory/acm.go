package inventory

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"

	"tapstack/lib/cloud"
)

func acmKinds() []*Kind { return []*Kind{Certificate} }

var Certificate = &Kind{
	Name: "certificate", Service: "acm", Types: []string{"aws:acm/certificate:Certificate"},
	Free:    "public and imported certificates are free",
	Parts:   map[string]string{"aws:acm/certificateValidation:CertificateValidation": notInCloud},
	Removal: Removal{Limit: networkLimit},
	IAM:     []IAMResource{{Sid: "Certificate", Types: []string{"certificate"}, ARN: "certificate/*"}},
	list:    listCertificates,
}

// listCertificates asks every certificate for its tags: nothing else tells whose it is. That a listener presents one
// proves nothing: the configuration may have brought it along.
func listCertificates(ctx context.Context, s *search) ([]Resource, error) {
	all, err := s.Certificates(ctx)
	if err != nil {
		return nil, err
	}
	var out []Resource
	for _, c := range all {
		answer, err := s.ACM.ListTagsForCertificate(ctx, &acm.ListTagsForCertificateInput{CertificateArn: c.CertificateArn})
		if err != nil && cloud.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		tags := cloud.TagMap(answer.Tags, func(t acmtypes.Tag) (*string, *string) { return t.Key, t.Value })
		out = append(out, Resource{Name: tags[tagName], ARN: aws.ToString(c.CertificateArn), Tags: tags})
	}
	return out, nil
}
