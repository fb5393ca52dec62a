package session

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAnImageIsOfTheSameRepositoryWithAnotherTag(t *testing.T) {
	for image, want := range map[string]string{
		"registry.example.com/payment-api:1.0.0":            "registry.example.com/payment-api:next",
		"localhost:5000/payment-api":                        "localhost:5000/payment-api:next",
		"localhost:5000/payment-api:1":                      "localhost:5000/payment-api:next",
		"payment-api@sha256:0123":                           "payment-api:next",
		"registry.example.com:443/a/payment-api:1@sha256:0": "registry.example.com:443/a/payment-api:next",
	} {
		assert.Equal(t, want, tagged(image, "next"), image)
	}
}
