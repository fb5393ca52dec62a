package verify

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestANameCarriesTheSuffixOnlyAsAWholePart(t *testing.T) {
	for name, want := range map[string]bool{
		"vpc-dev": true, "/payment/dev/queue-url": true, "/ecs/payment-api-dev": true,
		"vpc-mydev": false, "vpc-dev2": false, "dev": false, "vpc": false, "": false,
	} {
		assert.Equal(t, want, carriesSuffix(name, "dev"), name)
	}
}
