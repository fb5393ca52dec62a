// Package official holds lib/awsprovider, the local provider, against the official Terraform AWS provider, whose code is
// inside pulumi-aws v6. Both are asked the same on the same kind of emulator; what they answer otherwise stands in the
// tables of differences_test.go with its reason, or the test fails. docs/official.md tells more.
//
// It runs by `make test-official` only, and where a filesystem mirror of Terraform has the official provider.
package official

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// askedFor is set by make test-official.
const askedFor = "TAPSTACK_TEST_OFFICIAL"

// whyNot is the reason for which nothing was compared. It is told last, where a reader of a long log looks.
var whyNot string

func TestMain(m *testing.M) {
	code := m.Run()
	if whyNot != "" {
		fmt.Println(whyNot)
	}
	os.Exit(code)
}

// prepared finds and builds the official provider once, or skips the test.
func prepared(t *testing.T) binary {
	t.Helper()
	if os.Getenv(askedFor) == "" {
		t.Skipf("%s is not set: make test-official compares with the official provider", askedFor)
	}
	b, err := once()
	require.NoError(t, err)
	if b.provider == "" {
		whyNot = fmt.Sprintf("SKIPPED: no filesystem mirror has hashicorp/aws %[1]s, so nothing was compared with the official provider.\n"+
			"To make one: in a folder with the file main.tf that says\n"+
			"  terraform { required_providers { aws = { source = \"hashicorp/aws\", version = \"%[1]s\" } } }\n"+
			"run: terraform providers mirror DIR; then: %[2]s=DIR make test-official", officialVersion, mirrorVariable)
		t.Skip(whyNot)
	}
	return b
}

var once = sync.OnceValues(func() (binary, error) {
	provider, err := findProvider()
	if err != nil || provider == "" {
		return binary{}, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()
	spec, err := served(ctx)
	if err != nil {
		return binary{}, err
	}
	return build(ctx, provider, spec, func(s string) { fmt.Println(s) })
})
