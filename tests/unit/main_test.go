package unit_test

import (
	"fmt"
	"os"
	"testing"

	"tapstack/lib"
)

// TestMain takes away what the developer's own shell says of regions and suffixes.
func TestMain(m *testing.M) {
	for _, variable := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", lib.SuffixVariable} {
		if err := os.Unsetenv(variable); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}
