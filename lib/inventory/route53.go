package inventory

import (
	"cmp"
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	route53types "github.com/aws/aws-sdk-go-v2/service/route53/types"

	"tapstack/lib"
	"tapstack/lib/cloud"
)

func route53Kinds() []*Kind { return []*Kind{DNSRecord} }

// DNSRecord is an alias record that points at a load balancer; its own name is the configuration's.
var DNSRecord = &Kind{
	Name: "DNS record", Service: "route53", Types: []string{"aws:route53/record:Record"}, Untagged: true,
	NotInIAM: "a nightly has no domainName",
	Removal:  Removal{Proof: ByOwner},
	list:     listRecords,
}

// listRecords names the records after the load balancers that they point at.
func listRecords(ctx context.Context, s *search) ([]Resource, error) {
	zones, err1 := cloud.Pages(ctx, route53.NewListHostedZonesPaginator(s.Route53, &route53.ListHostedZonesInput{}),
		func(o *route53.ListHostedZonesOutput) []route53types.HostedZone { return o.HostedZones })
	balancers, err2 := s.LoadBalancers(ctx)
	if err := cmp.Or(err1, err2); err != nil {
		return nil, err
	}
	arns := map[string][]string{}
	for _, b := range balancers {
		arns[dnsName(b.DNSName)] = []string{aws.ToString(b.LoadBalancerArn)}
	}
	var all []Resource
	for _, z := range zones {
		records, err := cloud.Pages(ctx, route53.NewListResourceRecordSetsPaginator(s.Route53, &route53.ListResourceRecordSetsInput{HostedZoneId: z.Id}),
			func(o *route53.ListResourceRecordSetsOutput) []route53types.ResourceRecordSet {
				return o.ResourceRecordSets
			})
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			if r.AliasTarget != nil && s.owns(LoadBalancer, loadBalancerIn(aws.ToString(r.AliasTarget.DNSName))) {
				all = append(all, Resource{
					Name: lib.PhysicalName("dns-record", s.suffix), ARN: aws.ToString(z.Id) + "/" + aws.ToString(r.Name), Tags: briefTags(),
					ID: strings.TrimSpace(string(r.Type) + " " + aws.ToString(r.SetIdentifier)), PartOf: arns[dnsName(r.AliasTarget.DNSName)],
				})
			}
		}
	}
	return all, nil
}

// dnsName is a name as Route 53 and load balancers tell it, in one form.
func dnsName(name *string) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(aws.ToString(name), "dualstack."), "."))
}

// loadBalancerIn is the load balancer's name in its DNS name, which is "name-number.region.elb.amazonaws.com".
func loadBalancerIn(dns string) string {
	host, rest, _ := strings.Cut(strings.TrimPrefix(dns, "dualstack."), ".")
	if !strings.Contains(rest, "elb.") {
		return ""
	}
	i := strings.LastIndex(host, "-")
	if i < 0 {
		return ""
	}
	return host[:i]
}
