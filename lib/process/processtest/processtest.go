// Package processtest is for tests that start processes.
package processtest

import (
	"os"
	"testing"
)

// SkipIfShort skips a test that starts the engine, an emulator, a container, a browser or a compiler: go test -short is
// done in seconds.
func SkipIfShort(tb testing.TB) {
	tb.Helper()
	if testing.Short() {
		tb.Skip("-short: starts processes")
	}
}

// before is the environment as it was before Hostile.
var before = os.Environ()

// Environ is the environment as it was before Hostile, for what is to reach the outside.
func Environ() []string { return before }

// Hostile sets the variables of a shell that is full of other work: proxies that lead nowhere, tokens, a Python path, and
// settings of AWS, Pulumi and moto that are for something else. Whatever tap does here must do without them. It is for
// TestMain.
func Hostile() {
	for name, value := range map[string]string{
		"HTTP_PROXY": deadProxy, "HTTPS_PROXY": deadProxy, "ALL_PROXY": deadProxy, "NO_PROXY": "",
		"http_proxy": deadProxy, "https_proxy": deadProxy, "all_proxy": deadProxy, "no_proxy": "",
		"GITHUB_TOKEN": "not-for-children", "PYTHONPATH": "/nowhere", "PYTHONHOME": "/nowhere",
		"MOTO_ACCOUNT_ID": "999999999999", "MOTO_EC2_LOAD_DEFAULT_AMIS": "nonsense",
		"AWS_PROFILE": "of-an-account-that-is-not-here", "AWS_ACCESS_KEY_ID": "AKIAOFSOMEBODY", "AWS_SECRET_ACCESS_KEY": "of-somebody",
		"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-west-3",
		"PULUMI_BACKEND_URL": "s3://of-somebody", "PULUMI_ACCESS_TOKEN": "of-somebody",
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
}

// deadProxy is the discard port, where nobody listens.
const deadProxy = "http://127.0.0.1:9"
