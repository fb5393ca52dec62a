package verify

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"tapstack/lib/reachability"
)

const testPort = 8443

func from(group string, port int32) reachability.Rule {
	return reachability.Rule{Ports: reachability.TCP(port), Group: group}
}

func anyone(port int32) reachability.Rule {
	return reachability.Rule{Ports: reachability.TCP(port), CIDR: netip.MustParsePrefix("0.0.0.0/0")}
}

// goodNodes is the stack as it should be.
func goodNodes() []reachability.Node {
	public := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}
	private := []netip.Prefix{netip.MustParsePrefix("10.0.16.0/20")}
	return []reachability.Node{
		{Part: reachability.Internet},
		{Part: roleDefault, Group: "sg-default", Prefixes: private},
		{
			Part: partALB, Group: "sg-alb", Prefixes: public,
			Ingress: []reachability.Rule{anyone(httpsPort), anyone(httpPort)},
			Egress:  []reachability.Rule{from("sg-api", testPort), from("sg-job", testPort)},
		},
		{
			Part: partPaymentAPI, Group: "sg-api", Prefixes: private,
			Ingress: []reachability.Rule{from("sg-alb", testPort)},
			Egress:  []reachability.Rule{from("sg-db", postgresPort), anyone(httpsPort)},
		},
		{
			Part: partJobProcessor, Group: "sg-job", Prefixes: private,
			Ingress: []reachability.Rule{from("sg-alb", testPort)},
			Egress:  []reachability.Rule{from("sg-db", postgresPort), anyone(httpsPort)},
		},
		{
			Part: partPaymentMigrate, Group: "sg-migrate", Prefixes: private,
			Egress: []reachability.Rule{from("sg-db", postgresPort), anyone(httpsPort)},
		},
		{
			Part: partDatabase, Group: "sg-db", Prefixes: private,
			Ingress: []reachability.Rule{from("sg-api", postgresPort), from("sg-job", postgresPort), from("sg-migrate", postgresPort)},
		},
	}
}

func testVPC() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")} }

// beyond lists what is open beyond the allowed table, and what of the table is shut.
func beyond(nodes []reachability.Node) (open, shut []string) {
	got, allowed := reachability.Flows(append(nodes, reachability.External(nodes)...), testVPC()), allowedFlows(testPort, false)
	return texts(except(got, allowed), reachability.Flow.String), texts(except(allowed, got), reachability.Flow.String)
}

func TestTheStacksRulesOpenExactlyTheAllowedFlows(t *testing.T) {
	open, shut := beyond(goodNodes())
	assert.Empty(t, open)
	assert.Empty(t, shut)
}

func TestEveryWideningOrNarrowingOfTheRulesShows(t *testing.T) {
	part := func(nodes []reachability.Node, name string) *reachability.Node {
		return &nodes[slices.IndexFunc(nodes, func(n reachability.Node) bool { return n.Part == name })]
	}
	for _, c := range []struct {
		what       string
		change     func([]reachability.Node)
		open, shut string
	}{
		{"the whole VPC may connect to the database", func(n []reachability.Node) {
			part(n, partDatabase).Ingress = append(part(n, partDatabase).Ingress, reachability.Rule{Ports: reachability.TCP(postgresPort), CIDR: testVPC()[0]})
			part(n, roleDefault).Egress = []reachability.Rule{{Ports: reachability.Ports{Protocol: "-1"}, CIDR: netip.MustParsePrefix("0.0.0.0/0")}}
		}, "default → db tcp 5432", ""},
		{"the database is open to the internet", func(n []reachability.Node) {
			part(n, partDatabase).Ingress = append(part(n, partDatabase).Ingress, anyone(postgresPort))
		}, "internet → db tcp 5432", ""},
		{"a port range hides SSH", func(n []reachability.Node) {
			part(n, partPaymentAPI).Ingress = []reachability.Rule{{Ports: reachability.Ports{Protocol: "tcp", From: 20, To: 9000}, Group: "sg-alb"}}
			part(n, partALB).Egress = append(part(n, partALB).Egress, from("sg-api", 22))
		}, "alb → payment-api tcp 22", ""},
		{"the services may talk to each other", func(n []reachability.Node) {
			part(n, partPaymentAPI).Egress = append(part(n, partPaymentAPI).Egress, from("sg-job", testPort))
			part(n, partJobProcessor).Ingress = append(part(n, partJobProcessor).Ingress, from("sg-api", testPort))
		}, "payment-api → job-processor tcp 8443", ""},
		{"the database may call out", func(n []reachability.Node) {
			part(n, partDatabase).Egress = []reachability.Rule{anyone(httpsPort)}
		}, "db → internet tcp 443", ""},
		{"half of the internet counts as the internet", func(n []reachability.Node) {
			part(n, partDatabase).Egress = []reachability.Rule{{Ports: reachability.TCP(25), CIDR: netip.MustParsePrefix("128.0.0.0/1")}}
		}, "db → internet tcp 25", ""},
		{"IPv6 counts as the internet", func(n []reachability.Node) {
			part(n, partDatabase).Ingress = append(part(n, partDatabase).Ingress, reachability.Rule{Ports: reachability.TCP(22), CIDR: netip.MustParsePrefix("::/0")})
		}, "internet → db tcp 22", ""},
		{"a prefix list holds part of the internet", func(n []reachability.Node) {
			list := []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
			part(n, partDatabase).Ingress = append(part(n, partDatabase).Ingress, reachability.Rule{Ports: reachability.TCP(postgresPort), ListID: "pl-1", List: list})
		}, "internet → db tcp 5432", ""},
		{"a prefix list holds the private subnets", func(n []reachability.Node) {
			list := []netip.Prefix{testVPC()[0]}
			part(n, partPaymentAPI).Ingress = append(part(n, partPaymentAPI).Ingress, reachability.Rule{Ports: reachability.TCP(22), ListID: "pl-1", List: list})
			part(n, partJobProcessor).Egress = append(part(n, partJobProcessor).Egress, reachability.Rule{Ports: reachability.TCP(22), ListID: "pl-1", List: list})
		}, "job-processor → payment-api tcp 22", ""},
		{"a group of another VPC may connect to the database", func(n []reachability.Node) {
			part(n, partDatabase).Ingress = append(part(n, partDatabase).Ingress, from("sg-peer", postgresPort))
		}, "sg-peer → db tcp 5432", ""},
		{"the database lets job-processor in no more", func(n []reachability.Node) {
			part(n, partDatabase).Ingress = []reachability.Rule{from("sg-api", postgresPort)}
		}, "", "job-processor → db tcp 5432"},
		{"payment-api may call out no more", func(n []reachability.Node) {
			part(n, partPaymentAPI).Egress = []reachability.Rule{from("sg-db", postgresPort)}
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
