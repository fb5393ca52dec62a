// Package official holds lib/awsprovider, the local provider, against the official Terraform AWS provider, whose code is
// inside pulumi-aws v6. Both are asked the same on the same kind of emulator; what they answer otherwise stands in the
// tables of differences_test.go with its reason, or the test fails. docs/official.md tells more.
//
// It runs by `make test-official` only, and where a filesystem mirror of Terraform has the official provider.
package official

import (
	"fmt"
	"os"
	"testing"

	"tapstack/tests/official/bridge"
)

// askedFor is set by make test-official.
const askedFor = "TAPSTACK_TEST_OFFICIAL"

func TestMain(m *testing.M) {
	code := m.Run()
	if why := bridge.WhyNot(); why != "" {
		fmt.Println(why)
	}
	os.Exit(code)
}

// prepared is the official provider, or skips the test.
func prepared(t *testing.T) bridge.Binary {
	t.Helper()
	if os.Getenv(askedFor) == "" {
		t.Skipf("%s is not set: make test-official compares with the official provider", askedFor)
	}
	return bridge.Prepare(t)
}
