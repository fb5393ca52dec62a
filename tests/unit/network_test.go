package unit_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestThreeZonesAreChosenByZoneIdAmongThoseEveryAccountHas(t *testing.T) {
	r := deploy(t, nil)
	asked := plainMap(r.calls["aws:index/getAvailabilityZones:getAvailabilityZones"].arguments)
	same(t, "question", asked, map[string]any{
		"state":   "available",
		"filters": []any{map[string]any{"name": "opt-in-status", "values": []string{"opt-in-not-required"}}},
	})
	// az1, az2 and az4 come before az6; their names are in no order.
	for i, zone := range []string{"us-east-1c", "us-east-1b", "us-east-1a"} {
		same(t, "public zone", r.one(t, fmt.Sprintf("public-subnet-%d", i+1)).at(t, "availabilityZone"), zone)
		same(t, "private zone", r.one(t, fmt.Sprintf("private-subnet-%d", i+1)).at(t, "availabilityZone"), zone)
	}
	for i, instance := range []string{"aurora-writer", "aurora-reader-1", "aurora-reader-2"} {
		same(t, instance, r.one(t, instance).at(t, "availabilityZone"), r.one(t, fmt.Sprintf("private-subnet-%d", i+1)).at(t, "availabilityZone"))
	}
}

func TestAnIncompleteZoneIsTakenOnlyWhenThereAreNotEnoughOthers(t *testing.T) {
	few := newRecorder()
	few.zones = map[string]string{"use1-az2": "us-east-1a", "use1-az3": "us-east-1b", "use1-az4": "us-east-1c"}
	if err := run(few, namespaced(legalValues(nil))); err != nil {
		t.Fatal(err)
	}
	for i, zone := range []string{"us-east-1a", "us-east-1c", "us-east-1b"} {
		same(t, "zone", few.one(t, fmt.Sprintf("public-subnet-%d", i+1)).at(t, "availabilityZone"), zone)
	}
}

// TestAZoneThatAppearsLaterMovesNothing compares two runs between which AWS opened a zone that sorts first. The engine
// keeps what ignoreChanges names, and everything else takes its zone from those resources' state: apart from the
// ignored inputs, nothing may follow the new choice except through a resource's own output.
func TestAZoneThatAppearsLaterMovesNothing(t *testing.T) {
	before := deploy(t, nil)
	after := newRecorder()
	after.zones = maps.Clone(after.zones)
	after.zones["use1-az0"] = "us-east-1f"
	if err := run(after, namespaced(legalValues(nil))); err != nil {
		t.Fatal(err)
	}
	if before.one(t, "public-subnet-1").text(t, "availabilityZone") == after.one(t, "public-subnet-1").text(t, "availabilityZone") {
		t.Fatal("the new zone was not chosen: the test shows nothing")
	}
	sources := map[string]string{
		"private-subnet-1": "public-subnet-1", "private-subnet-2": "public-subnet-2", "private-subnet-3": "public-subnet-3",
		"aurora-writer": "private-subnet-1", "aurora-reader-1": "private-subnet-2", "aurora-reader-2": "private-subnet-3",
	}
	for name, d := range after.resources {
		was := before.one(t, name)
		for input, value := range d.plain {
			if fmt.Sprint(value) == fmt.Sprint(was.plain[input]) || slices.Contains(d.request.GetIgnoreChanges(), input) {
				continue
			}
			from := d.request.GetPropertyDependencies()[input].GetUrns()
			if source := sources[name]; source == "" || !anyEndsWith(from, source) {
				t.Errorf("%s.%s follows the choice of zones: %v, then %v", name, input, was.plain[input], value)
			}
		}
	}
	for _, name := range []string{"public-subnet-1", "public-subnet-2", "public-subnet-3"} {
		same(t, name, after.one(t, name).request.GetIgnoreChanges(), []string{"availabilityZone"})
	}
}

func anyEndsWith(urns []string, name string) bool {
	return slices.ContainsFunc(urns, func(urn string) bool { return strings.HasSuffix(urn, "::"+name) })
}

func TestAConfiguredChoiceOfZonesIsObeyedAndMovesSubnets(t *testing.T) {
	r := deploy(t, map[string]string{"availabilityZones": "us-east-1f, us-east-1a,us-east-1b"})
	for i, zone := range []string{"us-east-1f", "us-east-1a", "us-east-1b"} {
		subnet := r.one(t, fmt.Sprintf("public-subnet-%d", i+1))
		same(t, "zone", subnet.at(t, "availabilityZone"), zone)
		same(t, "ignored changes", len(subnet.request.GetIgnoreChanges()), 0)
	}
	if _, called := r.calls["aws:index/getAvailabilityZones:getAvailabilityZones"]; called {
		t.Error("AWS is asked for zones although they are configured")
	}
}

func TestTheVpcResolvesItsNames(t *testing.T) {
	vpc := deploy(t, nil).one(t, "vpc")
	same(t, "DNS", []any{vpc.at(t, "enableDnsSupport"), vpc.at(t, "enableDnsHostnames")}, []any{true, true})
}

func TestEachZonesPrivateTrafficLeavesThroughItsOwnNat(t *testing.T) {
	r := deploy(t, nil)
	for i := 1; i <= 3; i++ {
		n := func(format string) string { return fmt.Sprintf(format, i) }
		nat := r.one(t, n("nat-gateway-%d"))
		same(t, "NAT", []any{nat.at(t, "subnetId"), nat.at(t, "allocationId")}, []any{n("public-subnet-%d-id"), n("nat-eip-%d-id")})
		route := r.one(t, n("private-default-route-%d"))
		same(t, "route", route.plain, map[string]any{
			"routeTableId": n("private-route-table-%d-id"), "destinationCidrBlock": "0.0.0.0/0", "natGatewayId": n("nat-gateway-%d-id"),
		})
		same(t, "private association", r.one(t, n("private-route-table-%d-association-1")).plain, map[string]any{
			"subnetId": n("private-subnet-%d-id"), "routeTableId": n("private-route-table-%d-id"),
		})
		same(t, "public association", r.one(t, n("public-route-table-association-%d")).plain, map[string]any{
			"subnetId": n("public-subnet-%d-id"), "routeTableId": "public-route-table-id",
		})
	}
	same(t, "public route", r.one(t, "public-default-route").plain, map[string]any{
		"routeTableId": "public-route-table-id", "destinationCidrBlock": "0.0.0.0/0", "gatewayId": "internet-gateway-id",
	})
}

func TestTrafficIsExactlyTheTable(t *testing.T) {
	for name, c := range map[string]struct {
		settings map[string]string
		more     []string
	}{
		"by default": {nil, nil},
		"with interface endpoints": {map[string]string{"interfaceEndpoints": "true"}, []string{
			"in endpoints-sg 443 from job-processor-sg", "in endpoints-sg 443 from payment-api-sg",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := deploy(t, c.settings)
			var got []string
			for direction, token := range map[string]string{
				"in": "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", "out": "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
			} {
				for _, rule := range r.ofType(token) {
					group := strings.TrimSuffix(rule.text(t, "securityGroupId"), "-id")
					peer, _ := rule.plain["referencedSecurityGroupId"].(string)
					if cidr, ok := rule.plain["cidrIpv4"].(string); ok {
						peer += cidr
					}
					way := map[string]string{"in": "from", "out": "to"}[direction]
					got = append(got, fmt.Sprintf("%s %s %v %s %s", direction, group, rule.at(t, "fromPort"), way, strings.TrimSuffix(peer, "-id")))
					same(t, rule.name, []any{rule.at(t, "ipProtocol"), rule.at(t, "toPort")}, []any{"tcp", rule.at(t, "fromPort")})
					if rule.text(t, "description") == "" {
						t.Errorf("%s has no description", rule.name)
					}
				}
			}
			want := append([]string{
				"in alb-sg 443 from 0.0.0.0/0", "in alb-sg 80 from 0.0.0.0/0",
				"in db-sg 5432 from job-processor-sg", "in db-sg 5432 from payment-api-sg",
				"in job-processor-sg 8443 from alb-sg", "in payment-api-sg 8443 from alb-sg",
				"out alb-sg 8443 to job-processor-sg", "out alb-sg 8443 to payment-api-sg",
				"out job-processor-sg 443 to 0.0.0.0/0", "out job-processor-sg 5432 to db-sg",
				"out payment-api-sg 443 to 0.0.0.0/0", "out payment-api-sg 5432 to db-sg",
			}, c.more...)
			slices.Sort(got)
			slices.Sort(want)
			same(t, "rules", got, want)
		})
	}
}

func TestGroupsHaveNoRulesOfTheirOwn(t *testing.T) {
	r := everything(t)
	groups := slices.Concat(r.ofType("aws:ec2/securityGroup:SecurityGroup"), r.ofType("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"))
	same(t, "number of groups", len(groups), 6)
	for _, group := range groups {
		if group.plain["ingress"] != nil || group.plain["egress"] != nil {
			t.Errorf("%s has inline rules", group.name)
		}
		same(t, group.name, group.at(t, "vpcId"), "vpc-id")
	}
}

func TestAllTrafficOfTheVpcIsRecorded(t *testing.T) {
	flow := deploy(t, nil).one(t, "vpc-flow-log")
	same(t, "flow log", []any{flow.at(t, "vpcId"), flow.at(t, "trafficType"), flow.at(t, "logDestinationType"), flow.at(t, "maxAggregationInterval")},
		[]any{"vpc-id", "ALL", "cloud-watch-logs", 60})
}

func TestEndpointsKeepAwsTrafficPrivate(t *testing.T) {
	r := deploy(t, nil)
	same(t, "endpoints by default", len(r.ofType("aws:ec2/vpcEndpoint:VpcEndpoint")), 1)
	s3 := r.one(t, "s3-endpoint")
	same(t, "S3 endpoint", []any{s3.at(t, "serviceName"), s3.at(t, "vpcEndpointType"), s3.at(t, "routeTableIds")},
		[]any{"com.amazonaws.us-east-1.s3", "Gateway", []string{"private-route-table-1-id", "private-route-table-2-id", "private-route-table-3-id"}})

	var services []string
	for _, endpoint := range everything(t).ofType("aws:ec2/vpcEndpoint:VpcEndpoint") {
		if endpoint.text(t, "vpcEndpointType") != "Interface" {
			continue
		}
		services = append(services, strings.TrimPrefix(endpoint.text(t, "serviceName"), "com.amazonaws.us-east-1."))
		same(t, endpoint.name, []any{endpoint.at(t, "privateDnsEnabled"), endpoint.at(t, "securityGroupIds"), endpoint.at(t, "subnetIds")},
			[]any{true, []string{"endpoints-sg-id"}, []string{"private-subnet-1-id", "private-subnet-2-id", "private-subnet-3-id"}})
	}
	slices.Sort(services)
	same(t, "interface endpoints", services, []string{"ecr.api", "ecr.dkr", "logs", "secretsmanager", "sns", "sqs", "ssm"})
}
