package inventory

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tapstack/lib/declared"
)

func TestAStackOwnsItsNamesAndNoOthers(t *testing.T) {
	for _, c := range []struct {
		suffix string
		kind   *Kind
		name   string
		want   Ownership
	}{
		{"dev", VPC, "vpc-mydev", Foreign},
		{"dev", VPC, "vpc-dev2", Foreign},
		{"dev", VPC, "dev", Foreign},
		{"dev", VPC, "", Foreign},
		{"b", Subnet, "public-subnet-1-a-b", Foreign},
		{"b", Subnet, "public-subnet-12-b", Own},
		// The same name is one stack's security group and another's load balancer.
		{"b", SecurityGroup, "alb-sg-b", Own},
		{"b", LoadBalancer, "alb-sg-b", Foreign},
		{"sg-b", LoadBalancer, "alb-sg-b", Own},
		// Unknown names that end in the suffix are for the tags to tell.
		{"dev", Queue, "someone-elses-dev", Unclear},
		{"dev", Queue, "someone-elses", Foreign},
		{"dev", Parameter, "/payment/dev/by-hand", Own},
		{"dev", Parameter, "/payment/mydev/queue-url", Foreign},
		{"dev", Parameter, "/other/dev/queue-url", Foreign},
		{"dev", LogGroup, "/aws/rds/cluster/aurora-cluster-dev/postgresql", Own},
		{"dev", LogGroup, "/aws/rds/cluster/aurora-cluster-dev/upgrade", Own},
		{"dev", LogGroup, "/aws/rds/cluster/aurora-cluster-dev2/postgresql", Foreign},
		{"dev", LogGroup, "/aws/lambda/dev", Foreign},
		{"dev", ScalableTarget, "service/ecs-cluster-x-dev/payment-api-x-dev", Foreign},
		{"dev", Alarm, "TargetTracking-service/ecs-cluster-dev/payment-api-dev-AlarmHigh-1", Own},
		{"dev", DBSnapshot, "aurora-reader-2-dev", Own},
		{"dev", DBClusterBackup, "aurora-cluster-dev", Own},
		{"dev", Bucket, "alb-logs-123456789012-us-east-1-dev", Own},
		{"dev", Bucket, "alb-logs-210987654321-ap-southeast-2-dev", Own},
		{"dev", Bucket, "alb-logs-123456789012-us-east-1-a-dev", Foreign},
		{"1-dev", Bucket, "alb-logs-123456789012-us-east-1-dev", Foreign},
		{"a.b", VPC, "vpc-axb", Foreign},
		{"", VPC, "vpc-", Foreign},
	} {
		assert.Equal(t, c.want, c.kind.Ownership(c.name, c.suffix), "suffix %q, %s %q", c.suffix, c.kind, c.name)
	}
}

func TestTheSuffixIsReadFromANameThatTheStackGives(t *testing.T) {
	for _, c := range []struct {
		kind       *Kind
		name, want string
	}{
		{VPC, "vpc-dev", "dev"},
		{VPC, "vpc-pr-42", "pr-42"},
		{VPC, "vpc-42", "42"},
		{VPC, "my-vpc-dev", ""},
		{VPC, "vpc-Dev", ""},
		{VPC, "vpc-", ""},
		{Subnet, "private-subnet-3-a-b", "a-b"},
		{Queue, "payment-jobs-dlq-b", "b"},
		{Queue, "payment-jobs-b", "b"},
		{Parameter, "/payment/dev/queue-url", "dev"},
		{Parameter, "/payment/dev", ""},
		{ScalableTarget, "service/ecs-cluster-x/job-processor-x", "x"},
		// A name whose parts name two stacks is none of ours.
		{ScalableTarget, "service/ecs-cluster-x/job-processor-y", ""},
		{Bucket, "alb-logs-123456789012-us-east-1-dev", "dev"},
		{Policy, "anything-dev", ""},
		{NetworkInterface, "eni-dev", ""},
	} {
		assert.Equal(t, c.want, c.kind.SuffixIn(c.name), "%s %q", c.kind, c.name)
	}
}

// TestTheNamesOfEveryConfigurationAreKnown holds that the largest configuration gives all names that any gives.
func TestTheNamesOfEveryConfigurationAreKnown(t *testing.T) {
	config, err := declared.Largest("a-b")
	require.NoError(t, err)
	config.DomainName, config.HostedZoneID, config.InterfaceEndpoints, config.WAF = "", "", false, false
	config.ContainerPort, config.ContainerProtocol = 65535, "HTTP"
	all, err := declared.Resources(config, "eu-central-1")
	require.NoError(t, err)
	for _, r := range all {
		for _, k := range Kinds() {
			if name := k.nameOf(r); name != "" {
				assert.Equal(t, Own, k.Ownership(name, "a-b"), "%s %s", k, name)
				assert.Equal(t, Foreign, k.Ownership(name, "b"), "%s %s", k, name)
			}
		}
	}
}
