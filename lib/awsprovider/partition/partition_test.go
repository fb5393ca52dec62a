package partition_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"tapstack/lib/awsprovider/partition"
)

func TestEveryRegionHasItsPartition(t *testing.T) {
	for region, want := range map[string]struct{ id, dns, reverse string }{
		"us-east-1":      {"aws", "amazonaws.com", "com.amazonaws"},
		"eu-central-2":   {"aws", "amazonaws.com", "com.amazonaws"},
		"cn-north-1":     {"aws-cn", "amazonaws.com.cn", "cn.com.amazonaws"},
		"us-gov-west-1":  {"aws-us-gov", "amazonaws.com", "com.amazonaws"},
		"us-iso-east-1":  {"aws-iso", "c2s.ic.gov", "gov.ic.c2s"},
		"us-isob-east-1": {"aws-iso-b", "sc2s.sgov.gov", "gov.sgov.sc2s"},
		"eusc-de-east-1": {"aws-eusc", "amazonaws.eu", "eu.amazonaws"},
	} {
		p := partition.Of(region)
		assert.Equal(t, want.id, p.ID, region)
		assert.Equal(t, want.dns, p.DNSSuffix, region)
		assert.Equal(t, want.reverse, p.ReverseDNSPrefix(), region)
	}
}
