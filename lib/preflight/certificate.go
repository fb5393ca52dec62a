package preflight

import (
	"context"
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
	return []Finding{fine("none is given: the stack makes a self-signed one, for tests only")}
}

func (in *inspection) lookAtGivenCertificate(ctx context.Context) Finding {
	given := in.Config.CertificateArn
	if parsed, err := arn.Parse(given); err == nil && parsed.Region != in.region {
		return problem("Set certificateArn to a certificate in "+in.region+".",
			"%s is in %s, and the load balancer in %s", given, parsed.Region, in.region)
	}
	out, err := in.api.ACM.DescribeCertificate(ctx, &acm.DescribeCertificateInput{CertificateArn: &given})
	switch {
	case cloud.HasCode(err, "ResourceNotFoundException"):
		return problem("Set certificateArn to one of: aws acm list-certificates --region "+in.region, "%s does not exist", given)
	case err != nil:
		return unread(err)
	case out.Certificate == nil:
		return unknown("the answer for %s holds no certificate", given)
	}
	return in.judgeCertificate(*out.Certificate)
}

func (in *inspection) judgeCertificate(c acmtypes.CertificateDetail) Finding {
	name, until := aws.ToString(c.DomainName), aws.ToTime(c.NotAfter)
	day := until.UTC().Format(time.DateOnly)
	switch {
	case c.Status != acmtypes.CertificateStatusIssued:
		return problem("Finish its validation, or set certificateArn to another.", "the certificate for %s is %s, not ISSUED", name, c.Status)
	case until.IsZero():
		return fine("issued for %s", name)
	case !until.After(in.now):
		return problem("Renew it, or set certificateArn to another.", "the certificate for %s expired on %s", name, day)
	case until.Before(in.now.Add(expiresSoon)):
		return warning("Renew it, or see why ACM has not.", "the certificate for %s expires on %s", name, day)
	}
	return fine("issued for %s until %s", name, day)
}

// lookAtDomain looks at what validation by DNS and the alias record need.
func (in *inspection) lookAtDomain(ctx context.Context) []Finding {
	zone := in.lookAtHostedZone(ctx).about("hosted zone")
	if zone.Status != OK {
		return []Finding{zone}
	}
	return []Finding{zone, in.lookAtRecord(ctx).about("DNS record")}
}

func (in *inspection) lookAtHostedZone(ctx context.Context) Finding {
	id, domain := in.Config.HostedZoneID, in.Config.DomainName
	out, err := in.api.Route53.GetHostedZone(ctx, &route53.GetHostedZoneInput{Id: &id})
	switch {
	case cloud.HasCode(err, "NoSuchHostedZone", "InvalidInput"):
		return problem("Set hostedZoneId to one of: aws route53 list-hosted-zones", "%s does not exist in this account", id)
	case err != nil:
		return unread(err)
	case out.HostedZone == nil:
		return unknown("the answer for %s holds no zone", id)
	}
	name := strings.TrimSuffix(aws.ToString(out.HostedZone.Name), ".")
	switch config := out.HostedZone.Config; {
	case domain != name && !strings.HasSuffix(domain, "."+name):
		return problem("Set hostedZoneId to the zone that holds domainName.", "%s holds %s, which domainName %s is not in", id, name, domain)
	case config != nil && config.PrivateZone:
		return problem("Set hostedZoneId to a public zone.", "%s (%s) is private: ACM cannot validate a certificate in it", id, name)
	}
	return fine("%s (%s) holds %s", id, name, domain)
}

// lookAtRecord makes sure that nothing else has the stack's address record.
func (in *inspection) lookAtRecord(ctx context.Context) Finding {
	domain := in.Config.DomainName
	out, err := in.api.Route53.ListResourceRecordSets(ctx, &route53.ListResourceRecordSetsInput{
		HostedZoneId: &in.Config.HostedZoneID, StartRecordName: &domain, MaxItems: aws.Int32(20),
	})
	if err != nil {
		return unread(err)
	}
	for _, r := range out.ResourceRecordSets {
		own := strings.TrimSuffix(aws.ToString(r.Name), ".") == domain
		if own && (r.Type == route53types.RRTypeA || r.Type == route53types.RRTypeCname) && !in.Deployed {
			return problem("Delete the record, or choose another domainName.", "%s has a record of type %s already", domain, r.Type)
		}
	}
	if in.Deployed {
		return fine("%s is the stack's own", domain)
	}
	return fine("%s is free", domain)
}
