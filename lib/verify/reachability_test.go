package verify

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/stretchr/testify/assert"
)

const testPort = 8443

func tcp(port int32) ports { return ports{protocol: "tcp", from: port, to: port} }

func from(group string, port int32) rule { return rule{ports: tcp(port), group: group} }

func anyone(port int32) rule {
	return rule{ports: tcp(port), cidr: netip.MustParsePrefix("0.0.0.0/0")}
}

// goodNodes is the stack as it should be.
func goodNodes() []node {
	public := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}
	private := []netip.Prefix{netip.MustParsePrefix("10.0.16.0/20")}
	return []node{
		{part: internet},
		{part: roleDefault, group: "sg-default", prefixes: private},
		{
			part: partALB, group: "sg-alb", prefixes: public,
			ingress: []rule{anyone(httpsPort), anyone(httpPort)},
			egress:  []rule{from("sg-api", testPort), from("sg-job", testPort)},
		},
		{
			part: partPaymentAPI, group: "sg-api", prefixes: private,
			ingress: []rule{from("sg-alb", testPort)},
			egress:  []rule{from("sg-db", postgresPort), anyone(httpsPort)},
		},
		{
			part: partJobProcessor, group: "sg-job", prefixes: private,
			ingress: []rule{from("sg-alb", testPort)},
			egress:  []rule{from("sg-db", postgresPort), anyone(httpsPort)},
		},
		{
			part: partDatabase, group: "sg-db", prefixes: private,
			ingress: []rule{from("sg-api", postgresPort), from("sg-job", postgresPort)},
		},
	}
}

func testVPC() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")} }

// beyond lists what is open beyond the allowed table, and what of the table is shut.
func beyond(nodes []node) (open, shut []string) {
	got, allowed := flows(append(nodes, externalGroups(nodes)...), testVPC()), allowedFlows(testPort, false)
	return texts(except(got, allowed), flow.String), texts(except(allowed, got), flow.String)
}

func TestTheStacksRulesOpenExactlyTheAllowedFlows(t *testing.T) {
	open, shut := beyond(goodNodes())
	assert.Empty(t, open)
	assert.Empty(t, shut)
}

func TestEveryWideningOrNarrowingOfTheRulesShows(t *testing.T) {
	part := func(nodes []node, name string) *node {
		return &nodes[slices.IndexFunc(nodes, func(n node) bool { return n.part == name })]
	}
	for _, c := range []struct {
		what       string
		change     func([]node)
		open, shut string
	}{
		{"the whole VPC may connect to the database", func(n []node) {
			part(n, partDatabase).ingress = append(part(n, partDatabase).ingress, rule{ports: tcp(postgresPort), cidr: testVPC()[0]})
			part(n, roleDefault).egress = []rule{{ports: ports{protocol: "-1"}, cidr: netip.MustParsePrefix("0.0.0.0/0")}}
		}, "default → db tcp 5432", ""},
		{"the database is open to the internet", func(n []node) {
			part(n, partDatabase).ingress = append(part(n, partDatabase).ingress, anyone(postgresPort))
		}, "internet → db tcp 5432", ""},
		{"a port range hides SSH", func(n []node) {
			part(n, partPaymentAPI).ingress = []rule{{ports: ports{"tcp", 20, 9000}, group: "sg-alb"}}
			part(n, partALB).egress = append(part(n, partALB).egress, from("sg-api", 22))
		}, "alb → payment-api tcp 22", ""},
		{"the services may talk to each other", func(n []node) {
			part(n, partPaymentAPI).egress = append(part(n, partPaymentAPI).egress, from("sg-job", testPort))
			part(n, partJobProcessor).ingress = append(part(n, partJobProcessor).ingress, from("sg-api", testPort))
		}, "payment-api → job-processor tcp 8443", ""},
		{"the database may call out", func(n []node) {
			part(n, partDatabase).egress = []rule{anyone(httpsPort)}
		}, "db → internet tcp 443", ""},
		{"half of the internet counts as the internet", func(n []node) {
			part(n, partDatabase).egress = []rule{{ports: tcp(25), cidr: netip.MustParsePrefix("128.0.0.0/1")}}
		}, "db → internet tcp 25", ""},
		{"IPv6 counts as the internet", func(n []node) {
			part(n, partDatabase).ingress = append(part(n, partDatabase).ingress, rule{ports: tcp(22), cidr: netip.MustParsePrefix("::/0")})
		}, "internet → db tcp 22", ""},
		{"a prefix list holds part of the internet", func(n []node) {
			list := []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
			part(n, partDatabase).ingress = append(part(n, partDatabase).ingress, rule{ports: tcp(postgresPort), listID: "pl-1", list: list})
		}, "internet → db tcp 5432", ""},
		{"a prefix list holds the private subnets", func(n []node) {
			list := []netip.Prefix{testVPC()[0]}
			part(n, partPaymentAPI).ingress = append(part(n, partPaymentAPI).ingress, rule{ports: tcp(22), listID: "pl-1", list: list})
			part(n, partJobProcessor).egress = append(part(n, partJobProcessor).egress, rule{ports: tcp(22), listID: "pl-1", list: list})
		}, "job-processor → payment-api tcp 22", ""},
		{"a group of another VPC may connect to the database", func(n []node) {
			part(n, partDatabase).ingress = append(part(n, partDatabase).ingress, from("sg-peer", postgresPort))
		}, "sg-peer → db tcp 5432", ""},
		{"the database lets job-processor in no more", func(n []node) {
			part(n, partDatabase).ingress = []rule{from("sg-api", postgresPort)}
		}, "", "job-processor → db tcp 5432"},
		{"payment-api may call out no more", func(n []node) {
			part(n, partPaymentAPI).egress = []rule{from("sg-db", postgresPort)}
		}, "", "payment-api → internet tcp 443"},
	} {
		t.Run(c.what, func(t *testing.T) {
			nodes := goodNodes()
			c.change(nodes)
			open, shut := beyond(nodes)
			if c.open != "" {
				assert.Contains(t, open, c.open)
			}
			if c.shut != "" {
				assert.Contains(t, shut, c.shut)
			}
		})
	}
}

func TestPermissionsBecomeOneRulePerPeerAndDirection(t *testing.T) {
	rules := parseRules([]ec2types.IpPermission{
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
		got = append(got, r.peerName(map[string]string{"sg-1": partALB}, testVPC())+" "+r.ports.String())
	}
	want := []string{"alb tcp 443", "internet tcp 443", "internet tcp 443", "internet tcp 443", "pl-1 tcp 443", "sg-2 everything"}
	assert.Equal(t, want, got)
}
