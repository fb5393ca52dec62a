package unit_test

import (
	"fmt"
	"os"
	"testing"

	"tapstack/lib"
)

// TestMain runs the tests in a shell that is in other regions than the stack, and takes away what the developer's own says of
// profiles and suffixes.
func TestMain(m *testing.M) {
	for variable, value := range map[string]string{
		"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-west-3", "AWS_PROFILE": "", lib.SuffixVariable: "",
	} {
		if err := os.Setenv(variable, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}
