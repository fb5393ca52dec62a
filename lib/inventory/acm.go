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
}

// listCertificates leaves out what carries tags of others, and asks every other certificate for its tags: nothing else tells
// whose it is. That a listener presents one proves nothing: the configuration may have brought it along.
func listCertificates(ctx context.Context, s *search) ([]Resource, error) {
	all, err := s.Certificates(ctx)
	if err != nil {
		return nil, err
	}
	foreign := s.foreign(ctx, Certificate, "acm:certificate")
	return collect(all, func(c acmtypes.CertificateSummary) ([]Resource, error) {
		if foreign[aws.ToString(c.CertificateArn)] {
			return nil, nil
		}
		answer, err := s.ACM.ListTagsForCertificate(ctx, &acm.ListTagsForCertificateInput{CertificateArn: c.CertificateArn})
		if err != nil && cloud.IsNotFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		tags := cloud.TagMap(answer.Tags, func(t acmtypes.Tag) (*string, *string) { return t.Key, t.Value })
		return []Resource{{Name: tags[tagName], ARN: aws.ToString(c.CertificateArn), Tags: tags}}, nil
	})
}
