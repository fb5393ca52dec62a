package preflight

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	route53types "github.com/aws/aws-sdk-go-v2/service/route53/types"

	"tapstack/lib/cloud"
)

// expiresSoon is when a certificate that nobody has renewed is worth a word. ACM renews its own 60 days ahead.
const expiresSoon = 30 * 24 * time.Hour

func lookAtCertificate(ctx context.Context, in *inspection) []Finding {
	switch c := in.Config; {
	case c.CertificateArn != "":
		return []Finding{in.lookAtGivenCertificate(ctx)}
	case c.HostedZoneID != "":
		return in.lookAtDomain(ctx)
	}
	return []Finding{{Status: OK, Detail: "none is given: the stack makes a self-signed one, for tests only"}}
}

func (in *inspection) lookAtGivenCertificate(ctx context.Context) Finding {
	given := in.Config.CertificateArn
	if parsed, err := arn.Parse(given); err == nil && parsed.Region != in.region {
		return Finding{
			Status: Problem, Detail: fmt.Sprintf("%s is in %s, and the load balancer in %s", given, parsed.Region, in.region),
			Advice: "Set certificateArn to a certificate in " + in.region + ".",
		}
	}
	out, err := in.api.ACM.DescribeCertificate(ctx, &acm.DescribeCertificateInput{CertificateArn: &given})
	if cloud.HasCode(err, "ResourceNotFoundException") {
		return Finding{
			Status: Problem, Detail: given + " does not exist",
			Advice: "Set certificateArn to one of: aws acm list-certificates --region " + in.region,
		}
	}
	if err != nil {
		return unknown("", err)
	}
	if out.Certificate == nil {
		return Finding{Status: Unknown, Detail: "the answer for " + given + " holds no certificate"}
	}
	return in.judgeCertificate(*out.Certificate)
}

func (in *inspection) judgeCertificate(c acmtypes.CertificateDetail) Finding {
	name := aws.ToString(c.DomainName)
	if c.Status != acmtypes.CertificateStatusIssued {
		return Finding{
			Status: Problem, Detail: fmt.Sprintf("the certificate for %s is %s, not ISSUED", name, c.Status),
			Advice: "Finish its validation, or set certificateArn to another.",
		}
	}
	until := aws.ToTime(c.NotAfter)
	switch {
	case until.IsZero():
		return Finding{Status: OK, Detail: "issued for " + name}
	case !until.After(in.now):
		return Finding{
			Status: Problem, Detail: fmt.Sprintf("the certificate for %s expired on %s", name, until.UTC().Format(time.DateOnly)),
			Advice: "Renew it, or set certificateArn to another.",
		}
	case until.Before(in.now.Add(expiresSoon)):
		return Finding{
			Status: Warning, Detail: fmt.Sprintf("the certificate for %s expires on %s", name, until.UTC().Format(time.DateOnly)),
			Advice: "Renew it, or see why ACM has not.",
		}
	}
	return Finding{Status: OK, Detail: fmt.Sprintf("issued for %s until %s", name, until.UTC().Format(time.DateOnly))}
}

// lookAtDomain looks at what validation by DNS and the alias record need.
func (in *inspection) lookAtDomain(ctx context.Context) []Finding {
	const what = "hosted zone"
	id, domain := in.Config.HostedZoneID, in.Config.DomainName
	out, err := in.api.Route53.GetHostedZone(ctx, &route53.GetHostedZoneInput{Id: &id})
	switch {
	case cloud.HasCode(err, "NoSuchHostedZone", "InvalidInput"):
		return []Finding{{what, Problem, id + " does not exist in this account", "Set hostedZoneId to one of: aws route53 list-hosted-zones"}}
	case err != nil:
		return []Finding{unknown(what, err)}
	case out.HostedZone == nil:
		return []Finding{{What: what, Status: Unknown, Detail: "the answer for " + id + " holds no zone"}}
	}
	name := strings.TrimSuffix(aws.ToString(out.HostedZone.Name), ".")
	if domain != name && !strings.HasSuffix(domain, "."+name) {
		return []Finding{{
			what, Problem, fmt.Sprintf("%s holds %s, which domainName %s is not in", id, name, domain),
			"Set hostedZoneId to the zone that holds domainName.",
		}}
	}
	if out.HostedZone.Config != nil && out.HostedZone.Config.PrivateZone {
		return []Finding{{
			what, Problem, fmt.Sprintf("%s (%s) is private: ACM cannot validate a certificate in it", id, name),
			"Set hostedZoneId to a public zone.",
		}}
	}
	return []Finding{{What: what, Status: OK, Detail: fmt.Sprintf("%s (%s) holds %s", id, name, domain)}, in.lookAtRecord(ctx)}
}

// lookAtRecord makes sure that nothing else has the stack's address record.
func (in *inspection) lookAtRecord(ctx context.Context) Finding {
	const what = "DNS record"
	domain := in.Config.DomainName
	out, err := in.api.Route53.ListResourceRecordSets(ctx, &route53.ListResourceRecordSetsInput{
		HostedZoneId: &in.Config.HostedZoneID, StartRecordName: &domain, MaxItems: aws.Int32(20),
	})
	if err != nil {
		return unknown(what, err)
	}
	for _, r := range out.ResourceRecordSets {
		own := strings.TrimSuffix(aws.ToString(r.Name), ".") == domain
		if own && (r.Type == route53types.RRTypeA || r.Type == route53types.RRTypeCname) && !in.Deployed {
			return Finding{
				what, Problem, fmt.Sprintf("%s has a record of type %s already", domain, r.Type),
				"Delete the record, or choose another domainName.",
			}
		}
	}
	if in.Deployed {
		return Finding{What: what, Status: OK, Detail: domain + " is the stack's own"}
	}
	return Finding{What: what, Status: OK, Detail: domain + " is free"}
}
