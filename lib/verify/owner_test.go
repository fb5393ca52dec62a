package verify

import "testing"

func TestAStackOwnsItsNamesAndNoOthers(t *testing.T) {
	for _, c := range []struct {
		suffix string
		kind   kind
		name   string
		want   verdict
	}{
		{"dev", kindVPC, "vpc-dev", ours},
		{"dev", kindVPC, "vpc-mydev", foreign},
		{"dev", kindVPC, "vpc-dev2", foreign},
		{"dev", kindVPC, "dev", foreign},
		{"dev", kindVPC, "", foreign},
		{"b", kindVPC, "vpc-a-b", foreign},
		{"a-b", kindVPC, "vpc-a-b", ours},
		{"b", kindVPC, "vpc-b", ours},
		{"b", kindSubnet, "public-subnet-1-a-b", foreign},
		{"b", kindSubnet, "public-subnet-12-b", ours},
		// The same name is one stack's security group and another's load balancer.
		{"b", kindSecurityGroup, "alb-sg-b", ours},
		{"b", kindLoadBalancer, "alb-sg-b", foreign},
		{"sg-b", kindLoadBalancer, "alb-sg-b", ours},
		// Unknown names that end in the suffix are for the tags to tell.
		{"dev", kindQueue, "someone-elses-dev", unsure},
		{"dev", kindQueue, "someone-elses", foreign},
		{"dev", kindParameter, "/payment/dev/queue-url", ours},
		{"dev", kindParameter, "/payment/mydev/queue-url", foreign},
		{"dev", kindParameter, "/other/dev/queue-url", foreign},
		{"dev", kindLogGroup, "/ecs/payment-api-dev", ours},
		{"dev", kindLogGroup, "/aws/rds/cluster/aurora-cluster-dev/postgresql", ours},
		{"dev", kindLogGroup, "/aws/rds/cluster/aurora-cluster-dev2/postgresql", foreign},
		{"dev", kindLogGroup, "/aws/lambda/dev", foreign},
		{"dev", kindScalableTarget, "service/ecs-cluster-dev/payment-api-dev", ours},
		{"dev", kindScalableTarget, "service/ecs-cluster-x-dev/payment-api-x-dev", foreign},
		{"dev", kindAlarm, "TargetTracking-service/ecs-cluster-dev/payment-api-dev-AlarmHigh-1", ours},
		{"dev", kindAlarm, "nat-gateway-3-port-errors-alarm-dev", ours},
		{"dev", kindBucket, "alb-logs-123456789012-us-east-1-dev", ours},
		{"dev", kindBucket, "alb-logs-123456789012-us-east-1-a-dev", foreign},
		{"1-dev", kindBucket, "alb-logs-123456789012-us-east-1-dev", foreign},
		{"a.b", kindVPC, "vpc-axb", foreign},
		{"", kindVPC, "vpc-", foreign},
	} {
		if got := (owner{suffix: c.suffix}).judge(c.kind, c.name); got != c.want {
			t.Errorf("suffix %q, %s %q: %d, want %d", c.suffix, c.kind, c.name, got, c.want)
		}
	}
}

func TestTheLoadBalancersNameIsReadFromItsDNSName(t *testing.T) {
	for dns, want := range map[string]string{
		"dualstack.alb-dev-1234567890.us-east-1.elb.amazonaws.com.": "alb-dev",
		"alb-dev-1.us-east-1.elb.amazonaws.com":                     "alb-dev",
		"d111111abcdef8.cloudfront.net":                             "",
	} {
		if got := balancerOf(dns); got != want {
			t.Errorf("%s: %q, want %q", dns, got, want)
		}
	}
}

func TestANameCarriesTheSuffixOnlyAsAWholePart(t *testing.T) {
	for name, want := range map[string]bool{
		"vpc-dev": true, "/payment/dev/queue-url": true, "/ecs/payment-api-dev": true,
		"vpc-mydev": false, "vpc-dev2": false, "dev": false, "vpc": false, "": false,
	} {
		if got := carriesSuffix(name, "dev"); got != want {
			t.Errorf("%q: %t, want %t", name, got, want)
		}
	}
}
