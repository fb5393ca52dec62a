package reachability

import (
	"net/netip"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/stretchr/testify/assert"
)

func TestPermissionsBecomeOneRulePerPeerAndDirection(t *testing.T) {
	rules := ParseRules([]ec2types.IpPermission{
		{
			IpProtocol: aws.String("tcp"), FromPort: aws.Int32(443), ToPort: aws.Int32(443),
			IpRanges:         []ec2types.IpRange{{CidrIp: aws.String("0.0.0.0/0"), Description: aws.String("all")}, {CidrIp: aws.String("not a range")}},
			Ipv6Ranges:       []ec2types.Ipv6Range{{CidrIpv6: aws.String("::/0")}},
			UserIdGroupPairs: []ec2types.UserIdGroupPair{{GroupId: aws.String("sg-1")}},
			PrefixListIds:    []ec2types.PrefixListId{{PrefixListId: aws.String("pl-1")}},
		},
		{IpProtocol: aws.String("-1"), UserIdGroupPairs: []ec2types.UserIdGroupPair{{GroupId: aws.String("sg-2")}}},
	}, nil)
	var got []string
	for _, r := range rules {
		got = append(got, r.Peer(map[string]string{"sg-1": "alb"}, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")})+" "+r.Ports.String())
	}
	want := []string{"alb tcp 443", "internet tcp 443", "internet tcp 443", "internet tcp 443", "pl-1 tcp 443", "sg-2 everything"}
	assert.Equal(t, want, got)
}
